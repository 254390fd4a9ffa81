"""The laws of the merge, on random histories and on every YAML file of the shared kustomize cases."""

from __future__ import annotations

import itertools
import json
import random
from functools import cache
from pathlib import Path

import merge_histories as histories
import pytest

from penstock import merge
from penstock.yamldoc import nodes, parsing
from penstock.yamldoc.nodes import Alias, Mapping, Node, Scalar, Sequence

CASES = Path(__file__).resolve().parents[2].parent / "shared" / "conformance" / "kustomize" / "cases.json"


@cache
def real_files() -> tuple[str, ...]:
    """Every different YAML file of the cases."""
    if not CASES.exists():
        pytest.skip(f"the kustomize cases are not on this machine: {CASES}")
    found: dict[str, None] = {}
    for line in json.loads(CASES.read_text()):
        for path, text in line.get("files", {}).items():
            if path.endswith((".yaml", ".yml")):
                found[text] = None
    return tuple(found)


def outcome(base: str | None, source: str, target: str) -> str:
    merged = merge.three_way(base.encode() if base is not None else None, source.encode(), target.encode(), path="values.yaml")
    assert merged.conflicts == ()
    assert merged.result is not None
    return merged.result.decode()


def texts(count: int) -> list[tuple[str, str]]:
    """Pairs of texts that have nothing to do with each other, and pairs that have."""
    real = real_files()
    pairs = list(itertools.pairwise(real))
    made = [histories.history(seed)[3:5] for seed in range(count)]
    return [*pairs, *made]


def test_what_the_source_did_not_change_leaves_the_target_alone() -> None:
    for base, target in texts(200):
        assert outcome(base, base, target) == target


def test_a_target_without_changes_becomes_the_source() -> None:
    for base, source in texts(200):
        assert outcome(base, source, base) == source


def test_the_same_change_on_both_sides_is_no_change() -> None:
    for base, both in texts(200):
        assert outcome(base, both, both) == both


def test_a_merge_made_again_changes_nothing() -> None:
    """What was promoted is in the target: with the new base, and even with the old one, there is nothing left to do."""
    again = 0
    for seed in range(300):
        _, _, _, base, source, target = histories.history(seed)
        merged = merge.three_way(base.encode(), source.encode(), target.encode(), path="values.yaml")
        if merged.conflicts or merged.result is None:
            continue
        assert outcome(source, source, merged.result.decode()) == merged.result.decode()
        once_more = merge.three_way(base.encode(), source.encode(), merged.result, path="values.yaml")
        if not once_more.conflicts:
            assert once_more.result == merged.result, f"seed {seed}"
            again += 1
    assert again > 50


def scalars(node: Node | None) -> list[Scalar]:
    """The plain and quoted values of a document that stand where they mean something, keys left out."""
    if isinstance(node, Scalar):
        return [node]
    if isinstance(node, Mapping):
        return [] if node.opaque else [found for entry in node.entries for found in scalars(entry.value)]
    if isinstance(node, Sequence):
        return [found for item in node.items for found in scalars(item)]
    return []


IDENTITY = {"kind", "name", "apiVersion", "namespace"}


def edits(text: str, number: int) -> tuple[str, str] | None:
    """The text with one value changed, and the same change in a text that has a field of its own at the end."""
    r = random.Random(number)
    try:
        document = parsing.parse(text)
    except nodes.UnreadableError:
        return None
    if not isinstance(document.root, Mapping) or document.root.flow or document.root.opaque or document.aliased:
        return None
    free = [node for node in scalars(document.root) if node.style in ("", "'", '"') and node.end > node.start]
    free = [node for node in free if not named(text, node) and node.value != "changed"]
    if not free or not text.endswith("\n"):
        return None
    node = r.choice(free)
    new = f"{node.style}changed{node.style}"
    return text[: node.content] + new + text[node.end :], "zz-own: 1 # only here\n"


def named(text: str, node: Scalar) -> bool:
    """Whether a value tells an object or a list item from another: changing it makes it something else."""
    line = text[text.rfind("\n", 0, node.start) + 1 : node.start]
    key = line.strip().lstrip("- {").partition(":")[0].strip("\"' ")
    return key in IDENTITY or "{" in line or key in ("mountPath", "containerPort", "port", "path", "protocol", "type", "key")


