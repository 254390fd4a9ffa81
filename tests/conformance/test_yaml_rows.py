"""Bad YAML, row by row: what is refused and where, what is read as kustomize reads it, and within which bounds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import bounded
import pytest
import rows
from generated.judging import Bench

from penstock import render
from penstock.render import names
from penstock.yamldoc import nodes, reading

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def kustomize(kustomize_binary: Path) -> Iterator[Bench]:
    """The real kustomize."""
    with Bench(kustomize_binary) as bench:
        yield bench


def same(kustomize: Bench, case: rows.Case, leniency: reading.Leniency = reading.STRICT) -> None:
    """Both engines print the same bytes."""
    theirs = kustomize.theirs(case)
    assert not theirs.error, theirs.error
    assert rows.built(case, leniency) == theirs.printed


def both_refuse(kustomize: Bench, case: rows.Case) -> str:
    """Both engines refuse; our message."""
    assert kustomize.theirs(case).error
    found = rows.problems(case)
    assert found
    assert all(problem.where is not None and problem.where.line for problem in found)
    return "\n".join(str(problem) for problem in found)


def write(folder: Path, manifest: str | bytes) -> None:
    (folder / "kustomization.yaml").write_text(rows.KUSTOMIZATION)
    (folder / "a.yaml").write_bytes(manifest.encode() if isinstance(manifest, str) else manifest)


def bomb(levels: int) -> str:
    lines = ["data:", "  l0: &l0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"  l{level}: &l{level} [{', '.join([f'*l{level - 1}'] * 9)}]" for level in range(1, levels)]
    return rows.config_map(more="\n".join(lines) + "\n")


@pytest.mark.parametrize("levels", [7, 9, 60])
def test_y01_an_alias_bomb_is_refused_by_its_budget_within_bounds(tmp_path: Path, levels: int) -> None:
    write(tmp_path, bomb(levels))
    outcome = bounded.build(tmp_path)
    assert outcome.code == "YamlAliasBudget"
    assert re.search(r"a\.yaml:\d+:\d+: .*alias 'l\d+'", outcome.text)
    assert outcome.cpu_seconds < 2
    assert outcome.peak_bytes < 256 * MIB


@pytest.mark.parametrize("data", ["&d {a: *d}", "&d [*d]", "&d\n  a:\n    b: [*d]"])
def test_y02_an_alias_inside_what_it_names_is_refused(data: str) -> None:
    problem = rows.refusal(rows.case(rows.config_map(more=f"data: {data}\n")))
    assert problem.code == "YamlAliasCycle"
    assert problem.where is not None and problem.where.line >= 5


def test_y03_a_map_that_merges_itself_is_read_as_kustomize_reads_it(kustomize: Bench) -> None:
    same(kustomize, rows.case(rows.config_map(more="data: &d\n  a: b\n  <<: *d\n")))


def test_y04_an_alias_does_not_reach_into_another_document(kustomize: Bench) -> None:
    text = rows.config_map("x", "data: &d {a: b}\n") + "---\n" + rows.config_map("y", "data: *d\n")
    assert "a.yaml:11:7: unknown anchor 'd'" in both_refuse(kustomize, rows.case(text))


def test_y05_a_key_given_twice_in_a_manifest_names_both_lines(kustomize: Bench) -> None:
    message = both_refuse(kustomize, rows.case(rows.config_map(more="data:\n  a: b\n  a: c\n")))
    assert 'a.yaml:7:3: mapping key "a" already defined at line 6' in message


def test_y06_a_key_given_twice_in_a_kustomization_is_refused_and_can_be_let_through(kustomize: Bench) -> None:
    case = rows.case(
        rows.config_map("a"),
        "resources: [a.yaml]\nresources: [b.yaml]\n",
        {"b.yaml": rows.config_map("b").encode()},
    )
    problem = rows.refusal(case)
    assert problem.code == "YamlDuplicateKey"
    assert str(problem.where) == "kustomization.yaml:2:1"
    assert "line 1" in problem.what
    same(kustomize, case, reading.LENIENT)
    same(kustomize, case, reading.Leniency(duplicate_keys=True))


def test_y07_a_tab_as_indentation_is_refused_with_its_line(kustomize: Bench) -> None:
    message = both_refuse(kustomize, rows.case(rows.config_map(more="data:\n\ta: b\n")))
    assert "a.yaml:6:1:" in message
    assert "tabs" in message


SCALARS = {
    "0777": "511",
    "0o17": "15",
    "1_000": "1000",
    "0b11": "3",
    "+012": "10",
    "09": "9",
    "12:30:45": "12:30:45",
    "yes": '"yes"',
    "on": '"on"',
    "n": '"n"',
    "1e3": "1000",
    "6284e3": "6284000",
    "1.10": "1.1",
    "2024-01-01": '"2024-01-01T00:00:00Z"',
    "18446744073709551615": "18446744073709551615",
    "18446744073709551616": "1.8446744073709552e+19",
    "1e400": "1e400",
    "0.1000000000000000000000000001": "0.1",
    "~": "null",
    "Null": "null",
    "TRUE": "true",
    ".5": "0.5",
    "-0": "0",
    "0x1F": "31",
}


def test_y08_y09_y10_y11_scalars_mean_what_they_mean_to_kustomize(kustomize: Bench) -> None:
    texts = [rows.config_map(f"x{index}", f"v: {text}\n") for index, text in enumerate(SCALARS)]
    case = rows.case("---\n".join(texts), rows.KUSTOMIZATION + "sortOptions: {order: fifo}\n")
    printed = rows.built(case).decode()
    values = re.findall(r"^v: (.*)$", printed, re.MULTILINE)
    assert dict(zip(SCALARS, values, strict=True)) == {
        text: f'"{meant}"' if meant == "12:30:45" else meant for text, meant in SCALARS.items()
    }
    same(kustomize, case)


@pytest.mark.parametrize(
    "text", ["yes", "on", "n", "Off", "1e3", "6284e3", "1.10", "0777", "1_000", "12:30:45", "2024-01-01", "~", "null"]
)
def test_y09_a_text_that_any_reader_takes_for_something_else_counts_as_one_to_be_quoted(text: str) -> None:
    assert nodes.retyped(text)


def test_y10_a_date_without_quotes_is_warned_about() -> None:
    rendered = render.build(rows.case(rows.config_map(more="data:\n  d: 2024-01-01\n  e: '2024-01-01'\n")).tree(), "")
    assert [(warning.code, str(warning.where)) for warning in rendered.warnings] == [("YamlTimestamp", "a.yaml:6:6")]


@pytest.mark.parametrize("number", ["18446744073709551617", "0.12345678901234567890123"])
def test_y11_a_number_that_loses_digits_is_warned_about(number: str) -> None:
    rendered = render.build(rows.case(rows.config_map(more=f"v: {number}\nw: 1.10\n")).tree(), "")
    assert [(warning.code, str(warning.where)) for warning in rendered.warnings] == [("YamlPrecision", "a.yaml:5:4")]
    assert number not in str(rendered.warnings)


@pytest.mark.parametrize("text", [".nan", ".inf", "-.Inf"])
def test_y12_infinities_are_refused_without_a_value_in_the_message(kustomize: Bench, text: str) -> None:
    message = both_refuse(kustomize, rows.case(rows.config_map(more=f"data:\n  a: {text}\n  password: hunter2-canary\n")))
    assert "a.yaml:6:6" in message
    assert "canary" not in message


def test_y13_keys_that_are_not_texts_are_refused_by_place_and_type_only(kustomize: Bench) -> None:
    secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\nstringData:\n  pw: swordfish\n"
    secret += "  1: hunter2\n  true: open\n  ~: sesame\n"
    case = rows.case(secret)
    assert "swordfish" in kustomize.theirs(rows.case(secret.replace("  ~: sesame\n", ""))).error
    message = both_refuse(kustomize, case)
    for kind, line in (("a number", 6), ("a boolean", 7), ("null", 8)):
        assert f"a.yaml:{line}:3: a mapping key is {kind}, not a string" in message
    assert not re.search("swordfish|hunter2|open|sesame", message)


def test_y14_a_byte_that_is_no_utf8_is_refused_with_its_place(kustomize: Bench) -> None:
    case = rows.case(rows.config_map(more="data: {a: caf").encode() + b"\xe9}\n")
    assert re.search(r"a\.yaml:5:1[45]: ", both_refuse(kustomize, case))


@pytest.mark.parametrize("encode", ["utf-8-sig", "utf-16", "utf-16-le-bom", "utf-16-be-bom"])
def test_y15_byte_order_marks_and_utf16_are_accepted(kustomize: Bench, encode: str) -> None:
    text = rows.config_map(more="data: {a: é日}\n")
    if encode.endswith("-bom"):
        data = ("\ufeff" + text).encode(encode.removesuffix("-bom"))
    else:
        data = text.encode(encode)
    same(kustomize, rows.case(data))


def test_y16_raw_control_characters_are_refused_and_escaped_ones_are_not(kustomize: Bench) -> None:
    for raw in ("\0", "\x07", "\x1b"):
        assert "a.yaml:6:" in both_refuse(kustomize, rows.case(rows.config_map(more=f'data:\n  a: "x{raw}y"\n')))
    same(kustomize, rows.case(rows.config_map(more='data: {a: "x\\0y", b: "\\e[0m"}\n')))


def test_y16_characters_that_kustomize_cannot_print_are_refused_with_their_number(kustomize: Bench) -> None:
    case = rows.case(rows.config_map(more='data: {a: "x\\x7fy-canary"}\n'))
    assert kustomize.theirs(case).error
    (problem,) = rows.problems(case)
    assert "U+007F" in problem.what
    assert "canary" not in str(problem)


@pytest.mark.parametrize(
    "change",
    [lambda t: t.replace("\n", "\r\n"), lambda t: t.replace("\n", "\r\n", 5), lambda t: t.replace("\n    y", "\r\n    y")],
)
def test_y17_line_endings_make_no_difference(kustomize: Bench, change: object) -> None:
    text = rows.config_map(more="data:\n  a: |\n    x\n    y\n  b: 'z\n    w'\n")
    assert callable(change)
    case = rows.case(change(text))
    same(kustomize, case)
    assert rows.built(case) == rows.built(rows.case(text))


@pytest.mark.parametrize(
    "data",
    ["[" * 10_000 + "]" * 10_000, "[" * 200_000 + "]" * 200_000, "{a: " * 10_000 + "b" + "}" * 10_000, "[" * 1_000_000],
    ids=["10k", "200k", "10k maps", "1M open"],
)
def test_y18_deep_nesting_is_refused_without_recursion(tmp_path: Path, data: str) -> None:
    write(tmp_path, rows.config_map(more=f"data: {data}\n"))
    outcome = bounded.build(tmp_path)
    assert outcome.code == "YamlDepth"
    assert "a.yaml:5:" in outcome.text
    assert outcome.cpu_seconds < 2
    assert outcome.peak_bytes < 256 * MIB


def test_y18_deep_blocks_are_refused_too_and_nearly_as_deep_ones_are_printed(tmp_path: Path, kustomize: Bench) -> None:
    def deep(levels: int) -> str:
        return rows.config_map(more="data:\n" + "".join(f"{' ' * level}a:\n" for level in range(1, levels)))

    write(tmp_path, deep(2000))
    outcome = bounded.build(tmp_path)
    assert outcome.code == "YamlDepth"
    assert outcome.cpu_seconds < 2
    same(kustomize, rows.case(deep(300)))
    same(kustomize, rows.case(rows.config_map(more=f"data: {'[' * 990}{']' * 990}\n")))


def test_y19_a_scalar_of_5_mb_is_read(tmp_path: Path) -> None:
    write(tmp_path, rows.config_map(more=f'data: {{a: "{"x" * 5_000_000}"}}\n'))
    outcome = bounded.build(tmp_path)
    assert (outcome.code, outcome.objects) == ("", 1)
    assert outcome.peak_bytes < 256 * MIB


@pytest.mark.parametrize("size", [11 * MIB, 100 * MIB, 10 * 1024 * MIB])
def test_y19_a_file_over_the_budget_is_refused_by_its_size_alone(tmp_path: Path, size: int) -> None:
    write(tmp_path, "")
    with (tmp_path / "a.yaml").open("r+b") as file:
        file.truncate(size)  # sparse: nothing could read 10 GB of it in time
    outcome = bounded.build(tmp_path)
    assert outcome.code == "YamlFileSize"
    assert "kustomization.yaml:2:3" in outcome.text
    assert outcome.cpu_seconds < 1
    assert outcome.peak_bytes < 256 * MIB


@pytest.mark.parametrize("text", ["", "\n\n", "# only\n# comments\n", "---\n", "---\n# c\n---\n", "null\n"])
def test_y20_a_file_without_objects_is_accepted_and_gives_none(kustomize: Bench, text: str) -> None:
    case = rows.case(text)
    same(kustomize, case)
    assert rows.built(case) == b""


@pytest.mark.parametrize(
    "text",
    [
        "apiVersion: v1\nkind: Config",
        rows.config_map(more='data:\n  a: "open\n'),
        rows.config_map(more="data: {a: b,\n"),
        rows.config_map()[:20],
    ],
)
def test_y21_a_truncated_document_is_refused(kustomize: Bench, text: str) -> None:
    both_refuse(kustomize, rows.case(text))


@pytest.mark.parametrize("tail", ["...\ngarbage: [\n", "...\n" + rows.config_map("lost"), "... \nx\n"])
def test_y22_content_after_the_end_of_a_document_is_refused_and_can_be_let_through(kustomize: Bench, tail: str) -> None:
    case = rows.case(rows.config_map() + tail)
    problem = rows.refusal(case)
    assert problem.code == "TrailingContent"
    assert problem.where is not None and problem.where.line == 6
    same(kustomize, case, reading.LENIENT)
    same(kustomize, case, reading.Leniency(trailing_content=True))


def test_y23_no_tag_ever_constructs_anything(kustomize: Bench, tmp_path: Path) -> None:
    flag = tmp_path / "pwned"
    case = rows.case(rows.config_map(more=f"data: !!python/object/apply:os.system ['touch {flag}']\n"))
    problem = rows.refusal(case)
    assert problem.code == "YamlUnknownTag"
    assert str(problem.where) == "a.yaml:5:7"
    same(kustomize, case, reading.LENIENT)
    assert not flag.exists()


@pytest.mark.parametrize("tag", ["!foo", "!!python/name:os.system", "!<tag:example.com,2000:x>", "!!set", "!!omap"])
def test_y23_unknown_tags_are_refused_and_can_be_let_through(kustomize: Bench, tag: str) -> None:
    case = rows.case(rows.config_map(more=f"data: {{a: {tag} b}}\n"))
    assert rows.refusal(case).code == "YamlUnknownTag"
    same(kustomize, case, reading.Leniency(unknown_tags=True))


def test_y24_binary_keeps_its_base64_text_and_can_be_decoded_as_kustomize_does(kustomize: Bench) -> None:
    case = rows.case(rows.config_map(more="binaryData: {a: !!binary aGk=}\n"))
    assert b"a: aGk=" in rows.built(case)
    same(kustomize, case, reading.Leniency(decode_binary=True))


def test_y25_lists_null_documents_and_leading_separators_are_flattened_or_skipped(kustomize: Bench) -> None:
    inner = "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Secret, metadata: {name: s}}\n"
    case = rows.case(f"---\n---\nnull\n---\n{rows.config_map()}---\n{inner}---\n")
    same(kustomize, case)
    assert rows.built(case).count(b"kind: ") == 2


@pytest.mark.parametrize("metadata", ["{}", "{generateName: x-}", "{name: ''}", "{name: null}"])
def test_y26_an_object_without_a_name_is_refused(kustomize: Bench, metadata: str) -> None:
    message = both_refuse(kustomize, rows.case(f"apiVersion: v1\nkind: ConfigMap\nmetadata: {metadata}\n"))
    assert "a.yaml:3" in message
    assert "metadata.name" in message


def test_y26_a_number_as_a_name_is_printed_as_kustomize_prints_it_and_found_before_a_server_sees_it(kustomize: Bench) -> None:
    case = rows.case("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: 123}\n")
    same(kustomize, case)
    (problem,) = names.problems(render.build(case.tree(), "").objects)
    assert "is not text" in problem.what
    assert str(problem.where) == "a.yaml:1"


BAD_NAMES = ["../../x", "a\\nb", "<img onerror=x>", "\u202ea", "\u0430bc", "a" * 254, "-a", "a_b", "A", "a..b", " a"]


@pytest.mark.parametrize("name", BAD_NAMES, ids=ascii)
def test_y27_a_name_no_server_takes_is_found_at_the_object(kustomize: Bench, name: str) -> None:
    case = rows.case(f'apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: "{name}"}}\n')
    same(kustomize, case)
    (problem,) = names.problems(render.build(case.tree(), "").objects)
    assert problem.code == "BadName"
    assert str(problem.where) == "a.yaml:1"


def test_y27_rules_are_by_kind() -> None:
    def found(kind: str, version: str, name: str) -> int:
        text = f"apiVersion: {version}\nkind: {kind}\nmetadata: {{name: '{name}'}}\n"
        return len(names.problems(render.build(rows.case(text).tree(), "").objects))

    rbac = "rbac.authorization.k8s.io/v1"
    assert found("ClusterRole", rbac, "system:node") == 0
    assert found("ClusterRole", rbac, "a/b") == 1
    assert found("Namespace", "v1", "a.b") == 1
    assert found("Service", "v1", "1a") == 1
    assert found("ConfigMap", "v1", "1a.b") == 0


@pytest.mark.parametrize("style", ["|+", ">+", "|", ">", "|-"])
@pytest.mark.parametrize("breaks", ["", "\n", "\n\n"])
def test_a_block_at_the_end_of_a_document_keeps_its_own_line_breaks_only(kustomize: Bench, style: str, breaks: str) -> None:
    text = rows.config_map("x", f"data:\n  a: {style}\n    keep\n{breaks}")
    case = rows.case(f"{text}---\n{rows.config_map('y')}--- # another\n{text.replace('name: x', 'name: z')}")
    same(kustomize, case)


def test_places_stay_right_behind_separators() -> None:
    text = f"# c\n---\n{rows.config_map('x')}--- # c\n\n{rows.config_map('y')}---\n{rows.config_map('z', 'data: {a: b, a: c}')}"
    line = text[: text.index("data: {")].count("\n") + 1
    assert str(rows.refusal(rows.case(text)).where) == f"a.yaml:{line}:14"


FOLDED = "{0}{1} >{2}\n{0}  one\n{0}  two\n\n{0}  three\n{0}    indented\n{0}  four\n\n"


@pytest.mark.parametrize("chomp", ["", "-", "+"])
def test_folded_blocks_come_out_as_kustomize_leaves_them(kustomize: Bench, chomp: str) -> None:
    annotations = "  annotations:\n" + FOLDED.format("    ", "a:", chomp)
    fields = "spec:\n" + FOLDED.format("  ", "b:", chomp) + "  list:\n" + FOLDED.format("  ", "-", chomp)
    same(kustomize, rows.case(rows.config_map(more=annotations + fields)))


def test_long_texts_are_broken_where_kustomize_breaks_them(kustomize: Bench) -> None:
    texts = ["word " * 40 + "end", "it's #" + "word " * 40 + "end ", "wo\\trd " * 30, "a  b" * 50, "é " * 90, "x" * 200 + " y"]
    lines = [f'  k{index}: "{text}"\n  l{index}: [["{text}"]]\n' for index, text in enumerate(texts)]
    same(kustomize, rows.case(rows.config_map(more="data:\n" + "".join(lines))))
