"""libyaml's events in, plain values out: the exact way to read YAML, with go-yaml's rules and places for errors.

What PyYAML's own composer would do differently is done here by hand: scalars resolve as in Go, an anchor may be
defined twice, merge keys work as kyaml does them, a mapping key defined twice is an error that names both lines, and
aliases expand to copies inside a budget. No recursion, so nesting cannot exhaust a stack.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, NoReturn

from penstock.model.errors import InputError, Place, Problem
from penstock.model.fieldpath import FieldPath, Keyed, show
from penstock.yamldoc import scalars

MAX_DEPTH: Final = 1000
"""Nested collections below each other."""
# What copies, merges and prints a value calls itself per level, three times at most. Such calls take heap, not stack, since
# Python 3.11, so the limit is only a number; the caller may already be deep in calls of its own.
sys.setrecursionlimit(max(sys.getrecursionlimit(), 6 * MAX_DEPTH))
MAX_ALIAS_NODES: Final = 1_000_000
"""Nodes a document may gain by aliases."""
MAX_ALIAS_BYTES: Final = 10 * 1024 * 1024
"""Characters a document may gain by aliases."""

_TAG_PREFIX = "tag:yaml.org,2002:"
_KNOWN_TAGS = frozenset(
    _TAG_PREFIX + name for name in ("str", "int", "float", "bool", "null", "timestamp", "binary", "map", "seq")
)


@dataclass(slots=True)
class _Frame:
    """A collection being composed."""

    value: dict[str, Any] | list[Any]
    anchor: str | None
    line: int
    column: int
    key: str | None = None
    has_key: bool = False
    keys: dict[str, int] = field(default_factory=dict)
    merge: Any = None
    merging: bool = False
    merge_line: int = 0
    nodes: int = 1
    characters: int = 0
    duplicate: Problem | None = None
    flow: bool = False
    """Inside brackets or braces, this collection's own or those of one around it."""


@dataclass(slots=True)
class _Anchored:
    value: Any
    nodes: int
    characters: int
    finished: bool


class _DropKeyError(Exception):
    """A null key: Go drops the whole entry."""


