"""What is foreseen of an edited text is what reading it says, and where that cannot be known nothing is foreseen."""

from __future__ import annotations

import pytest

from penstock.yamldoc import foreseeing, parsing
from penstock.yamldoc.nodes import Canon, UnreadableError
from penstock.yamldoc.splicing import apply

TEXT = """\
# a comment about web
kind: Deployment
spec:
  replicas: 1  # sized for dev
  image: registry.example/web:1.0.0
  flow: {app: web, list: [a, "b", 'c']}
  "quoted key": "10s"
  single: 'dev'
  items:
  - name: web
    value: on
  - plain words here
  - long words
    over two lines
  empty:
  next:
    below
  text: |
    web
"""
WORDS = (
    *("2", "web", "1.0.1", "registry.example/web:2.0.0", "on", "null", "a:b", "10:30", "0755", "x-", "x:", "- x", "a: b"),
    *("a #b", "#b", "[x]", "{a: b}", "*x", "&x y", "!x y", "---", "...", "a\nb", "", " ", "%x", "? x", "<<", "~", "a,b", "é"),
    *('"10m"', "'prod'", '"a: b # c"', '"a\\nb"', '"it\'s"', "''", '""', "'a''b'", '"a" b', "|", "> "),
)


def spans() -> list[tuple[int, int]]:
    """Every scalar of the text, every word of it, and ranges that no scalar has."""
    words = (
        "web",
        "1",
        "registry.example/web:1.0.0",
        "web,",
        "a",
        '"b"',
        "'c'",
        '"10s"',
        "'dev'",
        "on",
        "plain words here",
        "kind",
    )
    found = [(at, at + len(word)) for word in words for at in range(len(TEXT)) if TEXT.startswith(word, at)]
    return [
        *found,
        (TEXT.index("long"), TEXT.index("lines") + 5),
        (TEXT.index("empty:") + 6,) * 2,
        (TEXT.index("below"), len(TEXT)),
    ]


@pytest.mark.parametrize("word", WORDS)
def test_what_is_foreseen_is_what_reading_says(word: str) -> None:
    for start, end in spans():
        canon = Canon()
        foreseen = foreseeing.number(parsing.parse(TEXT), [(start, end, word)], canon)
        try:
            read = canon.of_root(parsing.parse(apply(TEXT, [(start, end, word)])))
        except UnreadableError:
            read = -1
        assert foreseen is None or foreseen == read, TEXT[start:end]


def test_a_word_for_a_word_is_foreseen_wherever_it_stands() -> None:
    edits = [
        (at := TEXT.index(old), at + len(old), new)
        for old, new in (("1  #", "25  #"), ("registry.example/web:1.0.0", "registry.example/web:2.0.0"), ('"10s"', '"20s"'))
    ]
    edits[0] = (edits[0][0], edits[0][0] + 1, "25")
    canon = Canon()
    assert foreseeing.number(parsing.parse(TEXT), edits, canon) == canon.of_root(parsing.parse(apply(TEXT, edits)))


@pytest.mark.parametrize("text", ["a: &x 1\nb: *x\n", "<<: {a: 1}\nb: 2\n", "? a\n: 1\n"])
def test_where_a_change_may_show_elsewhere_the_text_is_read(text: str) -> None:
    at = text.index("1")
    canon = Canon()
    foreseen = foreseeing.number(parsing.parse(text), [(at, at + 1, "3")], canon)
    assert foreseen in (None, canon.of_root(parsing.parse(text.replace("1", "3"))))
    assert foreseen is None or text.startswith("?")
