"""Changing a field inside a string that holds JSON or YAML, and writing the string back in the form it had."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
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
    holder = {"": document}
    spots = paths.find(Spot(holder, ""), steps, create)
    if not spots:
        raise StructuredError("no such field")
    for spot in spots:
        if isinstance(spot.value, dict | list):
            spot.value = composing.copied(value)
        else:
            new = scalars.text_of(value)
            spot.value = scalars.same_as_written(new) if create and spot.value == "" else typed_as(spot.value, new)
    result = holder[""]
    if text.strip()[:1] in ("{", "["):
        if "\n" in text and "  " in text:
            return _indented_json(result)
        return naming.go_json(result)
    return emitting.emit(result).strip()


def _indented_json(value: Any) -> str:
    compact = json.loads(naming.go_json(value))
    text = json.dumps(compact, ensure_ascii=False, indent=2, sort_keys=True)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
