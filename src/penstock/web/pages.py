"""The routes: a page for every view, its live events, and the one thing a person can do here, deciding on a promotion.

In: requests that `access` let through. Out: HTML, event streams, redirects. Facts come from `Facts`, drawing is `drawing`'s.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol
from urllib.parse import parse_qsl, quote, unquote, urlencode

from aiohttp import web

from penstock.model import errors
from penstock.ports.clock import Clock
from penstock.ports.forge import Forge, ReviewState
from penstock.web import access, drawing, feeds, parts, views

_log = logging.getLogger(__name__)

Side = Literal["take", "keep"]
"""Take what the source has, or keep what the target has."""

PATIENCE_SECONDS = 2.5
"""How long a page waits for facts before it is sent with what is known."""
HEARTBEAT_SECONDS = 15.0
_FEEDS = 200
_DONE = {
    "approved": "Your approval is recorded on the forge.",
    "changes_requested": "Your request for changes is recorded.",
    "decided": "Your decision is recorded, the pull request follows.",
}


class Facts(Protocol):
    """Where the pages' facts come from. Raises PenstockError; RefusedError(code='NotFound') for what does not exist."""

    async def board(self) -> views.Board: ...
    async def app(self, name: str) -> views.AppPage: ...
    async def promotion(self, number: int) -> views.PromotionPage: ...
    async def environment(self, name: str) -> views.EnvironmentPage: ...
    async def log(self, name: str) -> views.LogPage: ...

    async def decide(self, name: str, target: str, stamp: str, choices: Mapping[str, Side]) -> None:
        """Promote an app with these decisions: field -> side. Raises RaceError when `stamp` is of other values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Target:
    """A page that can be looked at, parsed from its address."""

    kind: str
    name: str = ""
    choice: parts.Choice = field(default_factory=parts.Choice)


@dataclass(slots=True, kw_only=True, eq=False)
class Pages:
    """The handlers, and the feeds they share."""

    facts: Facts
    templates: drawing.Drawing
    door: access.Access
    clock: Clock
    group: asyncio.TaskGroup
    forges: Mapping[str, Forge]
    environments: tuple[str, ...]
    fleet: str
    _fresh: dict[tuple[str, str], feeds.Fresh[Any]] = field(default_factory=dict)
    _feeds: dict[_Target, feeds.Feed[Any]] = field(default_factory=dict)
    _closed: bool = False

    def routes(self) -> list[web.RouteDef]:
        """Every route there is; what is not in `access.OPEN` wants a session."""
        return [
            web.get("/", self.page),
            web.get("/app/{name:[^/]+}", self.page),
            web.get("/promotion/{name:[1-9][0-9]{0,8}}", self.page),
            web.post("/promotion/{name:[1-9][0-9]{0,8}}/review", self.review),
            web.post("/app/{name:[^/]+}/decide", self.decide),
            web.get("/environment/{name:[^/]+}", self.page),
            web.get("/log/{name:[^/]+}", self.page),
            web.get("/events", self.events),
            web.get("/sign-in", self.sign_in),
            web.post("/sign-out", self.sign_out),
            web.get("/healthz", self.healthz),
            web.get("/-/{digest}/{name}", self.static),
        ]

    def poke(self) -> None:
        """Something changed: everybody who looks gets new facts now."""
        for feed in self._feeds.values():
            feed.poke()

    def close(self) -> None:
        """Send every listener away: the server stops."""
        self._closed = True
        for feed in self._feeds.values():
            feed.close()

    def cancel(self) -> None:
        """Stop whatever is being computed."""
        for fresh in self._fresh.values():
            fresh.cancel()

    # pages

    async def page(self, request: web.Request) -> web.Response:
        """A page with the facts of now, or what is known if they take long; 404 for what is not there."""
        target = _parse(request.rel_url.raw_path, request.query)
        feed = self._feed(target)
        known = await feed.fresh.get(PATIENCE_SECONDS)
        if known.value is None and known.refusal is not None and known.refusal.code == "NotFound":
            return await self.refused(request, 404, "Not here", known.refusal.what, known.refusal.hint)
        shown = dict(feed.show(known))
        facts = _frame(target, known, shown) | {
            "shown": shown,
            "live": "/events?of=" + quote(_address(target), safe=""),
            "version": known.version,
            "done": _DONE.get(request.query.get("done", ""), ""),
        }
        if target.kind == "board":
            facts["title"] = facts["fleet"] = self.fleet
        return await self._html(request, f"{target.kind}.html", **facts)

    async def refused(
        self, request: web.Request, status: int, title: str, what: str, hint: str | None = None, back: str = "/"
    ) -> web.Response:
        """A page that says no."""
        return await self._html(
            request, "refused.html", status=status, title=title, what=what, hint=hint, back=back, live="", version=""
        )

    async def _html(self, request: web.Request, template: str, *, status: int = 200, **facts: Any) -> web.Response:
        session = self.door.session(request)
        here = "board" if request.path == "/" else unquote(request.path.rpartition("/")[2])
        everywhere = {"session": session, "environments": self.environments, "here": here}
        text = await asyncio.to_thread(self.templates.page, template, **everywhere | facts)
        return web.Response(text=text, content_type="text/html", status=status)

    # events

    async def events(self, request: web.Request) -> web.StreamResponse:
        """The changes of one page, until the browser goes, the session ends or the server stops."""
        path, _, query = request.query.get("of", "/").partition("?")
        target = _parse(path, dict(parse_qsl(query)))
        session = self.door.session(request)
        assert session is not None
        feed = self._feed(target)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
        since = request.headers.get("Last-Event-ID") or request.query.get("since", "")
        await response.prepare(request)
        with feed.listener(since) as listener:
            session.ended.append(listener.end)
            try:
                await self._stream(request, response, listener, target, session.csrf)
            except ConnectionResetError:
                pass  # The browser went away.
            finally:
                session.ended.remove(listener.end)
        return response

    async def _stream(
        self, request: web.Request, response: web.StreamResponse, listener: feeds.Listener, target: _Target, csrf: str
    ) -> None:
        await response.write(b"retry: 1000\n\n")
        while not self._closed:
            if listener.ended or self.door.session(request) is None:
                await response.write(b"event: bye\ndata: {}\n\n")
                return
            listener.woken.clear()
            if (update := listener.next()) is not None:
                data = await self._drawn(target, update, csrf)
                await response.write(f"id: {update.version}\nevent: change\ndata: {data}\n\n".encode())
            if not await self._woken(request, listener):
                await response.write(b": still here\n\n")

    async def _woken(self, request: web.Request, listener: feeds.Listener) -> bool:
        """Wait for news until the next sign of life is due. Raises ConnectionResetError when the browser has gone."""
        due = self.clock.monotonic() + HEARTBEAT_SECONDS
        while self.clock.monotonic() < due:
            if request.transport is None or request.transport.is_closing():
                raise ConnectionResetError
            try:
                async with asyncio.timeout(1.0):
                    await listener.woken.wait()
            except TimeoutError:
                continue
            return True
        return False

    async def _drawn(self, target: _Target, update: feeds.Update, csrf: str) -> str:
        template = f"{target.kind}_parts.html"

        def draw() -> str:
            changed = {key: self.templates.part(template, key, value, csrf) for key, value in update.changed.items()}
            message = {"version": update.version, "changed": changed, "gone": update.gone, "order": update.order}
            return json.dumps(message)

        return await asyncio.to_thread(draw)

    # feeds

    def _feed(self, target: _Target) -> feeds.Feed[Any]:
        feed = self._feeds.pop(target, None)
        if feed is None:
            feed = self._make(target)
        self._feeds[target] = feed  # The newest stands last.
        for old in [key for key, one in self._feeds.items() if one.idle][: max(0, len(self._feeds) - _FEEDS)]:
            del self._feeds[old]
        used = {id(one.fresh) for one in self._feeds.values()}
        for key in [key for key, fresh in self._fresh.items() if id(fresh) not in used]:
            self._fresh.pop(key).cancel()
        return feed

    def _make(self, target: _Target) -> feeds.Feed[Any]:
        """The feed of a page; those of one kind and name share their facts."""
        compute, cut = self._kind(target)
        key = (target.kind, target.name)
        fresh = self._fresh.setdefault(key, feeds.Fresh(compute=compute, clock=self.clock, group=self.group))
        return feeds.Feed(fresh=fresh, parts=cut)

    def _kind(self, target: _Target) -> tuple[Callable[[], Awaitable[Any]], Callable[[feeds.Known[Any]], feeds.Parts]]:
        """How the facts of a page are computed, and how they are cut into parts."""
        name, facts = target.name, self.facts
        match target.kind:
            case "app":
                return lambda: facts.app(name), lambda known: parts.app(known, bool(self.forges))
            case "promotion":
                return lambda: facts.promotion(int(name)), lambda known: parts.promotion(known, tuple(self.forges))
            case "environment":
                return lambda: facts.environment(name), parts.environment
            case "log":
                return lambda: facts.log(name), parts.log
            case _:
                return facts.board, lambda known: parts.board(known, target.choice, self.environments)

    # deciding

    async def review(self, request: web.Request) -> web.StreamResponse:
        """Approve a promotion, or ask for changes, as the chosen person and at exactly the commit that was looked at."""
        number = int(request.match_info["name"])
        form = {key: str(value) for key, value in (await request.post()).items()}
        back = f"/promotion/{number}"
        decision = form.get("decision", "")
        try:
            await self._decide(number, form)
        except errors.PenstockError as error:
            return await self.refused(request, _status_of(error), "Not recorded", error.what, error.hint, back)
        self.poke()
        return _go(f"{back}?done={decision}")

    async def _decide(self, number: int, form: Mapping[str, str]) -> None:
        login, head, comment = form.get("login", ""), form.get("head", ""), form.get("comment", "").strip()
        forge = self.forges.get(login)
        if forge is None:
            raise errors.RefusedError("nobody of that name can act here", code="NoActor", status=403)
        known = await self._feed(_Target(kind="promotion", name=str(number))).fresh.get(PATIENCE_SECONDS)
        if known.value is None:
            raise known.refusal or errors.TransientError(known.problem or "nothing is known of it yet", code="NotKnown")
        state = _decision(form.get("decision", ""), comment)
        pull = await forge.pull(number)
        if pull.state != "open":
            raise errors.RaceError(f"#{number} is {pull.state} already", code="NotOpen", status=409)
        if pull.author == login:
            raise errors.RefusedError(f"{login} opened #{number}; somebody else has to decide", code="OwnChange", status=403)
        if pull.head_sha != head:
            what = f"#{number} changed while you looked: it is at {pull.head_sha[:7]} now"
            raise errors.RaceError(what, hint="read it again, then decide", code="StaleHead", status=409)
        mine = [one for one in await forge.reviews(number) if one.user == login and one.state in _DONE]
        if mine and (mine[-1].state, mine[-1].commit) == (state, head):
            raise errors.RaceError(f"{login} decided so already", code="AlreadyDecided", status=409)
        await forge.review(number, state=state, commit=pull.head_sha, body=comment)

    async def decide(self, request: web.Request) -> web.StreamResponse:
        """Settle every conflict of an app's promotion into one environment, for the values that were shown."""
        name = request.match_info["name"]
        back = f"/app/{quote(name, safe='')}"
        form = {key: str(value) for key, value in (await request.post()).items()}
        try:
            if not self.forges:
                raise errors.RefusedError("nothing can be decided on this page", code="NoActor", status=403)
            await self.facts.decide(name, form.get("target", ""), form.get("stamp", ""), _choices(form))
        except errors.PenstockError as error:
            return await self.refused(request, _status_of(error), "Not recorded", error.what, error.hint, back)
        self.poke()
        return _go(f"{back}?done=decided")

    # doors

    async def sign_in(self, request: web.Request) -> web.StreamResponse:
        """The link with the token; afterwards the token is in no address any more."""
        token = request.query.get("token", "")
        if not token:
            return await self._html(request, "sign_in.html", title="Sign in", wrong=False, live="", version="")
        response = _go("/")
        if self.door.sign_in(response, token):
            return response
        return await self._html(request, "sign_in.html", status=401, title="Sign in", wrong=True, live="", version="")

    async def sign_out(self, request: web.Request) -> web.StreamResponse:
        response = _go("/sign-in")
        self.door.sign_out(request, response)
        return response

    async def healthz(self, request: web.Request) -> web.Response:
        """Whether the page is served; it says nothing about the fleet."""
        return web.Response(text="ok\n")

    async def static(self, request: web.Request) -> web.Response:
        """Style, script and icon, named by digest."""
        name = request.match_info["name"]
        if name not in drawing.STATIC:
            raise web.HTTPNotFound(text="no such file\n")
        kept = {"Cache-Control": "public, max-age=31536000, immutable"}
        return web.Response(body=drawing.static(name), content_type=drawing.STATIC[name], charset="utf-8", headers=kept)

    @web.middleware
    async def boundary(self, request: web.Request, handler: access.Handler) -> web.StreamResponse:
        """Every refusal is a page, and no error shows its insides."""
        try:
            return await handler(request)
        except web.HTTPException as refusal:
            return await self._refusal(request, refusal)
        except errors.PenstockError as error:
            return await self.refused(request, _status_of(error), "That did not work", error.what, error.hint)
        except Exception:
            # The one boundary of a request: what is not foreseen goes to the log, with where it happened.
            _log.exception("%s %s failed", request.method, request.path)
            what = "an internal error; the log of the process that serves this page tells more"
            return await self.refused(request, 500, "That did not work", what)

    async def _refusal(self, request: web.Request, refusal: web.HTTPException) -> web.StreamResponse:
        if refusal.status == 421:
            return web.Response(status=421, text=refusal.text)
        if refusal.status == 401:
            return await self._html(request, "sign_in.html", status=401, title="Sign in", wrong=False, live="", version="")
        what = {404: "there is no such page", 405: "that cannot be done here"}.get(refusal.status, refusal.text or refusal.reason)
        response = await self.refused(request, refusal.status, refusal.reason, what.strip())
        if "Allow" in refusal.headers:
            response.headers["Allow"] = refusal.headers["Allow"]
        return response


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """On every answer, event streams included, just before it is sent."""
    for name, value in access.HEADERS.items():
        response.headers.setdefault(name, value)


