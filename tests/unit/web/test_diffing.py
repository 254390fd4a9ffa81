"""Two texts side by side: what changed is there, what did not is cut, and nothing is too long."""

from __future__ import annotations

from penstock.web import diffing
from penstock.web.diffing import Pair


def drawn(before: str, after: str) -> list[str]:
    marks = {"same": "=", "changed": "!"}
    return [
        f"{marks[one.kind]} {one.left}|{one.right}" if one.kind != "cut" else f"~ {one.count}" for one in sides(before, after)
    ]


def sides(before: str, after: str) -> tuple[Pair, ...]:
    return diffing.sides(before, after)


def test_a_changed_line_stands_beside_what_it_was() -> None:
    assert drawn("a\nb\nc", "a\nB\nc") == ["= a|a", "! b|B", "= c|c"]


def test_what_is_new_or_gone_has_nothing_beside_it() -> None:
    assert drawn("a", "a\nb") == ["= a|a", "! None|b"]
    assert drawn("", "a\nb") == ["! None|a", "! None|b"]
    assert drawn("a\nb", "") == ["! a|None", "! b|None"]


def test_line_numbers_are_those_of_each_side() -> None:
    changed = [one for one in sides("a\nb\nd", "a\nx\ny\nd") if one.kind == "changed"]
    assert [(one.left_number, one.right_number) for one in changed] == [(2, 2), (0, 3)]


def test_unchanged_lines_far_away_are_cut_and_counted() -> None:
    lines = [str(number) for number in range(100)]
    changed = [*lines[:50], "x", *lines[51:]]
    found = drawn("\n".join(lines), "\n".join(changed))
    assert found[0] == "~ 47"
    assert found[-1] == "~ 46"
    assert "! 50|x" in found
    assert len(found) == 9


def test_a_hundred_thousand_changed_lines_are_cut_soon() -> None:
    before = "\n".join(f"a{number}" for number in range(100_000))
    after = "\n".join(f"b{number}" for number in range(100_000))
    found = sides(before, after)
    assert len(found) == diffing.SHOWN + 1
    assert found[-1] == Pair(kind="cut", count=100_000 - diffing.SHOWN)


def test_equal_texts_have_nothing_to_show_but_that() -> None:
    assert [one.kind for one in sides("a\nb", "a\nb")] in (["same", "same"], ["same", "same", "same"])
