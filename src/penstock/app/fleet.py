"""Run a fleet: sync of every environment, promotion between them, until the block ends.

In: an open world, or a sandbox's state folder. Out: nothing but effects. Each environment's sync is a task of its own, so one
dead cluster keeps nobody else waiting.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.app import observing
from penstock.app import sandbox as sandboxes
from penstock.app import world as worlds
from penstock.app.memory import Options
from penstock.model import errors
from penstock.model.values import EnvName
from penstock.ports.forge import Forge

if TYPE_CHECKING:
    from penstock.adapters.forge.webhooks import Event
    from penstock.controllers.hooks import Hooks
    from penstock.controllers.manager import Manager
    from penstock.controllers.notifying import Count
    from penstock.controllers.options import Options as ManagerOptions
    from penstock.controllers.promotion import Controller


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """What runs for one world."""

    managers: Mapping[EnvName, Manager]
    """Sync of each environment."""
    promotion: Controller | None
    told: Callable[[], Mapping[str, Count]] = dict
    """What became of notifications, by target."""

    def pushed(self) -> None:
        """Something moved in the repository: everybody looks now instead of at the next interval."""
        for manager in self.managers.values():
            manager.poke()
        self.looked_for()

    def looked_for(self) -> None:
        """Something moved on the forge: a review, a status, a closed pull request."""
        if self.promotion is not None:
            self.promotion.poke()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningSandbox:
    """A sandbox fleet that runs."""

    box: sandboxes.Sandbox
    world: worlds.World
    people: Mapping[str, Forge]
    """The forge as each person of the sandbox sees it."""
    began: float
    """Monotonic seconds when the start began."""


@contextlib.asynccontextmanager
async def running(
    world: worlds.World, *, sync: bool = True, promote: bool = True, options: ManagerOptions | None = None
) -> AsyncIterator[Running]:
    """Sync every environment of this world and promote between them, until the block ends; ends after the passes under way."""
    from penstock.app.promote import controller_of
    from penstock.controllers.hooks import Hooks
    from penstock.controllers.manager import Manager
    from penstock.controllers.options import Options as ManagerOptions
    from penstock.controllers.repositories import Mirrors

    mirrors = Mirrors(world.fleet.cache / "mirrors")
    hooks = Hooks()
    options = replace(options or ManagerOptions(), hooks=hooks if world.fleet.webhooks is not None else None)
    managers = {
        name: Manager(cluster, repositories=mirrors, clock=world.clock, options=options)
        for name, cluster in world.clusters.items()
        if sync
    }
    controller = controller_of(world) if promote else None
    now = Running(managers=managers, promotion=controller)
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(_webhooks(world, hooks, now))
        watching = await stack.enter_async_context(observing.observing(world, controller)) if controller else None
        group = await stack.enter_async_context(asyncio.TaskGroup())
        tasks = [group.create_task(manager.run(), name=f"sync {name}") for name, manager in managers.items()]
        promoting = group.create_task(controller.run(), name="promotion") if controller else None
        try:
            yield replace(now, told=watching.told) if watching else now
        finally:
            if promoting is not None and watching is not None:
                await watching.last()
                promoting.cancel()
            for manager in managers.values():
                manager.stop()
            await asyncio.wait(tasks) if tasks else None


@contextlib.asynccontextmanager
async def _webhooks(world: worlds.World, hooks: Hooks, now: Running) -> AsyncIterator[None]:
    """Listen for the forge's webhooks where the fleet file says so: a push makes everybody look, anything else promotion."""
    at = world.fleet.webhooks
    if at is None:
        yield
        return
    from penstock.controllers import hooks as serving

    def deliver(event: Event) -> None:
        if event.kind == "push":
            now.pushed()
        else:
            now.looked_for()

    hooks.put(at.path, serving.Hook(kind=world.fleet.forge.kind, secret=worlds.secret(at.secret_file), deliver=deliver))
    host, _, port = at.listen.rpartition(":")
    async with serving.serve(hooks, host.strip("[]"), int(port)):
        yield


@contextlib.asynccontextmanager
async def sandbox(folder: Path, options: Options, tell: Callable[[str], None] = lambda _: None) -> AsyncIterator[RunningSandbox]:
    """A whole sandbox fleet from its state folder; `tell` hears what is being started.

    Raises InputError (another one runs there), RemoteError (a port is taken, a server does not come up).
    """
    from penstock.adapters.clock import SystemClock
    from penstock.adapters.forge import connect
    from penstock.sandbox import workloads

    began = SystemClock().monotonic()
    async with contextlib.AsyncExitStack() as stack:
        box = await stack.enter_async_context(sandboxes.servers(folder, options))
        tell("servers are up")
        world = await stack.enter_async_context(worlds.open_fleet(box.fleet))
        await sandboxes.bootstrap(box, world)
        people = {
            user: await stack.enter_async_context(
                connect("gitea", box.forge_url, box.fleet.forge.repository, token=box.tokens[user])
            )
            for user in (sandboxes.DEVELOPER, sandboxes.REVIEWER)
        }
        now = await stack.enter_async_context(running(world))
        box.forge.on_push(lambda _: now.pushed())
        # What the controller does itself needs no second look; what a person does is seen at once.
        box.forge.on_event(lambda happening: now.looked_for() if happening.user != sandboxes.BOT else None)
        group = await stack.enter_async_context(_background())
        if box.options.clusters == "real":
            for name, cluster in world.clusters.items():
                if name not in box.options.contexts:
                    group.start(workloads.run(cluster, world.clock, rollout_seconds=options.rollout_seconds))
        yield RunningSandbox(box=box, world=world, people=people, began=began)


class _Background:
    """Tasks that end with their block."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self._group = group
        self.tasks: list[asyncio.Task[None]] = []

    def start(self, work: object) -> None:
        assert asyncio.iscoroutine(work)
        self.tasks.append(self._group.create_task(work))


@contextlib.asynccontextmanager
async def _background() -> AsyncIterator[_Background]:
    async with asyncio.TaskGroup() as group:
        background = _Background(group)
        try:
            yield background
        finally:
            for task in background.tasks:
                task.cancel()


def set_aside(folder: Path) -> Path | None:
    """Move an earlier sandbox out of the way, so that a story begins anew and nothing is lost; where it is now."""
    if not folder.exists() or not any(folder.iterdir()):
        return None
    if not (folder / worlds.FILE_NAME).exists():
        raise errors.invalid(f"{folder} holds something else than a sandbox", hint="choose another --state", code="NotASandbox")
    with sandboxes.lock(folder):
        number = 1
        while (aside := folder.with_name(f"{folder.name}.{number}")).exists():
            number += 1
        folder.rename(aside)
    return aside
