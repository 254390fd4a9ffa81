"""Environments rendered at commits, each once. In: trees and Kustomizations. Out: rendered objects, or why there are none.

The spec and the variables are those of the Kustomization in the cluster where it can be asked, since that is what is (or
will be) applied; else those written in the repository.
"""

from __future__ import annotations

import base64
import binascii
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from penstock import render
from penstock.controllers import ignoring
from penstock.model import flux
from penstock.model.errors import InputError, RemoteError
from penstock.model.pipeline import Environment
from penstock.model.rendered import Rendered
from penstock.model.resource import Manifest, ResourceId
from penstock.model.values import CommitId
from penstock.observe import kstatus
from penstock.ports.cluster import Cluster
from penstock.ports.repo import Repo
from penstock.promote.timeline import Entry

_KEPT = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the cluster of one environment shows now."""

    manifest: Manifest | None = None
    """Its Flux Kustomization."""
    problem: str = ""
    """Why nothing is known about it; '' when the cluster answered."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Of postBuild: substituteFrom read from the cluster, then substitute."""
    health: Mapping[ResourceId, kstatus.Health] | None = None
    """Of its objects one by one; read only where the environment as a whole is not healthy."""
    reported: tuple[Entry, ...] | None = None
    """What its Flux reports on commits, newest first, where its cluster cannot be asked."""
    past: tuple[Entry, ...] = ()
    """What its history said earlier, beyond what it keeps."""


async def look(environment: Environment, cluster: Cluster | None, now: datetime) -> Seen:
    """Ask an environment's cluster for its Kustomization, the variables it uses, and what is not healthy."""
    if cluster is None:
        return Seen(problem=f"no cluster is known for {environment.name}")
    namespace, name = sync_name(environment)
    try:
        resource = await cluster.resource("kustomize.toolkit.fluxcd.io", "Kustomization", "v1")
        if resource is None:
            return Seen(problem=f"the cluster of {environment.name} does not serve Flux Kustomizations")
        manifest = await cluster.get(resource, namespace, name)
        if manifest is None:
            return Seen()
        variables = await _variables(cluster, namespace, manifest.get("spec") or {})
        health = await _health(cluster, manifest, now) if _is_sick(manifest) else None
        return Seen(manifest=manifest, variables=variables, health=health)
    except RemoteError as error:
        return Seen(problem=f"the cluster of {environment.name} does not answer: {error.what}")


def sync_name(environment: Environment) -> tuple[str, str]:
    """Namespace and name of the Kustomization that syncs it."""
    written = environment.kustomization
    return (written.namespace or "flux-system", written.name) if written else ("flux-system", str(environment.name))


def _is_sick(manifest: Manifest) -> bool:
    conditions = (manifest.get("status") or {}).get("conditions") or ()
    return any(one.get("type") == "Ready" and one.get("reason") == "HealthCheckFailed" for one in conditions)


async def _health(cluster: Cluster, kustomization: Manifest, now: datetime) -> dict[ResourceId, kstatus.Health]:
    """The health of every object in the inventory, one list for each kind."""
    metadata = kustomization["metadata"]
    owner = f"{flux.OWNER_NAME}={metadata['name']},{flux.OWNER_NAMESPACE}={metadata['namespace']}"
    kinds: set[tuple[str, str, str]] = set()
    for entry in ((kustomization.get("status") or {}).get("inventory") or {}).get("entries") or ():
        found = ResourceId.from_inventory_id(str(entry.get("id")))
        kinds.add((found.group, found.kind, str(entry.get("v") or "")))
    health: dict[ResourceId, kstatus.Health] = {}
    for group, kind, version in sorted(kinds):
        resource = await cluster.resource(group, kind, version or None)
        if resource is None:
            continue
        for live in (await cluster.list(resource, label_selector=owner)).items:
            # Items of a list may leave out what all of them share.
            whole = {"apiVersion": resource.api_version, "kind": kind, **live}
            health[ResourceId.of(whole)] = kstatus.health(whole, now)
    return health


async def _variables(cluster: Cluster, namespace: str, spec: Mapping[str, Any]) -> dict[str, str]:
    """What postBuild substitutes, later entries over earlier ones, inline values over all."""
    post_build = spec.get("postBuild") or {}
    found: dict[str, str] = {}
    for reference in post_build.get("substituteFrom") or ():
        resource = await cluster.resource("", str(reference.get("kind")), "v1")
        manifest = await cluster.get(resource, namespace, str(reference.get("name"))) if resource else None
        data = (manifest or {}).get("data") or {}
        secret = reference.get("kind") == "Secret"
        found |= {str(key): _decoded(str(value)) if secret else str(value) for key, value in data.items()}
    found |= {str(key): str(value) for key, value in (post_build.get("substitute") or {}).items()}
    return {key: value.replace("\n", "") for key, value in found.items()}


def _decoded(value: str) -> str:
    try:
        return base64.b64decode(value).decode(errors="replace")
    except binascii.Error:
        return ""


class Renderer:
    """Renders an environment at a commit; the last ones are remembered by everything that goes into them."""

    def __init__(self, repo: Repo) -> None:
        self._repo = repo
        self._cache = render.Cache()
        self._known: OrderedDict[tuple[Any, ...], Rendered | InputError] = OrderedDict()

    def at(self, commit: CommitId, environment: Environment, seen: Seen) -> Rendered:
        """Raises InputError when it does not build."""
        tree = self._repo.tree(commit)
        spec = (seen.manifest or {}).get("spec") or (environment.kustomization.spec if environment.kustomization else None)
        key = (tree.id or commit, environment.root, repr(spec), _ignored(environment), tuple(sorted(seen.variables.items())))
        if key not in self._known:
            try:
                self._known[key] = self._render(commit, environment, spec, seen)
            except InputError as error:
                self._known[key] = error
        self._known.move_to_end(key)
        while len(self._known) > _KEPT:
            self._known.popitem(last=False)
        found = self._known[key]
        if isinstance(found, InputError):
            raise found
        return found

    def _render(self, commit: CommitId, environment: Environment, spec: Mapping[str, Any] | None, seen: Seen) -> Rendered:
        # What its source leaves out is never applied: without this the digests of sync and promotion could differ.
        tree = ignoring.IgnoringTree(self._repo.tree(commit), _ignored(environment))
        if spec is None:
            return render.build(tree, environment.root, render.Options(clock=time.thread_time))
        namespace, name = sync_name(environment)
        # The directory is the environment's own: what is compared and proposed is what stands in this repository there.
        spec = {**spec, "path": f"./{environment.root}"}
        known, clock = seen.variables or None, time.thread_time
        return render.flux_build(tree, spec, name=name, namespace=namespace, variables=known, cache=self._cache, clock=clock)


def _ignored(environment: Environment) -> str | None:
    """The ignore rules of the environment's GitRepository; None for Flux's own."""
    ignore = environment.source.spec.get("ignore") if environment.source is not None else None
    return ignore if isinstance(ignore, str) else None
