"""One suite for syncing, two clusters: the sandbox and a real kube-apiserver. Git is real; nothing is mocked."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import os
import secrets
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from penstock import controllers
from penstock.adapters import git
from penstock.adapters.clock import SystemClock
from penstock.adapters.kube import connect_to
from penstock.adapters.kube.client import HttpCluster
from penstock.controllers.manager import Manager, Options
from penstock.model import condition as conditions
from penstock.model import flux

Manifest = dict[str, Any]


class LocalRepositories:
    """Real mirrors of a repository on this disk, under an address that a GitRepository may have."""

    def __init__(self, folder: Path, paths: Mapping[str, Path]) -> None:
        self._folder = folder
        self.paths = dict(paths)
        self._known: dict[str, git.Mirror] = {}

    def get(self, url: str, secret: Mapping[str, bytes], **more: object) -> git.Mirror:
        if url not in self._known:
            self._known[url] = git.Mirror(str(self.paths[url]), self._folder / f"{len(self._known)}", allow_local=True)
        return self._known[url]


class Checkout:
    """A developer's clone whose commits are at once the remote's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self._git("init", "-q", "-b", "main")

    def commit(self, files: Mapping[str, str | None], message: str = "change") -> str:
        """Write (None: delete) files, commit; the commit id."""
        for path, content in files.items():
            target = self.folder / path
            if content is None:
                target.unlink()
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(content)
        self._git("add", "-A")
        self._git("commit", "-q", "--allow-empty", "-m", message)
        return self._git("rev-parse", "HEAD").strip()

    def tag(self, name: str) -> None:
        self._git("tag", name)

    def _git(self, *arguments: str) -> str:
        who = {"NAME": "dev", "EMAIL": "dev@example.com"}
        environment = {
            **os.environ,
            **{f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in who.items()},
            "GIT_CONFIG_GLOBAL": "/dev/null",
        }
        return subprocess.run(
            ["git", *arguments], cwd=self.folder, env=environment, check=True, capture_output=True, text=True
        ).stdout


