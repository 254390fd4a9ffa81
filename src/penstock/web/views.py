"""What each page shows, as plain values: the templates take these and nothing else, `reading` makes them.

In: nothing. Out: frozen values that compare by content, so that "did anything change?" is `==`. Moments are absolute (ages
are counted where they are shown), every text may be hostile (escaping is the templates' work), and what could not be asked
is mark "unknown", never a guess.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Mark = Literal["live", "moving", "person", "broken", "unknown", "absent"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkWords:
    """How a mark looks and what it means; colour comes on top, it never carries the meaning alone."""

    glyph: str
    meaning: str


MARKS: dict[Mark, MarkWords] = {
    "live": MarkWords(glyph="✔", meaning="live and healthy"),
    "moving": MarkWords(glyph="◐", meaning="moving"),
    "person": MarkWords(glyph="●", meaning="waits for a person"),
    "broken": MarkWords(glyph="✖", meaning="needs you"),
    "unknown": MarkWords(glyph="?", meaning="not known"),
    "absent": MarkWords(glyph="–", meaning="not there"),
}
"""The same marks and words as `penstock status`."""

GATE_MARKS: dict[str, Mark] = {"passed": "live", "waiting": "moving", "failed": "broken"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """A commit, as far as it is known here."""

    id: str
    subject: str = ""
    author: str = ""
    when: datetime | None = None

    @property
    def short(self) -> str:
        return self.id[:7]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One gate's answer."""

    mark: Mark
    text: str
    until: datetime | None = None
    """When waiting ends by itself, if that is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PullLink:
    """A pull request to go to."""

    number: int
    state: str = "open"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One app in one environment."""

    environment: str
    mark: Mark
    words: str
    """'healthy', 'failing', 'PR #14 open'."""
    commit: Commit | None = None
    since: datetime | None = None
    pull: PullLink | None = None
    waits: tuple[Gate, ...] = ()
    detail: tuple[str, ...] = ()
    """Further lines: what fails, where, what comes next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One app, across the environments."""

    app: str
    cells: tuple[Cell, ...]

    @property
    def calm(self) -> bool:
        """Whether nobody and nothing is waited for."""
        return all(cell.mark in ("live", "absent") for cell in self.cells)


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """One environment at the top of its column."""

    name: str
    mark: Mark
    words: str
    commit: Commit | None = None
    since: datetime | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """One promotion on its way."""

    unit: str
    source: str
    target: str
    mark: Mark
    words: str
    """What happens next, or what it waits for, in one clause."""
    title: str = ""
    number: int = 0
    """Of its pull request; 0 while there is none."""
    gates: tuple[Gate, ...] = ()

    @property
    def key(self) -> str:
        return f"{self.target}~{self.unit}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """The status matrix and the promotions on their way."""

    fleet: str
    branch: str
    tip: Commit | None
    heads: tuple[Head, ...]
    lines: tuple[Line, ...]
    pending: tuple[Pending, ...] = ()
    problems: tuple[str, ...] = ()
    """What could not be asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One environment on an app's path."""

    environment: str
    mark: Mark
    words: str
    commit: Commit | None = None
    since: datetime | None = None
    pull: PullLink | None = None
    evidence: str = ""
    gates: tuple[Gate, ...] = ()
    detail: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Journey:
    """One change of an app that reached an environment."""

    environment: str
    when: datetime | None
    change: str
    author: str
    commit: str
    kind: str = ""
    pull: int = 0
    lead_time: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConflictRow:
    """One field changed on both sides; places are 'file:line'."""

    field: str
    kind: str
    base: str
    source: str
    target: str
    source_place: str = ""
    target_place: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflicts:
    """What a person has to decide before an app can go on to an environment."""

    source: str
    target: str
    rows: tuple[ConflictRow, ...]
    stamp: str
    """Over every value on both sides: a decision is one about these values only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """Something an app or an environment can go back to."""

    environment: str
    commit: str
    subject: str
    when: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """A freeze or a hold that stands in the repository."""

    kind: Literal["freeze", "hold"]
    reason: str
    by: str = ""
    until: datetime | None = None
    environments: tuple[str, ...] = ()
    """None named: all of them."""
    unit: str = ""
    """Of a hold; '': every app."""
    place: str = ""
    """The file it stands in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppPage:
    """An app's path through the environments."""

    name: str
    sentence: str
    steps: tuple[Step, ...]
    next: str = ""
    conflicts: tuple[Conflicts, ...] = ()
    path: tuple[Journey, ...] = ()
    """Its changes over time, newest first."""
    revisions: tuple[Revision, ...] = ()
    guards: tuple[Guard, ...] = ()
    promoted_into: tuple[str, ...] = ()
    """Environments that something is promoted into: only those can be held."""
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldRow:
    """One field of the difference table; a side without the field is ''."""

    object: str
    field: str
    source: str
    before: str
    after: str
    state: str
    """promoted, kept, declared, unexplained, beside: the verdict's words."""
    meaning: str = ""

    @property
    def changes(self) -> bool:
        return self.before != self.after


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectDiff:
    """The fields of one object."""

    object: str
    rows: tuple[FieldRow, ...]


def by_object(rows: Sequence[FieldRow]) -> tuple[ObjectDiff, ...]:
    """Rows together with those of the same object, objects in the order in which they come first."""
    found: dict[str, list[FieldRow]] = {}
    for row in rows:
        found.setdefault(row.object, []).append(row)
    return tuple(ObjectDiff(object=name, rows=tuple(one)) for name, one in found.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewRow:
    """One review."""

    user: str
    state: str
    commit: str
    when: datetime
    body: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusRow:
    """One commit status on the head."""

    context: str
    state: str
    description: str
    creator: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromotionPage:
    """A pull request of ours, with what is computed about it now."""

    number: int
    title: str
    url: str
    """On the forge; '' when it is not a web address."""
    state: str
    """open, merged or closed."""
    draft: bool
    author: str
    head: str
    """The commit that would be merged."""
    branch: str
    base: str
    created: datetime
    merged: datetime | None = None
    merged_by: str = ""
    unit: str = ""
    source: str = ""
    target: str = ""
    mark: Mark = "unknown"
    words: str = ""
    verdict: str = ""
    same: bool | None = None
    rows: tuple[FieldRow, ...] = ()
    conflicts: tuple[ConflictRow, ...] = ()
    gates: tuple[Gate, ...] = ()
    commits: tuple[Commit, ...] = ()
    authors: tuple[tuple[str, str], ...] = ()
    """Names and addresses of whoever wrote what travels: they do not approve it."""
    asked_by: str = ""
    """Who asked for this rollback on the page; likewise."""
    by_hand: bool = False
    """It is not merged by itself once every gate is green."""
    not_ready: str = ""
    """Why it must not be merged now; '' when every gate is green."""
    reviews: tuple[ReviewRow, ...] = ()
    statuses: tuple[StatusRow, ...] = ()
    body: str = ""
    """The text on the forge, shown as text when nothing could be computed."""
    problems: tuple[str, ...] = ()
