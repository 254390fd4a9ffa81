"""The process is killed at its mutating calls, one by one: whatever it was doing, the next one finishes it.

A scenario is run once to count its mutating calls N. Then, for k = 1..N and three moments of the call (before it is
sent, after it was sent and its answer lost, after the answer), everything begins anew, the process dies there, another one
starts, and the invariants are checked:

I1 every object that carries our owner labels is in its Kustomization's inventory (or is gone)
I2 nothing that is not ours was changed or deleted
I3 at rest the cluster holds what Git says
I4 nothing was deleted that Git still has

`make test` runs a sample; PENSTOCK_CRASH=all runs every point.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import random
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.contract.sync.conftest import World, config_map

from penstock import controllers
from penstock.adapters.kube import connect_to
from penstock.adapters.kube.client import HttpCluster
from penstock.model import flux
from penstock.sandbox import cluster as sandbox

SAMPLE = 6
"""Points of each scenario in an ordinary run."""
MOMENTS = ("before", "lost", "after")
Files = dict[str, str | None]


def maps(namespace: str, **names: str) -> Files:
    return {f"{name}.yaml": config_map(name, namespace, data) for name, data in names.items()}


def gone(*names: str) -> Files:
    return {f"{name}.yaml": None for name in names}


# each: the state before, then the change during which the process dies
SCENARIOS: dict[str, tuple[Callable[[str], Files], Callable[[str], Files]]] = {
    "create": (lambda _: {"none.yaml": ""}, lambda n: maps(n, a="1", b="1", c="1")),
    "update": (lambda n: maps(n, a="1", b="1"), lambda n: maps(n, a="2", b="2")),
    "prune": (lambda n: maps(n, a="1", b="1", c="1"), lambda _: gone("b", "c")),
    "rename": (lambda n: maps(n, a="1", x="1"), lambda n: {**gone("a"), **maps(n, z="1")}),
    "create, update and prune at once": (
        lambda n: maps(n, a="1", b="1", x="1"),
        lambda n: {**gone("a"), **maps(n, b="2", c="1", d="1")},
    ),
    "kind changes": (
        lambda n: maps(n, a="1", x="1"),
        lambda n: {
            "a.yaml": f"apiVersion: v1\nkind: Secret\nmetadata: {{name: a, namespace: {n}}}\nstringData: {{k: v}}\n",
        },
    ),
    "namespace with contents": (
        lambda n: maps(n, x="1"),
        lambda n: {
            "ns.yaml": f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {n}-new}}\n",
            "in.yaml": config_map("inside", f"{n}-new"),
        },
    ),
    "everything but one": (lambda n: maps(n, a="1", b="1", c="1", d="1"), lambda _: gone("a", "b", "c")),
    "immutable with force": (
        lambda n: {"s.yaml": secret(n, "1"), **maps(n, x="1")},
        lambda n: {"s.yaml": secret(n, "2")},
    ),
    "a marked object leaves": (
        lambda n: {
            **maps(n, x="1"),
            "k.yaml": config_map("k", n, extra="  annotations: {kustomize.toolkit.fluxcd.io/prune: disabled}\n"),
        },
        lambda _: gone("k"),
    ),
}


LEFT = {"a marked object leaves": ("k",)}
"""What stays in the cluster by its own mark although Git no longer has it."""


def secret(namespace: str, value: str) -> str:
    return (
        f"apiVersion: v1\nkind: Secret\nmetadata:\n  name: s\n  namespace: {namespace}\n"
        f"  annotations: {{kustomize.toolkit.fluxcd.io/force: enabled}}\nimmutable: true\nstringData: {{k: '{value}'}}\n"
    )


class Killed:
    """Counts mutating calls; at the k-th, in the chosen moment, nothing more comes back to the process."""

    def __init__(self, cluster: HttpCluster, at: int | None = None, moment: str = "after") -> None:
        self.count = 0
        self.died = asyncio.Event()
        self._transport: Any = cluster._transport
        self._real = self._transport.request
        self._at = at
        self._moment = moment

    def __enter__(self) -> Killed:
        self._transport.request = self._request
        return self

    def __exit__(self, *_: object) -> None:
        self._transport.request = self._real

    async def _request(self, verb: str, method: str, path: str, **options: Any) -> Any:
        mutating = method != "GET" and not verb.endswith("?dryRun") and "/events" not in path
        if self.died.is_set():
            await asyncio.Event().wait()
        if not mutating:
            return await self._real(verb, method, path, **options)
        self.count += 1
        number = self.count
        if number == self._at and self._moment == "before":
            await self._die()
        if number == self._at and self._moment == "lost":
            await self._real(verb, method, path, **options)
            await self._die()
        answer = await self._real(verb, method, path, **options)
        if number == self._at:
            # the answer arrives, and whatever was to come next does not happen
            self.died.set()
        return answer

    async def _die(self) -> None:
        self.died.set()
        await asyncio.Event().wait()


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[HttpCluster]:
    async with (
        sandbox.serve(tmp_path / "cluster", name="sweep", rollout_seconds=0) as server,
        connect_to(server.url, token=server.token, ca_path=server.ca_path, name="sandbox") as found,
    ):
        await controllers.install(found)
        yield found


@contextlib.asynccontextmanager
async def fresh(cluster: HttpCluster, folder: Path) -> AsyncIterator[World]:
    """A namespace, a repository and controllers that nothing has touched."""
    world = World(cluster, folder)
    await world.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": world.namespace}})
    try:
        yield world
    finally:
        await world.kill()
        shutil.rmtree(folder)


async def run(world: World, scenario: str, at: int | None, moment: str) -> int:
    """The scenario with a death at one call; how many mutating calls the change took."""
    before, change = SCENARIOS[scenario]
    await world.apply(_bystander(world))
    commit = world.repo.commit({path: text for path, text in before(world.namespace).items() if text is not None})
    await world.source()
    await world.kustomization(annotations={flux.PRUNE_GUARD: "disabled"})
    await world.start()
    await world.until_applied(f"main@sha1:{commit}")
    await world.settled()
    files = change(world.namespace)
    with Killed(world.cluster, at, moment) as killed:
        commit = world.repo.commit(files)
        assert world.manager is not None
        world.manager.poke(world.url)
        if at is None:
            await world.until_applied(f"main@sha1:{commit}")
            await world.settled()
        else:
            waiting = asyncio.create_task(killed.died.wait())
            await asyncio.wait({waiting}, timeout=20)
            assert killed.died.is_set(), f"call {at} of {scenario} never came"
            waiting.cancel()
        await world.kill()
        count = killed.count
    await _check_after_death(world, scenario)
    await world.start()
    status = await world.until_applied(f"main@sha1:{commit}")
    await world.settled()
    await _check_at_rest(world, scenario, status)
    return count


async def _check_after_death(world: World, scenario: str) -> None:
    inventory = {entry["id"] for entry in (await world.status())["inventory"]["entries"]}
    forgotten = {each for each in await _owned(world) - inventory if each.split("_")[1] not in LEFT.get(scenario, ())}
    assert not forgotten, "I1: an object that no inventory has"


async def _check_at_rest(world: World, scenario: str, status: dict[str, Any]) -> None:
    wanted = set()
    for path in world.repo.folder.glob("*.yaml"):
        kind = next((line.split()[1] for line in path.read_text().splitlines() if line.startswith("kind:")), None)
        if kind is not None:
            name = {"ns": f"{world.namespace}-new", "in": "inside"}.get(path.stem, path.stem)
            space = {"ns": "", "in": f"{world.namespace}-new"}.get(path.stem, world.namespace)
            wanted.add(f"{space}_{name}__{kind}")
    inventory = {entry["id"] for entry in status["inventory"]["entries"]}
    assert inventory == wanted, "I3: the inventory is what Git has"
    owned = {each for each in await _owned(world) if each.split("_")[1] not in LEFT.get(scenario, ())}
    assert owned == wanted, "I3 and I4: the cluster is what Git has"
    found = await world.get("ConfigMap", "bystander")
    assert found is not None and found["data"] == {"mine": "yes"}, "I2: somebody else's object"


def _bystander(world: World) -> dict[str, Any]:
    metadata = {"name": "bystander", "namespace": world.namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"mine": "yes"}}


async def _owned(world: World) -> set[str]:
    found = set()
    for kind in ("ConfigMap", "Secret", "Namespace"):
        resource = await world.cluster.resource("", kind)
        assert resource is not None
        mine = f"{flux.OWNER_NAME},{flux.OWNER_NAMESPACE}={world.namespace}"
        for item in (await world.cluster.list(resource, label_selector=mine)).items:
            metadata = item["metadata"]
            if not metadata.get("deletionTimestamp"):
                found.add(f"{metadata.get('namespace', '')}_{metadata['name']}__{kind}")
    return found


@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_death_at_any_call_loses_nothing(scenario: str, cluster: HttpCluster, tmp_path: Path) -> None:
    async with fresh(cluster, tmp_path / "count") as world:
        calls = await run(world, scenario, None, "after")
    points = list(itertools.product(range(1, calls + 1), MOMENTS))
    if os.environ.get("PENSTOCK_CRASH") != "all":
        points = random.Random(scenario).sample(points, min(SAMPLE, len(points)))
    for at, moment in points:
        async with fresh(cluster, tmp_path / f"{at}-{moment}") as world:
            try:
                await run(world, scenario, at, moment)
            except AssertionError as error:
                raise AssertionError(f"{scenario}, killed {moment} call {at} of {calls}: {error}") from error
