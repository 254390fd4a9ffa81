"""Three-way merge of string values that hold several lines (scripts, embedded files), line by line.

In: three scalars. Out: the merged value, and the edit that writes it into the target: in a literal block only the changed
lines, in any other spelling the whole value.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from penstock.merge import lines
from penstock.merge.lines import Clash, Hunk, LineMerge
from penstock.yamldoc import writing
from penstock.yamldoc.editing import Editor
from penstock.yamldoc.nodes import Scalar

if TYPE_CHECKING:
    from penstock.merge.fields import Spot


@dataclass(frozen=True, slots=True)
class TextMerge:
    """A merged value, or clashes."""

    value: str
    merged: LineMerge
    target: tuple[str, ...]
    newlines: int
    """Newlines at the end of the value."""

    @property
    def clashes(self) -> tuple[Clash, ...]:
        return self.merged.clashes

    @property
    def shown(self) -> tuple[list[str], list[str]]:
        """The lines that went and those that came."""
        before: list[str] = []
        after: list[str] = []
        for edit in self.merged.edits:
            before += self.target[edit.start : edit.end]
            after += edit.lines
        return before, after

    def write(self, editor: Editor, source: Scalar, target: Scalar, spot: Spot) -> None:
        """Put the value into the target's text."""
        raw = editor.text[target.content : target.end]
        header, _, body = raw.partition("\n")
        if target.style == "|" and body and self.value.strip("\n"):
            editor.splice(target.content, target.end, self._literal(header, body, target, spot.at, editor))
        elif source.value == self.value and not (spot.flow and source.style in ("|", ">")):
            editor.replace(target, source, before=spot.before, at=spot.at, flow=spot.flow, item=spot.item)
        else:
            editor.splice(target.content, target.end, writing.quoted(self.value, '"'))

    def _literal(self, header: str, body: str, target: Scalar, at: int, editor: Editor) -> str:
        old = body.split("\n")
        indent = writing.block_indent(target, old)
        edits = tuple(
            Hunk(edit.start, edit.end, tuple(" " * indent + line if line else "" for line in edit.lines))
            for edit in self.merged.edits
        )
        made = LineMerge(edits, ()).applied(old[: len(self.target)])
        written = len(target.value) - len(target.value.rstrip("\n"))
        if self.newlines == written:
            rest = old[len(self.target) :]
        else:
            rest = [""] * (self.newlines - 1)
            sign = "-" if self.newlines == 0 else "+" if self.newlines > 1 else ""
            header = re.sub(r"^\|([1-9]?)[-+]?([1-9]?)", rf"|\g<1>\g<2>{sign}", header)
        first = next((line for line in self.value.split("\n") if line), "")
        if first.startswith((" ", "\t")) and not re.match(r"\|[-+]?[1-9]", header):
            header = f"|{indent - at}{header[1:]}"
        return "\n".join([header, *made, *rest])


def merge_texts(base: Scalar, source: Scalar, target: Scalar, *, prefer: str = "") -> TextMerge | None:
    """The merge of three strings by lines; None when they are not texts of several lines."""
    sides = (base, source, target)
    if not all(writing.is_string(node) and node.tag is None for node in sides):
        return None
    if not ("\n" in target.value.rstrip("\n") or target.style == "|") or "\n" not in source.value + base.value:
        return None
    bodies = [node.value.rstrip("\n") for node in sides]
    ends = [len(node.value) - len(body) for node, body in zip(sides, bodies, strict=True)]
    split = [tuple(body.split("\n")) if body else () for body in bodies]
    merged = lines.merge(*split, prefer=prefer)
    newlines = ends[2] if ends[0] == ends[1] else ends[1]
    if not prefer and ends[0] not in (ends[1], ends[2]) and ends[1] != ends[2]:
        merged = LineMerge((), (Clash(len(split[0]), len(split[0]), (), ()),))
    value = "\n".join(merged.applied(split[2])) + "\n" * newlines
    return TextMerge(value, merged, split[2], newlines)