def test_one_changed_value_changes_its_own_bytes_only_in_real_files() -> None:
    done = 0
    for number, text in enumerate(real_files()):
        if len(parsing.split(text)) != 1 or (changed := edits(text, number)) is None:
            continue
        source, own = changed
        merged = merge.three_way(text.encode(), source.encode(), (text + own).encode(), path="values.yaml")
        if merged.conflicts or merged.result is None:
            raise AssertionError(f"{merged.conflicts}\n{text}---\n{source}")
        assert merged.result.decode() == source + own
        done += 1
    assert done > 300


def test_edits_of_different_fields_commute() -> None:
    """Taking the changes one after the other, in either order, gives what taking them together gives."""
    done = 0
    for seed in range(400):
        base, source, _, base_text, _, target_text = histories.history(seed)
        keys = [key for key in source if not histories.equal(source[key], base.get(key, histories.GONE))]
        r = random.Random(seed)
        half = set(r.sample(keys, len(keys) // 2))
        first = {
            key: source[key] if key in half else base[key]
            for key in {**base, **source}
            if key in (source if key in half else base)
        }
        second = {
            key: base[key] if key in half else source[key]
            for key in {**base, **source}
            if key in (base if key in half else source)
        }
        if not half or any(key not in source for key in base):
            continue
        written = [histories.Style(random.Random(seed + 1), "s").document(values) for values in (first, second, source)]
        one = merge.three_way(base_text.encode(), written[0].encode(), target_text.encode(), path="values.yaml")
        other = merge.three_way(base_text.encode(), written[1].encode(), target_text.encode(), path="values.yaml")
        if one.conflicts or other.conflicts or one.result is None or other.result is None:
            continue
        onwards = merge.three_way(base_text.encode(), written[1].encode(), one.result, path="values.yaml")
        back = merge.three_way(base_text.encode(), written[0].encode(), other.result, path="values.yaml")
        assert onwards.conflicts == back.conflicts == ()
        loaded = [histories.unordered(histories.yaml.safe_load(found.result or b"")) for found in (onwards, back)]
        assert loaded[0] == loaded[1], f"seed {seed}"
        done += 1
    assert done > 20


def test_aliases_to_aliases_cost_no_more_than_their_text() -> None:
    bomb = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}, *a{n - 1}, *a{n - 1}]\n" for n in range(1, 40))
    assert outcome(bomb + "v: 1\n", bomb + "v: 2\n", bomb + "v: 1\nw: 1\n") == bomb + "v: 2\nw: 1\n"
    changed = bomb.replace("[x, x]", "[x, y]")
    assert outcome(bomb, changed, bomb + "w: 1\n") == changed + "w: 1\n"


def test_merge_keys_of_merge_keys_cost_no_more_than_their_text() -> None:
    bomb = "a0: &a0 {x: 1}\n" + "".join(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}, *a{n - 1}], k{n}: 1}}\n" for n in range(1, 40))
    changed = bomb.replace("{x: 1}", "{x: 2}")
    assert outcome(bomb, changed, bomb + "w: 1\n") == changed + "w: 1\n"
    merged = merge.three_way(
        bomb.encode(), changed.encode(), (bomb + "w: 1\n").encode(), path="values.yaml", declared=["a39.k1", "*.k9"]
    )
    assert merged.result == (changed + "w: 1\n").encode()


@pytest.mark.parametrize("text", ["a: &a [*a]\n", "a: *b\n", "a: [" * 300 + "]" * 300 + "\n", "%YAML 1.1\n---\na: 1\n"])
def test_what_cannot_be_read_is_merged_by_line_and_says_so(text: str) -> None:
    merged = merge.three_way(
        (text + "# 1\n").encode(), (text + "# 2\n").encode(), (text + "# 1\n# own\n").encode(), path="values.yaml"
    )
    assert merged.result == (text + "# 2\n# own\n").encode()
    assert [note.kind for note in merged.notes] == ["as-lines"]


def test_alias_is_a_node_of_its_own() -> None:
    document = parsing.parse("a: &x 1\nb: *x\n")
    assert isinstance(document.root, Mapping)
    assert isinstance(document.root.keys["b"].value, Alias)
