"""A text with changes collected against it, and the plan of what a collection shall hold.

In: a target document and the source that changes are taken from. Out: the target's text with the changes spliced in.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as Items
from dataclasses import dataclass
from functools import cached_property

from penstock.yamldoc import layout
from penstock.yamldoc.layout import Style
from penstock.yamldoc.nodes import Document, Entry, Node
from penstock.yamldoc.writing import Writer


@dataclass(frozen=True, slots=True)
class Keep:
    """The target's own entry or item of this index stays."""

    index: int


@dataclass(frozen=True, slots=True)
class Add:
    """An entry (of a mapping) or item (of a list) of the source comes in."""

    member: Entry | Node
    index: int
    """Its index in the source's collection."""


Plan = Items[Keep | Add]
"""What a collection holds afterwards, in order; entries of the target that it does not name are removed."""

DropsHead = Callable[[int, str], bool]
"""Says whether the comment lines (their text) above the removed entry of this index go with it."""


class Draft:
    """The target's text, the changes so far, and a writer for what comes from the source.

    Comments that the source had before (in `base`) already do not come along with what is new.
    """

    def __init__(self, target: Document, source: Document, base: Document | None = None) -> None:
        self.target = target
        self.source = source
        self.base = base
        self.text = target.text
        self.edits: list[tuple[int, int, str]] = []

    # Most drafts put a word in place of a word, and need neither.

    @cached_property
    def style(self) -> Style:
        """How the target is written."""
        return layout.style(self.target)

    @cached_property
    def writer(self) -> Writer:
        """Writes nodes of the source as the target is written."""
        return Writer(self.source, self.style, json_only=self.target.json)

    def result(self) -> str:
        """The text with all changes made. Raises ValueError when they overlap."""
        return apply(self.text, self.edits)

    def splice(self, start: int, end: int, text: str) -> None:
        """Put `text` in place of this range of the target."""
        if start != end or text:
            self.edits.append((start, end, text))

    def piece(self, begin: int, end: int) -> str:
        """A part of the text with its changes made; those are then no longer to be made."""
        inner = [edit for edit in self.edits if begin <= edit[0] and edit[1] <= end]
        self.edits = [edit for edit in self.edits if edit not in inner]
        return apply(self.text[begin:end], [(edit[0] - begin, edit[1] - begin, edit[2]) for edit in inner])


def apply(text: str, edits: Items[tuple[int, int, str]]) -> str:
    """The text with each range replaced; insertions at one offset keep their order. Raises ValueError on overlap."""
    parts: list[str] = []
    position = 0
    for start, end, replacement in sorted(edits, key=lambda edit: (edit[0], edit[1] > edit[0])):
        if start < position:
            raise ValueError("edits overlap")
        parts += [text[position:start], replacement]
        position = end
    parts.append(text[position:])
    return "".join(parts)
