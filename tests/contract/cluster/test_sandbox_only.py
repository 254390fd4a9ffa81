"""What a bare API server has not: workloads that come alive, garbage collection, and the sandbox's own manners."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cluster_clients import APPLY, MERGE, Client

from penstock.model.errors import RemoteError
from penstock.sandbox import cluster

DEPLOYS = "/apis/apps/v1/namespaces/{ns}/deployments"
PODS = "/api/v1/namespaces/{ns}/pods"
CMS = "/api/v1/namespaces/{ns}/configmaps"


def deployment(image: str = "web:1", **spec: Any) -> dict[str, Any]:
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": image}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {"replicas": 2, "selector": {"matchLabels": labels}, "template": template, **spec},
    }


async def status_of(client: Client, path: str) -> dict[str, Any]:
    return dict((await client.ok("GET", path)).get("status") or {})


def condition(status: dict[str, Any], kind: str) -> tuple[str, str]:
    found = [(c["status"], c.get("reason", "")) for c in status.get("conditions") or [] if c["type"] == kind]
    return found[0] if found else ("", "")


async def rolled_out(client: Client, image: str, replicas: int = 2) -> None:
    async def probe() -> bool:
        live = await client.ok("GET", f"{DEPLOYS}/web")
        status = live.get("status", {})
        pods = (await client.ok("GET", PODS))["items"]
        return (
            status.get("observedGeneration") == live["metadata"]["generation"]
            and status.get("readyReplicas", 0) == status.get("replicas", 0) == status.get("updatedReplicas", 0) == replicas
            and [pod["spec"]["containers"][0]["image"] for pod in pods] == [image] * replicas
        )

    await client.until(probe, f"{image} to be rolled out")


async def test_a_deployment_gets_replica_sets_and_pods_and_becomes_available(sandbox: Client) -> None:
    await sandbox.apply(f"{DEPLOYS}/web", deployment())
    await rolled_out(sandbox, "web:1")
    status = await status_of(sandbox, f"{DEPLOYS}/web")
    assert condition(status, "Available") == ("True", "MinimumReplicasAvailable")
    assert condition(status, "Progressing") == ("True", "NewReplicaSetAvailable")
    pods = (await sandbox.kubectl("get", "pods", "--no-headers")).out.splitlines()
    assert [line.split()[1:3] for line in pods] == [["1/1", "Running"]] * 2
    everything = (await sandbox.kubectl("get", "all", "-o", "name")).out
    assert everything.count("pod/web-") == 2
    assert everything.count("replicaset.apps/web-") == 1


async def test_a_new_image_rolls_out_and_a_rollback_brings_the_old_set_back(sandbox: Client) -> None:
    await sandbox.apply(f"{DEPLOYS}/web", deployment("web:1"))
    await rolled_out(sandbox, "web:1")
    await sandbox.apply(f"{DEPLOYS}/web", deployment("web:2"))
    await rolled_out(sandbox, "web:2")
    await sandbox.kubectl("rollout", "undo", "deploy/web")
    await rolled_out(sandbox, "web:1")
    sets = (await sandbox.ok("GET", "/apis/apps/v1/namespaces/{ns}/replicasets"))["items"]
    assert sorted(rs["spec"]["replicas"] for rs in sets) == [0, 2]


@pytest.mark.parametrize("image", ["broken.example/web:2", "web:broken", "registry.example:5000/a/web:missing"])
async def test_a_broken_image_never_becomes_ready_and_the_old_pods_stay(sandbox: Client, image: str) -> None:
    await sandbox.apply(f"{DEPLOYS}/web", deployment("web:1"))
    await rolled_out(sandbox, "web:1")
    await sandbox.apply(f"{DEPLOYS}/web", deployment(image, progressDeadlineSeconds=1))

    async def failed() -> bool:
        return condition(await status_of(sandbox, f"{DEPLOYS}/web"), "Progressing") == ("False", "ProgressDeadlineExceeded")

    await sandbox.until(failed, "the progress deadline")
    pods = (await sandbox.kubectl("get", "pods", "--no-headers")).out
    assert pods.count("ImagePullBackOff") == 2
    assert pods.count("Running") == 2
    events = (await sandbox.kubectl("get", "events", "--no-headers")).out
    assert "Failed to pull image" in events


async def test_a_lost_pod_is_replaced(sandbox: Client) -> None:
    await sandbox.apply(f"{DEPLOYS}/web", deployment())
    await rolled_out(sandbox, "web:1")
    first = (await sandbox.ok("GET", PODS))["items"][0]["metadata"]["name"]
    await sandbox.ok("DELETE", f"{PODS}/{first}")
    await rolled_out(sandbox, "web:1")
    assert first not in [pod["metadata"]["name"] for pod in (await sandbox.ok("GET", PODS))["items"]]


async def test_stateful_and_daemon_sets_and_jobs_finish(sandbox: Client) -> None:
    spec = {key: value for key, value in deployment()["spec"].items() if key != "replicas"}
    await sandbox.ok(
        "POST", "/apis/apps/v1/namespaces/{ns}/statefulsets", {"metadata": {"name": "db"}, "spec": {**spec, "replicas": 3}}
    )
    await sandbox.ok("POST", "/apis/apps/v1/namespaces/{ns}/daemonsets", {"metadata": {"name": "agent"}, "spec": spec})
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "b"}]}}
    await sandbox.ok(
        "POST", "/apis/batch/v1/namespaces/{ns}/jobs", {"metadata": {"name": "once"}, "spec": {"template": template}}
    )
    await sandbox.kubectl("rollout", "status", "statefulset/db", "--timeout=20s")
    await sandbox.kubectl("rollout", "status", "daemonset/agent", "--timeout=20s")
    await sandbox.kubectl("wait", "--for=condition=Complete", "job/once", "--timeout=20s")
    names = {pod["metadata"]["name"] for pod in (await sandbox.ok("GET", PODS))["items"]}
    assert {"db-0", "db-1", "db-2"} <= names


async def test_dependents_go_with_their_owner(sandbox: Client) -> None:
    await sandbox.apply(f"{DEPLOYS}/web", deployment())
    await rolled_out(sandbox, "web:1")
    await sandbox.kubectl("delete", "deploy", "web", "--timeout=20s")

    async def empty() -> bool:
        sets = (await sandbox.ok("GET", "/apis/apps/v1/namespaces/{ns}/replicasets"))["items"]
        return not sets and not (await sandbox.ok("GET", PODS))["items"]

    await sandbox.until(empty, "the dependents to go")


async def test_orphans_stay_and_lose_their_owner(sandbox: Client) -> None:
    await sandbox.apply(f"{DEPLOYS}/web", deployment())
    await rolled_out(sandbox, "web:1")
    await sandbox.kubectl("delete", "deploy", "web", "--cascade=orphan", "--timeout=20s")
    [kept] = (await sandbox.ok("GET", "/apis/apps/v1/namespaces/{ns}/replicasets"))["items"]
    assert "ownerReferences" not in kept["metadata"]
    assert len((await sandbox.ok("GET", PODS))["items"]) == 2


async def test_foreground_deletion_waits_for_the_dependents(sandbox: Client) -> None:
    await sandbox.apply(f"{DEPLOYS}/web", deployment(replicas=1))
    await rolled_out(sandbox, "web:1", 1)
    [pod] = (await sandbox.ok("GET", PODS))["items"]
    place = f"{PODS}/{pod['metadata']['name']}"
    await sandbox.ok("PATCH", place, {"metadata": {"finalizers": ["example.com/hold"]}}, MERGE)
    await sandbox.ok("DELETE", f"{DEPLOYS}/web", {"propagationPolicy": "Foreground"})

    async def pod_is_going() -> bool:
        return "deletionTimestamp" in (await sandbox.ok("GET", place))["metadata"]

    await sandbox.until(pod_is_going, "the pod to be deleted")
    assert "foregroundDeletion" in (await sandbox.ok("GET", f"{DEPLOYS}/web"))["metadata"]["finalizers"]
    await sandbox.ok("PATCH", place, {"metadata": {"finalizers": None}}, MERGE)

    async def gone() -> bool:
        return (await sandbox.call("GET", f"{DEPLOYS}/web")).status == 404

    await sandbox.until(gone, "the deployment to go")


async def test_a_namespace_takes_its_content_along(sandbox: Client) -> None:
    await sandbox.apply(f"{DEPLOYS}/web", deployment())
    await sandbox.ok("POST", CMS, {"metadata": {"name": "a"}})
    await sandbox.kubectl("delete", "namespace", sandbox.namespace, "--timeout=20s")
    assert (await sandbox.call("GET", "/api/v1/namespaces/{ns}")).status == 404
    assert (await sandbox.ok("GET", CMS))["items"] == []
    again = await sandbox.ok("POST", "/api/v1/namespaces", {"metadata": {"name": sandbox.namespace}})
    assert again["status"]["phase"] == "Active"


async def test_what_is_not_emulated_says_so(sandbox: Client) -> None:
    await sandbox.apply(f"{DEPLOYS}/web", deployment())
    await rolled_out(sandbox, "web:1")
    logs = await sandbox.kubectl("logs", "deploy/web", check=False)
    assert "not in the sandbox: pods/log" in logs.err
    entered = await sandbox.kubectl("exec", "deploy/web", "--", "true", check=False)
    assert "not in the sandbox: pods/exec" in entered.err
    assert (await sandbox.kubectl("auth", "can-i", "delete", "pods")).out.strip() == "yes"


async def test_only_loopback_names_and_the_token_get_in(sandbox: Client) -> None:
    assert (await sandbox.call("GET", CMS, headers={"Host": "evil.example"})).status == 421
    assert (await sandbox.call("GET", CMS, headers={"Host": "localhost"})).status == 200
    assert (await sandbox.call("GET", CMS, headers={"Authorization": "Bearer no"})).status == 401
    assert (await sandbox.call("GET", CMS, headers={"Authorization": ""})).status == 403


async def test_a_taken_port_and_a_state_in_use_are_refused_in_clear_words(tmp_path: Path) -> None:
    async with cluster.serve(tmp_path / "one", name="one", rollout_seconds=0) as server:
        with pytest.raises(RemoteError, match="in use by another process"):
            await cluster.serve(tmp_path / "one", name="one").__aenter__()
        with pytest.raises(RemoteError, match=f"cannot listen on port {server.port}"):
            await cluster.serve(tmp_path / "two", name="two", port=server.port).__aenter__()


async def test_a_watch_whose_client_left_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from penstock.sandbox.cluster import watching

    monkeypatch.setattr(watching, "BOOKMARK_SECONDS", 0.05)
    async with cluster.serve(tmp_path, name="w", rollout_seconds=0) as server, aiohttp.ClientSession() as session:
        client = Client("sandbox", server.url, server.token, server.ca_path, tmp_path / "unused", session)
        async with client.watch(CMS):
            assert len(server.watches) == 1

        async def forgotten() -> bool:
            return len(server.watches) == 0

        await client.until(forgotten, "the watch to be forgotten")


async def test_an_old_revision_is_gone_and_says_so(sandbox: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    from penstock.sandbox.cluster import store

    monkeypatch.setattr(store, "LOG_LENGTH", 20)
    made = await sandbox.ok("POST", CMS, {"metadata": {"name": "a"}})
    for number in range(60):
        await sandbox.ok("PATCH", f"{CMS}/a", {"data": {"n": str(number)}}, MERGE)
    old = made["metadata"]["resourceVersion"]
    async with sandbox.watch(CMS, resourceVersion=old) as watch:
        event = await watch.next()
    assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")
    listed = await sandbox.call("GET", CMS, resourceVersion=old, resourceVersionMatch="Exact")
    assert (listed.status, listed.body["reason"]) == (410, "Expired")


_CHILD = """
import asyncio, json, sys
from pathlib import Path
from penstock.sandbox import cluster

