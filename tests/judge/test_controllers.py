"""With a real kube-controller-manager: namespaces really go, and what an object brought goes with it."""

from __future__ import annotations

import asyncio
import contextlib
import os

import pytest
from tests.contract.sync.conftest import config_map
from tests.judge.conftest import SECONDS, free_port

from penstock.adapters import parts
from penstock.model import flux

CONTROLLERS = "namespace-controller,garbage-collector-controller,deployment-controller,replicaset-controller,job-controller"


@pytest.fixture
async def controlled(judge):
    """The judge's cluster, with Kubernetes' own controllers running."""
    program = parts.find("kube-controller-manager")
    if program is None:
        pytest.skip("NOT RUN with real controllers: kube-controller-manager is not built")
    with (judge.folder / "kube-controller-manager.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            str(program),
            f"--kubeconfig={judge.folder / 'kubeconfig'}",
            "--leader-elect=false",
            f"--controllers={CONTROLLERS}",
            "--bind-address=127.0.0.1",
            f"--secure-port={free_port()}",
            f"--cert-dir={judge.folder / 'certs'}",
            stdout=log,
            stderr=log,
            env=dict(os.environ),
        )
    try:
        yield judge
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


def deployment(namespace: str) -> str:
    return (
        f"apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web, namespace: {namespace}}}\nspec:\n  replicas: 1\n"
        "  selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n"
        "    spec: {containers: [{name: main, image: example/web:1}]}\n"
    )


async def test_a_pruned_deployment_takes_its_replica_sets_and_pods_with_it(controlled):
    world = controlled.world
    await world.synced({"web.yaml": deployment(world.namespace), "a.yaml": config_map("a", world.namespace)})

    async def count(group: str, kind: str) -> int:
        resource = await world.cluster.resource(group, kind)
        return len((await world.cluster.list(resource, world.namespace)).items)

    async def there() -> bool:
        return await count("apps", "ReplicaSet") == 1

    async def gone() -> bool:
        return await count("apps", "ReplicaSet") == 0

    await world.until(there, "a ReplicaSet", SECONDS)
    await world.until_applied(world.push({"web.yaml": None}), seconds=SECONDS)
    await world.until(gone, "no ReplicaSet", SECONDS)


async def test_a_rollout_without_pods_that_run_is_not_ready(controlled):
    """There is no kubelet: the Deployment's own controller says that nothing is available."""
    world = controlled.world
    world.repo.commit({"web.yaml": deployment(world.namespace)})
    await world.source()
    await world.kustomization(wait=True, timeout="5s")
    await world.start()
    message = await world.until_failed(flux.HEALTH_CHECK_FAILED, seconds=SECONDS)
    assert "Deployment" in message
    assert "InProgress" in message


async def test_a_namespace_with_contents_really_goes_and_comes_back(controlled):
    world = controlled.world
    other = f"{world.namespace}-more"
    files = {
        "ns.yaml": f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {other}}}\n",
        "in.yaml": config_map("inside", other),
        "a.yaml": config_map("a", world.namespace),
    }
    await world.synced(files, annotations={flux.PRUNE_GUARD: "disabled"})
    before = await world.get("Namespace", other)
    await world.until_applied(world.push({"ns.yaml": None, "in.yaml": None}), seconds=SECONDS)

    async def gone() -> bool:
        return await world.get("Namespace", other) is None

    await world.until(gone, "the namespace gone", SECONDS)
    await world.until_applied(world.push({name: files[name] for name in ("ns.yaml", "in.yaml")}), seconds=SECONDS)
    after = await world.get("Namespace", other)
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    assert await world.get("ConfigMap", "inside", namespace=other) is not None
