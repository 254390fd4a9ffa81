"""Writes a node of one document as text that fits into another: its indentation, its list style, its quotes.

In: nodes with the document they stand in, and the Style of the document that receives them. Out: text whose first line
starts at the given column and whose other lines carry their indentation, without a newline at the end. Comments inside
and beside what is written come along; scalars keep their spelling.
"""

from __future__ import annotations

import json
import re

from penstock.yamldoc import layout
from penstock.yamldoc.layout import Style, column, line_end, line_start
from penstock.yamldoc.nodes import Alias, Document, Entry, Mapping, Node, Scalar, Sequence, resolved, retyped

_UNSAFE_FIRST = re.compile(r"[!&*|>%@`\"'\#,\[\]{}=~<\s]|[-?:](?![^\s,\[\]{}])")
_UNSAFE = re.compile(r":(?:\s|\Z)|\s\#|[\s]\Z|[^\x20-\x7e\u00a1-\u1fff\u2030-\ud7ff\ue000-\ufefe\uff00-\ufffd]")
_UNSAFE_IN_FLOW = re.compile(r"[,\[\]{}]|:\Z|:[,\[\]{}]")


def plain_safe(value: str, *, flow: bool) -> bool:
    """Whether every reader takes this text, written without quotes, for this very string."""
    if not value or _UNSAFE_FIRST.match(value) or retyped(value) or _UNSAFE.search(value) or value.startswith(("---", "...")):
        return False
    return not (flow and _UNSAFE_IN_FLOW.search(value))


def quoted(value: str, mark: str) -> str:
    """A string in single or double quotes; single ones only where they can say it."""
    if mark == "'" and re.fullmatch(r"[\x20-\x7e\u00a1-\u1fff\u2030-\ud7ff\ue000-\ufefe\uff00-\ufffd]*", value):
        return "'" + value.replace("'", "''") + "'"
    text = json.dumps(value, ensure_ascii=False)
    return re.sub(r"[\x7f-\xa0\u2028\u2029\ufeff]", lambda match: f"\\u{ord(match[0]):04x}", text)


def is_string(node: Scalar) -> bool:
    """Whether a scalar is a string for every reader."""
    if node.tag is not None:
        return node.tag in ("!", "tag:yaml.org,2002:str")
    return bool(node.style) or not retyped(node.value)


def scalar_text(source: Scalar, raw: str, target: Scalar, *, flow: bool, json_only: bool = False) -> str:
    """The source's scalar in the quotes of the target's, as far as that keeps its meaning.

    `raw` is the source's own spelling behind anchor and tag. Multi-line results are left to `Writer`.
    """
    if json_only:
        return raw if source.style == '"' or not source.style else quoted(source.value, '"')
    if is_string(source) and source.tag is None:
        if target.style in ("'", '"') and target.tag is None:
            same = source.style == target.style and "\n" not in raw
            return raw if same else quoted(source.value, target.style)
        if not target.style and is_string(target) and plain_safe(source.value, flow=flow):
            return source.value
    return inline_scalar(source, raw, flow=flow)


def inline_scalar(source: Scalar, raw: str, *, flow: bool) -> str:
    """A scalar on one line, spelled as in its document where that is possible."""
    block = source.style in ("|", ">") and source.style != ""
    if block or "\n" in raw or (flow and not source.style and is_string(source) and not plain_safe(source.value, flow=True)):
        return quoted(source.value, '"')
    return raw


