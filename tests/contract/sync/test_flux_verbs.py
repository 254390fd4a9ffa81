"""The verbs of one cluster, run as people run them, against both clusters and the real controllers."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import socket
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from penstock.model import flux

PATIENCE_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a command left."""

    code: int
    out: str
    err: str


class Penstock:
    """`penstock` in a process of its own, on the cluster of a world."""

    def __init__(self, world: Any, folder: Path) -> None:
        self.world = world
        self.folder = folder
        access = world.cluster.access
        self.kubeconfig = folder / "kubeconfig"
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "clusters": [
                {
                    "name": "here",
                    "cluster": {
                        "server": access.server,
                        "certificate-authority-data": base64.b64encode(access.ca).decode(),
                    },
                }
            ],
            "users": [{"name": "me", "user": {"token": access.token}}],
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
        }
        self.kubeconfig.write_text(json.dumps(content))

    async def start(self, *arguments: str, where: tuple[str, ...] | None = None) -> asyncio.subprocess.Process:
        place = where if where is not None else ("--kubeconfig", str(self.kubeconfig), "-n", self.world.namespace)
        return await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "penstock", *arguments, *place),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=self.folder,
        )

    async def __call__(self, *arguments: str, where: tuple[str, ...] | None = None) -> Done:
        process = await self.start(*arguments, where=where)
        async with asyncio.timeout(PATIENCE_SECONDS):
            out, err = await process.communicate()
        assert process.returncode is not None
        return Done(code=process.returncode, out=out.decode(), err=err.decode())


@pytest.fixture
def penstock(world: Any, tmp_path: Path) -> Penstock:
    return Penstock(world, tmp_path)


def _short(revision: str) -> str:
    return revision[: len("main@sha1:") + 8]


async def test_get_shows_what_flux_shows(world, penstock, namespaced):
    revision = await world.synced({"a.yaml": namespaced("a")})
    done = await penstock("get", "ks")
    assert (done.code, done.err) == (0, "")
    assert [line.split() for line in done.out.splitlines()] == [
        ["NAME", "REVISION", "SUSPENDED", "READY", "MESSAGE"],
        ["app", _short(revision), "False", "True", "Applied", "revision:", _short(revision)],
    ]
    everything = await penstock("get", "all", "-A")
    told = [line.split()[:3] for line in everything.out.splitlines()]
    assert [world.namespace, "gitrepository/fleet", _short(revision)] in told
    assert [world.namespace, "kustomization/app", _short(revision)] in told
    (row,) = json.loads((await penstock("get", "sources", "git", "-o", "json")).out)
    assert (row["name"], row["revision"], row["ready"], row["suspended"]) == ("fleet", revision, "True", False)


async def test_get_selects_by_readiness_and_says_which_name_is_not_there(world, penstock, namespaced):
    await world.synced({"a.yaml": namespaced("a")})
    await world.kustomization("broken", path="./nowhere")
    await world.until_failed(flux.ARTIFACT_FAILED, "broken")
    failing = await penstock("get", "ks", "--status-selector", "ready=false", "--no-header")
    assert [line.split()[0] for line in failing.out.splitlines()] == ["broken"]
    absent = await penstock("get", "ks", "ap")
    assert absent.code == 1
    assert f"Kustomization object 'ap' not found in {world.namespace} namespace\n  hint: did you mean app?" in absent.err


async def test_reconcile_with_source_fetches_and_applies_what_nobody_announced(world, penstock, namespaced):
    await world.synced({"a.yaml": namespaced("a")})
    revision = "main@sha1:" + world.repo.commit({"a.yaml": namespaced("a", "2")})
    done = await penstock("reconcile", "kustomization", "app", "--with-source")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [
        f">  annotating GitRepository fleet in {world.namespace} namespace",
        "ok GitRepository annotated",
        ".. waiting for GitRepository reconciliation",
        f"ok fetched revision {revision}",
        f">  annotating Kustomization app in {world.namespace} namespace",
        "ok Kustomization annotated",
        ".. waiting for Kustomization reconciliation",
        f"ok applied revision {revision}",
    ]
    assert (await world.get("ConfigMap", "a"))["data"] == {"k": "2"}


async def test_reconcile_says_why_it_failed_and_exits_with_1(world, penstock, namespaced):
    await world.synced({"a.yaml": namespaced("a")})
    world.repo.commit({"a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: [\n"})
    done = await penstock("reconcile", "ks", "app", "--with-source")
    assert done.code == 1
    assert "Kustomization app reconciliation failed (BuildFailed)" in done.err
    assert "a.yaml:" in done.err


