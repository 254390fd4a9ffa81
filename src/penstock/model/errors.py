"""The one error tree, split by what the caller can do about it.

    PenstockError            exit 70   our bug, unless a subclass says otherwise
    |- InputError            exit 1    the user's files: every problem found, at once
    |- ConflictError         exit 2    a person has to decide (merge conflicts, refused consent)
    `- RemoteError           exit 3    a cluster, a forge or a Git server said no or said nothing
       |- TransientError               trying again later may work
       |- RefusedError                 it will not work until somebody changes something (401, 403, 404, 422)
       `- RaceError                    the thing changed under us: re-read, recompute, try again (409, moved ref)

A problem says where (file:line:col), what, and what to do; it never carries a manifest value.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Place:
    """A position in a file of the repository; line and column count from 1, 0 means unknown."""

    path: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        text = self.path
        if self.line:
            text += f":{self.line}"
            if self.column:
                text += f":{self.column}"
        return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One finding about the user's input."""

    what: str
    where: Place | None = None
    hint: str | None = None
    chain: tuple[Place, ...] = ()
    """How the file was reached, outermost first."""
    code: str = "Invalid"
    """A stable CamelCase identifier, listed in the docs."""
    severity: Severity = "error"

    def __str__(self) -> str:
        lines = [f"{self.where}: {self.what}" if self.where else self.what]
        if self.chain:
            lines.append("  reached through " + " > ".join(str(place) for place in self.chain))
        if self.hint:
            lines.append(f"  hint: {self.hint}")
        return "\n".join(lines)


class PenstockError(Exception):
    """The root; raised as itself only for a bug of ours."""

    exit_code = 70

    def __init__(self, what: str, hint: str | None = None, code: str = "Internal") -> None:
        super().__init__(what, hint, code)
        self.what = what
        self.hint = hint
        self.code = code

    def __str__(self) -> str:
        return f"{self.what}\n  hint: {self.hint}" if self.hint else self.what


class InputError(PenstockError):
    """The user's files are wrong: every problem, in file order."""

    exit_code = 1

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        Exception.__init__(self, self.problems)
        self.what = "\n".join(str(problem) for problem in self.problems)
        self.hint = None
        self.code = self.problems[0].code if self.problems else "Invalid"

    def __str__(self) -> str:
        return self.what


class ConflictError(PenstockError):
    """A person has to decide before this can go on."""

    exit_code = 2

    def __init__(self, what: str, hint: str | None = None, code: str = "Conflict") -> None:
        super().__init__(what, hint, code)


class RemoteError(PenstockError):
    """A server refused or did not answer; `status` is its HTTP status, 0 when there was none."""

    exit_code = 3

    def __init__(self, what: str, hint: str | None = None, code: str = "Remote", status: int = 0) -> None:
        Exception.__init__(self, what, hint, code, status)
        self.what = what
        self.hint = hint
        self.code = code
        self.status = status


class TransientError(RemoteError):
    """No answer, 429 or 5xx: the outcome may be unknown; look again, then decide."""


class RefusedError(RemoteError):
    """The server understood and said no."""


class RaceError(RemoteError):
    """Somebody else moved first."""


def invalid(
    what: str, path: str = "", line: int = 0, column: int = 0, *, hint: str | None = None, code: str = "Invalid"
) -> InputError:
    """An InputError of one problem."""
    where = Place(path=path, line=line, column=column) if path else None
    return InputError([Problem(what=what, where=where, hint=hint, code=code)])
