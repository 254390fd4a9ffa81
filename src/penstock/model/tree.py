"""A tree of files as the pure core sees it: paths to bytes, named by Git object ids where there are any.

Paths are relative with '/', never start with '/' or './', and '' is the root. A tree is immutable while it is used.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from penstock.model.values import BlobId, TreeId

EntryKind = Literal["file", "directory", "symlink", "submodule"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What is at a path. `id` is the Git object id (for a file of a work tree: of its content, computed when asked)."""

    kind: EntryKind
    id: str = ""
    size_bytes: int = 0
    executable: bool = False


class Tree(Protocol):
    """Read access to one immutable tree of files."""

    @property
    def id(self) -> TreeId | None:
        """The Git tree id of the root; None for a tree that is not in Git (a work tree)."""

    def entry(self, path: str) -> Entry | None:
        """What is at exactly this path (symlinks are not followed), or None."""

    def read(self, path: str) -> bytes:
        """The content of a file, or the target of a symlink. Raises FileNotFoundError, IsADirectoryError."""

    def names(self, path: str) -> tuple[str, ...]:
        """The names in a directory, sorted. Raises FileNotFoundError, NotADirectoryError."""


class MemoryTree:
    """A tree from a mapping of path to bytes (a str value is a symlink's target); used by tests and generated trees."""

    def __init__(self, files: Mapping[str, bytes | str]) -> None:
        self._files = dict(files)
        self._directories: dict[str, set[str]] = {"": set()}
        for path in self._files:
            parent, child = "", ""
            for part in path.split("/"):
                child = f"{parent}/{part}" if parent else part
                self._directories.setdefault(parent, set()).add(part)
                parent = child
        self.id: TreeId | None = None

    def entry(self, path: str) -> Entry | None:
        content = self._files.get(path)
        if content is None:
            return Entry(kind="directory") if path in self._directories else None
        if isinstance(content, str):
            return Entry(kind="symlink", id=blob_id(content.encode()), size_bytes=len(content))
        return Entry(kind="file", id=blob_id(content), size_bytes=len(content))

    def read(self, path: str) -> bytes:
        content = self._files.get(path)
        if content is None:
            if path in self._directories:
                raise IsADirectoryError(path)
            raise FileNotFoundError(path)
        return content.encode() if isinstance(content, str) else content

    def names(self, path: str) -> tuple[str, ...]:
        if path in self._files:
            raise NotADirectoryError(path)
        if path not in self._directories:
            raise FileNotFoundError(path)
        return tuple(sorted(self._directories[path]))


class OverlayTree:
    """A tree with some files written over it; None takes one away. Directories on the way to them have no id."""

    def __init__(self, below: Tree, files: Mapping[str, bytes | None]) -> None:
        self._below = below
        self._files = dict(files)
        self._touched: dict[str, set[str]] = {}
        for path in self._files:
            parent, child = "", ""
            for part in path.split("/"):
                child = f"{parent}/{part}" if parent else part
                self._touched.setdefault(parent, set()).add(part)
                parent = child
        self.id: TreeId | None = None

    def entry(self, path: str) -> Entry | None:
        if path in self._files:
            content = self._files[path]
            return Entry(kind="file", id=blob_id(content), size_bytes=len(content)) if content is not None else None
        if path in self._touched:
            return Entry(kind="directory") if self.names(path) else None
        return self._below.entry(path)

    def read(self, path: str) -> bytes:
        if path in self._files:
            content = self._files[path]
            if content is None:
                raise FileNotFoundError(path)
            return content
        return self._below.read(path)

    def names(self, path: str) -> tuple[str, ...]:
        before = self._below.entry(path)
        found = set(self._below.names(path)) if before is not None and before.kind == "directory" else set()
        for name in self._touched.get(path, ()):
            if self.entry(f"{path}/{name}" if path else name) is None:
                found.discard(name)
            else:
                found.add(name)
        return tuple(sorted(found))


def blob_id(content: bytes) -> BlobId:
    """The Git blob id of content (SHA-1 object format)."""
    return BlobId(hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest())