def _parse(raw_path: str, query: Mapping[str, str]) -> _Target:
    """Which page an address means. Raises HTTPNotFound."""
    kind, _, name = raw_path.strip("/").partition("/")
    if not kind:
        number = query.get("page", "")[:4]
        page = max(1, int(number)) if number.isascii() and number.isdigit() else 1
        choice = parts.Choice(query=query.get("q", "")[:200], busy=query.get("busy") == "1", page=page)
        return _Target(kind="board", choice=choice)
    name = unquote(name)
    if kind not in ("app", "promotion", "environment", "log") or not name:
        raise web.HTTPNotFound
    if kind == "promotion" and not (name.isascii() and name.isdigit() and len(name) < 10):
        raise web.HTTPNotFound
    return _Target(kind=kind, name=name)


def _address(target: _Target) -> str:
    """The address that `_parse` reads."""
    if target.kind != "board":
        return f"/{target.kind}/{quote(target.name, safe='')}"
    choice = target.choice
    query = {"q": choice.query, "busy": "1" if choice.busy else "", "page": str(choice.page) if choice.page > 1 else ""}
    wanted = urlencode({key: value for key, value in query.items() if value})
    return f"/?{wanted}" if wanted else "/"


def _frame(target: _Target, known: feeds.Known[Any], shown: Mapping[str, object]) -> dict[str, Any]:
    """What a page's template takes besides the parts."""
    if target.kind != "board":
        number = target.name if target.kind == "promotion" else ""
        return {"title": f"#{number}" if number else target.name, "number": number}
    board: views.Board | None = known.value
    lines = len(target.choice.lines(board)) if board else 0
    return {
        "query": target.choice.query,
        "busy": target.choice.busy,
        "page": target.choice.page,
        "pages": -(-lines // parts.PAGE_LINES),
        "lines": any(key.startswith("row/") for key in shown),
    }


def _decision(text: str, comment: str) -> ReviewState:
    if text == "approved":
        return "approved"
    if text != "changes_requested":
        raise errors.RefusedError("that is no decision", code="NoDecision", status=400)
    if not comment:
        raise errors.RefusedError("say which changes you ask for", code="NoComment", status=400)
    return "changes_requested"


def _choices(form: Mapping[str, str]) -> dict[str, Side]:
    """The form's 'choice <field>' entries."""
    chosen: dict[str, Side] = {}
    for key, value in form.items():
        if key.startswith("choice ") and value in ("take", "keep"):
            chosen[key.removeprefix("choice ")] = "take" if value == "take" else "keep"
    return chosen


def _status_of(error: errors.PenstockError) -> int:
    """The HTTP status that tells what the caller can do."""
    known = {"NotFound": 404, "NoActor": 403, "OwnChange": 403, "NoDecision": 400, "NoComment": 400}
    if error.code in known:
        return known[error.code]
    match error:
        case errors.RaceError() | errors.ConflictError():
            return 409
        case errors.RemoteError():
            return 502
        case errors.InputError():
            return 422
        case _:
            return 500


def _go(where: str) -> web.Response:
    """See there; only ever a path of our own."""
    return web.Response(status=303, headers={"Location": where})
