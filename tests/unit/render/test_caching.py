"""A warm process: the same bytes cost nothing, and nothing stale is ever given."""

import time

from penstock import render
from penstock.model.tree import MemoryTree
from penstock.model.values import TreeId
from penstock.render import Options

FILES: dict[str, bytes | str] = {
    "app/kustomization.yaml": b"resources: [a.yaml, ../base]\nnamePrefix: p-\n",
    "app/a.yaml": b"apiVersion: v1\nkind: Service\nmetadata: {name: a}\n",
    "base/kustomization.yaml": b"resources: [b.yaml]\nconfigMapGenerator: [{name: g, files: [text]}]\n",
    "base/b.yaml": b"apiVersion: v1\nkind: Service\nmetadata: {name: b}\n",
    "base/text": b"one",
    "elsewhere/c.yaml": b"apiVersion: v1\n",
}


def thing(number: int) -> bytes:
    return f"apiVersion: v1\nkind: Service\nmetadata: {{name: b{number}}}\n".encode()


def tree(changes: dict[str, bytes | str] | None = None, name: str | None = None) -> MemoryTree:
    made = MemoryTree({**FILES, **(changes or {})})
    made.id = TreeId(name) if name is not None else None
    return made


def test_an_unchanged_tree_is_not_built_again():
    cache = render.Cache()
    first = render.build(tree(), "app", cache=cache)
    assert render.build(tree(), "app", cache=cache) is first
    assert (cache.hits, cache.misses) == (1, 1)


def test_a_commit_that_touches_no_input_costs_no_build():
    cache = render.Cache()
    first = render.build(tree(name="1"), "app", cache=cache)
    assert render.build(tree({"elsewhere/c.yaml": b"changed"}, "2"), "app", cache=cache) is first


def test_each_input_that_changes_is_noticed():
    for path, content in {
        "app/kustomization.yaml": b"resources: [a.yaml, ../base]\nnamePrefix: q-\n",
        "app/a.yaml": b"apiVersion: v1\nkind: Service\nmetadata: {name: a2}\n",
        "base/b.yaml": b"apiVersion: v1\nkind: Service\nmetadata: {name: b2}\n",
        "base/text": b"two",
        "base/kustomization.yml": b"resources: []\n",
    }.items():
        cache = render.Cache()
        first = render.build(tree(), "app", cache=cache)
        changed = tree({path: content})
        try:
            second = render.build(changed, "app", cache=cache)
        except Exception as error:  # two kustomizations in one folder: noticed too
            assert "multiple kustomization" in str(error)
        else:
            assert second.digest != first.digest, path
            assert second.digest == render.build(changed, "app").digest


def test_options_and_paths_are_kept_apart():
    cache = render.Cache()
    both = [render.build(tree(), "app", cache=cache), render.build(tree(), "app", Options(reorder="none"), cache=cache)]
    other = render.build(tree(), "base", cache=cache)
    assert both[0].digest != both[1].digest
    assert len(other.objects) == 2


def test_a_build_leaves_cached_files_as_they_were():
    cache = render.Cache()
    render.build(tree(), "app", cache=cache)
    again = render.build(tree({"app/kustomization.yaml": b"resources: [a.yaml, ../base]\n"}), "app", cache=cache)
    assert sorted(item.id.name for item in again.objects if item.id.kind == "Service") == ["a", "b"]


def test_the_memory_of_a_cache_is_bounded():
    cache = render.Cache(max_files=3, max_builds=2)
    for number in range(10):
        render.build(tree({"base/b.yaml": thing(number)}, str(number)), "app", Options(max_objects=100 + number), cache=cache)
    assert len(cache._builds) == 2
    assert len(cache._files) == 3


def test_an_unchanged_git_tree_costs_less_than_two_milliseconds():
    cache = render.Cache()
    same = tree(name="1")
    render.build(same, "app", cache=cache)
    start = time.perf_counter()
    for _ in range(100):
        render.build(same, "app", cache=cache)
    assert (time.perf_counter() - start) / 100 < 0.002
