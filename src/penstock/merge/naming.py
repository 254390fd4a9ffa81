"""Finds values that a person should look at before something new is opened as ready: those that name the source
environment, and those that are declared differences.

In: an object. Out: fields with their nodes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from penstock.merge.documents import Part
from penstock.merge.keys import Keys, keys_for
from penstock.merge.recording import secret_below
from penstock.merge.selecting import Selectors, State, label
from penstock.model.fieldpath import FieldPath, Keyed
from penstock.yamldoc.nodes import Mapping, Node, Scalar, Sequence


def scalars(node: Node | None, kind: str, path: FieldPath = (), *, secret: bool = False) -> Iterator[tuple[FieldPath, Scalar]]:
    """Every scalar with its field, those of Secrets left out; what an alias stands for only where its anchor is."""
    if isinstance(node, Scalar):
        if not secret:
            yield path, node
    elif isinstance(node, Mapping):
        for key, entry in node.keys.items():
            yield from scalars(entry.value, kind, (*path, key), secret=secret or secret_below(node, key))
    elif isinstance(node, Sequence):
        field = next((step for step in reversed(path) if isinstance(step, str)), "")
        how = keys_for(field, kind, kustomization=False, sides=[node])
        for index, item in enumerate(node.items):
            step = Keyed(how.of(item)) if isinstance(how, Keys) else index
            yield from scalars(item, kind, (*path, step), secret=secret)


def naming(part: Part, names: frozenset[str]) -> Iterator[tuple[FieldPath, Scalar, str]]:
    """Scalars of an object in which one of these names stands as a word."""
    wanted = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True) if name)
    if not wanted:
        return
    word = re.compile(rf"(?<![A-Za-z0-9])(?:{wanted})(?![A-Za-z0-9])")
    for path, node in scalars(part.document.root, part.identity[1]):
        if match := word.search(node.value):
            yield path, node, match[0]


def declared_in(part: Part, declared: Selectors, state: State) -> list[str]:
    """The fields of an object that are declared differences."""
    found: list[str] = []

    def walk(node: Node | None, path: FieldPath, here: State) -> None:
        if not here:
            return
        if declared.covering(here) >= 0:
            found.append(label(path))
        elif isinstance(node, Mapping):
            for key, entry in node.keys.items():
                walk(entry.value, (*path, key), declared.down(here, key))
        elif isinstance(node, Sequence):
            field = next((step for step in reversed(path) if isinstance(step, str)), "")
            how = keys_for(field, part.identity[1], kustomization=False, sides=[node])
            for index, item in enumerate(node.items):
                step = Keyed(how.of(item)) if isinstance(how, Keys) else index
                walk(item, (*path, step), declared.down(here, step, (item,)))

    walk(part.document.root, (), state)
    return [field for field in found if field]


__all__ = ["Scalar", "declared_in", "label", "naming", "scalars"]
