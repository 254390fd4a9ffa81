"""Two texts side by side, line by line. In: what a value was and is. Out: pairs of lines, cut where nothing changed.

Pure, and bounded: what both sides share at the ends is taken off first, and of two long middles only the beginning is shown.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

AROUND = 3
"""Unchanged lines shown beside changed ones."""
SHOWN = 400
"""Changed lines that are shown, and compared."""
_LONGEST = 500
"""Characters of one line."""

Kind = Literal["same", "changed", "cut"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One line of each side; None where a side has none."""

    kind: Kind
    left: str | None = None
    right: str | None = None
    left_number: int = 0
    right_number: int = 0
    count: int = 0
    """Of a cut: how many lines are not shown."""


def sides(before: str, after: str) -> tuple[Pair, ...]:
    """The changed lines of two texts, with a few unchanged ones around them."""
    old, new = (text.split("\n") if text else [] for text in (before, after))
    start = _shared(old, new)
    end = _shared(old[start:][::-1], new[start:][::-1])
    return tuple(_pairs(old, new, start, end))


def _shared(one: Sequence[str], other: Sequence[str]) -> int:
    count = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        count += 1
    return count


def _pairs(old: Sequence[str], new: Sequence[str], start: int, end: int) -> Iterator[Pair]:
    first = max(0, start - AROUND)
    if first:
        yield Pair(kind="cut", count=first)
    for index in range(first, start):
        yield _same(old[index], index, index)
    left, right = old[start : len(old) - end], new[start : len(new) - end]
    yield from _middle(left[:SHOWN], right[:SHOWN], start)
    if (hidden := max(len(left), len(right)) - SHOWN) > 0:
        yield Pair(kind="cut", count=hidden)
    last = min(end, AROUND)
    for offset in range(last):
        index, other = len(old) - end + offset, len(new) - end + offset
        yield _same(old[index], index, other)
    if end > last:
        yield Pair(kind="cut", count=end - last)


def _middle(left: Sequence[str], right: Sequence[str], start: int) -> Iterator[Pair]:
    for tag, low, high, from_, to in difflib.SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        if tag == "equal":
            yield from _equal(left[low:high], start + low, start + from_)
            continue
        for offset in range(max(high - low, to - from_)):
            here = left[low + offset] if low + offset < high else None
            there = right[from_ + offset] if from_ + offset < to else None
            yield Pair(
                kind="changed",
                left=None if here is None else here[:_LONGEST],
                right=None if there is None else there[:_LONGEST],
                left_number=start + low + offset + 1 if here is not None else 0,
                right_number=start + from_ + offset + 1 if there is not None else 0,
            )


def _equal(lines: Sequence[str], left: int, right: int) -> Iterator[Pair]:
    if len(lines) <= 2 * AROUND + 1:
        for offset, line in enumerate(lines):
            yield _same(line, left + offset, right + offset)
        return
    for offset in range(AROUND):
        yield _same(lines[offset], left + offset, right + offset)
    yield Pair(kind="cut", count=len(lines) - 2 * AROUND)
    for offset in range(len(lines) - AROUND, len(lines)):
        yield _same(lines[offset], left + offset, right + offset)


def _same(line: str, left: int, right: int) -> Pair:
    return Pair(kind="same", left=line[:_LONGEST], right=line[:_LONGEST], left_number=left + 1, right_number=right + 1)
