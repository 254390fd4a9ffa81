"""Strategic merge: a patch and an object in, the merged object out, as kyaml's merge2 does it.

Lists merge by key only where the kind's schema says so; what the patch brings comes first. `$patch: delete | replace |
merge` is honoured in maps and lists. The rules are kyaml's, oddities included: a patch that touches an object drops its
empty nulls, and a value written over a quoted one stays quoted, so a string.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

from penstock.model.fieldpath import FieldPath, Keyed, Step, show
from penstock.model.values import MISSING, Missing
from penstock.render.schema import MergeNode, Schema
from penstock.yamldoc import scalars

DIRECTIVE: Final = "$patch"
Value = Any
"""A plain value, or MISSING for no node at all."""


class MergeError(Exception):
    """The patch does not fit the object; the message names a path, never a value."""


class Spelling(Protocol):
    """How the object's file spells a field, and what becomes of a value of the patch at its place."""

    def is_quoted(self, path: FieldPath) -> bool: ...

    def is_empty_null(self, path: FieldPath) -> bool: ...

    def placed(self, value: Value, path: FieldPath) -> Value: ...


class Merger:
    """One merge of a patch into an object."""

    def __init__(self, schema: Schema, spelling: Spelling) -> None:
        self._schema = schema
        self._spelling = spelling

    def merge(self, target: dict[str, Any], patch: dict[str, Any]) -> Value:
        """The merged object (the target itself, changed in place), MISSING when the patch deletes it.

        A whole object is never replaced: kustomize makes the replacement and leaves the object as it is.
        """
        if patch.get(DIRECTIVE) == "replace":
            return target
        return self._walk(target, patch, None, ())

    def _walk(self, dest: Value, origin: Value, schema: MergeNode | None, path: FieldPath) -> Value:
        kind = _kind(dest) or _kind(origin)
        if kind == "map":
            if schema is None:
                schema = self._schema_of(dest, origin)
            self._same_kind(dest, origin, kind, path)
            return self._walk_map(dest, origin, schema, path)
        if kind == "list":
            self._same_kind(dest, origin, kind, path)
            if schema is not None and schema.merge_keys is not None:
                return self._walk_keyed_list(dest, origin, schema, path)
            return self._spelling.placed(origin, path) if origin is not MISSING else dest
        if kind == "scalar":
            self._same_kind(dest, origin, kind, path)
            return self._scalar(dest, origin, path)
        return self._walk_null(dest, origin, path)

    def _walk_null(self, dest: Value, origin: Value, path: FieldPath) -> Value:
        """Both are null or missing: a null of the patch deletes, a spelled-out null of the object stays."""
        if origin is MISSING and dest is not MISSING and not self._spelling.is_empty_null(path):
            return dest
        return MISSING

    def _scalar(self, dest: Value, origin: Value, path: FieldPath) -> Value:
        if origin is MISSING:
            return dest
        if isinstance(dest, str) and origin is not None and not isinstance(origin, str) and self._stays_text(dest, path):
            return scalars.text_of(origin)
        return self._spelling.placed(origin, path)

    def _stays_text(self, dest: str, path: FieldPath) -> bool:
        """A string that would be something else without quotes has quotes; for others the file has to tell."""
        try:
            if not isinstance(scalars.resolve(dest), str):
                return True
        except scalars.NotFiniteError:
            return True
        return "\n" in dest or self._spelling.is_quoted(path)

    def _schema_of(self, dest: Value, origin: Value) -> MergeNode | None:
        """Any map that says apiVersion and kind brings its own schema."""
        for value in (dest, origin):
            if isinstance(value, dict) and value.get("kind") and value.get("apiVersion"):
                found = self._schema.merge_root(scalars.text_of(value["apiVersion"]), scalars.text_of(value["kind"]))
                if found is not None:
                    return found
        return None

    def _same_kind(self, dest: Value, origin: Value, kind: str, path: FieldPath) -> None:
        for value in (dest, origin):
            found = _kind(value)
            if found and found != kind:
                raise MergeError(
                    f"wrong node kind at '{show(path)}': the patch has a {_kind(origin)}, the object a {_kind(dest)}"
                )

    def _walk_map(self, dest: Value, origin: Value, schema: MergeNode | None, path: FieldPath) -> Value:
        target = self._visit_map(dest, origin, path)
        if target is MISSING or target is None:
            return MISSING
        other = origin if isinstance(origin, dict) else {}
        names = set(target)
        names.update(other)
        for name in sorted(names):
            child = schema.field(name) if schema is not None else None
            mine = target.get(name, MISSING)
            theirs = other.get(name, MISSING)
            if theirs is MISSING and type(mine) is str:
                continue
            merged = self._walk(mine, theirs, child, (*path, name))
            stays_null = mine is None and theirs is MISSING
            if merged is MISSING or (merged is None and not stays_null):
                target.pop(name, None)
            else:
                target[name] = merged
        return target

    def _visit_map(self, dest: Value, origin: Value, path: FieldPath) -> Value:
        if dest is MISSING or dest is None:
            return MISSING if self._directive(origin, path) == "delete" else origin
        if origin is None:
            return MISSING
        directive = self._directive(origin, path)
        if directive == "delete":
            return MISSING
        return origin if directive == "replace" else dest

    def _walk_keyed_list(self, dest: Value, origin: Value, schema: MergeNode, path: FieldPath) -> Value:
        target = self._visit_list(dest, origin, path)
        if target is MISSING or target is None:
            return MISSING
        keys = list(schema.merge_keys or ())
        sources = (target, origin)
        if keys:
            rows = _rows(sources, keys)
            return self._merge_items(target, sources, rows, keys, schema.items(), path)
        rows = _scalar_rows(sources)
        return self._merge_items(target, sources, rows, [""], schema.items(), path)

    def _visit_list(self, dest: Value, origin: Value, path: FieldPath) -> Value:
        if dest is MISSING or dest is None:
            return origin
        if origin is None:
            return MISSING
        directive = self._list_directive(origin, path)
        if directive == "delete":
            return MISSING
        return origin if directive == "replace" else dest

    def _merge_items(
        self,
        target: list[Any],
        sources: tuple[Value, Value],
        rows: list[list[str]],
        keys: list[str],
        schema: MergeNode | None,
        path: FieldPath,
    ) -> Value:
        merged_items: list[Any] = []
        if len(keys) > 1:
            rows = _merge_rows(rows)
        valid_keys: list[str] = keys
        for row in rows:
            if not row:
                continue
            valid_keys, valid_values = _valid(rows, row, keys)
            step: Step = Keyed(tuple(zip(valid_keys, valid_values, strict=False))) if valid_keys != [""] else 0
            found = [_find(source, valid_keys, valid_values) for source in sources]
            item = self._walk(found[0], found[1], schema, (*path, step))
            if item is MISSING or item is None or item == {}:
                _set_element(target, MISSING, valid_keys, valid_values)
                continue
            if isinstance(item, dict):
                for key, value in zip(valid_keys, valid_values, strict=False):
                    if key not in item and value:
                        item[key] = value
            _set_element(merged_items, item, valid_keys, valid_values)
        if rows:
            return _append_all(merged_items, target, valid_keys)
        return target

    def _directive(self, patch: Value, path: FieldPath) -> str:
        if not isinstance(patch, dict) or DIRECTIVE not in patch:
            return "merge"
        return self._known(scalars.text_of(patch.pop(DIRECTIVE)), path)

    def _list_directive(self, patch: Value, path: FieldPath) -> str:
        if not isinstance(patch, list):
            return "merge"
        for index, item in enumerate(patch):
            if isinstance(item, dict) and DIRECTIVE in item:
                if len(item) > 1:
                    return "merge"
                directive = self._known(scalars.text_of(item[DIRECTIVE]), path)
                del patch[index]
                return directive
        return "merge"

    @staticmethod
    def _known(directive: str, path: FieldPath) -> str:
        if directive not in ("delete", "replace", "merge"):
            raise MergeError(f"unknown patch strategy at '{show(path)}': $patch is one of delete, replace, merge")
        return directive


