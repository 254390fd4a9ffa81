"""How a manager ends, and how it survives itself."""

from __future__ import annotations

import asyncio

from penstock.adapters.clock import SystemClock
from penstock.controllers.manager import Manager
from penstock.controllers.options import Options


async def test_asked_to_stop_it_ends_after_the_pass_under_way(world, namespaced):
    await world.synced({"a.yaml": namespaced("a")})
    world.push({f"{name}.yaml": namespaced(name) for name in "bcdefgh"})
    manager, task = world.manager, world._running
    manager.stop()
    await asyncio.wait_for(task, 10)
    status = await world.status()
    inventory = {entry["id"].split("_")[1] for entry in status["inventory"]["entries"]}
    there = {name for name in "abcdefgh" if await world.get("ConfigMap", name) is not None}
    assert there == inventory, "it stopped in the middle of a pass"


async def test_it_stops_at_once_while_it_waits_for_health(world, namespaced):
    check = {"apiVersion": "v1", "kind": "ConfigMap", "name": "never", "namespace": world.namespace}
    world.repo.commit({"a.yaml": namespaced("a")})
    await world.source()
    await world.kustomization(healthChecks=[check], timeout="5m")
    await world.start()
    await world.there("ConfigMap", "a")
    world.manager.stop()
    await asyncio.wait_for(world._running, 10)


async def test_a_bug_in_the_machinery_itself_begins_anew(world, namespaced):
    manager = Manager(
        world.cluster,
        repositories=world.repositories,
        clock=SystemClock(),
        options=Options(namespace=world.namespace, artifacts=world.folder / "artifacts"),
    )
    real, calls = manager._events.run, 0

    async def broken():
        nonlocal calls
        calls += 1
        if calls == 1:
            raise ZeroDivisionError
        await real()

    manager._events.run = broken
    commit = world.repo.commit({"a.yaml": namespaced("a")})
    await world.source()
    await world.kustomization()
    task = asyncio.create_task(manager.run())
    try:
        await world.until_applied(f"main@sha1:{commit}")
        assert calls == 2
    finally:
        manager.stop()
        await asyncio.wait_for(task, 10)


async def test_an_object_that_nobody_can_make_sense_of_stops_nobody_else(world, namespaced):
    """A path that no file system would take, for one."""
    commit = world.repo.commit({"a.yaml": namespaced("a")})
    await world.source()
    await world.kustomization()
    await world.kustomization("poison", path="\x00../../..")
    await world.start()
    await world.until_applied(f"main@sha1:{commit}")
    ready = await world.ready("poison")
    assert ready is None or ready.status != "True"
