"""Everything that watches what promotion reports, beside the work: notifications, and traces where they are asked for."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from penstock.app import notifications, tracing

if TYPE_CHECKING:
    from penstock.app.world import World
    from penstock.controllers.notifying import Count
    from penstock.controllers.promotion import Controller, Report


class _Observer(Protocol):
    def observe(self, report: Report) -> None: ...

    async def run(self) -> None: ...


_LAST_SECONDS = 5.0
_LOOK_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Watching:
    """What watches a controller."""

    last: Callable[[], Awaitable[None]]
    """To be awaited before the controller is stopped: where traces are told, one more look, so that the stage that ended
    last is told too."""
    told: Callable[[], Mapping[str, Count]]
    """What became of messages, by target."""


@contextlib.asynccontextmanager
async def observing(world: World, controller: Controller) -> AsyncIterator[Watching]:
    """Watch a controller's reports until the block ends; what is under way then is given up."""
    async with contextlib.AsyncExitStack() as stack:
        notifier = await stack.enter_async_context(notifications.notifier(world, controller))
        found: list[_Observer] = [notifier]
        if (stages := stack.enter_context(tracing.stages(world, controller))) is not None:
            found.append(stages)

        def reported(report: Report) -> None:
            for one in found:
                one.observe(report)

        controller.reported = reported
        group = await stack.enter_async_context(asyncio.TaskGroup())
        tasks = [group.create_task(one.run(), name=type(one).__name__) for one in found]

        async def last() -> None:
            if stages is None:
                return
            before = controller.latest
            controller.poke()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LAST_SECONDS):
                    while True:
                        if controller.latest is not before and stages.idle:
                            return
                        await asyncio.sleep(_LOOK_SECONDS)

        try:
            yield Watching(last, notifier.counts)
        finally:
            for task in tasks:
                task.cancel()