class Composer:
    """Composes one document; see reading.py for what the switches mean."""

    def __init__(
        self,
        *,
        path: str,
        first_line: int,
        resolver: Callable[[str], Any],
        sigs: bool,
        last_duplicate_wins: bool,
        drop_trailing: bool,
        unknown_tags: bool,
        decode_binary: bool,
    ) -> None:
        self._path = path
        self._first_line = first_line
        self._resolver = resolver
        self._sigs = sigs
        self._last_duplicate_wins = last_duplicate_wins
        self._drop_trailing = drop_trailing
        self._unknown_tags = unknown_tags
        self._decode_binary = decode_binary
        self._anchors: dict[str, _Anchored] = {}
        self._stack: list[_Frame] = []
        self._alias_nodes = 0
        self._alias_characters = 0
        self._problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self._root_done = False
        self.unspelled: list[FieldPath] = []
        """Nulls between braces or brackets that nothing spells."""
        self.quoted_times: list[tuple[FieldPath, str]] = []
        """Times between braces or brackets, with what they would be outside of them."""

    def compose(self, source: bytes | str) -> tuple[Any, int] | None:
        """(value, line from 0 where it starts) of the first document, None when there is none. Raises InputError."""
        import yaml

        try:
            return self._compose(source)
        except yaml.YAMLError as error:
            raise self._syntax(error, source) from None

    def _compose(self, source: bytes | str) -> tuple[Any, int] | None:
        import yaml

        root: tuple[Any, int] | None = None
        start_line = 0
        for event in events(source):
            if not self._stack and root is None and isinstance(event, yaml.NodeEvent) and event.start_mark is not None:
                start_line = event.start_mark.line
            if isinstance(event, yaml.ScalarEvent):
                done = self._scalar(event)
            elif isinstance(event, yaml.CollectionStartEvent):
                self._open(event)
                continue
            elif isinstance(event, yaml.CollectionEndEvent):
                done = self._close()
            elif isinstance(event, yaml.AliasEvent):
                done = self._alias(event)
            elif isinstance(event, yaml.DocumentStartEvent):
                if root is not None:
                    if not self._drop_trailing:
                        self._fail("content after the end of the document would be ignored", event, "TrailingContent")
                    break
                if event.version is not None and event.version != (1, 1):
                    self._fail("found incompatible YAML document: only YAML 1.1 may be declared", event, "YamlSyntax")
                continue
            else:
                continue
            if not self._stack and root is None:
                root = (done, start_line)
                self._root_done = True
                if self._drop_trailing:
                    break
        if self._problems:
            raise InputError(self._problems)
        return root

    def _open(self, event: Any) -> None:
        mapping = type(event).__name__ == "MappingStartEvent"
        if event.tag is not None and event.tag not in ("!", _TAG_PREFIX + ("map" if mapping else "seq")):
            self._unknown_tag(event)
        if len(self._stack) >= MAX_DEPTH:
            self._fail(f"nested deeper than {MAX_DEPTH} levels", event, "YamlDepth")
        if self._stack and isinstance(self._stack[-1].value, dict) and not self._stack[-1].has_key:
            self._fail("a mapping key is a map or a list, not a string", event, "YamlKeyType")
        flow = bool(event.flow_style) or bool(self._stack and self._stack[-1].flow)
        frame = _Frame({} if mapping else [], event.anchor, event.start_mark.line, event.start_mark.column, flow=flow)
        if event.anchor is not None:
            self._anchors[event.anchor] = _Anchored(frame.value, 0, 0, finished=False)
        self._stack.append(frame)

    def _close(self) -> Any:
        frame = self._stack.pop()
        value = frame.value
        if frame.merging and isinstance(value, dict):
            value = self._merged(frame, value)
            frame.value = value
        if frame.anchor is not None:
            self._anchors[frame.anchor] = _Anchored(value, frame.nodes, frame.characters, finished=True)
        return self._add(value, frame.nodes, frame.characters, frame.line, frame.column)

    def _merged(self, frame: _Frame, value: dict[str, Any]) -> dict[str, Any]:
        """kyaml's merge: earlier maps of a list win over later ones, own keys win over all."""
        sources = frame.merge if isinstance(frame.merge, list) else [frame.merge]
        merged: dict[str, Any] = {}
        for source in reversed(sources):
            if not isinstance(source, dict):
                self._fail_at("a merge key takes a map or a list of maps", frame.merge_line, 0, "YamlMerge")
            merged.update(source)
        merged.update(value)
        value.clear()
        value.update(merged)
        return value

    def _alias(self, event: Any) -> Any:
        anchored = self._anchors.get(event.anchor)
        if anchored is None:
            self._fail(f"unknown anchor '{event.anchor}' referenced", event, "YamlAlias")
        if self._stack and isinstance(self._stack[-1].value, dict) and not self._stack[-1].has_key:
            if not isinstance(anchored.value, str):
                self._fail("a mapping key is not a string", event, "YamlKeyType")
            return self._key(anchored.value, event)
        if not anchored.finished:
            if self._stack[-1].merging and self._stack[-1].key is None and anchored.value is self._stack[-1].value:
                return self._add({}, 1, 0, event.start_mark.line, event.start_mark.column)
            self._fail(f"the alias '{event.anchor}' is inside what it refers to", event, "YamlAliasCycle")
        self._alias_nodes += anchored.nodes
        self._alias_characters += anchored.characters
        if self._alias_nodes > MAX_ALIAS_NODES or self._alias_characters > MAX_ALIAS_BYTES:
            self._fail(
                f"aliases expand to more than {MAX_ALIAS_NODES} nodes or {MAX_ALIAS_BYTES} bytes (at the alias '{event.anchor}')",
                event,
                "YamlAliasBudget",
            )
        value = copied(anchored.value)
        return self._add(value, anchored.nodes, anchored.characters, event.start_mark.line, event.start_mark.column)

    def _scalar(self, event: Any) -> Any:
        if self._stack and isinstance(self._stack[-1].value, dict) and not self._stack[-1].has_key:
            return self._scalar_key(event)
        value = self._scalar_value(event)
        if event.anchor is not None:
            self._anchors[event.anchor] = _Anchored(value, 1, len(event.value), finished=True)
        return self._add(value, 1, len(event.value), event.start_mark.line, event.start_mark.column)

    def _scalar_key(self, event: Any) -> Any:
        frame = self._stack[-1]
        if event.value == "<<" and event.implicit[0]:
            if frame.merging:
                self._fail("a merge key is given twice", event, "YamlDuplicateKey")
            frame.merging = True
            frame.merge_line = event.start_mark.line
            frame.has_key = True
            frame.key = None
            return None
        value = self._scalar_value(event)
        if event.anchor is not None:
            self._anchors[event.anchor] = _Anchored(value, 1, len(event.value), finished=True)
        return self._key(value, event)

    def _key(self, value: Any, event: Any) -> Any:
        frame = self._stack[-1]
        if not isinstance(value, str):
            if self._sigs and value is not None:
                value = _sigs_key(value)
            elif value is not None and len(self._stack) == 1:
                # an object's own fields are decoded into texts, whatever they look like
                value = getattr(event, "value", None) or scalars.text_of(value)
            else:
                kind = "null" if value is None else "a boolean" if isinstance(value, bool) else "a number"
                self._problem(f"a mapping key is {kind}, not a string", event, "YamlKeyType", hint="put the key in quotes")
                value = f"\0{len(frame.keys)}"
        elif isinstance(value, scalars.Timestamp):
            if not self._sigs and len(self._stack) > 1:
                self._problem("a mapping key is a date, not a string", event, "YamlKeyType", hint="put the key in quotes")
            value = value.text
        line = event.start_mark.line
        frame.duplicate = None
        if value in frame.keys and not (self._sigs and self._last_duplicate_wins):
            frame.duplicate = Problem(
                what=f"mapping key {_quoted_key(value)} already defined at line {self._first_line + frame.keys[value]}",
                where=self._place(line, event.start_mark.column),
                code="YamlDuplicateKey",
                hint="remove one of the two: the other one would be lost",
            )
        frame.keys.setdefault(value, line)
        frame.key = value
        frame.has_key = True
        return None

    def _scalar_value(self, event: Any) -> Any:
        tag = event.tag
        text: str = event.value
        if tag is None or (tag == "!" and event.style):
            if event.style:
                return refolded(text) if event.style == ">" and not self._sigs and not self._in_annotations() else text
            try:
                value = self._resolver(text)
            except scalars.NotFiniteError:
                self._fail("infinity and not-a-number cannot be written as JSON", event, "YamlNotFinite")
            if isinstance(value, scalars.Timestamp) and (self._sigs or (":" in text and self._stack and self._stack[-1].flow)):
                # kyaml prints and reads a document again, and between brackets it quotes a text with colons
                if not self._sigs:
                    self.quoted_times.append((tuple(self._step(frame) for frame in self._stack), str(value)))
                return value.text
            if isinstance(value, scalars.Timestamp | scalars.FloatText) and not self._sigs:
                self._note_change(value, event)
            if value is None and text == "" and self._stack and self._stack[-1].flow:
                self.unspelled.append(tuple(self._step(frame) for frame in self._stack))
            return value
        return self._tagged(tag, text, event)

    @staticmethod
    def _step(frame: _Frame) -> str | int:
        return len(frame.value) if isinstance(frame.value, list) else frame.key or ""

    def _in_annotations(self) -> bool:
        """Whether this is an annotation: kustomize writes those anew before it prints, so they are never folded again."""
        stack = self._stack
        return len(stack) == 3 and stack[0].key == "metadata" and stack[1].key == "annotations"

    def _note_change(self, value: scalars.Timestamp | scalars.FloatText, event: Any) -> None:
        """A scalar that does not reach the cluster as it is written."""
        if isinstance(value, scalars.Timestamp):
            what, code = "a date without quotes is rewritten as a full timestamp", "YamlTimestamp"
        elif scalars.loses_digits(value):
            what, code = "the number has more digits than are kept", "YamlPrecision"
        else:
            return
        where = self._place(event.start_mark.line, event.start_mark.column)
        self.warnings.append(Problem(what=what, where=where, code=code, hint="put it in quotes", severity="warning"))

    def _tagged(self, tag: str, text: str, event: Any) -> Any:
        if tag in ("!", _TAG_PREFIX + "str"):
            return text
        if tag == _TAG_PREFIX + "binary":
            if not self._decode_binary:
                return text
            try:
                return _decoded_binary(text)
            except ValueError:
                self._fail("!!binary with a text that is not base64", event, "YamlBinary")
        if tag not in _KNOWN_TAGS:
            self._unknown_tag(event)
            return text
        try:
            value = self._resolver(text)
        except scalars.NotFiniteError:
            self._fail("infinity and not-a-number cannot be written as JSON", event, "YamlNotFinite")
        wanted = tag.removeprefix(_TAG_PREFIX)
        fits = {
            "int": isinstance(value, int) and not isinstance(value, bool) and not _spelled_as_float(value),
            "float": isinstance(value, int | float) and not isinstance(value, bool),
            "bool": isinstance(value, bool),
            "null": value is None,
            "timestamp": isinstance(value, scalars.Timestamp),
        }
        if not fits.get(wanted, False):
            self._fail(f"cannot decode this scalar as a !!{wanted}", event, "YamlTag")
        return value

    def _unknown_tag(self, event: Any) -> None:
        if not self._unknown_tags:
            shown = event.tag.replace(_TAG_PREFIX, "!!")
            self._fail(f"unknown tag {shown}", event, "YamlUnknownTag", hint="Kubernetes objects have no use for tags; remove it")

    def _add(self, value: Any, nodes: int, characters: int, line: int, column: int) -> Any:
        if not self._stack:
            return value
        frame = self._stack[-1]
        frame.nodes += nodes
        frame.characters += characters
        if isinstance(frame.value, list):
            frame.value.append(value)
        elif frame.merging and frame.key is None and frame.has_key:
            frame.merge = value
            frame.has_key = False
        else:
            assert frame.key is not None
            if frame.duplicate is not None and not self._harmless(frame.value.get(frame.key), value):
                self._problems.append(frame.duplicate)
            frame.value[frame.key] = value
            frame.has_key = False
        return value

    def _harmless(self, first: Any, second: Any) -> bool:
        """In a kustomization file the same scalar said twice loses nothing, and templates do write apiVersion twice."""
        return self._sigs and not isinstance(first, dict | list) and type(first) is type(second) and first == second

    def _place(self, line: int, column: int) -> Place:
        return Place(path=self._path, line=self._first_line + line, column=column + 1)

    def _problem(self, what: str, event: Any, code: str, hint: str | None = None) -> None:
        where = self._place(event.start_mark.line, event.start_mark.column)
        self._problems.append(Problem(what=what, where=where, code=code, hint=hint))

    def _fail(self, what: str, event: Any, code: str, hint: str | None = None) -> NoReturn:
        self._problem(what, event, code, hint)
        raise InputError(self._problems)

    def _fail_at(self, what: str, line: int, column: int, code: str) -> NoReturn:
        raise InputError([*self._problems, Problem(what=what, where=self._place(line, column), code=code)])

    def _syntax(self, error: Any, source: bytes | str) -> InputError:
        """libyaml's words, which are go-yaml's too, at the place of the problem."""
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        what = getattr(error, "problem", None) or getattr(error, "reason", None) or "cannot be read"
        context = getattr(error, "context", None)
        if mark is not None:
            where = self._place(mark.line, mark.column)
        else:
            before = source[: getattr(error, "position", 0)]
            before = before if isinstance(before, bytes) else before.encode()
            column = len(before[before.rfind(b"\n") + 1 :].decode(errors="replace")) + 1
            where = Place(path=self._path, line=self._first_line + before.count(b"\n"), column=column)
        hint = "use spaces, YAML does not allow tabs for indentation" if "cannot start any token" in what else None
        text = f"not valid YAML: {what}" + (f" ({context})" if context else "")
        code = "YamlSyntax"
        if self._root_done:
            text, code = f"content after the end of the document ({what})", "TrailingContent"
        return InputError([*self._problems, Problem(what=text, where=where, code=code, hint=hint)])


