"""Changes to a document's text that touch only the nodes concerned.

In: a target document, and nodes of a source document to put into it. Out: the target's text with the changes spliced in;
everything else byte for byte as it was.
"""

from __future__ import annotations

import re

from penstock.yamldoc import layout, writing
from penstock.yamldoc.blocks import BlockArranger, swallowed
from penstock.yamldoc.flows import FlowArranger
from penstock.yamldoc.layout import column, line_end, line_start
from penstock.yamldoc.nodes import Document, Mapping, Node, Scalar, Sequence
from penstock.yamldoc.shaping import fill, spelled_out
from penstock.yamldoc.splicing import Add, Draft, DropsHead, Keep, Plan


class Editor(Draft):
    """A draft whose values are replaced and whose collections are arranged."""

    # One value -------------------------------------------------------------------------------------------------------

    def replace(self, old: Node, new: Node, *, before: int, at: int, flow: bool, item: bool = False, bare: bool = False) -> None:
        """Put the source's value `new` where the target has `old`.

        `before` is the end of the key (the dash's offset for an item, -1 for the root), `at` the column of the key or
        dash, `flow` whether the place is inside a flow collection, `bare` whether to leave the anchor of `new` behind.
        """
        start = old.content if isinstance(old, Scalar | Mapping | Sequence) and (bare or not _has_properties(new)) else old.start
        if flow or (writing.simple(old) and writing.simple(new)):
            shown = self._inline(old, new, flow=flow, at=at, bare=bare)
            if start == old.end and start and self.text[start - 1] not in " \t\n[{,":
                shown = " " + shown if shown else ""
            if not shown and not flow:
                start = len(self.text[:start].rstrip(" \t"))
            self.splice(start, old.end, shown)
        elif before < 0:
            self.splice(line_start(self.text, start), line_end(self.text, old.end), self._root(new))
        else:
            self._replace_lines(old, new, before=before, at=at, item=item)

    def _inline(self, old: Node, new: Node, *, flow: bool, at: int, bare: bool) -> str:
        raw = self.source.text[new.start : new.end]
        if isinstance(new, Scalar):
            raw = self.source.text[new.content : new.end]
            properties = self.source.text[new.start : new.content].strip() if not bare else ""
            if isinstance(old, Scalar):
                raw = writing.scalar_text(new, raw, old, flow=flow, json_only=self.target.json)
            elif self.target.json:
                raw = self.writer.flow(new)
            else:
                raw = writing.inline_scalar(new, raw, flow=flow)
            return f"{properties} {raw}".strip()
        if bare and isinstance(new, Mapping | Sequence):
            raw = self.source.text[new.content : new.end]
        if flow and isinstance(new, Mapping | Sequence):
            line = line_start(self.text, old.start)
            indent = len(self.text[line : old.start]) - len(self.text[line : old.start].lstrip(" \t"))
            return self.writer.flow(new, indent, self.style.step or 2)
        if isinstance(new, Mapping | Sequence) and (new.trimmed or "\n" in raw):
            return (
                self.writer.flow(new)
                if new.trimmed
                else self.writer.behind(new, at, new.start, column(self.source.text, new.start)).strip()
            )
        return raw

    def _root(self, new: Node) -> str:
        if isinstance(new, Mapping | Sequence) and not new.flow:
            return self.writer.collection(new, 0)
        return self.source.text[new.start : new.end]

    def _replace_lines(self, old: Node, new: Node, *, before: int, at: int, item: bool) -> None:
        """Old or new spans lines of its own: everything behind the ':' or '-' is written anew, the comment there kept."""
        opened = self.text.index("-" if item else ":", before) + 1
        end = line_end(self.text, old.end)
        if writing.simple(old):
            comment = layout.comment_behind(self.text, old.end)
        else:
            match = re.search(r"[ \t]+\#[^\n]*$", self.text[opened : line_end(self.text, opened)])
            comment = match[0] if match else ""
        if item:
            lead = self._lead_of(new)
            body = self.writer.item(new, at, lead)[1:]
        else:
            key_end = self._key_end_of(new)
            body = self.writer.behind(new, at, key_end, column(self.source.text, line_of_key(self.source, new)))
        if comment:
            first, newline, rest = body.partition("\n")
            first = first if "#" in first else first + comment
            body = first + newline + rest
        self.splice(opened, swallowed(self, new, end), body)

    def _lead_of(self, new: Node) -> int:
        text = self.source.text
        if writing.simple(new):
            return -1
        position = new.start
        while position > 0 and text[position] != "-":
            position -= 1
        return position

    def _key_end_of(self, new: Node) -> int:
        """A position at or before the ':' that opens a block value in the source, behind its key."""
        text = self.source.text
        position = new.start
        while position > 0:
            start = line_start(text, position - 1)
            head = text[start:position]
            if head.strip() and not head.lstrip().startswith("#"):
                return start + head.rindex(":") if ":" in head else start
            position = start
        return 0

    # A collection ----------------------------------------------------------------------------------------------------

    def arrange(self, old: Mapping | Sequence, new: Mapping | Sequence, plan: Plan, drops_head: DropsHead) -> None:
        """Make the target's collection hold what `plan` says, the additions taken from the source's collection `new`.

        `drops_head(index, comment)` says whether the comment lines above a removed entry go with it.
        """
        members = layout.ends(old)
        kept = [step.index for step in plan if isinstance(step, Keep)]
        if kept == list(range(len(members))) and len(plan) == len(kept):
            return
        if old.flow:
            FlowArranger(self).arrange(old, plan)
        else:
            BlockArranger(self).arrange(old, new, plan, drops_head)


def line_of_key(document: Document, node: Node) -> int:
    """The offset at which the text of the line that opens a value begins (its key's first character, mostly)."""
    text = document.text
    position = node.start
    while True:
        start = line_start(text, position)
        body = text[start : line_end(text, start)].lstrip(" ")
        if (start < node.start and text[start : node.start].strip() and not body.startswith("#")) or start == 0:
            return line_end(text, start) - len(body)
        position = start - 1


def _has_properties(node: Node) -> bool:
    return isinstance(node, Scalar | Mapping | Sequence) and (node.anchor is not None or node.tag is not None)


__all__ = ["Add", "DropsHead", "Editor", "Keep", "Plan", "fill", "spelled_out"]
