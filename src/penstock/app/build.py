"""Build what an environment applies, or any kustomization. In: a tree and a name or path. Out: rendered objects."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from penstock import render
from penstock.model import errors
from penstock.model.tree import Tree

if TYPE_CHECKING:
    from penstock.model.pipeline import Environment
    from penstock.model.rendered import Rendered, RenderedObject

# `penstock.source` is imported where it is used: a plain build has no use for it, and starts sooner without.


def environment(tree: Tree, env: Environment, *, cache: render.Cache | None = None) -> Rendered:
    """What sync would apply to this environment's cluster, without values that only the cluster holds (substituteFrom).

    Raises InputError with every problem of the build.
    """
    if env.kustomization is None:
        return render.build(tree, env.root, render.Options(clock=time.process_time))
    metadata = env.kustomization
    return render.flux_build(
        sourced(tree, env),
        metadata.spec,
        name=metadata.name,
        namespace=metadata.namespace,
        cache=cache,
        clock=time.process_time,
    )


def sourced(tree: Tree, env: Environment) -> Tree:
    """The part of the tree that Flux's source hands on: without what .sourceignore and its spec leave out."""
    from penstock.controllers.ignoring import IgnoringTree

    ignore = env.source.spec.get("ignore") if env.source is not None else None
    return IgnoringTree(tree, ignore if isinstance(ignore, str) else None)


def named(tree: Tree, name: str) -> Environment:
    """The environment of this name. Raises InputError that names those that are there."""
    from penstock import source

    found = source.discover(tree)
    if (env := found.environment(name)) is not None:
        return env
    names = ", ".join(str(env.name) for env in found.environments)
    raise errors.invalid(
        f"there is no environment {name!r}",
        hint=f"environments here: {names}" if names else "penstock init writes a repository with environments",
        code="UnknownEnvironment",
    )


def around(folder: Path) -> Path:
    """The folder whose files a build of `folder` may read: its Git work tree, or itself when it is in none."""
    folder = folder.resolve()
    return next((above for above in (folder, *folder.parents) if (above / ".git").exists()), folder)


def kustomization[Built](folder: Path, make: Callable[[Tree, str], Built]) -> Built:
    """`make` of the tree around a folder and the folder's path in it.

    Outside Git a folder has no natural border; then the tree is the lowest folder above it that holds all that is read,
    as kustomize would have it. Raises InputError.
    """
    from penstock.adapters.files import DirectoryTree

    folder = folder.resolve()
    root = around(folder) if folder.is_dir() else next(above for above in folder.parents if above.is_dir())
    while True:
        try:
            return make(DirectoryTree(root), folder.relative_to(root).as_posix())
        except errors.InputError as error:
            leaves = any(problem.code == "OutsideRepository" for problem in error.problems)
            if not leaves or (root / ".git").exists() or root == root.parent:
                raise
        root = root.parent


def files(objects: Sequence[RenderedObject]) -> dict[str, bytes]:
    """File name -> content, one object in each, named as kustomize names them: the namespace only if there are several."""
    from penstock.render.schema import Schema

    schema = Schema()
    entries: list[tuple[str, str, bytes]] = []
    for item in objects:
        api_version, kind = str(item.manifest.get("apiVersion", "")), item.id.kind
        name = "_".join(part for part in (*api_version.split("/"), kind, item.id.name) if part).lower()
        namespace = "" if schema.is_cluster_scoped(api_version, kind) else item.id.namespace or "default"
        entries.append((namespace, f"{name}.yaml", render.emit([item])))
    several = len({namespace for namespace, _name, _data in entries if namespace}) > 1
    return {f"{namespace.lower()}_{name}" if several and namespace else name: data for namespace, name, data in entries}
