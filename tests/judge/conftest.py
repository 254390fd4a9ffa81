"""Real Flux controllers beside ours on one real API server: they judge whether a cluster changes hands without a trace.

Only with `make flux-judge`, which builds them first.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import socket
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from tests.contract.sync.conftest import World

from penstock import controllers
from penstock.adapters import parts
from penstock.adapters.clock import SystemClock
from penstock.adapters.kube import connect_to, local
from penstock.adapters.kube.client import HttpCluster
from penstock.controllers.manager import Manager, Options
from penstock.model import flux

Manifest = dict[str, Any]
SECONDS = 120
"""The controllers start slowly on a busy machine."""

if not os.environ.get("PENSTOCK_JUDGE"):
    collect_ignore_glob = ["test_*.py"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Judge:
    """A cluster whose Kustomization is reconciled by one or the other."""

    def __init__(self, world: World, server: local.LocalApiServer, folder: Path) -> None:
        self.world = world
        self.server = server
        self.folder = folder
        self._tokens = itertools.count()
        self._kubeconfig = folder / "kubeconfig"
        self._kubeconfig.write_text(yaml.safe_dump(server.kubeconfig()))

    @contextlib.asynccontextmanager
    async def real(self, name: str, *flags: str) -> AsyncIterator[None]:
        """One real controller of Flux's, until the end of the block."""
        program = parts.find(name)
        assert program is not None, f"no {name}: make flux-judge builds it"
        health = free_port()
        log = self.folder / f"{name}.log"
        environment = {**os.environ, "KUBECONFIG": str(self._kubeconfig), "RUNTIME_NAMESPACE": "flux-system"}
        with log.open("ab") as sink:
            process = await asyncio.create_subprocess_exec(
                str(program),
                "--metrics-addr=0",
                f"--health-addr=127.0.0.1:{health}",
                "--watch-all-namespaces",
                "--log-level=info",
                *flags,
                env=environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
            )
        try:
            await self._until_ready(process, health, log)
            yield
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
                try:
                    await asyncio.wait_for(process.wait(), 30)
                except TimeoutError:
                    process.kill()
                    await process.wait()

    async def _until_ready(self, process: asyncio.subprocess.Process, port: int, log: Path) -> None:
        async with aiohttp.ClientSession() as session, asyncio.timeout(SECONDS):
            while True:
                assert process.returncode is None, log.read_text()[-3000:]
                with contextlib.suppress(aiohttp.ClientError, OSError):
                    async with session.get(f"http://127.0.0.1:{port}/readyz") as answer:
                        if answer.status == 200:
                            return
                await asyncio.sleep(0.1)

    @contextlib.asynccontextmanager
    async def penstock(self, *, sources: bool = False, selector: str = "") -> AsyncIterator[Manager]:
        """Our controllers, until the end of the block. Without `sources` they read what another serves."""
        manager = Manager(
            self.world.cluster,
            repositories=self.world.repositories,
            clock=SystemClock(),
            options=Options(sources=sources, label_selector=selector, artifacts=self.folder / "artifacts"),
        )
        running = asyncio.create_task(manager.run())
        try:
            async with asyncio.timeout(SECONDS):
                await manager.ready.wait()
            yield manager
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running

    async def reconciled(self, name: str = "app", kind: str = flux.KUSTOMIZATION) -> Manifest:
        """Ask for a pass and wait for it; the status it left."""
        token = f"judge-{next(self._tokens)}"
        group = flux.KUSTOMIZE_GROUP if kind == flux.KUSTOMIZATION else flux.SOURCE_GROUP
        await self.world.patch(kind, name, {"metadata": {"annotations": {flux.REQUESTED_AT: token}}}, group=group)

        async def handled() -> bool:
            status = await self.world.status(name, kind)
            return status.get("lastHandledReconcileAt") == token and (await self._ready(name, kind))

        await self.world.until(handled, f"{name} reconciled", SECONDS)
        return await self.world.status(name, kind)

    async def _ready(self, name: str, kind: str) -> bool:
        found = await self.world.ready(name, kind)
        return found is not None and found.status == "True"

    async def objects(self) -> dict[str, Manifest]:
        """Every object of the inventory as the server has it, managedFields and all."""
        found = {}
        for entry in (await self.world.status())["inventory"]["entries"]:
            namespace, rest = entry["id"].split("_", 1)
            name, group, kind = rest.rsplit("_", 2)
            resource = await self.world.cluster.resource(group, kind, entry["v"])
            assert resource is not None, entry
            manifest = await self.world.cluster.get(resource, namespace, name.replace("__", ":"))
            assert manifest is not None, entry
            found[entry["id"]] = manifest
        return found

    async def events(self) -> list[str]:
        """What was told of applying, by whom."""
        resource = await self.world.cluster.resource("", "Event", "v1")
        assert resource is not None
        listed = await self.world.cluster.list(resource, self.world.namespace)
        return [
            f"{item['source'].get('component')}: {item['message']}"
            for item in listed.items
            if item["involvedObject"]["kind"] == flux.KUSTOMIZATION
            and any(word in item["message"] for word in (" created", " configured", " deleted"))
        ]


