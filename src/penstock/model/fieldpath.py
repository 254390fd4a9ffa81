"""Where a field is inside an object, in the notation people read: spec.containers[name=web].args[0].

A path is a tuple of steps: a mapping key (str), a position in a list (int), or Keyed(('name', 'web')) for the item
of a keyed list. Keys that hold dots or brackets are written quoted: metadata.annotations["example.com/a"].
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Keyed:
    """The list item whose key fields have these values, in the schema's key order."""

    keys: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return "[" + ",".join(f"{name}={_quoted(value)}" for name, value in self.keys) + "]"


Step = str | int | Keyed
FieldPath = tuple[Step, ...]

_PLAIN = re.compile(r"[^.\[\]\"\s,=*]+\Z")
_TOKEN = re.compile(r"""\.?(?P<plain>[^.\[\]"]+)|\.?(?P<quoted>"(?:[^"\\]|\\.)*")|\[(?P<inner>(?:"(?:[^"\\]|\\.)*"|[^\]"])*)\]""")


def _quoted(text: str) -> str:
    return text if _PLAIN.match(text) else json.dumps(text, ensure_ascii=False)


def show(path: FieldPath) -> str:
    """The path as text; `parse(show(path)) == path`."""
    parts: list[str] = []
    for step in path:
        if isinstance(step, int):
            parts.append(f"[{step}]")
        elif isinstance(step, Keyed):
            parts.append(str(step))
        elif _PLAIN.match(step) and not step.isdigit():
            parts.append(f".{step}" if parts else step)
        else:
            parts.append(f"[{json.dumps(step, ensure_ascii=False)}]")
    return "".join(parts)


def parse(text: str) -> FieldPath:
    """Read a path as `show` writes it. Raises ValueError with the position that could not be read."""
    steps: list[Step] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise ValueError(f"not a field path at character {position + 1}: {text!r}")
        position = match.end()
        if (plain := match["plain"]) is not None:
            steps.append(plain)
        elif (quoted := match["quoted"]) is not None:
            steps.append(json.loads(quoted))
        else:
            steps.append(_bracket(match["inner"], text))
    return tuple(steps)


_PAIR = re.compile(r"""([^=,"]+)=("(?:[^"\\]|\\.)*"|[^,]*)(?:,|\Z)""")


def _bracket(inner: str, text: str) -> Step:
    if inner.isdigit():
        return int(inner)
    if inner.startswith('"'):
        step: str = json.loads(inner)
        return step
    pairs: list[tuple[str, str]] = []
    position = 0
    while position < len(inner):
        match = _PAIR.match(inner, position)
        if match is None:
            raise ValueError(f"not a list item selector: [{inner}] in {text!r}")
        value = match[2]
        pairs.append((match[1].strip(), json.loads(value) if value.startswith('"') else value))
        position = match.end()
    if not pairs:
        raise ValueError(f"empty list item selector in {text!r}")
    return Keyed(tuple(pairs))
