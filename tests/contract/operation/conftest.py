"""Real processes of `penstock run` on a real API server, with a repository served over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import secrets
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from penstock import controllers
from penstock.adapters.kube import connect_to
from penstock.adapters.kube.client import HttpCluster
from penstock.adapters.kube.local import LocalApiServer
from penstock.model import condition as conditions
from penstock.sandbox import forge

Manifest = dict[str, Any]


class Process:
    """One `penstock run`, as the identity `user`; its log in a file."""

    def __init__(self, folder: Path, name: str, arguments: list[str], environment: Mapping[str, str]) -> None:
        self.log = folder / f"{name}.log"
        with self.log.open("wb") as log:
            self.popen = subprocess.Popen(
                [sys.executable, "-m", "penstock", "run", "--log-encoding", "json", *arguments],
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def lines(self) -> list[dict[str, Any]]:
        """The JSON lines of the log."""
        return [json.loads(line) for line in self.text().splitlines() if line.startswith("{")]

    def url(self, name: str) -> str:
        """The base URL of 'metrics' or 'health', once it says so; '' before."""
        found = re.search(rf"{name} at (http://\S+?)[,;]", self.text())
        return found[1] if found else ""

    def stop(self) -> int:
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGCONT)
            self.popen.terminate()
        try:
            return self.popen.wait(40)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            return self.popen.wait(10)


class Place:
    """A namespace of a real API server, a repository, and processes that sync it."""

    def __init__(self, cluster: HttpCluster, server: LocalApiServer, folder: Path, git: forge.Server) -> None:
        self.cluster = cluster
        self.server = server
        self.folder = folder
        self.namespace = f"t-{secrets.token_hex(4)}"
        self.git = git
        self.work = folder / "work"
        self.processes: list[Process] = []

    def start(self, name: str, *arguments: str, kubeconfig: Manifest | None = None, everywhere: bool = False) -> Process:
        """A process that acts as the user `name` (an admin), or with a kubeconfig of its own."""
        config = kubeconfig or self.server.kubeconfig()
        if kubeconfig is None:
            config["users"][0]["user"] |= {"as": f"penstock-{name}", "as-groups": ["system:masters"]}
        path = self.folder / f"{name}.kubeconfig"
        path.write_text(json.dumps(config))
        cache = self.folder / f"{name}-cache"
        namespaces = [] if everywhere else ["--no-watch-all-namespaces"]
        addresses = ["--metrics-addr", "127.0.0.1:0", "--health-addr", "127.0.0.1:0"]
        flags = ["--kubeconfig", str(path), "--cache", str(cache), *namespaces, *addresses, *arguments]
        process = Process(self.folder, name, flags, {"RUNTIME_NAMESPACE": self.namespace})
        self.processes.append(process)
        return process

    async def commit(self, files: Mapping[str, str | None], message: str = "change") -> str:
        """Commit and push; the revision."""
        # away from the loop, which serves the repository
        return await asyncio.to_thread(self._commit, files, message)

    def _commit(self, files: Mapping[str, str | None], message: str) -> str:
        for path, content in files.items():
            target = self.work / path
            target.parent.mkdir(parents=True, exist_ok=True)
            if content is None:
                target.unlink()
            else:
                target.write_text(content)
        self._git("add", "-A")
        self._git("-c", "user.name=dev", "-c", "user.email=dev@example.com", "commit", "-q", "--allow-empty", "-m", message)
        self._git("push", "-q", "origin", "HEAD:main")
        return f"main@sha1:{self._git('rev-parse', 'HEAD').strip()}"

    def _git(self, *arguments: str) -> str:
        environment = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_TERMINAL_PROMPT": "0"}
        done = subprocess.run(["git", *arguments], cwd=self.work, env=environment, check=True, capture_output=True, text=True)
        return done.stdout

    async def prepare(self) -> None:
        await self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}})
        await self.git.create_repo("fleet", owner="platform")
        self.work.mkdir()
        self._git("init", "-q", "-b", "main")
        self._git("remote", "add", "origin", self.git.clone_url("platform/fleet", user="developer"))
        password = self.git.token("developer")
        await self.apply(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": "git", "namespace": self.namespace},
                "stringData": {"username": "developer", "password": password},
            }
        )

    async def source(self, name: str = "fleet", **more: Any) -> None:
        url = self.git.clone_url("platform/fleet")
        spec = {"url": url, "interval": "10m", "ref": {"branch": "main"}, "secretRef": {"name": "git"}}
        await self._flux("source", "GitRepository", name, spec, more)

    async def kustomization(self, name: str = "app", *, spec: Mapping[str, Any] | None = None, **more: Any) -> None:
        whole = {
            "interval": "10m",
            "retryInterval": "2s",
            "timeout": "60s",
            "prune": True,
            "path": "./",
            "sourceRef": {"kind": "GitRepository", "name": "fleet"},
            **(spec or {}),
        }
        await self._flux("kustomize", "Kustomization", name, whole, more)

    async def _flux(self, group: str, kind: str, name: str, spec: Mapping[str, Any], more: Mapping[str, Any]) -> None:
        metadata = {"name": name, "namespace": self.namespace, **more}
        await self.apply({"apiVersion": f"{group}.toolkit.fluxcd.io/v1", "kind": kind, "metadata": metadata, "spec": dict(spec)})

    async def apply(self, manifest: Manifest) -> Manifest:
        group, _, version = manifest["apiVersion"].rpartition("/")
        resource = await self.cluster.resource(group, manifest["kind"], version)
        assert resource is not None, manifest["kind"]
        return await self.cluster.apply(resource, manifest, field_manager="test")

    async def get(self, kind: str, name: str, group: str = "") -> Manifest | None:
        resource = await self.cluster.resource(group, kind)
        assert resource is not None
        return await self.cluster.get(resource, self.namespace if resource.namespaced else "", name)

    async def poke(self, kind: str, name: str) -> None:
        group = "source.toolkit.fluxcd.io" if kind == "GitRepository" else "kustomize.toolkit.fluxcd.io"
        resource = await self.cluster.resource(group, kind)
        assert resource is not None
        mark = {"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": secrets.token_hex(6)}}}
        await self.cluster.patch(resource, self.namespace, name, mark, kind="merge")

    async def until(self, holds: Any, what: str, seconds: float = 60) -> Any:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while not (found := await holds()):
            if loop.time() > deadline:
                logs = "\n".join(f"== {process.log.name}\n{process.text()[-3000:]}" for process in self.processes)
                raise AssertionError(f"not within {seconds} s: {what}\n{logs}")
            await asyncio.sleep(0.1)
        return found

    async def until_applied(self, revision: str, name: str = "app", seconds: float = 60) -> None:
        async def look() -> bool:
            found = await self.get("Kustomization", name, "kustomize.toolkit.fluxcd.io") or {}
            status = found.get("status") or {}
            ready = conditions.parse(status.get("conditions")).get("Ready")
            return status.get("lastAppliedRevision") == revision and ready is not None and ready.status == "True"

        await self.until(look, f"{name} applied {revision}", seconds)

    async def holder(self, name: str = "kustomize-controller-leader-election") -> str:
        lease = await self.get("Lease", name, "coordination.k8s.io")
        return str(((lease or {}).get("spec") or {}).get("holderIdentity") or "")

    def writes(self, user: str) -> list[dict[str, Any]]:
        """Mutating requests of a user in this namespace, from the audit log, leases left out; newest last."""
        assert self.server.audit_log is not None
        found = []
        for line in self.server.audit_log.read_text().splitlines():
            entry = json.loads(line)
            who = (entry.get("impersonatedUser") or entry.get("user") or {}).get("username")
            if (
                who == user
                and entry["verb"] in ("create", "update", "patch", "delete")
                and entry.get("objectRef", {}).get("namespace") == self.namespace
                and entry["objectRef"]["resource"] != "leases"
                and "dryRun" not in entry["requestURI"]
            ):
                found.append(entry)
        return found


def config_map(name: str, namespace: str, value: str = "1") -> str:
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n  namespace: {namespace}\ndata:\n  k: '{value}'\n"


@pytest.fixture
async def place(real_apiserver: LocalApiServer, tmp_path: Path) -> AsyncIterator[Place]:
    async with contextlib.AsyncExitStack() as stack:
        git = await stack.enter_async_context(forge.serve(tmp_path / "forge", users=("developer",)))
        cluster = await stack.enter_async_context(
            connect_to(real_apiserver.url, token=real_apiserver.token, ca_path=real_apiserver.ca_path, name="real")
        )
        await controllers.install(cluster)
        made = Place(cluster, real_apiserver, tmp_path, git)
        await made.prepare()
        try:
            yield made
        finally:
            await asyncio.gather(*(asyncio.to_thread(process.stop) for process in made.processes))


@pytest.fixture
def maps(place: Place) -> Iterator[Any]:
    """ConfigMaps of the test's namespace as files."""

    def make(count: int, value: str = "1") -> dict[str, str]:
        return {f"m{number}.yaml": config_map(f"m{number}", place.namespace, value) for number in range(count)}

    yield make