def _kind(value: Value) -> str:
    if value is MISSING or value is None:
        return ""
    if isinstance(value, dict):
        return "map"
    return "list" if isinstance(value, list) else "scalar"


def _key_text(item: Any, key: str) -> str:
    if not isinstance(item, dict):
        return ""
    value = item.get(key)
    return "" if value is None or value == {} or value == [] else scalars.text_of(value)


def _rows(sources: Sequence[Value], keys: list[str]) -> list[list[str]]:
    """The key values of every item, the patch's first, each combination once."""
    rows: list[list[str]] = []
    seen: set[tuple[str, ...]] = set()
    for source in (sources[1], sources[0]):
        if not isinstance(source, list):
            continue
        for item in source:
            row = [_key_text(item, key) for key in keys]
            if tuple(row) not in seen:
                seen.add(tuple(row))
                rows.append(row)
    return rows


def _scalar_rows(sources: Sequence[Value]) -> list[list[str]]:
    rows: list[list[str]] = []
    seen: set[str] = set()
    for source in (sources[1], sources[0]):
        for item in source if isinstance(source, list) else ():
            text = scalars.text_of(item)
            if text not in seen:
                seen.add(text)
                rows.append([text])
    return rows


def _merge_rows(rows: list[list[str]]) -> list[list[str]]:
    """Rows that agree wherever both have a value, and do agree somewhere, become one."""
    rows = list(rows)
    for i in range(len(rows)):
        first = rows[i]
        for j in range(len(rows)):
            joined = _joined(first, rows[j])
            if joined is not None:
                rows[i] = joined
                rows[j] = joined
    return rows


