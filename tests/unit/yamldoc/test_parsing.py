"""Nodes and where they stand."""

from __future__ import annotations

import pytest

from penstock.yamldoc import jsontext, parsing
from penstock.yamldoc.nodes import Canon, Mapping, Node, Scalar, Sequence, UnreadableError, effective, retyped, text_of


def root(text: str) -> Mapping:
    found = parsing.parse(text).root
    assert isinstance(found, Mapping)
    return found


def spans(text: str, node: Node) -> str:
    return text[node.start : node.end]


def test_documents_join_to_the_file_again() -> None:
    for text in ("a: 1\n---\nb: 2\n", "---\na: 1\n--- # x\nb: |\n ---\n", "# c\n---\na", "", "---", "a: ---\nb: 1\n"):
        assert "".join(parsing.split(text)) == text
    assert parsing.split("a: 1\n---\nb: 2\n--- # x\nc: 3\n") == ["a: 1\n", "---\nb: 2\n", "--- # x\nc: 3\n"]


@pytest.mark.parametrize(
    ("text", "key", "span"),
    [
        ("a: plain words  # c\n", "a", "plain words"),
        ("a: 'it''s'\n", "a", "'it''s'"),
        ("a: |  # c\n  x\n\n  y\n\n# after\nb: 1\n", "a", "|  # c\n  x\n\n  y"),
        ("a: |+\n  x\n\n\nb: 1\n", "a", "|+\n  x\n\n"),
        ("a: >-\n  x\n  y\n", "a", ">-\n  x\n  y"),
        ("a: |\n  x", "a", "|\n  x"),
        ("a:\n  b: 1\n  c: 2   # x\n\n# y\nz: 1\n", "a", "b: 1\n  c: 2"),
        ("a:\n- 1\n- - 2\n  - 3\n", "a", "- 1\n- - 2\n  - 3"),
        ("a: {b: [1, 2]} # c\n", "a", "{b: [1, 2]}"),
        ("a:\nb: 1\n", "a", ""),
        ("a: ünï ☃ 😀\nb: 1\n", "a", "ünï ☃ 😀"),
    ],
)
def test_a_node_ends_where_its_value_ends(text: str, key: str, span: str) -> None:
    assert spans(text, root(text).keys[key].value) == span


def test_an_anchor_and_a_tag_stand_before_the_content() -> None:
    text = "a: &x !!str 1\nb: &y\n  c: 1\nd: &z # why\n  - 1\n"
    values = {key: entry.value for key, entry in root(text).keys.items()}
    contents = [text[node.content : node.end] for node in values.values() if isinstance(node, Scalar | Mapping | Sequence)]
    assert contents == ["1", "c: 1", "- 1"]


def test_places_count_from_one() -> None:
    document = parsing.parse("a: 1\nb:\n  c: x\n", line=10)
    assert isinstance(document.root, Mapping)
    inner = document.root.keys["b"].value
    assert isinstance(inner, Mapping)
    assert document.position(inner.keys["c"].value.start) == (12, 6)


@pytest.mark.parametrize("text", ["? a\n: 1\n", "{a: 1, a: 2}\n", "a: 1\na: 2\n", "{[a]: 1}\n", "[x, y]: 1\n"])
def test_a_mapping_with_complex_or_repeated_keys_is_opaque(text: str) -> None:
    assert root(text).opaque


