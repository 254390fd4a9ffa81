"""Gitea and Forgejo (and the sandbox forge, which speaks the same API). In: port calls. Out: requests below /api/v1.

Source: Gitea's swagger of 1.26. What Gitea lacks is made up for here: a draft is a title that begins with 'WIP:', who
closed a pull request stands in its timeline, a merge answers with nothing and is read back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal
from urllib.parse import quote

import msgspec

from penstock.adapters.forge import TokenSource, rest
from penstock.model.errors import RaceError, RefusedError, TransientError
from penstock.model.values import CommitId
from penstock.ports.forge import Comment, CommitStatus, MergeMethod, PullRequest, Review, ReviewState, StatusState

_PAGE = 50
_DRAFT = "WIP: "
_DRAFTS = ("wip:", "[wip]")
_LABEL_COLOR = "#1d76db"
_SETTLED = timedelta(seconds=10)
_CLOSING_TRIES = 3
_CHECKING_TRIES, _CHECKING_PAUSE = 20, 0.25
"""Gitea looks for conflicts in the background after every push, and merges nothing meanwhile."""

_STATUS: Mapping[str, StatusState] = {
    "pending": "pending",
    "success": "success",
    "failure": "failure",
    "error": "error",
    "warning": "warning",
    "skipped": "success",
}
_REVIEW: Mapping[str, ReviewState] = {"APPROVED": "approved", "REQUEST_CHANGES": "changes_requested", "COMMENT": "commented"}
_EVENT = {"approved": "APPROVED", "changes_requested": "REQUEST_CHANGES", "commented": "COMMENT"}


class _User(msgspec.Struct):
    login: str


class _Label(msgspec.Struct):
    id: int
    name: str


class _Branch(msgspec.Struct):
    ref: str
    sha: str
    label: str = ""

    @property
    def name(self) -> str:
        """The branch's name, also once it is deleted: then `ref` is refs/pull/<number>/head."""
        return self.label if self.label and self.ref.startswith("refs/pull/") else self.ref


class _Pull(msgspec.Struct):
    number: int
    title: str
    state: str
    html_url: str
    head: _Branch
    base: _Branch
    created_at: datetime
    updated_at: datetime
    user: _User | None = None
    body: str | None = ""
    draft: bool = False
    mergeable: bool = False
    labels: list[_Label] | None = None
    merged_at: datetime | None = None
    merged_by: _User | None = None
    merge_commit_sha: str | None = None


class _Review(msgspec.Struct):
    id: int
    state: str
    commit_id: str
    submitted_at: datetime
    user: _User | None = None
    body: str = ""
    dismissed: bool = False


class _Comment(msgspec.Struct):
    id: int
    body: str
    created_at: datetime
    user: _User | None = None


class _Status(msgspec.Struct):
    id: int
    status: str
    context: str
    description: str | None = ""
    target_url: str | None = ""
    creator: _User | None = None
    created_at: datetime | None = None


class _Event(msgspec.Struct):
    type: str
    user: _User | None = None


class _Team(msgspec.Struct):
    id: int
    name: str


class _Commit(msgspec.Struct):
    author: _User | None = None


