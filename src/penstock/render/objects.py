"""Manifest bytes in, resources out: documents checked for kind and name, lists opened, empty documents dropped."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from penstock.model.errors import InputError, Problem
from penstock.model.fieldpath import FieldPath
from penstock.render.jsonpatch import through_json
from penstock.render.resources import LIST_SUFFIX, Resource
from penstock.yamldoc import composing, reading, scalars


def load(data: bytes, path: str, leniency: reading.Leniency = reading.STRICT, *, own: bool = True) -> list[Resource]:
    """The resources of a manifest file, in kustomize's order. Raises InputError with every document's problem.

    With `own` false the values are shared with a cache, and copied here before anybody changes them.
    """
    return from_documents(reading.load_all(data, path, leniency), own=own)


def from_documents(documents: list[reading.Document], *, own: bool = True) -> list[Resource]:
    """The same from documents that were read before."""
    problems: list[Problem] = []
    resources: list[Resource] = []
    pending: list[tuple[Any, reading.Document, FieldPath, str]] = []
    own_or_shared = "own" if own else "shared"
    for document in documents:
        value = document.value
        if document.alone and isinstance(value, dict) and value.get("kind") in ("List", "ResourceList") and "items" in value:
            items = value["items"]
            if isinstance(items, list):
                pending += [(item, document, ("items", index), own_or_shared) for index, item in enumerate(items)]
        else:
            pending.append((value, document, (), own_or_shared))
    while pending:
        value, document, path, state = pending.pop(0)
        if not value and not isinstance(value, bool | int | float):
            continue
        problem = _problem(value, document)
        if problem is not None:
            problems.append(problem)
            continue
        kind = value["kind"] if type(value["kind"]) is str else scalars.text_of(value["kind"])
        if kind.endswith(LIST_SUFFIX) and "items" in value:
            items = value["items"]
            if items is None:
                continue
            if not isinstance(items, list):
                problems.append(
                    Problem(
                        what=f"expected array in {kind}/items, but found something else",
                        where=document.place(("items",)),
                        code="ListItems",
                    )
                )
                continue
            if not path:
                value = _decoded(value, document)
                items = value["items"]
            pending += [
                (through_json(item, exact_integers=True), document, (*path, "items", index), "json")
                for index, item in enumerate(items)
            ]
            continue
        resource = Resource(composing.copied(value) if state == "shared" else value, document, path=path)
        resource.round_tripped = resource.as_json = state == "json"
        if document.unspelled and not resource.as_json:
            resource.unspelled = list(_unspelled(resource.value, path, document.unspelled))
        resources.append(resource)
    if problems:
        raise InputError(problems)
    return resources


def _decoded(value: Any, document: reading.Document) -> Any:
    """A FooList, which kustomize decodes without printing it first: its times are times between braces too."""
    if document.quoted_times:
        value = composing.copied(value)
        for path, text in document.quoted_times:
            container = value
            for step in path[:-1]:
                container = container[step]
            container[path[-1]] = text
    return value


def _unspelled(value: Any, path: FieldPath, unspelled: tuple[FieldPath, ...]) -> Iterator[tuple[Any, Any]]:
    """The places of a document's unspelled nulls in one of its objects."""
    for whole in unspelled:
        if whole[: len(path)] == path:
            container = value
            for step in whole[len(path) : -1]:
                container = container[step]
            yield container, whole[-1]


def _problem(value: Any, document: reading.Document) -> Problem | None:
    if not isinstance(value, dict):
        return Problem(
            what="missing Resource metadata: the document is not a Kubernetes object",
            where=document.place(),
            code="MissingMetadata",
        )
    kind = value.get("kind")
    metadata = value.get("metadata")
    if not kind:
        missing = not value.get("apiVersion") and not (isinstance(metadata, dict) and metadata)
        what = "missing Resource metadata: the document is not a Kubernetes object" if missing else "missing kind in object"
        return Problem(what=what, where=document.place(), code="MissingMetadata" if missing else "MissingKind")
    if type(kind) is str and kind.endswith(LIST_SUFFIX):
        return None
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if name is None or name == "" or name == {} or name == []:
        return Problem(
            what="missing metadata.name in object",
            where=document.place(("metadata",)),
            hint="generateName is not enough: an object in Git needs a fixed name"
            if isinstance(metadata, dict) and "generateName" in metadata
            else None,
            code="MissingName",
        )
    return None
