"""Reading files for a build out of a tree: links resolved inside the tree only, every look recorded, budgets first.

In: a Tree, and paths as kustomization files write them. Out: bytes, and `inputs`: every path that was read or looked
for with its object id, so that a commit which changes none of them changes nothing in the build.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

from penstock.model.tree import Entry, Tree
from penstock.yamldoc import reading

MAX_LINKS: Final = 40
"""Symbolic links followed for one path."""

Restriction = Literal["rootOnly", "none"]
_LFS = b"version https://git-lfs.github.com/spec/v1"


class LoadError(Exception):
    """A path that cannot be read, with a stable code and a hint."""

    def __init__(self, what: str, code: str, hint: str | None = None) -> None:
        super().__init__(what, code, hint)
        self.what = what
        self.code = code
        self.hint = hint


class Decrypt(Protocol):
    """Opens encrypted files; equal bytes and an equal `id` always give equal bytes. Raises InputError."""

    id: str

    def manifest(self, path: str, data: bytes) -> bytes:
        """A file of objects or of patches."""

    def content(self, path: str, data: bytes, name: str) -> bytes:
        """A file that becomes the content of a Secret under a name."""


@dataclass(slots=True)
class Loader:
    """Access to one tree for one build."""

    tree: Tree
    restriction: Restriction = "rootOnly"
    inputs: dict[str, str] = field(default_factory=dict)
    decrypt: Decrypt | None = None
    _directories: dict[str, str] = field(default_factory=dict)
    """Directories as written -> real path in the tree."""

    def directory(self, path: str) -> str:
        """The real path of a directory. Raises LoadError when it is not one."""
        real, entry = self.resolve(path)
        if entry is None:
            raise LoadError(f"'{path or '.'}' does not exist", "NotFound")
        if entry.kind == "submodule":
            raise LoadError(f"'{path}' is a Git submodule, which is not read", "SubmodulePath")
        if entry.kind != "directory":
            raise LoadError(f"must build at directory: '{path}': file is not directory", "NotADirectory")
        return real

    def resolve(self, path: str) -> tuple[str, Entry | None]:
        """(real path, entry) with links followed inside the tree. Raises LoadError for links that leave it or loop."""
        path = inside(path)
        parent, _, name = path.rpartition("/")
        if not name:
            return "", self.tree.entry("")
        real_parent = self._real_directory(parent, [0])
        if real_parent is None:
            self.inputs.setdefault(path, "")
            return path, None
        return self._resolve_in(real_parent, name, [0])

    def _resolve_in(self, parent: str, name: str, hops: list[int]) -> tuple[str, Entry | None]:
        path = f"{parent}/{name}" if parent else name
        entry = self.tree.entry(path)
        if entry is None:
            self.inputs[path] = ""
        elif entry.kind != "directory":
            self.inputs[path] = entry.id or self.inputs.get(path, "")
        if entry is None or entry.kind != "symlink":
            return path, entry
        hops[0] += 1
        if hops[0] > MAX_LINKS:
            raise LoadError(f"'{path}' is a loop of symbolic links, or more than {MAX_LINKS} of them", "SymlinkLoop")
        target = self.tree.read(path).decode(errors="surrogateescape")
        if target.startswith("/"):
            raise LoadError(f"'{path}' is a link to an absolute path, outside the repository", "SymlinkOutside")
        joined = inside(posixpath.join(parent, target), f"the link '{path}'")
        above, _, last = joined.rpartition("/")
        if not last:
            return "", self.tree.entry("")
        real = self._real_directory(above, hops)
        if real is None:
            return joined, None
        return self._resolve_in(real, last, hops)

    def _real_directory(self, path: str, hops: list[int]) -> str | None:
        """The real path of a directory, or None when there is none."""
        if not path:
            return ""
        known = self._directories.get(path)
        if known is not None:
            return known
        parent, _, name = path.rpartition("/")
        real_parent = self._real_directory(parent, hops)
        if real_parent is None:
            return None
        real, entry = self._resolve_in(real_parent, name, hops)
        if entry is None or entry.kind != "directory":
            return None
        self._directories[path] = real
        return real

    def file(self, root: str, path: str) -> tuple[str, bytes]:
        """(real path, content) of a file that the kustomization in `root` names. Raises LoadError."""
        real, entry = self.find(root, path)
        if entry is None:
            raise LoadError(f"'{path}' doesn't exist: no such file or directory", "NotFound", self.similar(root, path))
        if entry.kind == "directory":
            raise LoadError(f"'{path}' must resolve to a file", "NotAFile")
        return real, self.content(real, entry)

    def opened(self, real: str, data: bytes) -> bytes:
        """A file of objects or patches, decrypted where there are keys."""
        return self.decrypt.manifest(real, data) if self.decrypt is not None else data

    def find(self, root: str, path: str) -> tuple[str, Entry | None]:
        """What a path of the kustomization in `root` leads to, the load restriction applied to files."""
        if "\0" in path:
            raise LoadError("a path contains a NUL character", "BadPath")
        if is_remote(path):
            raise LoadError(
                f"'{shown_url(path)}' is remote, and builds read nothing but the repository",
                "RemoteBase",
                "commit a copy, or let Flux fetch it as a source of its own",
            )
        if path.startswith("/"):
            raise LoadError(f"'{path}' cannot be absolute", "AbsolutePath", "use a path relative to the kustomization")
        real, entry = self.resolve(posixpath.join(root, path))
        if entry is not None and entry.kind == "submodule":
            raise LoadError(f"'{path}' is a Git submodule, which is not read", "SubmodulePath")
        if entry is not None and entry.kind == "file" and self.restriction == "rootOnly" and not below(real, root):
            raise LoadError(
                f"security; file '/{real}' is not in or below '/{root}'",
                "LoadRestricted",
                "move the file below the kustomization, or make its folder a base and list that",
            )
        return real, entry

    def content(self, real: str, entry: Entry) -> bytes:
        """The bytes of a file. Raises LoadError over the size budget and for Git LFS pointers."""
        if entry.size_bytes > reading.MAX_FILE_BYTES:
            raise LoadError(
                f"the file is too large to read: {entry.size_bytes} bytes, at most {reading.MAX_FILE_BYTES} are read",
                "YamlFileSize",
            )
        data = self.tree.read(real)
        if not self.inputs.get(real):
            self.inputs[real] = entry.id or hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
        if len(data) < 1024 and data.startswith(_LFS):
            raise LoadError("the file is a Git LFS pointer, not its content", "LfsPointer", "store the file in Git itself")
        return data

    def names(self, real: str) -> tuple[str, ...]:
        """The names in a directory; the listing itself becomes an input."""
        names = self.tree.names(real)
        entry = self.tree.entry(real)
        self.inputs[real or "."] = (entry.id if entry is not None else "") or _listing_id(names)
        return names

    def similar(self, root: str, path: str) -> str | None:
        """A did-you-mean for a path that is not there."""
        import difflib

        try:
            parent, _, name = inside(posixpath.join(root, path)).rpartition("/")
            names = self.tree.names(parent)
        except (LoadError, FileNotFoundError, NotADirectoryError):
            return None
        close = difflib.get_close_matches(name, names, n=1)
        if not close:
            return None
        return f"{close[0]} is there"


def _listing_id(names: tuple[str, ...]) -> str:
    return hashlib.sha1("\0".join(names).encode(errors="surrogateescape"), usedforsecurity=False).hexdigest()


def inside(path: str, what: str | None = None) -> str:
    """A normal path from the root of the tree. Raises LoadError when it leaves the tree."""
    normal = posixpath.normpath(path) if path else ""
    if normal in (".", "/"):
        return ""
    if normal == ".." or normal.startswith(("../", "/")):
        raise LoadError(
            f"security; {what or repr(path)} leads outside the repository",
            "OutsideRepository",
            "only files of the repository can be part of a build",
        )
    return normal


def below(path: str, root: str) -> bool:
    """Whether a path is in or below a directory, by whole names."""
    return not root or path == root or path.startswith(root + "/")


_SCHEMES = ("http://", "https://", "ssh://", "git://", "file://", "ftp://", "oci://", "s3://", "git::", "ext::", "hg::")


def is_remote(path: str) -> bool:
    """Whether kustomize would look for this path in another repository or on the web."""
    lowered = path.lower()
    if lowered.startswith(_SCHEMES) or "::" in lowered.split("/", 1)[0]:
        return True
    if lowered.startswith(("git@", "github.com/", "github.com:", "gitlab.com/", "bitbucket.org/")):
        return True
    head = lowered.split("?", 1)[0]
    return ("?ref=" in lowered or "?version=" in lowered or ".git//" in head or head.endswith(".git")) and not head.startswith(
        "."
    )


def shown_url(path: str) -> str:
    """A URL without the credentials it may hold."""
    scheme, separator, rest = path.partition("://")
    if separator and "@" in rest.split("/", 1)[0]:
        rest = rest.split("@", 1)[1]
    return scheme + separator + rest.split("?", 1)[0]


def digest(data: bytes) -> str:
    """'sha256:<hex>' of a build."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def same_inputs(tree: Tree, inputs: Mapping[str, str]) -> bool:
    """Whether every input of an earlier build is in this tree as it was then."""
    for path, object_id in inputs.items():
        if path == ".":
            path = ""
        entry = tree.entry(path)
        if (entry.id if entry is not None else "") == object_id:
            continue
        if entry is None or not object_id:
            return False
        if entry.kind == "directory" and not entry.id and _listing_id(tree.names(path)) == object_id:
            continue
        return False
    return True
