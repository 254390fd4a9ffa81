"""A quick reader for the YAML that people write by hand most: block style, one value to a line.

In: a document's text. Out: the nodes that libyaml's events would give, or None for anything out of the ordinary (anchors,
tags, folded or kept blocks, values over several lines, tabs, keys with spaces ...), which libyaml then reads. It never
guesses: what a rule here does not cover whole is left to libyaml. A law in the tests compares the two on every file.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from penstock.yamldoc.nodes import MAX_DEPTH, Entry, Mapping, Node, Scalar, Sequence

_ODD = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\xa0\u2028\u2029\ufeff\ud800-\udfff]")
_START = re.compile(r"---(?:[ ]+\#[^\n]*|[ ]*)\n")
_BLANK = re.compile(r"[ ]*(?:\#[^\n]*)?(?:\n|\Z)")
_INDENT = re.compile(r"[ ]*")
_DASH = re.compile(r"-(?:[ ]+|(?=\n|\Z))")
_KEY = re.compile(r"""([A-Za-z0-9_/.][A-Za-z0-9_./-]*|"[^"\\\n]*"|'[^'\n]*')[ ]*:(?=[ \n]|\Z)[ ]*""")
_REST = re.compile(r"(?:[ ]+\#[^\n]*|[ ]*)(?:\n|\Z)")
_DOUBLE = re.compile(r'"(?:[^"\\\n]|\\["\\/nrt])*"')
_SINGLE = re.compile(r"'(?:[^'\n]|'')*'")
_PLAIN = re.compile(r"(?:[A-Za-z0-9_./$(+~]|-(?=[^\s]))(?:[^\n\#:]|:(?=[^\s])|(?<=[^\s])\#)*")
_PLAIN_IN_FLOW = re.compile(r"(?:[A-Za-z0-9_./$(+]|-(?=[^\s,\[\]{}]))(?:[^\n\#:,\[\]{}\"']|:(?=[^\s,\[\]{}\"']))*")
_LITERAL = re.compile(r"\|(-?)[ ]*(?:[ ]\#[^\n]*)?\n")
_LINE = re.compile(r"([ ]*)([^\n]*)\n")
_SPACES = re.compile(r"[ ]*")
_COLON = re.compile(r":[ ]+")
_COMMA = re.compile(r",[ ]*")


class _OddError(Exception):
    """Left to libyaml."""


@dataclass(slots=True)
class _Open:
    """A block collection that lines may still be added to."""

    column: int
    node: Mapping | Sequence
    pending: int = -1
    """Where the null stands that is the last entry's value until a collection takes its place; -1: it has its value."""