_NOT_FOLDED = re.compile(" \\n| \\Z|[^\\n\\t -~\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd]|[\u2028\u2029]")


def refolded(text: str) -> str:
    """What is left of a folded block when kyaml prints it, folded again, and reads that.

    It doubles a line break behind every line that does not begin with a blank, which is right between two such lines,
    and adds an empty line before an indented one and at an end that keeps its line breaks.
    """
    if "\n" not in text[:-1] or _NOT_FOLDED.search(text):
        return text
    doubled = text.lstrip("\n")[:1] not in ("", " ", "\t")
    out: list[str] = []
    at_start, blank = True, True
    for character in text:
        if character == "\n":
            out.append("\n\n" if doubled and not at_start and not blank else "\n")
            at_start = True
        else:
            if at_start:
                blank = character in " \t"
                out.append("  ")
            out.append(character)
            at_start = False
    hint = "2" if text[0] in " \n" else ""
    chomp = "-" if text[-1] != "\n" else "+" if text[-2] == "\n" else ""
    again = next((event.value for event in events(f">{hint}{chomp}\n{''.join(out)}") if hasattr(event, "value")), text)
    return str(again)


def events(source: bytes | str) -> Iterator[Any]:
    """libyaml's events of a text. Raises yaml.YAMLError."""
    from yaml._yaml import CParser

    parser = CParser(source)
    try:
        while (event := parser.get_event()) is not None:
            yield event
    finally:
        parser.dispose()


