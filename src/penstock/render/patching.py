"""Patches: finding out what a text is, finding the objects it is for, applying it.

A patch is strategic-merge (one or more objects) or JSON 6902 (a list of operations); kustomize decides by trying both,
and so does this module.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from penstock.model.errors import InputError, Place
from penstock.model.fieldpath import FieldPath
from penstock.render import jsonpatch, objects, selecting, strategic
from penstock.render.resources import ResId, Resource, ResourceSet
from penstock.render.selecting import Selector
from penstock.render.transforming import TransformError
from penstock.yamldoc import composing, reading, scalars


class PatchTextError(Exception):
    """A text that is no patch, or that is two kinds of patch at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """A patch that was understood: exactly one of `merges` and `operations` is set."""

    merges: tuple[Resource, ...] = ()
    operations: tuple[jsonpatch.Operation, ...] = ()
    target: Selector | None = None
    allow_name_change: bool = False
    allow_kind_change: bool = False
    source: str = ""
    """'[path: "p.yaml"]' or '[patch: ...]', for messages; never the text itself."""
    place: Place | None = None
    note: str = ""


def parse_text(data: bytes, path: str, source: str, leniency: reading.Leniency) -> tuple[list[Resource], list[Any] | None]:
    """(objects, operations) of a patch text. Raises PatchTextError, or the InputError of the more likely reading."""
    merge_error: InputError | None = None
    merges: list[Resource] | None = None
    try:
        merges = objects.load(data, path, leniency)
    except InputError as error:
        merge_error = error
    operations: list[Any] | None = None
    json_error: Exception | None = None
    try:
        operations = parse_operations(data, path, leniency)
    except (InputError, ValueError) as error:
        json_error = error
    if merges and operations:
        raise PatchTextError(f"illegally qualifies as both an SM and JSON patch: {source}")
    if merges is None and operations is None:
        if isinstance(json_error, InputError) and _is_syntax(json_error):
            raise json_error
        reason = merge_error.problems[0].what if merge_error is not None else str(json_error)
        raise PatchTextError(f"unable to parse SM or JSON patch from {source}: {reason}")
    return merges or [], operations if merges is None else None


def _is_syntax(error: InputError) -> bool:
    return any(problem.code not in ("MissingKind", "MissingName", "MissingMetadata") for problem in error.problems)


def parse_operations(data: bytes, path: str, leniency: reading.Leniency) -> list[Any]:
    """The operations of a JSON 6902 text (JSON if it starts with '[', else YAML). Raises InputError, ValueError."""
    if not data:
        raise ValueError("empty json patch operations")
    if data[:1] == b"[":
        try:
            return jsonpatch.check(json.loads(data))
        except (json.JSONDecodeError, RecursionError, UnicodeDecodeError):
            # YAML flow style looks the same, but kustomize takes a text that starts with '[' for JSON
            raise ValueError("a patch that starts with '[' has to be JSON") from None
    document = reading.load_sigs(data, path, leniency)
    return jsonpatch.check(None if document is None else composing.copied(document.value))


class FieldSpelling:
    """How the files of an object and of its patch spell a field; asked only in the rare cases where it matters."""

    def __init__(self, resource: Resource, patch: Resource) -> None:
        self._resource = resource
        self._patch = patch

    def is_quoted(self, path: FieldPath) -> bool:
        return self._resource.is_quoted(path)

    def is_empty_null(self, path: FieldPath) -> bool:
        return self._resource.own_text(path) == ""

    def placed(self, value: Any, path: FieldPath) -> Any:
        """What a value of the patch becomes at its place: between braces kustomize puts quotes where it needs none else."""
        if type(value) is scalars.Timestamp and ":" in value.text:
            return value.text if self._resource.in_braces(path) else value
        if type(value) is list:
            inside = self._resource.in_braces(path)
            self._place_items(value, path, inside=inside)
            if inside or self._patch.in_braces(path):
                self._resource.braced.add(id(value))
        return value

    def _place_items(self, container: Any, path: FieldPath, *, inside: bool) -> None:
        for key, item in list(container.items() if type(container) is dict else enumerate(container)):
            below = (*path, key)
            if type(item) is dict or type(item) is list:
                self._place_items(item, below, inside=inside)
            elif item is None and self._patch.own_text(below) == "" and (inside or self._patch.in_braces(below)):
                self._resource.unspelled.append((container, key))
            elif inside and type(item) is scalars.Timestamp and ":" in item.text:
                container[key] = item.text


def apply_merge(resources: ResourceSet, resource: Resource, patch: Resource, options: Patch) -> None:
    """Merge one patch object into one resource; a resource that the patch deletes is marked as dropped."""
    resources.ids.budget.check()
    metadata = resource.value.get("metadata", {})
    name, namespace, kind = metadata.get("name"), metadata.get("namespace"), resource.value.get("kind")
    if options.allow_name_change or options.allow_kind_change:
        resources.ids.store_previous(resource)
    body = composing.copied(patch.value)
    merger = strategic.Merger(resources.ids.schema, FieldSpelling(resource, patch))
    try:
        merged = merger.merge(resource.value, body)
    except strategic.MergeError as error:
        shown = resources.ids.current(resource)
        raise TransformError(f"{error} (patching {shown})", resource) from None
    if not isinstance(merged, dict) or not merged:
        resource.dropped = True
        return
    resource.value = merged
    resource.settle()
    if not options.allow_kind_change:
        merged["kind"] = kind
    metadata = resource.metadata()
    if not options.allow_name_change:
        metadata["name"] = _put_back(resource, patch, "name", name)
    if namespace not in (None, "", {}, []):
        metadata["namespace"] = _put_back(resource, patch, "namespace", namespace)
    else:
        metadata.pop("namespace", None)
    resource.untagged |= {(id(merged), "kind"), (id(metadata), "name"), (id(metadata), "namespace")}
    if options.target is not None:
        resource.untagged.add((id(merged), "apiVersion"))
    resources.renamed = resources.renamed or options.allow_name_change or options.allow_kind_change
    resource.touched(options.note)


