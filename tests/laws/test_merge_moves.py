"""Objects that move between files at random: every one of them arrives once, with both sides' edits."""

from __future__ import annotations

import random

import yaml

from penstock import merge
from penstock.model.tree import MemoryTree

FILES = ["a.yaml", "b.yaml", "sub/c.yaml", "sub/d.yaml"]
Values = dict[str, dict[str, int]]


def written(values: Values, layout: dict[str, str], r: random.Random, mark: str) -> dict[str, bytes]:
    texts: dict[str, list[str]] = {}
    for name in r.sample(sorted(values), len(values)):
        data = "".join(f"  {key}: {value}{r.choice(['', f'  # {mark}'])}\n" for key, value in values[name].items())
        document = f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n{data}"
        texts.setdefault(layout[name], []).append(document)
    return {f"env/{path}": "---\n".join(documents).encode() for path, documents in texts.items()}


def read(files: dict[str, bytes]) -> tuple[Values, dict[str, str]]:
    values: Values = {}
    layout: dict[str, str] = {}
    for path, content in files.items():
        for document in yaml.safe_load_all(content):
            name = document["metadata"]["name"]
            assert name not in values, f"{name} is there twice"
            values[name] = document["data"]
            layout[name] = path.removeprefix("env/")
    return values, layout


def test_objects_that_move_arrive_once_with_the_edits_of_both_sides() -> None:
    moved = merged_trees = 0
    for seed in range(250):
        r = random.Random(seed)
        names = [f"o{number}" for number in range(r.randrange(2, 6))]
        base: Values = {name: {key: r.randrange(5) for key in ("up", "here", "same")} for name in names}
        where = {name: r.choice(FILES) for name in names}
        source = {name: dict(data) for name, data in base.items()}
        target = {name: dict(data) for name, data in base.items()}
        onwards = dict(where)
        for name in names:
            if r.random() < 0.4:
                source[name]["up"] = 10 + r.randrange(5)
            if r.random() < 0.4:
                target[name]["here"] = 20 + r.randrange(5)
            if r.random() < 0.4:
                onwards[name] = r.choice(FILES)
        if r.random() < 0.3:
            source["new"], onwards["new"] = {"up": 1}, r.choice(FILES)
        for name in names:
            if r.random() < 0.15 and target[name] == base[name]:
                del source[name], onwards[name]
        there = dict(where)
        if r.random() < 0.3:
            target["own"], there["own"] = {"here": 1}, r.choice([*where.values(), "ours.yaml"])
        before = written(base, where, r, "b")
        after, here = written(source, onwards, r, "s"), written(target, there, r, "t")
        merged = merge.trees(MemoryTree(before), MemoryTree(after), MemoryTree(here), source_root="env", target_root="env")
        assert merged.conflicts == (), f"seed {seed}: {merged.conflicts}"
        result = dict(here)
        for path, content in merged.changes.items():
            if content is None:
                del result[path]
            else:
                result[path] = content
        values, layout = read(result)
        wanted = {name: data | ({"here": target[name]["here"]} if name in target else {}) for name, data in source.items()}
        own = values.pop("own", None)
        layout.pop("own", None)
        assert own == target.get("own"), f"seed {seed}"
        assert values == wanted, f"seed {seed}"
        assert layout == onwards, f"seed {seed}"
        moved += onwards != where
        merged_trees += bool(merged.changes)
    assert moved > 120
    assert merged_trees > 180