def _spelled_as_float(value: Any) -> bool:
    return isinstance(value, scalars.IntText) and bool(re.search(r"[.eE]", value.text)) and "x" not in value.text.lower()


def _decoded_binary(text: str) -> str:
    import base64

    return base64.b64decode("".join(text.split())).decode(errors="replace")


def _sigs_key(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return scalars.format_float(float(value)) if isinstance(value, float) else str(int(value))


def _quoted_key(key: str) -> str:
    return '"' + key.replace("\\", "\\\\").replace('"', '\\"') + '"' if len(key) <= 253 else "(a long key)"


def copied(value: Any) -> Any:
    """A copy that shares no dict and no list."""
    kind = type(value)
    if kind is dict:
        return {key: copied(item) if type(item) in _COLLECTIONS else item for key, item in value.items()}
    if kind is list:
        return [copied(item) if type(item) in _COLLECTIONS else item for item in value]
    return value


_COLLECTIONS: Final = frozenset((dict, list))


@dataclass(slots=True)
class _Spot:
    """Where a node's key (or item) stands, and its text if it is a scalar."""

    line: int
    column: int
    text: str | None = None
    quoted: bool = False
    block: bool = False
    braces: bool = False
    """Whether what is inside, or the scalar itself, stands between braces or brackets."""


def in_braces(source: bytes | str, path: FieldPath, value: Any) -> bool:
    """Whether a field, or the nearest parent that is there, is written between braces or brackets."""
    spot = _find(source, _plain_steps(path, value))
    return spot is not None and spot.braces


def locate(source: bytes | str, path: FieldPath, value: Any) -> tuple[int, int]:
    """(line, column), both from 0, of a field in a document, or of its nearest parent."""
    spot = _find(source, _plain_steps(path, value))
    return (spot.line, spot.column) if spot is not None else (0, 0)


def scalar_text(source: bytes | str, path: FieldPath, value: Any) -> str | None:
    """The text of the scalar at a path."""
    steps = _plain_steps(path, value)
    spot = _find(source, steps, exact=True)
    return spot.text if spot is not None else None


def _plain_steps(path: FieldPath, value: Any) -> tuple[str | int, ...]:
    """The path with keyed steps turned into positions, cut where the value has no such field."""
    steps: list[str | int] = []
    for step in path:
        if isinstance(step, Keyed):
            found = None
            if isinstance(value, list):
                for index, item in enumerate(value):
                    if isinstance(item, dict) and all(scalars.text_of(item.get(name)) == text for name, text in step.keys):
                        found = index
                        break
            if found is None:
                break
            step = found
        steps.append(step)
        if isinstance(value, dict) and isinstance(step, str):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int) and 0 <= step < len(value):
            value = value[step]
        else:
            value = None
    return tuple(steps)


