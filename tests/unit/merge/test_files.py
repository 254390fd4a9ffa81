"""Merging one file: bytes around the text, whole files, places, masks."""

from __future__ import annotations

import pytest

from penstock import merge
from penstock.model.values import MISSING


def three_way(
    base: bytes | None, source: bytes | None, target: bytes | None, path: str = "a.yaml", **options: object
) -> merge.FileMerge:
    return merge.three_way(base, source, target, path=path, **options)  # type: ignore[arg-type]


def test_the_target_s_line_ends_are_kept() -> None:
    merged = three_way(b"a: 1\nb: 2\n", b"a: 1\nn:\n  k: |\n    x\n    y\nb: 2\n", b"a: 1\r\nb: 3\r\n")
    assert merged.result == b"a: 1\r\nn:\r\n  k: |\r\n    x\r\n    y\r\nb: 3\r\n"


def test_line_ends_of_the_source_are_no_change() -> None:
    assert three_way(b"a: 1\nb: 2\n", b"a: 1\r\nb: 5\r\n", b"a: 1\nb: 2\nc: 3\n").result == b"a: 1\nb: 5\nc: 3\n"


def test_mixed_line_ends_stay_as_they_are() -> None:
    assert three_way(b"a: 1\nb: 2\n", b"a: 9\nb: 2\n", b"a: 1\r\nb: 3\nc: 4\r\n").result == b"a: 9\r\nb: 3\nc: 4\r\n"


def test_text_files_keep_their_line_ends_too() -> None:
    assert three_way(b"a\nb\nc\n", b"a\nB\nc\n", b"a\r\nb\r\nc\r\nd\r\n", "x.txt").result == b"a\r\nB\r\nc\r\nd\r\n"


def test_the_target_s_byte_order_mark_is_kept_and_the_source_s_is_not_taken() -> None:
    mark = b"\xef\xbb\xbf"
    assert three_way(b"a: 1\nb: 2\n", b"a: 5\nb: 2\n", mark + b"a: 1\nb: 3\n").result == mark + b"a: 5\nb: 3\n"
    assert three_way(mark + b"a: 1\nb: 2\n", mark + b"a: 5\nb: 2\n", b"a: 1\nb: 3\n").result == b"a: 5\nb: 3\n"


@pytest.mark.parametrize(
    ("base", "source", "target", "result"),
    [
        (b"a: 1\nb: 2\n", b"a: 1\nb: 2\nc: 3\n", b"a: 7\nb: 2", b"a: 7\nb: 2\nc: 3"),
        (b"a: 1\nb: 2\n", b"a: 1\n", b"a: 7\nb: 2", b"a: 7"),
        (b"a: 1\nb: 2", b"a: 1\nb: 2\nc: 3", b"a: 7\nb: 2\n", b"a: 7\nb: 2\nc: 3\n"),
        (b"l:\n- a\n", b"l: []\n", b"l:\n- a", b"l: []"),
    ],
)
def test_a_missing_final_newline_stays_missing(base: bytes, source: bytes, target: bytes, result: bytes) -> None:
    assert three_way(base, source, target).result == result


def test_a_text_block_at_the_end_without_a_final_newline_is_not_lengthened() -> None:
    merged = three_way(b"z: 1\nf: |-\n  x\n", b"z: 2\nf: |-\n  x\ng: 1\n", b"z: 1\nf: |\n  x")
    assert merged.result == b"z: 2\nf: |-\n  x\ng: 1"


def test_a_binary_file_moves_as_a_whole_or_asks() -> None:
    assert three_way(b"\0a", b"\0b", b"\0a", "x.bin").result == b"\0b"
    merged = three_way(b"\0a", b"\0b", b"\0c", "x.bin")
    assert [(str(conflict), conflict.kind) for conflict in merged.conflicts] == [("x.bin", "binary")]
    assert merged.result == b"\0c"
    taken = three_way(b"\0a", b"\0b", b"\0c", "x.bin", choices=[merge.Choice(field="", side="source")])
    assert taken.result == b"\0b"


def test_text_that_is_not_utf_8_is_binary() -> None:
    assert [conflict.kind for conflict in three_way(b"\xff1", b"\xff2", b"\xff3", "x.txt").conflicts] == ["binary"]


def test_a_conflict_says_where_both_values_stand() -> None:
    merged = three_way(b"a: 1\nb:\n  c: x\n", b"a: 1\nb:\n  c: y\n", b"# ours\na: 1\nb:\n    c: z # why\n", "web/a.yaml")
    (conflict,) = merged.conflicts
    assert (conflict.field, conflict.base, conflict.source, conflict.target) == ("b.c", "x", "y", "z")
    assert (str(conflict.source_place), str(conflict.target_place)) == ("web/a.yaml:3:6", "web/a.yaml:4:8")


def test_a_conflict_about_a_missing_field_points_at_what_is_around_it() -> None:
    (conflict,) = three_way(b"b:\n  c: x\n  d: 1\n", b"b:\n  c: y\n  d: 1\n", b"k: 1\nb:\n  d: 1\n").conflicts
    assert (conflict.kind, conflict.target, str(conflict.target_place)) == ("removed-here", MISSING, "a.yaml:3:3")


def test_lines_in_a_second_document_count_from_the_start_of_the_file() -> None:
    document = "kind: A\nmetadata: {{name: {0}}}\nv: {1}\n"
    sides = [(document.format("x", 1) + "---\n" + document.format("y", value)).encode() for value in (1, 2, 3)]
    (conflict,) = three_way(*sides).conflicts
    assert (str(conflict), str(conflict.target_place)) == ("#A/y v", "a.yaml:7:4")


