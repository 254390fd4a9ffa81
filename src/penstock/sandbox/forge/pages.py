"""The forge for people: a repository's pull requests and one pull request. In: a browser. Out: plain HTML, no script.

Server-rendered, everything escaped, strict CSP; every form carries a CSRF token of its session. What a button does goes
through `pulls`, like the API.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import quote

import jinja2
from aiohttp import web

from penstock.sandbox.forge import markdown
from penstock.sandbox.forge.access import COOKIE, Access
from penstock.sandbox.forge.pulls import Pulls, Refusal
from penstock.sandbox.forge.repositories import FileChange
from penstock.sandbox.forge.store import Pull, Repository, Store

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_LINES_SHOWN = 3000

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Pages:
    """The handlers of the pages."""

    def __init__(self, store: Store, pulls: Pulls, access: Access) -> None:
        self._store = store
        self._pulls = pulls
        self._access = access
        self._templates = jinja2.Environment(
            loader=jinja2.PackageLoader("penstock.sandbox.forge"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
        )
        self._templates.filters["markdown"] = markdown.render

    def routes(self) -> list[web.RouteDef]:
        repo, pull = "/{owner}/{repo}", "/{owner}/{repo}/pulls/{number:[0-9]+}"
        return [
            web.get("/", self._showing(self.home)),
            web.get("/-/style.css", self.style),
            web.get("/sign-in", self.sign_in),
            web.post("/sign-out", self._showing(self.sign_out)),
            web.get(repo, self._showing(self.repository)),
            web.get(f"{repo}/pulls", self._showing(self.repository)),
            web.get(pull, self._showing(self.pull)),
            web.get(f"{pull}.diff", self._showing(self.diff)),
            web.post(f"{pull}/review", self._showing(self.review)),
            web.post(f"{pull}/merge", self._showing(self.merge)),
            web.post(f"{pull}/close", self._showing(self.close)),
            web.get(f"{repo}/commit/{{sha:[0-9a-f]+}}", self._showing(self.commit)),
        ]

    def _showing(self, handler: Handler) -> Handler:
        """Asks strangers to sign in, and shows refusals as a page."""

        async def show(request: web.Request) -> web.StreamResponse:
            if self._access.session(request) is None:
                return self._page(request, "sign_in.html", status=401, failed=False)
            try:
                return await handler(request)
            except Refusal as refusal:
                return self._page(request, "refused.html", status=refusal.status, message=refusal.message)

        return show

    async def style(self, request: web.Request) -> web.Response:
        source, _, _ = self._templates.loader.get_source(self._templates, "style.css")  # type: ignore[union-attr]
        return web.Response(text=source, content_type="text/css", headers={"X-Content-Type-Options": "nosniff"})

    async def sign_in(self, request: web.Request) -> web.StreamResponse:
        """The link with a token: the token leaves the address bar at once."""
        to = request.query.get("to", "/")
        if not to.startswith("/") or to.startswith(("//", "/\\")):
            to = "/"
        response = web.Response(status=303, headers={**_HEADERS, "Location": quote(to, safe="/?=&")})
        if self._access.sign_in(response, request.query.get("token", "")) is None:
            return self._page(request, "sign_in.html", status=401, failed=True)
        return response

    async def sign_out(self, request: web.Request) -> web.StreamResponse:
        await self._form(request)
        response = web.Response(status=303, headers={**_HEADERS, "Location": "/"})
        response.del_cookie(COOKIE)
        return response

    async def home(self, request: web.Request) -> web.Response:
        found = [(item, len(self._store.pulls(item.id, "open"))) for item in self._store.repositories()]
        return self._page(request, "home.html", repositories=found)

    async def repository(self, request: web.Request) -> web.Response:
        repository = self._repository(request)
        state = request.query.get("state", "open")
        pulls = self._store.pulls(repository.id, state if state in ("open", "closed", "all") else "open")
        shown = [(pull, self._store.pull_labels(pull.id)) for pull in pulls[:200]]
        bare = self._pulls.bare(repository)
        tip = bare.branch(repository.default_branch)
        commits = bare.recent(tip, 15) if tip else []
        return self._page(
            request, "repository.html", repository=repository, pulls=shown, state=state, commits=commits, branches=bare.branches()
        )

    async def pull(self, request: web.Request) -> web.Response:
        repository, pull = self._pull(request)
        base, head = self._pulls.base(repository, pull), self._pulls.head(repository, pull)
        bare = self._pulls.bare(repository)
        newest: dict[str, Any] = {}
        for row in self._store.statuses(repository.id, head):
            newest.setdefault(row["context"], row)
        conflicts = bare.conflicts(base, head) if pull.state == "open" and base else ()
        return self._page(
            request,
            "pull.html",
            repository=repository,
            pull=pull,
            head=head,
            labels=self._store.pull_labels(pull.id),
            reviews=self._store.reviews(pull.id),
            comments=self._store.rows("select * from comments where pull = ? order by id", pull.id),
            statuses=sorted(newest.values(), key=lambda row: str(row["context"])),
            conflicts=conflicts,
            missing=self._pulls.missing(repository, pull) if pull.state == "open" else "",
            files=[(change, _lines(change)) for change in bare.changes(base, head)] if base else [],
        )

    async def diff(self, request: web.Request) -> web.Response:
        repository, pull = self._pull(request)
        changes = self._pulls.bare(repository).changes(self._pulls.base(repository, pull), self._pulls.head(repository, pull))
        return web.Response(text="".join(change.patch for change in changes), content_type="text/plain", headers=_HEADERS)

    async def commit(self, request: web.Request) -> web.Response:
        repository = self._repository(request)
        bare = self._pulls.bare(repository)
        found = bare.commit(request.match_info["sha"])
        if found is None:
            raise Refusal(404, "there is no such commit")
        files = [(change, _lines(change)) for change in bare.introduced(found)]
        return self._page(request, "commit.html", repository=repository, commit=found, files=files)

    async def review(self, request: web.Request) -> web.StreamResponse:
        form = await self._form(request)
        repository, pull = self._pull(request)
        words = {"state": str(form.get("state", "")), "body": str(form.get("body", "")), "commit": str(form.get("sha", ""))}
        self._pulls.review(repository, self._user(request), pull, **words)
        return self._back(repository, pull)

    async def merge(self, request: web.Request) -> web.StreamResponse:
        form = await self._form(request)
        repository, pull = self._pull(request)
        style = "squash" if form.get("style") == "squash" else "merge"
        message = f"{pull.title} (#{pull.number})"
        await self._pulls.merge(
            repository,
            self._user(request),
            pull,
            style="squash" if style == "squash" else "merge",
            sha=str(form.get("sha", "")),
            message=f"{message}\n\n{pull.body}" if style == "squash" else message,
        )
        return self._back(repository, pull)

    async def close(self, request: web.Request) -> web.StreamResponse:
        await self._form(request)
        repository, pull = self._pull(request)
        self._pulls.edit(repository, self._user(request), pull, title=None, body=None, state="closed")
        return self._back(repository, pull)

    def _back(self, repository: Repository, pull: Pull) -> web.Response:
        return web.Response(status=303, headers={**_HEADERS, "Location": f"/{repository.full_name}/pulls/{pull.number}"})

    async def _form(self, request: web.Request) -> Mapping[str, object]:
        form = await request.post()
        self._access.check_csrf(request, str(form.get("csrf", "")))
        return form

    def _user(self, request: web.Request) -> str:
        user = self._access.session(request)
        if user is None:
            raise Refusal(401, "sign in first")
        return user

    def _repository(self, request: web.Request) -> Repository:
        found = self._store.repository(request.match_info["owner"], request.match_info["repo"])
        if found is None:
            raise Refusal(404, "there is no such repository")
        return found

    def _pull(self, request: web.Request) -> tuple[Repository, Pull]:
        repository = self._repository(request)
        return repository, self._pulls.get(repository, int(request.match_info["number"]))

    def _page(self, request: web.Request, template: str, *, status: int = 200, **values: object) -> web.Response:
        shared = {"user": self._access.session(request), "csrf": self._access.csrf(request)}
        text = self._templates.get_template(template).render(**shared, **values)
        return web.Response(text=text, content_type="text/html", status=status, headers=_HEADERS)


def _lines(change: FileChange) -> list[tuple[str, str]]:
    """The hunks of a patch as (class, line), cut to what a page can show."""
    found: list[tuple[str, str]] = []
    inside = False
    for line in change.patch.split("\n"):
        inside = inside or line.startswith("@@")
        if not inside or not line:
            continue
        kind = {"+": "added", "-": "removed", "@": "hunk"}.get(line[0], "same")
        found.append((kind, line))
        if len(found) == _LINES_SHOWN:
            found.append(("hunk", "… cut here"))
            break
    return found
