"""What syncing costs, on a real API server, beside the call pattern of Flux.

    python bench/sync.py [--apps 333] [--rounds 3] [--json FILE]
    python bench/sync.py --flux             real kustomize-controller takes a turn too (make flux-judge builds it)
    python bench/sync.py --many 1000        so many Kustomizations of four objects each instead

One Kustomization of 3 objects an app. For each step: wall time, requests by verb as the API server's audit log has them,
CPU seconds of this process, of the API server and of etcd, peak memory. The Flux model is GET and dry-run PATCH for each
object, then PATCH for what differs, four objects at once (--concurrent-ssa), over the same client. Model and Penstock
take turns, each on a fresh server that has come to rest: what else the machine does hits both. The end says the least
and the median of each step, and what part of the model's time, and of all CPU it took, Penstock needed.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import contextlib
import json
import os
import resource
import statistics
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from penstock import controllers, render
from penstock.adapters import git, parts
from penstock.adapters.clock import SystemClock
from penstock.adapters.kube import connect_to, local
from penstock.adapters.kube.client import HttpCluster
from penstock.apply import planning
from penstock.apply.marks import Owner
from penstock.controllers.manager import Manager, Options
from penstock.model import flux
from penstock.model.condition import of as conditions_of

URL = "http://git.bench/fleet.git"
MODEL_APPLY, MODEL_NO_OP = "Flux model: first apply", "Flux model: no-op"
FLUX_APPLY, FLUX_NO_OP = "real Flux: first apply", "real Flux: no-op"
NAMESPACE = "flux-system"
DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {app}
  labels: {{app: {app}}}
spec:
  replicas: 1
  selector: {{matchLabels: {{app: {app}}}}}
  template:
    metadata: {{labels: {{app: {app}}}}}
    spec:
      containers:
      - name: main
        image: example/{app}:1.0.0
        ports: [{{containerPort: 8080}}]
        envFrom: [{{configMapRef: {{name: {app}-cfg}}}}]
---
apiVersion: v1
kind: Service
metadata: {{name: {app}}}
spec:
  selector: {{app: {app}}}
  ports: [{{port: 80, targetPort: 8080}}]
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: {app}-cfg}}
data: {{env: dev, version: "{version}"}}
"""


class Repositories:
    """The bench's one repository, mirrored for real."""

    def __init__(self, origin: Path, folder: Path) -> None:
        self._mirror = git.Mirror(str(origin), folder, allow_local=True)

    def get(self, url: str, secret: Mapping[str, bytes], **more: object) -> Any:
        return self._mirror


