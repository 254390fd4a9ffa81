"""kustomize build: a tree and a directory in, the rendered objects out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from penstock.model.errors import InputError, Place, Problem
from penstock.model.rendered import Origin, Rendered, RenderedObject
from penstock.model.resource import ResourceId
from penstock.model.tree import Tree
from penstock.render import endings, loading, ordering, origins, plugins, transforming
from penstock.render.accumulating import Accumulator, Build, Layer
from penstock.render.caching import Cache
from penstock.render.fieldspecs import FieldSpec
from penstock.render.loading import Loader, LoadError
from penstock.render.options import Options
from penstock.render.resources import Resource, ResourceSet
from penstock.yamldoc import emitting, scalars

KUSTOMIZE_VERSION: Final = "v5.8.1"
"""The kustomize whose behaviour this is; written by the managed-by label."""

_INTERNAL: Final = frozenset(
    (
        "internal.config.kubernetes.io/previousKinds",
        "internal.config.kubernetes.io/previousNames",
        "internal.config.kubernetes.io/prefixes",
        "internal.config.kubernetes.io/suffixes",
        "internal.config.kubernetes.io/previousNamespaces",
        "internal.config.kubernetes.io/allowNameChange",
        "internal.config.kubernetes.io/allowKindChange",
        "internal.config.kubernetes.io/refBy",
        "internal.config.kubernetes.io/generatorBehavior",
        "internal.config.kubernetes.io/needsHashSuffix",
        "internal.config.kubernetes.io/path",
        "internal.config.kubernetes.io/index",
        "internal.config.kubernetes.io/seqindent",
        "internal.config.kubernetes.io/id",
        "internal.config.kubernetes.io/annotations-migration-resource-id",
        "internal.config.kubernetes.io/helm-generated",
        "config.kubernetes.io/path",
        "config.kubernetes.io/index",
        "config.k8s.io/id",
    )
)


def build(tree: Tree, path: str, options: Options = Options(), cache: Cache | None = None) -> Rendered:  # noqa: B008 - frozen
    """What `kustomize build PATH` prints, as objects. Raises InputError with every problem of every file."""
    if cache is None:
        return _build(tree, path, options, None)
    return cache.build(("build", path, options), tree, lambda: _build(tree, path, options, cache))


def _build(tree: Tree, path: str, options: Options, cache: Cache | None) -> Rendered:
    work = Build(Loader(tree, options.restriction), options, cache)
    layer = open_root(work, path)
    resources = run(work, layer)
    return finished(work, resources, options)


@dataclass(frozen=True, slots=True, kw_only=True)
class Printed:
    """A build as text only."""

    data: bytes
    warnings: tuple[Problem, ...]


def printed(tree: Tree, path: str, options: Options = Options()) -> Printed:  # noqa: B008 - frozen
    """The same bytes as `emit(build(...))`, without making the objects. Raises InputError."""
    work = Build(Loader(tree, options.restriction), options, None)
    resources = run(work, open_root(work, path))
    return Printed(data=_printed(work, resources, options), warnings=tuple(work.warnings))


def open_root(work: Build, path: str) -> Layer:
    """The kustomization of the directory that is built. Raises InputError."""
    try:
        root = work.loader.directory(loading.inside(path.strip("/") if path != "/" else ""))
        return work.load(root, (), (), None, None)
    except LoadError as error:
        where = Place(path=path.strip("/") or ".")
        what = error.what.replace("' does not exist", "' doesn't exist")
        raise InputError([Problem(what=what, where=where, code=error.code, hint=error.hint)]) from None


def run(work: Build, layer: Layer) -> list[Resource]:
    """Everything up to the ordered, finished resources. Raises InputError."""
    work.set_schema(layer, reset=True)
    gathered = Accumulator(ResourceSet(work.ids))
    if work.accumulate(layer, gathered) and not work.problems:
        work.finish(layer, gathered)
    if not work.problems:
        _order(work, layer, gathered.resources)
    if work.problems:
        raise InputError(work.problems)
    _label(work, layer, gathered.resources)
    keep = {
        name
        for name, wanted in (("originAnnotations", origins.ORIGIN), ("transformerAnnotations", origins.TRANSFORMATIONS))
        if name in layer.build_metadata
        for name in (wanted,)
    }
    for resource in gathered.resources:
        _clean(resource, keep)
        endings.settle(resource)
    return gathered.resources.resources


def _order(work: Build, layer: Layer, resources: ResourceSet) -> None:
    wanted = layer.kustomization.fields.get("sortOptions")
    try:
        if wanted is not None:
            plugins.sort_order(wanted)(resources)
        elif work.options.reorder != "none":
            resources.replace_all(ordering.legacy(resources.resources, work.ids))
    except plugins.PluginError as error:
        work.fail(layer, error, "sortOptions")


def _label(work: Build, layer: Layer, resources: ResourceSet) -> None:
    if work.options.managed_by or "managedByLabel" in layer.build_metadata:
        labels = {"app.kubernetes.io/managed-by": f"kustomize-{KUSTOMIZE_VERSION}"}
        transforming.set_texts(resources, labels, (FieldSpec(path="metadata/labels", create=True),), "managedByLabel")


def _clean(resource: Resource, keep: set[str]) -> None:
    """The annotations as kustomize leaves them: texts only, without its own marks, and none at all if empty."""
    if resource.unspelled:
        resource.spell_nulls()
    metadata = resource.value.setdefault("metadata", {})  # only a List without items has none
    if type(metadata) is not dict or "annotations" not in metadata:
        return
    annotations = metadata["annotations"]
    if type(annotations) is dict and any(type(value) is not str for value in annotations.values()):
        annotations = resource.spelled_texts("annotations")
    cleaned: dict[str, Any] = {}
    for key, value in annotations.items() if type(annotations) is dict else ():
        if key in _INTERNAL or (key in (origins.ORIGIN, origins.TRANSFORMATIONS) and key not in keep):
            continue
        cleaned[key] = value
    if cleaned:
        metadata["annotations"] = cleaned
    else:
        del metadata["annotations"]


def finished(work: Build, resources: list[Resource], options: Options) -> Rendered:
    """The result value of a build. Raises InputError for output over the budget and for keys that are not strings."""
    data = _printed(work, resources, options)
    return Rendered(
        objects=tuple(_rendered(resource) for resource in resources),
        digest=loading.digest(data),
        inputs=work.loader.inputs,
        warnings=tuple(work.warnings),
    )


def _printed(work: Build, resources: list[Resource], options: Options) -> bytes:
    data = emit(resource.value for resource in work.budget.watched(resources))
    if len(data) > options.max_output_bytes:
        raise InputError(
            [Problem(what=f"the output is larger than {options.max_output_bytes} bytes: {len(data)}", code="RenderBudget")]
        )
    return data


def _rendered(resource: Resource) -> RenderedObject:
    place = resource.place
    if place is None:
        document = resource.document
        if document is not None and not resource.path:
            place = Place(path=document.path, line=document.line)
        else:
            place = resource.found_at() or Place(path="")
    metadata = resource.value.get("metadata")
    namespace = metadata.get("namespace") if isinstance(metadata, dict) else None
    gvk = resource.gvk
    identity = ResourceId(gvk.group, gvk.kind, "" if namespace is None else scalars.text_of(namespace), resource.name)
    return RenderedObject(id=identity, manifest=resource.value, origin=Origin(place=place, transformers=resource.transformers))


def emit(objects: Rendered | Iterable[RenderedObject | Mapping[str, Any]]) -> bytes:
    """The YAML kustomize prints for a build, or for objects in the order given."""
    if isinstance(objects, Rendered):
        objects = objects.objects
    return emitting.emit_all(item.manifest if isinstance(item, RenderedObject) else item for item in objects)
