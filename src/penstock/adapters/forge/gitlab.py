"""GitLab behind the Forge port. In: port calls. Out: REST v4 requests; a merge request is a pull request here.

Written against GitLab's published REST description; not run against GitLab itself. Where the words differ: a draft is a
title that begins with 'Draft:'; an approval has a time but no commit, so it counts for the newest version pushed before
it; requesting changes is a comment that says so, for lack of a call; a team is a group, by its full path.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal
from urllib.parse import quote

import msgspec

from penstock.adapters.forge import TokenSource, rest
from penstock.model.errors import RaceError, RefusedError, TransientError
from penstock.model.values import CommitId
from penstock.ports.forge import Comment, CommitStatus, MergeMethod, PullRequest, Review, ReviewState, StatusState

_PAGE = 100
_DRAFT = "Draft: "
_DRAFTS = ("draft:", "[draft]", "(draft)")
_CHECKING = ("checking", "unchecked", "preparing", "approvals_syncing")
_CHECKING_TRIES, _CHECKING_PAUSE = 20, 0.5
"""GitLab looks at a merge request in the background after every push, and merges nothing meanwhile."""
_STATES = {"open": "opened", "closed": "closed", "all": "all"}
_STATUSES: Mapping[str, StatusState] = {
    "success": "success",
    "failed": "failure",
    "canceled": "error",
    "canceling": "error",
    "skipped": "success",
}
"""Every other state (created, pending, running, manual, scheduled, ...) is on its way: pending."""
_SET_STATUS = {"pending": "pending", "success": "success", "warning": "success", "failure": "failed", "error": "failed"}


class _User(msgspec.Struct):
    username: str


class _Refs(msgspec.Struct):
    base_sha: str | None = None
    head_sha: str | None = None
    start_sha: str | None = None


class _Merge(msgspec.Struct):
    iid: int
    title: str
    state: str
    web_url: str
    source_branch: str
    target_branch: str
    created_at: datetime
    updated_at: datetime
    sha: str | None = None
    author: _User | None = None
    description: str | None = None
    draft: bool = False
    labels: list[str] = []
    merged_at: datetime | None = None
    merge_user: _User | None = None
    closed_by: _User | None = None
    merge_commit_sha: str | None = None
    squash_commit_sha: str | None = None
    diff_refs: _Refs | None = None
    detailed_merge_status: str = ""


class _Approval(msgspec.Struct):
    user: _User
    approved_at: datetime | None = None


class _Approvals(msgspec.Struct):
    approved_by: list[_Approval] = []


class _Version(msgspec.Struct):
    head_commit_sha: str
    created_at: datetime


class _Note(msgspec.Struct):
    id: int
    created_at: datetime
    author: _User | None = None
    body: str = ""
    system: bool = False


class _Status(msgspec.Struct):
    name: str
    status: str
    description: str | None = None
    target_url: str | None = None
    author: _User | None = None
    created_at: datetime | None = None


class _Commit(msgspec.Struct):
    author_email: str = ""


class GitLab:
    """The Forge port for one project on GitLab."""

    def __init__(self, session: rest.Session, url: str, repository: str, token: TokenSource) -> None:
        if "/" not in repository.strip("/"):
            raise RefusedError(f"{repository!r} is not group/name", code="InvalidRepository")
        self._token = token
        self._rest = rest.Rest(session, f"{url.rstrip('/')}/api/v4", self._authorize, "GitLab")
        self._project = f"/projects/{quote(repository.strip('/'), safe='')}"
        self._login = ""

    async def _authorize(self) -> Mapping[str, str]:
        # Personal, project and group access tokens and OAuth tokens are all taken this way.
        return {"Authorization": f"Bearer {self._token if isinstance(self._token, str) else await self._token()}"}

    async def whoami(self) -> str:
        if not self._login:
            self._login = (await self._rest.get("/user", _User)).username
        return self._login

    async def pulls(self, *, state: Literal["open", "closed", "all"] = "open", head: str = "") -> Sequence[PullRequest]:
        wanted = "all" if state == "closed" else _STATES[state]  # GitLab's 'closed' leaves out merged ones
        path = f"{self._project}/merge_requests"
        found = await self._rest.items(path, _Merge, state=wanted, source_branch=head, scope="all", per_page=_PAGE)
        shown = [_pull(merge) for merge in found]
        if state == "closed":
            shown = [pull for pull in shown if pull.state != "open"]
        return sorted(shown, key=lambda pull: -pull.number)

    async def pull(self, number: int) -> PullRequest:
        return _pull(await self._read(number))

    async def open_pull(self, *, title: str, body: str, head: str, base: str, draft: bool, labels: Sequence[str]) -> PullRequest:
        if existing := await self._open_one(head, base):
            return existing
        wanted = {
            "title": _titled(title, draft),
            "description": body,
            "source_branch": head,
            "target_branch": base,
            "labels": ",".join(labels),
        }
        try:
            return _pull(await self._rest.send("POST", f"{self._project}/merge_requests", _Merge, wanted))
        except (RaceError, TransientError):
            if existing := await self._open_one(head, base):
                return existing
            raise

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
        before = _pull(await self._read(number))
        changes: dict[str, Any] = {}
        if title is not None or draft is not None:
            changes["title"] = _titled(before.title if title is None else title, before.draft if draft is None else draft)
        if body is not None:
            changes["description"] = body
        if labels is not None:
            changes["labels"] = ",".join(labels)
        if state is not None and state != before.state:
            changes["state_event"] = "close" if state == "closed" else "reopen"
        if not changes:
            return before
        return _pull(await self._rest.send("PUT", f"{self._project}/merge_requests/{number}", _Merge, changes))

    async def merge_pull(self, number: int, *, sha: CommitId, method: MergeMethod, title: str, message: str) -> CommitId:
        """'merge' and 'squash'; whether a merge makes a merge commit or a fast-forward is the project's setting."""
        text = f"{title}\n\n{message}" if message else title
        squash = method == "squash"
        wanted = {"sha": sha, "squash": squash, ("squash_commit_message" if squash else "merge_commit_message"): text}
        done = await self._merge(number, sha, wanted)
        if done.sha and done.sha != sha:
            raise RaceError(f"merge request {number} was merged at another head by somebody else", code="HeadMoved")
        made = _merge_sha(done)
        if done.state != "merged" or made is None:
            raise TransientError(f"merge request {number} is not merged (yet)", code="NotMerged")
        return made

    async def _merge(self, number: int, sha: CommitId, wanted: Mapping[str, object]) -> _Merge:
        for _ in range(_CHECKING_TRIES):
            try:
                return await self._rest.send("PUT", f"{self._project}/merge_requests/{number}/merge", _Merge, wanted)
            except TransientError:
                done = await self._read(number)
                if done.merged_at is None:
                    raise
                return done
            except RefusedError as error:
                if error.status not in (405, 406, 422):
                    raise
                now = await self._read(number)
                if now.sha != sha:
                    raise RaceError(f"merge request {number} has a new head", code="HeadMoved", status=error.status) from None
                if now.detailed_merge_status in ("conflict", "broken_status"):
                    what = f"merge request {number} conflicts with its target"
                    raise RefusedError(what, code="MergeConflict", status=error.status) from None
                if now.detailed_merge_status not in _CHECKING:
                    raise
                await asyncio.sleep(_CHECKING_PAUSE)
        raise TransientError(f"GitLab has not finished looking at merge request {number}", code="NotMerged")

    async def reviews(self, number: int) -> Sequence[Review]:
        path = f"{self._project}/merge_requests/{number}"
        approvals = (await self._rest.get(f"{path}/approvals", _Approvals)).approved_by
        if not approvals:
            return []
        if any(approval.approved_at is None for approval in approvals):
            approvals = await self._dated(path, approvals)
        versions = await self._rest.items(f"{path}/versions", _Version, per_page=_PAGE)
        found = [_approval(approval, versions) for approval in approvals if approval.approved_at is not None]
        return sorted(found, key=lambda review: review.when)

    async def _dated(self, path: str, approvals: Sequence[_Approval]) -> list[_Approval]:
        """Before 18.5 GitLab tells when somebody approved only in a system note; an approval without one does not count."""
        notes = await self._rest.items(f"{path}/notes", _Note, sort="asc", order_by="created_at", per_page=_PAGE)
        when = {_name(note.author): note.created_at for note in notes if note.system and note.body.startswith("approved this")}
        return [_Approval(user=one.user, approved_at=one.approved_at or when.get(one.user.username)) for one in approvals]

    async def review(self, number: int, *, state: ReviewState, commit: CommitId, body: str = "") -> None:
        path = f"{self._project}/merge_requests/{number}"
        if state == "approved":
            await self._rest.request("POST", f"{path}/approve", body={"sha": commit})
        elif state == "dismissed":
            raise RefusedError("a review cannot be made as 'dismissed'", code="Unprocessable")
        said = f"Changes requested: {body}" if state == "changes_requested" else body
        if said:
            await self._rest.request("POST", f"{path}/notes", body={"body": said})

    async def comments(self, number: int) -> Sequence[Comment]:
        path = f"{self._project}/merge_requests/{number}/notes"
        found = await self._rest.items(path, _Note, sort="asc", order_by="created_at", per_page=_PAGE)
        return [_comment(note, number) for note in sorted(found, key=lambda note: note.id) if not note.system]

    async def comment(self, number: int, body: str) -> Comment:
        path = f"{self._project}/merge_requests/{number}/notes"
        return _comment(await self._rest.send("POST", path, _Note, {"body": body}), number)

    async def update_comment(self, comment: int, body: str) -> None:
        """A note is addressed below its merge request, so `comment` carries both numbers (see _comment)."""
        number, note = comment >> _NOTE_BITS, comment & ((1 << _NOTE_BITS) - 1)
        await self._rest.request("PUT", f"{self._project}/merge_requests/{number}/notes/{note}", body={"body": body})

    async def statuses(self, sha: CommitId) -> Sequence[CommitStatus]:
        found = await self._rest.items(f"{self._project}/repository/commits/{sha}/statuses", _Status, per_page=_PAGE)
        return [_status(status) for status in sorted(found, key=lambda status: status.name)]

    async def set_status(self, sha: CommitId, status: CommitStatus) -> None:
        wanted = {
            "name": status.context,
            "state": _SET_STATUS[status.state],
            "description": status.description[:255],
            "target_url": status.url or None,
        }
        try:
            await self._rest.request("POST", f"{self._project}/statuses/{sha}", body=wanted)
        except RefusedError as error:
            # "Cannot transition status via :run from :running": it says so already.
            if error.status != 400 or not any(
                one.context == status.context and one.state == status.state for one in await self.statuses(sha)
            ):
                raise

    async def team_members(self, team: str) -> Sequence[str]:
        found = await self._rest.items(f"/groups/{quote(team, safe='')}/members/all", _User, per_page=_PAGE)
        return sorted({member.username for member in found})

    async def author(self, sha: CommitId) -> str:
        """GitLab's commits name no user: the one found by the author's address, public or (for administrators) not."""
        commit = await self._rest.get(f"{self._project}/repository/commits/{sha}", _Commit)
        found = await self._rest.items("/users", _User, search=commit.author_email) if commit.author_email else []
        return found[0].username if len(found) == 1 else ""

    async def _read(self, number: int) -> _Merge:
        return await self._rest.get(f"{self._project}/merge_requests/{number}", _Merge)

    async def _open_one(self, head: str, base: str) -> PullRequest | None:
        return next((pull for pull in await self.pulls(head=head) if pull.base == base), None)