class World:
    """A cluster, a repository, and the controllers between them, in a namespace of this test's own."""

    def __init__(self, cluster: HttpCluster, folder: Path) -> None:
        self.cluster = cluster
        self.folder = folder
        self.namespace = f"t-{secrets.token_hex(4)}"
        self.url = f"http://git.test/{self.namespace}.git"
        self.repo = Checkout(folder / "work")
        self.repositories = LocalRepositories(folder / "mirrors", {self.url: self.repo.folder})
        self.manager: Manager | None = None
        self.options: dict[str, Any] = {}
        self._running: asyncio.Task[None] | None = None
        self._cluster_scoped: list[tuple[str, str, str]] = []
        self._names = itertools.count()

    # the controllers

    async def start(self, seconds: float = 60) -> None:
        """Start the manager and wait until it works."""
        self.manager = Manager(
            self.cluster,
            repositories=self.repositories,
            clock=SystemClock(),
            options=Options(namespace=self.namespace, artifacts=self.folder / "artifacts", **self.options),
        )
        self._running = asyncio.create_task(self.manager.run())
        ready = asyncio.create_task(self.manager.ready.wait())
        await asyncio.wait({ready, self._running}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if self._running.done():
            self._running.result()
        assert self.manager.ready.is_set()

    async def kill(self) -> None:
        """Stop the manager where it stands, as a crash would as far as the cluster can tell."""
        if self._running is not None:
            self._running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._running
            self._running = self.manager = None

    # objects

    async def apply(self, manifest: Manifest, *, manager: str = "test") -> Manifest:
        group, _, version = manifest["apiVersion"].rpartition("/")
        resource = await self.cluster.resource(group, manifest["kind"], version)
        assert resource is not None, manifest["kind"]
        return await self.cluster.apply(resource, manifest, field_manager=manager)

    async def get(self, kind: str, name: str, *, group: str = "", namespace: str | None = None) -> Manifest | None:
        resource = await self.cluster.resource(group, kind)
        if resource is None:
            return None
        wanted = (self.namespace if namespace is None else namespace) if resource.namespaced else ""
        return await self.cluster.get(resource, wanted, name)

    async def patch(self, kind: str, name: str, body: Any, *, group: str = "", manager: str = "", **options: Any) -> Manifest:
        resource = await self.cluster.resource(group, kind)
        assert resource is not None
        namespace = self.namespace if resource.namespaced else ""
        found = await self.cluster.patch(
            resource, namespace, name, body, kind=options.pop("patch", "merge"), field_manager=manager, **options
        )
        assert found is not None
        return found

    async def delete(self, kind: str, name: str, *, group: str = "") -> bool:
        resource = await self.cluster.resource(group, kind)
        assert resource is not None
        return await self.cluster.delete(resource, self.namespace if resource.namespaced else "", name)

    async def source(self, name: str = "fleet", **spec: Any) -> None:
        await self.apply(
            {
                "apiVersion": "source.toolkit.fluxcd.io/v1",
                "kind": "GitRepository",
                "metadata": {"name": name, "namespace": self.namespace},
                "spec": {"url": self.url, "interval": "10m", "ref": {"branch": "main"}, **spec},
            }
        )

    async def kustomization(self, name: str = "app", *, annotations: Mapping[str, str] | None = None, **spec: Any) -> None:
        metadata: dict[str, Any] = {"name": name, "namespace": self.namespace}
        if annotations:
            metadata["annotations"] = dict(annotations)
        await self.apply(
            {
                "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
                "kind": "Kustomization",
                "metadata": metadata,
                "spec": {
                    "interval": "10m",
                    "retryInterval": "1s",
                    "timeout": "20s",
                    "prune": True,
                    "path": "./",
                    "sourceRef": {"kind": "GitRepository", "name": "fleet"},
                    **spec,
                },
            }
        )

    def another(self, name: str) -> tuple[Checkout, str]:
        """A second repository, and its URL."""
        checkout, url = Checkout(self.folder / name), f"http://git.test/{self.namespace}-{name}.git"
        self.repositories.paths[url] = checkout.folder
        return checkout, url

    async def secret(self, name: str, **data: bytes | str) -> None:
        """A Secret; keys with a dot are written with two underscores."""
        content = {
            key.replace("__", "."): base64.b64encode(value.encode() if isinstance(value, str) else value).decode()
            for key, value in data.items()
        }
        metadata = {"name": name, "namespace": self.namespace}
        await self.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": content})

    async def until_source(
        self, holds: Callable[[Manifest, conditions.Conditions], Any], what: str, name: str = "fleet"
    ) -> Manifest:
        """Wait until a GitRepository's status is as it should be; the status."""
        status: Manifest = {}

        async def look() -> bool:
            nonlocal status
            status = await self.status(name, flux.GIT_REPOSITORY)
            return bool(holds(status, conditions.parse(status.get("conditions"))))

        await self.until(look, what)
        return status

    async def events(self, reason: str) -> list[Manifest]:
        """The events of this namespace with a reason."""
        resource = await self.cluster.resource("", "Event", "v1")
        assert resource is not None
        return [each for each in (await self.cluster.list(resource, self.namespace)).items if each["reason"] == reason]

    def push(self, files: Mapping[str, str | None], message: str = "change") -> str:
        """Commit, and tell the manager as a webhook would; the revision."""
        commit = self.repo.commit(files, message)
        if self.manager is not None:
            self.manager.poke(self.url)
        return f"main@sha1:{commit}"

    # what is seen

    async def status(self, name: str = "app", kind: str = flux.KUSTOMIZATION) -> Manifest:
        group = flux.KUSTOMIZE_GROUP if kind == flux.KUSTOMIZATION else flux.SOURCE_GROUP
        found = await self.get(kind, name, group=group)
        return (found or {}).get("status") or {}

    async def ready(self, name: str = "app", kind: str = flux.KUSTOMIZATION) -> conditions.Condition | None:
        return conditions.parse((await self.status(name, kind)).get("conditions")).get("Ready")

    async def until_applied(self, revision: str, name: str = "app", seconds: float = 60) -> Manifest:
        async def look() -> bool:
            status = await self.status(name)
            ready = conditions.parse(status.get("conditions")).get("Ready")
            return status.get("lastAppliedRevision") == revision and ready is not None and ready.status == "True"

        await self.until(look, f"{name} applied {revision}", seconds)
        return await self.status(name)

    async def until_failed(self, reason: str, name: str = "app", seconds: float = 60) -> str:
        found = ""

        async def look() -> bool:
            nonlocal found
            ready = await self.ready(name)
            found = ready.message if ready is not None else ""
            return ready is not None and ready.status == "False" and ready.reason == reason

        await self.until(look, f"{name} failed with {reason}", seconds)
        return found

    async def until(self, holds: Callable[[], Awaitable[Any]], what: str, seconds: float = 60) -> Any:
        """Wait for a condition, with a deadline; the failure shows the Kustomizations' statuses."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while not (found := await holds()):
            if loop.time() > deadline:
                raise AssertionError(f"not within {seconds} s: {what}\n{await self._statuses()}")
            await asyncio.sleep(0.05)
        return found

    async def gone(self, kind: str, name: str, *, group: str = "") -> None:
        async def look() -> bool:
            return await self.get(kind, name, group=group) is None

        await self.until(look, f"{kind} {name} gone")

    async def there(self, kind: str, name: str, *, group: str = "") -> Manifest:
        async def look() -> Manifest | None:
            return await self.get(kind, name, group=group)

        found: Manifest = await self.until(look, f"{kind} {name} there")
        return found

    async def synced(self, files: Mapping[str, str | None], **spec: Any) -> str:
        """Commit, create source and Kustomization, start, wait: the usual beginning; the revision."""
        commit = self.repo.commit(files)
        await self.source()
        await self.kustomization(**spec)
        await self.start()
        revision = f"main@sha1:{commit}"
        await self.until_applied(revision)
        return revision

    async def settled(self) -> None:
        """Wait until every pass that is under way has ended."""
        assert self.manager is not None

        async def idle() -> bool:
            assert self.manager is not None
            return not self.manager.busy

        await self.until(idle, "all passes ended")

    async def _statuses(self) -> str:
        lines = []
        for group, kind in ((flux.SOURCE_GROUP, flux.GIT_REPOSITORY), (flux.KUSTOMIZE_GROUP, flux.KUSTOMIZATION)):
            resource = await self.cluster.resource(group, kind)
            assert resource is not None
            for item in (await self.cluster.list(resource, self.namespace)).items:
                lines.append(f"{kind}/{item['metadata']['name']}")
                lines += [f"  {each.type}={each.status} {each.reason}: {each.message}" for each in conditions.of(item)]
        return "\n".join(lines)


def config_map(name: str, namespace: str, data: str = "1", extra: str = "") -> str:
    """A ConfigMap's YAML."""
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n  namespace: {namespace}\n{extra}data:\n  k: '{data}'\n"


@pytest.fixture(params=["sandbox", pytest.param("real", marks=pytest.mark.real)])
async def cluster(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[HttpCluster]:
    """Either cluster, with the CRDs."""
    async with contextlib.AsyncExitStack() as stack:
        if request.param == "real":
            server = request.getfixturevalue("real_apiserver")
        else:
            from penstock.sandbox import cluster as sandbox

            server = await stack.enter_async_context(sandbox.serve(tmp_path / "cluster", name="test", rollout_seconds=0.05))
        found = await stack.enter_async_context(
            connect_to(server.url, token=server.token, ca_path=server.ca_path, name=request.param)
        )
        await controllers.install(found)
        yield found


@pytest.fixture
async def world(cluster: HttpCluster, tmp_path: Path) -> AsyncIterator[World]:
    """A test's own namespace, repository and controllers (not started)."""
    made = World(cluster, tmp_path)
    await made.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": made.namespace}})
    try:
        yield made
    finally:
        await made.kill()


@pytest.fixture
def namespaced(world: World) -> Iterator[Callable[..., str]]:
    """ConfigMaps in the test's namespace."""

    def make(name: str, data: str = "1", extra: str = "") -> str:
        return config_map(name, world.namespace, data, extra)

    yield make