def _joined(one: list[str], other: list[str]) -> list[str] | None:
    if len(one) != len(other):
        return None
    common = False
    result = []
    for mine, theirs in zip(one, other, strict=True):
        if mine == theirs:
            common = True
            result.append(mine)
        elif mine and theirs:
            return None
        else:
            result.append(mine or theirs)
    return result if common else None


def _valid(rows: list[list[str]], row: list[str], keys: list[str]) -> tuple[list[str], list[str]]:
    """The keys that any row has a value for, and this row's values for them."""
    used = {key for values in rows for key, value in zip(keys, values, strict=False) if value}
    if not used:
        return keys, row
    values = [value for key, value in zip(keys, row, strict=False) if value or key in used]
    return [key for key in keys if key in used], values


def _find(source: Value, keys: list[str], values: list[str]) -> Value:
    """The first item of a source with these key values."""
    if not isinstance(source, list):
        return MISSING
    keys, values = _valid([values], values, keys)
    for item in source:
        if keys[0] == "":
            if not isinstance(item, dict | list) and scalars.text_of(item) == values[0]:
                return item
        elif isinstance(item, dict) and all(
            key in item and _raw_text(item[key]) == value for key, value in zip(keys, values, strict=False)
        ):
            return item
    return MISSING


def _raw_text(value: Any) -> str:
    return "" if isinstance(value, dict | list) else scalars.text_of(value)


def _set_element(items: list[Any], element: Any | Missing, keys: list[str], values: list[str]) -> None:
    """kyaml's ElementSetter: replace every item with these key values, or append; MISSING removes them."""
    result: list[Any] = []
    matched = False
    by_field = bool(keys and keys[0] and values and values[0])
    for item in items:
        if item is None or item == {}:
            continue
        if not isinstance(item, dict) and by_field:
            result.append(item)
            continue
        if not isinstance(item, dict) and keys and keys[0] and values:
            raise MergeError(f"wrong node kind: an item of a list that is merged by '{keys[0]}' is not a map")
        if not _matches(item, keys, values):
            if values:
                result.append(item)
            continue
        matched = True
        if element is not MISSING:
            result.append(element)
    if element is not MISSING and element is not None and not matched:
        result.append(element)
    items[:] = result


def _matches(item: Any, keys: list[str], values: list[str]) -> bool:
    found = False
    for index, key in enumerate(keys):
        if index < len(values):
            wanted = values[index]
            if key == "":
                found = not isinstance(item, dict | list) and scalars.text_of(item) == wanted
            else:
                found = isinstance(item, dict) and key in item and (not wanted or _raw_text(item[key]) == wanted)
        if not found:
            return False
    return True


def _append_all(result: list[Any], items: list[Any], keys: list[str]) -> list[Any]:
    """kyaml's appendListNode: what the target had takes its place among what was merged."""
    for item in list(items):
        if keys[0] == "":
            _set_element(result, item, [""], [scalars.text_of(item)])
            continue
        values: list[str] = []
        for key in keys:
            if not isinstance(item, dict) or key not in item:
                result.append(item)
                continue
            values.append(_raw_text(item[key]))
        if len(keys) > 1:
            _set_element(result, MISSING, keys, values)
        _set_element(result, item, keys, values)
    return result
