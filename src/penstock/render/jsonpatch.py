"""JSON Patch (RFC 6902) as kustomize applies it: operations and an object in, the changed object out.

The dialect is evanphx/json-patch v4: indices may be negative, `replace` sets a map's missing key, `remove` of a missing
key is an error. Numbers above 2^53 lose digits on the way, as they do in Go.
"""

from __future__ import annotations

from typing import Any

from penstock.yamldoc import composing, scalars

Operation = dict[str, Any]


class PatchError(Exception):
    """An operation that does not apply; says which one and why, never a value. `index` counts from 0."""

    def __init__(self, what: str, index: int) -> None:
        super().__init__(what, index)
        self.what = what
        self.index = index


def check(operations: Any) -> list[Operation]:
    """The operations, if this is a list of maps. Raises ValueError saying what it is instead."""
    if operations is None:
        return []
    if not isinstance(operations, list):
        kind = {dict: "object", str: "string", bool: "bool"}.get(type(operations), "number")
        raise ValueError(f"cannot unmarshal {kind} into Go value of type jsonpatch.Patch")
    for operation in operations:
        if not isinstance(operation, dict):
            raise ValueError("an operation is not a map")
    return operations


def apply(target: Any, operations: list[Operation]) -> Any:
    """The patched value; the target is changed in place. Raises PatchError at the first operation that fails."""
    for index, operation in enumerate(operations):
        try:
            target = _apply_one(target, operation)
        except _FailedError as failure:
            path = operation.get("path")
            name = operation.get("op")
            shown = f"operation {index + 1} ({name} {path})" if isinstance(path, str) else f"operation {index + 1}"
            raise PatchError(f"{shown}: {failure}", index) from None
    return target


class _FailedError(Exception):
    pass


def _apply_one(target: Any, operation: Operation) -> Any:
    name = operation.get("op")
    if name == "add":
        container, key = _find(target, _text(operation, "path"), "add")
        _add(container, key, _value(operation))
    elif name == "remove":
        container, key = _find(target, _text(operation, "path"), "remove")
        _remove(container, key)
    elif name == "replace":
        return _replace(target, operation)
    elif name == "move":
        container, key = _find(target, _text(operation, "from"), "move", "doc is missing from path")
        value = _get(container, key)
        _remove(container, key)
        container, key = _find(target, _text(operation, "path"), "move", "doc is missing destination path")
        _add(container, key, value)
    elif name == "copy":
        container, key = _find(target, _text(operation, "from"), "copy", "doc is missing from path")
        value = composing.copied(_get(container, key))
        container, key = _find(target, _text(operation, "path"), "copy", "doc is missing destination path")
        _add(container, key, value)
    elif name == "test":
        _test(target, operation)
    else:
        raise _FailedError("unexpected kind: 'op' is one of add, remove, replace, move, copy, test")
    return target


def _text(operation: Operation, field: str) -> str:
    value = operation.get(field)
    if not isinstance(value, str):
        raise _FailedError(f"operation missing {field} field")
    return value


def _value(operation: Operation) -> Any:
    return composing.copied(operation.get("value"))


def _replace(target: Any, operation: Operation) -> Any:
    path = _text(operation, "path")
    if path == "":
        value = _value(operation)
        if not isinstance(value, dict | list):
            raise _FailedError("replace operation value must be object or array")
        return value
    container, key = _find(target, path, "replace")
    if isinstance(container, list):
        index = _index(key, len(container), len(container))
        container[index] = _value(operation)
    else:
        container[key] = _value(operation)
    return target


def _test(target: Any, operation: Operation) -> None:
    path = _text(operation, "path")
    value = target
    if path != "":
        container, key = _find(target, path, "test", "is missing path")
        value = container.get(key) if isinstance(container, dict) else _get(container, key)
    if not equal(value, operation.get("value")):
        raise _FailedError("test failed: the value is another one")


def equal(one: Any, other: Any) -> bool:
    """Equality of JSON values: 1 is not true, and 1 is 1.0."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(equal(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return bool(one == other)


def _find(target: Any, path: str, name: str, problem: str = "doc is missing path") -> tuple[Any, str]:
    """The container of the last step and that step. Only maps and lists have something inside."""
    steps = path.split("/")
    if len(steps) < 2:
        raise _FailedError(f"{name} operation does not apply: {problem}")
    for step in steps[1:-1]:
        key = _decoded(step)
        if isinstance(target, dict):
            target = target.get(key)
        elif isinstance(target, list):
            try:
                target = target[_index(key, len(target), len(target))]
            except _FailedError:
                target = None
        if not isinstance(target, dict | list):
            raise _FailedError(f"{name} operation does not apply: {problem}")
    return target, _decoded(steps[-1])


def _decoded(step: str) -> str:
    return step.replace("~1", "/").replace("~0", "~")


def _get(container: Any, key: str) -> Any:
    if isinstance(container, dict):
        if key not in container:
            return None
        return container[key]
    return container[_index(key, len(container), len(container))]


def _add(container: Any, key: str, value: Any) -> None:
    if isinstance(container, dict):
        container[key] = value
    elif key == "-":
        container.append(value)
    else:
        container.insert(_index(key, len(container) + 1, len(container) + 1), value)


def _remove(container: Any, key: str) -> None:
    if isinstance(container, dict):
        if key not in container:
            raise _FailedError("unable to remove nonexistent key")
        del container[key]
    else:
        del container[_index(key, len(container), len(container))]


def _index(key: str, size: int, length: int) -> int:
    """A list position; negative ones count from the end."""
    digits = key[1:] if key[:1] in "+-" else key
    if not digits.isascii() or not digits.isdigit():
        raise _FailedError("value was not a proper array index")
    index = int(key)
    if index >= size or index < -length:
        raise _FailedError(f"unable to access invalid index: {index}")
    return index if index >= 0 else index + length


def through_json(value: Any, *, exact_integers: bool = False) -> Any:
    """What Go's JSON makes of a value: every number a float64, so integers above 2^53 lose digits.

    With `exact_integers` it is only written as JSON, which keeps them.
    """
    kind = type(value)
    if kind is dict:
        return {key: through_json(item, exact_integers=exact_integers) for key, item in value.items()}
    if kind is list:
        return [through_json(item, exact_integers=exact_integers) for item in value]
    if kind is str or kind is bool or value is None:
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        if exact_integers:
            return int(value)
        number = int(value) if -(2**53) <= value <= 2**53 else scalars.canonical_float(float(value))
        # Go writes a float64 of seven digits with an exponent, which shows where its text is copied
        written = isinstance(number, int) and not -(10**6) < number < 10**6
        return scalars.IntText(int(number), scalars.format_float(float(number))) if written else number
    return float(value)
