"""Environments rendered at commits, each once. In: trees and Kustomizations. Out: rendered objects, or why there are none.

The spec and the variables are those of the Kustomization in the cluster where it can be asked, since that is what is (or
will be) applied; else those written in the repository.
"""

from __future__ import annotations

import base64
import binascii
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from penstock import render
from penstock.model.errors import InputError, RemoteError
from penstock.model.pipeline import Environment
from penstock.model.rendered import Rendered
from penstock.model.resource import Manifest
from penstock.model.values import CommitId
from penstock.ports.cluster import Cluster
from penstock.ports.repo import Repo

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


async def look(environment: Environment, cluster: Cluster | None) -> Seen:
    """Ask an environment's cluster for its Kustomization and the variables that one uses."""
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
        return Seen(manifest=manifest, variables=await _variables(cluster, namespace, manifest.get("spec") or {}))
    except RemoteError as error:
        return Seen(problem=f"the cluster of {environment.name} does not answer: {error.what}")


def sync_name(environment: Environment) -> tuple[str, str]:
    """Namespace and name of the Kustomization that syncs it."""
    written = environment.kustomization
    return (written.namespace or "flux-system", written.name) if written else ("flux-system", str(environment.name))


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
        key = (tree.id or commit, environment.root, repr(spec), tuple(sorted(seen.variables.items())))
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
        tree = self._repo.tree(commit)
        if spec is None:
            return render.build(tree, environment.root)
        namespace, name = sync_name(environment)
        # The directory is the environment's own: what is compared and proposed is what stands in this repository there.
        spec = {**spec, "path": f"./{environment.root}"}
        return render.flux_build(tree, spec, name=name, namespace=namespace, variables=seen.variables or None, cache=self._cache)