def scan(text: str) -> Node | None:
    """The root node of a document, or None."""
    if _ODD.search(text):
        return None
    try:
        return _Scanner(text).run()
    except _OddError:
        return None


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.stack: list[_Open] = []
        self.root: Mapping | Sequence | None = None

    def run(self) -> Node:
        text = self.text
        start = _START.match(text)
        position = start.end() if start is not None else 0
        length = len(text)
        while position < length:
            blank = _BLANK.match(text, position)
            if blank is not None and blank.end() > position:
                position = blank.end()
            else:
                position = self.line(position)
        while self.stack:
            self.close()
        if self.root is None:
            raise _OddError
        return self.root

    def line(self, begin: int) -> int:
        """Read a line with content; returns where the next begins."""
        text = self.text
        position = begin + len(_INDENT.match(text, begin)[0])  # type: ignore[index]
        dashed = False
        while (dash := _DASH.match(text, position)) is not None:
            if text.startswith("---", position) and position == begin:
                raise _OddError
            self.item(position, position - begin)
            position = dash.end()
            dashed = True
        key = _KEY.match(text, position)
        if key is None:
            if not dashed:
                raise _OddError
            top = self.stack[-1]
            if (rest := _REST.match(text, position)) is not None:
                return rest.end()
            return self.value(top, position)
        self.key(key, position - begin)
        if (rest := _REST.match(text, key.end())) is not None and not (key.end() < len(text) and text[key.end()] == "#"):
            return rest.end()
        return self.value(self.stack[-1], key.end())

    # Block collections -----------------------------------------------------------------------------------------------

    def item(self, position: int, column: int) -> None:
        """A dash: the next item of the list at this column, or the first of a new one."""
        self.close_below(column)
        top = self.stack[-1] if self.stack else None
        if top is None or not (top.column == column and isinstance(top.node, Sequence)):
            indentless = top is not None and top.column == column and isinstance(top.node, Mapping)
            top = self.open(Sequence(position, position, position, False, []), column, indentless=indentless)
        else:
            self.settle(top)
        assert isinstance(top.node, Sequence)
        top.node.items.append(Scalar(position + 1, position + 1, position + 1, "", ""))
        top.pending = position + 1

    def key(self, match: re.Match[str], column: int) -> None:
        """A key: the next entry of the mapping at this column, or the first of a new one."""
        self.close_below(column)
        top = self.stack[-1] if self.stack else None
        if top is not None and top.column == column and isinstance(top.node, Sequence) and len(self.stack) > 1:
            under = self.stack[-2]
            if under.column == column:
                self.close()
                top = under
        start = match.start(1)
        if top is None or not (top.column == column and isinstance(top.node, Mapping)):
            top = self.open(Mapping(start, start, start, False, [], {}), column)
        else:
            self.settle(top)
        node = top.node
        assert isinstance(node, Mapping)
        raw = match[1]
        quote = raw[0] if raw[0] in "\"'" else ""
        name = raw[1:-1] if quote else raw
        key = Scalar(start, match.end(1), start, name, quote)
        colon = self.text.index(":", match.end(1)) + 1
        entry = Entry(key, Scalar(colon, colon, colon, "", ""))
        node.entries.append(entry)
        if name in node.keys:
            node.opaque = True
        else:
            node.keys[name] = entry
        top.pending = colon

    def open(self, node: Mapping | Sequence, column: int, *, indentless: bool = False) -> _Open:
        """A collection begins: as the root, or in place of the null that is pending."""
        top = self.stack[-1] if self.stack else None
        if top is None:
            if self.root is not None:
                raise _OddError
            self.root = node
        else:
            if top.pending < 0 or not (top.column < column or indentless) or len(self.stack) > MAX_DEPTH:
                raise _OddError
            self.put(top, node)
        made = _Open(column, node)
        self.stack.append(made)
        return made

    def close_below(self, column: int) -> None:
        while self.stack and self.stack[-1].column > column:
            self.close()

    def close(self) -> None:
        closed = self.stack.pop()
        node = closed.node
        node.end = node.entries[-1].value.end if isinstance(node, Mapping) else node.items[-1].end

    @staticmethod
    def settle(top: _Open) -> None:
        """What is pending stays null."""
        top.pending = -1

    @staticmethod
    def put(top: _Open, value: Node) -> None:
        if isinstance(top.node, Mapping):
            top.node.entries[-1].value = value
        else:
            top.node.items[-1] = value
        top.pending = -1

    # Values ----------------------------------------------------------------------------------------------------------

    def value(self, top: _Open, position: int) -> int:
        """A value on the line of its key or dash."""
        text = self.text
        char = text[position]
        if char == "|":
            node, behind = self.literal(position, top.column)
            self.put(top, node)
            return behind
        made: Node
        if char == '"' or char == "'":
            made = self.quoted(position)
        elif char in "{[":
            made = self.flow(position, 0)
        else:
            match = _PLAIN.match(text, position)
            if match is None:
                raise _OddError
            raw = match[0].rstrip(" ")
            made = Scalar(position, position + len(raw), position, raw, "")
        rest = _REST.match(text, made.end)
        if rest is None:
            raise _OddError
        self.put(top, made)
        return rest.end()

    def quoted(self, position: int) -> Scalar:
        quote = self.text[position]
        match = (_DOUBLE if quote == '"' else _SINGLE).match(self.text, position)
        if match is None:
            raise _OddError
        raw = match[0]
        if quote == "'":
            value = raw[1:-1].replace("''", "'")
        else:
            value = json.loads(raw) if "\\" in raw else raw[1:-1]
        return Scalar(position, match.end(), position, value, quote)

    def literal(self, position: int, column: int) -> tuple[Scalar, int]:
        """A `|` or `|-` block below a key or dash at this column, and where the next line begins."""
        text = self.text
        header = _LITERAL.match(text, position)
        if header is None:
            raise _OddError
        at = header.end()
        indent = -1
        lines: list[str] = []
        count = 0  # lines up to the last one that is not blank
        end = position
        behind = at
        while (match := _LINE.match(text, at)) is not None:
            spaces = match.end(1) - at
            if not match[2]:
                if indent < 0 or spaces > indent:
                    raise _OddError
                lines.append("")
            else:
                if indent < 0:
                    indent = spaces
                    if indent <= column:
                        raise _OddError
                if spaces < indent:
                    if spaces > column:
                        raise _OddError
                    break
                lines.append(text[at + indent : match.end(2)])
                count = len(lines)
                end = match.end(2)
                behind = match.end()
            at = match.end()
        else:
            if at < len(text):
                raise _OddError
        if not count:
            raise _OddError
        value = "\n".join(lines[:count]) + ("" if header[1] else "\n")
        return Scalar(position, end, position, value, "|"), behind

    def flow(self, position: int, depth: int) -> Mapping | Sequence:
        """A flow collection on one line."""
        if depth > MAX_DEPTH:
            raise _OddError
        text = self.text
        opening = text[position]
        closing = "}" if opening == "{" else "]"
        at = self.space(position + 1)
        entries: list[Entry] = []
        keys: dict[str, Entry] = {}
        items: list[Node] = []
        opaque = False
        while text[at : at + 1] != closing:
            if entries or items:
                comma = _COMMA.match(text, at)
                if comma is None:
                    raise _OddError
                at = comma.end()
            node = self.flow_value(at, depth)
            at = node.end
            if opening == "{":
                colon = _COLON.match(text, at)
                if colon is None or not isinstance(node, Scalar):
                    raise _OddError
                entry = Entry(node, self.flow_value(colon.end(), depth))
                entries.append(entry)
                opaque = opaque or node.value in keys
                keys.setdefault(node.value, entry)
                at = entry.value.end
            else:
                items.append(node)
            at = self.space(at)
        if opening == "{":
            return Mapping(position, at + 1, position, True, entries, keys, opaque)
        return Sequence(position, at + 1, position, True, items)

    def flow_value(self, position: int, depth: int) -> Node:
        char = self.text[position : position + 1]
        if char in ("{", "["):
            return self.flow(position, depth + 1)
        if char in ('"', "'"):
            return self.quoted(position)
        match = _PLAIN_IN_FLOW.match(self.text, position)
        if match is None:
            raise _OddError
        raw = match[0].rstrip(" ")
        return Scalar(position, position + len(raw), position, raw, "")

    def space(self, position: int) -> int:
        match = _SPACES.match(self.text, position)
        return match.end() if match is not None else position
