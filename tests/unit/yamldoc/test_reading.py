"""Reading YAML as go-yaml does: values, documents, places, and every way a file can be wrong or hostile."""

import contextlib
import subprocess
import sys
import textwrap
import time
from typing import Any

import pytest

from penstock.model.errors import InputError, Problem
from penstock.model.fieldpath import Keyed
from penstock.yamldoc import reading
from penstock.yamldoc.reading import LENIENT, STRICT, Leniency


def values(text: str | bytes, leniency: Leniency = STRICT) -> list[Any]:
    data = text if isinstance(text, bytes) else textwrap.dedent(text).encode()
    return [document.value for document in reading.load_all(data, "a.yaml", leniency)]


def refusal(text: str | bytes, leniency: Leniency = STRICT) -> Problem:
    with pytest.raises(InputError) as caught:
        values(text, leniency)
    return caught.value.problems[0]


# -- documents -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n---\n", "---\n# nothing\n---\nnull\n", "\n\n"])
def test_a_file_without_content_has_no_documents(text: str):
    assert values(text) == []


def test_documents_keep_their_order_and_lines():
    documents = reading.load_all(b"---\na: 1\n---\n# c\nb: 2\n---\n---\nc: 3\n", "a.yaml")
    assert [(document.value, document.line) for document in documents] == [({"a": 1}, 2), ({"b": 2}, 5), ({"c": 3}, 8)]


def test_content_behind_a_separator_is_refused_with_its_place():
    problem = refusal("a: 1\n--- b\nc: 2\n")
    assert (problem.code, problem.where and problem.where.line) == ("YamlSyntax", 2)


def test_a_comment_behind_a_separator_is_fine():
    assert values("a: 1\n--- # second\nb: 2\n") == [{"a": 1}, {"b": 2}]


def test_a_block_text_may_hold_what_looks_like_a_separator():
    assert values("a: |\n  ---\n  b\n") == [{"a": "---\nb\n"}]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_names_the_encoding(encoding: str):
    assert values("a: ü\n".encode(encoding)) == [{"a": "ü"}]


def test_line_ends_are_line_feeds():
    assert values(b"a: |\r\n  x\r\n  y\nb: 1\r\n") == [{"a": "x\ny\n", "b": 1}]


# -- values --------------------------------------------------------------------------------------------------------------


def test_merge_keys_fill_in_what_is_not_there():
    assert values("a: &a {x: 1, y: 2}\nb:\n  <<: *a\n  y: 3\n")[0]["b"] == {"x": 1, "y": 3}


def test_an_alias_is_a_copy():
    (value,) = values("a: &a [1]\nb: *a\n")
    value["a"].append(2)
    assert value["b"] == [1]


def test_binary_keeps_its_base64_text_unless_told_otherwise():
    text = "a: !!binary aGk=\n"
    assert values(text) == [{"a": "aGk="}]
    assert values(text, LENIENT) == [{"a": "hi"}]


def test_a_sigs_document_has_the_old_booleans():
    document = reading.load_sigs(b"a: yes\nb: 'yes'\nc: 012\n", "kustomization.yaml")
    assert document is not None
    assert document.value == {"a": True, "b": "yes", "c": 10}


# -- places --------------------------------------------------------------------------------------------------------------

PLACED = b"""\
# a comment
kind: Thing
spec:
  items:
  - name: x
    value: "1"
  - {name: y, value: 2}
"""


@pytest.mark.parametrize(
    ("path", "line", "column"),
    [
        ((), 2, 1),
        (("spec",), 3, 1),
        (("spec", "items", 0), 5, 5),
        (("spec", "items", 0, "value"), 6, 5),
        (("spec", "items", Keyed((("name", "y"),)), "value"), 7, 15),
        (("spec", "nothing", "at", "all"), 3, 1),
        (("spec", "items", Keyed((("name", "z"),))), 4, 3),
    ],
)
def test_a_field_has_a_place_and_a_missing_one_its_parents(path: Any, line: int, column: int):
    (document,) = reading.load_all(PLACED, "a.yaml")
    place = document.place(path)
    assert (place.path, place.line, place.column) == ("a.yaml", line, column)


def test_places_in_a_large_file_are_the_same():
    large = PLACED + b"more:\n" + b"".join(b"- a text that only takes room: %d\n" % number for number in range(10_000))
    (document,) = reading.load_all(large, "a.yaml")
    assert str(document.place(("spec", "items", 1, "value"))) == "a.yaml:7:15"
    assert str(document.place(("more", 9999))) == "a.yaml:10008:3"


