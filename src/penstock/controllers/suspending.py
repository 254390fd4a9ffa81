"""Ending a suspension whose time has passed.

In: a suspended object with `penstock.dev/suspend-until` (RFC 3339). Out: how long it still lasts, or the object resumed and
its annotations removed. A suspension without that annotation, or with one that is no time, lasts until somebody ends it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from penstock.model import flux
from penstock.model.resource import Manifest
from penstock.ports.cluster import ApiResource, Cluster


def until(manifest: Manifest) -> datetime | None:
    """When the suspension of an object ends by itself; None when it does not, or is none."""
    if (manifest.get("spec") or {}).get("suspend") is not True or manifest["metadata"].get("deletionTimestamp"):
        return None
    try:
        moment = datetime.fromisoformat(str((manifest["metadata"].get("annotations") or {})[flux.SUSPEND_UNTIL]))
    except (KeyError, ValueError):
        # written by hand, for people
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def left(manifest: Manifest, now: datetime) -> timedelta | None:
    """How long it still lasts (nothing, when it is over); None when it does not end by itself."""
    end = until(manifest)
    return None if end is None else max(end - now, timedelta(0))


async def end(cluster: Cluster, resource: ApiResource, manifest: Manifest) -> Manifest | None:
    """Resume the object, unless somebody changed it meanwhile (RaceError); the object then, None when it is gone."""
    metadata = manifest["metadata"]
    marks = dict.fromkeys((flux.SUSPEND_REASON, flux.SUSPEND_UNTIL, flux.SUSPEND_BY))
    change = {
        "metadata": {"resourceVersion": metadata["resourceVersion"], "annotations": marks},
        "spec": {"suspend": False},
    }
    return await cluster.patch(resource, metadata["namespace"], metadata["name"], change, kind="merge", field_manager="penstock")
