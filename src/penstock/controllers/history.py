"""`status.history` of a Kustomization: the last few builds and how they went.

In: the list as it stands and an attempt. Out: the list with it, newest first, at most five; attempts of the same build
with the same outcome count up one entry.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from penstock.model import condition as conditions
from penstock.model import duration

_KEPT = 5


def upserted(found: object, *, digest: str, outcome: str, now: datetime, took: timedelta, revision: str) -> list[dict[str, Any]]:
    """The list with one more attempt."""
    entries = [dict(entry) for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []
    moment = conditions.timestamp(now)
    this: dict[str, Any] = {
        "digest": digest,
        "firstReconciled": moment,
        "lastReconciled": moment,
        "lastReconciledDuration": duration.show(timedelta(milliseconds=round(took / timedelta(milliseconds=1)))),
        "lastReconciledStatus": outcome,
        "totalReconciliations": 1,
        "metadata": {"revision": revision},
    }
    if entries and (entries[0].get("digest"), entries[0].get("lastReconciledStatus")) == (digest, outcome):
        first = entries[0]
        this["firstReconciled"] = first.get("firstReconciled", moment)
        this["totalReconciliations"] = int(first.get("totalReconciliations") or 0) + 1
        entries = entries[1:]
    return [this, *entries][:_KEPT]
