"""A small fleet for promotion scenarios: a real Git server with a forge, one Kubernetes-compatible API per environment, and
the controller under test. Sync is played by writing the status that Flux writes, so that a scenario says exactly what each
cluster shows; one scenario beside these runs the real sync.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from penstock import controllers, render, source
from penstock.adapters import git, kube
from penstock.adapters.forge import connect
from penstock.app import init, world
from penstock.controllers.promotion import Controller, Done
from penstock.model import flux
from penstock.model.errors import RefusedError
from penstock.model.values import CommitId, EnvName
from penstock.ports.cluster import Cluster
from penstock.ports.forge import Forge, PullRequest
from penstock.promote.evidence import stamp
from penstock.sandbox import cluster as sandbox_cluster

ENVIRONMENTS = ("dev", "staging", "prod")
WEB = "clusters/{}/apps/web/"


@dataclass
class Clock:
    """A wall clock that stands still until a scenario turns it."""

    moment: datetime = field(default_factory=lambda: datetime(2026, 3, 2, 14, 0, tzinfo=UTC))

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.moment.timestamp()

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("a pass must not sleep")

    def turn(self, **by: float) -> None:
        self.moment += timedelta(**by)


@dataclass
class Fleet:
    """What a scenario plays with."""

    folder: Path
    url: str
    mirror: git.Mirror
    forges: Mapping[str, Forge]
    clusters: Mapping[EnvName, Cluster]
    clock: Clock
    done: list[Done] = field(default_factory=list)

    def controller(self, forge: Forge | None = None, repo: Any = None) -> Controller:
        """A new one, as after a restart."""
        return Controller(
            repo=repo or self.mirror,
            forge=forge or self.forges["penstock"],
            clusters=self.clusters,
            clock=self.clock,
            tell=self.done.append,
        )

    def world(self) -> world.World:
        """The fleet as the commands see it."""
        at = world.RepositoryAt(url="http://example/platform/fleet.git")
        forge = world.ForgeAt(kind="gitea", url="", repository="platform/fleet", token_file=Path("x"))
        return world.World(
            fleet=world.Fleet(path=Path("fleet.yaml"), repository=at, forge=forge, clusters=()),
            repo=self.mirror,
            forge=self.forges["penstock"],
            clusters=self.clusters,
            clock=self.clock,
        )

    async def git(self, *arguments: str) -> str:
        return await git_command("-C", str(self.folder / "work"), *arguments)

    async def commit(self, message: str, files: Mapping[str, str | None], *, push: bool = True) -> str:
        """A person's commit on main."""
        await self.git("checkout", "-q", "-B", "main")
        await self.git("pull", "-q", "--rebase", self.url, "main")
        for name, content in files.items():
            path = self.folder / "work" / name
            if content is None:
                path.unlink()
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(content)
        await self.git("add", "-A")
        await self.git("commit", "-q", "-m", message)
        if push:
            await self.git("push", "-q", self.url, "main")
        return await self.git("rev-parse", "HEAD")

    async def read(self, name: str) -> str:
        """A file as it is on main now."""
        await self.git("fetch", "-q", self.url, "main")
        return await self.git("show", f"FETCH_HEAD:{name}") + "\n"

    async def edit(self, message: str, name: str, old: str, new: str) -> str:
        text = await self.read(name)
        assert text.count(old) == 1, f"{old!r} is {text.count(old)} times in {name}"
        return await self.commit(message, {name: text.replace(old, new)})

    async def propose(self, user: str, branch: str, files: Mapping[str, str]) -> PullRequest:
        """A person's own pull request."""
        await self.mirror.fetch()
        tip = self.mirror.resolve("main")
        assert tip is not None
        commit = self.mirror.write_commit(
            [tip],
            {path: text.encode() for path, text in files.items()},
            message=f"{branch}\n",
            author=self.mirror.commit(tip).author,
        )
        await self.mirror.push(branch, commit, expect=None)
        return await self.forges[user].open_pull(title=branch, body="please", head=branch, base="main", draft=False, labels=[])

    async def guard(self, pull: PullRequest) -> tuple[str, str]:
        """(state, description) that the guard published."""
        statuses = await self.forges["penstock"].statuses(pull.head_sha)
        return next((one.state, one.description) for one in statuses if one.context == "penstock/guard")

    async def raise_timeout(self, environment: str = "dev", to: str = "20s", was: str = "10s") -> str:
        path = WEB.format(environment) + "config.yaml"
        return await self.edit(f"raise checkout timeout to {to}", path, f"checkout_timeout: {was}", f"checkout_timeout: {to}")

    async def syncs(self, environment: str, *, healthy: bool = True, digest: str = "", commit: str = "") -> str:
        """The environment's cluster shows that main was applied there, as Flux writes it."""
        await self.mirror.fetch()
        tip = self.mirror.resolve(commit or "main")
        assert tip is not None
        found = source.discover(self.mirror.tree(tip)).environment(environment)
        assert found is not None and found.kustomization is not None
        built = render.flux_build(self.mirror.tree(tip), found.kustomization.spec, name=environment, namespace="flux-system")
        cluster = self.clusters[EnvName(environment)]
        resource = await cluster.resource("kustomize.toolkit.fluxcd.io", "Kustomization", "v1")
        assert resource is not None
        live = await cluster.apply(resource, found.kustomization.manifest, field_manager="flux")
        await cluster.patch(
            resource,
            "flux-system",
            environment,
            {"status": self._status(live, tip, digest or built.digest, healthy)},
            kind="merge",
            subresource="status",
        )
        return tip

    async def runs(self, environment: str, *, sick: str) -> None:
        """Everything main renders to is in the cluster and healthy, but for one Deployment; Flux says that health failed."""
        tip = await self.syncs(environment, healthy=False)
        found = source.discover(self.mirror.tree(CommitId(tip))).by_name[EnvName(environment)]
        assert found.kustomization is not None
        built = render.flux_build(
            self.mirror.tree(CommitId(tip)), found.kustomization.spec, name=environment, namespace="flux-system"
        )
        cluster, entries = self.clusters[EnvName(environment)], []
        owner = {flux.OWNER_NAME: environment, flux.OWNER_NAMESPACE: "flux-system"}
        for one in built.objects:
            group, _, version = one.manifest["apiVersion"].rpartition("/")
            entries.append({"id": one.id.inventory_id, "v": version})
            if one.id.namespace == "flux-system":
                continue
            resource = await cluster.resource(group, one.id.kind, version)
            assert resource is not None
            labels = {**one.manifest["metadata"].get("labels", {}), **owner}
            manifest = {**one.manifest, "metadata": {**one.manifest["metadata"], "labels": labels}}
            live = await cluster.apply(resource, manifest, field_manager="flux")
            if one.id.kind == "Deployment" and one.id.name != sick:
                count = live["spec"]["replicas"]
                body = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), count)
                conditions = [
                    {"type": "Available", "status": "True"},
                    {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"},
                ]
                status = {"observedGeneration": live["metadata"]["generation"], "conditions": conditions, **body}
                await cluster.patch(
                    resource, one.id.namespace, one.id.name, {"status": status}, kind="merge", subresource="status"
                )
        resource = await cluster.resource("kustomize.toolkit.fluxcd.io", "Kustomization", "v1")
        assert resource is not None
        body = {"status": {"inventory": {"entries": entries}}}
        await cluster.patch(resource, "flux-system", environment, body, kind="merge", subresource="status")

    def _status(self, live: Mapping[str, Any], tip: str, digest: str, healthy: bool) -> dict[str, Any]:
        now, generation = stamp(self.clock.now()), live["metadata"]["generation"]
        state, reason = ("True", "ReconciliationSucceeded") if healthy else ("False", "HealthCheckFailed")
        before = dict(live.get("status") or {})
        conditions = [
            {
                "type": kind,
                "status": state,
                "reason": reason,
                "message": "so",
                "observedGeneration": generation,
                "lastTransitionTime": now,
            }
            for kind in ("Ready", "Healthy")
        ]
        entry = {
            "digest": digest,
            "firstReconciled": now,
            "lastReconciled": now,
            "lastReconciledDuration": "1s",
            "lastReconciledStatus": reason,
            "totalReconciliations": 1,
            "metadata": {"revision": f"main@sha1:{tip}"},
        }
        known = before.get("history") or ()
        if known and (known[0]["digest"], known[0]["lastReconciledStatus"]) == (digest, reason):
            entry["firstReconciled"] = known[0]["firstReconciled"]
        past = [one for one in known if (one["digest"], one["lastReconciledStatus"]) != (digest, reason)]
        applied = {"lastAppliedRevision": f"main@sha1:{tip}"} if healthy else {}
        return {
            "observedGeneration": generation,
            "lastAttemptedRevision": f"main@sha1:{tip}",
            "conditions": conditions,
            "history": [entry, *past][:5],
        } | applied

    async def settle(self, controller: Controller | None = None) -> list[str]:
        """Pass after pass until nothing is left to do; the steps taken."""
        controller = controller or self.controller()
        before = len(self.done)
        for _ in range(30):
            report = await controller.once()
            assert not report.problems, report.problems
            if not report.again:
                return [f"{one.action} {one.unit} -> {one.target}" for one in self.done[before:]]
        raise AssertionError(f"does not come to rest: {[str(one) for one in self.done[before:]]}")

    async def pulls(self, state: Any = "open") -> list[PullRequest]:
        return list(await self.forges["penstock"].pulls(state=state))

    async def the_pull(self) -> PullRequest:
        pulls = await self.pulls()
        assert len(pulls) == 1, [pull.title for pull in pulls]
        return pulls[0]

    async def approve(self, pull: PullRequest, user: str = "reviewer") -> None:
        await self.forges[user].review(pull.number, state="approved", commit=pull.head_sha)

    async def drawing(self) -> str:
        """Pull requests, oldest first, and branches beside main."""
        pulls = [
            f"#{one.number} {one.head} {one.state}{' draft' if one.draft else ''}: {one.title}" for one in await self.pulls("all")
        ]
        await self.mirror.fetch()
        branches = sorted(name for name in self.mirror.branches() if name != "main")
        return "\n".join([*reversed(pulls), *branches])


async def git_command(*arguments: str) -> str:
    """The ordinary git client; what it printed, without the last line end."""
    process = await asyncio.create_subprocess_exec(
        "git", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, problem = await process.communicate()
    assert process.returncode == 0, problem.decode()
    return out.decode().strip()


@contextlib.asynccontextmanager
async def running(tmp_path: Path, server: Any, name: str = "fleet") -> AsyncIterator[Fleet]:
    """A fleet of three environments that all run what main has, on this Git server and forge."""
    async with contextlib.AsyncExitStack() as stack:
        full_name = await server.create_repo(name, owner="platform")
        url = server.clone_url(full_name, user="developer")
        work = tmp_path / "work"
        init.repository(work, url=server.clone_url(full_name))
        for key, value in {"user.name": "Dana Developer", "user.email": "dana@shop.example"}.items():
            await git_command("-C", str(work), "config", key, value)
        await git_command("-C", str(work), "push", "-q", url, "HEAD:refs/heads/main")
        mirror = git.Mirror(
            server.clone_url(full_name),
            tmp_path / "mirror.git",
            credentials=git.Credentials(username="penstock", password=server.token("penstock")),
        )
        forges = {
            user: await stack.enter_async_context(connect("gitea", server.url, full_name, token=server.token(user)))
            for user in ("developer", "reviewer", "penstock")
        }
        await _until_filled(forges["penstock"])
        # One API plays all three clusters: here they hold nothing but a Kustomization each, of different names.
        api = await stack.enter_async_context(sandbox_cluster.serve(tmp_path / "api", name="api", workloads=False))
        client = await stack.enter_async_context(kube.connect_to(api.url, token=api.token, ca_path=api.ca_path, name="api"))
        await controllers.install(client)
        clusters: dict[EnvName, Cluster] = {EnvName(name): client for name in ENVIRONMENTS}
        fleet = Fleet(folder=tmp_path, url=url, mirror=mirror, forges=forges, clusters=clusters, clock=Clock())
        for environment in ENVIRONMENTS:
            await fleet.syncs(environment)
        yield fleet


async def _until_filled(forge: Forge) -> None:
    """Gitea takes a moment until it knows that a repository is not empty any more."""
    for _ in range(200):
        try:
            await forge.pulls()
            return
        except RefusedError:
            await asyncio.sleep(0.05)
    raise AssertionError("the forge does not see the first push")
