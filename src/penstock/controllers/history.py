"""`status.history` of a Kustomization: the last few builds and how they went.

In: the list as it stands and an attempt. Out: the list with it, newest first, at most five; attempts of the same build
with the same outcome count up one entry.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from penstock.model import condition as conditions
from penstock.model import duration, flux

_KEPT = 5
OBJECTS = "objects"
"""Ours, in an entry's metadata."""


def upserted(
    found: object,
    *,
    digest: str,
    outcome: str,
    now: datetime,
    took: timedelta,
    revision: str,
    objects: int,
    origin_revision: str = "",
) -> list[dict[str, Any]]:
    """The list with one more attempt. `objects` is how many the inventory holds after it."""
    entries = _entries(found)
    moment = conditions.timestamp(now)
    this: dict[str, Any] = {
        "digest": digest,
        "firstReconciled": moment,
        "lastReconciled": moment,
        "lastReconciledDuration": duration.show(timedelta(milliseconds=round(took / timedelta(milliseconds=1)))),
        "lastReconciledStatus": outcome,
        "totalReconciliations": 1,
        "metadata": {
            "revision": revision,
            **({"originRevision": origin_revision} if origin_revision else {}),
            OBJECTS: str(objects),
        },
    }
    if entries and (entries[0].get("digest"), entries[0].get("lastReconciledStatus")) == (digest, outcome):
        first = entries[0]
        this["firstReconciled"] = first.get("firstReconciled", moment)
        this["totalReconciliations"] = int(first.get("totalReconciliations") or 0) + 1
        entries = entries[1:]
    kept = [this, *entries][:_KEPT]
    last_good = next((entry for entry in entries if _succeeded(entry)), None)
    if last_good is not None and not any(_succeeded(entry) for entry in kept):
        # what went well last is never pushed out by a row of failures: the prune guard measures by it
        kept[-1] = last_good
    return kept


def objects_at_last_success(found: object) -> int | None:
    """How many objects the inventory held when all was well last; None when that is not known.

    The inventory itself cannot say: it is written ahead, so it also holds what a failed revision meant to add.
    """
    for entry in _entries(found):
        if _succeeded(entry):
            text = str((entry.get("metadata") or {}).get(OBJECTS) or "")
            return int(text) if text.isdigit() else None
    return None


def _succeeded(entry: dict[str, Any]) -> bool:
    return entry.get("lastReconciledStatus") == flux.RECONCILIATION_SUCCEEDED


def _entries(found: object) -> list[dict[str, Any]]:
    return [dict(entry) for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []
