"""A work tree on disk behind model.tree.Tree. In: a folder. Out: entries and bytes, never anything outside the folder.

Semantics are Git's, not the file system's: a symlink is an entry whose content is its target and is never followed, not
even in the middle of a path; `.git` is not part of the tree; sockets, devices and pipes do not exist. Every component is
opened relative to its parent without following links, so a link planted between the check and the open changes nothing.

A directory is listed once and remembered: a DirectoryTree is one look at the folder. Make a new one to look again.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

from penstock.model.tree import Entry, blob_id
from penstock.model.values import TreeId

_HASH_LIMIT_BYTES = 64 * 1024 * 1024
"""Files above this have no id: sizes come from stat, and a budget must be able to refuse them without reading them."""


class DirectoryTree:
    """The Tree protocol over a folder. Raises NotADirectoryError when `folder` is not one."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(os.path.realpath(folder))
        if not self.folder.is_dir():
            raise NotADirectoryError(str(folder))
        self.id: TreeId | None = None
        self._listings: dict[str, dict[str, os.stat_result]] = {}
        self._entries: dict[str, Entry | None] = {}
        self._latest: tuple[str, bytes] | None = None
        """The content that was named last: whoever asks for an entry mostly reads it next, and then gets those bytes."""

    def entry(self, path: str) -> Entry | None:
        if path not in self._entries:
            self._entries[path] = self._look(path)
        return self._entries[path]

    def read(self, path: str) -> bytes:
        found = self._stat(path)
        if found is None:
            raise FileNotFoundError(path)
        if stat.S_ISDIR(found.st_mode):
            raise IsADirectoryError(path)
        if self._latest is not None and self._latest[0] == path:
            return self._latest[1]
        return self._content(path, found)

    def names(self, path: str) -> tuple[str, ...]:
        if path:
            found = self._stat(path)
            if found is None:
                raise FileNotFoundError(path)
            if not stat.S_ISDIR(found.st_mode):
                raise NotADirectoryError(path)
        return tuple(sorted(self._list(path)))

    def _look(self, path: str) -> Entry | None:
        if not path:
            return Entry(kind="directory")
        found = self._stat(path)
        if found is None:
            return None
        if stat.S_ISDIR(found.st_mode):
            return Entry(kind="directory")
        kept = found.st_size <= _HASH_LIMIT_BYTES
        name = ""
        if kept:
            content = self._content(path, found)
            self._latest = (path, content)
            name = blob_id(content)
        if stat.S_ISLNK(found.st_mode):
            return Entry(kind="symlink", id=name, size_bytes=found.st_size)
        return Entry(kind="file", id=name, size_bytes=found.st_size, executable=bool(found.st_mode & stat.S_IXUSR))

    def _stat(self, path: str) -> os.stat_result | None:
        """What lstat says of a path all of whose parents are real directories; None otherwise."""
        parent, slash, name = path.rpartition("/")
        if slash and not parent:
            return None
        if parent:
            above = self._stat(parent)
            if above is None or not stat.S_ISDIR(above.st_mode):
                return None
        return self._list(parent).get(name)

    def _list(self, path: str) -> dict[str, os.stat_result]:
        known = self._listings.get(path)
        if known is None:
            known = {}
            descriptor = self._open_directory(path)
            try:
                with os.scandir(descriptor) as entries:
                    for item in entries:
                        with suppress(FileNotFoundError):  # gone since it was listed
                            found = item.stat(follow_symlinks=False)
                            if _tracked(item.name, found.st_mode):
                                known[item.name] = found
            finally:
                os.close(descriptor)
            self._listings[path] = known
        return known

    def _content(self, path: str, found: os.stat_result) -> bytes:
        parent, _, name = path.rpartition("/")
        descriptor = self._open_directory(parent)
        try:
            if stat.S_ISLNK(found.st_mode):
                return os.fsencode(os.readlink(name, dir_fd=descriptor))
            return _read_regular(name, descriptor, path)
        finally:
            os.close(descriptor)

    def _open_directory(self, path: str) -> int:
        """A descriptor of a directory below the folder, opened component by component, links refused."""
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
        current = os.open(self.folder, flags)
        for part in path.split("/") if path else ():
            try:
                below = os.open(part, flags | os.O_NOFOLLOW, dir_fd=current)
            except OSError as error:
                if error.errno in (errno.ELOOP, errno.ENOTDIR):
                    raise NotADirectoryError(path) from None
                raise
            finally:
                os.close(current)
            current = below
        return current


def _tracked(name: str, mode: int) -> bool:
    return name != ".git" and (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode))


def _read_regular(name: str, directory: int, path: str) -> bytes:
    """The content of a regular file; O_NONBLOCK so that a pipe put in its place cannot hang us."""
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise FileNotFoundError(path) from None
        raise
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise FileNotFoundError(path)
        return file.read()