async def test_reconcile_gives_up_when_nobody_reconciles_and_says_what_it_saw(world, penstock, namespaced):
    await world.synced({"a.yaml": namespaced("a")})
    await world.kill()
    done = await penstock("reconcile", "ks", "app", "--timeout", "500ms")
    assert done.code == 1
    assert f"timed out after 0.5 s waiting for Kustomization app in {world.namespace} namespace" in done.err


async def test_a_dependency_that_is_not_ready_is_waited_for_and_told_at_the_end(world, penstock, namespaced):
    await world.synced({"a.yaml": namespaced("a")})
    await world.kustomization("second", dependsOn=[{"name": "absent"}])
    await world.until_failed(flux.DEPENDENCY_NOT_READY, "second")
    done = await penstock("reconcile", "ks", "second", "--timeout", "1s")
    assert done.code == 1
    assert "timed out after 1 s" in done.err
    assert "Ready is False (DependencyNotReady)" in done.err


async def test_an_object_that_is_deleted_ends_the_wait(world, penstock, namespaced):
    await world.synced({"a.yaml": namespaced("a")})
    await world.kill()
    process = await penstock.start("reconcile", "ks", "app")
    await _waits(process)
    await world.patch(flux.KUSTOMIZATION, "app", {"metadata": {"finalizers": None}}, group=flux.KUSTOMIZE_GROUP)
    await world.delete(flux.KUSTOMIZATION, "app", group=flux.KUSTOMIZE_GROUP)
    async with asyncio.timeout(PATIENCE_SECONDS):
        _, err = await process.communicate()
    assert process.returncode == 1
    assert b"was deleted meanwhile" in err


async def test_a_lost_connection_is_no_answer_but_one_that_comes_back_loses_nothing(world, penstock, namespaced):
    revision = await world.synced({"a.yaml": namespaced("a")})
    await world.kill()
    async with Relay(penstock) as relay:
        process = await penstock.start("reconcile", "ks", "app")
        told = await _waits(process)
        await relay.cut()
        await world.start()

        async def handled():
            status = await world.status()
            found = await world.get(flux.KUSTOMIZATION, "app", group=flux.KUSTOMIZE_GROUP)
            return status.get("lastHandledReconcileAt") == found["metadata"]["annotations"][flux.REQUESTED_AT]

        await world.until(handled, "the request is handled while nobody sees it")
        await relay.listen()
        async with asyncio.timeout(PATIENCE_SECONDS):
            out, err = await process.communicate()
        assert (process.returncode, err) == (0, b"")
        assert told == ".. waiting for Kustomization reconciliation\n"
        assert out.decode().splitlines()[-1] == f"ok applied revision {revision}"

        await world.kill()
        process = await penstock.start("reconcile", "ks", "app", "--timeout", "2s")
        told = await _waits(process)
        await relay.cut()
        async with asyncio.timeout(PATIENCE_SECONDS):
            _, err = await process.communicate()
        assert process.returncode == 3
        assert b"cannot reach" in err


async def _waits(process: asyncio.subprocess.Process) -> str:
    """Read what a command tells until it says that it waits; that line."""
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE_SECONDS):
        while line := (await process.stdout.readline()).decode():
            if line.startswith(".."):
                return line
    raise AssertionError("it ended without waiting")


