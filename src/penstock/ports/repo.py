"""A Git repository: history and trees read by object id, commits written in the object database, never a checkout."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from penstock.model.tree import Tree
from penstock.model.values import CommitId, TreeId


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """Who did something, and when (time-zone aware)."""

    name: str
    email: str
    when: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """One commit, without its tree's content."""

    id: CommitId
    tree_id: TreeId
    parents: tuple[CommitId, ...]
    author: Signature
    committer: Signature
    message: str

    @property
    def subject(self) -> str:
        """The first line of the message."""
        return self.message.split("\n", 1)[0]


class RepoReader(Protocol):
    """The reading half of a repository, all there is of a user's own clone. Local and quick.

    Raises everywhere: RefusedError (unknown ref or commit).
    """

    def resolve(self, ref: str) -> CommitId | None:
        """The commit a branch name, tag name, full ref or commit id stands for; None when there is none."""

    def commit(self, commit: CommitId) -> Commit:
        """Raises RefusedError when the commit is not here."""

    def tree(self, commit: CommitId) -> Tree:
        """The files of a commit."""

    def log(self, start: CommitId, *, paths: Iterable[str] = (), first_parent: bool = False) -> Iterator[Commit]:
        """Commits reachable from `start`, newest first (topological); with `paths`, those that changed one of them
        against their first parent."""

    def is_ancestor(self, older: CommitId, newer: CommitId) -> bool:
        """Whether `newer` has `older` in its history (a commit is its own ancestor)."""

    def merge_base(self, one: CommitId, other: CommitId) -> CommitId | None:
        """The best common ancestor."""

    def branches(self, prefix: str = "") -> Mapping[str, CommitId]:
        """Branches of the remote as last fetched, by short name."""

    def note(self, ref: str, commit: CommitId) -> str | None:
        """The note of a commit in notes ref `ref` (short, below refs/notes/)."""


class Repo(RepoReader, Protocol):
    """A repository we read and, for promotion branches, write. Reading is local and quick; fetch and push are remote.

    Raises everywhere: RefusedError (unknown ref, auth), TransientError (network), RaceError (moved ref).
    """

    def write_commit(
        self, parents: Iterable[CommitId], changes: Mapping[str, bytes | None], *, message: str, author: Signature
    ) -> CommitId:
        """Write a commit whose tree is the first parent's with these files replaced (None deletes), modes kept."""

    async def fetch(self) -> None:
        """Bring all branches, tags and notes up to date; deleted ones go."""

    async def push(self, branch: str, commit: CommitId | None, *, expect: CommitId | None) -> None:
        """Set a remote branch to a commit (None deletes) if it still is at `expect` (None: does not exist).

        Raises RaceError when it is elsewhere; an answer that was lost is settled by re-reading the ref.
        """

    async def add_note(self, ref: str, commit: CommitId, text: str) -> None:
        """Write a note and push the notes ref; a race is resolved by re-reading and writing again."""
