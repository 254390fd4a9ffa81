"""One environment as its cluster shows it: what its Kustomization says, the objects it owns and how they are, its events.

In: an open world and an environment's Kustomization. Out: an `Inside`. What cannot be listed is told, and unknown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from penstock.model import errors, flux, inventory
from penstock.model.resource import Manifest, ResourceId
from penstock.observe import kstatus
from penstock.ports.cluster import ApiResource, Cluster
from penstock.promote.evidence import moment

_EVENTS = 30
_LISTS_AT_ONCE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Owned:
    """One object of the inventory."""

    id: ResourceId
    health: kstatus.Health
    """'Unknown' where its kind could not be listed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One Kubernetes event about the Kustomization."""

    type: str
    reason: str
    message: str
    when: datetime | None
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Inside:
    """What is inside an environment."""

    objects: tuple[Owned, ...]
    events: tuple[Event, ...]
    problems: tuple[str, ...] = ()


async def inside(cluster: Cluster, kustomization: Manifest, now: datetime) -> Inside:
    """Ask the cluster: one list for each kind in the inventory, and one for the events."""
    problems: list[str] = []
    owned, events = await asyncio.gather(
        _objects(cluster, kustomization, now, problems), _events(cluster, kustomization, problems)
    )
    return Inside(objects=tuple(owned), events=tuple(events), problems=tuple(problems))


async def _objects(cluster: Cluster, kustomization: Manifest, now: datetime, problems: list[str]) -> list[Owned]:
    entries = inventory.parse((kustomization.get("status") or {}).get("inventory"))
    metadata = kustomization.get("metadata") or {}
    selector = f"{flux.OWNER_NAME}={metadata.get('name')},{flux.OWNER_NAMESPACE}={metadata.get('namespace')}"
    kinds = sorted({(key.group, key.kind, entries.versions[key]) for key in entries})
    limit = asyncio.Semaphore(_LISTS_AT_ONCE)

    async def one(group: str, kind: str, version: str) -> Mapping[ResourceId, Manifest] | None:
        async with limit:
            return await _list(cluster, group, kind, version, selector, problems)

    lists = await asyncio.gather(*(one(*kind) for kind in kinds))
    live = {(group, kind): found for (group, kind, _), found in zip(kinds, lists, strict=True)}
    return [Owned(id=key, health=_health(key, live, now)) for key in sorted(entries, key=_order)]


def _order(key: ResourceId) -> tuple[str, str, str]:
    return key.namespace, key.kind, key.name


def _health(
    key: ResourceId, live: Mapping[tuple[str, str], Mapping[ResourceId, Manifest] | None], now: datetime
) -> kstatus.Health:
    found = live[(key.group, key.kind)]
    if found is None:
        return kstatus.Health(status="Unknown")
    return kstatus.health(found.get(key), now)


async def _list(
    cluster: Cluster, group: str, kind: str, version: str, selector: str, problems: list[str]
) -> dict[ResourceId, Manifest] | None:
    """The owned objects of a kind by id; None when that is not known."""
    try:
        resource = await cluster.resource(group, kind, version or None)
        if resource is None:
            return {}
        found = await cluster.list(resource, label_selector=selector)
    except errors.RemoteError as error:
        problems.append(f"{kind} cannot be listed: {error.what}")
        return None
    return {ResourceId(group, kind, *_place(item)): _with_kind(item, resource) for item in found.items}


def _place(item: Manifest) -> tuple[str, str]:
    metadata = item.get("metadata") or {}
    return str(metadata.get("namespace") or ""), str(metadata.get("name") or "")


def _with_kind(item: Manifest, resource: ApiResource) -> Manifest:
    """Items of a list come without their kind."""
    return {"apiVersion": resource.api_version, "kind": resource.kind, **item}


async def _events(cluster: Cluster, kustomization: Manifest, problems: list[str]) -> list[Event]:
    metadata = kustomization.get("metadata") or {}
    name, namespace = str(metadata.get("name")), str(metadata.get("namespace"))
    selector = f"involvedObject.kind=Kustomization,involvedObject.name={name}"
    try:
        resource = await cluster.resource("", "Event", "v1")
        found: Sequence[Manifest] = ()
        if resource is not None:
            found = (await cluster.list(resource, namespace, field_selector=selector)).items
    except errors.RemoteError as error:
        problems.append(f"events cannot be listed: {error.what}")
        return []
    return _newest([_event(item) for item in found])


def _newest(events: Iterable[Event]) -> list[Event]:
    return sorted(events, key=lambda one: one.when.timestamp() if one.when else 0.0, reverse=True)[:_EVENTS]


def _event(item: Manifest) -> Event:
    when = item.get("lastTimestamp") or item.get("eventTime") or (item.get("metadata") or {}).get("creationTimestamp")
    count = item.get("count")
    return Event(
        type=str(item.get("type") or ""),
        reason=str(item.get("reason") or ""),
        message=str(item.get("message") or ""),
        when=moment(when),
        count=count if isinstance(count, int) else 1,
    )
