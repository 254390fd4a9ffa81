"""Manifest bytes in, resources out: documents checked for kind and name, lists opened, empty documents dropped."""

from __future__ import annotations

from typing import Any

from penstock.model.errors import InputError, Problem
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
    pending: list[tuple[Any, reading.Document, bool]] = []
    for document in documents:
        value = document.value
        if len(documents) == 1 and isinstance(value, dict) and value.get("kind") in ("List", "ResourceList") and "items" in value:
            items = value["items"]
            pending += [(item, document, own) for item in (items if isinstance(items, list) else [])]
        else:
            pending.append((value, document, own))
    while pending:
        value, document, mine = pending.pop(0)
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
            pending += [(through_json(item, exact_integers=True), document, True) for item in items]
            continue
        resource = Resource(value if mine else composing.copied(value), document)
        resources.append(resource)
    if problems:
        raise InputError(problems)
    return resources


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