class Bench:
    """The fleet, its server and the figures."""

    def __init__(self, cluster: HttpCluster, server: local.LocalApiServer, folder: Path, apps: int) -> None:
        self.cluster = cluster
        self.server = server
        self.folder = folder
        self.apps = apps
        self.origin = folder / "origin"
        """The developer's clone."""
        self.remote = folder / "remote.git"
        self.figures: list[dict[str, Any]] = []
        self.agent = "penstock"
        """Whose requests count."""
        self.flux: int | None = None
        """The process of a real controller of Flux's."""
        self._audited = 0

    def write(self) -> str:
        """The fleet; the commit."""
        names = [f"app-{index:04d}" for index in range(self.apps)]
        base = self.origin / "clusters" / "dev"
        for app in names:
            folder = base / "apps" / app
            folder.mkdir(parents=True)
            (folder / "app.yaml").write_text(DEPLOYMENT.format(app=app, version=1))
            (folder / "kustomization.yaml").write_text("resources: [app.yaml]\n")
        (base / "apps" / "kustomization.yaml").write_text("resources:\n" + "".join(f"- {app}\n" for app in names))
        (base / "namespace.yaml").write_text("apiVersion: v1\nkind: Namespace\nmetadata: {name: dev}\n")
        (base / "kustomization.yaml").write_text("namespace: dev\nresources: [namespace.yaml, apps]\n")
        self._git("init", "-q", "-b", "main")
        self._git("init", "-q", "--bare", "-b", "main", str(self.remote))
        self._git("remote", "add", "origin", str(self.remote))
        commit = self.commit("the fleet")
        self.push()
        return commit

    def commit(self, message: str) -> str:
        self._git("add", "-A")
        self._git("commit", "-q", "-m", message)
        return self._git("rev-parse", "HEAD").strip()

    def push(self) -> None:
        self._git("push", "-q", "origin", "main")

    def change_one(self, app: int, version: int) -> str:
        """A commit that is not pushed yet."""
        name = f"app-{app:04d}"
        path = self.origin / "clusters" / "dev" / "apps" / name / "app.yaml"
        path.write_text(DEPLOYMENT.format(app=name, version=version))
        return self.commit(f"{name} version {version}")

    def _git(self, *arguments: str) -> str:
        who = {f"GIT_{role}_{key}": "bench" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")}
        environment = {**os.environ, **who, "GIT_CONFIG_GLOBAL": "/dev/null"}
        return subprocess.run(
            ["git", *arguments], cwd=self.origin, env=environment, check=True, capture_output=True, text=True
        ).stdout

    @contextlib.asynccontextmanager
    async def step(self, name: str) -> AsyncIterator[None]:
        """Measure one step."""
        self._read_audit()
        before, started = (self._cpu(), *self._server_cpu()), time.perf_counter()
        yield
        wall = time.perf_counter() - started
        own, server, etcd = (round(now - then, 2) for now, then in zip((self._cpu(), *self._server_cpu()), before, strict=True))
        figures: dict[str, Any] = {
            "step": name,
            "seconds": round(wall, 3),
            "cpu": own,
            "api_server_cpu": server,
            "etcd_cpu": etcd,
        }
        await asyncio.sleep(0.3)
        figures["requests"] = dict(self._read_audit())
        self.figures.append(figures)
        total = sum(figures["requests"].values())
        print(
            f"{name:34} {wall:8.3f} s   cpu {own:6.2f} s   api server {server:6.2f} s   etcd {etcd:5.2f} s   "
            f"{total:5} requests {figures['requests']}",
            flush=True,
        )

    def _read_audit(self) -> collections.Counter[str]:
        """The requests of this client since the last call, by verb, from the server's own log."""
        assert self.server.audit_log is not None
        counts: collections.Counter[str] = collections.Counter()
        with self.server.audit_log.open("rb") as log:
            log.seek(self._audited)
            for line in log:
                if not line.endswith(b"\n"):
                    break
                self._audited += len(line)
                entry = json.loads(line)
                if str(entry.get("userAgent")).startswith(self.agent) and entry.get("verb") != "watch":
                    dry = "?dryRun" if "dryRun=All" in entry["requestURI"] else ""
                    counts[f"{entry['verb']}{dry}"] += 1
        return counts

    async def at_rest(self) -> None:
        """Wait until the server has done what a new one does (RBAC, OpenAPI of the CRDs), at most half a minute."""
        for _ in range(15):
            before = sum(self._server_cpu())
            await asyncio.sleep(2)
            if sum(self._server_cpu()) - before < 0.1:
                return

    def _cpu(self) -> float:
        """Ours, that of the git commands we ran, and that of Flux while it takes its turn."""
        used = [resource.getrusage(each) for each in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        own = float(sum(each.ru_utime + each.ru_stime for each in used))
        if self.flux is None:
            return own
        fields = Path(f"/proc/{self.flux}/stat").read_text().rpartition(")")[2].split()
        return own + (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _server_cpu(self) -> tuple[float, float]:
        """Seconds of the API server and of etcd: our child processes."""
        found = {"(kube-apiserver": 0.0, "(etcd": 0.0}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                text = stat.read_text()
                for name in found:
                    if name in text and str(os.getpid()) in _parents(text):
                        fields = text.rpartition(")")[2].split()
                        found[name] += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return found["(kube-apiserver"], found["(etcd"]


def _parents(stat: str) -> list[str]:
    return [stat.rpartition(")")[2].split()[1]]


async def flux_model(bench: Bench, tree_commit: str, name: str) -> None:
    """Apply the fleet the way kustomize-controller calls the API, object for object."""
    mirror = git.Mirror(str(bench.remote), bench.folder / f"model-{name.replace(' ', '-')}", allow_local=True)
    await mirror.fetch()
    async with bench.step(name):
        rendered = await asyncio.to_thread(
            render.flux_build,
            mirror.tree(tree_commit),
            {"path": "./clusters/dev"},
            name="dev",
            namespace=NAMESPACE,
            variables=None,
        )
        objects = planning.desired(rendered, Owner("dev", NAMESPACE))
        slots = asyncio.Semaphore(4)

        async def one(wanted: planning.Desired) -> None:
            async with slots:
                kind = await bench.cluster.resource(wanted.id.group, wanted.id.kind)
                assert kind is not None
                live = await bench.cluster.get(kind, wanted.id.namespace, wanted.id.name)
                shown = await bench.cluster.apply(kind, wanted.manifest, field_manager=flux.FIELD_MANAGER, dry_run=True)
                if live is None or planning.differs(live, shown):
                    await bench.cluster.apply(kind, wanted.manifest, field_manager=flux.FIELD_MANAGER)

        for first in (True, False):
            async with asyncio.TaskGroup() as group:
                for wanted in objects:
                    if (wanted.id.kind == "Namespace") == first:
                        group.create_task(one(wanted))


async def ready(bench: Bench, revision: str, count: int = 1) -> None:
    """Wait until so many Kustomizations are Ready at a revision, by watch, so that waiting costs no requests."""
    kind = await bench.cluster.resource(flux.KUSTOMIZE_GROUP, flux.KUSTOMIZATION)
    assert kind is not None
    listed = await bench.cluster.list(kind, NAMESPACE)

    def done(manifest: dict[str, Any]) -> bool:
        applied = (manifest.get("status") or {}).get("lastAppliedRevision", "")
        return bool(applied.endswith(revision) and conditions_of(manifest).is_true(flux.READY))

    found = {item["metadata"]["name"] for item in listed.items if done(item)}
    if len(found) >= count:
        return
    async for event in bench.cluster.watch(kind, NAMESPACE, resource_version=listed.resource_version):
        if event.kind == "MODIFIED" and done(event.object):
            found.add(event.object["metadata"]["name"])
            if len(found) >= count:
                return


async def penstock_steps(bench: Bench, commit: str) -> None:
    for manifest in sync_objects():
        kind = await bench.cluster.resource(*_group_kind(manifest))
        assert kind is not None
        await bench.cluster.apply(kind, manifest, field_manager="bench")
    repositories = Repositories(bench.remote, bench.folder / "mirror")
    manager = Manager(
        bench.cluster, repositories=repositories, clock=SystemClock(), options=Options(artifacts=bench.folder / "artifacts")
    )
    task = asyncio.create_task(manager.run())
    try:
        async with bench.step("first apply"):
            await ready(bench, commit)
        await idle(manager)
        for _ in range(3):
            async with bench.step("no-op reconcile"):
                manager.reconcile(NAMESPACE, "dev")
                await idle(manager)
        for round_ in range(3):
            commit = bench.change_one(round_, 2)
            async with bench.step("one changed ConfigMap"):
                await asyncio.to_thread(bench.push)
                # what the receiver does when the forge tells of a push
                manager.poke(URL)
                await ready(bench, commit)
            await idle(manager)
        await drift(bench, manager)
        async with bench.step("idle for 10 s"):
            await asyncio.sleep(10)
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    manager = Manager(
        bench.cluster, repositories=repositories, clock=SystemClock(), options=Options(artifacts=bench.folder / "artifacts")
    )
    task = asyncio.create_task(manager.run())
    try:
        async with bench.step("restart, nothing changed"):
            await manager.ready.wait()
            await idle(manager)
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def flux_steps(bench: Bench, commit: str) -> None:
    """Real kustomize-controller on a source of ours."""
    definitions = parts.cache_folder() / f"flux-crds-{parts.VERSIONS['kustomize-controller']}"
    for path in sorted(definitions.glob("*.yaml")):
        await _apply(bench, yaml.safe_load(path.read_text()))
    source, kustomization = sync_objects()
    source["metadata"]["labels"] = {"turn": "ours"}
    kubeconfig = bench.folder / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(bench.server.kubeconfig()))
    manager = Manager(
        bench.cluster,
        repositories=Repositories(bench.remote, bench.folder / "mirror"),
        clock=SystemClock(),
        options=Options(artifacts=bench.folder / "artifacts", label_selector="turn=ours"),
    )
    task = asyncio.create_task(manager.run())
    program = parts.find("kustomize-controller")
    assert program is not None, "make flux-judge builds kustomize-controller"
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig), "RUNTIME_NAMESPACE": NAMESPACE}
    flags = ("--metrics-addr=0", "--health-addr=127.0.0.1:0", "--watch-all-namespaces", "--log-level=error")
    with (bench.folder / "flux.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(str(program), *flags, env=environment, stdout=log, stderr=log)
    bench.agent, bench.flux = "kustomize-controller", process.pid
    try:
        await _apply(bench, source)
        await bench.at_rest()
        async with bench.step(FLUX_APPLY):
            await _apply(bench, kustomization)
            await ready(bench, commit)
        await bench.at_rest()
        async with bench.step(FLUX_NO_OP):
            await _apply(
                bench, {**kustomization, "metadata": {**kustomization["metadata"], "annotations": {flux.REQUESTED_AT: "1"}}}
            )
            await handled(bench, "1")
        await bench.at_rest()
        commit = bench.change_one(0, 2)
        async with bench.step("real Flux: one changed ConfigMap"):
            await asyncio.to_thread(bench.push)
            manager.poke(URL)
            await ready(bench, commit)
    finally:
        bench.flux = None
        process.terminate()
        await process.wait()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _apply(bench: Bench, manifest: dict[str, Any]) -> None:
    kind = await bench.cluster.resource(*_group_kind(manifest))
    assert kind is not None
    await bench.cluster.apply(kind, manifest, field_manager="bench")


async def handled(bench: Bench, token: str) -> None:
    """Wait until a request to reconcile was carried out."""
    kind = await bench.cluster.resource(flux.KUSTOMIZE_GROUP, flux.KUSTOMIZATION)
    assert kind is not None
    listed = await bench.cluster.list(kind, NAMESPACE)
    if any((item.get("status") or {}).get("lastHandledReconcileAt") == token for item in listed.items):
        return
    async for event in bench.cluster.watch(kind, NAMESPACE, resource_version=listed.resource_version):
        if (event.object.get("status") or {}).get("lastHandledReconcileAt") == token:
            return


async def many(bench: Bench, count: int) -> None:
    """As many Kustomizations of four ConfigMaps each on one source."""
    for index in range(count):
        folder = bench.origin / "many" / f"k{index:04d}"
        folder.mkdir(parents=True)
        for number in range(4):
            (folder / f"{number}.yaml").write_text(
                f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: k{index:04d}-{number}, namespace: many}}\ndata: {{v: '1'}}\n"
            )
    commit = bench.commit("many")
    bench.push()
    source, one = sync_objects()
    objects = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "many"}}, source]
    for index in range(count):
        name = f"k{index:04d}"
        objects.append(
            {**one, "metadata": {"name": name, "namespace": NAMESPACE}, "spec": {**one["spec"], "path": f"./many/{name}"}}
        )
    for manifest in objects:
        kind = await bench.cluster.resource(*_group_kind(manifest))
        assert kind is not None
        await bench.cluster.apply(kind, manifest, field_manager="bench")
    repositories = Repositories(bench.remote, bench.folder / "mirror")
    manager = Manager(
        bench.cluster, repositories=repositories, clock=SystemClock(), options=Options(artifacts=bench.folder / "artifacts")
    )
    task = asyncio.create_task(manager.run())
    try:
        async with bench.step(f"{count} Kustomizations to Ready"):
            await ready(bench, commit, count)
        await idle(manager)
        async with bench.step(f"no-op pass of all {count}"):
            for index in range(count):
                manager.reconcile(NAMESPACE, f"k{index:04d}")
            await idle(manager)
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def drift(bench: Bench, manager: Manager) -> None:
    kind = await bench.cluster.resource("", "ConfigMap")
    assert kind is not None
    listed = await bench.cluster.list(kind, "dev", field_selector="metadata.name=app-0100-cfg")
    async with bench.step("drift to corrected"):
        await bench.cluster.patch(kind, "dev", "app-0100-cfg", {"data": {"env": "by hand"}}, kind="merge", field_manager="hand")
        seen = 0
        async for event in bench.cluster.watch(
            kind, "dev", resource_version=listed.resource_version, field_selector="metadata.name=app-0100-cfg"
        ):
            seen += event.kind == "MODIFIED"
            if seen and event.object.get("data", {}).get("env") == "dev":
                break
    await idle(manager)