def _put_back(resource: Resource, patch: Resource, field: str, old: Any) -> Any:
    """A name or a namespace that a merge must not change: written without a tag, in the quotes that are there."""
    if type(old) is not str or type(scalars.same_as_written(old)) is str:
        return old
    metadata = patch.value.get("metadata")
    if not isinstance(metadata, dict) or field not in metadata:
        return old  # a text that looks like something else got quotes when the merge went past it
    quoted = metadata[field] is not None and (resource.round_tripped or resource.is_quoted(("metadata", field)))
    return old if quoted else scalars.same_as_written(old)


def apply(resources: ResourceSet, patch: Patch) -> list[Resource]:
    """Apply a patch wherever it belongs; the objects it changed. Raises TransformError, SetError, SelectorError."""
    if patch.operations:
        return _apply_operations(resources, patch)
    if not patch.merges:
        return []
    if patch.target is not None:
        if len(patch.merges) > 1:
            raise TransformError(
                "Multiple Strategic-Merge Patches in one `patches` entry is not allowed to set `patches.target` field: "
                + patch.source
            )
        return _apply_to_selected(resources, patch)
    changed = []
    for merge in patch.merges:
        identity = resources.ids.current(merge)
        target = resources.one_by_any_id(identity)
        apply_merge(resources, target, merge, patch)
        changed.append(target)
    resources.changed(changed)
    return changed


def _apply_to_selected(resources: ResourceSet, patch: Patch) -> list[Resource]:
    assert patch.target is not None
    merge = patch.merges[0]
    selected = selecting.select(patch.target, resources)
    for resource in selected:
        body = _with_texts(merge)
        body.value["apiVersion"] = resource.value.get("apiVersion")
        apply_merge(resources, resource, body, patch)
    resources.changed(selected)
    _check_unique(resources, selected)
    return selected


def _with_texts(merge: Resource) -> Resource:
    """A copy of a patch as kustomize makes one per target: labels and annotations are texts in it, null too.

    So `labels: {x: null}` does not delete in a patch with a target, it writes the word the patch has for null.
    """
    body = merge.copy()
    metadata = body.value.get("metadata")
    for field in ("labels", "annotations"):
        if not isinstance(metadata, dict) or field not in metadata:
            continue
        texts = body.spelled_texts(field)
        metadata.pop(field)
        if texts:
            metadata[field] = {key: texts[key] for key in sorted(texts)}
    return body


def apply_strategic(resources: ResourceSet, merges: Sequence[Resource], options: Patch) -> list[Resource]:
    """patchesStrategicMerge: every patch finds its one target by id, and the set is checked after each."""
    changed = []
    for merge in merges:
        identity = resources.ids.current(merge)
        target = resources.one_by_any_id(identity)
        apply_merge(resources, target, _with_texts(merge), options)
        resources.changed((target,))
        changed.append(target)
    return changed


def _check_unique(resources: ResourceSet, changed: list[Resource]) -> None:
    if not changed:
        return
    for first, second in resources.duplicates():
        shown: ResId = resources.ids.current(second)
        raise TransformError(f"may not add resource with an already registered id: {shown}", first)


def _apply_operations(resources: ResourceSet, patch: Patch) -> list[Resource]:
    if patch.target is None:
        raise TransformError(f"must specify a target for JSON patch {patch.source}")
    selected = selecting.select(patch.target, resources)
    for resource in selected:
        resources.ids.store_previous(resource)
        apply_operations(resources, resource, patch)
    resources.changed(selected)
    return selected


def apply_operations(resources: ResourceSet, resource: Resource, patch: Patch) -> None:
    """Apply JSON 6902 operations to one resource."""
    resources.ids.budget.check()
    resource.spell_nulls()
    try:
        value = jsonpatch.apply(jsonpatch.through_json(resource.value), list(patch.operations))
    except jsonpatch.PatchError as error:
        shown = resources.ids.current(resource)
        raise TransformError(f"{error.what} (JSON patch {patch.source} on {shown})", resource) from None
    if not isinstance(value, dict):
        raise TransformError(f"JSON patch {patch.source} turns {resources.ids.current(resource)} into a list", resource)
    resource.value = jsonpatch.through_json(value)
    resource.round_tripped = True
    resource.as_json = False
    resource.twins = ()
    resource.untagged = set()
    resource.braced = set()
    resources.renamed = True
    _annotations_as_texts(resource.value)
    resource.touched(patch.note)


def _annotations_as_texts(value: dict[str, Any]) -> None:
    """kustomize writes the annotations anew behind a JSON patch: texts only, and nothing where they are no map."""
    metadata = value.get("metadata")
    if not isinstance(metadata, dict) or "annotations" not in metadata:
        return
    found = metadata.pop("annotations")
    if isinstance(found, dict) and found:
        metadata["annotations"] = {key: scalars.text_of(item) for key, item in found.items()}
