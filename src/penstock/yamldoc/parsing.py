"""Reads a YAML document into nodes.

In: the text of a file, cut into documents by `split`. Out: a Document each. Parsing is libyaml's; the
offsets of its events are right for everything but the ends of block scalars and block collections (which reach to the
next token), corrected here.
"""

from __future__ import annotations

import itertools
import re
from typing import Any

import yaml
from yaml._yaml import CParser

from penstock.yamldoc.nodes import MAX_DEPTH, Alias, Document, Entry, Mapping, Node, Scalar, Sequence, UnreadableError

_SCALAR, _MAPPING_END = yaml.ScalarEvent, yaml.MappingEndEvent
_SEPARATOR = re.compile(r"^---(?=[ \t\r\n]|\Z)", re.MULTILINE)


def split(text: str) -> list[str]:
    """The documents of a file as texts that join to it again.

    A `---` at the start of a line is a separator wherever it stands: YAML forbids it inside every kind of scalar. The
    first text may hold only comments.
    """
    cuts = [match.start() for match in _SEPARATOR.finditer(text)]
    bounds = [0, *(cut for cut in cuts if cut), len(text)]
    return [text[start:end] for start, end in itertools.pairwise(bounds)] if text else []


def comment_only(text: str) -> bool:
    """Whether a document's text holds nothing but comments and blank lines."""
    lines = (line.strip() for line in text.removeprefix("---").split("\n"))
    return all(not line or line.startswith("#") for line in lines)


def parse(text: str, line: int = 1) -> Document:
    """The nodes of one document's text. Raises UnreadableError."""
    try:
        builder = _Builder(text, line)
        root = builder.document()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise UnreadableError(
            getattr(error, "problem", None) or "not YAML", line + mark.line if mark is not None else 0
        ) from None
    return Document(text=text, root=root, line=line, aliased=bool(builder.anchors), repeated=builder.repeated)


