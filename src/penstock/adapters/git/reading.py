"""History and trees of a repository on disk, by libgit2. In: a folder. Out: the reading half of ports.repo.Repo.

Nothing here touches a work tree or a network. Order is ancestry, never the clock of whoever made a commit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pygit2
from pygit2.enums import SortMode

from penstock.adapters.git.tree import GitTree, ObjectStore
from penstock.model.errors import RefusedError
from penstock.model.tree import Tree
from penstock.model.values import CommitId, TreeId
from penstock.ports.repo import Commit, Signature

_HEX = frozenset("0123456789abcdef")


class Reader:
    """The reading half of a repository; `prefixes` says where short names are looked up, in order."""

    prefixes: tuple[str, ...] = ("", "refs/heads/", "refs/tags/", "refs/remotes/origin/")
    branch_prefix = "refs/heads/"

    def __init__(self, folder: Path) -> None:
        self._open(folder)

    def _open(self, folder: Path) -> None:
        try:
            self._git = pygit2.Repository(str(folder))
        except pygit2.GitError as error:
            raise RefusedError(f"{folder} is not a readable Git repository: {error}", code="NotARepository") from None
        self._store = ObjectStore(self._git)
        self._trees: dict[TreeId, GitTree] = {}

    def resolve(self, ref: str) -> CommitId | None:
        if len(ref) in (40, 64) and _HEX.issuperset(ref):
            return self._peel(ref)
        for prefix in self.prefixes:
            if not prefix and not (ref.startswith("refs/") or ref == "HEAD"):
                continue
            found = self._reference(prefix + ref)
            if found is not None:
                return found
        return self._abbreviated(ref)

    def commit(self, commit: CommitId) -> Commit:
        return _described(self._commit(commit))

    def tree(self, commit: CommitId) -> Tree:
        return self.tree_by_id(TreeId(str(self._commit(commit).tree_id)))

    def tree_by_id(self, tree: TreeId) -> Tree:
        """The files below a tree object; trees are kept, because environments share them from commit to commit."""
        known = self._trees.get(tree)
        if known is None:
            if len(self._trees) > 512:
                self._trees.clear()
            known = self._trees[tree] = GitTree(self._store, tree)
        return known

    def log(self, start: CommitId, *, paths: Iterable[str] = (), first_parent: bool = False) -> Iterator[Commit]:
        wanted = tuple(path.strip("/") for path in paths)
        walk = self._first_parents(start) if first_parent else self._walk(start)
        for commit in walk:
            if not wanted or self._touches(commit, wanted):
                yield _described(commit)

    def is_ancestor(self, older: CommitId, newer: CommitId) -> bool:
        self._commit(older)
        self._commit(newer)
        try:
            return older == newer or bool(self._git.descendant_of(newer, older))
        except pygit2.GitError:
            # a shallow mirror: the history between the two is not here
            raise RefusedError(f"the history of {newer[:12]} is not in the mirror", "fetch first", code="MissingCommit") from None

    def merge_base(self, one: CommitId, other: CommitId) -> CommitId | None:
        self._commit(one)
        self._commit(other)
        base = self._git.merge_base(one, other)
        return None if base is None else CommitId(str(base))

    def branches(self, prefix: str = "") -> Mapping[str, CommitId]:
        wanted = self.branch_prefix + prefix
        found: dict[str, CommitId] = {}
        for name in sorted(self._names()):
            if name.startswith(wanted):
                commit = self._reference(name)
                if commit is not None:
                    found[name.removeprefix(self.branch_prefix)] = commit
        return found

    def tags(self, prefix: str = "") -> Mapping[str, CommitId]:
        """Tags by short name, each with the commit it stands for."""
        wanted = f"refs/tags/{prefix}"
        found: dict[str, CommitId] = {}
        for name in sorted(self._names()):
            if name.startswith(wanted) and (commit := self._reference(name)) is not None:
                found[name.removeprefix("refs/tags/")] = commit
        return found

    def raw(self, name: str) -> bytes:
        """An object as it stands in the database. Raises RefusedError when it is not here."""
        return self._store.blob(name)

    def annotated(self, tag: str) -> str | None:
        """The id of the tag object of a tag (short name); None when it has none, or does not exist."""
        try:
            target = str(self._git.lookup_reference(f"refs/tags/{tag}").target)
        except (KeyError, ValueError):
            return None
        return target if isinstance(self._git.get(target), pygit2.Tag) else None

    def note(self, ref: str, commit: CommitId) -> str | None:
        try:
            return str(self._git.lookup_note(commit, f"refs/notes/{ref}").message)
        except (KeyError, ValueError):
            return None

    def _names(self) -> list[str]:
        return [name.decode("utf-8", "surrogateescape") for name in self._git.raw_listall_references()]

    def _reference(self, name: str) -> CommitId | None:
        try:
            return CommitId(str(self._git.lookup_reference(name).peel(pygit2.Commit).id))
        except (KeyError, ValueError, pygit2.GitError):  # absent, a name Git does not allow, or not a commit
            return None

    def _peel(self, name: str) -> CommitId | None:
        found = self._git.get(name)
        try:
            return None if found is None else CommitId(str(found.peel(pygit2.Commit).id))
        except (ValueError, pygit2.GitError):  # a tree or a blob
            return None

    def _abbreviated(self, ref: str) -> CommitId | None:
        """An unambiguous short commit id, as people copy it."""
        if not (7 <= len(ref) < 40 and _HEX.issuperset(ref)):
            return None
        try:
            return self._peel(str(self._git.expand_id(ref)))
        except (KeyError, ValueError, pygit2.GitError):
            return None

    def _commit(self, commit: CommitId) -> pygit2.Commit:
        found = self._store.commit(commit)
        if found is None:
            raise RefusedError(f"commit {commit[:64]} is not in the repository", "fetch first", code="MissingCommit")
        return found

    def _walk(self, start: CommitId) -> Iterator[pygit2.Commit]:
        self._commit(start)
        return iter(self._git.walk(pygit2.Oid(hex=start), SortMode.TOPOLOGICAL | SortMode.TIME))

    def _first_parents(self, start: CommitId) -> Iterator[pygit2.Commit]:
        commit = self._commit(start)
        while True:
            yield commit
            if not commit.parent_ids:
                return
            parent = self._store.commit(str(commit.parent_ids[0]))
            if parent is None:  # the edge of a shallow clone
                return
            commit = parent

    def _touches(self, commit: pygit2.Commit, paths: tuple[str, ...]) -> bool:
        """Whether one of the paths differs from the first parent: ids are compared from the root down, no file is read."""
        own, before = str(commit.tree_id), ""
        if commit.parent_ids:
            parent = self._store.commit(str(commit.parent_ids[0]))
            before = "" if parent is None else str(parent.tree_id)
        if own == before:
            return False
        return any(self._differs(own, before, path) for path in paths)

    def _differs(self, one: str, other: str, path: str) -> bool:
        if not other:
            return self._store.find(one, path) is not None
        head, _, rest = path.partition("/")
        if not head:
            return one != other
        left, right = self._store.peek(one, head), self._store.peek(other, head)
        if left == right:
            return False
        if not rest:
            return True
        if left is None or right is None:
            side = left or right
            return side is not None and side[0] == 0o040000 and self._store.find(side[1], rest) is not None
        if left[0] != 0o040000 or right[0] != 0o040000:
            inner = [slot for slot in (left, right) if slot[0] == 0o040000]
            return any(self._store.find(slot[1], rest) is not None for slot in inner)
        return self._differs(left[1], right[1], rest)


def _described(commit: pygit2.Commit) -> Commit:
    return Commit(
        id=CommitId(str(commit.id)),
        tree_id=TreeId(str(commit.tree_id)),
        parents=tuple(CommitId(str(parent)) for parent in commit.parent_ids),
        author=_signature(commit.author),
        committer=_signature(commit.committer),
        message=commit.raw_message.decode("utf-8", "replace"),
    )


def _signature(of: pygit2.Signature) -> Signature:
    return Signature(
        name=of.raw_name.decode("utf-8", "replace"), email=of.raw_email.decode("utf-8", "replace"), when=_when(of.time, of.offset)
    )


def _when(seconds: int, offset_minutes: int) -> datetime:
    """The time somebody's machine claimed; a claim beyond what a calendar holds becomes the nearest it can hold."""
    try:
        zone = timezone(timedelta(minutes=offset_minutes))
        return datetime.fromtimestamp(seconds, zone)
    except (ValueError, OverflowError, OSError):
        return datetime(9999, 12, 31, tzinfo=UTC) if seconds > 0 else datetime(1970, 1, 1, tzinfo=UTC)
