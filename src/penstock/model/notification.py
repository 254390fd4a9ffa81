"""What people may be told about, and the rules that say who is told. Plain values.

In: nothing. Out: the table of events, and the rule that `source` reads from the repository.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from penstock.model.errors import Place

Severity = Literal["info", "warning", "error"]
SEVERITIES: tuple[Severity, ...] = ("info", "warning", "error")

EVENTS: Mapping[str, Severity] = {
    "promotion.opened": "info",
    "promotion.waiting": "info",
    "promotion.conflict": "warning",
    "promotion.merged": "info",
    "promotion.bypass": "error",
    "promotion.rolled-back": "warning",
    "environment.failing": "error",
    "environment.recovered": "info",
    "environment.silent": "error",
    "environment.drift": "warning",
    "prune.held": "warning",
    "freeze.begun": "info",
    "freeze.ended": "info",
    "hold.begun": "info",
    "hold.ended": "info",
}
"""Every event and how grave it is."""

COMMENTS, STATUSES = "pull-request", "commit-status"
"""Names in `to` that need no target: a comment on the event's pull request, a commit status of what an environment runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """One rule: which events go to which targets."""

    name: str
    to: tuple[str, ...]
    """Names of targets; their addresses stand in the fleet file, never in Git."""
    events: tuple[str, ...] = ()
    """Names of events, or groups as 'promotion.*'; none named: all."""
    environments: tuple[str, ...] = ()
    apps: tuple[str, ...] = ()
    severity: Severity = "info"
    """The least grave that is told."""
    place: Place | None = None
