"""Trees put together from trees answer as if they had been one all along."""

from __future__ import annotations

import pytest

from penstock.controllers import composing
from penstock.controllers.composing import GraftedTree, PartialTree
from penstock.model.errors import RefusedError
from penstock.model.tree import MemoryTree, Tree

OWN = {"a.yaml": b"a", "apps/web/b.yaml": b"b", "apps/api/c.yaml": b"c", "docs/d.md": b"d"}


def files(tree: Tree, folder: str = "") -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for name in tree.names(folder):
        path = f"{folder}/{name}" if folder else name
        entry = tree.entry(path)
        assert entry is not None
        if entry.kind == "directory":
            found |= files(tree, path)
        else:
            found[path] = tree.read(path)
    return found


@pytest.mark.parametrize("at", ["vendor", "apps/vendor", "x/y/z"])
def test_a_tree_hung_into_another_is_read_as_one(at: str) -> None:
    other = MemoryTree({"v.yaml": b"v", "deep/w.yaml": b"w"})
    tree = GraftedTree(MemoryTree(OWN), at, other, "mark")
    assert files(tree) == {**OWN, f"{at}/v.yaml": b"v", f"{at}/deep/w.yaml": b"w"}
    assert tree.entry(at).kind == "directory"  # type: ignore[union-attr]
    with pytest.raises(FileNotFoundError):
        tree.names(f"{at}/none")
    with pytest.raises(FileNotFoundError):
        tree.read("nowhere")


def test_what_is_hung_in_changes_the_folders_above_it_and_no_others() -> None:
    one, two = (GraftedTree(MemoryTree(OWN), "apps/vendor", MemoryTree({}), mark) for mark in ("1", "2"))
    assert one.entry("apps") != two.entry("apps")
    assert one.entry("docs") == two.entry("docs") == MemoryTree(OWN).entry("docs")


@pytest.mark.parametrize("at", ["", "apps", "apps/web", "a.yaml", "a.yaml/below", "apps/web/b.yaml/x"])
def test_nothing_is_hung_over_what_is_there(at: str) -> None:
    with pytest.raises(RefusedError) as refused:
        GraftedTree(MemoryTree(OWN), at, MemoryTree({}), "")
    assert refused.value.code == "CopyFailure"


def test_only_some_folders_are_there() -> None:
    tree = PartialTree(MemoryTree(OWN), ("apps/web", "docs"))
    assert files(tree) == {path: OWN[path] for path in ("apps/web/b.yaml", "docs/d.md")}
    for gone in ("a.yaml", "apps/api", "apps/api/c.yaml"):
        assert tree.entry(gone) is None
    with pytest.raises(FileNotFoundError):
        tree.read("a.yaml")
    with pytest.raises(FileNotFoundError):
        tree.names("apps/api")
    assert files(PartialTree(MemoryTree(OWN), ("",))) == OWN


def test_a_folder_of_a_tree_is_a_tree() -> None:
    assert files(composing.below(MemoryTree(OWN), "apps")) == {"web/b.yaml": b"b", "api/c.yaml": b"c"}
    assert files(composing.below(MemoryTree(OWN), "")) == OWN
    for none in ("nope", "a.yaml"):
        with pytest.raises(FileNotFoundError):
            composing.below(MemoryTree(OWN), none)


@pytest.mark.parametrize(
    ("path", "folder"),
    [("", ""), (".", ""), ("./", ""), ("/", ""), ("a", "a"), ("./a/b/", "a/b"), ("/a", "a"), ("a/../b", "b"), ("a//b", "a/b")],
)
def test_a_path_is_inside_the_tree(path: str, folder: str) -> None:
    assert composing.folder_in(path) == folder


@pytest.mark.parametrize("path", ["..", "../x", "a/../../x", "a/..\\..\\x", "a\0b", ".git/hooks", "a/.GIT", "/../x"])
def test_a_path_that_leaves_the_tree_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        composing.folder_in(path)
