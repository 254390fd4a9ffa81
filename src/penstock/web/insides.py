"""What the pages of an environment and of a log show, as plain values; as in `views`, compared by content.

In: nothing. Out: frozen values.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from penstock.web import views


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionRow:
    """One condition of the Kustomization."""

    type: str
    status: str
    reason: str
    message: str
    since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectRow:
    """One object of the inventory."""

    kind: str
    group: str
    namespace: str
    name: str
    mark: views.Mark
    health: str
    """kstatus' word, 'not known' when its kind could not be listed."""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """One Kubernetes event about the Kustomization."""

    type: str
    reason: str
    message: str
    when: datetime | None = None
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileRow:
    """One entry of status.history."""

    digest: str
    status: str
    first: datetime | None = None
    last: datetime | None = None
    count: int = 0
    duration: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentPage:
    """An environment: what its Kustomization says, and the objects it owns."""

    name: str
    mark: views.Mark
    words: str
    kustomization: str = ""
    """'namespace/name'."""
    path: str = ""
    interval: str = ""
    suspended: bool = False
    commit: views.Commit | None = None
    attempted: str = ""
    digest: str = ""
    conditions: tuple[ConditionRow, ...] = ()
    objects: tuple[ObjectRow, ...] = ()
    events: tuple[EventRow, ...] = ()
    history: tuple[ReconcileRow, ...] = ()
    revisions: tuple[views.Revision, ...] = ()
    guards: tuple[views.Guard, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRow:
    """One change of an environment, from Git."""

    when: datetime | None
    app: str
    change: str
    author: str
    commit: str
    origin: str = ""
    """The environment it came from."""
    pull: int = 0
    approved: str = ""
    kind: str = ""
    """promotion, rollback, bypass, adopted, ...: the log's own word."""
    detail: str = ""
    """What else has to be known: gates that were passed by."""
    healthy: str = ""
    lead_time: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What the log of the last days adds up to (DORA's figures that Git can tell)."""

    days: int
    changes: int
    median_lead_time: str = ""
    per_week: str = ""
    """How often something goes in."""
    failed: str = ""
    """How many of a hundred changes were rolled back."""
    restored: str = ""
    """The median time from a change to its rollback."""
    bypasses: int = 0
    rollbacks: int = 0
    more: bool = False
    """There were more changes than were counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPage:
    """An environment's history, newest first."""

    environment: str
    rows: tuple[LogRow, ...] = ()
    figures: Figures | None = None
    problems: tuple[str, ...] = ()
