"""Three-way merge of lines."""

from __future__ import annotations

import itertools
import random

import pytest

from penstock.merge import lines, ordering


def merged(base: str, source: str, target: str) -> str | None:
    found = lines.merge(base, source, target)
    return None if found.clashes else "".join(found.applied(target))


@pytest.mark.parametrize(
    ("base", "source", "target", "result"),
    [
        ("abc", "aXc", "abc", "aXc"),
        ("abc", "abc", "aYc", "aYc"),
        ("abc", "Xbc", "aYc", "XYc"),  # neighbours
        ("abc", "aXYc", "abZ", None),  # which line became which is not clear
        ("abc", "abXc", "aYc", "aYXc"),  # an insertion behind a changed line
        ("abc", "aXbc", "aYc", "aXYc"),  # and before one
        ("abc", "aXc", "aYc", None),
        ("abc", "aXbc", "aYbc", None),
        ("abc", "aXbc", "aXbc", "aXbc"),
        ("abc", "ac", "aYc", None),
        ("abc", "ac", "abY", "aY"),
        ("abcd", "abXcd", "ad", None),  # between two removed lines
        ("", "X", "", "X"),
        ("", "X", "Y", None),
        ("ab", "ba", "abc", None),  # both put something behind b
    ],
)
def test_lines_merge(base: str, source: str, target: str, result: str | None) -> None:
    assert merged(base, source, target) == result


def test_hunks_turn_the_old_text_into_the_new_one() -> None:
    r = random.Random(1)
    for _ in range(3000):
        old, new = ("".join(r.choice("abcd") for _ in range(r.randrange(9))) for _ in range(2))
        made, position = "", 0
        found = lines.hunks(old, new)
        for hunk in found:
            made += old[position : hunk.start] + "".join(hunk.lines)
            position = hunk.end
        assert made + old[position:] == new
        assert all(one.end < other.start for one, other in itertools.pairwise(found))


def test_line_merges_are_the_same_from_either_side() -> None:
    r = random.Random(2)
    done = 0
    for _ in range(3000):
        base = "abcdefgh"
        sides = []
        for mark in ("X", "Y"):
            made = ""
            for char in base:
                made += "" if r.random() < 0.1 else mark + char if r.random() < 0.1 else mark if r.random() < 0.15 else char
            sides.append(made)
        one, other = merged(base, *sides), merged(base, *reversed(sides))
        assert one == other
        done += one is not None
    assert done > 500


def test_texts_without_anything_in_common_are_not_compared_for_ever() -> None:
    old, new = [f"a{number}" for number in range(6000)], [f"b{number}" for number in range(6000)]
    assert lines.hunks(old, new) == [lines.Hunk(0, 6000, tuple(new))]


@pytest.mark.parametrize(
    ("kept", "source", "new", "order"),
    [
        ("abz", "anb", "n", "anbz"),
        ("ab", "nab", "n", "nab"),
        ("xab", "nab", "n", "xnab"),
        ("xy", "n", "n", "xyn"),
        ("ab", "amnb", "mn", "amnb"),
        ("ba", "anb", "n", "ban"),
        ("", "mn", "mn", "mn"),
    ],
)
def test_new_members_go_behind_the_neighbour_they_follow(kept: str, source: str, new: str, order: str) -> None:
    assert "".join(ordering.place(kept, source, new)) == order


@pytest.mark.parametrize(
    ("base", "source", "target", "order"),
    [
        ("abc", "cab", "abc", "cab"),
        ("abc", "cab", "aobc", "caob"),
        ("abc", "cab", "bac", None),
        ("abc", "cab", "cab", "cab"),
        ("abc", "abc", "cba", "cba"),
        ("abc", "ca", "abc", "cab"),
    ],
)
def test_a_changed_order_travels_unless_both_changed_it(base: str, source: str, target: str, order: str | None) -> None:
    found = ordering.reorder(base, source, target)
    assert (None if found is None else "".join(found)) == order


def test_settled_clashes_keep_every_line_of_the_preferred_side() -> None:
    r = random.Random(3)
    settled = 0
    for _ in range(4000):
        base = "abcdefgh"
        sides = []
        for mark in ("X", "Y"):
            made = ""
            for char in base:
                made += "" if r.random() < 0.15 else mark + char if r.random() < 0.15 else mark if r.random() < 0.2 else char
            sides.append(made)
        source, target = sides
        if not lines.merge(base, source, target).clashes:
            continue
        taken = "".join(lines.merge(base, source, target, prefer="source").applied(target))
        kept = "".join(lines.merge(base, source, target, prefer="target").applied(target))
        assert taken.count("X") == source.count("X")
        assert kept.count("Y") == target.count("Y")
        assert taken.count("Y") <= target.count("Y")
        settled += 1
    assert settled > 500
