"""Gitea's REST API v1, the part Penstock and its users need. In: HTTP requests. Out: Gitea's JSON and status codes.

Same paths, fields and codes as Gitea, so one adapter serves both. Everything else under /api/v1 answers 501
'not in the sandbox', never an empty success.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

from aiohttp import web

from penstock.sandbox.forge.access import Access
from penstock.sandbox.forge.pulls import Happening, Pulls, Refusal
from penstock.sandbox.forge.repositories import MergeStyle
from penstock.sandbox.forge.shapes import Json, Shapes, protection
from penstock.sandbox.forge.store import Pull, Repository, Rules, Store, now

_PAGE, _PAGE_LIMIT = 30, 50
_STATES = ("pending", "success", "error", "failure", "warning", "skipped")
_STYLES = ("merge", "squash", "rebase", "rebase-merge")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
MakeRepository = Callable[[str, str, str], Repository]


class Api:
    """The REST handlers; routes() is the list of what is in the sandbox."""

    def __init__(self, store: Store, pulls: Pulls, shapes: Shapes, access: Access, make_repository: MakeRepository) -> None:
        self._store = store
        self._pulls = pulls
        self._shapes = shapes
        self._access = access
        self._make_repository = make_repository

    def routes(self) -> list[web.RouteDef]:
        repo, pull = "/repos/{owner}/{repo}", "/repos/{owner}/{repo}/pulls/{number:[0-9]+}"
        table: list[tuple[str, str, Handler]] = [
            ("GET", "/version", self.version),
            ("GET", "/user", self.whoami),
            ("GET", "/users/{login}", self.user),
            ("POST", "/user/repos", self.create_repository),
            ("POST", "/orgs/{owner}/repos", self.create_repository),
            ("GET", "/orgs/{owner}/teams", self.teams),
            ("GET", "/orgs/{owner}/teams/search", self.search_teams),
            ("GET", "/teams/{id:[0-9]+}/members", self.team_members),
            ("GET", repo, self.repository),
            ("GET", f"{repo}/branches", self.branches),
            ("GET", f"{repo}/branches/{{branch:.+}}", self.branch),
            ("DELETE", f"{repo}/branches/{{branch:.+}}", self.delete_branch),
            ("GET", f"{repo}/git/commits/{{sha}}", self.commit),
            ("GET", f"{repo}/branch_protections", self.protections),
            ("POST", f"{repo}/branch_protections", self.set_protection),
            ("GET", f"{repo}/branch_protections/{{branch:.+}}", self.protection),
            ("PATCH", f"{repo}/branch_protections/{{branch:.+}}", self.edit_protection),
            ("DELETE", f"{repo}/branch_protections/{{branch:.+}}", self.delete_protection),
            ("GET", f"{repo}/labels", self.labels),
            ("POST", f"{repo}/labels", self.create_label),
            ("GET", f"{repo}/hooks", self.hooks),
            ("POST", f"{repo}/hooks", self.create_hook),
            ("DELETE", f"{repo}/hooks/{{id:[0-9]+}}", self.delete_hook),
            ("GET", f"{repo}/pulls", self.list_pulls),
            ("POST", f"{repo}/pulls", self.open_pull),
            ("GET", pull, self.pull),
            ("PATCH", pull, self.edit_pull),
            ("GET", f"{pull}/merge", self.is_merged),
            ("POST", f"{pull}/merge", self.merge),
            ("GET", f"{pull}/files", self.files),
            ("GET", f"{pull}/commits", self.commits),
            ("GET", f"{pull}/reviews", self.reviews),
            ("POST", f"{pull}/reviews", self.create_review),
            ("POST", f"{pull}/reviews/{{id:[0-9]+}}/dismissals", self.dismiss_review),
            ("GET", f"{repo}/issues/{{number:[0-9]+}}/comments", self.comments),
            ("POST", f"{repo}/issues/{{number:[0-9]+}}/comments", self.create_comment),
            ("PATCH", f"{repo}/issues/comments/{{id:[0-9]+}}", self.edit_comment),
            ("PUT", f"{repo}/issues/{{number:[0-9]+}}/labels", self.set_labels),
            ("GET", f"{repo}/issues/{{number:[0-9]+}}/timeline", self.timeline),
            ("GET", f"{repo}/commits/{{sha:.+}}/statuses", self.statuses),
            ("GET", f"{repo}/commits/{{sha:.+}}/status", self.combined_status),
            ("GET", f"{repo}/statuses/{{sha}}", self.statuses),
            ("POST", f"{repo}/statuses/{{sha}}", self.create_status),
        ]
        routes = [web.route(method, f"/api/v1{path}", self._answering(handler)) for method, path, handler in table]
        return [*routes, web.route("*", "/api/v1/{rest:.*}", self._answering(self.absent))]

    def _answering(self, handler: Handler) -> Handler:
        """A Refusal becomes Gitea's error body."""

        async def answer(request: web.Request) -> web.StreamResponse:
            try:
                return await handler(request)
            except Refusal as refusal:
                return _json({"message": refusal.message, "url": f"{self._shapes.url}/api/swagger"}, refusal.status)

        return answer

    # who, and what there is

    async def absent(self, request: web.Request) -> web.Response:
        raise Refusal(501, f"not in the sandbox: {request.method} {request.path}")

    async def version(self, request: web.Request) -> web.Response:
        return _json({"version": "1.26.0+penstock-sandbox"})

    async def whoami(self, request: web.Request) -> web.Response:
        return _json(self._shapes.user(self._user(request)))

    async def user(self, request: web.Request) -> web.Response:
        self._user(request)
        login = request.match_info["login"]
        if not self._store.user_id(login):
            raise Refusal(404, f"user {login!r} does not exist")
        return _json(self._shapes.user(login))

    async def create_repository(self, request: web.Request) -> web.Response:
        user = self._user(request)
        body = await _body(request)
        owner = request.match_info.get("owner", user)
        made = self._make_repository(owner, _text(body, "name"), _text(body, "default_branch", "main") or "main")
        return _json(self._shapes.repository(made), 201)

    async def teams(self, request: web.Request) -> web.Response:
        self._user(request)
        found = self._store.teams(request.match_info["owner"])
        return self._page(request, found, self._shapes.team)

    async def search_teams(self, request: web.Request) -> web.Response:
        self._user(request)
        wanted = request.query.get("q", "").lower()
        found = [team for team in self._store.teams(request.match_info["owner"]) if wanted in team["name"].lower()]
        return _json({"data": [self._shapes.team(team) for team in found], "ok": True})

    async def team_members(self, request: web.Request) -> web.Response:
        self._user(request)
        members = self._store.team_members(int(request.match_info["id"]))
        if members is None:
            raise Refusal(404, "team does not exist")
        return self._page(request, members, self._shapes.user)

    async def repository(self, request: web.Request) -> web.Response:
        return _json(self._shapes.repository(self._repository(request)))

    async def branches(self, request: web.Request) -> web.Response:
        repository = self._repository(request)
        found = list(self._pulls.bare(repository).branches().items())
        return self._page(request, found, lambda pair: self._shapes.branch(repository, *pair))

    async def branch(self, request: web.Request) -> web.Response:
        repository = self._repository(request)
        name = request.match_info["branch"]
        commit = self._pulls.bare(repository).branch(name)
        if commit is None:
            raise Refusal(404, f"branch {name!r} does not exist")
        return _json(self._shapes.branch(repository, name, commit))

    async def delete_branch(self, request: web.Request) -> web.Response:
        repository = self._repository(request)
        name = request.match_info["branch"]
        if name == repository.default_branch or self._store.rules(repository.id, name):
            raise Refusal(403, "branch protected")
        open_pulls = [pull for pull in self._store.pulls(repository.id, "open") if pull.head == name]
        for pull in open_pulls:
            self._pulls.close(repository, self._user(request), pull)
        if not self._pulls.bare(repository).delete_branch(name):
            raise Refusal(404, f"branch {name!r} does not exist")
        return web.Response(status=204)

    async def commit(self, request: web.Request) -> web.Response:
        repository = self._repository(request)
        found = self._pulls.bare(repository).commit(request.match_info["sha"])
        if found is None:
            raise Refusal(404, "commit does not exist")
        return _json(self._shapes.commit(repository, found))

    # branch protection

    async def protections(self, request: web.Request) -> web.Response:
        found = self._store.protections(self._repository(request).id)
        return _json([protection(branch, rules) for branch, rules in found.items()])

    async def protection(self, request: web.Request) -> web.Response:
        branch, rules = self._rules(request)
        return _json(protection(branch, rules))

    async def set_protection(self, request: web.Request) -> web.Response:
        repository = self._repository(request)
        body = await _body(request)
        branch = _text(body, "rule_name", "") or _text(body, "branch_name")
        if self._store.rules(repository.id, branch):
            raise Refusal(403, "Branch protection already exist")
        rules = _edited_rules(Rules(enable_push=False), body)
        self._store.set_rules(repository.id, branch, rules)
        return _json(protection(branch, rules), 201)

    async def edit_protection(self, request: web.Request) -> web.Response:
        branch, before = self._rules(request)
        rules = _edited_rules(before, await _body(request))
        self._store.set_rules(self._repository(request).id, branch, rules)
        return _json(protection(branch, rules))

    async def delete_protection(self, request: web.Request) -> web.Response:
        branch, _ = self._rules(request)
        self._store.set_rules(self._repository(request).id, branch, None)
        return web.Response(status=204)

    def _rules(self, request: web.Request) -> tuple[str, Rules]:
        branch = request.match_info["branch"]
        rules = self._store.rules(self._repository(request).id, branch)
        if rules is None:
            raise Refusal(404, "branch protection does not exist")
        return branch, rules

    # labels and hooks

    async def labels(self, request: web.Request) -> web.Response:
        repository = self._repository(request)
        return self._page(request, self._store.labels(repository.id), lambda row: self._shapes.label(row, repository))

    async def create_label(self, request: web.Request) -> web.Response:
        repository = self._repository(request)
        body = await _body(request)
        name = _text(body, "name")
        # Gitea lets two labels share a name; a sandbox that did would only hide mistakes.
        if any(row["name"] == name for row in self._store.labels(repository.id)):
            raise Refusal(422, f"label {name!r} exists")
        color = _text(body, "color").lstrip("#").lower()
        made = self._store.insert(
            "labels", repository=repository.id, name=name, color=color, description=_text(body, "description", "")
        )
        return _json(self._shapes.label(self._only("labels", made), repository), 201)

    async def hooks(self, request: web.Request) -> web.Response:
        repository = self._repository(request)
        return self._page(request, self._store.rows("select * from hooks where repository = ?", repository.id), self._shapes.hook)

    async def create_hook(self, request: web.Request) -> web.Response:
        repository = self._repository(request)
        body = await _body(request)
        config = body.get("config")
        if body.get("type") != "gitea" or not isinstance(config, dict) or not config.get("url"):
            raise Refusal(422, "a hook needs type 'gitea' and config.url")
        values = {"secret": str(config.get("secret", "")), "events": json.dumps(body.get("events") or ["push"])}
        active = bool(body.get("active", False))
        made = self._store.insert("hooks", repository=repository.id, url=config["url"], active=active, created=now(), **values)
        return _json(self._shapes.hook(self._only("hooks", made)), 201)

    async def delete_hook(self, request: web.Request) -> web.Response:
        repository = self._repository(request)
        row = self._store.row(
            "select id from hooks where id = ? and repository = ?", int(request.match_info["id"]), repository.id
        )
        if row is None:
            raise Refusal(404, "hook does not exist")
        self._store.delete("hooks", row["id"])
        return web.Response(status=204)

    # pull requests

    async def list_pulls(self, request: web.Request) -> web.Response:
        repository = self._repository(request)
        state = request.query.get("state", "open")
        if state not in ("open", "closed", "all"):
            raise Refusal(422, f"state {state!r} is none of open, closed, all")
        found = self._store.pulls(repository.id, state)
        if base := request.query.get("base_branch"):
            found = [pull for pull in found if pull.base == base]
        if request.query.get("sort") == "recentupdate":
            found.sort(key=lambda pull: pull.updated, reverse=True)
        return self._page(request, found, lambda pull: self._shapes.pull(repository, pull))

    async def open_pull(self, request: web.Request) -> web.Response:
        user, repository = self._user(request), self._repository(request)
        body = await _body(request)
        words = {name: _text(body, name, "") for name in ("title", "body", "head", "base")}
        pull = self._pulls.open(repository, user, **words)
        self._label(repository, user, pull, body.get("labels"))
        return _json(self._shapes.pull(repository, self._pulls.get(repository, pull.number)), 201)

    async def pull(self, request: web.Request) -> web.Response:
        repository, pull = self._pull(request)
        return _json(self._shapes.pull(repository, pull))

    async def edit_pull(self, request: web.Request) -> web.Response:
        user = self._user(request)
        repository, pull = self._pull(request)
        body = await _body(request)
        words = {name: _text(body, name, None) for name in ("title", "body", "state")}
        pull = self._pulls.edit(repository, user, pull, **words)
        self._label(repository, user, pull, body.get("labels"))
        return _json(self._shapes.pull(repository, self._pulls.get(repository, pull.number)), 201)

    def _label(self, repository: Repository, user: str, pull: Pull, labels: object) -> None:
        if labels is not None:
            known = {row["id"] for row in self._store.labels(repository.id)}
            wanted = [label for label in labels if label in known] if isinstance(labels, list) else []
            self._pulls.set_labels(repository, user, pull, wanted)

    async def set_labels(self, request: web.Request) -> web.Response:
        user = self._user(request)
        repository, pull = self._pull(request)
        wanted = (await _body(request)).get("labels") or []
        rows = self._store.labels(repository.id)
        ids = [row["id"] for row in rows if row["name"] in wanted or row["id"] in wanted]  # Gitea too ignores unknown ones
        self._pulls.set_labels(repository, user, pull, ids)
        return _json([self._shapes.label(row, repository) for row in self._store.pull_labels(pull.id)])

    async def is_merged(self, request: web.Request) -> web.Response:
        _, pull = self._pull(request)
        if not pull.merged:
            raise Refusal(404, "not merged")
        return web.Response(status=204)

    async def merge(self, request: web.Request) -> web.Response:
        user = self._user(request)
        repository, pull = self._pull(request)
        body = {name.lower().replace("_", ""): value for name, value in (await _body(request)).items()}
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
        repository, pull = self._pull(request)
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
        return self._page(request, shown, lambda change: change)

    async def commits(self, request: web.Request) -> web.Response:
        repository, pull = self._pull(request)
        found = self._pulls.bare(repository).commits(self._pulls.base(repository, pull), self._pulls.head(repository, pull))
        return self._page(request, found, lambda commit: self._shapes.commit(repository, commit))

    async def reviews(self, request: web.Request) -> web.Response:
        repository, pull = self._pull(request)
        return self._page(request, self._store.reviews(pull.id), lambda review: self._shapes.review(repository, pull, review))

    async def create_review(self, request: web.Request) -> web.Response:
        user = self._user(request)
        repository, pull = self._pull(request)
        body = await _body(request)
        if body.get("comments"):
            raise Refusal(501, "not in the sandbox: comments on lines")
        state, commit = _text(body, "event", ""), _text(body, "commit_id", "") or ""
        made = self._pulls.review(repository, user, pull, state=state or "", body=_text(body, "body", "") or "", commit=commit)
        return _json(self._shapes.review(repository, pull, made))

    async def dismiss_review(self, request: web.Request) -> web.Response:
        repository, pull = self._pull(request)
        wanted = int(request.match_info["id"])
        if not any(review.id == wanted for review in self._store.reviews(pull.id)):
            raise Refusal(404, "review does not exist")
        self._store.update("reviews", wanted, dismissed=1)
        review = next(review for review in self._store.reviews(pull.id) if review.id == wanted)
        return _json(self._shapes.review(repository, pull, review))

    async def comments(self, request: web.Request) -> web.Response:
        repository, pull = self._pull(request)
        rows = self._store.rows("select * from comments where pull = ? order by id", pull.id)
        return _json([self._shapes.comment(repository, pull.number, row) for row in rows])

    async def create_comment(self, request: web.Request) -> web.Response:
        user = self._user(request)
        repository, pull = self._pull(request)
        made = self._pulls.comment(repository, user, pull, _text(await _body(request), "body"))
        return _json(self._shapes.comment(repository, pull.number, self._only("comments", made)), 201)

    async def edit_comment(self, request: web.Request) -> web.Response:
        user, repository = self._user(request), self._repository(request)
        row = self._store.row(
            "select * from comments where id = ? and repository = ?", int(request.match_info["id"]), repository.id
        )
        if row is None:
            raise Refusal(404, "comment does not exist")
        if row["user"] != user:
            raise Refusal(403, "Forbidden")
        self._store.update("comments", row["id"], body=_text(await _body(request), "body"), updated=now())
        number = self._only("pulls", row["pull"])["number"]
        return _json(self._shapes.comment(repository, number, self._only("comments", row["id"])))

    async def timeline(self, request: web.Request) -> web.Response:
        """Who closed or merged it; Gitea tells much more."""
        _, pull = self._pull(request)
        events = []
        if pull.state == "closed":
            kind = "merge_pull" if pull.merged else "close"
            events.append(
                {"id": 1, "type": kind, "user": self._shapes.user(pull.closed_by), "body": "", "created_at": pull.closed}
            )
        return self._page(request, events, lambda event: event)

    # commit statuses

    async def create_status(self, request: web.Request) -> web.Response:
        user, repository = self._user(request), self._repository(request)
        sha = request.match_info["sha"]
        found = self._pulls.bare(repository).commit(sha)
        if found is None:
            raise Refusal(404, f"commit {sha} does not exist")
        body = await _body(request)
        state = _text(body, "state")
        if state not in _STATES:
            raise Refusal(422, f"state {state!r} is none of {', '.join(_STATES)}")
        values = {name: _text(body, name, "") for name in ("description", "target_url")}
        made = self._store.insert(
            "statuses",
            repository=repository.id,
            sha=str(found.id),
            context=_text(body, "context", "") or "default",
            state=state,
            creator=user,
            created=now(),
            **values,
        )
        self._pulls.announce(Happening(event="status", repository=repository, user=user))
        return _json(self._shapes.status(repository, self._only("statuses", made)), 201)

    async def statuses(self, request: web.Request) -> web.Response:
        repository = self._repository(request)
        rows = self._store.statuses(repository.id, self._sha(request, repository))
        return self._page(request, rows, lambda row: self._shapes.status(repository, row))

    async def combined_status(self, request: web.Request) -> web.Response:
        repository = self._repository(request)
        sha = self._sha(request, repository)
        newest: dict[str, sqlite3.Row] = {}
        for row in self._store.statuses(repository.id, sha):
            newest.setdefault(row["context"], row)
        states = [row["state"] for row in newest.values()]
        worst = next(
            (state for state in ("error", "failure", "pending", "warning") if state in states), "success" if states else ""
        )
        shown = [self._shapes.status(repository, row) for row in newest.values()]
        return _json(
            {
                "state": worst,
                "sha": sha,
                "total_count": len(shown),
                "statuses": shown,
                "repository": self._shapes.repository(repository),
            }
        )

    # what requests are about

    def _user(self, request: web.Request) -> str:
        user = self._access.user(request)
        if user is None:
            raise Refusal(401, "token is required")
        return user

    def _repository(self, request: web.Request) -> Repository:
        self._user(request)
        found = self._store.repository(request.match_info["owner"], request.match_info["repo"])
        if found is None:
            raise Refusal(404, "The target couldn't be found.")
        return found

    def _pull(self, request: web.Request) -> tuple[Repository, Pull]:
        repository = self._repository(request)
        return repository, self._pulls.get(repository, int(request.match_info["number"]))

    def _sha(self, request: web.Request, repository: Repository) -> str:
        found = self._pulls.bare(repository).commit(request.match_info["sha"])
        if found is None:
            raise Refusal(404, "commit does not exist")
        return str(found.id)

    def _only(self, table: str, id: int) -> sqlite3.Row:  # noqa: A002 - the column's name
        found = self._store.row(f"select * from {table} where id = ?", id)  # noqa: S608 - names are ours
        assert found is not None
        return found

    def _page[T](self, request: web.Request, found: Sequence[T], shape: Callable[[T], Json]) -> web.Response:
        """One page of a list, with Gitea's total and Link headers; only what is shown is shaped."""
        try:
            number = max(1, int(request.query.get("page", "1")))
            size = min(_PAGE_LIMIT, max(1, int(request.query.get("limit", str(_PAGE)))))
        except ValueError:
            raise Refusal(422, "page and limit are numbers") from None
        response = _json([shape(item) for item in found[(number - 1) * size : number * size]])
        response.headers["X-Total-Count"] = str(len(found))
        if number * size < len(found):
            following = request.rel_url.update_query(page=str(number + 1))
            response.headers["Link"] = f'<{self._shapes.url}{following}>; rel="next"'
        return response


def _edited_rules(before: Rules, body: Json) -> Rules:
    values: dict[str, Any] = {name: getattr(before, name) for name in Rules.__dataclass_fields__}
    for name, value in body.items():
        if name in values:
            values[name] = tuple(value) if isinstance(value, list) else value
    return Rules(**values)


async def _body(request: web.Request) -> Json:
    try:
        found = json.loads(await request.text() or "{}")
    except ValueError:
        raise Refusal(422, "the body is not JSON") from None
    if not isinstance(found, dict):
        raise Refusal(422, "the body is not an object")
    return found


def _text(body: Json, name: str, default: str | None = "\0") -> Any:
    """A text of the body; without a default it is required."""
    found = body.get(name)
    if found is None and default != "\0":
        return default
    if not isinstance(found, str) or (default == "\0" and not found.strip()):
        raise Refusal(422, f"[{name}]: Required")
    return found


def _json(body: object, status: int = 200) -> web.Response:
    return web.json_response(body, status=status)
