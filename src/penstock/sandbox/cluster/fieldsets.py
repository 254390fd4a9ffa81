"""Which fields an object has, as sets of paths: the algebra under managedFields.

In: objects and their `schema.Node`. Out: path sets, comparisons, merges and removals, all without side effects. A path is
a tuple of elements spelled as Kubernetes' fieldsV1 spells them: `f:name`, `k:{"name":"web"}`, `v:"finalizer"`.
Source: sigs.k8s.io/structured-merge-diff, whose behaviour this follows.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import msgspec

from penstock.sandbox.cluster.schema import ANY, Node

Path = tuple[str, ...]
PathSet = frozenset[Path]
EMPTY: PathSet = frozenset()


class Mark(Enum):
    """What stands at a path that is not a leaf."""

    MEMBER = 1
    """A list item or map key, itself a member of the set, with more below."""
    HOLLOW = 2
    """An empty map, or null: a member, but not a value to compare."""
    STRUCT = 3
    """A named field with fields below: not a member, but an addition when it appears."""


class SchemaMismatchError(Exception):
    """The object does not fit its schema; `args[0]` says where and how, one line per finding."""


# ------------------------------------------------------------------------------------------------- serialization


def to_fields_v1(paths: Iterable[Path]) -> dict[str, Any]:
    """The nested fieldsV1 document of a set, with '.' where a path is itself a member and has members below."""
    tree: dict[str, Any] = {}
    for path in paths:
        position = tree
        for element in path:
            position = position.setdefault(element, {})
        position["."] = {}
    return _document(tree)


def _document(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Sorted by key; a lone '.' is a leaf and stays unsaid."""
    if tree.keys() == {"."}:
        return {}
    return {key: {} if key == "." else _document(tree[key]) for key in sorted(tree)}


def from_fields_v1(document: Mapping[str, Any], prefix: Path = ()) -> set[Path]:
    """The paths a fieldsV1 document names."""
    paths: set[Path] = set()
    for key, below in document.items():
        if key == ".":
            paths.add(prefix)
        elif not below:
            paths.add((*prefix, key))
        else:
            paths |= from_fields_v1(below, (*prefix, key))
    return paths


def show(path: Path) -> str:
    """The path as conflict messages spell it: .spec.containers[name="web"].image."""
    parts = []
    for element in path:
        head, rest = element[:2], element[2:]
        if head == "f:":
            parts.append(f".{rest}")
        elif head == "k:":
            keys = json.loads(rest)
            parts.append("[" + ",".join(f"{name}={json.dumps(value)}" for name, value in keys.items()) + "]")
        else:
            parts.append(f"[={rest}]")
    return "".join(parts)


# ------------------------------------------------------------------------------------------------- list items


