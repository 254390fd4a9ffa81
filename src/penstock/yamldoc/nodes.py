"""A YAML document as nodes that know where they stand in its text, so that an edit can leave every other byte alone.

In: what `parsing` reads. Out: a tree of Scalar, Mapping, Sequence and Alias nodes with character offsets. Scalars are not
resolved to Python values: `Canon` decides what is the same value. Nodes are not frozen: ten thousand of them are built
for one file, and a frozen dataclass pays for each field.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

MAX_DEPTH = 200
"""Deeper nesting is refused: nobody writes it, and the merge is recursive."""


class UnreadableError(Exception):
    """This text cannot be edited field by field; `why` says so in words, `line` counts from 1 (0: unknown)."""

    def __init__(self, why: str, line: int = 0) -> None:
        super().__init__(why, line)
        self.why = why
        self.line = line


@dataclass(slots=True, eq=False)
class Scalar:
    """A scalar; `value` as parsed, `style` one of '' (plain), "'", '"', '|', '>'; `content` is behind anchor and tag."""

    start: int
    end: int
    content: int
    value: str
    style: str
    tag: str | None = None
    anchor: str | None = None
    canon: int = 0


@dataclass(slots=True, eq=False)
class Entry:
    """One key and its value."""

    key: Node
    value: Node

    @property
    def end(self) -> int:
        return max(self.key.end, self.value.end)


@dataclass(slots=True, eq=False)
class Mapping:
    """A mapping; `keys` has the plain text of each key (merge keys are '<<') unless `opaque`.

    Opaque mappings have complex or repeated keys, or no braces of their own (`[a: 1]`): they are compared, never entered.
    """

    start: int
    end: int
    content: int
    flow: bool
    entries: list[Entry]
    keys: dict[str, Entry]
    opaque: bool = False
    trimmed: bool = False
    """Entries were left out of what the text says (declared differences): it must be written anew, not copied."""
    merged: dict[str, Node] | None = None
    """What `effective` found, kept where there are merge keys: they may nest many times over."""
    tag: str | None = None
    anchor: str | None = None
    canon: int = 0


@dataclass(slots=True, eq=False)
class Sequence:
    """A list."""

    start: int
    end: int
    content: int
    flow: bool
    items: list[Node]
    trimmed: bool = False
    tag: str | None = None
    anchor: str | None = None
    canon: int = 0


@dataclass(slots=True, eq=False)
class Alias:
    """A `*name`; `target` is the node it stands for."""

    start: int
    end: int
    name: str
    target: Node
    canon: int = 0


Node = Scalar | Mapping | Sequence | Alias


def resolved(node: Node) -> Scalar | Mapping | Sequence:
    """The node itself, or what an alias stands for."""
    while isinstance(node, Alias):
        node = node.target
    return node


@dataclass(slots=True, eq=False)
class Document:
    """One document: its text (with its `---` line where it has one) and its root, None when it holds only comments."""

    text: str
    root: Node | None
    line: int = 1
    """The line of the file at which the text begins."""
    aliased: bool = False
    """Anchors or aliases are in it: an edit in one place may show in another."""
    repeated: bool = False
    """An anchor's name is given twice; Go reads that (the later one counts from there on), libyaml's composer does not."""
    json: bool = False

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column in the file, both from 1."""
        start = self.text.rfind("\n", 0, offset) + 1
        return self.line + self.text.count("\n", 0, offset), offset - start + 1


_NULL = frozenset(("", "~", "null", "Null", "NULL"))
_BOOLEAN = {"true": "true", "True": "true", "TRUE": "true", "false": "false", "False": "false", "FALSE": "false"}
_RETYPED = re.compile(
    r"""(?: [-+]?[0-9][0-9_]*                                                  # 12, 0755, 1_000
        | [-+]?0[xX][0-9a-fA-F_]+ | [-+]?0[oO][0-7_]+ | [-+]?0[bB][01_]+
        | [-+]?(?:\.[0-9][0-9_]*|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?
        | [-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?                     # 12:30:45 to base 60
        | [0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt\s].*)?
        | [-+]?\.(?:inf|Inf|INF) | \.(?:nan|NaN|NAN)
        | [yYnN] | yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF
        | = | <<
        ) \Z""",
    re.VERBOSE,
)
"""What YAML 1.1, YAML 1.2 or Go reads as something other than a string, null and true or false aside."""