def test_places_count_from_the_start_of_the_file():
    second = reading.load_all(b"a: 1\n---\nb:\n  c: 2\n", "a.yaml")[1]
    assert str(second.place(("b", "c"))) == "a.yaml:4:3"


def test_a_scalar_can_be_asked_for_its_text():
    (document,) = reading.load_all(b"a: 0x1F\nb: [~]\n", "a.yaml")
    assert document.scalar_text(("a",)) == "0x1F"
    assert document.scalar_text(("b", 0)) == "~"
    assert document.scalar_text(("b",)) is None


# -- what is refused -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("a: 1\nb:\n\t- 2\n", "YamlSyntax", 3),
        ("a: [1\n", "YamlSyntax", None),
        ("- name: a\n image: b\n", "YamlSyntax", 2),
        ("a:\n  - b: 1\n   c: 2\n", "YamlSyntax", 3),
        ("-\n    a: 1\n  b: 2\n", "YamlSyntax", 3),
        ("-   a: 1\n  b: 2\n", "YamlSyntax", 2),
        ("kind: Config\nmetadata: {name\n", "YamlSyntax", None),
        (b"a: \xe4\n", "YamlSyntax", 1),
        (b"a: x\x00y\n", "YamlSyntax", None),
        ("a: *nothing\n", "YamlAlias", 1),
        ("a: &x 1\n---\nb: *x\n", "YamlAlias", 3),
        ("a: &d {b: *d}\n", "YamlAliasCycle", 1),
        ("a: {1: b}\n", "YamlKeyType", 1),
        ("a:\n  true: b\n", "YamlKeyType", 2),
        ("a: .inf\n", "YamlNotFinite", 1),
        ("a: !!python/object/apply:os.system ['true']\n", "YamlUnknownTag", 1),
        ("a: 1\n...\nb: 2\n", "TrailingContent", 3),
    ],
)
def test_a_wrong_file_is_refused_with_code_and_line(text: str | bytes, code: str, line: int | None):
    problem = refusal(text)
    assert problem.code == code
    assert problem.where is not None
    assert problem.where.path == "a.yaml"
    if line is not None:
        assert problem.where.line == line


def test_a_duplicate_key_names_both_lines():
    problem = refusal("a: 1\nb: 2\na: 3\n")
    assert problem.code == "YamlDuplicateKey"
    assert problem.where is not None
    assert problem.where.line == 3
    assert "line 1" in problem.what


@pytest.mark.parametrize(
    "text", ["data: {a: canary, 1: canary}\n", "a: canary\nb: [canary\n", "canary: 1\nb: .nan\n", "a: canary\na: canary\n"]
)
def test_no_refusal_shows_a_value(text: str):
    assert "canary" not in str(refusal(text)).replace("canary: 1", "")


def test_a_merge_key_that_refers_to_itself_ends():
    assert values("a: &d\n  <<: *d\n  b: 1\n") in ([{"a": {"b": 1}}], [{"a": {"<<": None, "b": 1}}])


@pytest.mark.parametrize("leniency", [STRICT, LENIENT])
def test_nothing_is_ever_constructed_from_a_tag(leniency: Leniency, monkeypatch: pytest.MonkeyPatch):
    import os

    called: list[object] = []
    monkeypatch.setattr(os, "system", called.append)
    for text in ("a: !!python/object/apply:os.system ['x']\n", "!!python/object/new:os.system ['x']\n"):
        with contextlib.suppress(InputError):
            values(text, leniency)
    assert called == []


# -- budgets -------------------------------------------------------------------------------------------------------------


def bomb(levels: int) -> str:
    lines = ["a0: &a0 [" + ",".join(["x"] * 9) + "]"]
    lines += [f"a{level}: &a{level} [" + ",".join([f"*a{level - 1}"] * 9) + "]" for level in range(1, levels)]
    return "\n".join(lines) + "\n"


