"""JSON text as the same nodes as YAML, all in flow style, so that one merge serves both.

In: the text of a JSON file. Out: a Document. Strict JSON (RFC 8259): comments and trailing commas make it unreadable, and
a file that cannot be read is merged by lines.
"""

from __future__ import annotations

import json
import re

from penstock.yamldoc.nodes import MAX_DEPTH, Document, Entry, Mapping, Node, Scalar, Sequence, UnreadableError

_SPACE = re.compile(r"[ \t\r\n]*")
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"')
_LITERAL = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|true|false|null")


def parse(text: str, line: int = 1) -> Document:
    """The nodes of a JSON text. Raises UnreadableError."""
    reader = _Reader(text, line)
    root = reader.node(reader.space(0), 0)
    if reader.space(root.end) != len(text):
        raise reader.unreadable(reader.space(root.end), "something follows the value")
    return Document(text=text, root=root, line=line, json=True)


class _Reader:
    def __init__(self, text: str, line: int) -> None:
        self.text = text
        self.line = line

    def unreadable(self, position: int, why: str) -> UnreadableError:
        return UnreadableError(why, self.line + self.text.count("\n", 0, position))

    def space(self, position: int) -> int:
        match = _SPACE.match(self.text, position)
        return match.end() if match else position

    def node(self, position: int, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise self.unreadable(position, "it is nested too deeply")
        char = self.text[position : position + 1]
        if char == "{":
            return self.mapping(position, depth)
        if char == "[":
            return self.sequence(position, depth)
        if char == '"':
            return self.string(position)
        match = _LITERAL.match(self.text, position)
        if match is None or not match[0]:
            raise self.unreadable(position, "not a JSON value")
        return Scalar(position, match.end(), position, match[0], "")

    def string(self, position: int) -> Scalar:
        match = _STRING.match(self.text, position)
        if match is None:
            raise self.unreadable(position, "not a JSON string")
        return Scalar(position, match.end(), position, json.loads(match[0]), '"')

    def mapping(self, start: int, depth: int) -> Mapping:
        entries: list[Entry] = []
        keys: dict[str, Entry] = {}
        opaque = False
        position = self.space(start + 1)
        while self.text[position : position + 1] != "}":
            if entries:
                position = self.comma(position, "}")
            key = self.string(position)
            position = self.space(key.end)
            if self.text[position : position + 1] != ":":
                raise self.unreadable(position, "a ':' is missing")
            value = self.node(self.space(position + 1), depth + 1)
            entry = Entry(key, value)
            opaque = opaque or key.value in keys
            entries.append(entry)
            keys[key.value] = entry
            position = self.space(value.end)
        return Mapping(start, position + 1, start, True, entries, keys, opaque)

    def sequence(self, start: int, depth: int) -> Sequence:
        items: list[Node] = []
        position = self.space(start + 1)
        while self.text[position : position + 1] != "]":
            if items:
                position = self.comma(position, "]")
            item = self.node(position, depth + 1)
            items.append(item)
            position = self.space(item.end)
        return Sequence(start, position + 1, start, True, items)

    def comma(self, position: int, closing: str) -> int:
        if self.text[position : position + 1] != ",":
            raise self.unreadable(position, f"a ',' or '{closing}' is missing")
        return self.space(position + 1)
