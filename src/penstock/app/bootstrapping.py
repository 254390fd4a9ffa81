"""Bring a cluster under its repository: write what syncs it into Git, install, let it in, wait until it is synced.

In: a repository, a cluster, a path. Out: steps as they happen. Each step looks first, so doing it again changes nothing: an
unchanged file is no commit, an unchanged object no write. The repository is written before the cluster: what runs is in Git.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from penstock.app import incluster, install, objects, reconcile
from penstock.controllers import installing
from penstock.model import errors
from penstock.model.resource import Manifest
from penstock.ports.cluster import Cluster
from penstock.ports.repo import Repo, Signature
from penstock.yamldoc import emitting

FOLDER: Final = "flux-system"
SYNC, COMPONENTS = "gotk-sync.yaml", "gotk-components.yaml"
"""Flux's names for these files: its own bootstrap finds and replaces them."""
Step = Literal["begin", "done", "wait", "failed"]
Tell = Callable[[Step, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What is synced from where."""

    url: str
    branch: str
    path: str
    """In the repository, without './'."""
    username: str = ""
    password: str = ""
    name: str = "flux-system"
    namespace: str = installing.NAMESPACE
    interval: str = "1m0s"
    components: incluster.Settings | None = None
    """The controller too; None where it runs outside of the cluster."""
    seconds: float = 300.0


async def bootstrap(repo: Repo, cluster: Cluster, settings: Settings, now: datetime, tell: Tell) -> str:
    """Do all of it; the revision that was applied.

    Raises InputError when it is not Ready in time, RefusedError, RaceError (somebody pushed: run it again), TransientError.
    """
    tell("begin", f'cloning branch "{settings.branch}" from Git repository "{settings.url}"')
    await repo.fetch()
    tell("done", "cloned repository")
    await _commit(repo, settings, now, tell)
    if settings.components is not None:
        await install.everything(cluster, settings.components, tell)
    else:
        await install.into(cluster)
        tell("done", "installed definitions")
    await _let_in(cluster, settings, tell)
    tell("begin", "applying sync manifests")
    for manifest in sync(settings):
        await _apply(cluster, manifest)
    tell("done", "reconciled sync configuration")
    at = reconcile.At(cluster=cluster, kind=objects.KUSTOMIZATION, namespace=settings.namespace, name=settings.name)
    revision = await reconcile.reconcile(at, now=now, seconds=settings.seconds, tell=tell, with_source=True)
    tell("done", "bootstrap finished")
    return revision


def sync(settings: Settings) -> tuple[Manifest, Manifest]:
    """The source and the Kustomization that sync the path."""
    where = {"name": settings.name, "namespace": settings.namespace}
    source: Manifest = {
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "GitRepository",
        "metadata": where,
        "spec": {"interval": settings.interval, "ref": {"branch": settings.branch}, "url": settings.url},
    }
    if settings.password:
        source["spec"]["secretRef"] = {"name": settings.name}
    kustomization: Manifest = {
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": where,
        "spec": {
            "interval": "10m0s",
            "path": f"./{settings.path}",
            "prune": True,
            "sourceRef": {"kind": "GitRepository", "name": settings.name},
        },
    }
    return source, kustomization


def files(settings: Settings) -> dict[str, bytes]:
    """What stands in the repository afterwards, by path."""
    folder = f"{settings.path}/{FOLDER}".lstrip("/")
    found = {f"{folder}/{SYNC}": emitting.emit_all(list(sync(settings)))}
    resources = [SYNC]
    if settings.components is not None:
        found[f"{folder}/{COMPONENTS}"] = install.manifests(settings.components)
        resources.insert(0, COMPONENTS)
    listed = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": resources}
    found[f"{folder}/kustomization.yaml"] = emitting.emit(listed).encode()
    return found


async def _commit(repo: Repo, settings: Settings, now: datetime, tell: Tell) -> None:
    tip = repo.resolve(settings.branch)
    if tip is None:
        raise errors.invalid(
            f"the repository has no branch {settings.branch!r}",
            hint="push a first commit, or name another --branch",
            code="NoBranch",
        )
    tree, changes = repo.tree(tip), {}
    for path, content in files(settings).items():
        entry = tree.entry(path)
        if entry is None or tree.read(path) != content:
            changes[path] = content
    if tree.entry(f"{settings.path}/kustomization.yaml") is not None:
        # kustomize takes nothing that is not named, and the file is a person's
        tell("wait", f"{settings.path}/kustomization.yaml decides what is synced: {FOLDER} belongs among its resources")
    if not changes:
        tell("done", "sync manifests are up to date")
        return
    author = Signature(name="Penstock", email="penstock@localhost", when=now)
    commit = repo.write_commit([tip], changes, message="Add sync manifests\n", author=author)
    await repo.push(settings.branch, commit, expect=tip)
    tell("done", f'committed sync manifests to "{settings.branch}" ("{commit}")')


async def _let_in(cluster: Cluster, settings: Settings, tell: Tell) -> None:
    if not settings.password:
        return
    tell("begin", "determining if source secret exists")

    def encoded(text: str) -> str:
        return base64.b64encode(text.encode()).decode()

    wanted = {"username": encoded(settings.username or "git"), "password": encoded(settings.password)}
    manifest: Manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": settings.name, "namespace": settings.namespace},
        "type": "Opaque",
        "data": wanted,
    }
    secrets = await cluster.resource("", "Secret", "v1")
    found = await cluster.get(secrets, settings.namespace, settings.name) if secrets is not None else None
    if found is not None and found.get("data") == wanted:
        tell("done", "source secret up to date")
        return
    await _apply(cluster, manifest)
    tell("done", "reconciled source secret")


async def _apply(cluster: Cluster, manifest: Manifest) -> None:
    group, _, version = str(manifest["apiVersion"]).rpartition("/")
    resource = await cluster.resource(group, str(manifest["kind"]), version)
    if resource is None:
        raise errors.RefusedError(f"{cluster.name} does not serve {manifest['kind']}", code="NoMatch")
    await cluster.apply(resource, manifest, field_manager=installing.MANAGER)
