"""Which fields of a live object are ours, and whether they are as we want them.

In: managedFields (Kubernetes' fieldsV1 sets) and manifests. Out: answers without a request. An object whose fields of
ours are exactly the fields we want, with the values we want, needs neither a read nor a dry-run: applying it would
change nothing. When the comparison is not certain (a quantity spelled another way, a value the server rewrites) the
answer is no, and a dry-run decides; its outcome is then remembered against `digest`.

Source: KEP-555, sigs.k8s.io/structured-merge-diff (path elements 'f:', 'k:', 'v:', 'i:' and '.').
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from penstock.model.values import MISSING

Fields = Mapping[str, Any]
"""A fieldsV1 set."""

_IDENTITY = frozenset({"apiVersion", "kind"})
_NAMING = frozenset({"name", "namespace"})

FLUX_EMPTY = frozenset({"f:resources", "f:strategy", "f:updateStrategy", "f:creationTimestamp", "f:status"})
"""Structs of built-in kinds that Flux's apply holds although no file has them: Go writes them empty. None of them is atomic,
so one that is held without anything in it was sent empty, and not sending it changes nothing in the object."""

UNDONE_MANAGERS: tuple[tuple[str, str], ...] = (("kubectl", "Apply"), ("kubectl", "Update"), ("before-first-apply", "Update"))
"""Managers (by prefix, with their operation) whose fields are taken over and so removed when Git does not have them."""


def undone_managers(also: Iterable[str] = ()) -> tuple[tuple[str, str], ...]:
    """The same with further managers, whatever they did."""
    return (*UNDONE_MANAGERS, *((name, operation) for name in also for operation in ("Apply", "Update")))


def fields_of(managed: object, manager: str) -> Fields | None:
    """The fields a manager holds by server-side apply; None when it holds none."""
    for entry in _entries(managed):
        if entry.get("manager") == manager and entry.get("operation") == "Apply" and not entry.get("subresource"):
            fields = entry.get("fieldsV1")
            return fields if isinstance(fields, Mapping) else None
    return None


def to_undo(managed: object, manager: str, undone: Sequence[tuple[str, str]] = UNDONE_MANAGERS) -> bool:
    """Whether somebody's hand-made changes have to be taken over before applying."""
    return any(_is_undone(entry, manager, undone) for entry in _entries(managed))


def taken_over(managed: object, manager: str, undone: Sequence[tuple[str, str]] = UNDONE_MANAGERS) -> list[dict[str, Any]]:
    """managedFields with the fields of the undone managers given to `manager`, so that its next apply drops those it
    does not want. Entries of the same API version become one, as two of one manager would hide each other."""
    kept: list[dict[str, Any]] = []
    ours: dict[str, dict[str, Any]] = {}
    for entry in _entries(managed):
        mine = entry.get("manager") == manager and entry.get("operation") == "Apply" and not entry.get("subresource")
        if not mine and not _is_undone(entry, manager, undone):
            kept.append(dict(entry))
            continue
        version = str(entry.get("apiVersion") or "")
        seen = ours.get(version)
        fields = _united(seen["fieldsV1"] if seen else {}, entry.get("fieldsV1") or {})
        ours[version] = {**entry, **(seen or {}), "manager": manager, "operation": "Apply", "fieldsV1": fields}
    return [*ours.values(), *kept]


def matches(desired: Mapping[str, Any], live: Mapping[str, Any], fields: Fields) -> bool:
    """Whether applying `desired` is certain to change nothing, `fields` being what we hold of `live`."""
    wanted = {key: value for key, value in desired.items() if key not in _IDENTITY}
    metadata = {key: value for key, value in (desired.get("metadata") or {}).items() if key not in _NAMING}
    if metadata:
        wanted["metadata"] = metadata
    else:
        wanted.pop("metadata", None)
    if _same_map(wanted, live, fields):
        return True
    return _built_in(desired) and _same_map(wanted, live, _without_empties(fields, wanted))


def _built_in(manifest: Mapping[str, Any]) -> bool:
    group = str(manifest.get("apiVersion") or "").rpartition("/")[0]
    return "." not in group or group.endswith(".k8s.io")


def _without_empties(fields: Fields, desired: Any) -> Fields:
    """The set without what only Flux's way of writing put into it."""
    kept = {}
    for key, below in fields.items():
        value = _at(desired, key, absent=True)
        if value is None and key in FLUX_EMPTY and not below:
            continue
        kept[key] = _without_empties(below, value) if below else below
    return kept


def as_good_as(before: Fields | None, after: Fields | None, live: Any) -> bool:
    """Whether two sets of fields of `live` differ only in fields that hold nothing: empty, zero, or absent.

    Flux sends what Go makes of an object of a built-in kind: empty structs that are in no file ('resources: {}'), and
    none of the empty values that are. Who holds these makes no difference to the object.
    """
    if before is None or after is None:
        return False
    for key in {*before, *after} - {"."}:
        value = _at(live, key)
        if key in before and key in after:
            if not as_good_as(before[key], after[key], value):
                return False
        elif value and not (key in FLUX_EMPTY and not before.get(key)):
            return False
    return True