class Gitea:
    """The Forge port for one repository on Gitea."""

    def __init__(self, session: rest.Session, url: str, repository: str, token: TokenSource) -> None:
        self._owner, _, name = repository.partition("/")
        if not self._owner or not name or "/" in name:
            raise RefusedError(f"{repository!r} is not owner/name", code="InvalidRepository")
        self._token = token
        self._rest = rest.Rest(session, f"{url.rstrip('/')}/api/v1", self._authorize, "Gitea")
        self._repo = f"/repos/{quote(self._owner, safe='')}/{quote(name, safe='')}"
        self._login = ""
        self._known: dict[int, tuple[_Pull, bool]] = {}
        """Every pull request as last seen, and whether its last change was long enough ago to rely on its time."""
        self._reading = asyncio.Lock()

    async def _authorize(self) -> Mapping[str, str]:
        return {"Authorization": f"token {self._token if isinstance(self._token, str) else await self._token()}"}

    async def whoami(self) -> str:
        if not self._login:
            self._login = (await self._rest.get("/user", _User)).login
        return self._login

    async def pulls(self, *, state: Literal["open", "closed", "all"] = "open", head: str = "") -> Sequence[PullRequest]:
        if state == "open":
            found = await self._rest.items(f"{self._repo}/pulls", _Pull, state=state, limit=_PAGE)
        else:
            found = [pull for pull in await self._everything() if state == "all" or pull.state == "closed"]
        shown = [_pull(pull) for pull in found if head in ("", pull.head.name)]
        return sorted(shown, key=lambda pull: -pull.number)

    async def _everything(self) -> list[_Pull]:
        """All pull requests there ever were; after the first time only what changed since is read.

        The list comes newest change first, so a page with nothing new on it ends what is new. Times have whole seconds:
        what had changed only a moment before it was read is not taken for known, but read again.
        """
        async with self._reading:
            async for page in self._rest.pages(f"{self._repo}/pulls", _Pull, state="all", sort="recentupdate", limit=_PAGE):
                now = self._rest.server_time
                nothing_new = all(self._knows(pull) for pull in page)
                for pull in page:
                    before, _ = self._known.get(pull.number, (pull, False))
                    if before.updated_at <= pull.updated_at:  # else the list moved under our reading
                        self._known[pull.number] = (pull, now is not None and now - pull.updated_at > _SETTLED)
                if nothing_new:
                    break
            return [pull for pull, _ in self._known.values()]

    def _knows(self, pull: _Pull) -> bool:
        known, settled = self._known.get(pull.number, (None, False))
        return settled and known is not None and known.updated_at == pull.updated_at

    async def pull(self, number: int) -> PullRequest:
        found = await self._read(number)
        closed_by = ""
        if found.state == "closed" and not found.merged_at:
            events = await self._rest.items(f"{self._repo}/issues/{number}/timeline", _Event, limit=_PAGE)
            closed_by = next((event.user.login for event in reversed(events) if event.type == "close" and event.user), "")
        return _pull(found, closed_by)

    async def open_pull(self, *, title: str, body: str, head: str, base: str, draft: bool, labels: Sequence[str]) -> PullRequest:
        if existing := await self._open_one(head, base):
            return existing
        wanted = {
            "title": _titled(title, draft),
            "body": body,
            "head": head,
            "base": base,
            "labels": await self._label_ids(labels),
        }
        try:
            made = await self._rest.send("POST", f"{self._repo}/pulls", _Pull, wanted)
        except (RaceError, TransientError):
            # Somebody was quicker, or the answer was lost: either way the list says what there is.
            if existing := await self._open_one(head, base):
                return existing
            raise
        return await self._the_first(_pull(made))

    async def _the_first(self, made: PullRequest) -> PullRequest:
        """Gitea looks for a twin before it opens, not while: two who open at once get one each. The lowest number stays.

        Whoever of the openers lists last sees all of them and closes all others, so exactly one is left.
        """
        twins = [pull for pull in await self.pulls(head=made.head) if pull.base == made.base and pull.author == made.author]
        first, *others = sorted(twins, key=lambda pull: pull.number) or [made]
        for twin in others:
            await self._close(twin.number)
        return first

    async def _close(self, number: int) -> None:
        """Close it, whoever else is about to (Gitea answers 500 to one of two who do so at once)."""
        for attempt in range(_CLOSING_TRIES):
            try:
                await self._rest.request("PATCH", f"{self._repo}/pulls/{number}", body={"state": "closed"})
                return
            except (RaceError, TransientError):
                if (await self._read(number)).state == "closed":
                    return
                if attempt == _CLOSING_TRIES - 1:
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
        changes: dict[str, Any] = {}
        if title is not None or draft is not None:
            before = _pull(await self._read(number))
            kept = before.title if title is None else title
            changes["title"] = _titled(kept, before.draft if draft is None else draft)
        if body is not None:
            changes["body"] = body
        if state is not None:
            changes["state"] = state
        if labels is not None:
            changes["labels"] = await self._label_ids(labels)
        if changes:
            await self._rest.request("PATCH", f"{self._repo}/pulls/{number}", body=changes)
        return await self.pull(number)

    async def merge_pull(self, number: int, *, sha: CommitId, method: MergeMethod, title: str, message: str) -> CommitId:
        wanted = {"Do": method, "MergeTitleField": title, "MergeMessageField": message, "head_commit_id": sha}
        path = f"{self._repo}/pulls/{number}/merge"
        for _ in range(_CHECKING_TRIES):
            try:
                await self._rest.request("POST", path, body=wanted)
                break
            except RaceError as error:
                raise await self._why_not(number, sha, error) from None
            except RefusedError as error:
                if error.status != 405 or "try again later" not in error.what.lower():
                    raise
                if (await self._read(number)).head.sha != sha:
                    raise RaceError(f"pull request {number} has a new head", code="HeadMoved") from None
                await asyncio.sleep(_CHECKING_PAUSE)
            except TransientError:
                return await self._settled(number, sha)
        else:
            raise RefusedError(f"pull request {number} does not merge: Gitea finds a conflict", code="MergeConflict", status=405)
        return await self._settled(number, sha)

    async def _settled(self, number: int, sha: CommitId) -> CommitId:
        """What a merge whose answer is empty or lost has made."""
        now = await self._read(number)
        if now.merged_at is None or not now.merge_commit_sha:
            raise TransientError(f"pull request {number} is not merged (yet)", code="NotMerged")
        if now.head.sha != sha:
            raise RaceError(f"pull request {number} was merged at another head by somebody else", code="HeadMoved")
        return CommitId(now.merge_commit_sha)

    async def _why_not(self, number: int, sha: CommitId, error: RaceError) -> Exception:
        """Gitea says 409 for a moved head, a moved base and a conflict alike; the pull request tells which."""
        for _ in range(_CHECKING_TRIES):
            now = await self._read(number)
            if now.head.sha != sha:
                return RaceError(f"pull request {number} has a new head", code="HeadMoved", status=409)
            if not now.mergeable:
                break
            await asyncio.sleep(_CHECKING_PAUSE)  # when the base has just moved, it is still to be looked at
        else:
            return error
        return RefusedError(f"pull request {number} conflicts with its base", code="MergeConflict", status=409)

    async def reviews(self, number: int) -> Sequence[Review]:
        found = await self._rest.items(f"{self._repo}/pulls/{number}/reviews", _Review, limit=_PAGE)
        return [_review(review) for review in sorted(found, key=lambda review: review.id) if review.state in _REVIEW]

    async def review(self, number: int, *, state: ReviewState, commit: CommitId, body: str = "") -> None:
        if state not in _EVENT:
            raise RefusedError(f"a review cannot be made as {state!r}", code="Unprocessable")
        wanted = {"event": _EVENT[state], "commit_id": commit, "body": body}
        await self._rest.request("POST", f"{self._repo}/pulls/{number}/reviews", body=wanted)

    async def comments(self, number: int) -> Sequence[Comment]:
        found = await self._rest.items(f"{self._repo}/issues/{number}/comments", _Comment, limit=_PAGE)
        return [_comment(comment) for comment in sorted(found, key=lambda comment: comment.id)]

    async def comment(self, number: int, body: str) -> Comment:
        return _comment(await self._rest.send("POST", f"{self._repo}/issues/{number}/comments", _Comment, {"body": body}))

    async def update_comment(self, comment: int, body: str) -> None:
        await self._rest.request("PATCH", f"{self._repo}/issues/comments/{comment}", body={"body": body})

    async def statuses(self, sha: CommitId) -> Sequence[CommitStatus]:
        found = await self._rest.items(f"{self._repo}/statuses/{sha}", _Status, limit=_PAGE)
        newest: dict[str, _Status] = {}
        for status in sorted(found, key=lambda status: status.id):
            newest[status.context] = status
        return [_status(newest[context]) for context in sorted(newest)]

    async def set_status(self, sha: CommitId, status: CommitStatus) -> None:
        wanted = {"context": status.context, "state": status.state, "description": status.description, "target_url": status.url}
        await self._rest.request("POST", f"{self._repo}/statuses/{sha}", body=wanted)

    async def team_members(self, team: str) -> Sequence[str]:
        """Gitea shows a team's members to that team, to owners of the organisation and to admins only (else 403)."""
        name = team.rpartition("/")[2]
        found = await self._rest.items(f"/orgs/{quote(self._owner, safe='')}/teams", _Team, limit=_PAGE)
        exact = [item for item in found if item.name.lower() == name.lower()]
        if not exact:
            raise RefusedError(f"{self._owner} has no team {team!r}", code="NotFound", status=404)
        members = await self._rest.items(f"/teams/{exact[0].id}/members", _User, limit=_PAGE)
        return sorted(member.login for member in members)

    async def author(self, sha: CommitId) -> str:
        light = {"stat": "false", "verification": "false", "files": "false"}
        return _name((await self._rest.get(f"{self._repo}/git/commits/{sha}", _Commit, **light)).author)

    async def _read(self, number: int) -> _Pull:
        return await self._rest.get(f"{self._repo}/pulls/{number}", _Pull)

    async def _open_one(self, head: str, base: str) -> PullRequest | None:
        found = [pull for pull in await self.pulls(head=head) if pull.base == base]
        return min(found, key=lambda pull: pull.number, default=None)

    async def _label_ids(self, names: Sequence[str]) -> list[int]:
        """The ids of labels by name; missing ones are made."""
        if not names:
            return []
        known = {label.name: label.id for label in reversed(await self._rest.items(f"{self._repo}/labels", _Label, limit=_PAGE))}
        for name in names:
            if name not in known:
                wanted = {"name": name, "color": _LABEL_COLOR}
                known[name] = (await self._rest.send("POST", f"{self._repo}/labels", _Label, wanted)).id
        return [known[name] for name in names]


