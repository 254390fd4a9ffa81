"""The process is killed at its mutating calls, one by one: whatever it was doing, the next one finishes it.

A scenario is run once to count its mutating calls N. Then, for k = 1..N and three moments of the call (before it is
sent, after it was sent and its answer lost, after the answer), everything begins anew, the process dies there, another one
starts, and the invariants are checked:

I1 every object that carries our owner labels is in its Kustomization's inventory (or is gone)
I2 nothing that is not ours was changed or deleted
I3 at rest the cluster holds what Git says, after at most two passes of the new process
I4 nothing was deleted that Git still has

`make test` runs a sample; PENSTOCK_CRASH=all runs every point, and PENSTOCK_CRASH_CLUSTER=real on a real API server.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import random
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.contract.sync.conftest import World
from tests.scenarios.crash_scenarios import SCENARIOS, Scenario

from penstock import controllers
from penstock.adapters.kube import connect_to
from penstock.adapters.kube.client import HttpCluster
from penstock.controllers.kustomization import KustomizationReconciler
from penstock.model import flux
from penstock.sandbox import cluster as sandbox

SAMPLE = 4
"""Points of each scenario in an ordinary run."""
MOMENTS = ("before", "lost", "after")
PASSES = 2
CORE = (("", "ConfigMap"), ("", "Secret"), ("", "Namespace"), ("apiextensions.k8s.io", "CustomResourceDefinition"))


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


@dataclass
class Passes:
    """What the passes over Kustomizations came to, since the last restart."""

    failed: dict[str, list[bool]] = field(default_factory=dict)


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> Passes:
    seen = Passes()
    real = KustomizationReconciler.reconcile

    async def counted(self: Any, manifest: Any, memory: Any) -> Any:
        result = await real(self, manifest, memory)
        seen.failed.setdefault(manifest["metadata"]["name"], []).append(result.failed)
        return result

    monkeypatch.setattr(KustomizationReconciler, "reconcile", counted)
    return seen


@pytest.fixture
async def cluster(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[HttpCluster]:
    async with contextlib.AsyncExitStack() as stack:
        if os.environ.get("PENSTOCK_CRASH_CLUSTER") == "real":
            server = request.getfixturevalue("real_apiserver")
        else:
            server = await stack.enter_async_context(sandbox.serve(tmp_path / "cluster", name="sweep", rollout_seconds=0))
        found = await stack.enter_async_context(
            connect_to(server.url, token=server.token, ca_path=server.ca_path, name="cluster")
        )
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


class Story:
    """One run of a scenario, with a death at one call or none."""

    def __init__(self, world: World, scenario: Scenario, passes: Passes) -> None:
        self.world = world
        self.scenario = scenario
        self.passes = passes
        self.apps = {"app": "./"}
        if scenario.folders:
            self.apps = {"app": f"./{scenario.folders[0]}", "app-2": f"./{scenario.folders[1]}"}
        self.foreign: dict[str, Any] = {}

    async def run(self, at: int | None, moment: str) -> int:
        """How many mutating calls the change took."""
        world, scenario = self.world, self.scenario
        await self._begin()
        files = scenario.change(world.namespace)
        with Killed(world.cluster, at, moment) as killed:
            commit = world.repo.commit(files)
            await self._while_alive(scenario.act(world))
            assert world.manager is not None
            world.manager.poke(world.url)
            finished = asyncio.create_task(self._finished(commit))
            died = asyncio.create_task(killed.died.wait())
            # what goes in parallel may take a call less than the first time; then there is no such point
            await asyncio.wait({finished, died}, timeout=60, return_when=asyncio.FIRST_COMPLETED)
            assert killed.died.is_set() or finished.done(), "neither dead nor done"
            for task in (finished, died):
                task.cancel()
            await asyncio.gather(finished, died, return_exceptions=True)
            await world.kill()
            count = killed.count
        await self._check_after_death()
        if scenario.fix is not None:
            commit = world.repo.commit(scenario.fix(world.namespace))
        self.passes.failed.clear()
        await world.start(seconds=60)
        await self._at_rest(commit)
        for app in self.apps:
            seen = self.passes.failed.get(app, [False])
            assert False in seen[:PASSES], f"I3: {app} took more than {PASSES} passes: failed {seen}"
        await self._check_at_rest()
        return count

    async def _begin(self) -> None:
        world, scenario = self.world, self.scenario
        for name, labels in (("bystander", {}), ("neighbour", {flux.OWNER_NAME: "other", flux.OWNER_NAMESPACE: world.namespace})):
            metadata = {"name": name, "namespace": world.namespace, "labels": labels}
            made = await world.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"mine": "yes"}})
            self.foreign[name] = made
        commit = world.repo.commit({path: text for path, text in scenario.before(world.namespace).items() if text is not None})
        await world.source()
        for app, path in self.apps.items():
            spec = {"path": path, "retryInterval": "10m" if scenario.fix else "1s", "timeout": "60s", **scenario.spec}
            await world.kustomization(app, annotations={flux.PRUNE_GUARD: "disabled"}, **spec)
        await world.start(seconds=60)
        for app in self.apps:
            await world.until_applied(f"main@sha1:{commit}", app, seconds=60)
        await world.settled()
        await scenario.prepare(world)
        await world.settled()

    async def _while_alive(self, work: Any) -> None:
        """What the story itself does is not a call of the process."""
        transport: Any = self.world.cluster._transport
        counting, real = transport.request, type(transport).request.__get__(transport)
        transport.request = real
        try:
            await work
        finally:
            transport.request = counting

    async def _finished(self, commit: str) -> None:
        if self.scenario.fix is not None:
            await self.world.until_failed(flux.RECONCILIATION_FAILED, seconds=60)
            await self.world.settled()
        else:
            await self._at_rest(commit)

    async def _at_rest(self, commit: str) -> None:
        world = self.world
        if self.scenario.deleted:
            await world.gone(flux.KUSTOMIZATION, "app", group=flux.KUSTOMIZE_GROUP)
        else:
            for app in self.apps:
                await world.until_applied(f"main@sha1:{commit}", app, seconds=60)
        await world.settled()
        if self.scenario.folders:
            # who had it before lets go as soon as it sees that the other has it
            async def handed_over() -> bool:
                return await self._inventory("app") == self._wanted("app")

            await world.until(handed_over, "handed over")
            await world.settled()

    async def _inventory(self, app: str) -> set[str]:
        found = (await self.world.status(app)).get("inventory") or {}
        return {entry["id"] for entry in found.get("entries") or ()}

    async def _check_after_death(self) -> None:
        for entry, owner in (await self._owned()).items():
            if entry.split("_")[1] not in self.scenario.left:
                assert entry in await self._inventory(owner), f"I1: {entry} of {owner} is in no inventory"
        await self._check_foreign()

    async def _check_foreign(self) -> None:
        for name, made in self.foreign.items():
            assert await self.world.get("ConfigMap", name) == made, f"I2: somebody else's {name}"

    async def _check_at_rest(self) -> None:
        await self._check_foreign()
        left = self.scenario.left
        owned = {entry: owner for entry, owner in (await self._owned()).items() if entry.split("_")[1] not in left}
        if self.scenario.deleted:
            assert owned == {}, "I3: nothing is left of a deleted app"
            return
        wanted = {}
        for app in self.apps:
            assert await self._inventory(app) == self._wanted(app), f"I3: the inventory of {app} is what Git has"
            wanted |= dict.fromkeys(self._wanted(app), app)
        assert owned == wanted, "I3 and I4: the cluster is what Git has"

    def _wanted(self, app: str) -> set[str]:
        folder = self.world.repo.folder / self.apps[app]
        found = set()
        for path in folder.glob("*.yaml"):
            for manifest in yaml.safe_load_all(path.read_text()):
                if manifest:
                    metadata, group = manifest["metadata"], manifest["apiVersion"].rpartition("/")[0]
                    found.add(f"{metadata.get('namespace', '')}_{metadata['name']}_{group}_{manifest['kind']}")
        return found

    async def _owned(self) -> dict[str, str]:
        """Inventory ids of the objects that carry our owner labels, with the owner; those that are going do not count."""
        world, found = self.world, {}
        world.cluster.forget_kinds()
        for group, kind in (*CORE, (f"{world.namespace}.example.com", "Thing")):
            resource = await world.cluster.resource(group, kind)
            if resource is None:
                continue
            mine = f"{flux.OWNER_NAME},{flux.OWNER_NAMESPACE}={world.namespace}"
            for item in (await world.cluster.list(resource, label_selector=mine)).items:
                metadata = item["metadata"]
                if not metadata.get("deletionTimestamp") and metadata["name"] != "neighbour":
                    entry = f"{metadata.get('namespace', '')}_{metadata['name']}_{group}_{kind}"
                    found[entry] = metadata["labels"][flux.OWNER_NAME]
        return found


@pytest.mark.parametrize("name", SCENARIOS)
async def test_death_at_any_call_loses_nothing(
    name: str, cluster: HttpCluster, tmp_path: Path, passes: Passes, record_property: Any
) -> None:
    async with fresh(cluster, tmp_path / "count") as world:
        calls = await Story(world, SCENARIOS[name], passes).run(None, "after")
    points = list(itertools.product(range(1, calls + 1), MOMENTS))
    record_property("points", len(points))
    if os.environ.get("PENSTOCK_CRASH") == "all":
        print(f"{name}: {len(points)} points")
    else:
        points = random.Random(name).sample(points, min(SAMPLE, len(points)))
    for at, moment in points:
        async with fresh(cluster, tmp_path / f"{at}-{moment}") as world:
            try:
                await Story(world, SCENARIOS[name], passes).run(at, moment)
            except AssertionError as error:
                raise AssertionError(f"{name}, killed {moment} call {at} of {calls}: {error}") from error
