"""GitHub and GitHub Enterprise behind the Forge port. In: port calls. Out: REST v3 requests, and GraphQL for drafts.

Written against GitHub's published REST description; not run against GitHub itself. `url` is https://github.com, or an
Enterprise server's root. Check runs count as statuses: context is the run's name, creator the app that made it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal
from urllib.parse import quote, urlsplit

import msgspec

from penstock.adapters.forge import TokenSource, rest
from penstock.adapters.git.text import plain
from penstock.model.errors import RaceError, RefusedError, TransientError
from penstock.model.values import CommitId
from penstock.ports.forge import Comment, CommitStatus, MergeMethod, PullRequest, Review, ReviewState, StatusState

_PAGE = 100
_VERSION = "2022-11-28"
_DESCRIPTION_LIMIT = 140
_REVIEWS: Mapping[str, ReviewState] = {
    "APPROVED": "approved",
    "CHANGES_REQUESTED": "changes_requested",
    "COMMENTED": "commented",
    "DISMISSED": "dismissed",
}
_EVENTS = {"approved": "APPROVE", "changes_requested": "REQUEST_CHANGES", "commented": "COMMENT"}
_STATUSES: Mapping[str, StatusState] = {"pending": "pending", "success": "success", "failure": "failure", "error": "error"}
_CONCLUSIONS: Mapping[str, StatusState] = {
    "success": "success",
    "neutral": "success",
    "skipped": "success",
    "failure": "failure",
    "timed_out": "failure",
    "action_required": "failure",
    "cancelled": "error",
    "stale": "error",
}


class _User(msgspec.Struct):
    login: str


class _Label(msgspec.Struct):
    name: str


class _Branch(msgspec.Struct):
    ref: str
    sha: str


class _Pull(msgspec.Struct):
    number: int
    node_id: str
    title: str
    state: str
    html_url: str
    head: _Branch
    base: _Branch
    created_at: datetime
    updated_at: datetime
    user: _User | None = None
    body: str | None = None
    draft: bool = False
    labels: list[_Label] = []
    merged_at: datetime | None = None
    merged_by: _User | None = None
    merge_commit_sha: str | None = None
    mergeable_state: str = "unknown"


class _Issue(msgspec.Struct):
    closed_by: _User | None = None


class _Review(msgspec.Struct):
    id: int
    state: str
    commit_id: str | None = None
    submitted_at: datetime | None = None
    user: _User | None = None
    body: str | None = None


class _Comment(msgspec.Struct):
    id: int
    created_at: datetime
    user: _User | None = None
    body: str | None = None


class _Status(msgspec.Struct):
    context: str
    state: str
    description: str | None = None
    target_url: str | None = None
    creator: _User | None = None
    created_at: datetime | None = None


class _App(msgspec.Struct):
    slug: str | None = None


class _CheckRun(msgspec.Struct):
    name: str
    status: str
    conclusion: str | None = None
    details_url: str | None = None
    app: _App | None = None
    completed_at: datetime | None = None


class _CheckRuns(msgspec.Struct):
    check_runs: list[_CheckRun]
    total_count: int = 0


class _Merged(msgspec.Struct):
    sha: str


class _Commit(msgspec.Struct):
    author: _User | None = None


class GitHub:
    """The Forge port for one repository on GitHub."""

    def __init__(self, session: rest.Session, url: str, repository: str, token: TokenSource) -> None:
        self._owner, _, name = repository.partition("/")
        if not self._owner or not name or "/" in name:
            raise RefusedError(f"{repository!r} is not owner/name", code="InvalidRepository")
        self._token = token
        root, graph = roots(url)
        self._rest = rest.Rest(session, root, self._authorize, "GitHub")
        self._graph = rest.Rest(session, graph, self._authorize, "GitHub")
        self._repo = f"/repos/{quote(self._owner, safe='')}/{quote(name, safe='')}"
        self._login = ""

    async def _authorize(self) -> Mapping[str, str]:
        token = self._token if isinstance(self._token, str) else await self._token()
        return {"Authorization": f"Bearer {token}", "Accept": "application/vnd.github+json", "X-GitHub-Api-Version": _VERSION}

    async def whoami(self) -> str:
        """The login name; an App installation has none of its own and is known by its slug, which only GraphQL tells."""
        if not self._login:
            answer = await self._query("query { viewer { login } }", {})
            self._login = str(answer["viewer"]["login"])
        return self._login

    async def pulls(self, *, state: Literal["open", "closed", "all"] = "open", head: str = "") -> Sequence[PullRequest]:
        from_branch = f"{self._owner}:{head}" if head else ""
        found = await self._rest.items(f"{self._repo}/pulls", _Pull, state=state, head=from_branch, per_page=_PAGE)
        return sorted((_pull(pull) for pull in found), key=lambda pull: -pull.number)

    async def pull(self, number: int) -> PullRequest:
        found = await self._read(number)
        closed_by = ""
        if found.state == "closed" and not found.merged_at:
            issue = await self._rest.get(f"{self._repo}/issues/{number}", _Issue)
            closed_by = _name(issue.closed_by)
        return _pull(found, closed_by)

    async def open_pull(self, *, title: str, body: str, head: str, base: str, draft: bool, labels: Sequence[str]) -> PullRequest:
        if existing := await self._open_one(head, base):
            return existing
        wanted = {"title": title, "body": body, "head": head, "base": base, "draft": draft}
        try:
            made = await self._rest.send("POST", f"{self._repo}/pulls", _Pull, wanted)
        except (RefusedError, TransientError):
            # 422 also says "exists already", and a lost answer says nothing: the list says what there is.
            if existing := await self._open_one(head, base):
                return existing
            raise
        if labels:
            await self._set_labels(made.number, labels)
            made = await self._read(made.number)
        return _pull(made)

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
        changes = {name: value for name, value in (("title", title), ("body", body), ("state", state)) if value is not None}
        if changes:
            await self._rest.request("PATCH", f"{self._repo}/pulls/{number}", body=changes)
        if labels is not None:
            await self._set_labels(number, labels)
        if draft is not None:
            await self._set_draft(await self._read(number), draft)
        return await self.pull(number)

    async def merge_pull(self, number: int, *, sha: CommitId, method: MergeMethod, title: str, message: str) -> CommitId:
        wanted = {"sha": sha, "merge_method": method, "commit_title": title, "commit_message": message}
        try:
            return CommitId((await self._rest.send("PUT", f"{self._repo}/pulls/{number}/merge", _Merged, wanted)).sha)
        except RefusedError as error:
            if error.status != 405:
                raise
            raise await self._why_not(number, sha, error) from None
        except TransientError:
            now = await self._read(number)
            if now.merged_at is None or not now.merge_commit_sha:
                raise
            if now.head.sha != sha:
                raise RaceError(f"pull request {number} was merged at another head by somebody else", code="HeadMoved") from None
            return CommitId(now.merge_commit_sha)

    async def _why_not(self, number: int, sha: CommitId, error: RefusedError) -> Exception:
        """GitHub says 405 for a conflict, a rule that is not met, and a base that has just moved; the state tells which."""
        now = await self._read(number)
        if now.head.sha != sha:
            return RaceError(f"pull request {number} has a new head", code="HeadMoved", status=405)
        if now.mergeable_state == "dirty":
            return RefusedError(f"pull request {number} conflicts with its base", code="MergeConflict", status=405)
        if now.state == "open" and now.mergeable_state in ("clean", "unstable", "has_hooks", "unknown"):
            return RaceError(error.what, code="BaseMoved", status=405)
        return error

    async def reviews(self, number: int) -> Sequence[Review]:
        found = await self._rest.items(f"{self._repo}/pulls/{number}/reviews", _Review, per_page=_PAGE)
        done = [review for review in found if review.state in _REVIEWS and review.submitted_at is not None]
        return [_review(review) for review in sorted(done, key=lambda review: review.id)]

    async def review(self, number: int, *, state: ReviewState, commit: CommitId, body: str = "") -> None:
        if state not in _EVENTS:
            raise RefusedError(f"a review cannot be made as {state!r}", code="Unprocessable")
        wanted = {"event": _EVENTS[state], "commit_id": commit, "body": body}
        await self._rest.request("POST", f"{self._repo}/pulls/{number}/reviews", body=wanted)

    async def comments(self, number: int) -> Sequence[Comment]:
        found = await self._rest.items(f"{self._repo}/issues/{number}/comments", _Comment, per_page=_PAGE)
        return [_comment(comment) for comment in sorted(found, key=lambda comment: comment.id)]

    async def comment(self, number: int, body: str) -> Comment:
        return _comment(await self._rest.send("POST", f"{self._repo}/issues/{number}/comments", _Comment, {"body": body}))

    async def update_comment(self, comment: int, body: str) -> None:
        await self._rest.request("PATCH", f"{self._repo}/issues/comments/{comment}", body={"body": body})

    async def statuses(self, sha: CommitId) -> Sequence[CommitStatus]:
        found = await self._rest.items(f"{self._repo}/commits/{sha}/statuses", _Status, per_page=_PAGE)
        newest: dict[str, CommitStatus] = {}
        for status in found:  # newest first
            newest.setdefault(status.context, _status(status))
        for run in await self._check_runs(sha):
            newest.setdefault(run.name, _check(run))
        return [newest[context] for context in sorted(newest)]

    async def set_status(self, sha: CommitId, status: CommitStatus) -> None:
        wanted = {
            "context": status.context,
            "state": "success" if status.state == "warning" else status.state,  # GitHub knows no warning
            "description": status.description[:_DESCRIPTION_LIMIT],
            "target_url": status.url or None,
        }
        await self._rest.request("POST", f"{self._repo}/statuses/{sha}", body=wanted)

    async def team_members(self, team: str) -> Sequence[str]:
        slug = quote(team.rpartition("/")[2], safe="")
        found = await self._rest.items(f"/orgs/{quote(self._owner, safe='')}/teams/{slug}/members", _User, per_page=_PAGE)
        return sorted(member.login for member in found)

    async def author(self, sha: CommitId) -> str:
        return _name((await self._rest.get(f"{self._repo}/commits/{sha}", _Commit)).author)

    async def _check_runs(self, sha: CommitId) -> list[_CheckRun]:
        found: list[_CheckRun] = []
        for page in range(1, 11):  # GitHub lists the newest 1,000
            answer = await self._rest.get(f"{self._repo}/commits/{sha}/check-runs", _CheckRuns, per_page=_PAGE, page=page)
            found += answer.check_runs
            if len(found) >= answer.total_count or not answer.check_runs:
                break
        return found

    async def _read(self, number: int) -> _Pull:
        return await self._rest.get(f"{self._repo}/pulls/{number}", _Pull)

    async def _open_one(self, head: str, base: str) -> PullRequest | None:
        return next((pull for pull in await self.pulls(head=head) if pull.base == base), None)

    async def _set_labels(self, number: int, labels: Sequence[str]) -> None:
        await self._rest.request("PUT", f"{self._repo}/issues/{number}/labels", body={"labels": list(labels)})

    async def _set_draft(self, pull: _Pull, draft: bool) -> None:
        """REST cannot change it."""
        if pull.draft != draft:
            verb = "convertPullRequestToDraft" if draft else "markPullRequestReadyForReview"
            await self._query(
                f"mutation($id: ID!) {{ {verb}(input: {{pullRequestId: $id}}) {{ clientMutationId }} }}", {"id": pull.node_id}
            )

    async def _query(self, query: str, variables: Mapping[str, str]) -> dict[str, Any]:
        answer = await self._graph.send("POST", "", dict[str, Any], {"query": query, "variables": variables})
        if answer.get("errors"):
            said = "; ".join(str(error.get("message", "")) for error in answer["errors"] if isinstance(error, dict))
            raise RefusedError(f"GitHub refused: {plain(said)}", code="Refused")
        found = answer.get("data")
        if not isinstance(found, dict):
            raise RefusedError("GitHub answered something unexpected", code="UnexpectedAnswer")
        return found


def roots(url: str) -> tuple[str, str]:
    """The roots of REST and GraphQL, from the address people know."""
    host = (urlsplit(url).hostname or "").lower()
    if host in ("github.com", "www.github.com", "api.github.com"):
        return "https://api.github.com", "https://api.github.com/graphql"
    if host.endswith(".ghe.com") and not host.startswith("api."):  # Enterprise Cloud with data residency
        return f"https://api.{host}", f"https://api.{host}/graphql"
    root = url.rstrip("/").removesuffix("/api/v3")
    return f"{root}/api/v3", f"{root}/api/graphql"


def _name(user: _User | None) -> str:
    return user.login if user else ""


def _pull(pull: _Pull, closed_by: str = "") -> PullRequest:
    return PullRequest(
        number=pull.number,
        title=pull.title,
        body=pull.body or "",
        state="merged" if pull.merged_at else "open" if pull.state == "open" else "closed",
        draft=pull.draft,
        author=_name(pull.user),
        head=pull.head.ref,
        head_sha=CommitId(pull.head.sha),
        base=pull.base.ref,
        base_sha=CommitId(pull.base.sha),
        url=pull.html_url,
        labels=tuple(sorted(label.name for label in pull.labels)),
        created=pull.created_at,
        updated=pull.updated_at,
        merged=pull.merged_at,
        merged_by=_name(pull.merged_by),
        merge_sha=CommitId(pull.merge_commit_sha) if pull.merged_at and pull.merge_commit_sha else None,
        closed_by=closed_by or (_name(pull.merged_by) if pull.merged_at else ""),
    )


def _review(review: _Review) -> Review:
    assert review.submitted_at is not None
    return Review(
        user=_name(review.user),
        state=_REVIEWS[review.state],
        commit=CommitId(review.commit_id or ""),
        when=review.submitted_at,
        body=review.body or "",
    )


def _comment(comment: _Comment) -> Comment:
    return Comment(id=comment.id, user=_name(comment.user), body=comment.body or "", when=comment.created_at)


def _status(status: _Status) -> CommitStatus:
    return CommitStatus(
        context=status.context,
        state=_STATUSES.get(status.state, "error"),
        description=status.description or "",
        url=status.target_url or "",
        creator=_name(status.creator),
        when=status.created_at,
    )


def _check(run: _CheckRun) -> CommitStatus:
    done = run.status == "completed"
    return CommitStatus(
        context=run.name,
        state=_CONCLUSIONS.get(run.conclusion or "", "error") if done else "pending",
        description=(run.conclusion or "") if done else run.status,
        url=run.details_url or "",
        creator=f"{run.app.slug}[bot]" if run.app and run.app.slug else "",
        when=run.completed_at,
    )
