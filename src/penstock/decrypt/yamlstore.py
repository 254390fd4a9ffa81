"""SOPS' YAML: where values and comments stand in a text, and the text with other values in their places.

In: the text of one document. Out: its metadata and leaves, and then the plain text. The text is edited in place, so that
lines stay where they are and a file comes out as SOPS wrote it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from penstock.decrypt.cipher import Comment
from penstock.decrypt.sealed import Leaf, SealedError
from penstock.yamldoc import emitting, nodes, parsing, scalars

_COMMENT = re.compile(r"#([^\n]*)")
_INDENT = 4
"""Of SOPS' own YAML."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """Where a leaf stands: `start` to `end` of the text; `column` is that of the key it belongs to."""

    start: int
    end: int
    column: int
    flow: bool = False


class Sheet:
    """One document, read."""

    def __init__(self, text: str, first_line: int) -> None:
        """Raises SealedError for what is no mapping."""
        self.text = text
        self.leaves: list[Leaf] = []
        self.slots: list[Slot] = []
        self._line = first_line
        try:
            root = parsing.parse(text, first_line).root
        except nodes.UnreadableError as error:
            raise SealedError(f"it cannot be read: {error.why}", error.line) from None
        if not isinstance(root, nodes.Mapping):
            raise SealedError("an encrypted document must be a mapping", first_line)
        if root.flow:
            raise SealedError("an encrypted document in braces is read as JSON only", first_line)
        self._root = root
        self.metadata = _plain(root.keys["sops"].value) if "sops" in root.keys else None

    def read(self) -> None:
        """Fill the leaves and slots. Raises SealedError."""
        self._mapping(self._root, (), (), 0)

    def marked(self, annotation: str, value: str) -> bool:
        """Whether the object of this document has an annotation with this value, in any case."""
        metadata = self._root.keys.get("metadata")
        annotations = _plain(metadata.value).get("annotations") if metadata is not None else None
        return isinstance(annotations, Mapping) and str(annotations.get(annotation, "")).lower() == value

    def _mapping(self, node: nodes.Mapping, path: tuple[str, ...], above: tuple[tuple[str, ...], ...], start: int) -> None:
        before: list[str] = []
        position = start
        for entry in node.entries:
            key = entry.key
            if not isinstance(key, nodes.Scalar):
                raise SealedError("an encrypted document has texts as keys only", self._line_of(entry.key.start))
            if not path and key.value == "sops":
                position = entry.end
                continue
            self._comments(position, key.start, path, (*above, tuple(before)), before)
            # what stands behind a value on its line, or behind the key of a collection, belongs to it
            scalar = isinstance(entry.value, nodes.Scalar)
            inner = entry.end if scalar else key.end
            self._comments(inner, self._end_of_line(inner), path, (*above, tuple(before)), before)
            inner = self._end_of_line(inner)
            self._node(entry.value, (*path, key.value), (*above, tuple(before)), self._column(key.start), node.flow, inner)
            position = max(entry.end, inner) if scalar else entry.end
            before.clear()
        self._comments(min(position, node.end), node.end, path, (*above, tuple(before)), before)

    def _node(
        self,
        node: nodes.Node,
        path: tuple[str, ...],
        above: tuple[tuple[str, ...], ...],
        column: int,
        flow: bool,
        inner: int,
    ) -> None:
        """inner: from where on comments are this node's own."""
        if isinstance(node, nodes.Alias):
            raise SealedError("an encrypted document has no aliases", self._line_of(node.start))
        if isinstance(node, nodes.Mapping):
            self._mapping(node, path, above, min(inner, node.start))
        elif isinstance(node, nodes.Sequence):
            before: list[str] = []
            position = min(inner, node.start)
            for item in node.items:
                self._comments(position, item.start, path, (*above, tuple(before)), before)
                self._node(item, path, (*above, tuple(before)), self._column(item.start) - 2, node.flow, item.start)
                position = item.end
                before.clear()
        else:
            self.leaves.append(Leaf(path=path, value=_value(node), comments=above, line=self._line_of(node.start)))
            self.slots.append(Slot(start=node.content, end=node.end, column=column, flow=flow))

    def _comments(
        self, start: int, end: int, path: tuple[str, ...], levels: tuple[tuple[str, ...], ...], before: list[str]
    ) -> None:
        for match in _COMMENT.finditer(self.text, start, end):
            before.append(match[1])
            self.leaves.append(Leaf(path=path, value=match[1], comments=levels, comment=True, line=self._line_of(match.start())))
            self.slots.append(Slot(start=match.start(1), end=match.end(1), column=0))

    def _end_of_line(self, position: int) -> int:
        if position and self.text[position - 1] == "\n":
            # a block scalar ends behind its last line
            return position
        found = self.text.find("\n", position)
        return found if found >= 0 else len(self.text)

    def _column(self, position: int) -> int:
        return position - (self.text.rfind("\n", 0, position) + 1)

    def _line_of(self, position: int) -> int:
        return self._line + self.text.count("\n", 0, position)

    def written(self, values: Sequence[Any], *, exact: bool) -> str:
        """The text with these values and without the metadata.

        exact: as SOPS would write it, for what becomes the content of a Secret; otherwise every line stays where it is.
        """
        edits = [
            (slot.start, slot.end, value.text if isinstance(value, Comment) else _shown(value, slot, exact=exact))
            for leaf, slot, value in zip(self.leaves, self.slots, values, strict=True)
            if value is not leaf.value and not (isinstance(value, Comment) and value.text == leaf.value)
        ]
        if exact:
            edits = [each for edit in edits for each in self._comment_above(*edit)]
        edits.append(self._without_metadata(exact=exact))
        result = self.text
        for start, end, new in sorted(edits, reverse=True):
            result = result[:start] + new + result[end:]
        return result

    def _comment_above(self, start: int, end: int, new: str) -> list[tuple[int, int, str]]:
        """A comment that was encrypted behind a value comes out above it: SOPS forgets where it stood."""
        line = self.text.rfind("\n", 0, start) + 1
        before = self.text[line : start - 1]
        if self.text[start - 1 : start] != "#" or not before.strip():
            return [(start, end, new)]
        pad = before[: len(before) - len(before.lstrip())]
        return [(line, line, f"{pad}#{new}\n"), (line + len(before.rstrip()), end, "")]

    def _without_metadata(self, *, exact: bool) -> tuple[int, int, str]:
        entry = self._root.keys["sops"]
        start = self.text.rfind("\n", 0, entry.key.start) + 1
        end = self._end_of_line(entry.end)
        if end < len(self.text) and self.text[end - 1] != "\n":
            end += 1
        return start, end, "" if exact else "\n" * self.text.count("\n", start, end)