async def main():
    async with cluster.serve(Path(sys.argv[1]), name="child", rollout_seconds=0.2) as server:
        print(json.dumps({"url": server.url, "token": server.token, "ca": str(server.ca_path)}), flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_sigkill_loses_nothing_that_was_acknowledged_and_the_restart_is_the_same_cluster(tmp_path: Path) -> None:
    async def start() -> tuple[asyncio.subprocess.Process, dict[str, str]]:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _CHILD, str(tmp_path / "state"), stdout=asyncio.subprocess.PIPE, env={**os.environ}
        )
        assert process.stdout is not None
        return process, json.loads(await asyncio.wait_for(process.stdout.readline(), 30))

    async with aiohttp.ClientSession() as session:
        process, first = await start()
        acknowledged: dict[str, str] = {}
        enough = asyncio.Event()
        try:
            client = Client("child", first["url"], first["token"], Path(first["ca"]), tmp_path / "unused", session)

            async def writer(number: int) -> None:
                round_ = 0
                while True:
                    round_ += 1
                    body = {
                        "apiVersion": "v1",
                        "kind": "ConfigMap",
                        "metadata": {"name": f"w{number}"},
                        "data": {"n": str(round_)},
                    }
                    try:
                        answer = await client.call("PATCH", f"{CMS}/w{number}", body, APPLY, fieldManager="t", force="true")
                    except aiohttp.ClientError:
                        return
                    assert answer.status < 300
                    acknowledged[f"w{number}"] = str(round_)
                    if sum(int(value) for value in acknowledged.values()) >= 60:
                        enough.set()

            async def killer() -> None:
                await enough.wait()
                process.send_signal(signal.SIGKILL)

            async with asyncio.TaskGroup() as group:
                group.create_task(killer())
                for number in range(4):
                    group.create_task(writer(number))
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
        process, second = await start()
        try:
            assert second == first
            client = Client("child", second["url"], second["token"], Path(second["ca"]), tmp_path / "unused", session)
            stored = {item["metadata"]["name"]: int(item["data"]["n"]) for item in (await client.ok("GET", CMS))["items"]}
            for name, number in acknowledged.items():
                assert stored[name] >= int(number)
        finally:
            process.terminate()
            await process.wait()
