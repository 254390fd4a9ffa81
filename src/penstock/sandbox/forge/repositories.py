"""The bare repositories of the forge. In: branches and commit ids. Out: merges, differences and refs, without a checkout.

libgit2 does the work in process; git itself (see smart_http) writes what clients push. Both flush to disk before they
say done, and a merge moves its branch only from the commit it was computed on.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import pygit2
from pygit2.enums import ObjectType, Option

MergeStyle = Literal["merge", "squash", "rebase", "rebase-merge"]
_DIFF_LIMIT_BYTES = 2_000_000


class MergeConflictError(Exception):
    """The branches changed the same lines; `files` says where."""

    def __init__(self, files: tuple[str, ...]) -> None:
        super().__init__(files)
        self.files = files


class MovedError(Exception):
    """The base branch moved while the merge was computed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChange:
    """One file of a difference."""

    path: str
    before: str
    """Its path before; the same unless renamed."""
    status: str
    """added, changed, deleted or renamed."""
    additions: int
    deletions: int
    patch: str
    """Unified diff, '' when binary or too large."""


class Bare:
    """One bare repository, opened."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.git = pygit2.Repository(str(folder))

    def branch(self, name: str) -> str | None:
        """The commit a branch is at."""
        return self.ref(f"refs/heads/{name}")

    def ref(self, name: str) -> str | None:
        try:
            return str(self.git.lookup_reference(name).peel(pygit2.Commit).id)
        except (KeyError, ValueError, pygit2.GitError):
            return None

    def branches(self) -> dict[str, str]:
        found = {}
        for name in sorted(self.git.listall_references()):
            if name.startswith("refs/heads/") and (commit := self.ref(name)):
                found[name.removeprefix("refs/heads/")] = commit
        return found

    def commit(self, name: str) -> pygit2.Commit | None:
        """A commit by full or short id, or by branch."""
        try:
            found: Any = self.git.revparse_single(self.branch(name) or name)
            commit = found.peel(pygit2.Commit)
        except (KeyError, ValueError, pygit2.GitError):
            return None
        return commit if isinstance(commit, pygit2.Commit) else None

    def merge_base(self, one: str, other: str) -> str | None:
        found = self.git.merge_base(one, other)
        return None if found is None else str(found)

    def contains(self, branch_tip: str, commit: str) -> bool:
        if branch_tip == commit:
            return True
        return commit in self.git and bool(self.git.descendant_of(branch_tip, commit))

    def commits(self, base: str, head: str, limit: int = 250) -> list[pygit2.Commit]:
        """What head has and base has not, newest first."""
        walk = self.git.walk(pygit2.Oid(hex=head))
        walk.hide(pygit2.Oid(hex=base))
        return [commit for _, commit in zip(range(limit), walk, strict=False)]

    def conflicts(self, base: str, head: str) -> tuple[str, ...]:
        """The files that keep head from merging into base; empty means it merges."""
        return _conflicts(self, base, head)

    def changes(self, base: str, head: str) -> list[FileChange]:
        """What a pull request shows: head against its merge base with the base branch."""
        start = self.merge_base(base, head) or base
        return self._changes(start, head)

    def introduced(self, commit: pygit2.Commit) -> list[FileChange]:
        """What a commit changed against its first parent."""
        if commit.parent_ids:
            return self._changes(str(commit.parent_ids[0]), str(commit.id))
        return self._described(commit.tree.diff_to_tree(swap=True))

    def recent(self, tip: str, limit: int) -> list[pygit2.Commit]:
        """The newest commits of a branch."""
        return [commit for _, commit in zip(range(limit), self.git.walk(pygit2.Oid(hex=tip)), strict=False)]

    def _changes(self, start: str, end: str) -> list[FileChange]:
        return self._described(self.git.diff(start, end))

    def _described(self, difference: pygit2.Diff) -> list[FileChange]:
        difference.find_similar()
        found = []
        for patch in difference:
            assert patch is not None
            delta = patch.delta
            _, added, removed = patch.line_stats
            text = "" if delta.is_binary else (patch.data or b"")[: _DIFF_LIMIT_BYTES + 1].decode("utf-8", "replace")
            found.append(
                FileChange(
                    path=delta.new_file.path,
                    before=delta.old_file.path,
                    status={"A": "added", "D": "deleted", "R": "renamed"}.get(delta.status_char(), "changed"),
                    additions=added,
                    deletions=removed,
                    patch=text if len(text) <= _DIFF_LIMIT_BYTES else "",
                )
            )
        return found

    def merged(self, base: str, head: str, *, style: MergeStyle, message: str, user: str, when: int) -> str:
        """Write the commit that merges `head` into `base`; no branch moves. Raises MergeConflictError."""
        if style == "rebase" and self.contains(head, base):
            return head  # already on top of the base: the branch just moves on
        index = self.git.merge_commits(base, head)
        if index.conflicts is not None:
            raise MergeConflictError(_names(index))
        who = pygit2.Signature(user, f"{user}@localhost.invalid", when, 0)
        tip = self.commit(head)
        author = tip.author if style == "squash" and tip is not None else who
        parents = [base] if style == "squash" else [base, head]
        with _flushing():
            return str(self.git.create_commit(None, author, who, message, index.write_tree(self.git), parents))

    def move(self, branch: str, before: str, after: str) -> None:
        """Set a branch that must be at `before` (libgit2 compares again under the ref's lock). Raises MovedError."""
        reference = self.git.lookup_reference(f"refs/heads/{branch}")
        if str(reference.target) != before:
            raise MovedError(branch)
        try:
            with _flushing():
                reference.set_target(pygit2.Oid(hex=after), "merge")
        except pygit2.GitError as error:
            raise MovedError(branch) from error

    def delete_branch(self, name: str) -> bool:
        try:
            self.git.references.delete(f"refs/heads/{name}")
        except KeyError:
            return False
        return True

    def read(self, commit: str, path: str) -> bytes | None:
        """A file of a commit."""
        found = self.commit(commit)
        try:
            entry: Any = found.tree[path] if found else None
        except KeyError:
            return None
        return bytes(entry.data) if entry is not None and entry.type == ObjectType.BLOB else None


@contextmanager
def _flushing() -> Iterator[None]:
    """Have libgit2 fsync what it writes. The switch is the process's, so it is on no longer than a merge takes."""
    pygit2.option(Option.ENABLE_FSYNC_GITDIR, True)
    try:
        yield
    finally:
        pygit2.option(Option.ENABLE_FSYNC_GITDIR, False)


@lru_cache(maxsize=4096)
def _conflicts(bare: Bare, base: str, head: str) -> tuple[str, ...]:
    # Both ids are content: the answer never changes.
    if bare.git.merge_base(base, head) is None:
        return ("(the histories have nothing in common)",)
    return _names(bare.git.merge_commits(base, head))


def _names(index: pygit2.Index) -> tuple[str, ...]:
    if index.conflicts is None:
        return ()
    found = {side.path for sides in index.conflicts for side in sides if side is not None}
    return tuple(sorted(found))


def create(folder: Path, default_branch: str) -> None:
    """Make a bare repository; its settings make git flush everything before it answers."""
    made = pygit2.init_repository(str(folder), bare=True, initial_head=default_branch)
    for name, value in _SETTINGS.items():
        made.config[name] = value


_SETTINGS = {
    "core.fsync": "all",
    "core.logAllRefUpdates": "false",
    "receive.fsckObjects": "true",
    "receive.denyCurrentBranch": "ignore",
    "receive.advertisePushOptions": "false",
    "receive.autogc": "false",
    "uploadpack.allowFilter": "true",
    "uploadpack.allowAnySHA1InWant": "true",
    "transfer.hideRefs": "refs/internal",
    "http.receivepack": "true",
}