class Writer:
    """Writes nodes of `source` in the indentation `style`."""

    def __init__(self, source: Document, style: Style, *, json_only: bool = False) -> None:
        own = layout.style(source)
        learned = style.over(own)
        self.source = source
        self.text = source.text
        self.step = learned.step or 2
        self.offset = learned.offset if learned.offset is not None else 0
        self.gap = learned.gap
        self.json = json_only
        self.pad = " "

    # Block style -----------------------------------------------------------------------------------------------------

    def entry(self, entry: Entry, at: int) -> str:
        """`key: value` with its key at column `at`."""
        key = self.text[entry.key.start : entry.key.end]
        return key + ":" + self.behind(entry.value, at, entry.key.end, column(self.text, entry.key.start))

    def item(self, item: Node, at: int, lead: int, gap: int | None = None) -> str:
        """`- value` with its dash at column `at`; `lead` is where the dash stands in the source (-1: in flow style)."""
        gap = self.gap if gap is None else gap
        if lead < 0 or self._flow_like(item):
            beside = self._beside(item) if lead >= 0 else ""
            body = " " * gap + self._simple(item, at, column(self.text, item.start)) if item.end > item.start else ""
            return "-" + body + beside
        inline = isinstance(item, Mapping | Sequence) and "\n" not in self.text[lead : item.content]
        if inline and isinstance(item, Mapping | Sequence):
            properties = self.text[item.start : item.content]
            return "-" + " " * gap + properties + self._block(item, at + 1 + gap)
        body = self.behind(item, at, lead, column(self.text, lead), item=True)
        return "-" + (" " * gap + body[1:] if body.startswith(" ") and not body.startswith(" #") else body)

    def behind(self, value: Node, at: int, before: int, was: int, *, item: bool = False) -> str:
        """What follows the ':' or '-' of an entry at column `at` that was at column `was`; `before` is the key's end."""
        if self._flow_like(value):
            if value.end == value.start:
                return self._beside(value)
            return " " + self._simple(value, at, was) + self._beside(value)
        if isinstance(value, Scalar):
            return " " + self._block_scalar(value, at)
        assert isinstance(value, Mapping | Sequence)
        opened = self.text.find("-" if item else ":", before) + 1
        first = line_end(self.text, opened)
        if value.content <= first:  # a flow collection's entries written in block style
            return "\n" + " " * self._child(value, at, item) + self._block(value, self._child(value, at, item))
        header = self.text[opened:first].rstrip()
        child = self._child(value, at, item)
        between = self._lines(
            self.text[first + 1 : line_start(self.text, value.content)], child, column(self.text, value.content)
        )
        body = self._block(value, child)
        return header + "\n" + "".join(line + "\n" for line in between) + " " * child + body + self._foot(value, child, was)

    def _child(self, value: Mapping | Sequence, at: int, item: bool) -> int:
        if item:
            return at + 2
        return at + (self.step if isinstance(value, Mapping) else self.offset)

    def collection(self, node: Mapping | Sequence, at: int) -> str:
        """A block collection whose entries stand at column `at`."""
        return self._block(node, at)

    def _block(self, node: Mapping | Sequence, at: int) -> str:
        if not (node.entries if isinstance(node, Mapping) else node.items):
            return "{}" if isinstance(node, Mapping) else "[]"
        starts = layout.leads(self.text, node) if not node.flow else [-1] * 10**6
        was = column(self.text, node.content)
        parts: list[str] = []
        floor = node.content
        for index, member in enumerate(node.entries if isinstance(node, Mapping) else node.items):
            if index and not node.flow:
                parts.extend(self.head(starts[index], floor, at, was))
            if isinstance(member, Entry):
                body = self.entry(member, at)
            else:
                body = self.item(member, at, starts[index])
            parts.append(" " * at + body if parts else body)
            floor = line_end(self.text, member.end) + 1
        return "\n".join(parts)

    def head(self, lead: int, floor: int, at: int, was: int) -> list[str]:
        """The comment and blank lines above an entry, down to `floor`, indented for column `at`."""
        start = line_start(self.text, lead)
        begin = start
        while begin > floor:
            above = line_start(self.text, begin - 1)
            body = self.text[above : begin - 1].strip()
            if above < floor or (body and not body.startswith("#")):
                break
            begin = above
        return self._lines(self.text[begin:start], at, was)

    def _lines(self, block: str, at: int, was: int) -> list[str]:
        lines = []
        for line in block.split("\n")[:-1]:
            body = line.strip()
            indent = len(line) - len(line.lstrip(" "))
            lines.append(" " * max(at, at + indent - was) + body if body else "")
        return lines

    def _foot(self, value: Mapping | Sequence, at: int, outer: int) -> str:
        """Comment lines behind the last entry that are indented like the entries: they belong to the collection.

        `outer` is the column of the key or dash in front of the collection: what is no deeper belongs to what follows.
        """
        was = max(column(self.text, value.content), outer + 1)
        lines: list[str] = []
        pending: list[str] = []
        position = line_end(self.text, value.end)
        while position < len(self.text):
            following = line_end(self.text, position + 1)
            line = self.text[position + 1 : following]
            body = line.strip()
            if body.startswith("#") and len(line) - len(line.lstrip(" ")) >= was:
                lines += [*pending, " " * at + body]
                pending = []
            elif body:
                break
            else:
                pending.append("")
            position = following
        return "".join("\n" + line for line in lines)

    def _beside(self, value: Node) -> str:
        return layout.comment_behind(self.text, value.end)

    def _flow_like(self, node: Node) -> bool:
        if isinstance(node, Alias):
            return True
        if isinstance(node, Scalar):
            return not node.style or node.style not in "|>"
        return node.flow

    def _simple(self, node: Node, at: int, was: int) -> str:
        if isinstance(node, Mapping | Sequence) and node.trimmed:
            return self.flow(node)
        raw = self.text[node.start : node.end]
        if "\n" not in raw:
            return raw
        shift = at - was
        first, *rest = raw.split("\n")
        lines = [first]
        for line in rest:
            body = line.strip(" \t\r")
            indent = len(line) - len(line.lstrip(" "))
            lines.append(" " * max(at + (0 if body[:1] in "]}" else 1), indent + shift) + body if body else "")
        return "\n".join(lines)

    def _block_scalar(self, node: Scalar, at: int) -> str:
        raw = self.text[node.start : node.end]
        header, _, body = raw.partition("\n")
        if not body:
            return header
        lines = body.split("\n")
        old = block_indent(node, lines)
        indent = at + self.step
        header = re.sub(r"(?<=[|>])([-+]?)[1-9]|(?<=[|>])[1-9]([-+]?)", rf"{indent - at}\g<1>\g<2>", header, count=1)
        return "\n".join([header, *(" " * indent + line[old:] if line.strip(" \r") else "" for line in lines)])

    # Flow style ------------------------------------------------------------------------------------------------------

    def flow(self, node: Node, indent: int | None = None, unit: int = 2) -> str:
        """A node on one line, or, when `indent` is given and the source wrote it on several, opened over several lines."""
        if isinstance(node, Alias):
            return self.text[node.start : node.end]
        if isinstance(node, Scalar):
            raw = self.text[node.content : node.end]
            properties = self.text[node.start : node.content].strip()
            shown = scalar_text(node, raw, node, flow=True, json_only=True) if self.json else inline_scalar(node, raw, flow=True)
            return f"{properties} {shown}".strip() if not self.json else shown
        several = indent is not None and "\n" in self.text[node.start : node.end]
        if not several and node.flow and not node.trimmed and "\n" not in self.text[node.start : node.end]:
            return self.text[node.start : node.end]
        deeper = indent + unit if several and indent is not None else None
        opening, closing = ("{", "}") if isinstance(node, Mapping) else ("[", "]")
        if isinstance(node, Mapping):
            parts = [self.flow_entry(entry, deeper, unit) for entry in node.entries]
        else:
            parts = [self.flow(item, deeper, unit) for item in node.items]
        if not several or not parts:
            return opening + ", ".join(parts) + closing
        inner = ",\n".join(self.pad * (deeper or 0) + part for part in parts)
        return f"{opening}\n{inner}\n{self.pad * (indent or 0)}{closing}"

    def flow_entry(self, entry: Entry, indent: int | None = None, unit: int = 2) -> str:
        """`key: value` for a flow mapping."""
        value = self.flow(entry.value, indent, unit)
        key = self.text[entry.key.start : entry.key.end]
        if isinstance(entry.key, Scalar) and (self.json or "\n" in key):
            key = quoted(entry.key.value, '"') if entry.key.style != '"' else key
        elif isinstance(entry.key, Scalar):
            key = inline_scalar(entry.key, key, flow=True)
        return f"{key}: {value or 'null'}"


def block_indent(node: Scalar, lines: list[str]) -> int:
    """The indentation of a block scalar's content, from its lines as written and its value."""
    raw = next((line for line in lines if line.strip(" \r")), "")
    value = next((line for line in node.value.split("\n") if line.strip(" \r")), "")
    return (len(raw) - len(raw.lstrip(" "))) - (len(value) - len(value.lstrip(" ")))


def simple(node: Node) -> bool:
    """Whether a node is written on one line, without indentation of its own."""
    node = node if isinstance(node, Alias) else resolved(node)
    if isinstance(node, Alias):
        return True
    if isinstance(node, Scalar):
        return not node.style or node.style not in "|>"
    return node.flow
