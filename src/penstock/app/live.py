"""What a Kustomization of a cluster would apply from the files of a folder, and how that differs from what runs.

In: a cluster, a Kustomization (or its file), a folder. Out: objects, differences. Nothing is changed: the server is asked by
dry-runs under Flux's field manager. Values of Secrets are never shown.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal

from penstock import render
from penstock.app import build, objects
from penstock.apply import planning
from penstock.apply.marks import Owner
from penstock.apply.planning import Desired
from penstock.controllers import building, specs
from penstock.model import errors, flux, inventory
from penstock.model.resource import Manifest, ResourceId
from penstock.model.tree import Tree
from penstock.ports.cluster import Cluster

MASK: Final = "***"
_IN_FLIGHT = 16
_NOISE = ("managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink")
_KEYS = ("name", "key", "port", "containerPort", "mountPath", "ip")
State = Literal["created", "drifted", "deleted", "unchanged"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One field: what is there, what would be. None: nothing is."""

    path: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One object."""

    id: ResourceId
    state: State
    changes: Sequence[Change] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """What a Kustomization asks for."""

    manifest: Manifest
    desired: Sequence[Desired]


async def built(
    cluster: Cluster | None, namespace: str, name: str, folder: Path, *, given: Manifest | None = None, offline: bool = False
) -> Built:
    """Build a Kustomization with the folder in the place of its path. `given`: its manifest, instead of the cluster's;
    `offline`: without the variables that only the cluster has.

    Raises InputError with every problem; RefusedError, TransientError.
    """
    manifest = given
    if manifest is None:
        assert cluster is not None
        manifest = await objects.get(cluster, objects.KUSTOMIZATION, namespace, name)
    tree, path = _tree(folder)
    spec = {**(manifest.get("spec") or {}), "path": path}
    manifest = {**manifest, "spec": spec, "metadata": {"namespace": namespace, **manifest["metadata"]}}
    known = specs.kustomization(manifest)
    if offline or cluster is None:
        known = replace(known, substitutions=())
    variables = await _variables(cluster, known, namespace)
    own = Owner(str(manifest["metadata"]["name"]), str(manifest["metadata"]["namespace"]))
    rendered = await asyncio.to_thread(render.flux_build, tree, spec, name=own.name, namespace=own.namespace, variables=variables)
    return Built(manifest=manifest, desired=planning.desired(rendered, own))


async def variables(cluster: Cluster, namespace: str, name: str) -> Mapping[str, str]:
    """The variables of a Kustomization's postBuild. Raises InputError, RefusedError, TransientError."""
    manifest = await objects.get(cluster, objects.KUSTOMIZATION, namespace, name)
    return await building.variables(cluster, specs.kustomization(manifest), namespace) or {}


async def _variables(cluster: Cluster | None, spec: specs.KustomizationSpec, namespace: str) -> Mapping[str, str] | None:
    if cluster is not None:
        return await building.variables(cluster, spec, namespace)
    return {**spec.substitute} if spec.raw.get("postBuild") is not None else None


def _tree(folder: Path) -> tuple[Tree, str]:
    from penstock.adapters.files import DirectoryTree

    if not folder.is_dir():
        raise errors.invalid(f"{folder} is not a folder", hint="--path names the folder with the manifests", code="NoFolder")
    root = build.around(folder)
    return DirectoryTree(root), f"./{folder.resolve().relative_to(root).as_posix()}"


def shown(manifest: Manifest) -> Manifest:
    """A manifest for eyes: values of Secrets are masked."""
    if manifest.get("kind") != "Secret":
        return manifest
    masked = copy.copy(manifest)
    for part in ("data", "stringData"):
        if isinstance(manifest.get(part), Mapping):
            masked[part] = dict.fromkeys(manifest[part], MASK)
    return masked


async def compare(cluster: Cluster, found: Built) -> list[Difference]:
    """Every object that would be created, changed or pruned, in the order of applying, then of pruning.

    Raises InputError with everything the server refuses; TransientError.
    """
    slots = asyncio.Semaphore(_IN_FLIGHT)
    problems: list[errors.Problem] = []

    async def one(wanted: Desired) -> Difference | None:
        async with slots:
            try:
                return await _compared(cluster, wanted)
            except errors.RefusedError as error:
                problems.append(errors.Problem(what=f"{wanted.id}: {error.what}", where=wanted.place, code=error.code))
                return None

    results = await asyncio.gather(*(one(wanted) for wanted in found.desired))
    if problems:
        raise errors.InputError(problems)
    pruned = await _pruned(cluster, found)
    return [each for each in results if each is not None and each.state != "unchanged"] + pruned


async def _compared(cluster: Cluster, wanted: Desired) -> Difference:
    resource = await cluster.resource(wanted.id.group, wanted.id.kind, wanted.version)
    if resource is None:
        # its definition may come with the same build
        return Difference(id=wanted.id, state="created")
    live = await cluster.get(resource, wanted.id.namespace, wanted.id.name)
    if live is None:
        return Difference(id=wanted.id, state="created")
    after = await cluster.apply(resource, wanted.manifest, field_manager=flux.FIELD_MANAGER, dry_run=True)
    changes = list(_changes(_bare(live), _bare(after), ""))
    if wanted.id.kind == "Secret" and not wanted.id.group:
        changes = [_masked(change) for change in changes]
    return Difference(id=wanted.id, state="drifted" if changes else "unchanged", changes=changes)


async def _pruned(cluster: Cluster, found: Built) -> list[Difference]:
    spec = found.manifest.get("spec") or {}
    if spec.get("prune") is not True:
        return []
    wanted = {each.id for each in found.desired}
    owned = inventory.parse((found.manifest.get("status") or {}).get("inventory"))
    return [Difference(id=key, state="deleted") for key in owned if key not in wanted]


def _bare(manifest: Manifest) -> Manifest:
    metadata = {key: value for key, value in manifest["metadata"].items() if key not in _NOISE}
    return {**{key: value for key, value in manifest.items() if key != "status"}, "metadata": metadata}


def _masked(change: Change) -> Change:
    if not change.path.startswith(("data", "stringData")):
        return change

    def mask(value: Any, label: str) -> Any:
        if value is None:
            return None
        return dict.fromkeys(value, MASK) if isinstance(value, Mapping) else f"{MASK} ({label})"

    return Change(path=change.path, before=mask(change.before, "before"), after=mask(change.after, "after"))


def _changes(before: Any, after: Any, path: str) -> Iterator[Change]:
    """Fields that differ; items of lists are told by what they are named by."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in (*before, *(key for key in after if key not in before)):
            yield from _changes(before.get(key), after.get(key), f"{path}.{key}" if path else str(key))
    elif isinstance(before, list) and isinstance(after, list) and (key := _key(before, after)) is not None:
        named = {str(item[key]): item for item in before}, {str(item[key]): item for item in after}
        for name in (*named[0], *(name for name in named[1] if name not in named[0])):
            yield from _changes(named[0].get(name), named[1].get(name), f"{path}.{name}")
    elif before != after:
        yield Change(path=path, before=before, after=after)


def _key(*lists: list[Any]) -> str | None:
    items = [item for each in lists for item in each]
    if not items or not all(isinstance(item, Mapping) for item in items):
        return None
    for key in _KEYS:
        if all(key in item for item in items) and all(len({str(item[key]) for item in each}) == len(each) for each in lists):
            return key
    return None
