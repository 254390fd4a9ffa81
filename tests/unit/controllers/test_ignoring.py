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


def test_without_patterns_of_ones_own_the_built_in_excludes_count():
    files = {path: content for path, content in FILES.items() if not path.endswith(".sourceignore")}
    assert seen(IgnoringTree(MemoryTree({**files, "codeship-other.yml": b""}), None)) == [
        "app/a.yaml",
        "app/sub/b.yaml",
        "app/sub/deep/only-here.yaml",
        "app/sub/keep.txt",
        "app/sub/only-here.yaml",
        "app/sub/x.txt",
        "codeship-other.yml",
        "docs/readme.md",
    ]


def test_a_source_ignore_file_anywhere_replaces_the_built_in_excludes_but_for_gits_own():
    assert seen(IgnoringTree(MemoryTree(FILES), None)) == [
        ".github/workflows/ci.yaml",
        "app/a.yaml",
        "app/logo.png",
        "app/sub/.sourceignore",
        "app/sub/b.yaml",
        "app/sub/deep/only-here.yaml",
        "app/sub/keep.txt",
        "docs/readme.md",
    ]


def test_the_specs_patterns_replace_the_built_in_ones_and_win():
    tree = IgnoringTree(MemoryTree(FILES), "/*\n!/app\napp/sub/deep/\n")
    below = ["app/sub/.sourceignore", "app/sub/b.yaml", "app/sub/keep.txt", "app/sub/only-here.yaml", "app/sub/x.txt"]
    assert seen(tree) == ["app/a.yaml", "app/logo.png", *below], "!/app comes behind *.txt, and is about the files in it"


@pytest.mark.parametrize(
    ("ignore", "left"),
    [
        ("*\n!/a/b/keep.txt", ["a/b/keep.txt"]),
        ("/*\n!/a/b", ["a/b/keep.txt", "a/b/x.txt"]),
        ("/a/\n!/a/b/*.txt", ["a/b/keep.txt", "a/b/x.txt", "c.txt"]),
        ("*.txt\n!keep.txt\nb/", ["a/logo.png"]),
        ("/", ["a/b/keep.txt", "a/b/x.txt", "a/logo.png", "c.txt"]),
        ("//a", ["c.txt"]),
        ("**/b", ["a/logo.png", "c.txt"]),
        ("a/**/*.txt", ["a/logo.png", "c.txt"]),
        ("[z-a]", ["a/b/keep.txt", "a/b/x.txt", "a/logo.png", "c.txt"]),
        ("# only words", ["a/b/keep.txt", "a/b/x.txt", "c.txt"]),
    ],
)
def test_the_last_pattern_that_is_about_a_file_or_a_folder_above_it_decides(ignore, left):
    tree = MemoryTree({"a/b/keep.txt": b"", "a/b/x.txt": b"", "a/logo.png": b"", "c.txt": b""})
    assert seen(IgnoringTree(tree, ignore)) == left


def test_a_folder_in_which_nothing_is_left_is_not_there():
    tree = IgnoringTree(MemoryTree({"a/b/x.txt": b"", "a/c/y.txt": b""}), "/a/*\n!y.txt")
    assert tree.names("a") == ("c",)
    assert tree.entry("a/b") is None


def test_an_ignored_path_is_as_if_it_were_not_there():
    tree = IgnoringTree(MemoryTree({path: content for path, content in FILES.items() if "ignore" not in path}), None)
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
    files = {path: content for path, content in FILES.items() if not path.endswith(".sourceignore")}
    plain = IgnoringTree(MemoryTree(files), None)
    assert plain.entry("docs") == MemoryTree(files).entry("docs")
    ruled = {IgnoringTree(MemoryTree(files), text).entry("docs").id for text in ("a", "b")}
    above = MemoryTree({**files, ".sourceignore": b"docs/x\n"})
    ruled.add(IgnoringTree(above, None).entry("docs").id)
    assert len(ruled | {plain.entry("docs").id}) == 4