def _plain(node: nodes.Node) -> Any:
    node = nodes.resolved(node)
    if isinstance(node, nodes.Mapping):
        return {
            str(nodes.resolved(entry.key).value): _plain(entry.value)  # type: ignore[union-attr]
            for entry in node.entries
            if isinstance(entry.key, nodes.Scalar)
        }
    if isinstance(node, nodes.Sequence):
        return [_plain(item) for item in node.items]
    return node.value


def _value(node: nodes.Scalar) -> Any:
    """A scalar as Go's YAML reads it."""
    if node.style or node.tag == "!!str":
        return node.value
    return scalars.resolve(node.value)


def _shown(value: Any, slot: Slot, *, exact: bool) -> str:
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    if isinstance(value, scalars.Timestamp):
        return str(value)
    if not isinstance(value, str):
        return emitting.emit({"k": value}).removeprefix("k:").strip() if not isinstance(value, bool) else str(value).lower()
    if not exact or slot.flow or "\r" in value or ("\n" in value and not value.strip("\n")):
        return _quoted(value)
    if "\n" not in value:
        return emitting.emit({"k": value}).removeprefix("k:").strip()
    head, _, body = emitting.emit({"k": value}).removeprefix("k: ").partition("\n")
    if not head.startswith("|"):
        return _quoted(value)
    pad = " " * (slot.column + _INDENT)
    lines = [pad + line[2:] if line.strip() else "" for line in body.rstrip("\n").split("\n")]
    return head + "\n" + "\n".join(lines)


_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def _quoted(text: str) -> str:
    """A text on one line, in double quotes."""
    return '"' + "".join(_escaped(text)) + '"'


def _escaped(text: str) -> Iterator[str]:
    for character in text:
        code = ord(character)
        if character in _ESCAPES:
            yield _ESCAPES[character]
        elif code < 0x20 or code in (0x7F, 0x85, 0x2028, 0x2029, 0xFEFF):
            yield f"\\u{code:04x}"
        else:
            yield character
