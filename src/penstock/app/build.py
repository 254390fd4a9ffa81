"""Build what an environment applies, or any kustomization. In: a tree and a name or path. Out: rendered objects."""

from __future__ import annotations

from penstock import render, source
from penstock.model import errors
from penstock.model.pipeline import Environment
from penstock.model.rendered import Rendered
from penstock.model.tree import Tree


def environment(tree: Tree, env: Environment, *, cache: render.Cache | None = None) -> Rendered:
    """What sync would apply to this environment's cluster, without values that only the cluster holds (substituteFrom).

    Raises InputError with every problem of the build.
    """
    if env.kustomization is None:
        return render.build(tree, env.root)
    metadata = env.kustomization
    return render.flux_build(tree, metadata.spec, name=metadata.name, namespace=metadata.namespace, cache=cache)


def named(tree: Tree, name: str) -> Environment:
    """The environment of this name. Raises InputError that names those that are there."""
    found = source.discover(tree)
    if (env := found.environment(name)) is not None:
        return env
    names = ", ".join(str(env.name) for env in found.environments)
    raise errors.invalid(
        f"there is no environment {name!r}",
        hint=f"environments here: {names}" if names else "penstock init writes a repository with environments",
        code="UnknownEnvironment",
    )
