"""A folder as a tree: Git's semantics, and never a byte from outside."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from penstock.adapters.files import DirectoryTree


def test_a_link_out_of_the_folder_is_only_a_link(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("outside")
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "link").symlink_to("../secret")
    (inside / "up").symlink_to("..")
    (inside / "absolute").symlink_to("/etc/passwd")
    tree = DirectoryTree(inside)
    assert tree.names("") == ("absolute", "link", "up")
    entry = tree.entry("link")
    assert entry is not None
    assert entry.kind == "symlink"
    assert tree.read("link") == b"../secret"
    assert tree.read("absolute") == b"/etc/passwd"
    assert tree.entry("up/secret") is None
    for path in ("up/secret", "up/inside/link"):
        with pytest.raises(FileNotFoundError):
            tree.read(path)
    with pytest.raises(NotADirectoryError):
        tree.names("up")


def test_a_link_planted_after_the_look_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("outside")
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "f").write_text("outside")
    inside = tmp_path / "inside"
    (inside / "dir").mkdir(parents=True)
    (inside / "dir" / "f").write_text("inside")
    (inside / "g").write_text("inside")
    tree = DirectoryTree(inside)
    assert tree.names("dir") == ("f",)
    assert tree.names("") == ("dir", "g")

    (inside / "g").unlink()
    (inside / "g").symlink_to("../secret")
    (inside / "dir" / "f").unlink()
    (inside / "dir").rmdir()
    (inside / "dir").symlink_to("../secrets")
    with pytest.raises(FileNotFoundError):
        tree.read("g")
    with pytest.raises(NotADirectoryError):
        tree.read("dir/f")


def test_what_git_does_not_track_is_not_there(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "config").write_text("x")
    (tmp_path / ".github").mkdir()
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        previous = Path.cwd()
        os.chdir(tmp_path)  # a socket's path may not be long
        try:
            listener.bind("socket")
        finally:
            os.chdir(previous)
        tree = DirectoryTree(tmp_path)
        assert tree.names("") == (".github",)
        assert tree.entry(".git/config") is None
        assert tree.entry("pipe") is None
        with pytest.raises(FileNotFoundError):
            tree.read("pipe")


def test_the_executable_bit_is_seen(tmp_path: Path) -> None:
    (tmp_path / "run.sh").write_text("#!/bin/sh\n")
    (tmp_path / "run.sh").chmod(0o755)
    entry = DirectoryTree(tmp_path).entry("run.sh")
    assert entry is not None
    assert entry.executable


def test_a_file_is_no_tree(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    for path in (tmp_path / "f", tmp_path / "absent"):
        with pytest.raises(NotADirectoryError):
            DirectoryTree(path)
