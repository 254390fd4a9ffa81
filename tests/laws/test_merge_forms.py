"""The same laws in other forms: JSON, carriage returns, several documents, and values shared by anchors and aliases."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

import merge_histories as histories
import yaml

from penstock import merge

SEEDS = range(300)


def three_way(base: str, source: str, target: str, path: str = "values.yaml") -> merge.FileMerge:
    return merge.three_way(base.encode(), source.encode(), target.encode(), path=path)


def test_json_is_merged_as_yaml_is() -> None:
    merged_files = 0
    for seed in SEEDS:
        r = random.Random(seed)
        base, source, target, *_ = histories.history(seed)
        wanted: set[str] = set()
        expected = histories.modelled(base, source, target, "", wanted)
        texts = [
            json.dumps(histories.plain(values), indent=r.choice([None, 2, 4, "\t"]), ensure_ascii=r.choice([True, False]))
            for values in (base, source, target)
        ]
        merged = three_way(*texts, path="values.json")
        found = {str(conflict) for conflict in merged.conflicts if conflict.kind != "order"}
        by_line = {path for path in wanted - found if "\n" in str(histories.at(target, path))}
        assert found == wanted - by_line, f"seed {seed}"
        if merged.conflicts or by_line:
            continue
        assert merged.result is not None
        assert histories.unordered(json.loads(merged.result)) == histories.unordered(histories.plain(expected)), f"seed {seed}"
        merged_files += 1
    assert merged_files > 100


def test_carriage_returns_change_nothing_but_line_ends() -> None:
    for seed in SEEDS:
        *_, base, source, target = histories.history(seed)
        plain = three_way(base, source, target)
        returned = three_way(base, source, target.replace("\n", "\r\n"))
        if base == target:
            continue
        assert [str(conflict) for conflict in returned.conflicts] == [str(conflict) for conflict in plain.conflicts]
        assert returned.result is not None
        assert plain.result is not None
        assert returned.result == plain.result.replace(b"\n", b"\r\n"), f"seed {seed}"


def test_documents_of_one_file_are_merged_like_files_of_their_own() -> None:
    for start in range(0, 240, 4):
        r = random.Random(start)
        apart = []
        for seed in range(start, start + 4):
            head = f"kind: Thing\nmetadata:\n  name: t{seed}\n"
            _, _, _, base, source, target = histories.history(seed)
            sides = [head if text.endswith("{}\n") else head + text for text in (base, source, target)]
            apart.append((seed, sides))
        orders = [r.sample(range(4), 4) for _ in range(3)]
        together = ["---\n".join(apart[index][1][side] for index in orders[side]) for side in range(3)]
        merged = three_way(*together)
        single = [three_way(*sides) for _, sides in apart]
        assert sorted(map(str, merged.conflicts)) == sorted(str(conflict) for one in single for conflict in one.conflicts)
        if not merged.conflicts:
            assert merged.result is not None
            wanted = [(single[index].result or b"").decode() for index in orders[2]]
            unchanged = any(sides[0] == sides[2] for _, sides in apart)
            assert unchanged or merged.result.decode() == "---\n".join(wanted), f"seed {start}"


def shared(r: random.Random, values: dict[str, Any]) -> dict[str, Any]:
    """The same values, some of them in several places at once."""
    pool = [histories.plain(histories.mapping(r, 1)) for _ in range(2)]
    made = dict(histories.plain(values))
    for key in ("s1", "s2", "s3", "s4"):
        made[key] = r.choice(pool)
    return made


def sharing_edit(r: random.Random, values: dict[str, Any]) -> dict[str, Any]:
    """A copy in which shared values stay shared; some change for all places, some for one."""
    made = copy.deepcopy(values)
    for key in ("s1", "s2", "s3", "s4"):
        inner = made[key]
        if r.random() < 0.3:
            inner = made[key] = copy.deepcopy(inner)
        if r.random() < 0.3:
            inner[r.choice(["alpha", "beta", "new"])] = r.choice(["p", "q", 7])
        if inner and r.random() < 0.1:
            del inner[next(iter(inner))]
    if r.random() < 0.5:
        made["own"] = r.choice([1, 2, 3])
    return made


def keyed(held: Any) -> Any:
    if isinstance(held, dict):
        return {key: keyed(inner) for key, inner in held.items()}
    return held


def test_shared_values_are_changed_for_every_place_or_not_at_all() -> None:
    """Whatever is merged reads as the model says; what cannot be written in one place only is a conflict."""
    merged_files = aliased = asked = 0
    for seed in range(600):
        r = random.Random(seed)
        base = shared(r, {"a": 1})
        source, target = sharing_edit(r, base), sharing_edit(r, base)
        texts = [
            yaml.safe_dump(values, indent=r.choice([2, 4]), sort_keys=r.choice([True, False]))
            for values in (base, source, target)
        ]
        wanted: set[str] = set()
        expected = histories.modelled(keyed(base), keyed(source), keyed(target), "", wanted)
        merged = three_way(*texts)
        if wanted:
            assert merged.conflicts, f"seed {seed}\n" + "---\n".join(texts)
        if merged.conflicts:
            asked += any(conflict.kind == "aliased" for conflict in merged.conflicts)
            continue
        assert merged.result is not None
        loaded = yaml.safe_load(merged.result)
        assert loaded == keyed(expected), f"seed {seed}\n" + "---\n".join([*texts, merged.result.decode()])
        merged_files += 1
        aliased += "*id" in texts[2] and merged.result.decode() != texts[2]
    assert merged_files > 120
    assert aliased > 40
    assert asked > 8