_INDEXED_BYTES: Final = 256 * 1024
"""Several sources up to this size are walked once for all their places, and remembered."""
_INDEXED_ALONE_BYTES: Final = 2 * 1024 * 1024
"""Of the larger ones only the last; those that are larger still are walked again for each place."""


def _find(source: bytes | str, steps: tuple[str | int, ...], *, exact: bool = False) -> _Spot | None:
    """The spot at a path; unless it has to be exact, the nearest parent's."""
    if len(source) <= _INDEXED_ALONE_BYTES:
        spots = _all_spots(source) if len(source) <= _INDEXED_BYTES else _large_spots(source)
        found = spots.get(steps)
        if found is None and not exact:
            return next((spots[steps[:end]] for end in range(len(steps) - 1, -1, -1) if steps[:end] in spots), None)
        return found
    best: _Spot | None = None
    best_depth = -1
    for path, spot in _spots(source):
        depth = len(path)
        if depth > best_depth and path == steps[:depth]:
            best, best_depth = spot, depth
            if depth == len(steps):
                return best
    return None if exact else best


@lru_cache(maxsize=4)
def _all_spots(source: bytes | str) -> dict[tuple[str | int, ...], _Spot]:
    found: dict[tuple[str | int, ...], _Spot] = {}
    for path, spot in _spots(source):
        found.setdefault(path, spot)
    return found


