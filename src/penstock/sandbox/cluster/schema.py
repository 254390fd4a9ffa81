"""The shape of objects: which fields exist, and how their lists and maps merge.

In: the facts table of the built-in kinds (`facts.json`), or a CRD's OpenAPI schema. Out: a `Node` tree that server-side
apply, strategic merge, field validation, defaulting and `kubectl explain` all walk.

The notation of one field in facts.json, left to right:

    +                     strategic merge patch merges this list or map instead of replacing it
    $                     strategic merge patch keeps only the keys its $retainKeys names
    string integer number boolean quantity intstr any    a scalar, or a value of any shape
    core.v1.Container     a type of the table; its field "*" says atomic, or the type of undeclared keys
    map:T atomicmap:T     free keys
    list:T                replaced as a whole
    set:T list[k1,k2]:T   merged by value, or by these keys; `list[k1,k2](k):T` when strategic merge uses another key
    = json                the default the schema states, also the zero of a field that is always there; `= {}`: such a struct;
                          `= null`: a time that is shown as null when it is not set
    ~                     left out when it has its type's zero value (Go: not a pointer, omitempty)
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from importlib import resources
from typing import Any, Literal

import msgspec

Shape = Literal["scalar", "list", "map", "any"]
_FIELD = re.compile(
    r"(?P<plus>\+?)(?P<dollar>\$?)"
    r"(?:(?P<box>map|atomicmap|list|set)(?:\[(?P<keys>[^\]]*)\])?(?:\((?P<merge_key>\w+)\))?:(?P<inner>.+?)|(?P<type>[\w.]+))"
    r"(?: = (?P<default>.+?))?(?P<zero> ~)?\Z"
)
SCALARS = frozenset({"string", "integer", "number", "boolean", "quantity", "intstr"})


class Node:
    """One place in an object. `fields` are named, `extra` is the shape of any other key, `element` of list items."""

    __slots__ = (
        "_type_fields",
        "always",
        "atomic",
        "default",
        "drop_zero",
        "element",
        "extra",
        "keys",
        "merge_key",
        "nullable",
        "own_fields",
        "patch_merge",
        "retain_keys",
        "shape",
        "type",
    )

    def __init__(
        self,
        shape: Shape,
        *,
        type_name: str = "",
        fields: dict[str, Node] | None = None,
        extra: Node | None = None,
        element: Node | None = None,
        atomic: bool = False,
        keys: tuple[str, ...] = (),
        merge_key: str = "",
        default: Any = None,
    ) -> None:
        self.shape: Shape = shape
        self.type = type_name
        self.own_fields = fields
        self.extra = extra
        self.element = element
        self.atomic = atomic
        """For a list: neither a set nor keyed. For a map: owned and replaced as a whole."""
        self.keys = keys
        """The keys of a keyed list; () for a set or an atomic list."""
        self.merge_key = merge_key
        """The key strategic merge patch uses for this list."""
        self.default = default
        self.always = False
        self.drop_zero = False
        self.nullable = False
        self.patch_merge = False
        self.retain_keys = False
        self._type_fields: dict[str, Node] | None = None

    @property
    def fields(self) -> dict[str, Node]:
        """The named fields; those of built-in types are read from the table when first asked for."""
        if self.own_fields is not None:
            return self.own_fields
        if self._type_fields is None:
            self._type_fields = _type_fields(self.type) if self.shape == "map" and self.type else {}
        return self._type_fields

    def child(self, key: str) -> Node | None:
        """The node below a key; None when the schema knows no such key."""
        return self.fields.get(key) or self.extra


ANY = Node("any")
"""A value the schema does not describe: maps merge by key, lists are atomic (structured-merge-diff's deduced type)."""


@functools.cache
def _facts() -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    raw = resources.files("penstock.sandbox.cluster").joinpath("facts.json").read_bytes()
    data = msgspec.json.decode(raw)
    return data["roots"], data["types"]


@functools.cache
def _type_fields(type_name: str) -> dict[str, Node]:
    return {name: parse(text) for name, text in _facts()[1][type_name].items() if name != "*"}


@functools.cache
def parse(text: str) -> Node:
    """The node of one field in the notation above."""
    match = _FIELD.match(text)
    assert match is not None, text
    node = _shape(match)
    node.patch_merge = bool(match["plus"])
    node.retain_keys = bool(match["dollar"])
    node.drop_zero = bool(match["zero"])
    if match["default"]:
        default = msgspec.json.decode(match["default"])
        if default is None:
            node.nullable = True
        elif default == {}:
            node.always = True
        else:
            node.default = default
    return node


def _shape(match: re.Match[str]) -> Node:
    box = match["box"]
    if box in ("map", "atomicmap"):
        return Node("map", extra=parse(match["inner"]), atomic=box == "atomicmap")
    if box in ("list", "set"):
        keys = tuple(match["keys"].split(",")) if match["keys"] else ()
        merge_key = match["merge_key"] or (keys[0] if keys else "")
        atomic = box == "list" and not keys
        return Node("list", element=parse(match["inner"]), atomic=atomic, keys=keys, merge_key=merge_key)
    name = match["type"]
    if name in SCALARS:
        return Node("scalar", type_name=name)
    if name == "any":
        return Node("any")
    rest = _facts()[1][name].get("*")
    extra = parse(rest) if rest and rest != "atomic" else None
    return Node("map", type_name=name, atomic=rest == "atomic", extra=extra)


def builtin_node(group: str, version: str, kind: str) -> Node:
    """The shape of a built-in kind."""
    api_version = f"{group}/{version}" if group else version
    return parse(_facts()[0][f"{api_version}/{kind}"])


def object_meta() -> Node:
    """The shape of metadata, the same for every kind."""
    return parse("meta.v1.ObjectMeta")


def from_openapi(schema: Mapping[str, Any], *, root: bool = False) -> Node:
    """The shape a CRD's structural schema describes."""
    if schema.get("x-kubernetes-int-or-string"):
        return Node("scalar", type_name="intstr")
    kind = schema.get("type")
    if kind == "array":
        return _openapi_list(schema)
    if kind == "object" or "properties" in schema or root:
        return _openapi_map(schema, root=root)
    if kind in ("string", "integer", "number", "boolean"):
        return Node("scalar", type_name=kind, default=schema.get("default"))
    return Node("any")


def _openapi_list(schema: Mapping[str, Any]) -> Node:
    element = from_openapi(schema.get("items") or {})
    list_type = schema.get("x-kubernetes-list-type", "atomic")
    keys = tuple(schema.get("x-kubernetes-list-map-keys", ())) if list_type == "map" else ()
    return Node("list", element=element, atomic=list_type == "atomic", keys=keys, merge_key=keys[0] if keys else "")


def _openapi_map(schema: Mapping[str, Any], *, root: bool) -> Node:
    fields = {name: from_openapi(part) for name, part in (schema.get("properties") or {}).items()}
    extra: Node | None = None
    additional = schema.get("additionalProperties")
    if isinstance(additional, Mapping):
        extra = from_openapi(additional)
    elif additional or schema.get("x-kubernetes-preserve-unknown-fields"):
        extra = ANY
    if root or schema.get("x-kubernetes-embedded-resource"):
        fields |= {"apiVersion": Node("scalar", type_name="string"), "kind": Node("scalar", type_name="string")}
        fields["metadata"] = object_meta()
    if not fields and extra is ANY:
        return Node("any")
    return Node("map", fields=fields, extra=extra, atomic=schema.get("x-kubernetes-map-type") == "atomic")
