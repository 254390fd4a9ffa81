"""Pull requests over the API: reviews, comments, labels, merges. In: requests. Out: Gitea's JSON, or a Refusal.

What is allowed is decided in `pulls`; here words are taken in and handed out.
"""

from __future__ import annotations

from typing import cast

from aiohttp import web

from penstock.sandbox.forge import asking
from penstock.sandbox.forge.pulls import Pulls, Refusal
from penstock.sandbox.forge.repositories import MergeStyle
from penstock.sandbox.forge.shapes import Shapes
from penstock.sandbox.forge.store import Pull, Repository, Store, now

_STYLES = ("merge", "squash", "rebase", "rebase-merge")


class PullApi:
    """The handlers below /pulls and /issues."""

    def __init__(self, store: Store, pulls: Pulls, shapes: Shapes, asked: asking.Asked) -> None:
        self._store = store
        self._pulls = pulls
        self._shapes = shapes
        self._asked = asked

    async def list_pulls(self, request: web.Request) -> web.Response:
        repository = self._asked.repository(request)
        state = request.query.get("state", "open")
        if state not in ("open", "closed", "all"):
            raise Refusal(422, f"state {state!r} is none of open, closed, all")
        found = self._store.pulls(repository.id, state)
        if base := request.query.get("base_branch"):
            found = [pull for pull in found if pull.base == base]
        if request.query.get("sort") == "recentupdate":
            found.sort(key=lambda pull: pull.updated, reverse=True)
        return self._asked.page(request, found, lambda pull: self._shapes.pull(repository, pull))

    async def open_pull(self, request: web.Request) -> web.Response:
        user, repository = self._asked.user(request), self._asked.repository(request)
        body = await asking.body(request)
        words = {name: asking.text(body, name, "") for name in ("title", "body", "head", "base")}
        pull = self._pulls.open(repository, user, **words)
        self._label(repository, user, pull, body.get("labels"))
        return asking.answer(self._shapes.pull(repository, self._pulls.get(repository, pull.number)), 201)

    async def pull(self, request: web.Request) -> web.Response:
        repository, pull = self._asked.pull(request)
        return asking.answer(self._shapes.pull(repository, pull))

    async def edit_pull(self, request: web.Request) -> web.Response:
        user = self._asked.user(request)
        repository, pull = self._asked.pull(request)
        body = await asking.body(request)
        words = {name: asking.text(body, name, None) for name in ("title", "body", "state")}
        pull = self._pulls.edit(repository, user, pull, **words)
        self._label(repository, user, pull, body.get("labels"))
        return asking.answer(self._shapes.pull(repository, self._pulls.get(repository, pull.number)), 201)

    def _label(self, repository: Repository, user: str, pull: Pull, labels: object) -> None:
        if labels is not None:
            known = {row["id"] for row in self._store.labels(repository.id)}
            wanted = [label for label in labels if label in known] if isinstance(labels, list) else []
            self._pulls.set_labels(repository, user, pull, wanted)

    async def set_labels(self, request: web.Request) -> web.Response:
        user = self._asked.user(request)
        repository, pull = self._asked.pull(request)
        wanted = (await asking.body(request)).get("labels") or []
        rows = self._store.labels(repository.id)
        ids = [row["id"] for row in rows if row["name"] in wanted or row["id"] in wanted]  # Gitea too ignores unknown ones
        self._pulls.set_labels(repository, user, pull, ids)
        return asking.answer([self._shapes.label(row, repository) for row in self._store.pull_labels(pull.id)])

    async def is_merged(self, request: web.Request) -> web.Response:
        _, pull = self._asked.pull(request)
        if not pull.merged:
            raise Refusal(404, "not merged")
        return web.Response(status=204)

    async def merge(self, request: web.Request) -> web.Response:
        user = self._asked.user(request)
        repository, pull = self._asked.pull(request)
        body = {name.lower().replace("_", ""): value for name, value in (await asking.body(request)).items()}
        style = body.get("do") or "merge"
        if style not in _STYLES:
            raise Refusal(501, f"not in the sandbox: merge style {style!r}")
        for unknown in ("mergewhencheckssucceed", "forcemerge"):
            if body.get(unknown):
                raise Refusal(501, f"not in the sandbox: {unknown}")
        title = str(body.get("mergetitlefield") or "").strip()
        detail = str(body.get("mergemessagefield") or "").strip()
        message = "\n\n".join(part for part in (title or f"{pull.title} (#{pull.number})", detail) if part)
        await self._pulls.merge(
            repository,
            user,
            pull,
            style=cast(MergeStyle, style),
            sha=str(body.get("headcommitid") or ""),
            message=message,
            delete_branch=bool(body.get("deletebranchaftermerge")),
        )
        return web.Response(status=200)

    async def files(self, request: web.Request) -> web.Response:
        repository, pull = self._asked.pull(request)
        changes = self._pulls.bare(repository).changes(self._pulls.base(repository, pull), self._pulls.head(repository, pull))
        shown = [
            {
                "filename": change.path,
                "previous_filename": change.before if change.before != change.path else "",
                "status": change.status,
                "additions": change.additions,
                "deletions": change.deletions,
                "changes": change.additions + change.deletions,
            }
            for change in changes
        ]
        return self._asked.page(request, shown, lambda change: change)

    async def commits(self, request: web.Request) -> web.Response:
        repository, pull = self._asked.pull(request)
        found = self._pulls.bare(repository).commits(self._pulls.base(repository, pull), self._pulls.head(repository, pull))
        return self._asked.page(request, found, lambda commit: self._shapes.commit(repository, commit))

    async def reviews(self, request: web.Request) -> web.Response:
        repository, pull = self._asked.pull(request)
        return self._asked.page(
            request, self._store.reviews(pull.id), lambda review: self._shapes.review(repository, pull, review)
        )

    async def create_review(self, request: web.Request) -> web.Response:
        user = self._asked.user(request)
        repository, pull = self._asked.pull(request)
        body = await asking.body(request)
        if body.get("comments"):
            raise Refusal(501, "not in the sandbox: comments on lines")
        state, commit = asking.text(body, "event", ""), asking.text(body, "commit_id", "") or ""
        made = self._pulls.review(
            repository, user, pull, state=state or "", body=asking.text(body, "body", "") or "", commit=commit
        )
        return asking.answer(self._shapes.review(repository, pull, made))

    async def dismiss_review(self, request: web.Request) -> web.Response:
        repository, pull = self._asked.pull(request)
        wanted = int(request.match_info["id"])
        if not any(review.id == wanted for review in self._store.reviews(pull.id)):
            raise Refusal(404, "review does not exist")
        self._store.update("reviews", wanted, dismissed=1)
        review = next(review for review in self._store.reviews(pull.id) if review.id == wanted)
        return asking.answer(self._shapes.review(repository, pull, review))

    async def comments(self, request: web.Request) -> web.Response:
        repository, pull = self._asked.pull(request)
        rows = self._store.rows("select * from comments where pull = ? order by id", pull.id)
        return asking.answer([self._shapes.comment(repository, pull.number, row) for row in rows])

    async def create_comment(self, request: web.Request) -> web.Response:
        user = self._asked.user(request)
        repository, pull = self._asked.pull(request)
        made = self._pulls.comment(repository, user, pull, asking.text(await asking.body(request), "body"))
        return asking.answer(self._shapes.comment(repository, pull.number, self._asked.row("comments", made)), 201)

    async def edit_comment(self, request: web.Request) -> web.Response:
        user, repository = self._asked.user(request), self._asked.repository(request)
        row = self._store.row(
            "select * from comments where id = ? and repository = ?", int(request.match_info["id"]), repository.id
        )
        if row is None:
            raise Refusal(404, "comment does not exist")
        if row["user"] != user:
            raise Refusal(403, "Forbidden")
        self._store.update("comments", row["id"], body=asking.text(await asking.body(request), "body"), updated=now())
        number = self._asked.row("pulls", row["pull"])["number"]
        return asking.answer(self._shapes.comment(repository, number, self._asked.row("comments", row["id"])))

    async def timeline(self, request: web.Request) -> web.Response:
        """Who closed or merged it; Gitea tells much more."""
        _, pull = self._asked.pull(request)
        events = []
        if pull.state == "closed":
            kind = "merge_pull" if pull.merged else "close"
            events.append(
                {"id": 1, "type": kind, "user": self._shapes.user(pull.closed_by), "body": "", "created_at": pull.closed}
            )
        return self._asked.page(request, events, lambda event: event)