def _at(value: Any, key: str, *, absent: bool = False) -> Any:
    """The part of a value that one path element names; None when it is not there. `absent`: see `_keyed`."""
    if key.startswith("f:"):
        return value.get(key[2:]) if isinstance(value, Mapping) else None
    if not isinstance(value, list):
        return None
    if key.startswith("k:"):
        keys = _literal(key[2:])
        return next((each for each in value if _keyed(each, keys, absent=absent)), None)
    return _literal(key[2:]) if key.startswith("v:") else value


def digest(live: Mapping[str, Any], fields: Fields) -> str:
    """A fingerprint of the fields we hold and their values: it changes when anybody touches one of them."""
    held = msgspec.json.encode([fields, _project(live, fields)], order="sorted")
    return hashlib.blake2b(held, digest_size=16).hexdigest()


def _entries(managed: object) -> list[Mapping[str, Any]]:
    return [entry for entry in managed if isinstance(entry, Mapping)] if isinstance(managed, list) else []


def _is_undone(entry: Mapping[str, Any], manager: str, undone: Sequence[tuple[str, str]]) -> bool:
    name, operation = str(entry.get("manager") or ""), entry.get("operation")
    if entry.get("subresource"):
        return False
    if name == manager:
        # fields of ours from before server-side apply
        return operation == "Update"
    return any(name.startswith(prefix) and operation == what for prefix, what in undone)


def _united(one: Fields, other: Fields) -> dict[str, Any]:
    result = dict(one)
    for key, value in other.items():
        result[key] = _united(result[key], value) if key in result else value
    return result


def _same(desired: Any, live: Any, fields: Fields) -> bool:
    if not fields or fields.keys() == {"."}:
        # held as a whole: a scalar, an atomic list or map, an empty map
        return _equal(desired, live)
    if isinstance(desired, Mapping):
        return isinstance(live, Mapping) and _same_map(desired, live, fields)
    if isinstance(desired, list):
        return isinstance(live, list) and _same_list(desired, live, fields)
    return False


def _same_map(desired: Mapping[str, Any], live: Mapping[str, Any], fields: Fields) -> bool:
    held = 0
    for key, below in fields.items():
        if key == ".":
            continue
        if not key.startswith("f:"):
            return False
        name = key[2:]
        if name not in desired or name not in live or not _same(desired[name], live[name], below):
            return False
        held += 1
    return held == len(desired)


def _same_list(desired: list[Any], live: list[Any], fields: Fields) -> bool:
    members = [(key, below) for key, below in fields.items() if key != "."]
    if len(members) != len(desired):
        return False
    if all(key.startswith("v:") for key, _ in members):
        wanted = [_literal(key[2:]) for key, _ in members]
        return all(item in wanted and item in live for item in desired)
    left = list(desired)
    for key, below in members:
        if not key.startswith("k:"):
            return False
        keys = _literal(key[2:])
        item = next((each for each in left if _keyed(each, keys, absent=True)), MISSING)
        found = next((each for each in live if _keyed(each, keys, absent=False)), MISSING)
        if item is MISSING or found is MISSING or not _same(item, found, below):
            return False
        left.remove(item)
    return not left


def _keyed(item: Any, keys: Mapping[str, Any], *, absent: bool) -> bool:
    """Whether a list item has these key values; `absent` lets a key be left out (the schema fills in a default)."""
    if not isinstance(item, Mapping):
        return False
    return all(item[name] == value if name in item else absent for name, value in keys.items())


def _equal(one: Any, other: Any) -> bool:
    # Python calls True and 1 equal; JSON does not
    if isinstance(one, bool) != isinstance(other, bool):
        return False
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(_equal(first, second) for first, second in zip(one, other, strict=True))
    return bool(one == other)


def _project(live: Any, fields: Fields) -> Any:
    """The part of a live value that a field set names."""
    if not fields or fields.keys() == {"."}:
        return live
    if isinstance(live, Mapping):
        return {
            key: _project(live[key[2:]], below) if key[2:] in live else None
            for key, below in fields.items()
            if key.startswith("f:")
        }
    if isinstance(live, list):
        return {key: _member(live, key, below) for key, below in fields.items() if key != "."}
    return live


def _member(live: list[Any], key: str, below: Fields) -> Any:
    if key.startswith("k:"):
        keys = _literal(key[2:])
        found = next((each for each in live if _keyed(each, keys, absent=False)), MISSING)
        return None if found is MISSING else _project(found, below)
    if key.startswith("v:"):
        return _literal(key[2:]) in live
    return live


@functools.lru_cache(maxsize=4096)
def _literal(text: str) -> Any:
    return msgspec.json.decode(text)
