"""Brings what a client sent for a built-in kind into the form the API stores.

In: an object as JSON and its `schema.Node`. Out: a new object as Go's typed round trip would leave it (nulls and zero
values of omitempty fields gone, structs that are always there present, quantities in canonical form), and the unknown
fields. Raises ApiError 400 when a value has the wrong type.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import ROUND_UP, Decimal
from typing import Any

from penstock.sandbox.cluster.kinds import Kind
from penstock.sandbox.cluster.schema import Node, object_meta
from penstock.sandbox.cluster.status import bad_request


class _WrongTypeError(Exception):
    pass


def normalize(kind: Kind, manifest: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The object in stored form, and the paths of fields the kind does not have."""
    unknown: list[str] = []
    try:
        out = _map(kind.schema, manifest, "", unknown)
    except _WrongTypeError as error:
        found, path, wanted, owner = error.args
        field = f"{owner or kind.kind}.{path.lstrip('.')}"
        raise bad_request(
            f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: '
            f"json: cannot unmarshal {found} into Go struct field {field} of type {wanted}"
        ) from None
    for name in _BINARY_FIELDS.get(kind.key, ()):
        for text in (out.get(name) or {}).values():
            _check_base64(kind, text)
    out["apiVersion"], out["kind"] = kind.api_version, kind.kind
    return out, unknown


_BINARY_FIELDS = {"secrets": ("data",), "configmaps": ("binaryData",)}
_BASE64 = re.compile(r"[A-Za-z0-9+/]*")