HOSTILE: dict[str, tuple[str, str]] = {
    "a bomb of 7 levels": (repr(bomb(8)), "YamlAliasBudget"),
    "a bomb of 9 levels": (repr(bomb(10)), "YamlAliasBudget"),
    "a bomb of one long text": (repr("a: &a " + "x" * 100_000 + "\nb: [" + ",".join(["*a"] * 1000) + "]\n"), "YamlAliasBudget"),
    "an alias cycle": (repr("a: &d {a: *d}\n"), "YamlAliasCycle"),
    "10,000 open brackets": ("'a: ' + '[' * 10_000 + ']' * 10_000", "YamlDepth"),
    "200,000 open brackets": ("'a: ' + '[' * 200_000", "YamlDepth"),
    "10,000 levels of blocks": ("''.join(' ' * i + 'a:\\n' for i in range(4_000))", "YamlDepth"),
    "a file of 100 MB": ("'a: ' + 'x' * 100_000_000", "YamlFileSize"),
}
PROBE = """
import resource, sys, time
from penstock.model.errors import InputError
from penstock.yamldoc import reading
data = ({source}).encode()
start = time.process_time()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    reading.load_all(data, "a.yaml")
    code = "read"
except InputError as error:
    code = error.problems[0].code
print(code, time.process_time() - start, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_in_a_second_and_little_memory(name: str):
    source, code = HOSTILE[name]
    run = subprocess.run([sys.executable, "-c", PROBE.format(source=source)], capture_output=True, text=True, check=True)
    said, seconds, mebibytes = run.stdout.split()
    assert said == code
    assert float(seconds) < 1
    assert float(mebibytes) < 256


def test_a_file_may_be_as_deep_as_the_budget():
    depth = 900
    (value,) = values("a: " + "[" * depth + "]" * depth + "\n")
    for _ in range(depth - 1):
        (value,) = value["a"] if isinstance(value, dict) else value
    assert value == []


def test_a_text_of_five_megabytes_is_read():
    start = time.process_time()
    assert values("a: " + "x" * 5_000_000 + "\n") == [{"a": "x" * 5_000_000}]
    assert time.process_time() - start < 1


# -- kustomization files -------------------------------------------------------------------------------------------------


def test_a_key_that_is_there_twice_in_a_kustomization_is_refused_unless_told_otherwise():
    text = b"resources: [a.yaml]\nresources: [b.yaml]\n"
    with pytest.raises(InputError) as caught:
        reading.load_sigs(text, "kustomization.yaml")
    assert caught.value.problems[0].code == "YamlDuplicateKey"
    document = reading.load_sigs(text, "kustomization.yaml", LENIENT)
    assert document is not None
    assert document.value == {"resources": ["b.yaml"]}


def test_a_second_document_in_a_kustomization_is_refused_unless_told_otherwise():
    text = b"resources: []\n---\nnamespace: x\n"
    with pytest.raises(InputError) as caught:
        reading.load_sigs(text, "kustomization.yaml")
    assert caught.value.problems[0].code == "TrailingContent"
    document = reading.load_sigs(text, "kustomization.yaml", LENIENT)
    assert document is not None
    assert document.value == {"resources": []}


# -- the fast way and the exact way are one ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "a: 1\nb: [x, y]\nc: {d: null}\n",
        "a: '1'\nb: \"x\\ty\"\nc: |\n  text\n  more\n",
        "a:\n- b: 1\n  c: 2\n-\n  - 3\n",
        "a: 012\nb: 1_000\nc: 1e3\nd: 0o17\ne: .5\nf: 1.10\n",
        "a: >\n  folded\n  text\nb: >-\n  x\n",
        "? a\n: b\n",
        "a: b: c\n",
        "a: 'it''s' # comment\nb: x#y\nc: x #y\n",
        '"a": 1\n"b:c": 2\n',
        "a: !!str 1\nb: &x 2\nc: *x\n",
        "a: -0\nb: +1\nc: 2024-01-01\nd: 1:30\n",
        "a:\n  b\n  c\nd: e\n",
        "a: ~\nb:\nc: ''\n",
        "- 1\n- 2\n",
        "a: 9223372036854775808\nb: 123456789012345678901234567890\n",
    ],
)
def test_the_fast_way_reads_what_the_exact_way_reads(text: str, monkeypatch: pytest.MonkeyPatch):
    def outcome() -> object:
        try:
            return [(repr(document.value), document.line) for document in reading.load_all(text.encode(), "a.yaml")]
        except InputError as error:
            return str(error)

    either = outcome()
    monkeypatch.setattr(reading, "_suspicious", lambda _part: True)
    assert outcome() == either