def _titled(title: str, draft: bool) -> str:
    plain = _untitled(title)
    return f"{_DRAFT}{plain}" if draft else plain


def _untitled(title: str) -> str:
    """A title without the prefix that makes it a draft."""
    for prefix in _DRAFTS:
        if title.lower().startswith(prefix):
            return title[len(prefix) :].lstrip()
    return title


def _name(user: _User | None) -> str:
    return user.login if user else ""


def _pull(pull: _Pull, closed_by: str = "") -> PullRequest:
    return PullRequest(
        number=pull.number,
        title=_untitled(pull.title),
        body=pull.body or "",
        state="merged" if pull.merged_at else "open" if pull.state == "open" else "closed",
        draft=pull.draft or pull.title.lower().startswith(_DRAFTS),
        author=_name(pull.user),
        head=pull.head.name,
        head_sha=CommitId(pull.head.sha),
        base=pull.base.ref,
        base_sha=CommitId(pull.base.sha),
        url=pull.html_url,
        labels=tuple(sorted(label.name for label in pull.labels or ())),
        created=pull.created_at,
        updated=pull.updated_at,
        merged=pull.merged_at,
        merged_by=_name(pull.merged_by),
        merge_sha=CommitId(pull.merge_commit_sha) if pull.merged_at and pull.merge_commit_sha else None,
        closed_by=closed_by or (_name(pull.merged_by) if pull.merged_at else ""),
    )


def _review(review: _Review) -> Review:
    state = "dismissed" if review.dismissed else _REVIEW[review.state]
    return Review(
        user=_name(review.user), state=state, commit=CommitId(review.commit_id), when=review.submitted_at, body=review.body
    )


def _comment(comment: _Comment) -> Comment:
    return Comment(id=comment.id, user=_name(comment.user), body=comment.body, when=comment.created_at)


def _status(status: _Status) -> CommitStatus:
    return CommitStatus(
        context=status.context,
        state=_STATUS.get(status.status, "error"),
        description=status.description or "",
        url=status.target_url or "",
        creator=_name(status.creator),
        when=status.created_at,
    )