class Relay:
    """A way to the cluster that can be cut: bytes pass, TLS stays between the two ends."""

    def __init__(self, penstock: Penstock) -> None:
        self._penstock = penstock
        self._target = urlsplit(penstock.world.cluster.access.server)
        self._server: asyncio.Server | None = None
        self._port = 0
        self._open: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Relay:
        await self.listen()
        config = json.loads(self._penstock.kubeconfig.read_text())
        config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{self._port}"
        self._penstock.kubeconfig.write_text(json.dumps(config))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.cut()

    async def listen(self) -> None:
        self._server = await asyncio.start_server(self._pass, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """Break every connection and take no more."""
        if self._server is None:
            return
        self._server.close()
        for writer in self._open:
            writer.transport.abort()
        await self._server.wait_closed()
        self._server = None

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(self._target.hostname, self._target.port)
        self._open |= {writer, back}
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._copy(reader, back))
                group.create_task(self._copy(there, writer))
        finally:
            self._open -= {writer, back}

    async def _copy(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while content := await source.read(65536):
                target.write(content)
                await target.drain()
        target.close()


async def test_a_suspension_keeps_who_why_and_until_when_and_resume_takes_them_away(world, penstock, namespaced):
    await world.synced({"a.yaml": namespaced("a")})
    before = datetime.now(UTC)
    done = await penstock("suspend", "ks", "app", "--reason", "load test", "--until", "2h", "--by", "dana")
    assert done.out.splitlines() == [
        f">  suspending kustomization app in {world.namespace} namespace",
        "ok kustomization suspended",
    ]
    found = await world.get(flux.KUSTOMIZATION, "app", group=flux.KUSTOMIZE_GROUP)
    marks = found["metadata"]["annotations"]
    assert found["spec"]["suspend"] is True
    assert (marks["penstock.dev/suspend-reason"], marks["penstock.dev/suspend-by"]) == ("load test", "dana")
    until = datetime.fromisoformat(marks["penstock.dev/suspend-until"])
    assert timedelta(hours=1, minutes=59) < until - before < timedelta(hours=2, minutes=1)

    shown = (await penstock("get", "ks", "app", "--no-header")).out
    assert "  True  True  suspended by dana until " in shown
    refused = await penstock("reconcile", "ks", "app")
    assert refused.code == 1
    assert "suspended by dana" in refused.err
    assert "load test" in refused.err

    revision = world.push({"a.yaml": namespaced("a", "2")})

    async def fetched():
        return (await world.status("fleet", flux.GIT_REPOSITORY))["artifact"]["revision"] == revision

    await world.until(fetched, "the source has it")
    assert (await world.get("ConfigMap", "a"))["data"] == {"k": "1"}
    resumed = await penstock("resume", "ks", "app")
    assert (resumed.code, resumed.err) == (0, "")
    assert resumed.out.splitlines()[-1] == f"ok applied revision {revision}"
    assert (await world.get("ConfigMap", "a"))["data"] == {"k": "2"}
    left = (await world.get(flux.KUSTOMIZATION, "app", group=flux.KUSTOMIZE_GROUP))["metadata"].get("annotations") or {}
    assert not [mark for mark in left if mark.startswith("penstock.dev/suspend")]


async def test_one_absent_name_does_not_spare_the_others(world, penstock, namespaced):
    await world.synced({"a.yaml": namespaced("a")})
    done = await penstock("suspend", "ks", "nothing", "app")
    assert done.code == 1
    assert "Kustomization object 'nothing' not found" in done.err
    assert (await world.get(flux.KUSTOMIZATION, "app", group=flux.KUSTOMIZE_GROUP))["spec"]["suspend"] is True
    totals = {total["kind"]: total for total in json.loads((await penstock("stats", "-o", "json")).out)}
    assert (totals["Kustomization"]["running"], totals["Kustomization"]["suspended"]) == (1, 1)
    assert (totals["GitRepository"]["suspended"], totals["GitRepository"]["storage_bytes"] > 0) == (0, True)
    assert (await penstock("resume", "ks", "--all", "--no-wait")).code == 0
    assert (await penstock("resume", "ks", "--all")).code == 1, "nothing is suspended any more"


async def test_events_of_a_kustomization_and_its_source_then_those_that_come(world, penstock, namespaced):
    await world.synced({"a.yaml": namespaced("a")})

    async def told():
        return "ReconciliationSucceeded" in (await penstock("events", "--for", "Kustomization/app")).out

    await world.until(told, "the event is there")
    listed = (await penstock("events", "--for", "Kustomization/app")).out
    assert listed.splitlines()[0].split() == ["LAST", "SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"]
    assert "Kustomization/app" in listed
    assert "GitRepository/fleet" in listed
    assert "ReconciliationSucceeded" not in (await penstock("events", "--types", "warning")).out

    process = await penstock.start("events", "--watch", "--for", "ks/app", "--types", "Warning")
    assert process.stdout is not None
    try:
        world.push({"a.yaml": "kind: [\n"})
        async with asyncio.timeout(PATIENCE_SECONDS):
            lines = [(await process.stdout.readline()).decode() for _ in range(2)]
    finally:
        process.kill()
        await process.communicate()
    assert lines[0].startswith("LAST SEEN")
    assert "Warning  BuildFailed  Kustomization/app" in lines[1]


async def test_tree_follows_kustomizations_into_what_they_brought(world, penstock, namespaced):
    child = {
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": {"name": "child", "namespace": world.namespace},
        "spec": {
            "interval": "10m",
            "prune": True,
            "path": "./child",
            "sourceRef": {"kind": "GitRepository", "name": "fleet"},
        },
    }
    revision = await world.synced(
        {"top/child.yaml": yaml.safe_dump(child), "top/a.yaml": namespaced("a"), "child/b.yaml": namespaced("b")}, path="./top"
    )
    await world.until_applied(revision, "child")
    space = world.namespace
    done = await penstock("tree", "ks", "app")
    assert done.out.splitlines() == [
        f"Kustomization/{space}/app",
        f"|-- ConfigMap/{space}/a",
        f"`-- Kustomization/{space}/child",
        f"    `-- ConfigMap/{space}/b",
    ]
    compact = await penstock("tree", "ks", "app", "--compact")
    assert compact.out.splitlines() == [f"Kustomization/{space}/app", f"`-- Kustomization/{space}/child"]


async def test_what_is_exported_can_be_applied_and_changes_nothing(world, penstock, namespaced):
    await world.synced({"a.yaml": namespaced("a")})
    assert (await penstock("reconcile", "ks", "app")).code == 0
    before = await world.get(flux.KUSTOMIZATION, "app", group=flux.KUSTOMIZE_GROUP)
    done = await penstock("export", "all", "--all")
    assert done.code == 0
    documents = list(yaml.safe_load_all(done.out))
    assert [document["kind"] for document in documents] == ["GitRepository", "Kustomization"]
    assert set(documents[1]) == {"apiVersion", "kind", "metadata", "spec"}
    assert documents[1]["metadata"] == {"name": "app", "namespace": world.namespace}
    for document in documents:
        await world.apply(document)
    after = await world.get(flux.KUSTOMIZATION, "app", group=flux.KUSTOMIZE_GROUP)
    assert after["metadata"]["generation"] == before["metadata"]["generation"]


async def test_an_environment_names_its_cluster_through_the_fleet_file(world, penstock, namespaced):
    await world.synced({"a.yaml": namespaced("a")})
    fleet = {
        "apiVersion": "penstock.dev/v1alpha1",
        "kind": "Fleet",
        "repository": {"url": "https://git.test/fleet.git"},
        "forge": {"kind": "gitea", "url": "https://git.test", "repository": "a/b", "tokenFile": "token"},
        "clusters": [{"environment": "dev", "kubeconfig": "kubeconfig", "context": "here"}],
    }
    (penstock.folder / "fleet.yaml").write_text(yaml.safe_dump(fleet))
    done = await penstock("get", "ks", "app", where=("--env", "dev", "-n", world.namespace))
    assert done.code == 0, done.err
    assert done.out.splitlines()[1].startswith("app ")
    unknown = await penstock("get", "ks", where=("--env", "prod"))
    assert unknown.code == 1
    assert "no environment 'prod'\n  hint: known: dev" in unknown.err


async def test_a_cluster_that_is_not_there_is_another_exit_code_than_an_object_that_is_not_ready(world, penstock):
    config = json.loads(penstock.kubeconfig.read_text())
    with socket.socket() as taken:
        # bound and never listening: nobody else gets the port, and nobody answers on it
        taken.bind(("127.0.0.1", 0))
        config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{taken.getsockname()[1]}"
        penstock.kubeconfig.write_text(json.dumps(config))
        for verb in (("get", "ks"), ("reconcile", "ks", "app"), ("suspend", "ks", "app"), ("stats",)):
            done = await penstock(*verb)
            assert (done.code, done.out) == (3, ""), verb
            assert "cannot reach https://127.0.0.1:" in done.err
            assert config["users"][0]["user"]["token"] not in done.err


async def test_a_cluster_without_flux_kinds_says_what_to_install(penstock, world):
    for name in ("kustomizations.kustomize.toolkit.fluxcd.io",):
        resource = await world.cluster.resource("apiextensions.k8s.io", "CustomResourceDefinition")
        if world.cluster.name == "real":
            pytest.skip("the real server is shared: its definitions stay")
        await world.cluster.delete(resource, "", name)
    world.cluster.forget_kinds()
    done = await penstock("get", "ks")
    assert done.code == 1
    assert "does not know the kind Kustomization" in done.err
    assert "hint: penstock install" in done.err
