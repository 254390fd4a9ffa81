"""From a source's tree to the objects of a Kustomization, remembered for as long as what was read stays the same.

In: a tree, a spec, the variables of postBuild. Out: what the build gave and what is to be applied. A commit that changes
nothing that the last build read or looked for builds nothing.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from penstock.apply import marks, planning
from penstock.apply.marks import Owner
from penstock.apply.planning import Desired
from penstock.controllers.gitrepository import decoded
from penstock.controllers.specs import Key, KustomizationSpec
from penstock.decrypt.opening import Opener
from penstock.model import flux
from penstock.model.errors import InputError, Problem
from penstock.model.rendered import Rendered
from penstock.model.resource import ResourceId
from penstock.model.tree import Tree
from penstock.ports.cluster import Cluster

PATH_NOT_FOUND = "PathNotFound"


class Build(Protocol):
    """The render stage's door for Flux specs."""

    def __call__(
        self,
        tree: Tree,
        spec: Mapping[str, Any],
        *,
        name: str,
        namespace: str,
        variables: Mapping[str, str] | None,
        decrypt: Opener | None = None,
    ) -> Rendered:
        """Raises InputError with every problem."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A build and what it asks for."""

    key: str
    """What it was built from, apart from the tree."""
    rendered: Rendered
    desired: tuple[Desired, ...]
    digest: str = ""
    """Of the build as whoever has no keys makes it: what a promotion compares, and nothing that a guess at a secret could
    be checked against."""


class Builder:
    """Builds for one manager, one at a time away from the loop: parsed files are shared from build to build."""

    def __init__(self, build: Build | None = None) -> None:
        if build is None:
            from penstock import render

            build = functools.partial(render.flux_build, cache=render.Cache(), clock=time.thread_time)
        self._build = build
        self._one_at_a_time = asyncio.Lock()

    async def built(
        self,
        tree: Tree,
        spec: KustomizationSpec,
        name: Key,
        variables: Mapping[str, str] | None,
        last: Built | None,
        decrypt: Opener | None = None,
    ) -> Built:
        """The build of a Kustomization; `last` when nothing that it read changed. Raises InputError."""
        parts = [spec.raw, name, variables, decrypt.id if decrypt is not None else ""]
        key = hashlib.blake2b(msgspec.json.encode(parts, order="sorted"), digest_size=16).hexdigest()
        if last is not None and last.key == key and unchanged(tree, last.rendered):
            return last
        async with self._one_at_a_time:
            return await asyncio.to_thread(_built, self._build, tree, spec, name, variables, key, decrypt)


def unchanged(tree: Tree, rendered: Rendered) -> bool:
    """Whether everything a build read or looked for is the same in this tree."""
    if not rendered.inputs:
        return False
    for path, id in rendered.inputs.items():  # noqa: A001 - what the house calls it
        entry = tree.entry(path)
        if (entry.id if entry is not None else "") != id:
            return False
    return True


def _built(
    build: Build,
    tree: Tree,
    spec: KustomizationSpec,
    name: Key,
    variables: Mapping[str, str] | None,
    key: str,
    decrypt: Opener | None,
) -> Built:
    namespace, own_name = name
    if decrypt is None:
        rendered = build(tree, spec.raw, name=own_name, namespace=namespace, variables=variables)
        digest = rendered.digest
    else:
        rendered = build(tree, spec.raw, name=own_name, namespace=namespace, variables=variables, decrypt=decrypt)
        digest = _sealed_digest(build, tree, spec, name, variables) or rendered.digest
    if incomplete := _incomplete(rendered):
        raise InputError(incomplete)
    desired = planning.desired(rendered, Owner(own_name, namespace))
    problems = [*_encrypted(desired), *_doubled(desired)]
    if problems:
        raise InputError(problems)
    return Built(key=key, rendered=rendered, desired=desired, digest=digest)


def _sealed_digest(
    build: Build, tree: Tree, spec: KustomizationSpec, name: Key, variables: Mapping[str, str] | None
) -> str | None:
    """None when it does not build without keys: nobody else can build it then either."""
    try:
        return build(tree, spec.raw, name=name[1], namespace=name[0], variables=variables).digest
    except InputError:
        return None


def lacks_path(error: InputError) -> bool:
    """Whether a build failed because spec.path is not in the source: that is the artifact's fault, not the build's."""
    return any(problem.code == PATH_NOT_FOUND for problem in error.problems)


def _incomplete(rendered: Rendered) -> list[Problem]:
    """What has no name, kind or version is not an object."""
    return [
        Problem(what="an object needs apiVersion, kind and metadata.name", where=each.origin.place, code=flux.BUILD_FAILED)
        for each in rendered.objects
        if not (each.manifest.get("apiVersion") and each.id.kind and each.id.name)
    ]


def _encrypted(desired: tuple[Desired, ...]) -> list[Problem]:
    """Secrets still encrypted by SOPS: applied as they are, they would be garbage to whoever reads them."""
    return [
        Problem(
            what=f"{each.id} is SOPS encrypted, configuring decryption is required for this secret to be reconciled",
            where=each.place,
            code=flux.BUILD_FAILED,
        )
        for each in desired
        if each.id.kind == "Secret" and "sops" in each.manifest and not marks.marked(each.manifest, flux.DECRYPT, "disabled")
    ]


def _doubled(desired: tuple[Desired, ...]) -> list[Problem]:
    """Two manifests of one object: the second apply would undo the first."""
    seen: dict[ResourceId, Desired] = {}
    return [
        Problem(what=f"{each.id} is defined twice, also at {first.place}", where=each.place, code=flux.BUILD_FAILED)
        for each in desired
        if (first := seen.setdefault(each.id, each)) is not each
    ]


async def variables(cluster: Cluster, spec: KustomizationSpec, namespace: str) -> Mapping[str, str] | None:
    """The variables of postBuild: later sources win, inline ones win over all. None without postBuild.

    Raises InputError when a source that is not optional is missing, RemoteError.
    """
    if spec.raw.get("postBuild") is None:
        return None
    found: dict[str, str] = {}
    for each in spec.substitutions:
        resource = await cluster.resource("", each.kind, "v1")
        manifest = await cluster.get(resource, namespace, each.name) if resource is not None else None
        if manifest is None:
            if each.optional:
                continue
            what = f"substitute from '{each.kind}/{each.name}' error: not found in namespace {namespace}"
            raise InputError([Problem(what=what, code=flux.BUILD_FAILED)])
        if each.kind == "Secret":
            data = {key: value.decode(errors="replace") for key, value in decoded(manifest).items()}
        else:
            data = {key: str(value) for key, value in (manifest.get("data") or {}).items()}
        found |= {key: value.replace("\n", "") for key, value in data.items()}
    return found | {key: value.replace("\n", "") for key, value in spec.substitute.items()}
