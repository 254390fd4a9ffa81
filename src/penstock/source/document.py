"""YAML of our own files and of Flux objects, with the position of every key and value.

In: bytes and a path. Out: documents as plain values, a place for each path inside them, problems. Nothing is expanded:
an alias is the same Python object as its anchor, and one that contains itself is a problem.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from penstock.model.errors import Place, Problem

Steps = tuple[str | int, ...]

_LOADER: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TEXT_TAGS = ("tag:yaml.org,2002:timestamp",)
_MAX_BYTES = 1 << 20
_MAX_DEPTH = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One document of a file."""

    value: Any
    path: str
    places: dict[Steps, Place] = field(default_factory=dict)
    """Where a value begins."""
    keys: dict[Steps, Place] = field(default_factory=dict)
    """Where the key of a mapping's entry begins."""

    def place(self, steps: Steps) -> Place:
        """The value's place, or that of the nearest thing around it."""
        while steps and steps not in self.places:
            steps = steps[:-1]
        return self.places.get(steps) or Place(path=self.path)

    def key_place(self, steps: Steps) -> Place:
        return self.keys.get(steps) or self.place(steps)


def load_all(data: bytes, path: str) -> tuple[list[Document], list[Problem]]:
    """Every non-empty document, and what is wrong; after a syntax error the documents before it are there."""
    problems: list[Problem] = []
    if len(data) > _MAX_BYTES:
        problem = Problem(what=f"larger than {_MAX_BYTES >> 20} MiB", where=Place(path=path), code="FileTooLarge")
        return [], [problem]
    documents: list[Document] = []
    try:
        nodes = _nodes(data.decode("utf-8-sig"))
        # What was added before an error stays.
        documents.extend(document for node in nodes if (document := _document(node, path, problems)))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        problems.append(Problem(what="not UTF-8 text", where=Place(path=path, line=line), code="NotUTF8"))
    except yaml.YAMLError as error:
        problems.append(_syntax(error, path))
    except RecursionError:
        problems.append(Problem(what="nested too deeply", where=Place(path=path), code="TooDeep"))
    return documents, problems


def _nodes(text: str) -> Iterator[Any]:
    loader = _LOADER(text)
    try:
        while loader.check_node():
            yield loader.get_node()
    finally:
        loader.dispose()


def _syntax(error: yaml.YAMLError, path: str) -> Problem:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    where = Place(path=path, line=mark.line + 1, column=mark.column + 1) if mark else Place(path=path)
    what = str(getattr(error, "problem", None) or "cannot be read as YAML")
    return Problem(what=f"not valid YAML: {what}", where=where, code="BadYAML")


def _document(node: Any, path: str, problems: list[Problem]) -> Document | None:
    document = Document(value=None, path=path)
    value = _Builder(path, document, problems).build(node, (), 0)
    if value is None:
        return None
    return Document(value=value, path=path, places=document.places, keys=document.keys)


class _Builder:
    """One document's nodes to values; keeps what it built per node so that aliases stay shared."""

    def __init__(self, path: str, document: Document, problems: list[Problem]) -> None:
        self._path = path
        self._document = document
        self._problems = problems
        self._built: dict[int, Any] = {}
        self._open: set[int] = set()
        # The safe constructor resolves scalars; it is given no input of its own.
        self._scalars = yaml.SafeLoader("")

    def build(self, node: Any, steps: Steps, depth: int) -> Any:
        place = Place(path=self._path, line=node.start_mark.line + 1, column=node.start_mark.column + 1)
        self._document.places[steps] = place
        if id(node) in self._built:
            return self._built[id(node)]
        if id(node) in self._open or depth > _MAX_DEPTH:
            what = "an alias contains itself" if id(node) in self._open else f"nested deeper than {_MAX_DEPTH} levels"
            self._problems.append(Problem(what=what, where=place, code="TooDeep"))
            return None
        self._open.add(id(node))
        try:
            value = self._value(node, steps, depth, place)
        finally:
            self._open.discard(id(node))
        self._built[id(node)] = value
        return value

    def _value(self, node: Any, steps: Steps, depth: int, place: Place) -> Any:
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, steps, depth)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(child, (*steps, index), depth + 1) for index, child in enumerate(node.value)]
        if node.tag in _TEXT_TAGS:
            return node.value
        try:
            return self._scalars.construct_object(node)
        except (yaml.YAMLError, ValueError):
            self._problems.append(Problem(what=f"a value of unknown type {node.tag}", where=place, code="BadYAML"))
            return None

    def _mapping(self, node: Any, steps: Steps, depth: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        written: dict[str, Place] = {}
        for key_node, value_node in node.value:
            mark = key_node.start_mark
            place = Place(path=self._path, line=mark.line + 1, column=mark.column + 1)
            if not isinstance(key_node, yaml.ScalarNode):
                self._problems.append(Problem(what="a key that is not a string", where=place, code="BadYAML"))
                continue
            key = str(key_node.value)
            if key_node.tag == "tag:yaml.org,2002:merge":
                merged = self.build(value_node, (*steps, key), depth + 1)
                for part in merged if isinstance(merged, list) else [merged]:
                    if isinstance(part, dict):
                        result = part | result
                continue
            if key in written:
                first = written[key]
                what = f"key {key!r} is written twice (first at line {first.line})"
                self._problems.append(Problem(what=what, where=place, code="DuplicateKey"))
            written[key] = self._document.keys[(*steps, key)] = place
            result[key] = self.build(value_node, (*steps, key), depth + 1)
        return result
