"""A cursor over one document that reads fields by kind and collects a problem, with its place, for each misfit.

In: a Document. Out: plain Python values, never None for something required: a default stands in so that reading goes on
and every problem is found at once.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from penstock.model import duration
from penstock.model.errors import Place, Problem
from penstock.source.document import Document, Steps


class Cursor:
    """A position in a document."""

    def __init__(self, document: Document, problems: list[Problem], steps: Steps = ()) -> None:
        self._document = document
        self._problems = problems
        self._steps = steps
        value: Any = document.value
        for step in steps:
            if isinstance(value, dict):
                value = value.get(str(step))
            elif isinstance(value, list) and isinstance(step, int) and step < len(value):
                value = value[step]
            else:
                value = None
        self.value = value

    @property
    def place(self) -> Place:
        return self._document.place(self._steps)

    @property
    def present(self) -> bool:
        return self.value is not None

    def at(self, *steps: str | int) -> Cursor:
        return Cursor(self._document, self._problems, (*self._steps, *steps))

    def problem(self, what: str, hint: str | None = None, *, code: str = "BadPipeline", key: str | None = None) -> None:
        where = self._document.key_place((*self._steps, key)) if key is not None else self.place
        self._problems.append(Problem(what=what, where=where, hint=hint, code=code))

    def fields(self, allowed: Sequence[str], required: Sequence[str] = ()) -> None:
        """Complain about keys that are not `allowed` and about `required` ones that are not there."""
        if not isinstance(self.value, dict):
            self.problem(f"{self._name} must be a mapping, it is {kind(self.value)}")
            return
        for key in self.value:
            if key not in allowed:
                near = difflib.get_close_matches(key, allowed, n=1, cutoff=0.5)
                hint = f"did you mean {near[0]!r}?" if near else f"fields here: {', '.join(allowed)}"
                self.problem(f"unknown field {key!r}", hint, code="UnknownField", key=key)
        for key in required:
            if self.value.get(key) is None:
                self.problem(f"{self._name} needs the field {key!r}", code="MissingField")

    def text(self, default: str = "") -> str:
        if isinstance(self.value, str):
            return self.value
        if self.value is not None:
            self.problem(f"{self._name} must be a string, it is {kind(self.value)}", "write it in quotes")
        return default

    def flag(self, default: bool) -> bool:
        if isinstance(self.value, bool):
            return self.value
        if self.value is not None:
            self.problem(f"{self._name} must be true or false, it is {kind(self.value)}")
        return default

    def count(self, default: int) -> int:
        if isinstance(self.value, int) and not isinstance(self.value, bool) and self.value >= 0:
            return self.value
        if self.value is not None:
            self.problem(f"{self._name} must be a whole number, 0 or more")
        return default

    def number(self) -> float | None:
        """A number; None when absent or (with a problem) something else."""
        if isinstance(self.value, int | float) and not isinstance(self.value, bool):
            return float(self.value)
        if self.value is not None:
            self.problem(f"{self._name} must be a number, it is {kind(self.value)}")
        return None

    def duration(self, default: timedelta) -> timedelta:
        if not self.present:
            return default
        try:
            return duration.parse(self.text(), days=True)
        except ValueError:
            self.problem(f"{self._name} is not a duration", "write it like 30m, 1h30m or 2d")
            return default

    def instant(self) -> datetime | None:
        """A moment with its offset from UTC; None when absent or (with a problem) unreadable."""
        if not self.present:
            return None
        try:
            moment = datetime.fromisoformat(self.text())
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            self.problem(f"{self._name} is not a moment in time", "write it like 2026-03-02T18:00:00Z")
            return None
        return moment.astimezone(UTC)

    def items(self) -> Iterator[Cursor]:
        if isinstance(self.value, list):
            for index in range(len(self.value)):
                yield self.at(index)
        elif self.value is not None:
            self.problem(f"{self._name} must be a list, it is {kind(self.value)}")

    def texts(self) -> tuple[str, ...]:
        return tuple(text for item in self.items() if (text := item.text()))

    @property
    def _name(self) -> str:
        names = [str(step) if isinstance(step, str) else f"[{step}]" for step in self._steps]
        return ".".join(names).replace(".[", "[") or "the document"


def kind(value: Any) -> str:
    """What a value is, in the words of YAML."""
    match value:
        case None:
            return "empty"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "a list"
        case _:
            return "a mapping"