async def idle(manager: Manager) -> None:
    while manager.busy:  # noqa: ASYNC110 - looking must not be part of what is measured
        await asyncio.sleep(0.005)


def sync_objects() -> list[dict[str, Any]]:
    return [
        {
            "apiVersion": "source.toolkit.fluxcd.io/v1",
            "kind": "GitRepository",
            "metadata": {"name": "fleet", "namespace": NAMESPACE},
            "spec": {"url": URL, "interval": "10m", "ref": {"branch": "main"}},
        },
        {
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
            "kind": "Kustomization",
            "metadata": {"name": "dev", "namespace": NAMESPACE},
            "spec": {
                "interval": "10m",
                "prune": True,
                "path": "./clusters/dev",
                "sourceRef": {"kind": "GitRepository", "name": "fleet"},
            },
        },
    ]


def _group_kind(manifest: dict[str, Any]) -> tuple[str, str]:
    return manifest["apiVersion"].rpartition("/")[0], manifest["kind"]


@contextlib.asynccontextmanager
async def prepared(folder: Path, apps: int) -> AsyncIterator[tuple[Bench, str]]:
    """A fresh API server with the fleet."""
    folder.mkdir()
    async with (
        local.run(folder / "server", audit=True) as server,
        connect_to(server.url, token=server.token, ca_path=server.ca_path) as cluster,
    ):
        await controllers.install(cluster)
        bench = Bench(cluster, server, folder, apps)
        bench.origin.mkdir()
        commit = bench.write()
        await bench.at_rest()
        yield bench, commit


