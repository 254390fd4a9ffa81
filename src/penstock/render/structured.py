"""Changing a field inside a string that holds JSON or YAML, and writing the string back in the form it had.

JSON is written anew, as kustomize writes it. YAML keeps its comments, order and quotes: the scalars are changed in the
text, and the text is laid out as kustomize's printer would: no blank lines, two columns per level, lists under their key.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from penstock.render import naming, paths
from penstock.render.paths import Kind, Spot
from penstock.yamldoc import composing, emitting, reading, scalars


class StructuredError(Exception):
    """The text is not structured, or does not have the field."""


def changed(text: str, steps: Sequence[str], value: Any, create: Kind, typed_as: Callable[[Any, str], Any]) -> str:
    """The text with the field at `steps` set. Raises StructuredError and what parsing raises."""
    documents = reading.load_all(text.encode(), "a structured string")
    if not documents:
        raise StructuredError("nothing in the text")
    document = composing.copied(documents[0].value)
    if not isinstance(document, dict | list):
        raise StructuredError("a plain scalar")
    is_json = text.strip()[:1] in ("{", "[")
    holder = {"": document}
    spots = paths.find(Spot(holder, ""), steps, create)
    if not spots:
        raise StructuredError("no such field")
    new = str(value) if isinstance(value, str) else scalars.text_of(value)
    if not is_json and not isinstance(value, dict | list):
        edited = _edited(text, holder, spots, new)
        if edited is not None:
            return edited
    for spot in spots:
        if isinstance(spot.value, dict | list):
            spot.value = scalars.same_as_written(new) if isinstance(value, str) else composing.copied(value)
        else:
            spot.value = scalars.same_as_written(new) if create and spot.value == "" else typed_as(spot.value, new)
    result = holder[""]
    if is_json:
        return _indented_json(result) if "\n" in text and "  " in text else naming.go_json(result)
    return emitting.emit(result).strip()


def _indented_json(value: Any) -> str:
    compact = json.loads(naming.go_json(value))
    text = json.dumps(compact, ensure_ascii=False, indent=2, sort_keys=True)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


# -- YAML, in its text ---------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Node:
    """A scalar of the text, or a collection without braces."""

    path: tuple[str | int, ...]
    start: int
    end: int
    style: str | None
    flow: bool


@dataclass(slots=True)
class _Layout:
    """How a text is laid out: its scalars, how far the entry on a line moves, and the lines inside long scalars."""

    nodes: list[_Node] = field(default_factory=list)
    moves: dict[int, int] = field(default_factory=dict)
    inside: set[int] = field(default_factory=set)


class _Mark:
    """Stands in for a value that is to be replaced, to find out where it is."""


def _edited(text: str, holder: dict[str, Any], spots: list[Spot], new: str) -> str | None:
    """The text with every spot's scalar replaced; None when one of them is no single-line scalar of the text."""
    old = [spot.value for spot in spots]
    if any(isinstance(value, dict | list) for value in old):
        return None
    marks = [_Mark() for _ in spots]
    for spot, mark in zip(spots, marks, strict=True):
        spot.value = mark
    wanted = {path: position for path, found in _leaves(holder[""]) for position, mark in enumerate(marks) if found is mark}
    for spot, value in zip(spots, old, strict=True):
        spot.value = value
    try:
        layout = _layout(text)
    except ValueError:
        return None
    found = [node for node in layout.nodes if node.path in wanted]
    if len(found) != len(spots) or any("\n" in text[node.start : node.end] for node in found):
        return None
    pieces, position = [], 0
    for node in sorted(found, key=lambda node: node.start):
        pieces += [text[position : node.start], _written(new, old[wanted[node.path]], node)]
        position = node.end
    return _laid_out("".join([*pieces, text[position:]]), layout)


