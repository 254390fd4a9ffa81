"""The three classic patches: JSON patch, JSON merge patch, strategic merge patch.

In: an object and a patch document. Out: a new object; the old one is never changed. Raises ApiError 400 for a patch that
cannot be read and 422 for one that does not fit the object.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from penstock.sandbox.cluster import fieldsets
from penstock.sandbox.cluster.schema import ANY, Node
from penstock.sandbox.cluster.status import ApiError, bad_request


def merge_patch(value: Any, patch: Any) -> Any:
    """RFC 7386: null removes, objects merge, anything else replaces."""
    if not isinstance(patch, dict):
        return patch
    out = dict(value) if isinstance(value, dict) else {}
    for key, change in patch.items():
        if change is None:
            out.pop(key, None)
        else:
            out[key] = merge_patch(out.get(key), change)
    return out


# ------------------------------------------------------------------------------------------------- JSON patch


def json_patch(value: Any, operations: Any) -> Any:
    """RFC 6902, all operations or none."""
    if not isinstance(operations, list):
        raise bad_request("error decoding patch: a JSON patch is a list of operations")
    out = copy.deepcopy(value)
    for operation in operations:
        if not isinstance(operation, Mapping) or not isinstance(operation.get("path"), str):
            raise bad_request("error decoding patch: each operation has an op and a path")
        try:
            out = _operate(out, operation)
        except (KeyError, IndexError, ValueError, TypeError, AttributeError):
            what = f"{operation.get('op')} operation does not apply: doc is missing path: {operation['path']}"
            raise ApiError(
                422, "Invalid", f"the server rejected our request due to an error in our request: {what}", {}
            ) from None
    return out


def _operate(document: Any, operation: Mapping[str, Any]) -> Any:
    op, path = operation.get("op"), _pointer(operation["path"])
    if op == "test":
        if not fieldsets.same(_lookup(document, path), operation.get("value")):
            raise ValueError
        return document
    if op in ("add", "replace"):
        return _put(document, path, copy.deepcopy(operation.get("value")), insert=op == "add")
    if op == "remove":
        _take(document, path)
        return document
    if op in ("move", "copy"):
        source = _pointer(operation["from"])
        value = _take(document, source) if op == "move" else copy.deepcopy(_lookup(document, source))
        return _put(document, path, value, insert=True)
    raise bad_request(f"Unexpected kind: {op}")


def _pointer(text: str) -> list[str]:
    if text == "":
        return []
    if not text.startswith("/"):
        raise ValueError
    return [part.replace("~1", "/").replace("~0", "~") for part in text[1:].split("/")]


def _step(document: Any, part: str) -> Any:
    return document[int(part)] if isinstance(document, list) else document[part]


def _lookup(document: Any, path: list[str]) -> Any:
    for part in path:
        document = _step(document, part)
    return document


def _put(document: Any, path: list[str], value: Any, *, insert: bool) -> Any:
    if not path:
        return value
    parent, last = _lookup(document, path[:-1]), path[-1]
    if isinstance(parent, list):
        if insert:
            index = len(parent) if last == "-" else int(last)
            if index > len(parent):
                raise IndexError
            parent.insert(index, value)
        else:
            parent[int(last)] = value
    else:
        if not insert:
            parent[last]
        parent[last] = value
    return document


def _take(document: Any, path: list[str]) -> Any:
    parent = _lookup(document, path[:-1])
    return parent.pop(int(path[-1])) if isinstance(parent, list) else parent.pop(path[-1])


# ------------------------------------------------------------------------------------------------- strategic merge


_ORDER, _REMOVE = "$setElementOrder/", "$deleteFromPrimitiveList/"


def strategic_patch(node: Node, value: Any, patch: Any) -> Any:
    """Merge by schema: keyed lists by their merge key, with the $patch, $retainKeys, order and removal directives.

    Source: apimachinery strategicpatch. Lists that the schema does not mark are replaced.
    """
    if not isinstance(patch, dict):
        return patch
    if (directive := patch.get("$patch")) == "replace":
        return _plain({key: change for key, change in patch.items() if key != "$patch"})
    if directive == "delete":
        return {}
    out = dict(value) if isinstance(value, dict) else {}
    if (retain := patch.get("$retainKeys")) is not None:
        out = {key: child for key, child in out.items() if key in retain}
    for key, gone in patch.items():
        if key.startswith(_REMOVE):
            name = key.removeprefix(_REMOVE)
            out[name] = [item for item in out.get(name) or [] if item not in gone]
    for key, change in patch.items():
        if key.startswith("$"):
            continue
        child = (node.child(key) if node.shape == "map" else None) or ANY
        if change is None:
            out.pop(key, None)
        elif isinstance(change, list) and child.shape == "list" and child.patch_merge:
            out[key] = _merge_list(child, out.get(key) or [], change, patch.get(_ORDER + key))
        elif isinstance(change, dict):
            out[key] = strategic_patch(child, out.get(key), change)
        else:
            out[key] = _plain(change)
    for key, order in patch.items():
        name = key.removeprefix(_ORDER)
        if key.startswith(_ORDER) and name in out and name not in patch:
            child = (node.child(name) if node.shape == "map" else None) or ANY
            out[name] = _merge_list(child, out[name], [], order)
    return out


def _merge_list(node: Node, items: list[Any], patch: list[Any], order: list[Any] | None) -> list[Any]:
    """Items of a list by key: patched, added, deleted; then in the order the patch asks for."""
    assert node.element is not None
    key = node.merge_key
    if any(isinstance(item, dict) and item.get("$patch") == "replace" for item in patch):
        return [_plain(item) for item in patch if item != {"$patch": "replace"}]

    def name(item: Any) -> Any:
        return item.get(key) if key and isinstance(item, dict) else item

    found: dict[Any, Any] = {name(item): item for item in items}
    asked = []
    for change in patch:
        if key and (not isinstance(change, dict) or not isinstance(change.get(key), (str, int))):
            raise bad_request(f"an item of the patch does not contain declared merge key: {key}")
        if not key and not isinstance(change, (str, int)):
            raise bad_request("an item of the patch is not a plain value")
        if not key:
            found[change] = change
        elif change.get("$patch") == "delete":
            found.pop(change[key], None)
            continue
        else:
            found[change[key]] = strategic_patch(node.element, found.get(change[key]) or {}, change)
        asked.append(name(change))
    if order is not None:
        asked = [name(item) for item in order]
    return [
        found[item] for item in _interleaved([name(item) for item in items], [item for item in asked if item in found], found)
    ]


def _interleaved(live: list[Any], asked: list[Any], found: Mapping[Any, Any]) -> list[Any]:
    """Names the patch mentions in its order; the others between them, as the live list has them (mergeSortedSlice)."""
    rest = [item for item in live if item in found and item not in asked]
    out = []
    for item in asked:
        while rest and item in live and live.index(rest[0]) < live.index(item):
            out.append(rest.pop(0))
        out.append(item)
    return out + rest


def _plain(value: Any) -> Any:
    """A patch value as data: nulls and directives inside a new map mean nothing more."""
    if isinstance(value, dict):
        return {key: _plain(child) for key, child in value.items() if child is not None and not key.startswith("$")}
    if isinstance(value, list):
        return [_plain(child) for child in value if not (isinstance(child, Mapping) and "$patch" in child)]
    return value