@lru_cache(maxsize=1)
def _large_spots(source: bytes | str) -> dict[tuple[str | int, ...], _Spot]:
    return _all_spots.__wrapped__(source)


@dataclass(slots=True)
class _Open:
    """A collection on the way."""

    path: tuple[str | int, ...] | None
    """None inside a key."""
    mapping: bool
    step: Any = 0
    """The position of the next item, or the key that waits for its value."""
    key_spot: _Spot | None = None
    expects_key: bool = True
    braces: bool = False
    spot: _Spot | None = None
    outer: bool = False


def _spots(source: bytes | str) -> Iterator[tuple[tuple[str | int, ...], _Spot]]:
    """Every node's path and place, parents first, as far as the source can be parsed."""
    import yaml

    stack: list[_Open] = []
    try:
        for event in events(source):
            kind = type(event)
            if kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
                closed = stack.pop()
                # an empty collection takes the style of what is merged into it
                if closed.spot is not None and closed.step == 0 and closed.key_spot is None:
                    closed.spot.braces = closed.outer
                continue
            start = kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent
            if not start and kind is not yaml.ScalarEvent and kind is not yaml.AliasEvent:
                continue
            scalar = kind is yaml.ScalarEvent
            spot = _Spot(event.start_mark.line, event.start_mark.column)
            path: tuple[str | int, ...] | None = ()
            outer = bool(stack) and stack[-1].braces
            if stack:
                top = stack[-1]
                if top.mapping and top.expects_key:
                    top.step, top.key_spot, top.expects_key = event.value if scalar else None, spot, False
                    if start:
                        stack.append(_Open(None, kind is yaml.MappingStartEvent))
                    continue
                path = None if top.path is None or top.step is None else (*top.path, top.step)
                if top.mapping:
                    assert top.key_spot is not None
                    spot = _Spot(top.key_spot.line, top.key_spot.column)
                    top.expects_key = True
                else:
                    top.step += 1
            spot.braces = outer or (start and bool(event.flow_style))
            if scalar:
                spot.text, spot.quoted = event.value, bool(event.style)
                spot.block = event.style == "|" or event.style == ">"
            if path is not None:
                yield path, spot
            if start:
                stack.append(_Open(path, kind is yaml.MappingStartEvent, braces=spot.braces, spot=spot, outer=outer))
    except yaml.YAMLError:
        pass


def shown(path: FieldPath) -> str:
    """A field path for a message; the document itself when empty."""
    return show(path) or "the document"


def is_quoted(source: bytes | str, path: FieldPath, value: Any) -> bool:
    """Whether the scalar at a path is written with quotes or as a block; false when there is none."""
    spot = _find(source, _plain_steps(path, value), exact=True)
    return spot is not None and spot.quoted


def is_block(source: bytes | str, path: FieldPath, value: Any) -> bool:
    """Whether the scalar at a path is a literal or a folded block."""
    spot = _find(source, _plain_steps(path, value), exact=True)
    return spot is not None and spot.block