def test_every_conflict_is_returned() -> None:
    sides = ["".join(f"k{number}: {value}\n" for number in range(50)).encode() for value in "abc"]
    assert [conflict.field for conflict in three_way(*sides).conflicts] == [f"k{number}" for number in range(50)]


SECRET = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: s\nstringData:\n  pw: {0}\n  other: x\n"


def shown(merged: merge.FileMerge) -> str:
    return "".join(repr((*merged.conflicts, *merged.changes, *merged.kept, *merged.notes))) + "".join(map(str, merged.conflicts))


def test_no_value_of_a_secret_is_in_any_finding() -> None:
    sides = [SECRET.format(word).encode() for word in ("swordfish", "hunter2", "xyzzy1")]
    for merged in (
        three_way(*sides),
        three_way(sides[0], sides[1], sides[0] + b"  own: plugh\n"),
        three_way(sides[0], sides[0], sides[2]),
        three_way(None, sides[1], sides[2]),
        three_way(None, sides[1], None),
        three_way(sides[0], None, sides[2]),
        three_way(sides[0], None, sides[0]),
        three_way(b"a: 1\n---\n" + sides[0], b"a: 1\n", b"a: 1\n---\n" + sides[2]),
        three_way(
            b"kind: List\nitems:\n" + listed(sides[0]),
            b"kind: List\nitems:\n" + listed(sides[1]),
            b"kind: List\nitems:\n" + listed(sides[2]),
        ),
    ):
        assert merged.conflicts or merged.changes or merged.kept
        for word in ("swordfish", "hunter2", "xyzzy1", "plugh"):
            assert word not in shown(merged)


def listed(text: bytes) -> bytes:
    first, *rest = text.splitlines(keepends=True)
    return b"- " + first + b"".join(b"  " + line for line in rest)


@pytest.mark.parametrize(
    ("end", "kind"), [("{{- end }}", "lines"), ("{{ end }}: x", "changed-both"), ("kind: Secret", "changed-both")]
)
def test_a_secret_that_is_only_merged_as_a_whole_is_hidden(end: str, kind: str) -> None:
    sides = [f"kind: Secret\nstringData:\n  pw: {word}\n{end}\n".encode() for word in ("swordfish", "hunter2", "xyzzy1")]
    merged = three_way(*sides)
    assert [conflict.kind for conflict in merged.conflicts] == [kind]
    assert not any(word in shown(merged) for word in ("swordfish", "hunter2", "xyzzy1"))


def test_literals_of_a_secret_generator_are_hidden() -> None:
    sides = [f"secretGenerator:\n- name: s\n  literals:\n  - PW={word}\n".encode() for word in ("swordfish", "hunter2", "xyzzy1")]
    merged = three_way(*sides, path="kustomization.yaml")
    assert [str(conflict) for conflict in merged.conflicts] == ["secretGenerator[name=s].literals[name=PW]"]
    assert not any(word in shown(merged) for word in ("swordfish", "hunter2", "xyzzy1"))


def test_a_new_file_with_a_declared_difference_says_so() -> None:
    text = b"kind: Deployment\nmetadata: {name: web}\nspec: {replicas: 1}\n"
    merged = three_way(None, text, None, declared=["spec.replicas"])
    assert merged.result == text
    assert [(note.kind, note.field) for note in merged.notes] == [("new-file", ""), ("declared-in-new", "spec.replicas")]


def test_a_declared_file_never_travels() -> None:
    for pattern in ("secret.enc.yaml", "apps/**", "apps/web/*.enc.yaml", "apps/web/"):
        path = "apps/web/secret.enc.yaml"
        if pattern == "secret.enc.yaml":
            path = pattern
        merged = three_way(b"a: 1\n", b"a: 2\n", b"a: 1\nb: 1\n", path, declared=[pattern])
        assert merged.result == b"a: 1\nb: 1\n", pattern


def test_a_field_that_cannot_be_read_is_an_error() -> None:
    with pytest.raises(ValueError, match="not a field path"):
        three_way(b"a: 1\n", b"a: 2\n", b"a: 1\n", declared=["spec]["])


def test_a_kept_difference_says_whether_it_was_declared() -> None:
    merged = three_way(b"a: 1\nb: 1\nc: 1\n", b"a: 2\nb: 1\nc: 2\n", b"a: 1\nb: 3\nc: 1\n", declared=["a"])
    assert [(str(kept), kept.source, kept.target, kept.declared) for kept in merged.kept] == [
        ("a", "2", "1", True),
        ("b", "1", "3", False),
    ]


def test_taking_one_side_of_every_conflict_leaves_none() -> None:
    sides = [
        b"a: 1\nl: [1]\nf: |\n  x\n  y\nm:\n  k: 1\n",
        b"a: 2\nl: [2]\nf: |\n  x\n  z\n",
        b"a: 3\nl: [3]\nf: |\n  x\n  w\nm:\n  k: 2\n",
    ]
    asked = three_way(*sides).conflicts
    assert [str(conflict) for conflict in asked] == ["a", "l", "f", "m"]
    for side, result in (("source", sides[1]), ("target", sides[2])):
        choices = [
            merge.Choice(field=conflict.field, document=conflict.document, path=conflict.path, side=side) for conflict in asked
        ]  # type: ignore[arg-type]
        merged = three_way(*sides, choices=choices)
        assert (merged.conflicts, merged.result) == ((), result)
