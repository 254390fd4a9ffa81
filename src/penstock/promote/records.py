"""What commits say about promotions: trailers, written so that a squash keeps them.

In: commit messages. Out: records of promotions and adoptions, newest first as their commits are. A record is a claim: it
names the base of the next merge and fills the log, it is never evidence that something ran. It counts only when its commit
touched the environment it speaks of, which is why callers read records from the history of that environment's paths.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from penstock.model.pipeline import REMAINDER
from penstock.model.values import CommitId, EnvName

Side = Literal["take", "keep"]

_TRAILER = re.compile(r"^(Penstock-[A-Za-z-]+):[ \t]*(.*?)[ \t]*$", re.MULTILINE)
_PROMOTION = re.compile(r"(\S+) (\S+)@([0-9a-f]{7,64}) -> (\S+)\Z")
_ADOPTION = re.compile(r"(?:(\S+) )?(\S+?)(?:@([0-9a-f]{7,64}))? -> (\S+)\Z")
_ROLLBACK = re.compile(r"(\S+) (\S+)@([0-9a-f]{7,64})\Z")
_BASE = re.compile(r"(\S+)@([0-9a-f]{7,64})\Z")
_HELD = re.compile(r"([0-9a-f]{7,64}) (.+)\Z")
_CHOICE = re.compile(r"(take|keep) ([0-9a-f]{12}) (.+)\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settling:
    """A person said that what differs, as of `commit`, is meant. Without `commit`: as of the commit that says so."""

    source: EnvName
    target: EnvName
    unit: str = ""
    commit: CommitId | None = None

    def __str__(self) -> str:
        unit = f"{self.unit} " if self.unit else ""
        return f"{unit}{self.source}{f'@{self.commit}' if self.commit else ''} -> {self.target}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollback:
    """A unit of an environment went back to what it was at `commit`."""

    unit: str
    target: EnvName
    commit: CommitId

    def trailer(self) -> str:
        return f"Penstock-Rollback: {self.unit} {self.target}@{self.commit}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class PickedSide:
    """A person's decision on one conflicting field; void once either side's value is another (`values` is a hash)."""

    side: Side
    values: str
    """12 hex digits over both values."""
    field: str
    """As the conflict names it: '#ConfigMap/web data.checkout_timeout'."""

    def __str__(self) -> str:
        return f"{self.side} {self.values} {self.field}"


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldField:
    """A field that stayed back when the rest went: the source's value at `commit` is still what it is compared with."""

    commit: CommitId
    pattern: str

    def __str__(self) -> str:
        return f"{self.commit} {self.pattern}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """One unit's change that went, or is about to go, from `source` at `commit` to `target`."""

    unit: str
    source: EnvName
    commit: CommitId
    target: EnvName
    base: CommitId | None = None
    """What the source was compared with: its commit at the promotion before."""
    digest: str = ""
    """Over what travelled, see `change.digest`."""
    evidence: str = ""
    verdict: str = ""
    pull: str = ""
    approved_by: tuple[str, ...] = ()
    picked: tuple[PickedSide, ...] = ()
    held: tuple[HeldField, ...] = ()
    bypass: str = ""
    trace: str = ""
    """A W3C traceparent."""

    def trailers(self) -> str:
        """The lines for a commit message, each '<key>: <value>'."""
        pairs = [
            ("Penstock-Promotion", f"{self.unit} {self.source}@{self.commit} -> {self.target}"),
            ("Penstock-Base", f"{self.source}@{self.base}" if self.base else ""),
            ("Penstock-Digest", self.digest),
            ("Penstock-Evidence", self.evidence),
            ("Penstock-Verdict", self.verdict),
            *(("Penstock-Choice", str(choice)) for choice in self.picked),
            *(("Penstock-Held", str(one)) for one in self.held),
            ("Penstock-Pull", self.pull),
            *(("Penstock-Approved-By", login) for login in self.approved_by),
            ("Penstock-Bypass", self.bypass),
            ("Penstock-Trace", self.trace),
        ]
        return "".join(f"{key}: {one_line(value)}\n" for key, value in pairs if value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What one commit's message claims."""

    promotions: tuple[Promotion, ...] = ()
    settlings: tuple[Settling, ...] = ()
    rollbacks: tuple[Rollback, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.promotions or self.settlings or self.rollbacks)


def one_line(text: str) -> str:
    """Text that cannot begin a trailer of its own."""
    return " ".join(text.split())


def parse(message: str) -> Record:
    """The record in a commit message, wherever its lines stand; several promotions begin at their own first line."""
    promotions: list[Promotion] = []
    settlings: list[Settling] = []
    rollbacks: list[Rollback] = []
    for key, value in _TRAILER.findall(message):
        if key == "Penstock-Promotion" and (match := _PROMOTION.match(value)):
            unit, source, commit, target = match.groups()
            promotions.append(Promotion(unit=unit, source=EnvName(source), commit=CommitId(commit), target=EnvName(target)))
        elif key == "Penstock-Adopt" and (match := _ADOPTION.match(value)):
            unit, source, at, target = match.groups()
            settlings.append(
                Settling(unit=unit or "", source=EnvName(source), target=EnvName(target), commit=CommitId(at) if at else None)
            )
        elif key == "Penstock-Rollback" and (match := _ROLLBACK.match(value)):
            rollbacks.append(Rollback(unit=match[1], target=EnvName(match[2]), commit=CommitId(match[3])))
        elif promotions:
            promotions[-1] = _with(promotions[-1], key, value)
    return Record(promotions=tuple(promotions), settlings=tuple(settlings), rollbacks=tuple(rollbacks))


def _with(promotion: Promotion, key: str, value: str) -> Promotion:
    match key:
        case "Penstock-Base" if found := _BASE.match(value):
            return replace(promotion, base=CommitId(found[2]))
        case "Penstock-Digest":
            return replace(promotion, digest=value)
        case "Penstock-Evidence":
            return replace(promotion, evidence=value)
        case "Penstock-Verdict":
            return replace(promotion, verdict=value)
        case "Penstock-Pull":
            return replace(promotion, pull=value)
        case "Penstock-Approved-By":
            return replace(promotion, approved_by=(*promotion.approved_by, value))
        case "Penstock-Bypass":
            return replace(promotion, bypass=value)
        case "Penstock-Trace":
            return replace(promotion, trace=value)
        case "Penstock-Choice" if found := _CHOICE.match(value):
            picked = PickedSide(side="take" if found[1] == "take" else "keep", values=found[2], field=found[3])
            return replace(promotion, picked=(*promotion.picked, picked))
        case "Penstock-Held" if found := _HELD.match(value):
            return replace(promotion, held=(*promotion.held, HeldField(commit=CommitId(found[1]), pattern=found[2])))
        case _:
            return promotion


@dataclass(frozen=True, slots=True, kw_only=True)
class Landed:
    """A commit of an environment's history and what it claims."""

    commit: CommitId
    when: datetime
    record: Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """What the next promotion of a unit starts from."""

    commit: CommitId | None = None
    """The commit whose source configuration the target's was last brought in line with; None when it never was."""
    rolled_back: CommitId | None = None
    """The newest source commit that was promoted and is rolled back."""
    held: tuple[HeldField, ...] = ()
    """What stayed back when that was brought in line."""
    lost: bool = False
    """There is a record, and the commit it names is not in the main branch's past: the history was rewritten."""


IsAncestor = Callable[[CommitId, CommitId], bool]


def base_of(
    unit: str,
    source: EnvName,
    target: EnvName,
    history: Iterable[Landed],
    settled: Sequence[Settling],
    is_ancestor: IsAncestor,
) -> Base:
    """What to compare a unit's source with.

    `history` is the target environment's, newest first; after a rollback it goes on where the target went back to.
    `settled` are records kept in files; each names its commit, and the newest of all records by ancestry wins.
    """
    landed, found = _newest(unit, source, target, history, is_ancestor)
    for settling in settled:
        if (settling.source, settling.target) != (source, target) or settling.unit not in ("", unit) or not settling.commit:
            continue
        if landed is None or is_ancestor(landed, settling.commit):
            landed, found = settling.commit, Base(commit=settling.commit)
    return found


def _newest(
    unit: str, source: EnvName, target: EnvName, history: Iterable[Landed], is_ancestor: IsAncestor
) -> tuple[CommitId | None, Base]:
    """(where it was recorded, the base) of the newest record in an environment's history that still holds."""
    back_at: CommitId | None = None
    undone: CommitId | None = None
    for landed in history:
        reached = back_at is None or is_ancestor(landed.commit, back_at)
        for promotion in landed.record.promotions:
            if (promotion.unit, promotion.source, promotion.target) == (unit, source, target):
                if reached:
                    return landed.commit, Base(commit=promotion.commit, rolled_back=undone, held=promotion.held)
                undone = undone or promotion.commit
        for settling in landed.record.settlings:
            if reached and (settling.source, settling.target) == (source, target) and settling.unit in ("", unit):
                return landed.commit, Base(commit=settling.commit or landed.commit, rolled_back=undone)
        for rollback in landed.record.rollbacks:
            if reached and (rollback.unit, rollback.target) == (unit, target):
                back_at = rollback.commit
    return None, Base(rolled_back=undone)


def title_of(unit: str) -> str:
    """A unit's name for people."""
    return "environment" if unit == REMAINDER else unit
