"""An API server that dies only makes its own manager wait, and work goes on when it is back."""

from __future__ import annotations

import asyncio
import random

from penstock.adapters.clock import SystemClock
from penstock.adapters.kube import connect_to
from penstock.controllers.manager import Manager
from penstock.model.errors import TransientError


async def test_a_manager_of_a_dead_cluster_waits_and_stops_when_asked(world, namespaced):
    async with connect_to("https://127.0.0.1:9", name="dead") as dead:
        other = Manager(dead, repositories=world.repositories, clock=SystemClock())
        task = asyncio.create_task(other.run())
        # meanwhile the living one works as ever
        await world.synced({"a.yaml": namespaced("a")})

        async def noticed():
            return other.failure is not None and "cannot reach" in other.failure.what

        await world.until(noticed, "it noticed", 10)
        assert not task.done()
        other.stop()
        await asyncio.wait_for(task, 10)


async def test_lost_answers_are_survived(world, namespaced):
    """A quarter of all answers to writes are lost after the server did them, dry-runs included."""
    transport = world.cluster._transport
    real, dice = transport.request, random.Random(7)

    async def losing(verb, method, path, **options):
        answer = await real(verb, method, path, **options)
        if method in ("PATCH", "DELETE", "POST") and "/events" not in path and dice.random() < 0.25:
            raise TransientError("the answer was lost", code="NoAnswer")
        return answer

    world.repo.commit({f"{name}.yaml": namespaced(name) for name in "abcde"})
    await world.source()
    await world.kustomization()
    transport.request = losing
    try:
        await world.start()
        await world.until_applied(world.push({"a.yaml": None, "b.yaml": namespaced("b", "2")}), seconds=60)
        await world.gone("ConfigMap", "a")
        assert (await world.get("ConfigMap", "b"))["data"] == {"k": "2"}
    finally:
        transport.request = real
