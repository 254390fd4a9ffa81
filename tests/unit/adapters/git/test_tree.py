"""Trees by object id: what Git holds is read as data, however hostile."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pygit2
import pytest
from pygit2.enums import ObjectType

from penstock.adapters.files import DirectoryTree
from penstock.adapters.git.local import LocalRepo
from penstock.adapters.git.tree import GitTree, ObjectStore
from penstock.adapters.git.writing import write_commit
from penstock.model.errors import RefusedError
from penstock.model.tree import MemoryTree, Tree, blob_id
from penstock.model.values import CommitId, TreeId
from penstock.ports.repo import Signature

AUTHOR = Signature(name="Dev", email="dev@example.com", when=datetime(2026, 3, 2, tzinfo=UTC))


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return ObjectStore(pygit2.init_repository(str(tmp_path / "r.git"), bare=True))


def raw_tree(store: ObjectStore, *rows: tuple[int, bytes, str]) -> GitTree:
    body = b"".join(b"%o %s\0" % (mode, name) + bytes.fromhex(object_id) for mode, name, object_id in rows)
    return GitTree(store, TreeId(str(store.repository.odb.write(ObjectType.TREE, body))))


def commit(store: ObjectStore, changes: dict[str, bytes | None], *parents: str, **more: object) -> str:
    return write_commit(store, parents, changes, message="m", author=AUTHOR, **more)  # type: ignore[arg-type]


def tree_of(store: ObjectStore, made: str) -> GitTree:
    found = store.commit(made)
    assert found is not None
    return GitTree(store, TreeId(str(found.tree_id)))


def test_names_no_checkout_would_survive_are_plain_data(store: ObjectStore) -> None:
    blob = str(store.repository.create_blob(b"x"))
    tree = raw_tree(
        store, (0o100644, b".GIT", blob), (0o100644, b".git", blob), (0o100644, b"b\xff\xfe", blob), (0o100644, b"git~1", blob)
    )
    assert tree.names("") == (".GIT", ".git", "b\udcff\udcfe", "git~1")
    assert tree.read(".git") == b"x"
    assert tree.read("b\udcff\udcfe") == b"x"


def test_links_and_submodules_lead_nowhere(store: ObjectStore) -> None:
    target = str(store.repository.create_blob(b"../../etc/passwd"))
    tree = raw_tree(store, (0o120000, b"link", target), (0o160000, b"sub", "1" * 40))
    link, sub = tree.entry("link"), tree.entry("sub")
    assert link is not None
    assert sub is not None
    assert (link.kind, sub.kind) == ("symlink", "submodule")
    assert tree.read("link") == b"../../etc/passwd"
    assert tree.entry("link/x") is None
    assert tree.entry("sub/x") is None
    with pytest.raises(FileNotFoundError):
        tree.read("sub")
    with pytest.raises(NotADirectoryError):
        tree.names("sub")


def test_a_missing_object_is_refused_by_name(store: ObjectStore) -> None:
    tree = raw_tree(store, (0o040000, b"gone", "2" * 40))
    with pytest.raises(RefusedError) as refused:
        tree.names("gone")
    assert refused.value.code == "MissingObject"


FILES: dict[str, bytes] = {"a": b"1", "dir/b": b"22", "dir/deeper/c.yaml": b"333", "ünï": b"\xff"}


@pytest.fixture(params=["git", "folder", "memory"])
def tree(request: pytest.FixtureRequest, store: ObjectStore, tmp_path: Path) -> Tree:
    if request.param == "git":
        return tree_of(store, commit(store, dict(FILES)))
    if request.param == "memory":
        return MemoryTree(FILES)
    for path, content in FILES.items():
        (tmp_path / "work" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "work" / path).write_bytes(content)
    return DirectoryTree(tmp_path / "work")


def test_every_tree_answers_alike(tree: Tree) -> None:
    assert tree.names("") == ("a", "dir", "ünï")
    assert tree.names("dir") == ("b", "deeper")
    assert tree.read("dir/deeper/c.yaml") == b"333"
    entry = tree.entry("dir/b")
    assert entry is not None
    assert (entry.kind, entry.size_bytes, entry.executable) == ("file", 2, False)
    assert entry.id == blob_id(b"22")
    directory = tree.entry("dir")
    root = tree.entry("")
    assert directory is not None
    assert root is not None
    assert (directory.kind, root.kind) == ("directory", "directory")
    for absent in ("b", "a/x", "dir/deeper/c.yaml/x", "dir/none", "dir//b", "/a", "./a", "dir/../a", "a/"):
        assert tree.entry(absent) is None, absent
        with pytest.raises(FileNotFoundError):
            tree.read(absent)
    with pytest.raises(IsADirectoryError):
        tree.read("dir")
    with pytest.raises(NotADirectoryError):
        tree.names("a")
    with pytest.raises(FileNotFoundError):
        tree.names("none")


def test_ids_are_the_same_in_every_tree(store: ObjectStore, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"content\n")
    on_disk = DirectoryTree(tmp_path).entry("f")
    in_git = tree_of(store, commit(store, {"f": b"content\n"})).entry("f")
    assert on_disk is not None
    assert in_git is not None
    assert on_disk.id == in_git.id


def test_a_commit_replaces_what_it_names_and_keeps_the_rest(store: ObjectStore) -> None:
    first = commit(store, {"a": b"1", "dir/b": b"2", "dir/c": b"3", "run.sh": b"#!"}, executable=["run.sh"])
    second = commit(store, {"dir/b": b"new", "dir/c": None, "run.sh": b"#!/bin/sh", "new/deep/file": b"4", "absent": None}, first)
    tree = tree_of(store, second)
    assert tree.names("") == ("a", "dir", "new", "run.sh")
    assert tree.names("dir") == ("b",)
    assert tree.read("dir/b") == b"new"
    script = tree.entry("run.sh")
    assert script is not None
    assert script.executable, "a mode stays when only the content is replaced"


def test_an_empty_directory_does_not_stay(store: ObjectStore) -> None:
    first = commit(store, {"a": b"1", "dir/deep/b": b"2"})
    assert tree_of(store, commit(store, {"dir/deep/b": None}, first)).names("") == ("a",)
    assert tree_of(store, commit(store, {"dir/deep/b": None, "a": None}, first)).names("") == ()


def test_a_file_may_become_a_directory_when_it_is_deleted_first(store: ObjectStore) -> None:
    first = commit(store, {"a": b"1"})
    assert tree_of(store, commit(store, {"a": None, "a/b": b"2"}, first)).read("a/b") == b"2"
    with pytest.raises(RefusedError):
        commit(store, {"a/b": b"2"}, first)
    second = commit(store, {"d/x": b"1"})
    with pytest.raises(RefusedError):
        commit(store, {"d": b"1"}, second)


def test_the_same_commit_has_the_same_id(store: ObjectStore) -> None:
    assert commit(store, {"a": b"1", "b": b"2"}) == commit(store, {"b": b"2", "a": b"1"})


@pytest.mark.parametrize(
    "path", ["", "/a", "a//b", "a/", "..", "a/../b", ".", ".git/hooks/x", "a/.GIT", "a/.git ", "git~1/x", "a\0b"]
)
def test_paths_no_server_takes_are_refused(store: ObjectStore, path: str) -> None:
    with pytest.raises(RefusedError):
        commit(store, {path: b"x"})


def test_git_itself_reads_what_was_written(store: ObjectStore, tmp_path: Path) -> None:
    # Sorting of names against directories is where hand-made trees go wrong.
    names = ["a", "a.b/x", "a/b", "a0", "ab/c", "z\udcff"]
    made = commit(store, {name: name.encode("utf-8", "surrogateescape") for name in names if name != "a"})
    store.repository.references.create("refs/heads/main", pygit2.Oid(hex=made))
    done = subprocess.run(
        ["git", f"--git-dir={tmp_path / 'r.git'}", "fsck", "--strict", "--full"], capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, b""), done.stderr


def test_a_clone_of_a_person_is_read_with_its_work_tree(tmp_path: Path) -> None:
    folder = tmp_path / "clone"
    repository = pygit2.init_repository(str(folder), initial_head="main")
    repo = LocalRepo(folder / ".git")
    assert repo.head is None
    store = ObjectStore(repository)
    made = commit(store, {"a": b"committed"})
    repository.references.create("refs/heads/main", pygit2.Oid(hex=made))
    (folder / "a").write_bytes(b"edited")
    (folder / "sub").mkdir()

    repo = LocalRepo(folder / "sub")
    assert (repo.root, repo.branch, repo.head) == (folder, "main", made)
    assert repo.tree(CommitId(made)).read("a") == b"committed"
    assert repo.work_tree().read("a") == b"edited"
    assert repo.work_tree().names("") == ("a", "sub")
    assert repo.remote_url() is None


def test_a_folder_without_a_repository_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedError) as refused:
        LocalRepo(tmp_path)
    assert refused.value.code == "NotARepository"


def test_one_name_is_found_as_a_full_reading_would(store: ObjectStore) -> None:
    names = ["a", "b 100644 web", "b 40000 web", "web", "x 40000 dir/in", "dir/in", "zz", "\udcff"]
    made = tree_of(store, commit(store, {name: name.encode("utf-8", "surrogateescape") for name in names})).id
    assert made is not None
    fresh = ObjectStore(store.repository)
    parsed = ObjectStore(store.repository).directory(made)
    for name in [*parsed, "absent", "we", "eb", "40000 web", "b 100644", ""]:
        assert fresh.peek(made, name) == parsed.get(name), name


def test_many_threads_may_read_one_repository(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penstock.adapters.git.tree._CACHED_DIRECTORIES", 3)
    files: dict[str, bytes | None] = {f"d{number}/e{number % 7}/f": str(number).encode() for number in range(60)}
    made = tree_of(store, commit(store, files)).id
    assert made is not None

    def read(_: int) -> bool:
        tree = GitTree(store, made)
        return all(tree.read(path) == content for path, content in files.items())

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, range(24)))