def item_element(node: Node, item: Any) -> str:
    """The path element of an item of a set or keyed list. Raises SchemaMismatchError when it has no key."""
    if not node.keys:
        return "v:" + json.dumps(item, ensure_ascii=False, separators=(",", ":"))
    if not isinstance(item, dict):
        raise SchemaMismatchError(f"associative list with keys may not have non-map elements: {type(item).__name__}")
    values = {}
    assert node.element is not None
    for key in node.keys:
        value = item.get(key)
        if value is None:
            field = node.element.child(key)
            if field is None or field.default is None:
                continue
            value = field.default
        values[key] = value
    if not values:
        keys = ", ".join(f'"{key}"' for key in node.keys)
        raise SchemaMismatchError(
            f"associative list with keys has an element that omits key field {keys} (and doesn't have default value)"
        )
    return "k:" + json.dumps(values, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


# ------------------------------------------------------------------------------------------------- flattening


def flatten(node: Node, value: Any) -> dict[Path, Any]:
    """Every place of an object: leaf values, and Marks where there is more below or nothing."""
    out: dict[Path, Any] = {}
    _flatten(node, value, (), out)
    return out


def _flatten(node: Node, value: Any, path: Path, out: dict[Path, Any]) -> None:
    if isinstance(value, dict) and node.shape in ("map", "any") and not node.atomic:
        fields = node.fields if node.shape == "map" else {}
        extra = (node.extra or ANY) if node.shape == "map" else ANY
        for key, child in value.items():
            named = fields.get(key)
            below = (*path, f"f:{key}")
            _flatten(named or extra, child, below, out)
            if child is None or child == {}:
                out[below] = Mark.HOLLOW
            elif below not in out:
                out[below] = Mark.MEMBER if named is None else Mark.STRUCT
    elif isinstance(value, list) and node.shape == "list" and not node.atomic:
        assert node.element is not None
        for item in value:
            below = (*path, item_element(node, item))
            _flatten(node.element, item, below, out)
            out.setdefault(below, Mark.MEMBER)
    elif value is not None and path:
        out[path] = value


def members(flat: Mapping[Path, Any]) -> PathSet:
    """The field set of a flattened object: what an applier of it owns."""
    return frozenset(path for path, value in flat.items() if value is not Mark.STRUCT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How one object differs from another, as sets of paths."""

    added: PathSet
    modified: PathSet
    removed: PathSet


def compare(old: Mapping[Path, Any], new: Mapping[Path, Any]) -> Comparison:
    """What changed between two flattened objects; an added struct counts with all its fields."""
    modified = {
        path
        for path, value in new.items()
        if path in old and not isinstance(value, Mark) and not isinstance(old[path], Mark) and not same(value, old[path])
    }
    return Comparison(
        added=frozenset(path for path in new if path not in old),
        modified=frozenset(modified),
        removed=frozenset(path for path in old if path not in new),
    )


def same(one: Any, other: Any) -> bool:
    """Equality of JSON values: true is not 1, 1 is 1.0."""
    if one is other:
        return True
    if one != other:
        return False
    if isinstance(one, (dict, list)) and msgspec.json.encode(one, order="sorted") == msgspec.json.encode(other, order="sorted"):
        return True
    # Python takes True for 1, so what it finds equal may still differ.
    if isinstance(one, dict):
        return all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list):
        return all(same(a, b) for a, b in zip(one, other, strict=True))
    return isinstance(one, bool) == isinstance(other, bool)


def mismatches(node: Node, value: Any, path: str = "") -> list[str]:
    """Where an object does not fit its schema, as structured-merge-diff says it: '.spec.foo: field not declared in schema'."""
    if value is None or node.shape == "any":
        return []
    if node.shape == "map":
        if not isinstance(value, dict):
            return [f"{path}: expected map, got &{{{_go(value)}}}"]
        found = []
        for key, child in value.items():
            below = node.child(key)
            found += [f"{path}.{key}: {UNDECLARED}"] if below is None else mismatches(below, child, f"{path}.{key}")
        return found
    if node.shape == "list":
        if not isinstance(value, list):
            return [f"{path}: expected list, got &{{{_go(value)}}}"]
        return _list_mismatches(node, value, path)
    return _scalar_mismatch(node, value, path)


UNDECLARED = "field not declared in schema"


def _scalar_mismatch(node: Node, value: Any, path: str) -> list[str]:
    if node.type in ("integer", "number"):
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return [] if number else [f"{path}: expected numeric (int or float), got {_go_type(value)}"]
    if node.type == "boolean":
        return [] if isinstance(value, bool) else [f"{path}: expected boolean, got &{{{_go(value)}}}"]
    if node.type == "string":
        shown = f"{_go_type(value)}{{...}}" if isinstance(value, (dict, list)) else _go(value)
        return [] if isinstance(value, str) else [f"{path}: expected string, got &value.valueUnstructured{{Value:{shown}}}"]
    return [f"{path}: expected scalar, got &{{{_go(value)}}}"] if isinstance(value, (dict, list)) else []


def _go(value: Any) -> str:
    """A value as Go's %v prints it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{_go(child)}" for key, child in sorted(value.items())) + "]"
    if isinstance(value, list):
        return "[" + " ".join(_go(item) for item in value) + "]"
    return str(value)


def _go_type(value: Any) -> str:
    names = {bool: "bool", int: "int64", float: "float64", str: "string", dict: "map[string]interface {}"}
    return names.get(type(value), "[]interface {}")


def _list_mismatches(node: Node, items: list[Any], path: str) -> list[str]:
    assert node.element is not None
    found = []
    seen = set()
    for index, item in enumerate(items):
        if not node.atomic:
            try:
                element = item_element(node, item)
            except SchemaMismatchError as error:
                found.append(f"{path}: element {index}: {error.args[0]}")
                continue
            if element in seen:
                found.append(f"{path}: duplicate entries for key {show((element,))}")
            seen.add(element)
            found += mismatches(node.element, item, path + show((element,)))
        else:
            found += mismatches(node.element, item, f"{path}[{index}]")
    return found


# ------------------------------------------------------------------------------------------------- merging


def merge(node: Node, old: Any, new: Any) -> Any:
    """The old object with everything the new one states; keyed lists merge, in the order of structured-merge-diff."""
    if isinstance(old, dict) and isinstance(new, dict) and node.shape in ("map", "any") and not node.atomic:
        out = dict(old)
        for key, value in new.items():
            below = (node.child(key) if node.shape == "map" else None) or ANY
            out[key] = merge(below, old[key], value) if key in old else value
        return out
    if isinstance(old, list) and isinstance(new, list) and node.shape == "list" and not node.atomic and old and new:
        return _merge_list(node, old, new)
    return new


def _merge_list(node: Node, old: list[Any], new: list[Any]) -> list[Any]:
    """Items only the old list has stay where they stood relative to shared items; shared items take the new order."""
    assert node.element is not None
    old_keys = [item_element(node, item) for item in old]
    old_by_key: dict[str, Any] = dict(zip(reversed(old_keys), reversed(old), strict=True))
    new_by_key: dict[str, Any] = {item_element(node, item): item for item in new}
    new_keys = list(new_by_key)
    shared = [key for key in new_keys if key in old_by_key]
    out: list[Any] = []
    done: set[str] = set()
    left = right = 0

    def take(key: str) -> None:
        assert node.element is not None
        out.append(merge(node.element, old_by_key[key], new_by_key[key]) if key in old_by_key else new_by_key[key])
        done.add(key)
        if shared and shared[0] == key:
            shared.pop(0)

    while left < len(old) or right < len(new_keys):
        if left < len(old) and right < len(new_keys):
            key = old_keys[left]
            if key == new_keys[right]:
                take(key)
                left, right = left + 1, right + 1
                continue
            if key in new_by_key and shared and shared[0] != key:
                left += 1
                continue
        if left < len(old):
            key = old_keys[left]
            if key not in new_by_key:
                out.append(old[left])
                left += 1
                continue
            if key in done:
                left += 1
        if right < len(new_keys):
            take(new_keys[right])
            right += 1
    return out


# ------------------------------------------------------------------------------------------------- removing


def with_structs(node: Node, paths: Iterable[Path]) -> set[Path]:
    """The set, plus every struct on the way to a member (EnsureNamedFieldsAreMembers)."""
    out = set(paths)
    for path in paths:
        position: Node | None = node
        for depth, element in enumerate(path[:-1], 1):
            position, named = _descend(position or ANY, element)
            if named:
                out.add(path[:depth])
    return out


def _descend(node: Node, element: str) -> tuple[Node | None, bool]:
    if not element.startswith("f:"):
        return node.element, False
    field = node.fields.get(element[2:]) if node.shape == "map" else None
    return (field, True) if field is not None else (node.extra, False)


def remove(node: Node, value: Any, paths: Iterable[Path]) -> Any:
    """The object without these paths; a container that becomes empty goes, an atomic one is never opened."""
    tree: dict[str, Any] = {}
    for path in paths:
        position = tree
        for element in path:
            position = position.setdefault(element, {})
        position["."] = True
    return _remove(node, value, tree)


def _remove(node: Node, value: Any, tree: Mapping[str, Any]) -> Any:
    if isinstance(value, dict) and node.shape in ("map", "any") and not node.atomic:
        out = {}
        for key, child in value.items():
            below = tree.get(f"f:{key}")
            if below is None:
                out[key] = child
            elif "." not in below:
                kept = _remove((node.child(key) if node.shape == "map" else None) or ANY, child, below)
                if kept is not None:
                    out[key] = kept
        return out or None
    if isinstance(value, list) and node.shape == "list" and not node.atomic:
        assert node.element is not None
        items = []
        for item in value:
            below = tree.get(item_element(node, item))
            if below is None:
                items.append(item)
            elif "." not in below:
                items.append(_remove(node.element, item, below))
        return items or None
    return value
