"""Waiting until objects are healthy.

In: ids, and a way to look at each. Out: the summary at the end: all current, one failed, or the time over. Looking costs
nothing for objects in the live view; others are read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from penstock.controllers.live import LiveView
from penstock.model.errors import RemoteError
from penstock.model.resource import Manifest, ResourceId
from penstock.observe import kstatus, summary
from penstock.observe.kstatus import Health
from penstock.observe.summary import Summary
from penstock.ports.clock import Clock
from penstock.ports.cluster import Cluster

_LOOK_SECONDS = 5.0
_READ_SECONDS = 1.0
Ended = Literal["healthy", "failed", "timeout", "interrupted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """An object to wait for."""

    id: ResourceId
    version: str | None = None
    """The API version to read it in, None for the preferred one."""
    may_vanish: bool = False
    """A Job with a time to live: gone is done."""


class HealthCheck:
    """Looks at a set of objects as one identity."""

    def __init__(self, cluster: Cluster, view: LiveView, clock: Clock, targets: Sequence[Target]) -> None:
        self.targets = tuple(targets)
        self._cluster = cluster
        self._view = view
        self._clock = clock

    async def look(self) -> Summary:
        """The health of all now. What cannot be read is Unknown, never missing."""
        found: dict[ResourceId, Health] = {}
        for target in self.targets:
            found[target.id] = await self._health(target)
        return summary.of(found)

    @property
    def free(self) -> bool:
        """Whether looking needs no request."""
        return all(target.id in self._view.objects for target in self.targets)

    async def _health(self, target: Target) -> Health:
        known = self._view.objects.get(target.id)
        try:
            manifest: Manifest | None = known.manifest if known is not None else await self._read(target)
        except RemoteError as error:
            return Health(status="Unknown", reason="Unreadable", message=error.what)
        if manifest is None and target.may_vanish:
            return Health(status="Current", message="Job is gone after its time to live")
        return kstatus.health(manifest, self._clock.now())

    async def _read(self, target: Target) -> Manifest | None:
        resource = await self._cluster.resource(target.id.group, target.id.kind, target.version)
        return await self._cluster.get(resource, target.id.namespace, target.id.name) if resource is not None else None

    async def wait(self, until: float, touched: asyncio.Event, interrupt: asyncio.Event) -> tuple[Ended, Summary]:
        """Look until all are current, one failed, the monotonic time `until` is over, or `interrupt` is set.

        touched: set when the live view saw one of them change.
        """
        while True:
            touched.clear()
            found = await self.look()
            if found.status == "Current":
                return "healthy", found
            if found.status == "Failed":
                return "failed", found
            left = until - self._clock.monotonic()
            if left <= 0:
                return "timeout", found
            if interrupt.is_set():
                return "interrupted", found
            pause = min(left, _LOOK_SECONDS if self.free else _READ_SECONDS)
            await first_of(self._clock, pause, touched, interrupt)


async def first_of(clock: Clock, seconds: float | None, *events: asyncio.Event) -> None:
    """Wait for the first of the events, at most so many seconds of this clock."""
    if any(event.is_set() for event in events):
        return

    class _DoneError(Exception):
        pass

    async def ended(event: asyncio.Event) -> None:
        await event.wait()
        raise _DoneError

    async def over(limit: float) -> None:
        await clock.sleep(limit)
        raise _DoneError

    try:
        async with asyncio.TaskGroup() as group:
            for event in events:
                group.create_task(ended(event))
            if seconds is not None:
                group.create_task(over(max(seconds, 0.0)))
    except* _DoneError:
        pass


def jobs_with_ttl(manifests: Mapping[ResourceId, Manifest]) -> set[ResourceId]:
    """The Jobs that Kubernetes removes after their end."""
    return {
        key
        for key, manifest in manifests.items()
        if key.kind == "Job" and (manifest.get("spec") or {}).get("ttlSecondsAfterFinished") is not None
    }
