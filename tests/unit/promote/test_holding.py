"""A base of which some fields stayed back has the value they were held at, and everything else as it is."""

from __future__ import annotations

import pytest

from penstock.model.pipeline import Environment
from penstock.model.tree import MemoryTree, OverlayTree
from penstock.model.values import EnvName
from penstock.promote import change

PATH = "clusters/dev/apps/web/config.yaml"
THEN = "# words\nkind: ConfigMap\nmetadata:\n  name: web\ndata:\n  timeout: 10s  # how long\n  url: a\n"
BASE = THEN.replace("10s", "20s").replace("url: a", "url: b")


def pair(tree: MemoryTree) -> change.Pair:
    dev, staging = (Environment(name=EnvName(name), paths=(f"clusters/{name}",), cluster=name) for name in ("dev", "staging"))
    return change.Pair(source=dev, target=staging, base=None, base_commit=None, tree=tree)


def test_only_the_held_field_is_as_it_was() -> None:
    then, base = MemoryTree({PATH: THEN.encode()}), MemoryTree({PATH: BASE.encode(), "clusters/dev/apps/api/a.yaml": b"a: b\n"})
    found = change.with_held(pair(base), "web", base, [(then, "data.timeout")])
    assert found.read(PATH).decode() == BASE.replace("20s", "10s")
    assert found.read("clusters/dev/apps/api/a.yaml") == b"a: b\n"
    assert found.names("clusters/dev/apps") == ("api", "web")


def test_two_fields_held_at_different_times() -> None:
    then, later = MemoryTree({PATH: THEN.encode()}), MemoryTree({PATH: THEN.replace("10s", "15s").encode()})
    base = MemoryTree({PATH: BASE.encode()})
    found = change.with_held(pair(base), "web", base, [(then, "data.timeout"), (later, "data.url")])
    assert found.read(PATH).decode() == THEN


def test_an_overlay_reads_writes_and_removals_and_the_rest_from_below() -> None:
    tree = OverlayTree(MemoryTree({"a/b": b"1", "a/c": b"2", "d": b"3"}), {"a/b": None, "a/e/f": b"4", "d": b"5"})
    assert (tree.names("a"), tree.names(""), tree.names("a/e")) == (("c", "e"), ("a", "d"), ("f",))
    assert (tree.read("a/c"), tree.read("a/e/f"), tree.read("d")) == (b"2", b"4", b"5")
    assert tree.entry("a/b") is None
    entry = tree.entry("a")
    assert entry is not None and (entry.kind, entry.id) == ("directory", "")
    with pytest.raises(FileNotFoundError):
        tree.read("a/b")
    gone = OverlayTree(MemoryTree({"a/b": b"1", "d": b"3"}), {"a/b": None})
    assert gone.names("") == ("d",) and gone.entry("a") is None
