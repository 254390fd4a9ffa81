"""What we own in a cluster, kept in memory: one watch per kind in use, on the owner label.

In: kinds, as Kustomizations come to use them. Out: `LiveObject`s by id, and a call when one stops being as it was left.
This is why a reconciliation of an unchanged environment needs no request.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from penstock.apply import ownership, planning
from penstock.apply.marks import Owner
from penstock.apply.planning import LiveObject, Verified
from penstock.controllers.watching import ObjectKey, Watcher, version_of
from penstock.model import flux
from penstock.model.resource import Manifest, ResourceId
from penstock.ports.clock import Clock
from penstock.ports.cluster import ApiResource, Cluster

_log = logging.getLogger(__name__)

OnTouch = Callable[[Owner, ResourceId, bool], None]
"""Told which Kustomization's object was touched, and whether it is no longer as it was left (else only its status)."""


class LiveView:
    """The owned objects of one cluster. `tasks` must be running for as long as the view is used."""

    def __init__(
        self,
        cluster: Cluster,
        clock: Clock,
        on_touch: OnTouch,
        undone: Sequence[tuple[str, str]] = ownership.UNDONE_MANAGERS,
    ) -> None:
        self.objects: dict[ResourceId, LiveObject] = {}
        self.verified: dict[ResourceId, Verified] = {}
        self._cluster = cluster
        self._clock = clock
        self._on_touch = on_touch
        self._undone = undone
        self._watchers: dict[tuple[str, str], Watcher] = {}
        self._vanished: set[ResourceId] = set()
        """Deleted while no write of ours had been answered: the answer may be about to come."""
        self._tasks: asyncio.TaskGroup | None = None

    def start(self, tasks: asyncio.TaskGroup) -> None:
        """Give the task group that watches run in."""
        self._tasks = tasks

    async def ensure(self, resources: Iterable[ApiResource]) -> None:
        """Watch these kinds, and wait until each is known or turned out not to be watchable."""
        waiting = []
        for resource in resources:
            kind = (resource.group, resource.kind)
            watcher = self._watchers.get(kind)
            if watcher is None:
                if self._tasks is None or not {"list", "watch"} <= resource.verbs:
                    continue
                watcher = self._watchers[kind] = Watcher(
                    self._cluster,
                    resource,
                    self._clock,
                    partial(self._changed, resource),
                    label_selector=flux.OWNER_NAME,
                    keep=False,
                )
                self._tasks.create_task(watcher.run(), name=f"watch {resource.plural}")
            waiting.append(watcher)
        for watcher in waiting:
            await watcher.ready()

    def knows(self, group: str, kind: str) -> bool:
        """Whether every owned object of this kind is in `objects`."""
        watcher = self._watchers.get((group, kind))
        return watcher is not None and watcher.synced.is_set()

    def note(self, manifest: Manifest, wanted: str) -> LiveObject:
        """Remember an object as our write (or a dry-run that changed nothing) left it, `wanted` being the digest of what
        was applied."""
        known = self.objects.get(ResourceId.of(manifest))
        if known is not None and known.uid == manifest["metadata"].get("uid") and version_of(manifest) == _number(known):
            # the watch was quicker
            found = known
        else:
            found = planning.observe(manifest, undone=self._undone)
        if found.id in self._vanished:
            # the watch saw it go before the answer to our write was here
            self._vanished.discard(found.id)
            self._doubt(found)
            return found
        if known is None or _number(found) >= _number(known):
            self.objects[found.id] = found
        elif known.digest != found.digest:
            # somebody changed it again before the answer to our write was here
            self._doubt(found)
        self.verified[found.id] = Verified(desired=wanted, live=found.digest)
        if known is not None and known.owner is not None and known.owner != found.owner:
            # handed over: who had it before can let go of it now
            self._on_touch(known.owner, found.id, True)
        return found

    def _doubt(self, found: LiveObject) -> None:
        if found.owner is not None:
            self._on_touch(found.owner, found.id, True)

    def forget(self, id: ResourceId) -> None:  # noqa: A002 - what the house calls it
        """Forget an object that was deleted."""
        self.objects.pop(id, None)
        self.verified.pop(id, None)

    def owners_in(self, namespace: str) -> set[Owner]:
        """Whose objects are in a namespace, as far as is known."""
        return {each.owner for each in self.objects.values() if each.id.namespace == namespace and each.owner is not None}

    def _changed(self, resource: ApiResource, key: ObjectKey, manifest: Manifest | None) -> None:
        id = ResourceId(resource.group, resource.kind, *key)  # noqa: A001 - what the house calls it
        known = self.objects.get(id)
        if manifest is None:
            self.objects.pop(id, None)
            if id not in self.verified:
                self._vanished.add(id)
            elif known is not None and known.owner is not None:
                self._on_touch(known.owner, id, True)
            return
        if known is not None and known.uid == manifest["metadata"].get("uid") and version_of(manifest) <= _number(known):
            # our own write, which we know already
            return
        found = planning.observe(manifest, undone=self._undone)
        self.objects[id] = found
        verified = self.verified.get(id)
        owner = known.owner if known is not None and known.owner is not None else found.owner
        if verified is None or owner is None:
            return
        if known is None or found.owner != known.owner or _newly_drifted(found, known, verified):
            self._on_touch(owner, id, True)
        elif _status(known) != _status(found):
            self._on_touch(owner, id, False)


def _newly_drifted(found: LiveObject, known: LiveObject, verified: Verified) -> bool:
    """Whether this very change made it another than it was left. While a drift waits to be undone, the object's own
    controllers go on writing its status: that is not drift again."""
    if (found.digest, found.undo) == (known.digest, known.undo):
        return False
    return found.digest != verified.live or found.undo


def _status(live: LiveObject) -> object:
    return live.manifest.get("status"), live.manifest["metadata"].get("deletionTimestamp")


def _number(live: LiveObject) -> int:
    return int(live.resource_version) if live.resource_version.isdigit() else 0
