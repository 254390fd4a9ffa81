"""The files of one commit behind model.tree.Tree. In: a repository and a tree id. Out: entries and bytes, read when asked.

Tree objects are parsed here rather than through libgit2's tree API: one pass gives names, modes and ids, names that are
not UTF-8 survive (surrogateescape, as Python spells file names), and nothing named `.git` gets special treatment: it is
data, never a path on a disk. Directories are cached by tree id in the store, so two commits share what they share in Git.
"""

from __future__ import annotations

from typing import Any

import pygit2

from penstock.model.errors import RefusedError
from penstock.model.tree import Entry, EntryKind
from penstock.model.values import TreeId

Slot = tuple[int, str]
"""Mode and hex id of one name in a directory."""

_DIRECTORY, _SYMLINK, _SUBMODULE = 0o040000, 0o120000, 0o160000
_MODES = (b"40000", b"100644", b"100755", b"120000", b"160000", b"100664")
_CACHED_DIRECTORIES, _GLANCED = 20_000, 256


class ObjectStore:
    """Reads of one object database, with directories remembered by tree id (they never change)."""

    def __init__(self, repository: pygit2.Repository) -> None:
        self.repository = repository
        self.suspect = False
        """An object was missing or unreadable: the copy may be damaged."""
        # Plain dictionaries, emptied when full: renders read from several threads, and each step on them is one step.
        self._directories: dict[str, dict[str, Slot]] = {}
        self._glanced: dict[str, bytes] = {}

    def directory(self, tree: str) -> dict[str, Slot]:
        """Name to (mode, id) of a tree object. Raises RefusedError when it is not here."""
        known = self._directories.get(tree)
        if known is not None:
            return known
        parsed = _parse(self._read(tree), len(tree) // 2)
        if len(self._directories) >= _CACHED_DIRECTORIES:
            self._directories.clear()
        self._directories[tree] = parsed
        return parsed

    def peek(self, tree: str, name: str) -> Slot | None:
        """One name of a directory that is not worth parsing: a walk through history sees thousands of them once.

        The bytes `mode SP name NUL` are looked for as they stand; that they turn up inside an object id instead is as
        likely as a collision of 64 bits.
        """
        known = self._directories.get(tree)
        if known is not None:
            return known.get(name)
        raw, size = self._glance(tree), len(tree) // 2
        wanted = b" " + name.encode("utf-8", "surrogateescape") + b"\0"
        for mode in _MODES:
            row = mode + wanted
            at = raw.find(row)
            if at < 0:
                continue
            if at and raw[at - size - 1]:  # not right behind another row: part of a longer name, perhaps
                return self.directory(tree).get(name)
            end = at + len(row)
            return int(mode, 8), raw[end : end + size].hex()
        return None

    def _glance(self, tree: str) -> bytes:
        """The raw tree object; the last few are kept, because the next commit compares with them again."""
        raw = self._glanced.get(tree)
        if raw is None:
            raw = self._read(tree)
            if len(self._glanced) >= _GLANCED:
                self._glanced.clear()
            self._glanced[tree] = raw
        return raw

    def find(self, tree: str, path: str) -> Slot | None:
        """Mode and id at a path below a tree; '' is the tree itself."""
        slot: Slot = (_DIRECTORY, tree)
        for part in path.split("/") if path else ():
            if slot[0] != _DIRECTORY:
                return None
            below = self.directory(slot[1]).get(part)
            if below is None:
                return None
            slot = below
        return slot

    def blob(self, name: str) -> bytes:
        """The content of a blob."""
        return self._read(name)

    def size(self, name: str) -> int:
        """The size of an object, from its header."""
        return int(self.repository.odb.read_header(name)[1])

    def commit(self, name: str) -> pygit2.Commit | None:
        """A commit object, None when it is not here (or is no commit, or no id at all)."""
        try:
            found: Any = self.repository.get(name)  # pygit2's stubs say that a Commit is not an Object
        except ValueError:
            return None
        except pygit2.GitError:
            self.suspect = True
            return None
        return found if isinstance(found, pygit2.Commit) else None

    def _read(self, name: str) -> bytes:
        try:
            return bytes(self.repository.odb.read(name)[1])
        except (KeyError, ValueError, pygit2.GitError) as error:
            self.suspect = True
            raise RefusedError(f"object {name} is not in the repository", code="MissingObject") from error


class GitTree:
    """The Tree protocol over a Git tree object; entries are remembered, contents are not."""

    def __init__(self, store: ObjectStore, tree: TreeId) -> None:
        self._store = store
        self._tree = tree
        self._entries: dict[str, Entry | None] = {}

    @property
    def id(self) -> TreeId | None:
        return self._tree

    def entry(self, path: str) -> Entry | None:
        if path not in self._entries:
            slot = self._store.find(self._tree, path)
            self._entries[path] = None if slot is None else self._describe(slot)
        return self._entries[path]

    def read(self, path: str) -> bytes:
        slot = self._store.find(self._tree, path)
        if slot is None or slot[0] == _SUBMODULE:
            raise FileNotFoundError(path)
        if slot[0] == _DIRECTORY:
            raise IsADirectoryError(path)
        return self._store.blob(slot[1])

    def names(self, path: str) -> tuple[str, ...]:
        slot = self._store.find(self._tree, path)
        if slot is None:
            raise FileNotFoundError(path)
        if slot[0] != _DIRECTORY:
            raise NotADirectoryError(path)
        return tuple(sorted(self._store.directory(slot[1])))

    def _describe(self, slot: Slot) -> Entry:
        mode, name = slot
        if mode == _DIRECTORY:
            return Entry(kind="directory", id=name)
        if mode == _SUBMODULE:
            return Entry(kind="submodule", id=name)
        kind: EntryKind = "symlink" if mode == _SYMLINK else "file"
        return Entry(kind=kind, id=name, size_bytes=self._store.size(name), executable=kind == "file" and bool(mode & 0o100))


def _parse(raw: bytes, id_bytes: int) -> dict[str, Slot]:
    """A tree object: repeated `mode SP name NUL id`."""
    found: dict[str, Slot] = {}
    position, end = 0, len(raw)
    while position < end:
        space = raw.index(b" ", position)
        nul = raw.index(b"\0", space)
        mode = int(raw[position:space], 8)
        position = nul + 1 + id_bytes
        found[raw[space + 1 : nul].decode("utf-8", "surrogateescape")] = (mode, raw[nul + 1 : position].hex())
    return found
