"""Check the Flux objects of a repository against the definitions a cluster would check them with, before it does.

In: a tree and its environments. Out: findings at the field: unknown fields (which a cluster drops in silence), wrong types,
values that cannot be. Messages never repeat a value.
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penstock.model import errors
from penstock.model.errors import Problem
from penstock.model.fieldpath import FieldPath, show
from penstock.model.tree import Tree
from penstock.yamldoc import reading

if TYPE_CHECKING:
    import jsonschema_rs

_MARK = b".toolkit.fluxcd.io"
_DURATION_START = "^([0-9]+"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Definition:
    schema: Any
    validator: jsonschema_rs.Validator


def problems(tree: Tree, roots: Iterable[str]) -> list[Problem]:
    """Every finding in YAML files below these directories, in file order. Files that are no YAML are the build's to report."""
    found: list[Problem] = []
    for path in _yaml_files(tree, roots):
        data = tree.read(path)
        if _MARK not in data:
            continue
        try:
            documents = reading.load_all(data, path)
        except errors.InputError:
            continue
        for document in documents:
            found += _of_document(document)
    return found


def _yaml_files(tree: Tree, roots: Iterable[str]) -> Iterator[str]:
    for root in dict.fromkeys(roots):
        entry = tree.entry(root)
        if entry is None:
            continue
        if entry.kind == "directory":
            yield from _yaml_files(tree, [f"{root}/{name}" for name in tree.names(root)])
        elif entry.kind == "file" and root.endswith((".yaml", ".yml")):
            yield root


def _of_document(document: reading.Document) -> list[Problem]:
    value = document.value
    if not isinstance(value, dict):
        return []
    served = _definitions().get((str(value.get("apiVersion", "")).partition("/")[0], str(value.get("kind"))))
    if served is None:
        return []
    version = str(value["apiVersion"]).partition("/")[2]
    if version not in served:
        what = f"{value['kind']} has no version {version!r} here"
        hint = f"served: {', '.join(served)}"
        return [Problem(what=what, where=document.place(("apiVersion",)), hint=hint, code="FluxVersion")]
    definition = served[version]
    errors_found = definition.validator.iter_errors(value)
    return [one for error in errors_found for one in _findings(document, error, definition.schema)]


def _findings(document: reading.Document, error: jsonschema_rs.ValidationError, schema: Any) -> Iterator[Problem]:
    path: FieldPath = tuple(error.instance_path)
    kind: Any = error.kind
    if kind.name == "additionalProperties":
        known = list(_at(schema, error.schema_path[:-1]).get("properties", {}))
        for name in kind.unexpected:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(sorted(known))}"
            where = document.place((*path, name))
            yield Problem(what=f"unknown field '{show((*path, name))}'", where=where, hint=hint, code="FluxSchema")
        return
    what, words_hint = _words(kind)
    at = f"'{show(path)}'" if path else "the object"
    yield Problem(what=f"{at} {what}", where=document.place(path), hint=words_hint, code="FluxSchema")


def _words(kind: Any) -> tuple[str, str | None]:
    """What is wrong, without the value."""
    match kind.name:
        case "required":
            return f"needs the field '{kind.property}'", None
        case "type":
            return f"must be of type {', '.join(kind.types)}", None
        case "enum":
            return "has a value that is not allowed", f"one of {', '.join(str(option) for option in kind.options)}"
        case "pattern" if kind.pattern.startswith(_DURATION_START):
            return "is not a duration", "like 30s, 5m or 1h30m"
        case "pattern":
            return f"does not match {kind.pattern}", None
        case other:
            return f"breaks the rule '{other}' of its definition", None


def _at(schema: Any, steps: Iterable[Any]) -> Any:
    for step in steps:
        schema = schema[step]
    return schema


@functools.cache
def _definitions() -> Mapping[tuple[str, str], Mapping[str, _Definition]]:
    """(group, kind) -> version -> definition."""
    import jsonschema_rs

    from penstock.controllers import installing

    found: dict[tuple[str, str], dict[str, _Definition]] = {}
    for crd in installing.definitions():
        spec = crd["spec"]
        schemas = {one["name"]: _closed(one["schema"]["openAPIV3Schema"]) for one in spec["versions"] if one["served"]}
        found[spec["group"], spec["names"]["kind"]] = {
            name: _Definition(schema=schema, validator=jsonschema_rs.validator_for(schema)) for name, schema in schemas.items()
        }
    return found


def _closed(schema: Any) -> Any:
    """The schema with unknown fields refused where a cluster would drop them; `metadata` is the cluster's own."""
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(value) for key, value in schema.items() if not key.startswith("x-kubernetes-") and key != "default"}
    open_ended = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object" and not open_ended:
        closed["additionalProperties"] = False
    return closed