def summarise(figures: list[dict[str, Any]]) -> None:
    """The least and the median of each step; the ratios to the model."""
    steps: dict[str, list[dict[str, Any]]] = {}
    for each in figures:
        steps.setdefault(each["step"], []).append(each)
    print(f"\n{'':34} {'least':>8} {'median':>8}   all CPU   requests")
    for name, rows in steps.items():
        seconds, requests = [row["seconds"] for row in rows], [sum(row["requests"].values()) for row in rows]
        print(
            f"{name:34} {min(seconds):8.3f} {statistics.median(seconds):8.3f}   {_all_cpu(rows):7.2f}   {max(requests)} at most"
        )
    for ours, theirs in (
        ("first apply", MODEL_APPLY),
        ("no-op reconcile", MODEL_NO_OP),
        ("first apply", FLUX_APPLY),
        ("no-op reconcile", FLUX_NO_OP),
    ):
        if theirs in steps:
            wall = [statistics.median([row["seconds"] for row in steps[name]]) for name in (ours, theirs)]
            cpu = [_all_cpu(steps[name]) for name in (ours, theirs)]
            whose = theirs.partition(":")[0]
            print(f"{ours}: {wall[0] / wall[1]:.2f} of the time of the {whose}, {cpu[0] / cpu[1]:.2f} of its CPU")


