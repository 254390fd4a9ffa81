"""Fields that people name: declared differences and choices, followed down a document while it is merged.

A selector is `[file] [#Kind/name] field`, parts apart by spaces. `file` is a glob relative to the environment; `field` is
a field path in which `*` and `[*]` stand for any key or item, keyed items may be named by any of their fields, and keys
with dots may be written without quotes. JSON pointers (`/spec/replicas`) are read too. A selector covers its field and
everything below it; with no field it covers the object or the file.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable
from dataclasses import dataclass

from penstock.merge import keys
from penstock.model import fieldpath
from penstock.model.fieldpath import FieldPath, Keyed, Step
from penstock.yamldoc.nodes import Node

ANY = "*"
_FILE = re.compile(r".*(/\*{0,2}|\.(ya?ml|json|env|properties|conf|txt|ini|toml|sh|md))\Z")


@dataclass(frozen=True, slots=True)
class Selector:
    """One named field; `text` is how it was written."""

    text: str
    file: str
    document: str
    steps: tuple[Step, ...]

    def applies(self, path: str, document: str) -> bool:
        """Whether it speaks of this object of this file."""
        if self.file and not (fnmatch.fnmatchcase(path, self.file) or fnmatch.fnmatchcase(path, self.file.rstrip("/*") + "/*")):
            return False
        return not self.document or fnmatch.fnmatchcase(document.lower(), self.document.lower())


def parse(text: str) -> Selector:
    """Read a selector. Raises ValueError with the position that cannot be read."""
    file = document = ""
    rest = text.strip()
    first, _, behind = rest.partition(" ")
    if behind and not first.startswith("#") and "[" not in first:
        file, rest = first, behind.strip()
    elif not behind and _FILE.match(first) and "[" not in first and not first.startswith("/"):
        return Selector(text, first, "", ())
    if rest.startswith("#"):
        document, _, rest = rest.partition(" ")
    return Selector(text, file, document, _steps(rest.strip()))


def _steps(field: str) -> tuple[Step, ...]:
    if field.startswith("/"):
        return tuple(int(part) if part.isdigit() else part.replace("~1", "/").replace("~0", "~") for part in field[1:].split("/"))
    return fieldpath.parse(field.replace("[*]", f".{ANY}").lstrip("."))


State = frozenset[tuple[int, int]]
"""How far each selector has been followed: (its number, steps done)."""

NOWHERE: State = frozenset()


class Selectors:
    """Several selectors, followed together."""

    def __init__(self, selectors: Iterable[Selector]) -> None:
        self.all = tuple(selectors)

    def start(self, path: str, document: str) -> State:
        """The state at the root of an object."""
        return frozenset((number, 0) for number, selector in enumerate(self.all) if selector.applies(path, document))

    def down(self, state: State, step: Step, items: Iterable[Node | None] = ()) -> State:
        """The state one step further; `items` are the item itself on each side, where the step is into a list."""
        if not state:
            return state
        found: set[tuple[int, int]] = set()
        nodes = tuple(items)
        for number, done in state:
            steps = self.all[number].steps
            if done == len(steps):
                found.add((number, done))
            else:
                found.update((number, done + used) for used in _used(steps[done:], step, nodes))
        return frozenset(found)

    def covering(self, state: State) -> int:
        """The number of a selector that covers the field in this state, -1 when none does."""
        return min((number for number, done in state if done == len(self.all[number].steps)), default=-1)


def _used(wanted: tuple[Step, ...], step: Step, nodes: tuple[Node | None, ...]) -> Iterable[int]:
    """How many of the wanted steps this one step answers."""
    first = wanted[0]
    if first in (ANY, step):
        yield 1
    elif isinstance(step, Keyed | int) and isinstance(first, Keyed):
        if any(keys.matches(node, first) for node in nodes):
            yield 1
    elif isinstance(step, str) and isinstance(first, str) and step.startswith(first + "."):
        joined = first
        for used, following in enumerate(wanted[1:], 2):
            if not isinstance(following, str):
                return
            joined += "." + following
            if joined == step:
                yield used
                return


def label(path: FieldPath) -> str:
    """A field as people write it: keys with dots stay as they are."""
    parts: list[str] = []
    for step in path:
        if isinstance(step, str):
            parts.append(f".{step}" if parts else step)
        else:
            parts.append(f"[{step}]" if isinstance(step, int) else str(step))
    return "".join(parts)
