"""Three-way merge of texts by lines.

In: base, source and target as lists of lines. Out: the source's changes as edits of the target's lines, or the places at
which both changed the same lines. A line is the unit: changes of neighbouring lines do not conflict as long as it is
clear which line became which, because standing differences sit beside changing lines all the time in an environment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_MAX_EDITS = 1500
"""Texts that differ in more lines than this are not compared line by line: the middle counts as one change."""


@dataclass(frozen=True, slots=True)
class Hunk:
    """Lines [start, end) of the old text became `lines`."""

    start: int
    end: int
    lines: tuple[str, ...]


def hunks(old: Sequence[str], new: Sequence[str]) -> list[Hunk]:
    """The changes from old to new, in order, none touching another."""
    prefix = 0
    limit = min(len(old), len(new))
    while prefix < limit and old[prefix] == new[prefix]:
        prefix += 1
    suffix = 0
    while suffix < limit - prefix and old[-1 - suffix] == new[-1 - suffix]:
        suffix += 1
    a, b = old[prefix : len(old) - suffix], new[prefix : len(new) - suffix]
    found: list[Hunk] = []
    at_a = at_b = 0
    for start_a, start_b, length in [*matches(a, b), (len(a), len(b), 0)]:
        if start_a > at_a or start_b > at_b:
            found.append(Hunk(prefix + at_a, prefix + start_a, tuple(b[at_b:start_b])))
        at_a, at_b = start_a + length, start_b + length
    return found


def matches(a: Sequence[object], b: Sequence[object]) -> list[tuple[int, int, int]]:
    """Runs (start in a, start in b, length) of a longest common subsequence, in order (Myers 1986, greedy, O(ND))."""
    if not a or not b:
        return []
    trail: list[dict[int, int]] = []
    furthest = {1: 0}
    for edits in range(min(len(a) + len(b), _MAX_EDITS) + 1):
        trail.append(dict(furthest))
        for diagonal in range(-edits, edits + 1, 2):
            down = diagonal == -edits or (diagonal != edits and furthest[diagonal - 1] < furthest[diagonal + 1])
            x = furthest[diagonal + 1] if down else furthest[diagonal - 1] + 1
            y = x - diagonal
            while x < len(a) and y < len(b) and a[x] == b[y]:
                x, y = x + 1, y + 1
            furthest[diagonal] = x
            if x >= len(a) and y >= len(b):
                return _runs(trail, len(a), len(b))
    return []


def _runs(trail: list[dict[int, int]], x: int, y: int) -> list[tuple[int, int, int]]:
    runs: list[tuple[int, int, int]] = []
    for edits in range(len(trail) - 1, -1, -1):
        furthest = trail[edits]
        diagonal = x - y
        down = diagonal == -edits or (diagonal != edits and furthest[diagonal - 1] < furthest[diagonal + 1])
        before = diagonal + 1 if down else diagonal - 1
        start_x = furthest[before]
        start_y = start_x - before
        from_x, from_y = (start_x, start_y + 1) if down else (start_x + 1, start_y)
        if edits == 0:
            from_x = from_y = 0
        if x > from_x:
            runs.append((from_x, from_y, x - from_x))
        x, y = start_x, start_y
    return runs[::-1]


@dataclass(frozen=True, slots=True)
class Clash:
    """Base lines [start, end) that source and target changed differently, and what each made of them."""

    start: int
    end: int
    source: tuple[str, ...]
    target: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LineMerge:
    """Edits of the target's lines (old positions, in order), or clashes."""

    edits: tuple[Hunk, ...]
    clashes: tuple[Clash, ...]

    def applied(self, target: Sequence[str]) -> list[str]:
        """The target's lines with the edits made."""
        lines: list[str] = []
        position = 0
        for edit in self.edits:
            lines += [*target[position : edit.start], *edit.lines]
            position = edit.end
        return [*lines, *target[position:]]


def merge(base: Sequence[str], source: Sequence[str], target: Sequence[str], *, prefer: str = "") -> LineMerge:
    """The source's changes since base, placed in the target; `prefer` ('source' or 'target') settles what clashes."""
    ours, theirs = hunks(base, target), hunks(base, source)
    edits: list[Hunk] = []
    clashes: list[Clash] = []
    spans: list[tuple[int, int]] = []
    for change in theirs:
        if change in ours or not any(_touch(change, own) and _clash(change, own) for own in ours):
            continue
        mine, start, end = _group(change, theirs, ours)
        if (start, end) in spans:
            continue
        spans.append((start, end))
        clash = Clash(start, end, _seen(base, theirs, start, end), _seen(base, ours, start, end))
        if not prefer:
            clashes.append(clash)
        elif prefer == "source":
            before = sum(len(own.lines) - own.end + own.start for own in ours if own.end <= start and own not in mine)
            within = sum(len(own.lines) - own.end + own.start for own in mine)
            edits.append(Hunk(start + before, end + before + within, clash.source))
    for change in theirs:
        if change in ours or any(first <= change.start and change.end <= last for first, last in spans):
            continue
        start = _moved(change.start, ours, below=-1)
        end = _moved(change.end, ours, below=change.end) if change.end > change.start else start
        edits.append(Hunk(start, end, change.lines))
    return LineMerge(tuple(sorted(edits, key=lambda edit: edit.start)), tuple(clashes))


def _group(change: Hunk, theirs: Sequence[Hunk], ours: Sequence[Hunk]) -> tuple[list[Hunk], int, int]:
    """The target's changes that hang together with this change, and the base lines that all of them span."""
    start, end = change.start, change.end
    while True:
        span = Hunk(start, end, change.lines)
        mine = [own for own in ours if _touch(span, own)]
        both = [*mine, *(other for other in theirs if _touch(span, other))]
        widened = min(start, *(hunk.start for hunk in both)), max(end, *(hunk.end for hunk in both))
        if widened == (start, end):
            return mine, start, end
        start, end = widened


def _touch(one: Hunk, other: Hunk) -> bool:
    return one.start <= other.end and other.start <= one.end


def _clash(one: Hunk, other: Hunk) -> bool:
    """Whether two touching changes cannot both be made."""
    if one.start < other.end and other.start < one.end:
        return True
    if one.start == one.end and other.start == other.end:
        return True  # both put something at the same place
    if one.start == one.end or other.start == other.end:
        inserted, replaced = (one, other) if one.start == one.end else (other, one)
        if replaced.start < inserted.start < replaced.end:
            return True
    # Side by side: clear only where each replaced line has its one successor, or is simply gone.
    return any(hunk.end > hunk.start and len(hunk.lines) not in (0, hunk.end - hunk.start) for hunk in (one, other))


def _moved(position: int, ours: Sequence[Hunk], *, below: int) -> int:
    """A base position as a position in the target: what the target put at `below` itself comes after it."""
    return position + sum(
        len(own.lines) - (own.end - own.start) for own in ours if own.end <= position and (own.start < below or below < 0)
    )


def _seen(base: Sequence[str], changes: Sequence[Hunk], start: int, end: int) -> tuple[str, ...]:
    """What base lines [start, end) became."""
    lines: list[str] = []
    position = start
    for change in changes:
        if change.end < start or change.start > end:
            continue
        lines += [*base[position : max(change.start, position)], *change.lines]
        position = max(position, change.end)
    return (*lines, *base[position:end])
