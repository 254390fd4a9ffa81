"""Trees put together from trees: only some folders of one, and others hung into it.

In: trees. Out: a tree, read as lazily as its parts. Nothing is copied or checked out.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Mapping
from dataclasses import replace

from penstock.model.errors import RefusedError
from penstock.model.tree import Entry, Tree
from penstock.model.values import TreeId


def folder_in(path: str) -> str:
    """A path of a spec, relative to the root of a tree ('' is the root). Raises ValueError when it leaves the tree."""
    if "\0" in path or "\\" in path:
        raise ValueError(path)
    normal = posixpath.normpath(path.lstrip("/") or ".")
    if normal == ".." or normal.startswith("../") or any(part.lower() == ".git" for part in normal.split("/")):
        raise ValueError(path)
    return "" if normal == "." else normal


class PartialTree:
    """Only some folders of a tree (and what is in them), as a sparse checkout would have them."""

    def __init__(self, tree: Tree, folders: tuple[str, ...]) -> None:
        self._tree = tree
        self._folders = folders
        self._mark = hashlib.sha256("\n".join(folders).encode()).hexdigest()[:16]

    @property
    def id(self) -> TreeId | None:
        return None

    def entry(self, path: str) -> Entry | None:
        if self._inside(path):
            return self._tree.entry(path)
        if not self._above(path):
            return None
        found = self._tree.entry(path)
        return replace(found, id=f"{found.id}-{self._mark}") if found is not None else None

    def read(self, path: str) -> bytes:
        if not self._inside(path):
            raise FileNotFoundError(path)
        return self._tree.read(path)

    def names(self, path: str) -> tuple[str, ...]:
        if self._inside(path):
            return self._tree.names(path)
        if not self._above(path):
            raise FileNotFoundError(path)
        return tuple(name for name in self._tree.names(path) if self.entry(f"{path}/{name}" if path else name) is not None)

    def _inside(self, path: str) -> bool:
        return any(path == folder or not folder or path.startswith(f"{folder}/") for folder in self._folders)

    def _above(self, path: str) -> bool:
        return not path or any(folder.startswith(f"{path}/") for folder in self._folders)


class GraftedTree:
    """A tree with another tree hung in at a path where nothing is yet (a submodule is nothing).

    `mark` names the content of the other tree, so that the folders above it are told from what they were before. Raises
    RefusedError when something is there already, or a file where a folder would have to be.
    """

    def __init__(self, tree: Tree, at: str, other: Tree, mark: str) -> None:
        self._tree = tree
        self._at = at
        self._other = other
        self._mark = mark
        parts = at.split("/") if at else []
        for count in range(len(parts) + 1):
            found = tree.entry("/".join(parts[:count]))
            free = count < len(parts) and (found is None or found.kind == "directory")
            if not free and found is not None and found.kind != "submodule":
                raise RefusedError(f"there is something at '{at}' already", code="CopyFailure")

    @property
    def id(self) -> TreeId | None:
        return None

    def entry(self, path: str) -> Entry | None:
        inside = self._inside(path)
        if inside:
            return self._other.entry(inside)
        if inside == "" or self._above(path):
            own = self._tree.entry(path)
            return Entry(kind="directory", id=f"{own.id if own is not None else ''}-{self._mark}")
        return self._tree.entry(path)

    def read(self, path: str) -> bytes:
        inside = self._inside(path)
        return self._tree.read(path) if inside is None else self._other.read(inside)

    def names(self, path: str) -> tuple[str, ...]:
        inside = self._inside(path)
        if inside is not None:
            return self._other.names(inside)
        if not self._above(path):
            return self._tree.names(path)
        own = self._tree.names(path) if self._tree.entry(path) is not None or not path else ()
        return tuple(sorted({*own, self._at[len(path) :].strip("/").split("/")[0]}))

    def _inside(self, path: str) -> str | None:
        """Where a path is in the other tree ('' is its root); None when it is not in it."""
        if path == self._at:
            return ""
        return path[len(self._at) + 1 :] if path.startswith(f"{self._at}/") else None

    def _above(self, path: str) -> bool:
        return not path or self._at.startswith(f"{path}/")


def below(tree: Tree, folder: str) -> Tree:
    """A folder of a tree, as a tree of its own. Raises FileNotFoundError when it is none."""
    if not folder:
        return tree
    found = tree.entry(folder)
    if found is None or found.kind != "directory":
        raise FileNotFoundError(folder)
    return _Below(tree, folder, found)


class _Below:
    def __init__(self, tree: Tree, folder: str, found: Entry) -> None:
        self._tree = tree
        self._folder = folder
        self.id: TreeId | None = TreeId(found.id) if found.id else None

    def entry(self, path: str) -> Entry | None:
        return self._tree.entry(self._path(path))

    def read(self, path: str) -> bytes:
        return self._tree.read(self._path(path))

    def names(self, path: str) -> tuple[str, ...]:
        return self._tree.names(self._path(path))

    def _path(self, path: str) -> str:
        return f"{self._folder}/{path}" if path else self._folder


def links(tree: Tree, folder: str = "") -> Mapping[str, str]:
    """The submodules of a tree: path to commit. Reads every folder."""
    found: dict[str, str] = {}
    for name in tree.names(folder):
        path = f"{folder}/{name}" if folder else name
        entry = tree.entry(path)
        if entry is not None and entry.kind == "submodule":
            found[path] = entry.id
        elif entry is not None and entry.kind == "directory":
            found |= links(tree, path)
    return found
