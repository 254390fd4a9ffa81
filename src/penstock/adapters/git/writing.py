"""Commits written in the object database. In: a parent, files to replace, a message. Out: a commit id; no ref moves.

The same input gives the same id (author and committer are one, with one time), so a crash between writing and pushing
leaves nothing behind but an unreferenced object that the next attempt finds again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import pygit2
from pygit2.enums import ObjectType

from penstock.adapters.git.tree import ObjectStore
from penstock.model.errors import RefusedError
from penstock.ports.repo import Signature

_FILE, _EXECUTABLE, _DIRECTORY = 0o100644, 0o100755, 0o040000
_BLOBS = (0o100644, 0o100755, 0o100664, 0o120000)


@dataclass(slots=True)
class _Folder:
    """Changes below one directory."""

    files: dict[str, bytes | None] = field(default_factory=dict)
    folders: dict[str, _Folder] = field(default_factory=dict)


def write_commit(
    store: ObjectStore,
    parents: Iterable[str],
    changes: Mapping[str, bytes | None],
    *,
    message: str,
    author: Signature,
    executable: Iterable[str] = (),
) -> str:
    """Write blobs, trees and the commit. New files in `executable` get the bit; files that exist keep their mode.

    Raises RefusedError for a path no Git server takes ('..', '.git', empty parts), or one that runs through a file.
    """
    ancestry = list(parents)
    base = _tree_of(store, ancestry[0]) if ancestry else None
    root = _arrange(changes)
    tree = _write_folder(store, base, root, "", frozenset(executable)) or _write_tree(store, {})
    signature = _signature(author)
    return str(store.repository.create_commit(None, signature, signature, message, pygit2.Oid(hex=tree), ancestry))


def _tree_of(store: ObjectStore, commit: str) -> str:
    found = store.commit(commit)
    if found is None:
        raise RefusedError(f"parent commit {commit[:64]} is not in the repository", code="MissingCommit")
    return str(found.tree_id)


def _arrange(changes: Mapping[str, bytes | None]) -> _Folder:
    root = _Folder()
    for path, content in sorted(changes.items()):
        parts = path.split("/")
        for part in parts:
            _accept(part, path)
        folder = root
        for part in parts[:-1]:
            folder = folder.folders.setdefault(part, _Folder())
        folder.files[parts[-1]] = content
    return root


def _accept(part: str, path: str) -> None:
    folded = part.rstrip(". ").lower()
    if part in ("", ".", "..") or "\0" in part or folded == ".git" or folded == "git~1":
        raise RefusedError(f"{path!r} is not a path that can be committed", code="InvalidPath")


def _write_folder(store: ObjectStore, base: str | None, folder: _Folder, path: str, executable: frozenset[str]) -> str | None:
    """The new tree id, or None when nothing is left in it."""
    slots = dict(store.directory(base)) if base else {}
    for name, content in folder.files.items():
        if content is None:
            if name in slots and slots[name][0] in _BLOBS:
                del slots[name]
            continue
        before = slots.get(name)
        if before is not None and before[0] not in _BLOBS:
            raise RefusedError(f"{path}{name} is a directory or submodule, not a file", code="InvalidPath")
        fresh = _EXECUTABLE if f"{path}{name}" in executable else _FILE
        slots[name] = (before[0] if before else fresh, str(store.repository.create_blob(content)))
    for name, below in folder.folders.items():
        _write_below(store, slots, name, below, path, executable)
    if not slots:
        return None
    return _write_tree(store, slots)


def _write_tree(store: ObjectStore, slots: Mapping[str, tuple[int, str]]) -> str:
    """A tree object, written as Git defines it (libgit2's builder takes only UTF-8 names and refuses inert old ones)."""
    rows = []
    for name, (mode, object_id) in slots.items():
        raw = name.encode("utf-8", "surrogateescape")
        rows.append((raw + b"/" if mode == _DIRECTORY else raw, b"%o %s\0" % (mode, raw) + bytes.fromhex(object_id)))
    return str(store.repository.odb.write(ObjectType.TREE, b"".join(row for _, row in sorted(rows))))


def _write_below(
    store: ObjectStore, slots: dict[str, tuple[int, str]], name: str, below: _Folder, path: str, executable: frozenset[str]
) -> None:
    before = slots.get(name)
    if before is not None and before[0] != _DIRECTORY:
        if not _writes(below):
            return  # deleting below a file: there is nothing to delete
        raise RefusedError(f"{path}{name} is a file, so nothing can be below it", code="InvalidPath")
    tree = _write_folder(store, before[1] if before else None, below, f"{path}{name}/", executable)
    if tree is None:
        slots.pop(name, None)
    else:
        slots[name] = (_DIRECTORY, tree)


def _writes(folder: _Folder) -> bool:
    return any(content is not None for content in folder.files.values()) or any(map(_writes, folder.folders.values()))


def _signature(of: Signature) -> pygit2.Signature:
    offset = of.when.utcoffset()
    minutes = int(offset.total_seconds() // 60) if offset else 0
    name, email = (" ".join(text.replace("<", "").replace(">", "").split()) for text in (of.name, of.email))
    return pygit2.Signature(name or "unknown", email or "unknown", int(of.when.timestamp()), minutes)
