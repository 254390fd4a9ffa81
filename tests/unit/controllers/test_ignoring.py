"""Which files of a source take part."""

from __future__ import annotations

import pytest

from penstock.controllers import artifacts
from penstock.controllers.ignoring import IgnoringTree
from penstock.model.errors import RefusedError
from penstock.model.tree import MemoryTree

FILES = {
    ".gitignore": b"",
    ".github/workflows/ci.yaml": b"",
    "app/a.yaml": b"a",
    "app/logo.png": b"",
    "app/sub/b.yaml": b"b",
    "app/sub/.sourceignore": b"*.txt\n!keep.txt\n/only-here.yaml\n",
    "app/sub/x.txt": b"",
    "app/sub/keep.txt": b"",
    "app/sub/only-here.yaml": b"",
    "app/sub/deep/only-here.yaml": b"",
    "docs/readme.md": b"",
}


def seen(tree, folder=""):
    found = []
    for name in tree.names(folder):
        path = f"{folder}/{name}" if folder else name
        if tree.entry(path).kind == "directory":
            found += seen(tree, path)
        else:
            found.append(path)
    return found


def test_built_in_excludes_and_source_ignore_files():
    assert seen(IgnoringTree(MemoryTree(FILES), None)) == [
        "app/a.yaml",
        "app/sub/.sourceignore",
        "app/sub/b.yaml",
        "app/sub/deep/only-here.yaml",
        "app/sub/keep.txt",
        "docs/readme.md",
    ]


def test_the_specs_patterns_replace_the_built_in_ones_and_win():
    tree = IgnoringTree(MemoryTree(FILES), "/*\n!/app\napp/sub/deep/\n")
    assert seen(tree) == ["app/a.yaml", "app/logo.png", "app/sub/.sourceignore", "app/sub/b.yaml", "app/sub/keep.txt"]


def test_an_ignored_path_is_as_if_it_were_not_there():
    tree = IgnoringTree(MemoryTree(FILES), None)
    assert tree.entry(".github/workflows/ci.yaml") is None
    with pytest.raises(FileNotFoundError):
        tree.read("app/logo.png")
    with pytest.raises(FileNotFoundError):
        tree.names(".github")


def test_the_same_tree_gives_the_same_archive_and_comes_back_from_it():
    tree = IgnoringTree(MemoryTree(FILES), None)
    content = artifacts.archive(tree)
    assert content == artifacts.archive(tree)
    back = artifacts.unpack(content)
    assert {path: back.read(path) for path in seen(back)} == {path: FILES[path] for path in seen(tree)}


def test_a_link_is_archived_as_the_file_it_leads_to_and_never_as_one_outside():
    tree = MemoryTree({"a.yaml": b"a", "b.yaml": "a.yaml", "c.yaml": "../../etc/passwd", "d.yaml": "/etc/passwd"})
    back = artifacts.unpack(artifacts.archive(tree))
    assert back.names("") == ("a.yaml", "b.yaml")
    assert back.read("b.yaml") == b"a"


def test_something_that_is_no_archive_is_refused():
    with pytest.raises(RefusedError, match=r"not a tar\.gz"):
        artifacts.unpack(b"hello")


def test_a_folder_under_other_rules_is_another_folder():
    """Who remembers what a folder held goes by its id: rules that change must change it."""
    plain = IgnoringTree(MemoryTree(FILES), None)
    assert plain.entry("docs") == MemoryTree(FILES).entry("docs")
    ruled = {IgnoringTree(MemoryTree(FILES), text).entry("docs").id for text in ("a", "b")}
    above = MemoryTree({**FILES, ".sourceignore": b"docs/x\n"})
    ruled.add(IgnoringTree(above, None).entry("docs").id)
    assert len(ruled | {plain.entry("docs").id}) == 4
