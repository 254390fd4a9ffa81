"""Edits of a document's text, and values written in another document's style."""

from __future__ import annotations

import pytest

from penstock.yamldoc import layout, parsing, splicing, writing
from penstock.yamldoc.editing import Add, Editor, Keep, Plan
from penstock.yamldoc.nodes import Mapping, Scalar, Sequence
from penstock.yamldoc.writing import Writer


def root(text: str) -> Mapping:
    found = parsing.parse(text).root
    assert isinstance(found, Mapping)
    return found


def arranged(target: str, source: str, plan: Plan, *, drops: bool = False) -> str:
    """The target's root mapping arranged by a plan of indices; additions are named by the source's index."""
    here, there = parsing.parse(target), parsing.parse(source)
    assert isinstance(here.root, Mapping)
    assert isinstance(there.root, Mapping)
    editor = Editor(here, there)
    entries = there.root.entries
    steps = [step if isinstance(step, Keep) else Add(entries[step.index], step.index) for step in plan]
    editor.arrange(here.root, there.root, steps, lambda index, comment: drops)
    return editor.result()


NEW = Add(Scalar(0, 0, 0, "", ""), 0)


@pytest.mark.parametrize(
    ("target", "plan", "result"),
    [
        ("a: 1\nb: 2\n", [Keep(0), NEW, Keep(1)], "a: 1\nn: 0 # new\nb: 2\n"),
        ("a: 1 # x\nb: 2\n", [NEW, Keep(0), Keep(1)], "n: 0 # new\na: 1 # x\nb: 2\n"),
        ("a: 1\nb: 2", [Keep(0), Keep(1), NEW], "a: 1\nb: 2\nn: 0 # new"),
        ("a: 1\nb: 2\n", [Keep(1)], "b: 2\n"),
        ("a: 1\nb: 2\n", [Keep(0)], "a: 1\n"),
        ("a: 1\nb: 2", [Keep(0)], "a: 1"),
        ("a: 1\nb: 2\n", [NEW], "n: 0 # new\n"),
        ("a: 1\nb: 2\n", [], "{}\n"),
        ("a: 1\n# about b\nb: 2 # B\nc: 3\n", [Keep(2), Keep(0), Keep(1)], "c: 3\na: 1\n# about b\nb: 2 # B\n"),
        ("a: |\n  x\nb: 2\n", [Keep(0), NEW, Keep(1)], "a: |\n  x\nn: 0 # new\nb: 2\n"),
        ("{a: 1, b: 2}\n", [Keep(0), NEW, Keep(1)], "{a: 1, n: 0, b: 2}\n"),
        ("{a: 1, b: 2}\n", [NEW, Keep(1)], "{n: 0, b: 2}\n"),
        ("{a: 1, b: 2,}\n", [Keep(0)], "{a: 1,}\n"),
        ("{a: 1, b: 2}\n", [Keep(1), Keep(0)], "{b: 2, a: 1}\n"),
        ("{a: 1}\n", [], "{}\n"),
        ("{}\n", [NEW], "{n: 0}\n"),
        ("{\n  a: 1, # A\n  b: 2 # B\n}\n", [Keep(0), Keep(1), NEW], "{\n  a: 1, # A\n  b: 2, # B\n  n: 0\n}\n"),
        ("{\n  a: 1, # A\n  b: 2 # B\n}\n", [Keep(0)], "{\n  a: 1 # A\n}\n"),
    ],
)
def test_a_collection_is_arranged_and_what_stays_keeps_its_bytes(target: str, plan: Plan, result: str) -> None:
    assert arranged(target, "n: 0 # new\n", plan) == result


def test_the_comment_above_a_removed_entry_goes_when_told() -> None:
    target = "a: 1\n# about b\nb: 2\nc: 3\n"
    assert arranged(target, "n: 0\n", [Keep(0), Keep(2)]) == "a: 1\n# about b\nc: 3\n"
    assert arranged(target, "n: 0\n", [Keep(0), Keep(2)], drops=True) == "a: 1\nc: 3\n"


def test_edits_at_one_place_keep_their_order_and_overlaps_are_refused() -> None:
    assert splicing.apply("abc", [(1, 1, "X"), (1, 2, ""), (1, 1, "Y")]) == "aXYc"
    with pytest.raises(ValueError, match="overlap"):
        splicing.apply("abc", [(0, 2, ""), (1, 1, "X")])