_NOTE_BITS = 40


def _titled(title: str, draft: bool) -> str:
    plain = _untitled(title)
    return f"{_DRAFT}{plain}" if draft else plain


def _untitled(title: str) -> str:
    for prefix in _DRAFTS:
        if title.lower().startswith(prefix):
            return title[len(prefix) :].lstrip()
    return title


def _name(user: _User | None) -> str:
    return user.username if user else ""


def _merge_sha(merge: _Merge) -> CommitId | None:
    """The commit that came onto the target: a merge commit, a squashed one, or the head itself (fast-forward)."""
    if merge.state != "merged":
        return None
    made = merge.merge_commit_sha or merge.squash_commit_sha or merge.sha
    return CommitId(made) if made else None


def _pull(merge: _Merge) -> PullRequest:
    refs = merge.diff_refs or _Refs()
    merged = merge.state == "merged"
    return PullRequest(
        number=merge.iid,
        title=_untitled(merge.title),
        body=merge.description or "",
        state="merged" if merged else "open" if merge.state in ("opened", "locked") else "closed",
        draft=merge.draft,
        author=_name(merge.author),
        head=merge.source_branch,
        head_sha=CommitId(merge.sha or ""),
        base=merge.target_branch,
        base_sha=CommitId(refs.start_sha or refs.base_sha or ""),
        url=merge.web_url,
        labels=tuple(sorted(merge.labels)),
        created=merge.created_at,
        updated=merge.updated_at,
        merged=merge.merged_at,
        merged_by=_name(merge.merge_user),
        merge_sha=_merge_sha(merge),
        closed_by=_name(merge.merge_user if merged else merge.closed_by),
    )


def _approval(approval: _Approval, versions: Sequence[_Version]) -> Review:
    """The approval, of the version that was the newest when it was given."""
    assert approval.approved_at is not None
    seen = [version for version in versions if version.created_at <= approval.approved_at]
    at = max(seen, key=lambda version: version.created_at).head_commit_sha if seen else ""
    return Review(user=approval.user.username, state="approved", commit=CommitId(at), when=approval.approved_at)


def _comment(note: _Note, number: int) -> Comment:
    return Comment(id=number << _NOTE_BITS | note.id, user=_name(note.author), body=note.body, when=note.created_at)


def _status(status: _Status) -> CommitStatus:
    return CommitStatus(
        context=status.name,
        state=_STATUSES.get(status.status, "pending"),
        description=status.description or "",
        url=status.target_url or "",
        creator=_name(status.author),
        when=status.created_at,
    )