def _leaves(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _leaves(item, (*path, key))
    else:
        yield path, value


def _written(new: str, old: Any, node: _Node) -> str:
    """The new text in the quotes and with the type of the old scalar."""
    if node.style == "'":
        return "'" + new.replace("'", "''") + "'"
    if node.style == '"':
        return json.dumps(new, ensure_ascii=False)
    plain = emitting.emit(new).rstrip("\n")
    if node.flow and plain == new and re.search(r"[,\[\]{}:?]", new):
        plain = f"'{new}'"
    try:
        kind = scalars.resolve(new)
    except scalars.NotFiniteError:
        kind = 0.0
    if isinstance(old, str):
        return plain if isinstance(kind, str) else json.dumps(new)
    if _same_type(kind, old):
        return new
    name = "bool" if isinstance(old, bool) else "int" if isinstance(old, int) else "float" if isinstance(old, float) else "null"
    return f"!!{name} {plain if isinstance(kind, str) else new}"


def _same_type(one: Any, other: Any) -> bool:
    if isinstance(one, bool) or isinstance(other, bool) or one is None or other is None:
        return type(one) is type(other)
    return isinstance(one, int) == isinstance(other, int) and isinstance(one, float) == isinstance(other, float)


@dataclass(slots=True)
class _Open:
    """A collection on the way."""

    path: tuple[str | int, ...]
    mapping: bool
    flow: bool
    column: int
    """Where it begins."""
    wanted: int
    """Where kustomize's printer would begin it."""
    step: Any = 0
    expects_key: bool = False


def _layout(text: str) -> _Layout:
    """Raises ValueError for what is not understood."""
    import yaml

    layout = _Layout()
    stack: list[_Open] = []
    for event in composing.events(text):
        kind = type(event)
        if kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            stack.pop()
        elif kind is yaml.AliasEvent:
            raise ValueError("what an alias stands for is written elsewhere")
        elif isinstance(event, yaml.NodeEvent):
            _enter(event, stack, layout, mapping=kind is yaml.MappingStartEvent, scalar=kind is yaml.ScalarEvent)
    return layout


def _enter(event: Any, stack: list[_Open], layout: _Layout, *, mapping: bool, scalar: bool) -> None:
    mark, end = event.start_mark, event.end_mark
    path: tuple[str | int, ...] = ()
    top = stack[-1] if stack else None
    if top is not None:
        if not top.flow and (top.expects_key or not top.mapping):
            layout.moves.setdefault(mark.line, top.wanted - top.column)
        if top.expects_key:
            if not scalar:
                raise ValueError("a key that is no scalar")
            top.step, top.expects_key = event.value, False
            return
        path = (*top.path, top.step)
        if top.mapping:
            top.expects_key = True
        else:
            top.step += 1
    if scalar:
        layout.nodes.append(_Node(path, mark.index, end.index, event.style, top is not None and top.flow))
        layout.inside.update(range(mark.line + 1, end.line + (end.column > 0)))
        return
    wanted = 0 if top is None else top.wanted + (2 if mapping or not top.mapping else 0)
    flow = bool(event.flow_style) or (top is not None and top.flow)
    stack.append(_Open(path, mapping, flow, mark.column, wanted, expects_key=mapping))


def _laid_out(text: str, layout: _Layout) -> str:
    """Lines moved to their columns, blank ones dropped, one blank before a comment."""
    lines = text.split("\n")
    result = []
    move = 0
    for number, line in enumerate(lines):
        inside = number in layout.inside
        if not line.strip():
            result += [""] if inside else []
            continue
        if number in layout.moves:
            move = layout.moves[number]
        elif not inside and line.lstrip().startswith("#"):
            move = next((layout.moves[after] for after in range(number, len(lines)) if after in layout.moves), move)
        bare = line.lstrip(" ")
        if not inside:
            bare = re.sub(r"[ ]{2,}(#[^'\"]*)$", r" \1", bare.rstrip(" "))
        result.append(" " * max(len(line) - len(line.lstrip(" ")) + move, 0) + bare)
    return "\n".join(result).strip()
