"""Gitea's REST API v1, the part Penstock and its users need. In: HTTP requests. Out: Gitea's JSON and status codes.

Same paths, fields and codes as Gitea, so one adapter serves both. Everything else under /api/v1 answers 501
'not in the sandbox', never an empty success. The table of routes is the list of what is there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from penstock.sandbox.forge import asking
from penstock.sandbox.forge.access import Access
from penstock.sandbox.forge.api_pulls import PullApi
from penstock.sandbox.forge.api_repositories import MakeRepository, RepositoryApi
from penstock.sandbox.forge.pulls import Pulls, Refusal
from penstock.sandbox.forge.shapes import Shapes
from penstock.sandbox.forge.store import Store

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Api:
    """The routes, and the handlers that are about no repository."""

    def __init__(self, store: Store, pulls: Pulls, shapes: Shapes, access: Access, make_repository: MakeRepository) -> None:
        self._store = store
        self._shapes = shapes
        self._asked = asking.Asked(store, pulls, shapes, access)
        self._pulls = PullApi(store, pulls, shapes, self._asked)
        self._repositories = RepositoryApi(store, pulls, shapes, self._asked, make_repository)

    def routes(self) -> list[web.RouteDef]:
        pulls, repositories = self._pulls, self._repositories
        repo, pull = "/repos/{owner}/{repo}", "/repos/{owner}/{repo}/pulls/{number:[0-9]+}"
        table: list[tuple[str, str, Handler]] = [
            ("GET", "/version", self.version),
            ("GET", "/user", self.whoami),
            ("GET", "/users/{login}", self.user),
            ("POST", "/user/repos", repositories.create_repository),
            ("POST", "/orgs/{owner}/repos", repositories.create_repository),
            ("GET", "/orgs/{owner}/teams", self.teams),
            ("GET", "/orgs/{owner}/teams/search", self.search_teams),
            ("GET", "/teams/{id:[0-9]+}/members", self.team_members),
            ("GET", repo, repositories.repository),
            ("GET", f"{repo}/branches", repositories.branches),
            ("GET", f"{repo}/branches/{{branch:.+}}", repositories.branch),
            ("DELETE", f"{repo}/branches/{{branch:.+}}", repositories.delete_branch),
            ("GET", f"{repo}/git/commits/{{sha}}", repositories.commit),
            ("GET", f"{repo}/branch_protections", repositories.protections),
            ("POST", f"{repo}/branch_protections", repositories.set_protection),
            ("GET", f"{repo}/branch_protections/{{branch:.+}}", repositories.protection),
            ("PATCH", f"{repo}/branch_protections/{{branch:.+}}", repositories.edit_protection),
            ("DELETE", f"{repo}/branch_protections/{{branch:.+}}", repositories.delete_protection),
            ("GET", f"{repo}/labels", repositories.labels),
            ("POST", f"{repo}/labels", repositories.create_label),
            ("GET", f"{repo}/hooks", repositories.hooks),
            ("POST", f"{repo}/hooks", repositories.create_hook),
            ("DELETE", f"{repo}/hooks/{{id:[0-9]+}}", repositories.delete_hook),
            ("GET", f"{repo}/pulls", pulls.list_pulls),
            ("POST", f"{repo}/pulls", pulls.open_pull),
            ("GET", pull, pulls.pull),
            ("PATCH", pull, pulls.edit_pull),
            ("GET", f"{pull}/merge", pulls.is_merged),
            ("POST", f"{pull}/merge", pulls.merge),
            ("GET", f"{pull}/files", pulls.files),
            ("GET", f"{pull}/commits", pulls.commits),
            ("GET", f"{pull}/reviews", pulls.reviews),
            ("POST", f"{pull}/reviews", pulls.create_review),
            ("POST", f"{pull}/reviews/{{id:[0-9]+}}/dismissals", pulls.dismiss_review),
            ("GET", f"{repo}/issues/{{number:[0-9]+}}/comments", pulls.comments),
            ("POST", f"{repo}/issues/{{number:[0-9]+}}/comments", pulls.create_comment),
            ("PATCH", f"{repo}/issues/comments/{{id:[0-9]+}}", pulls.edit_comment),
            ("PUT", f"{repo}/issues/{{number:[0-9]+}}/labels", pulls.set_labels),
            ("GET", f"{repo}/issues/{{number:[0-9]+}}/timeline", pulls.timeline),
            ("GET", f"{repo}/commits/{{sha:.+}}/statuses", repositories.statuses),
            ("GET", f"{repo}/commits/{{sha:.+}}/status", repositories.combined_status),
            ("GET", f"{repo}/statuses/{{sha}}", repositories.statuses),
            ("POST", f"{repo}/statuses/{{sha}}", repositories.create_status),
        ]
        routes = [web.route(method, f"/api/v1{path}", self._answering(handler)) for method, path, handler in table]
        return [*routes, web.route("*", "/api/v1/{rest:.*}", self._answering(self.absent))]

    def _answering(self, handler: Handler) -> Handler:
        """A Refusal becomes Gitea's error body."""

        async def answer(request: web.Request) -> web.StreamResponse:
            try:
                return await handler(request)
            except Refusal as refusal:
                return asking.answer({"message": refusal.message, "url": f"{self._shapes.url}/api/swagger"}, refusal.status)

        return answer

    async def absent(self, request: web.Request) -> web.Response:
        raise Refusal(501, f"not in the sandbox: {request.method} {request.path}")

    async def version(self, request: web.Request) -> web.Response:
        return asking.answer({"version": "1.26.0+penstock-sandbox"})

    async def whoami(self, request: web.Request) -> web.Response:
        return asking.answer(self._shapes.user(self._asked.user(request)))

    async def user(self, request: web.Request) -> web.Response:
        self._asked.user(request)
        login = request.match_info["login"]
        if not self._store.user_id(login):
            raise Refusal(404, f"user {login!r} does not exist")
        return asking.answer(self._shapes.user(login))

    async def teams(self, request: web.Request) -> web.Response:
        self._asked.user(request)
        found = self._store.teams(request.match_info["owner"])
        return self._asked.page(request, found, self._shapes.team)

    async def search_teams(self, request: web.Request) -> web.Response:
        self._asked.user(request)
        wanted = request.query.get("q", "").lower()
        found = [team for team in self._store.teams(request.match_info["owner"]) if wanted in team["name"].lower()]
        return asking.answer({"data": [self._shapes.team(team) for team in found], "ok": True})

    async def team_members(self, request: web.Request) -> web.Response:
        self._asked.user(request)
        members = self._store.team_members(int(request.match_info["id"]))
        if members is None:
            raise Refusal(404, "team does not exist")
        return self._asked.page(request, members, self._shapes.user)
