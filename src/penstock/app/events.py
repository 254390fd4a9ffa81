"""Kubernetes events about Flux's objects. In: a cluster. Out: events in the order they were last seen, or as they come."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, cast

from penstock.app import objects
from penstock.app.objects import Kind
from penstock.model import errors
from penstock.model.resource import Manifest
from penstock.ports.cluster import ApiResource, Cluster, WatchEvent, WatchExpiredError

EventType = Literal["Normal", "Warning"]
_FLUX_GROUPS = ".toolkit.fluxcd.io"
_PAUSE_SECONDS = 1.0
"""Before looking again at a cluster whose connection broke."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event; `count` is how often it happened between `first` and `last`."""

    namespace: str
    type: str
    reason: str
    object: str
    """Kind/name."""
    message: str
    first: datetime | None
    last: datetime | None
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which events: of these objects (kind, namespace, name; name '' is any), or of all Flux objects when there is none."""

    namespace: str
    about: tuple[tuple[str, str, str], ...] = ()
    types: tuple[EventType, ...] = ()

    def has(self, event: Mapping[str, Any]) -> bool:
        involved = event.get("involvedObject") or {}
        group = str(involved.get("apiVersion") or "").rpartition("/")[0]
        if not group.endswith(_FLUX_GROUPS) or (self.types and event.get("type") not in self.types):
            return False
        if not self.about:
            return True
        kind, namespace, name = (str(involved.get(key) or "") for key in ("kind", "namespace", "name"))
        return any(kind == wanted and space in ("", namespace) and called in ("", name) for wanted, space, called in self.about)


async def wanted(
    cluster: Cluster, namespace: str, about: str = "", types: Sequence[EventType] = ()
) -> tuple[Wanted, tuple[str, ...]]:
    """What `--for Kind` or `--for Kind/name` asks for, and the namespaces to look in ('' is all).

    Of a named Kustomization its source's events belong to it, as flux shows them. Raises InputError.
    """
    if not about:
        return Wanted(namespace=namespace, types=tuple(types)), (namespace,)
    word, _, name = about.partition("/")
    kind = _kind(word)
    targets = [(kind.kind, namespace, name)]
    if name and kind is objects.KUSTOMIZATION and namespace:
        found = await objects.get(cluster, kind, namespace, name)
        reference = (found.get("spec") or {}).get("sourceRef") or {}
        targets.append((str(reference.get("kind")), str(reference.get("namespace") or namespace), str(reference.get("name"))))
    places = tuple(dict.fromkeys(space for _, space, _ in targets))
    return Wanted(namespace=namespace, about=tuple(targets), types=tuple(types)), places


def _kind(word: str) -> Kind:
    for kind in objects.KINDS:
        if word.lower() == kind.kind.lower():
            return kind
    return objects.parse([word]).one


async def listed(cluster: Cluster, what: Wanted, places: Sequence[str]) -> list[Event]:
    """The events there are, oldest first. Raises RefusedError, TransientError."""
    resource = await _resource(cluster)
    found: list[Event] = []
    for place in places:
        answer = await objects.answered(cluster, cluster.list(resource, place))
        found += [_event(item) for item in answer.items if what.has(item)]
    return sorted(found, key=lambda event: (event.last or datetime.min.replace(tzinfo=UTC), event.object))


async def followed(cluster: Cluster, what: Wanted, place: str) -> AsyncGenerator[Event]:
    """The events there are in a namespace ('' is all), then those that come, until the caller stops.

    Raises RefusedError; TransientError when the cluster does not answer a new list.
    """
    resource = await _resource(cluster)
    shown: set[tuple[str, int]] = set()
    while True:
        answer = await objects.answered(cluster, cluster.list(resource, place))
        items: list[Manifest] = sorted((item for item in answer.items if what.has(item)), key=lambda item: str(_last(item)))
        for item in items:
            if _new(item, shown):
                yield _event(item)
        changes = cluster.watch(resource, place, resource_version=answer.resource_version)
        try:
            async with contextlib.aclosing(cast(AsyncGenerator[WatchEvent], changes)):
                async for change in changes:
                    if change.kind in ("ADDED", "MODIFIED") and what.has(change.object) and _new(change.object, shown):
                        yield _event(change.object)
        except WatchExpiredError:
            pass
        except errors.TransientError:
            await asyncio.sleep(_PAUSE_SECONDS)


def _new(item: Manifest, shown: set[tuple[str, int]]) -> bool:
    """Whether this event, or this repetition of it, was not shown yet; it now counts as shown."""
    mark = (str(item["metadata"].get("uid") or item["metadata"]["name"]), _count(item))
    if mark in shown:
        return False
    shown.add(mark)
    return True


async def _resource(cluster: Cluster) -> ApiResource:
    found = await objects.answered(cluster, cluster.resource("", "Event", "v1"))
    if found is None:
        raise errors.invalid(f"{cluster.name} serves no events", code="NotInstalled")
    return found


def _event(item: Manifest) -> Event:
    involved = item.get("involvedObject") or {}
    first = _moment(item.get("eventTime")) or _moment(item.get("firstTimestamp"))
    return Event(
        namespace=str(item["metadata"].get("namespace") or ""),
        type=str(item.get("type") or ""),
        reason=str(item.get("reason") or ""),
        object=f"{involved.get('kind')}/{involved.get('name')}",
        message=str(item.get("message") or "").strip(),
        first=first,
        last=_last(item),
        count=_count(item),
    )


def _last(item: Mapping[str, Any]) -> datetime | None:
    series = item.get("series") or {}
    for found in (series.get("lastObservedTime"), item.get("lastTimestamp"), item.get("eventTime"), item.get("firstTimestamp")):
        if (moment := _moment(found)) is not None:
            return moment
    return None


def _count(item: Mapping[str, Any]) -> int:
    return int((item.get("series") or {}).get("count") or item.get("count") or 1)


def _moment(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text)).astimezone(UTC) if text else None
    except ValueError:
        return None