@pytest.mark.parametrize(
    ("text", "style"),
    [
        ("a:\n  b: 1\n", layout.Style(step=2)),
        ("a:\n    b:\n        c: 1\n", layout.Style(step=4)),
        ("a:\n- b\n", layout.Style(offset=0)),
        ("a:\n  - b: 1\n    c:\n      d: 1\n", layout.Style(step=2, offset=2)),
        ("a:\n-   b: 1\n-   c\n", layout.Style(offset=0, gap=3)),
        ("a: {b: 1}\n", layout.Style()),
    ],
)
def test_the_indentation_of_a_document_is_learned(text: str, style: layout.Style) -> None:
    assert layout.style(parsing.parse(text)) == style


SOURCE = """\
n:   # head
  # first
  k: |2-
      x
    y

    z
  # about l
  l:
  - a   # A
  -
    b: 'q'
  - - c
    - d
  # foot
"""


def test_a_value_is_written_in_another_indentation_with_its_comments() -> None:
    document = parsing.parse(SOURCE)
    assert isinstance(document.root, Mapping)
    written = Writer(document, layout.Style(step=4, offset=2)).entry(document.root.entries[0], 2)
    assert written == (
        "n:   # head\n      # first\n      k: |4-\n            x\n          y\n\n          z\n      # about l\n      l:\n"
        "        - a   # A\n        -\n          b: 'q'\n        - - c\n          - d\n      # foot"
    )
    again = root("  " + written + "\n")
    first, second = (mapping.keys["n"].value for mapping in (root(SOURCE), again))
    assert isinstance(first, Mapping)
    assert isinstance(second, Mapping)
    values = [mapping.keys["k"].value for mapping in (first, second)]
    assert all(isinstance(value, Scalar) and value.value == "  x\ny\n\nz" for value in values)


def test_a_value_is_written_on_one_line() -> None:
    document = parsing.parse("a:\n  b: |\n    x\n    y\n  c: [1, 'two']\n  d: it, is\n  e:\n  f:\n  - g: ~\n")
    assert isinstance(document.root, Mapping)
    shown = Writer(document, layout.Style()).flow(document.root.entries[0].value)
    assert shown == '{b: "x\\ny\\n", c: [1, \'two\'], d: "it, is", e: null, f: [{g: ~}]}'


@pytest.mark.parametrize(
    ("source", "target", "flow", "result"),
    [
        ('"1.10"', "'1.9'", False, "'1.10'"),
        ("plain", "'q'", False, "'plain'"),
        ("'plain words'", "word", False, "plain words"),
        ("'on'", "word", False, "'on'"),
        ("'1.4.0'", "word", False, "1.4.0"),
        ("'a, b'", "word", False, "a, b"),
        ("'a, b'", "word", True, "'a, b'"),
        ("'a: b'", "word", False, "'a: b'"),
        ("a b", "word", True, "a b"),
        ("it's", "'q'", False, "'it''s'"),
        ('"tab\\t"', "'q'", False, '"tab\\t"'),
        ("true", "'q'", False, "true"),
        ("5", '"4"', False, "5"),
        ("'5'", "4", False, "'5'"),
        ("word", "4", False, "word"),
        ("'- x'", "word", False, "'- x'"),
        ("'-x'", "word", False, "-x"),
        ("'x '", "word", False, "'x '"),
        ('""', "word", False, '""'),
    ],
)
def test_a_scalar_takes_the_quotes_of_the_target_where_they_can_say_it(source: str, target: str, flow: bool, result: str) -> None:
    one, other = (root(f"k: {text}\n").keys["k"].value for text in (source, target))
    assert isinstance(one, Scalar)
    assert isinstance(other, Scalar)
    assert writing.scalar_text(one, source, other, flow=flow) == result


def test_dashes_are_found_wherever_the_item_stands() -> None:
    text = "l:\n- a\n-\n  b: 1\n# - x\n- # c\n  d\n-\n- - e\n  - f\n"
    sequence = root(text).keys["l"].value
    assert isinstance(sequence, Sequence)
    assert [text.count("\n", 0, layout.dash(text, sequence, index)) + 1 for index in range(5)] == [2, 3, 6, 8, 9]
