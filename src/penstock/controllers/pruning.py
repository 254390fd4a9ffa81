"""Deleting what Git no longer has: read, decide, ask where it is grave, delete exactly what was read.

In: stale ids. Out: changes; what is settled may leave the inventory, what is not stays in it and is tried again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from penstock.apply import guard, ordering, planning
from penstock.apply.guard import Hold
from penstock.apply.marks import Owner
from penstock.apply.planning import Change, LiveObject
from penstock.controllers.live import LiveView
from penstock.model.errors import RaceError, RemoteError
from penstock.model.resource import ResourceId
from penstock.ports.cluster import ApiResource, Cluster

_TRIES = 4
_IN_FLIGHT = 16
_WHY = {
    "opted-out": "marked as not to be pruned",
    "handed-over": "now owned by another Kustomization",
    "not-ours": "no longer carries our owner labels",
    "protected": "protected: it is not deleted by pruning",
}


@dataclass(slots=True)
class Pruned:
    """What came of a prune."""

    changes: list[Change] = field(default_factory=list)
    settled: set[ResourceId] = field(default_factory=set)
    """May leave the inventory."""
    failures: list[str] = field(default_factory=list)
    held: Hold | None = None
    warnings: list[str] = field(default_factory=list)
    handing_over: set[ResourceId] = field(default_factory=set)
    """Another Kustomization's build has them, but it has not applied them yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Doomed:
    id: ResourceId
    resource: ApiResource
    live: LiveObject


class Pruner:
    """Prunes for one Kustomization as one identity."""

    def __init__(self, cluster: Cluster, view: LiveView, owner: Owner, *, own: Collection[ResourceId]) -> None:
        self._cluster = cluster
        self._view = view
        self._owner = owner
        self._own = own
        self._claimed: Collection[ResourceId] = ()
        self.done = Pruned()

    async def run(
        self,
        stale: Sequence[ResourceId],
        *,
        inventory_size: int,
        digest: str,
        annotations: Mapping[str, str],
        guarded: bool = True,
        claimed: Collection[ResourceId] = (),
    ) -> Pruned:
        """Delete the stale objects, last applied first. A read that fails settles nothing: unknown is not gone.

        claimed: what other Kustomizations are about to apply; it is left for them.
        """
        self._claimed = claimed
        doomed: list[_Doomed] = []
        for id in stale:  # noqa: A001 - what the house calls it
            try:
                found = await self._look(id)
            except RemoteError as error:
                self.done.failures.append(f"{id} query failed, error: {error.what}")
                continue
            if found is not None:
                doomed.append(found)
        held = guard.hold([each.id for each in doomed], inventory_size, digest) if guarded else None
        if held is not None and not guard.consented(held, annotations):
            self.done.held = held
            return self.done
        for stage in range(ordering.GATES, -1, -1):
            members = [each for each in doomed if ordering.stage(each.id) == stage]
            slots = asyncio.Semaphore(_IN_FLIGHT)
            async with asyncio.TaskGroup() as group:
                for each in members:
                    group.create_task(self._delete(each, slots))
        return self.done

    async def there(self, id: ResourceId) -> bool:  # noqa: A002 - what the house calls it
        """Whether the object is still there, finalizers and all."""
        resource = await self._cluster.resource(id.group, id.kind)
        return resource is not None and await self._cluster.get(resource, id.namespace, id.name) is not None

    async def _look(self, id: ResourceId) -> _Doomed | None:  # noqa: A002 - what the house calls it
        """The object if it has to go; whatever else it is, it is settled here."""
        resource = await self._cluster.resource(id.group, id.kind)
        if resource is None:
            # the kind is not served any more, so neither is the object (its CRD went)
            self.done.settled.add(id)
            return None
        live = self._view.objects.get(id) if self._view.knows(id.group, id.kind) else None
        if live is None:
            live = await self._read(id, resource)
        return self._decided(id, resource, live)

    async def _read(self, id: ResourceId, resource: ApiResource) -> LiveObject | None:  # noqa: A002
        found = await self._cluster.get(resource, id.namespace, id.name)
        return planning.observe(found) if found is not None else None

    def _decided(self, id: ResourceId, resource: ApiResource, live: LiveObject | None) -> _Doomed | None:  # noqa: A002
        inhabited = {id.name: self._view.owners_in(id.name)} if id.kind == "Namespace" and not id.group else {}
        decision = guard.decide(id, live, self._owner, own=self._own, inhabited=inhabited)
        if decision == "delete" and live is not None:
            if live.manifest["metadata"].get("deletionTimestamp"):
                # accepted before; its finalizers take their time (A24)
                self.done.settled.add(id)
                return None
            if id in self._claimed:
                self.done.handing_over.add(id)
                return None
            return _Doomed(id=id, resource=resource, live=live)
        self.done.settled.add(id)
        if decision in _WHY:
            self.done.changes.append(Change(id=id, outcome="skipped", why=_WHY[decision]))
        if decision == "protected":
            self.done.warnings.append(f"{id} is {_WHY[decision]}")
        return None

    async def _delete(self, doomed: _Doomed, slots: asyncio.Semaphore) -> None:
        current: _Doomed | None = doomed
        async with slots:
            for _ in range(_TRIES):
                if current is None:
                    return
                live = current.live
                try:
                    await self._cluster.delete(
                        current.resource,
                        current.id.namespace,
                        current.id.name,
                        uid=live.uid,
                        resource_version=live.resource_version,
                    )
                except RaceError:
                    # it is not what was decided about: read it and decide again
                    try:
                        current = self._decided(doomed.id, doomed.resource, await self._read(doomed.id, doomed.resource))
                    except RemoteError as error:
                        self.done.failures.append(f"{doomed.id} query failed, error: {error.what}")
                        return
                    continue
                except RemoteError as error:
                    self.done.changes.append(Change(id=doomed.id, outcome="failed"))
                    self.done.failures.append(f"{doomed.id} delete failed, error: {error.what}")
                    return
                self._view.forget(doomed.id)
                self.done.settled.add(doomed.id)
                self.done.changes.append(Change(id=doomed.id, outcome="deleted"))
                return
        self.done.failures.append(f"{doomed.id} delete failed, error: it changes faster than it can be deleted")