@pytest.mark.parametrize(
    ("text", "why", "line"),
    [
        ("a: [\n", "expected", 2),
        ("a: *x\n", "no anchor", 1),
        ("x: 1\na: &a [*a]\n", "no anchor", 2),
        ("a: 1\n...\n---\nb: 1\n", "separated", 2),
        ("%YAML 1.1\n---\na: 1\n", "directives", 1),
        ("a: " + "[" * 300 + "]" * 300, "deeply", 1),
    ],
)
def test_what_cannot_be_read_says_why_and_where(text: str, why: str, line: int) -> None:
    with pytest.raises(UnreadableError, match=why) as caught:
        parsing.parse(text)
    assert caught.value.line in (line, 0)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("'x'", "x", True),
        ('"a\\nb\\n"', "|\n  a\n  b", True),
        ("1", "'1'", False),
        ("on", "'on'", False),
        ("true", "True", True),
        ("true", "'true'", False),
        ("null", "~", True),
        ("null", "''", False),
        ("1.0", "1.00", False),
        ("2024-01-01", "'2024-01-01'", False),
        ("{a: 1, b: 2}", "{b: 2, a: 1}", True),
        ("[1, 2]", "[2, 1]", False),
        ("!t x", "x", False),
        ("!!str 1", "'1'", True),
        ("{a: 1, a: 2}", "{a: 2}", False),
    ],
)
def test_values_are_the_same_when_every_reader_reads_the_same(one: str, other: str, same: bool) -> None:
    text = f"a: {one}\nb: {other}\n"
    values = [entry.value for entry in root(text).entries]
    canon = Canon()
    assert (canon.of(values[0]) == canon.of(values[1])) is same


def test_merge_keys_count_as_the_entries_they_bring() -> None:
    mapping = root("x: &x {p: 1, q: 1}\ny: &y {q: 2, r: 2}\na:\n  <<: [*x, *y]\n  p: 9\nb: {p: 9, q: 1, r: 2}\n")
    one, other = mapping.keys["a"].value, mapping.keys["b"].value
    assert isinstance(one, Mapping)
    assert {key: spans_value(value) for key, value in effective(one).items()} == {"p": "9", "q": "1", "r": "2"}
    canon = Canon()
    assert canon.of(one) == canon.of(other)


def spans_value(node: Node) -> str:
    assert isinstance(node, Scalar)
    return node.value


@pytest.mark.parametrize(
    "word",
    [
        "yes",
        "No",
        "ON",
        "y",
        "1",
        "1.5",
        "1e3",
        "0x1f",
        "012",
        "1_000",
        "12:30:45",
        "2024-01-01",
        ".inf",
        "5.",
        ".5",
        "-7",
        "+1.5e-3",
        "0o7",
        "0B1",
        "2024-1-1 10:00",
        "~",
        "",
        "<<",
        "=",
    ],
)
def test_words_that_some_reader_retypes(word: str) -> None:
    assert retyped(word)


@pytest.mark.parametrize(
    "word",
    [
        "yess",
        "a1",
        "web:1.4.0",
        "1.2.3a-x",
        "v1",
        "10s",
        "128Mi",
        "nil",
        "1.4.0-rc",
        "1.4.0",
        "1.9.x",
        "0.0.0.0",
        "1-2",
        "e3",
        ".5.",
        "127.0.0.1:80",
    ],
)
def test_words_that_are_strings_to_every_reader(word: str) -> None:
    assert not retyped(word)


def test_the_text_of_a_field_is_found_through_its_keys() -> None:
    mapping = root("metadata: {name: web, labels: [x]}\nkind: ~\n")
    assert [text_of(mapping, *path) for path in (("metadata", "name"), ("metadata", "labels"), ("kind",), ("a", "b"))] == [
        "web",
        "",
        "",
        "",
    ]


@pytest.mark.parametrize(
    "text", ['{"a": 1,}', "{'a': 1}", '{"a": 01}', '{"a": 1} x', "[1", '{"a" 1}', '{"a": "\t"}', "", '"\\x"']
)
def test_what_is_not_json_is_refused(text: str) -> None:
    with pytest.raises(UnreadableError):
        jsontext.parse(text)


def test_json_nodes_say_where_they_stand() -> None:
    text = '{"a": [1, {"b": "\\ud83d\\ude00"}], "c": null}'
    document = jsontext.parse(text)
    assert isinstance(document.root, Mapping)
    inner = document.root.keys["a"].value
    assert spans(text, inner) == '[1, {"b": "\\ud83d\\ude00"}]'
    assert isinstance(inner, Sequence)
    assert isinstance(inner.items[1], Mapping)
    assert inner.items[1].keys["b"].value == inner.items[1].entries[0].value
    assert spans_value(inner.items[1].entries[0].value) == "😀"