def _all_cpu(rows: list[dict[str, Any]]) -> float:
    return statistics.median([row["cpu"] + row["api_server_cpu"] + row["etcd_cpu"] for row in rows])


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--apps", type=int, default=333)
    parser.add_argument("--rounds", type=int, default=3, help="how often everything is measured")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--many", type=int, default=0, help="only this: so many Kustomizations of four objects each")
    parser.add_argument("--flux", action="store_true", help="real kustomize-controller takes a turn too")
    parser.add_argument("--no-model", action="store_true", help="leave out the Flux model")
    chosen = parser.parse_args()
    figures = []
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as folder:
        if chosen.many:
            async with prepared(Path(folder) / "many", 1) as (bench, _):
                await many(bench, chosen.many)
            print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")
            return
        for round_ in range(chosen.rounds):
            if not chosen.no_model:
                async with prepared(Path(folder) / f"model-{round_}", chosen.apps) as (bench, commit):
                    await flux_model(bench, commit, MODEL_APPLY)
                    await flux_model(bench, commit, MODEL_NO_OP)
                    figures += bench.figures
            if chosen.flux:
                async with prepared(Path(folder) / f"flux-{round_}", chosen.apps) as (bench, commit):
                    await flux_steps(bench, commit)
                    figures += bench.figures
            async with prepared(Path(folder) / f"penstock-{round_}", chosen.apps) as (bench, commit):
                await penstock_steps(bench, commit)
                figures += bench.figures
    summarise(figures)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")
    if chosen.json:
        chosen.json.write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
    asyncio.run(main())