def retyped(text: str) -> bool:
    """Whether some YAML reader takes this plain text for something other than a string."""
    return text in _NULL or text in _BOOLEAN or _RETYPED.match(text) is not None


class Canon:
    """Numbers for values: two nodes have the same number when they say the same.

    Strings are compared by value whatever their quotes; null and booleans by meaning; everything some reader takes for a
    number, date or word like `on` by its exact text, and never equal to the quoted form. Mappings ignore order and
    resolve merge keys. Values are shared, so a file of aliases to aliases costs no more than its text.
    """

    def __init__(self) -> None:
        self._numbers: dict[tuple[Any, ...], int] = {}

    def of(self, node: Node) -> int:
        """The number of a node's value, kept on the node."""
        if node.canon:
            return node.canon
        if isinstance(node, Scalar):
            number = self.number(self._scalar(node))
        elif isinstance(node, Alias):
            number = self.of(node.target)
        elif isinstance(node, Mapping):
            number = self._mapping(node)
        else:
            number = self.sequence([self.of(item) for item in node.items], node.tag)
        node.canon = number
        return number

    def of_root(self, document: Document) -> int:
        """The number of a whole document, 0 when it holds only comments."""
        return self.of(document.root) if document.root is not None else 0

    def number(self, key: tuple[Any, ...]) -> int:
        """The number of a value that is spelled as a tuple."""
        numbers = self._numbers
        found = numbers.get(key)
        if found is None:
            found = numbers[key] = len(numbers) + 1
        return found

    def sequence(self, items: list[int], tag: str | None = None) -> int:
        """The number of a list of these values."""
        return self.number(("seq", tag, *items))

    def mapping(self, entries: dict[str, int], tag: str | None = None) -> int:
        """The number of a mapping of these keys to these values."""
        return self.number(("map", tag, *sorted(entries.items())))

    def string(self, value: str) -> int:
        """The number of a string."""
        return self.number(("str", value))

    def _mapping(self, node: Mapping) -> int:
        if node.opaque:
            return self.number(("opaque", node.tag, *((self.of(entry.key), self.of(entry.value)) for entry in node.entries)))
        if "<<" in node.keys:
            return self.mapping({key: self.of(value) for key, value in effective(node).items()}, node.tag)
        of = self.of
        return self.number(("map", node.tag, *sorted([(key, of(entry.value)) for key, entry in node.keys.items()])))

    @staticmethod
    def _scalar(node: Scalar) -> tuple[Any, ...]:
        if node.tag is not None and node.tag not in ("!", "tag:yaml.org,2002:str"):
            return ("tag", node.tag, node.value)
        if node.style or node.tag is not None:
            return ("str", node.value)
        if node.value in _NULL:
            return ("null",)
        if node.value in _BOOLEAN:
            return ("bool", _BOOLEAN[node.value])
        if _RETYPED.match(node.value):
            return ("plain", node.value)
        return ("str", node.value)


def is_null(node: Node) -> bool:
    """Whether a node is null, written or empty."""
    node = resolved(node)
    return isinstance(node, Scalar) and not node.style and node.tag is None and node.value in _NULL


def effective(node: Mapping) -> dict[str, Node]:
    """Key to value as a reader sees it: its own entries, then those of merge keys that it does not have itself."""
    merge = node.keys.get("<<")
    if merge is None or (isinstance(merge.key, Scalar) and merge.key.style):
        return {key: entry.value for key, entry in node.keys.items()}
    if node.merged is not None:
        return node.merged
    found = {key: entry.value for key, entry in node.keys.items() if key != "<<"}
    for source in _merged(merge.value):
        for key, value in effective(source).items():
            found.setdefault(key, value)
    node.merged = found
    return found


def _merged(node: Node) -> Iterator[Mapping]:
    node = resolved(node)
    if isinstance(node, Mapping):
        yield node
    elif isinstance(node, Sequence):
        for item in node.items:
            yield from _merged(item)


def text_of(mapping: Node | None, *path: str) -> str:
    """The text of the scalar at these keys, '' when there is none."""
    node = mapping
    for key in path:
        node = resolved(node) if node is not None else None
        if not isinstance(node, Mapping):
            return ""
        node = effective(node).get(key)
    node = resolved(node) if node is not None else None
    return node.value if isinstance(node, Scalar) and not is_null(node) else ""
