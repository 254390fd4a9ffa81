"""Protobuf bodies: `kubectl create deployment` and its like send nothing else.

In: a body in the Kubernetes protobuf envelope. Out: the object as JSON would say it. Answers are always JSON, which every
client takes. Field numbers stand in `wire.json`, field types in the schema.
"""

from __future__ import annotations

import base64
import functools
import struct
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import resources
from typing import Any

import msgspec

from penstock.sandbox.cluster.schema import Node

MAGIC = b"k8s\x00"
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class MalformedError(ValueError):
    """The bytes are not the message they should be."""


@functools.cache
def _wire() -> dict[str, dict[int, tuple[str, str]]]:
    """Type -> field number -> (field name, mark); a name with '>' is a type embedded in its parent."""
    raw: dict[str, str] = msgspec.json.decode(resources.files("penstock.sandbox.cluster").joinpath("wire.json").read_bytes())
    table = {}
    for name, text in raw.items():
        entries = [entry.split(" ") for entry in text.split("|") if entry]
        table[name] = {int(entry[0]): (entry[1], entry[2] if len(entry) > 2 else "") for entry in entries}
    return table


def decode(body: bytes, node: Node) -> dict[str, Any]:
    """The object in an enveloped body, whose kind has this shape. Raises MalformedError."""
    if not body.startswith(MAGIC):
        raise MalformedError("no protobuf envelope")
    envelope = {number: value for number, _, value in _fields(body[len(MAGIC) :])}
    kind = {number: _text(value) for number, _, value in _fields(_bytes(envelope.get(1, b"")))}
    out = _message(_bytes(envelope.get(2, b"")), node, node.type)
    return {"apiVersion": kind.get(1, ""), "kind": kind.get(2, ""), **out}


def _fields(data: bytes) -> Iterator[tuple[int, int, int | bytes]]:
    """Number, wire type and raw value of each field, in order."""
    position = 0
    while position < len(data):
        tag, position = _varint(data, position)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            value, position = _varint(data, position)
            yield number, wire, value
            continue
        if wire == _BYTES:
            size, position = _varint(data, position)
        elif wire in (_FIXED64, _FIXED32):
            size = 8 if wire == _FIXED64 else 4
        else:
            raise MalformedError(f"wire type {wire}")
        if position + size > len(data):
            raise MalformedError("truncated")
        yield number, wire, data[position : position + size]
        position += size


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while position < len(data) and shift < 70:
        byte = data[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position
    raise MalformedError("a number does not end")


def _message(data: bytes, node: Node, type_name: str) -> dict[str, Any]:
    names = _wire().get(type_name, {})
    out: dict[str, Any] = {}
    for number, _, raw in _fields(data):
        name, mark = names.get(number, ("", ""))
        if name.startswith(">"):
            out |= _message(_bytes(raw), node, name[1:])
        elif name and (child := node.child(name)) is not None:
            _put(out, name, child, raw, mark)
    return out


def _put(out: dict[str, Any], name: str, node: Node, raw: int | bytes, mark: str) -> None:
    if node.shape == "list":
        assert node.element is not None
        out.setdefault(name, []).append(_value(node.element, raw, mark))
    elif node.shape == "map" and not node.type:
        assert node.extra is not None
        entry = {number: value for number, _, value in _fields(_bytes(raw))}
        out.setdefault(name, {})[_text(entry.get(1, b""))] = _value(node.extra, entry.get(2, b""), mark)
    else:
        out[name] = _value(node, raw, mark)


def _value(node: Node, raw: int | bytes, mark: str) -> Any:
    if mark in ("time", "microtime"):
        return _time(_bytes(raw), micro=mark == "microtime")
    if mark == "bytes":
        return base64.b64encode(_bytes(raw)).decode()
    if mark == "double":
        return struct.unpack("<d", _bytes(raw))[0]
    if node.shape == "map":
        return _message(_bytes(raw), node, node.type)
    if node.shape == "any":
        # RawExtension, FieldsV1, JSON: JSON text in the first field.
        inner = {number: value for number, _, value in _fields(_bytes(raw))}
        return msgspec.json.decode(_bytes(inner.get(1, b"null")))
    return _scalar(node, raw)


def _scalar(node: Node, raw: int | bytes) -> Any:
    if node.type == "boolean":
        return bool(raw)
    if node.type == "integer":
        assert isinstance(raw, int)
        return raw - (1 << 64) if raw >> 63 else raw
    if node.type in ("quantity", "intstr"):
        inner = {number: value for number, _, value in _fields(_bytes(raw))}
        if node.type == "quantity":
            return _text(inner.get(1, b""))
        return _text(inner.get(3, b"")) if inner.get(1) else inner.get(2, 0)
    return _text(raw)


def _time(data: bytes, *, micro: bool) -> str:
    inner = {number: value for number, _, value in _fields(data)}
    seconds, nanos = inner.get(1, 0), inner.get(2, 0)
    assert isinstance(seconds, int)
    assert isinstance(nanos, int)
    moment = datetime.fromtimestamp(seconds, UTC).replace(microsecond=nanos // 1000)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ" if micro else "%Y-%m-%dT%H:%M:%SZ")


def _bytes(raw: int | bytes) -> bytes:
    if isinstance(raw, int):
        raise MalformedError("a number where bytes belong")
    return raw


def _text(raw: int | bytes) -> str:
    return _bytes(raw).decode()