@contextlib.asynccontextmanager
async def git_over_http(folder: Path) -> AsyncIterator[str]:
    """git's own HTTP backend in front of one repository; the URL to clone."""
    from aiohttp import web

    async def handle(request: web.Request) -> web.Response:
        body = await request.read()
        environment = {
            **os.environ,
            "GIT_PROJECT_ROOT": str(folder.parent),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": request.path,
            "QUERY_STRING": request.query_string,
            "REQUEST_METHOD": request.method,
            "CONTENT_TYPE": request.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": request.headers.get("Content-Encoding", ""),
            "HTTP_GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
            "CONTENT_LENGTH": str(len(body)),
        }
        process = await asyncio.create_subprocess_exec(
            "git", "http-backend", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, env=environment
        )
        answer, _ = await process.communicate(body)
        head, _, content = answer.partition(b"\r\n\r\n")
        fields = dict(line.decode().split(": ", 1) for line in head.split(b"\r\n") if line)
        status = int(fields.pop("Status", "200").split()[0])
        return web.Response(status=status, body=content, headers=fields)

    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None, auto_decompress=False)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/{folder.name}/.git"
    finally:
        await runner.cleanup()


def flux_definitions() -> list[Manifest]:
    """The CRDs as Flux ships them."""
    folder = parts.cache_folder() / f"flux-crds-{parts.VERSIONS['kustomize-controller']}"
    return [yaml.safe_load(path.read_text()) for path in sorted(folder.glob("*.yaml"))]


async def install_flux_definitions(cluster: HttpCluster) -> None:
    resource = await cluster.resource("apiextensions.k8s.io", "CustomResourceDefinition")
    assert resource is not None
    for manifest in flux_definitions():
        await cluster.apply(resource, manifest, field_manager="flux")
    cluster.forget_kinds()


@pytest.fixture
async def judge(real_apiserver: local.LocalApiServer, tmp_path: Path) -> AsyncIterator[Judge]:
    async with connect_to(real_apiserver.url, token=real_apiserver.token, ca_path=real_apiserver.ca_path, name="real") as cluster:
        await controllers.install(cluster)
        await install_flux_definitions(cluster)
        world = World(cluster, tmp_path / "world")
        await world.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": world.namespace}})
        try:
            yield Judge(world, real_apiserver, tmp_path)
        finally:
            await world.kill()


@contextlib.asynccontextmanager
async def served(judge: Judge, files: Mapping[str, str | None]) -> AsyncIterator[str]:
    """A source of ours with these files, and a Kustomization on it that nobody reconciles yet; the revision."""
    commit = judge.world.repo.commit(files)
    await judge.world.apply(
        {
            "apiVersion": "source.toolkit.fluxcd.io/v1",
            "kind": "GitRepository",
            "metadata": {"name": "fleet", "namespace": judge.world.namespace, "labels": {"reads": judge.world.namespace}},
            "spec": {"url": judge.world.url, "interval": "10m", "ref": {"branch": "main"}},
        }
    )
    await judge.world.kustomization(timeout="60s")
    async with judge.penstock(sources=True, selector=f"reads={judge.world.namespace}"):
        yield f"main@sha1:{commit}"