def _check_base64(kind: Kind, text: str) -> None:
    """Raise 400 with the position Go's decoder gives, never with the value."""
    text = text.replace("\n", "").replace("\r", "")
    match = _BASE64.match(text)
    good = match.end() if match else 0
    rest = text[good:]
    if len(text) % 4 == 0 and rest in ("", "=", "==") and (good % 4) + len(rest) in (0, 4):
        return
    position = good if rest.strip("=") else (good // 4) * 4
    if rest == "=" and good % 4 == 2:
        position = good + 1
    raise bad_request(
        f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: '
        f"illegal base64 data at input byte {position}"
    )


def normalize_metadata(kind: Kind, metadata: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The metadata of a custom resource, which is typed however free its schema is."""
    unknown: list[str] = []
    try:
        return _map(object_meta(), metadata, "metadata", unknown), unknown
    except _WrongTypeError as error:
        found, path, wanted, _ = error.args
        raise bad_request(f"json: cannot unmarshal {found} into Go struct field ObjectMeta.{path} of type {wanted}") from None


def _value(node: Node, value: Any, path: str, unknown: list[str]) -> Any:
    if node.shape == "map":
        if not isinstance(value, dict):
            raise _wrong(value, path, f"v1.{node.type.rpartition('.')[2]}" if node.type else "map[string]string")
        return _map(node, value, path, unknown)
    if node.shape == "list":
        if not isinstance(value, list):
            raise _wrong(value, path, "[]string" if node.element and node.element.shape == "scalar" else "[]interface {}")
        assert node.element is not None
        element = node.element
        if element.shape == "scalar":
            return [_scalar(element, item, path) for item in value]
        return [_value(element, item, f"{path}[{i}]", unknown) for i, item in enumerate(value) if item is not None]
    if node.shape == "scalar":
        return _scalar(node, value, path)
    return value


def _map(node: Node, value: Mapping[str, Any], path: str, unknown: list[str]) -> dict[str, Any]:
    try:
        return _fields(node, value, path, unknown)
    except _WrongTypeError as error:
        if node.type and not error.args[3]:
            # Go names the innermost struct.
            raise _WrongTypeError(*error.args[:3], node.type.rpartition(".")[2]) from None
        raise


def _fields(node: Node, value: Mapping[str, Any], path: str, unknown: list[str]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    fields, extra = node.fields, node.extra
    for key, child in value.items():
        below = fields.get(key)
        if below is None:
            if extra is None:
                unknown.append(f"{path}.{key}".lstrip("."))
            else:
                out[key] = _zero(extra) if child is None else _value(extra, child, path, unknown)
            continue
        if child is None:
            continue
        normal = _value(below, child, f"{path}.{key}", unknown)
        if below.drop_zero and (normal == 0 or normal == "" or normal == {} or normal == []):
            continue
        out[key] = normal
    for key, below in fields.items():
        if key in out:
            continue
        if below.always:
            out[key] = _map(below, {}, path, unknown)
        elif below.nullable:
            out[key] = None
        elif below.default is not None:
            out[key] = below.default
    return out


def _zero(node: Node) -> Any:
    """What Go keeps for a null in a map."""
    if node.shape == "scalar":
        return {"string": "", "quantity": "0", "integer": 0, "boolean": False}.get(node.type)
    return {} if node.shape == "map" else None


def _scalar(node: Node, value: Any, path: str) -> Any:
    kind = node.type
    if kind == "string":
        if not isinstance(value, str):
            raise _wrong(value, path, "string")
    elif kind == "integer":
        if isinstance(value, float) and value.is_integer():
            return int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise _wrong(value, path, "int32")
    elif kind == "boolean":
        if not isinstance(value, bool):
            raise _wrong(value, path, "bool")
    elif kind == "quantity":
        return _quantity(value, path)
    elif kind == "intstr" and (isinstance(value, bool) or not isinstance(value, (int, str))):
        raise _wrong(value, path, "int32")
    return value


def _wrong(value: Any, path: str, wanted: str) -> _WrongTypeError:
    if isinstance(value, bool):
        found = "bool"
    elif isinstance(value, (int, float)):
        found = "number"
    else:
        found = "string" if isinstance(value, str) else "array" if isinstance(value, list) else "object"
    return _WrongTypeError(found, path, wanted, "")


# ------------------------------------------------------------------------------------------------- quantities

_QUANTITY = re.compile(r"(?P<number>[+-]?(?:\d+\.?\d*|\.\d+))(?P<suffix>m|k|M|G|T|P|E|[KMGTPE]i|n|u|[eE][+-]?\d+)?\Z")
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}


def _quantity(value: Any, path: str) -> str:
    try:
        return canonical_quantity(str(value) if not isinstance(value, str) else value)
    except ValueError:
        raise bad_request(f"unable to parse quantity's suffix or number at {path.lstrip('.')}") from None


_LONGEST = 64
_LARGEST = Decimal(2**63 - 1)


def canonical_quantity(text: str) -> str:
    """1000m -> 1, 1024Mi -> 1Gi, 0.5 -> 500m, as resource.Quantity prints. Raises ValueError when it is no quantity."""
    match = _QUANTITY.match(text)
    if match is None:
        raise ValueError(text)
    suffix = match["suffix"] or ""
    if len(text) > _LONGEST or len(suffix) > 5:
        raise ValueError(text)
    number = Decimal(match["number"])
    if suffix in _BINARY:
        return _canonical_binary(number * Decimal(1024) ** _BINARY[suffix])
    if suffix[:1] in ("e", "E") and len(suffix) > 1:
        return _canonical_decimal(number.scaleb(int(suffix[1:])), exponent=True)
    return _canonical_decimal(number.scaleb(_DECIMAL[suffix]), exponent=False)


def _canonical_binary(number: Decimal) -> str:
    if number != number.to_integral_value() or not 1024 <= abs(number) <= _LARGEST:
        return _canonical_decimal(number, exponent=False)
    count, power = int(number), 0
    while count and count % 1024 == 0 and power < 6:
        count, power = count // 1024, power + 1
    return f"{count}{['', *_BINARY][power]}"


def _canonical_decimal(number: Decimal, *, exponent: bool) -> str:
    # Larger amounts are capped, as in Kubernetes.
    number = max(-_LARGEST, min(_LARGEST, number))
    number = number.quantize(Decimal("1e-9"), rounding=ROUND_UP) if number else Decimal(0)
    if not number:
        return "0"
    power = -9
    scaled = int(number.scaleb(9))
    while scaled % 1000 == 0 and power < 18:
        scaled, power = scaled // 1000, power + 3
    if exponent:
        return f"{scaled}e{power}" if power else str(scaled)
    suffix = {value: key for key, value in _DECIMAL.items()}[power]
    return f"{scaled}{suffix}"
