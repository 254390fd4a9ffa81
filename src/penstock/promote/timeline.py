"""The history of a Kustomization: what was applied when, and how it went, as its status keeps it.

In: a status, entries seen earlier. Out: entries, the one seen last first. The status keeps the last five; whoever looks
often remembers more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from penstock.model.values import CommitId

SUCCEEDED = "ReconciliationSucceeded"
FAILED = "ReconciliationFailed"
PROGRESSING = "Progressing"
PASSING = ("DependencyNotReady", "HealthCheckCanceled", "ArtifactFailed", PROGRESSING)
"""Reasons of Ready=False that pass by themselves: something else has to finish first."""
_KEPT = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry of status.history: one build with one outcome."""

    digest: str
    status: str
    commit: CommitId | None
    first: datetime
    """When it was so first."""
    last: datetime

    @property
    def succeeded(self) -> bool:
        return self.status == SUCCEEDED

    @property
    def failed(self) -> bool:
        return not self.succeeded and self.status not in PASSING


def entries_of(status: Mapping[str, Any]) -> tuple[Entry, ...]:
    """The history as a status has it."""
    found = [
        Entry(
            digest=str(item.get("digest") or ""),
            status=str(item.get("lastReconciledStatus") or ""),
            commit=commit_of((item.get("metadata") or {}).get("revision")),
            first=first,
            last=max(first, last),
        )
        for item in status.get("history") or ()
        if (first := moment(item.get("firstReconciled"))) and (last := moment(item.get("lastReconciled")))
    ]
    # Stable: of two entries of one second, the one the controller put first is the newer.
    return tuple(sorted(found, key=lambda entry: entry.last, reverse=True))


def remembered(past: Sequence[Entry], now: Sequence[Entry]) -> tuple[Entry, ...]:
    """Both together; an entry that went on is the one seen now."""
    found = {(one.digest, one.status, one.first): one for one in (*past, *now)}
    # Those seen now keep their order among equals.
    order = {id(one): number for number, one in enumerate((*now, *past))}
    kept = sorted(found.values(), key=lambda one: order[id(one)])
    return tuple(sorted(kept, key=lambda one: one.last, reverse=True)[:_KEPT])


def commit_of(revision: Any) -> CommitId | None:
    """The commit of 'main@sha1:<id>' (or 'sha1:<id>' without a branch)."""
    text = str(revision or "").rpartition(":")[2]
    return CommitId(text) if len(text) in (40, 64) and not set(text) - set("0123456789abcdef") else None


def moment(text: Any) -> datetime | None:
    """A Kubernetes time."""
    try:
        parsed = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
