"""Merges .env and .properties files by key; a line is a key's.

In: the texts on three sides. Out: the target's text with the changed lines, and the findings; None for a file that has
more than one key to a line or one key on several, which is merged by lines.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from penstock.merge import ordering
from penstock.merge.outcome import MASK, Conflict, ConflictKind, FieldChange, Kept, Text
from penstock.model import fieldpath
from penstock.model.errors import Place
from penstock.model.values import MISSING

if TYPE_CHECKING:
    from penstock.merge.files import Merging

_LINE = re.compile(r"(?P<head>\s*(?:export\s+)?)(?P<key>[^\s=:#!]+)(?P<between>\s*[=:]\s*)(?P<value>.*?)(?P<tail>\s*)\Z")


@dataclass(frozen=True, slots=True)
class Line:
    """A key's line: where it is, and its value as written."""

    number: int
    value: str
    start: int
    """The column of the value in the line."""


def parse(text: str) -> tuple[list[str], dict[str, Line]] | None:
    """The lines of a file and those that set keys; None when they cannot be told apart."""
    lines = text.split("\n")
    found: dict[str, Line] = {}
    for number, line in enumerate(lines):
        body = line.strip()
        if not body or body.startswith(("#", "!")):
            continue
        match = _LINE.match(line)
        if match is None or match["key"] in found or body.endswith("\\"):
            return None
        value = match["value"]
        if value[:1] in ("'", '"') and (len(value) < 2 or not re.match(r"""(?:'[^']*'|"(?:[^"\\]|\\.)*")\s*(?:#.*)?\Z""", value)):
            return None  # a quoted value that goes on in the next line
        found[match["key"]] = Line(number, value, match.start("value"))
    return lines, found


def merge(
    work: Merging, base: str | None, source: str, target: str
) -> tuple[str, list[Conflict], list[FieldChange], list[Kept]] | None:
    """Merge key by key: (text, conflicts, changes, kept)."""
    sides = [parse(text) for text in (base or "", source, target)]
    if sides[0] is None or sides[1] is None or sides[2] is None:
        return None
    return _Merge(work, base is None, sides[0][1], sides[1], sides[2]).run()


class _Merge:
    def __init__(
        self,
        work: Merging,
        fresh: bool,
        base: dict[str, Line],
        source: tuple[list[str], dict[str, Line]],
        target: tuple[list[str], dict[str, Line]],
    ) -> None:
        self.work = work
        self.fresh = fresh
        self.base = base
        self.source_lines, self.source = source
        self.target_lines, self.target = target
        self.conflicts: list[Conflict] = []
        self.changes: list[FieldChange] = []
        self.kept: list[Kept] = []

    def run(self) -> tuple[str, list[Conflict], list[FieldChange], list[Kept]]:
        lines: list[str | None] = list(self.target_lines)
        come: list[str] = []
        gone: set[str] = set()
        for key in dict.fromkeys((*self.source, *self.base, *self.target)):
            fate = self._fate(key)
            if fate == "take":
                self._change(key)
                if key not in self.source:
                    lines[self.target[key].number] = None
                    gone.add(key)
                elif key in self.target:
                    here = self.target[key]
                    line = self.target_lines[here.number]
                    lines[here.number] = line[: here.start] + self.source[key].value + line[here.start + len(here.value) :]
                else:
                    come.append(key)
            elif fate == "keep":
                self._keep(key)
        order = ordering.place([key for key in self.target if key not in gone], list(self.source), come)
        return "\n".join(self._written(lines, order, set(come))), self.conflicts, self.changes, self.kept

    def _fate(self, key: str) -> str:
        b, s, t = (side[key].value if key in side else None for side in (self.base, self.source, self.target))
        if s == t:
            return "same"
        state = self.work.declared.down(self.work.declared.start(self.work.name, ""), key)
        if self.work.declared.covering(state) >= 0 or (b == s and not self.fresh):
            return "keep"
        chosen = self.work.choices.covering(self.work.choices.down(self.work.choices.start(self.work.name, ""), key))
        if chosen >= 0:
            return "take" if self.work.sides[chosen] == "source" else "keep"
        if b == t and not self.fresh:
            return "take"
        kind: ConflictKind = "changed-both"
        if self.fresh:
            kind = "never-promoted"
        elif s is None:
            kind = "removed-upstream"
        elif t is None:
            kind = "removed-here"
        self.conflicts.append(
            Conflict(
                path=self.work.path,
                field=fieldpath.show((key,)),
                label=key,
                kind=kind,
                base=self._shown(b),
                source=self._shown(s),
                target=self._shown(t),
                source_place=self._place(self.work.source_path, self.source, key),
                target_place=self._place(self.work.path, self.target, key),
            )
        )
        return "conflict"

    def _shown(self, value: str | None) -> Text:
        if value is None:
            return MISSING
        return MASK if self.work.masked else value

    def _place(self, path: str, side: dict[str, Line], key: str) -> Place:
        return Place(path=path, line=side[key].number + 1 if key in side else 0)

    def _values(self, key: str) -> tuple[Text, Text]:
        source, target = (self._shown(side[key].value if key in side else None) for side in (self.source, self.target))
        return source, target

    def _change(self, key: str) -> None:
        after, before = self._values(key)
        place = self._place(self.work.source_path, self.source, key)
        self.changes.append(
            FieldChange(path=self.work.path, field=fieldpath.show((key,)), label=key, before=before, after=after, place=place)
        )

    def _keep(self, key: str) -> None:
        source, target = self._values(key)
        state = self.work.declared.down(self.work.declared.start(self.work.name, ""), key)
        declared = self.work.declared.covering(state) >= 0
        self.kept.append(
            Kept(path=self.work.path, field=fieldpath.show((key,)), label=key, source=source, target=target, declared=declared)
        )

    def _written(self, lines: list[str | None], order: list[str], come: set[str]) -> list[str]:
        """The target's lines, new ones behind (or before) the line of their neighbour, with the comment above them."""
        after: dict[int, list[str]] = {}
        before: dict[int, list[str]] = {}
        previous = -1
        for index, key in enumerate(order):
            if key not in come:
                previous = self.target[key].number
                continue
            new = self._with_comment(key)
            if previous >= 0:
                after.setdefault(previous, []).extend(new)
            else:
                following = next((self.target[name].number for name in order[index:] if name not in come), self._end())
                before.setdefault(following, []).extend(new)
        made: list[str] = []
        for number, line in enumerate(lines):
            made += before.get(number, [])
            if line is not None:
                made.append(line)
            made += after.get(number, [])
        return [*made, *before.get(len(lines), [])]

    def _end(self) -> int:
        """Where a file without keys ends: before its last, empty line."""
        lines = self.target_lines
        return len(lines) - 1 if lines and not lines[-1] else len(lines)

    def _with_comment(self, key: str) -> list[str]:
        number = self.source[key].number
        start = number
        while start and self.source_lines[start - 1].lstrip().startswith("#"):
            start -= 1
        if start == 0:
            start = number  # the head of the file is the file's
        return self.source_lines[start : number + 1]
