"""Where lines, comments and blank lines stand around a node, and how a document is indented.

In: text and offsets. Out: offsets, counts and a Style. Lines end with '\\n'; a '\\r' before it counts as blank space.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from penstock.yamldoc.nodes import Document, Mapping, Node, Scalar, Sequence

_SAMPLE = 400
"""How many nested collections are looked at to learn a document's indentation."""


def line_start(text: str, position: int) -> int:
    """The offset at which the line of `position` begins."""
    return text.rfind("\n", 0, position) + 1


def line_end(text: str, position: int) -> int:
    """The offset of the line's newline, or of the end of the text."""
    found = text.find("\n", position)
    return len(text) if found < 0 else found


def column(text: str, position: int) -> int:
    """Characters before `position` on its line."""
    return position - line_start(text, position)


def own_line(text: str, position: int) -> bool:
    """Whether nothing but space stands before `position` on its line."""
    return not text[line_start(text, position) : position].strip(" \t")


def head_start(text: str, lead: int, floor: int) -> int:
    """Where the comment lines directly above the entry at `lead` begin (its own line's start when there are none).

    A comment indented deeper than the entry belongs to what stands before it. Nothing above `floor` is looked at.
    """
    start = line_start(text, lead)
    indent = lead - start
    while start > floor:
        above = line_start(text, start - 1)
        line = text[above : start - 1]
        body = line.lstrip(" \t")
        if above < floor or not body.startswith("#") or len(line) - len(body) > indent:
            break
        start = above
    return start


def blank_above(text: str, start: int, floor: int) -> int:
    """How many blank lines stand directly above the line starting at `start`."""
    count = 0
    while start > floor:
        above = line_start(text, start - 1)
        if above < floor or text[above : start - 1].strip(" \t\r"):
            break
        count += 1
        start = above
    return count


def blank_below(text: str, end: int) -> int:
    """How many blank lines follow the line ending at `end` (its newline's offset)."""
    count = 0
    while end < len(text):
        following = line_end(text, end + 1)
        if text[end + 1 : following].strip(" \t\r") or end + 1 >= len(text):
            break
        count += 1
        end = following
    return count


_COMMENT = re.compile(r"[ \t]*\#[^\n]*|[ \t\r]*(?=\n|\Z)")


def comment_behind(text: str, end: int) -> str:
    """The comment that follows on the same line, with the space before it; '' when there is none."""
    match = _COMMENT.match(text, end)
    found = match[0].rstrip() if match else ""
    return found if found.startswith((" ", "\t")) else ""


def dash(text: str, sequence: Sequence, index: int) -> int:
    """The offset of a block list item's '-', also when items before it were left out."""
    first = text.index("-", sequence.content)
    at = column(text, first)
    start = line_start(text, sequence.items[index].start)
    while start > first:
        if text[start + at : start + at + 1] == "-" and not text[start : start + at].strip(" "):
            return start + at
        start = line_start(text, start - 1)
    return first


def leads(text: str, node: Mapping | Sequence) -> list[int]:
    """Where each entry of a block collection begins: its key, or its dash."""
    if isinstance(node, Mapping):
        return [entry.key.start for entry in node.entries]
    return [dash(text, node, index) for index in range(len(node.items))]


def ends(node: Mapping | Sequence) -> list[int]:
    """Where each entry of a collection ends."""
    if isinstance(node, Mapping):
        return [entry.end for entry in node.entries]
    return [item.end for item in node.items]


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How a document is indented; None where it has no example of it."""

    step: int | None = None
    """Columns from a mapping's key to the keys of the mapping under it."""
    offset: int | None = None
    """Columns from a key to the dashes of the list under it (0: not indented)."""
    gap: int = 1
    """Spaces behind a dash."""

    def over(self, other: Style) -> Style:
        """This style, with what it does not know taken from the other."""
        return Style(
            step=other.step if self.step is None else self.step,
            offset=other.offset if self.offset is None else self.offset,
            gap=self.gap,
        )


def style(document: Document) -> Style:
    """The indentation a document uses most."""
    steps: Counter[int] = Counter()
    offsets: Counter[int] = Counter()
    gaps: Counter[int] = Counter()
    text = document.text
    pending: list[Node] = [document.root] if document.root is not None else []
    seen = 0
    while pending and seen < _SAMPLE:
        node = pending.pop()
        seen += 1
        if isinstance(node, Mapping) and not node.flow:
            for entry in node.entries:
                value = entry.value
                if isinstance(value, Scalar) or getattr(value, "flow", True):
                    continue
                own = column(text, entry.key.start)
                if isinstance(value, Mapping):
                    steps[column(text, value.content) - own] += 1
                elif isinstance(value, Sequence):
                    offsets[column(text, value.content) - own] += 1
                pending.append(value)
        elif isinstance(node, Sequence) and not node.flow:
            for index, item in enumerate(node.items):
                lead = dash(text, node, index)
                if item.end > item.start and line_start(text, item.start) <= lead:
                    gaps[item.start - lead - 1] += 1
                pending.append(item)
    return Style(step=_most(steps), offset=_most(offsets), gap=max(_most(gaps) or 1, 1))


def _most(counts: Counter[int]) -> int | None:
    positive = [(number, -value) for value, number in counts.items() if value >= 0]
    return -max(positive)[1] if positive else None
