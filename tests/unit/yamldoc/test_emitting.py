"""Printing as kustomize prints: styles, folding, key order; and what is printed reads back as it was."""

from typing import Any

import hypothesis
import pytest
from hypothesis import strategies

from penstock.model.errors import InputError
from penstock.yamldoc import reading
from penstock.yamldoc.emitting import emit, emit_all


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (-1, "-1"),
        (1.5, "1.5"),
        (1e21, "1e+21"),
        (100.0, "100"),
        ("", '""'),
        ("a", "a"),
        ("1", '"1"'),
        ("1e3", '"1e3"'),
        ("0x1F", '"0x1F"'),
        ("true", '"true"'),
        ("yes", '"yes"'),
        ("n", '"n"'),
        ("null", '"null"'),
        ("~", '"~"'),
        ("1:30", '"1:30"'),
        ("2024-01-01", '"2024-01-01"'),
        ("=", "="),
        ("a: b", "'a: b'"),
        ("a:b", "a:b"),
        ("a #b", "'a #b'"),
        ("a#b", "a#b"),
        ("- a", "'- a'"),
        ("-a", "-a"),
        ("it's", "it's"),
        ("'quoted'", "'''quoted'''"),
        ("@a", "'@a'"),
        (" a", "' a'"),
        ("a ", "'a '"),
        ("a\tb", '"a\\tb"'),
        ("ü", "ü"),
        ("\U0001f600", '"\\U0001F600"'),
        ("---", "'---'"),
        ("a\nb\n", "|\n  a\n  b"),
        ("a\nb", "|-\n  a\n  b"),
        ("a\n\n", "|+\n  a\n"),
        ("\na\n", "|2\n\n  a"),
        ("a \nb\n", '"a \\nb\\n"'),
        ([], "[]"),
        ({}, "{}"),
    ],
)
def test_a_value_is_written_in_the_style_that_kustomize_picks(value: Any, text: str):
    assert emit({"v": value}) == f"v: {text}\n"


def test_lists_stand_under_their_key_without_indent():
    assert emit({"a": [{"b": 1, "c": [1, [2, 3]]}, "x"]}) == "a:\n- b: 1\n  c:\n  - 1\n  - - 2\n    - 3\n- x\n"


def test_keys_are_in_natural_order():
    assert list(reading.load_all(emit(dict.fromkeys(["b", "a10", "a9", "B", "_", "1", "a"], 0)).encode(), "")[0].value) == [
        "_",
        "1",
        "B",
        "a",
        "a9",
        "a10",
        "b",
    ]


def test_a_long_key_is_written_on_its_own():
    assert emit({"k" * 129: 1}) == f"? {'k' * 129}\n: 1\n"


def test_long_lines_are_folded_at_spaces():
    text = "word " * 40
    lines = emit({"v": text.strip()}).splitlines()
    assert len(lines) == 3
    assert all(80 < len(line) <= 86 for line in lines[:-1])


def test_documents_are_kept_apart():
    assert emit_all([{"a": 1}, {"b": 2}]) == b"a: 1\n---\nb: 2\n"
    assert emit_all([]) == b""


def test_a_key_that_is_no_string_is_refused_without_values():
    with pytest.raises(InputError) as caught:
        emit({"a": {1: "canary"}})
    assert "canary" not in str(caught.value)


TEXTS = strategies.text(strategies.characters(exclude_categories=["Cs", "Cc"], include_characters="\n\t"), max_size=120)
KEYS = TEXTS.filter(lambda text: text != "<<")  # printed plain, as kustomize does, and then read as a merge key
VALUES = strategies.recursive(
    strategies.none() | strategies.booleans() | strategies.integers(-(2**63), 2**63) | TEXTS,
    lambda inner: strategies.lists(inner, max_size=4) | strategies.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@hypothesis.given(strategies.dictionaries(KEYS, VALUES, min_size=1, max_size=4))
@hypothesis.settings(max_examples=300)
def test_what_is_printed_reads_back_as_it_was(value: dict[str, Any]):
    try:
        printed = emit(value)
    except InputError:
        return
    document = reading.load_sigs(printed.encode(), "a.yaml", reading.LENIENT)
    assert document is not None
    assert document.value == value


def test_a_value_at_the_depth_budget_can_be_printed_and_read():
    value: Any = "x"
    for _ in range(900):
        value = [value]
    assert reading.load_all(emit({"a": value}).encode(), "")[0].value == {"a": value}
