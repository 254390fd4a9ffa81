"""A forge: pull requests, reviews, commit statuses and merges, in GitHub's words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from penstock.model.values import CommitId

PullState = Literal["open", "closed", "merged"]
ReviewState = Literal["approved", "changes_requested", "commented", "dismissed"]
StatusState = Literal["pending", "success", "failure", "error", "warning"]
MergeMethod = Literal["merge", "squash", "rebase"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PullRequest:
    """A pull request as the forge shows it now."""

    number: int
    title: str
    body: str
    state: PullState
    draft: bool
    author: str
    """Login name."""
    head: str
    """Short name of the source branch."""
    head_sha: CommitId
    base: str
    base_sha: CommitId
    url: str
    """For people."""
    labels: tuple[str, ...] = ()
    created: datetime
    updated: datetime
    merged: datetime | None = None
    merged_by: str = ""
    merge_sha: CommitId | None = None
    closed_by: str = ""
    """Login name of who closed or merged it; of one closed without a merge only `pull` asks for it, lists leave it ''."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """One review of a pull request; it is void for a head other than `commit`."""

    user: str
    state: ReviewState
    commit: CommitId
    when: datetime
    body: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitStatus:
    """A status of a commit under one context, the newest a context has."""

    context: str
    state: StatusState
    description: str
    url: str = ""
    creator: str = ""
    """Login name; a gate that trusts a context also names who may set it."""
    when: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    """A comment on a pull request."""

    id: int
    user: str
    body: str
    when: datetime


class Forge(Protocol):
    """One repository on a forge.

    Raises: RefusedError (401, 403, 404, 422), RaceError (409, head moved), TransientError (429, 5xx, no answer).
    Lists are complete: adapters follow pagination to its end.
    """

    async def whoami(self) -> str:
        """The login name our credentials belong to."""

    async def pulls(self, *, state: Literal["open", "closed", "all"] = "open", head: str = "") -> Sequence[PullRequest]:
        """Pull requests, newest first ('closed' has merged ones too); with `head`, only those from that branch."""

    async def pull(self, number: int) -> PullRequest:
        """One pull request."""

    async def open_pull(self, *, title: str, body: str, head: str, base: str, draft: bool, labels: Sequence[str]) -> PullRequest:
        """Open one. When an open one with this head and base exists already, that is returned instead."""

    async def update_pull(
        self,
        number: int,
        *,
        title: str | None = None,
        body: str | None = None,
        draft: bool | None = None,
        labels: Sequence[str] | None = None,
        state: Literal["open", "closed"] | None = None,
    ) -> PullRequest:
        """Change what is given, leave the rest."""

    async def merge_pull(self, number: int, *, sha: CommitId, method: MergeMethod, title: str, message: str) -> CommitId:
        """Merge only if the head is still `sha`; the new commit on the base. Raises RaceError when it moved."""

    async def reviews(self, number: int) -> Sequence[Review]:
        """All reviews, oldest first."""

    async def review(self, number: int, *, state: ReviewState, commit: CommitId, body: str = "") -> None:
        """Add a review as ourselves."""

    async def comments(self, number: int) -> Sequence[Comment]:
        """Comments, oldest first."""

    async def comment(self, number: int, body: str) -> Comment:
        """Add a comment."""

    async def update_comment(self, comment: int, body: str) -> None:
        """Replace a comment's text."""

    async def statuses(self, sha: CommitId) -> Sequence[CommitStatus]:
        """The newest status of every context of a commit."""

    async def set_status(self, sha: CommitId, status: CommitStatus) -> None:
        """Set the status of one context (creator and when are the forge's to fill in)."""

    async def team_members(self, team: str) -> Sequence[str]:
        """Login names in a team of the repository's organisation."""

    async def author(self, sha: CommitId) -> str:
        """Login name of who wrote a commit, as the forge finds it by the author's address; '' when nobody is known by it."""