class _Builder:
    def __init__(self, text: str, line: int) -> None:
        self.text = text
        self.line = line
        self.events: Any = CParser(text)
        self.anchors: dict[str, Node] = {}
        self.questions = "?" in text
        self.repeated = False

    def document(self) -> Node | None:
        event = self.events.get_event()
        event = self.events.get_event()
        if isinstance(event, yaml.StreamEndEvent):
            return None
        if event.version or event.tags:
            raise UnreadableError("it has YAML directives", self.line)
        root = self.node(self.events.get_event(), 0)
        end = self.events.get_event()
        if not isinstance(self.events.get_event(), yaml.StreamEndEvent):
            raise UnreadableError("documents are separated by '...'", self.line + end.end_mark.line)
        if isinstance(root, Scalar) and root.start == root.end:
            return None
        return root

    def node(self, event: Any, depth: int) -> Node:
        kind = event.__class__
        if kind is _SCALAR:
            return self.scalar(event)
        if kind is yaml.AliasEvent:
            target = self.anchors.get(event.anchor)
            if target is None:
                raise UnreadableError(f"the alias *{event.anchor} has no anchor before it", self.line + event.start_mark.line)
            return Alias(event.start_mark.index, event.end_mark.index, event.anchor, target)
        if depth >= MAX_DEPTH:
            raise UnreadableError("it is nested too deeply", self.line + event.start_mark.line)
        made = self.mapping(event, depth) if kind is yaml.MappingStartEvent else self.sequence(event, depth)
        # An anchor names its node only once that is complete: an alias to itself would never end, and is refused above.
        if event.anchor is not None:
            self.name(event.anchor, made)
        return made

    def name(self, anchor: str, node: Node) -> None:
        self.repeated = self.repeated or anchor in self.anchors
        self.anchors[anchor] = node

    def scalar(self, event: Any) -> Scalar:
        start, end, style = event.start_mark.index, event.end_mark.index, event.style or ""
        if style and style in "|>":
            end = _block_end(self.text, start, end)
        anchor, tag = event.anchor, event.tag
        if anchor is None and tag is None:
            return Scalar(start, end, start, event.value, style)
        made = Scalar(start, end, _behind_properties(self.text, start, end), event.value, style, tag, anchor)
        if anchor is not None:
            self.name(anchor, made)
        return made

    def mapping(self, event: Any, depth: int) -> Mapping:
        get, node, scalar, depth = self.events.get_event, self.node, self.scalar, depth + 1
        entries: list[Entry] = []
        keys: dict[str, Entry] = {}
        opaque = False
        start = event.start_mark.index
        while True:
            following: Any = get()
            if following.__class__ is _MAPPING_END:
                break
            # Scalars are read here, and not by way of `node`: most of what there is to read are keys and words.
            key = scalar(following) if following.__class__ is _SCALAR else node(following, depth)
            following = get()
            entry = Entry(key, scalar(following) if following.__class__ is _SCALAR else node(following, depth))
            entries.append(entry)
            if not isinstance(key, Scalar) or key.value in keys or key.style == "|" or key.style == ">" or key.anchor or key.tag:
                opaque = True
            else:
                opaque = opaque or (self.questions and _explicit(self.text, key.start))
                keys[key.value] = entry
        flow = bool(event.flow_style)
        end = _closed(following) if flow or not entries else entries[-1].end
        content = _behind_properties(self.text, start, end) if event.anchor or event.tag else start
        if not flow and entries:
            content = entries[0].key.start
        opaque = opaque or (flow and self.text[content : content + 1] != "{")
        return Mapping(start, end, content, flow, entries, keys, opaque, tag=event.tag, anchor=event.anchor)

    def sequence(self, event: Any, depth: int) -> Sequence:
        get = self.events.get_event
        items: list[Node] = []
        start = event.start_mark.index
        while True:
            following: Any = get()
            if following.__class__ is yaml.SequenceEndEvent:
                break
            items.append(self.node(following, depth + 1))
        flow = bool(event.flow_style)
        end = _closed(following) if flow or not items else items[-1].end
        content = _behind_properties(self.text, start, end) if event.anchor or event.tag else start
        return Sequence(start, end, content, flow, items, False, event.tag, event.anchor)


def _closed(event: Any) -> int:
    """The offset behind the bracket that ends a flow collection."""
    return int(event.end_mark.index)


_PROPERTY = re.compile(r"(?:[&!][^\s,\[\]{}]*(?:[ \t]*(?:\#[^\n]*)?\r?\n|[ \t]+|\Z)(?:[ \t]*(?:\#[^\n]*)?\r?\n)*[ \t]*){1,2}")


def _explicit(text: str, start: int) -> bool:
    """Whether a key is written as `? key`."""
    while start and text[start - 1] in " \t":
        start -= 1
    return start > 0 and text[start - 1] == "?"


def _behind_properties(text: str, start: int, end: int) -> int:
    match = _PROPERTY.match(text, start)
    return min(match.end(), end) if match else start


_HEADER = re.compile(r"[|>][-+0-9]*")


def _block_end(text: str, start: int, end: int) -> int:
    """The end of a block scalar's last line that is part of its value.

    libyaml's mark stands where the next token begins. Blank lines at the end belong to the scalar only under `+`.
    """
    newline = text.find("\n", start)
    if newline < 0 or newline >= end:
        return len(text[start:end].rstrip()) + start
    header = text[start:newline]
    keep = "+" in header[header.rfind("|" if "|" in header else ">") :].split("#")[0]
    # The mark may be inside the indentation of the next line, or at a comment.
    last = text.rfind("\n", 0, end) if text[text.rfind("\n", 0, end) + 1 : end].strip(" \t") == "" else end
    if keep:
        return last
    while last > newline:
        previous = text.rfind("\n", 0, last)
        if text[previous + 1 : last].strip(" \t\r"):
            return last - 1 if text[last - 1] == "\r" else last
        last = previous
    return last - 1 if text[last - 1] == "\r" else last
