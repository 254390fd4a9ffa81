"""One look at the fleet, as far as people are told about it. In: nothing. Out: plain values that can be stored as JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

State = Literal["healthy", "failing", "moving", "silent", "absent"]
Kind = Literal["promotion", "bypass", "rollback"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """How one environment is."""

    name: str
    state: State
    commit: str = ""
    """That it runs, or tries to."""
    why: str = ""
    """Of a failure or a silence."""
    drift: str = ""
    """Objects that are not as Git says, where drift is only reported."""
    held: str = ""
    """Why a prune waits for consent."""
    object: str = ""
    """The Kustomization, as namespace/name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """A promotion that is not done."""

    unit: str
    source: str
    target: str
    commit: str
    subject: str = ""
    author: str = ""
    pull: int = 0
    url: str = ""
    conflicts: int = 0
    waits: tuple[str, ...] = ()
    """What a person has to do before it goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Landed:
    """A commit that changed an environment's configuration."""

    commit: str
    environment: str
    unit: str
    kind: Kind
    source: str = ""
    subject: str = ""
    author: str = ""
    by: str = ""
    """Who merged or approved it."""
    past: tuple[str, ...] = ()
    """Gates that were not green."""
    pull: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """A freeze or a hold in force."""

    kind: Literal["freeze", "hold"]
    about: str
    """'prod', 'web in prod', 'everything'."""
    reason: str
    by: str = ""
    until: str = ""
    environments: tuple[str, ...] = ()
    unit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything, at one moment."""

    fleet: str
    environments: tuple[Environment, ...] = ()
    promotions: tuple[Promotion, ...] = ()
    landed: tuple[Landed, ...] = ()
    """The newest of each environment."""
    guards: tuple[Guard, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One thing to tell."""

    event: str
    severity: str
    fleet: str
    headline: str
    """One sentence. What people wrote is in it only as `quoted` says."""
    environment: str = ""
    unit: str = ""
    details: tuple[tuple[str, str], ...] = ()
    """(name, text) pairs; the texts may be anybody's words."""
    quoted: tuple[str, ...] = ()
    """What stands in the headline for each '{}'; anybody's words."""
    commit: str = ""
    pull: int = 0
    url: str = ""
    key: str = field(default="")
    """The same key is the same news: it is told once."""
