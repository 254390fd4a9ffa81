"""Waiting until objects are healthy.

In: ids, and a way to look at each. Out: the summary at the end: all current, one failed, or the time over. Looking costs
nothing for objects in the live view; others are read. Kinds with expressions of their own are judged by those.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from penstock.adapters.cel import Evaluator, ExpressionError
from penstock.apply.marks import Owner
from penstock.apply.planning import LiveObject
from penstock.controllers.live import LiveView
from penstock.controllers.specs import HealthExpressions
from penstock.model.errors import RemoteError
from penstock.model.resource import Manifest, ResourceId
from penstock.observe import kstatus, summary
from penstock.observe.kstatus import Health, Status
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
    expressions: HealthExpressions | None = None
    """How its health is told, where not by kstatus."""


class HealthCheck:
    """Looks at a set of objects as one identity."""

    def __init__(
        self,
        cluster: Cluster,
        view: LiveView,
        clock: Clock,
        targets: Sequence[Target],
        *,
        cel: Evaluator,
        only_of: Owner | None = None,
    ) -> None:
        """`only_of`: what the view knows counts only for this owner's objects; all others are read as `cluster`, whose
        identity may not be allowed to see them."""
        self.targets = tuple(targets)
        self._cel = cel
        self._only_of = only_of
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
        return all(self._known(target.id) is not None for target in self.targets)

    def _known(self, id: ResourceId) -> LiveObject | None:  # noqa: A002 - what the house calls it
        known = self._view.objects.get(id)
        return known if known is None or self._only_of is None or known.owner == self._only_of else None

    async def _health(self, target: Target) -> Health:
        known = self._known(target.id)
        try:
            manifest: Manifest | None = known.manifest if known is not None else await self._read(target)
        except RemoteError as error:
            return Health(status="Unknown", reason="Unreadable", message=error.what)
        if manifest is None and target.may_vanish:
            return Health(status="Current", message="Job is gone after its time to live")
        if manifest is not None and target.expressions is not None:
            return await self._by_expressions(manifest, target.expressions)
        return kstatus.health(manifest, self._clock.now())

    async def _by_expressions(self, manifest: Manifest, expressions: HealthExpressions) -> Health:
        """Flux's order: an unobserved generation, then inProgress, failed, current; none of them is in progress."""
        observed = (manifest.get("status") or {}).get("observedGeneration")
        generation = manifest["metadata"].get("generation")
        if observed is not None and generation is not None and observed != generation:
            return Health(status="InProgress", message="the newest generation has not been observed")
        order: tuple[tuple[str, Status], ...] = (
            (expressions.in_progress, "InProgress"),
            (expressions.failed, "Failed"),
            (expressions.current, "Current"),
        )
        for expression, status in order:
            try:
                if expression and await self._cel.holds(expression, manifest):
                    return Health(status=status, message=f"by the expression for {expressions.kind}")
            except ExpressionError as error:
                return Health(status="Unknown", reason="ExpressionFailed", message=error.what)
        return Health(status="InProgress", message=f"by the expressions for {expressions.kind}")

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
