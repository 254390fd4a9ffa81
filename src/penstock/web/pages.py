"""The pages: who may see them, what stands on them, and their live events.

In: requests that `access` let through. Out: HTML and event streams. Facts come from `Facts`, drawing is `drawing`'s; what a
person does here is in `acting`, the doors are in `signing_in`.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import parse_qsl, quote, unquote, urlencode

from aiohttp import web

from penstock.model import errors, people
from penstock.ports.clock import Clock
from penstock.web import access, drawing, feeds, insides, parts, views
from penstock.web.parts import Viewer
from penstock.web.sessions import Session

_log = logging.getLogger(__name__)

PATIENCE_SECONDS = 2.5
"""How long a page waits for facts before it is sent with what is known."""
HEARTBEAT_SECONDS = 15.0
_FEEDS = 400
_DONE = {
    "approved": "Your approval is recorded on the forge.",
    "asked": "Your request for changes is recorded.",
    "decided": "Your decision is recorded, the pull request follows.",
    "merged": "Merged. The cluster follows by itself.",
    "closed": "Closed. It is not proposed again until it changes.",
    "rollback": "This pull request takes it back; it needs an approval like any other.",
    "proposed": "The main branch takes no direct commits: this counts once it is approved and merged.",
    "held": "Held. Nothing of it is merged until it is released.",
    "released": "Released.",
    "frozen": "Frozen. Nothing is merged until it is thawed.",
    "thawed": "Thawed.",
}
_PERSONAL = ("promotion",)
"""Pages that show each person something else."""


class Facts(Protocol):
    """Where the pages' facts come from. Raises PenstockError; RefusedError(code='NotFound') for what does not exist."""

    async def grants(self) -> Sequence[people.Grant]:
        """Who may do what, as the base branch says now; nobody anything when that cannot be read."""

    async def board(self) -> views.Board: ...
    async def app(self, name: str) -> views.AppPage: ...
    async def promotion(self, number: int) -> views.PromotionPage: ...
    async def environment(self, name: str) -> insides.EnvironmentPage: ...
    async def log(self, name: str) -> insides.LogPage: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A page that can be looked at, parsed from its address."""

    kind: str
    name: str = ""
    choice: parts.Choice = field(default_factory=parts.Choice)


@dataclass(slots=True, kw_only=True, eq=False)
class Pages:
    """The pages, and the feeds they share."""

    facts: Facts
    templates: drawing.Drawing
    door: access.Access
    clock: Clock
    group: asyncio.TaskGroup
    logins: Callable[[Session], tuple[str, ...]]
    """As whom a session may act on the forge."""
    environments: tuple[str, ...]
    fleet: str
    own_grants: tuple[people.Grant, ...] = ()
    """Of the fleet file."""
    _fresh: dict[tuple[str, str], feeds.Fresh[Any]] = field(default_factory=dict)
    _feeds: dict[tuple[Target, Viewer], feeds.Feed[Any]] = field(default_factory=dict)
    _closed: bool = False

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

    # who may see what

    async def grants(self) -> tuple[people.Grant, ...]:
        """Those of the fleet file and those of the base branch. Without a base branch that can be read, only the former."""
        try:
            return (*self.own_grants, *await self.facts.grants())
        except errors.PenstockError:
            return self.own_grants

    async def viewer(self, session: Session, *, personal: bool = False) -> Viewer:
        """What somebody may see and do now."""
        grants = await self.grants()
        person = session.person
        visible = tuple(name for name in self.environments if people.may(person, "look", name, grants))
        able = frozenset(
            (action, name) for action in people.NEEDS for name in self.environments if people.may(person, action, name, grants)
        )
        everything = len(visible) == len(self.environments)
        if not personal:
            return Viewer(visible=visible, everything=everything, able=able)
        # The link is nobody in particular: there, it is whoever it acts as on the forge that must not have written it.
        names = {*self.logins(session)} | (set() if person.own else {person.login, person.name, person.email})
        return Viewer(
            visible=visible,
            everything=everything,
            able=able,
            logins=self.logins(session),
            names=frozenset(name.lower() for name in names if name),
        )

    async def sees(self, target: Target, viewer: Viewer) -> feeds.Known[Any] | None:
        """What is known of a page; None when there is no such page for whoever looks: gone and forbidden look the same."""
        if not viewer.visible and self.environments:
            return None
        if target.kind in ("environment", "log") and target.name not in viewer.visible:
            return None
        known = await self.feed(target, viewer).fresh.get(PATIENCE_SECONDS)
        if known.value is None:
            if known.refusal is not None and known.refusal.code == "NotFound":
                return None
            return known if viewer.everything or target.kind in ("board", "environment", "log") else None
        if target.kind == "promotion" and known.value.target not in viewer.visible:
            return known if viewer.everything else None
        if target.kind == "app" and not viewer.everything and not parts.seen_app(known.value, viewer):
            return None
        return known

    # pages

    async def page(self, request: web.Request) -> web.Response:
        """A page with the facts of now, or what is known if they take long; 404 for what is not there."""
        session = self.door.session(request)
        assert session is not None
        target = parse(request.rel_url.raw_path, request.query)
        viewer = await self.viewer(session, personal=target.kind in _PERSONAL)
        known = await self.sees(target, viewer)
        if known is None:
            raise web.HTTPNotFound(text=_GONE.get(target.kind, "there is no such page"))
        shown = dict(self.feed(target, viewer).show(known))
        facts = _frame(target, known, shown, viewer) | {
            "shown": shown,
            "live": "/events?of=" + quote(address(target), safe=""),
            "version": known.version,
            "done": _DONE.get(request.query.get("done", ""), ""),
        }
        if target.kind == "board":
            facts["title"] = facts["fleet"] = self.fleet
        return await self.html(request, f"{target.kind}.html", **facts)

    async def refused(
        self, request: web.Request, status: int, title: str, what: str, hint: str | None = None, back: str = "/"
    ) -> web.Response:
        """A page that says no."""
        return await self.html(request, "refused.html", status=status, title=title, what=what, hint=hint, back=back)

    async def html(self, request: web.Request, template: str, *, status: int = 200, **facts: Any) -> web.Response:
        session = self.door.session(request)
        here = "board" if request.path == "/" else unquote(request.path.rpartition("/")[2])
        everywhere: dict[str, Any] = {"session": session, "here": here, "live": "", "version": "", "environments": ()}
        if session is not None:
            viewer = await self.viewer(session)
            grants = await self.grants()
            everywhere["environments"] = viewer.visible
            everywhere["admin"] = people.may(session.person, "sessions", people.FLEET, grants)
        text = await asyncio.to_thread(self.templates.page, template, **everywhere | facts)
        return web.Response(text=text, content_type="text/html", status=status)

    # events

    async def events(self, request: web.Request) -> web.StreamResponse:
        """The changes of one page, until the browser goes, the session or the permission ends, or the server stops."""
        path, _, query = request.query.get("of", "/").partition("?")
        target = parse(path, dict(parse_qsl(query)))
        session = self.door.session(request)
        assert session is not None
        viewer = await self.viewer(session, personal=target.kind in _PERSONAL)
        if await self.sees(target, viewer) is None:
            raise web.HTTPNotFound(text=_GONE.get(target.kind, "there is no such page"))
        feed = self.feed(target, viewer)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
        since = request.headers.get("Last-Event-ID") or request.query.get("since", "")
        await response.prepare(request)
        with feed.listener(since) as listener:
            session.ended.append(listener.end)
            try:
                await self._stream(request, response, listener, target, viewer, session)
            except ConnectionResetError:
                pass  # The browser went away.
            finally:
                session.ended.remove(listener.end)
        return response

    async def _stream(
        self,
        request: web.Request,
        response: web.StreamResponse,
        listener: feeds.Listener,
        target: Target,
        viewer: Viewer,
        session: Session,
    ) -> None:
        await response.write(b"retry: 1000\n\n")
        beat = self.clock.monotonic() + HEARTBEAT_SECONDS
        while not self._closed:
            if listener.ended or self.door.session(request) is not session:
                await response.write(b"event: bye\ndata: {}\n\n")
                return
            if await self.viewer(session, personal=target.kind in _PERSONAL) != viewer:
                # Somebody may do more or less than when the page was drawn: it is drawn anew, if at all.
                await response.write(b"event: again\ndata: {}\n\n")
                return
            listener.woken.clear()
            if (update := listener.next()) is not None:
                data = await self._drawn(target, update, session.csrf)
                await response.write(f"id: {update.version}\nevent: change\ndata: {data}\n\n".encode())
            elif self.clock.monotonic() >= beat:
                await response.write(b": still here\n\n")
                beat = self.clock.monotonic() + HEARTBEAT_SECONDS
            await self._woken(request, listener)

    async def _woken(self, request: web.Request, listener: feeds.Listener) -> None:
        """Wait for news, or a second. Raises ConnectionResetError when the browser has gone."""
        if request.transport is None or request.transport.is_closing():
            raise ConnectionResetError
        try:
            async with asyncio.timeout(1.0):
                await listener.woken.wait()
        except TimeoutError:
            pass

    async def _drawn(self, target: Target, update: feeds.Update, csrf: str) -> str:
        template = f"{target.kind}_parts.html"

        def draw() -> str:
            changed = {key: self.templates.part(template, key, value, csrf) for key, value in update.changed.items()}
            message = {"version": update.version, "changed": changed, "gone": update.gone, "order": update.order}
            return json.dumps(message)

        return await asyncio.to_thread(draw)

    # feeds

    def feed(self, target: Target, viewer: Viewer) -> feeds.Feed[Any]:
        key = (target, viewer)
        feed = self._feeds.pop(key, None)
        if feed is None:
            feed = self._make(target, viewer)
        self._feeds[key] = feed  # The newest stands last.
        for old in [key for key, one in self._feeds.items() if one.idle][: max(0, len(self._feeds) - _FEEDS)]:
            del self._feeds[old]
        used = {id(one.fresh) for one in self._feeds.values()}
        for name in [name for name, fresh in self._fresh.items() if id(fresh) not in used]:
            self._fresh.pop(name).cancel()
        return feed

    def _make(self, target: Target, viewer: Viewer) -> feeds.Feed[Any]:
        """The feed of a page for people like this; those of one kind and name share their facts."""
        compute, cut = self._kind(target, viewer)
        key = (target.kind, target.name)
        fresh = self._fresh.setdefault(key, feeds.Fresh(compute=compute, clock=self.clock, group=self.group))
        return feeds.Feed(fresh=fresh, parts=cut)

    def _kind(
        self, target: Target, viewer: Viewer
    ) -> tuple[Callable[[], Awaitable[Any]], Callable[[feeds.Known[Any]], feeds.Parts]]:
        """How the facts of a page are computed, and how they are cut into parts."""
        name, facts, choice = target.name, self.facts, target.choice
        match target.kind:
            case "app":
                return lambda: facts.app(name), lambda known: parts.app(known, viewer)
            case "promotion":
                return lambda: facts.promotion(int(name)), lambda known: parts.promotion(known, choice, viewer)
            case "environment":
                return lambda: facts.environment(name), lambda known: parts.environment(known, choice, viewer)
            case "log":
                return lambda: facts.log(name), lambda known: parts.log(known, choice, viewer)
            case _:
                return facts.board, lambda known: parts.board(known, choice, viewer)


_GONE = {
    "app": "there is no app of this name that you may see",
    "promotion": "there is no promotion of this number that you may see",
    "environment": "there is no environment of this name that you may see",
    "log": "there is no environment of this name that you may see",
    "board": "nobody gave you a role in any environment yet: ask whoever runs this page",
}


def parse(raw_path: str, query: Mapping[str, str]) -> Target:
    """Which page an address means. Raises HTTPNotFound."""
    kind, _, name = raw_path.strip("/").partition("/")
    choice = parts.Choice(
        query=query.get("q", "")[:200],
        busy=query.get("busy") == "1",
        page=_number(query.get("page", "")) or 1,
        kind=kind_ if (kind_ := query.get("kind", "")) in KINDS else "",
        days=_number(query.get("days", "")),
    )
    if not kind:
        return Target(kind="board", choice=choice)
    name = unquote(name)
    if kind not in ("app", "promotion", "environment", "log") or not name:
        raise web.HTTPNotFound
    if kind == "promotion" and not (name.isascii() and name.isdigit() and len(name) < 10):
        raise web.HTTPNotFound
    return Target(kind=kind, name=name, choice=choice)


KINDS = ("promotion", "bypass", "rollback")
"""What the log can be asked for."""


def _number(text: str) -> int:
    """A small number of a query; 0 for anything else."""
    return int(text[:4]) if text.isascii() and text.isdigit() else 0


def address(target: Target) -> str:
    """The address that `parse` reads."""
    choice = target.choice
    query = {
        "q": choice.query,
        "busy": "1" if choice.busy else "",
        "page": str(choice.page) if choice.page > 1 else "",
        "kind": choice.kind,
        "days": str(choice.days or ""),
    }
    wanted = urlencode({key: value for key, value in query.items() if value})
    path = "/" if target.kind == "board" else f"/{target.kind}/{quote(target.name, safe='')}"
    return f"{path}?{wanted}" if wanted else path


def _frame(target: Target, known: feeds.Known[Any], shown: Mapping[str, object], viewer: Viewer) -> dict[str, Any]:
    """What a page's template takes besides the parts."""
    choice = target.choice
    asked = {"query": choice.query, "busy": choice.busy, "page": choice.page, "choice": choice, "kinds": KINDS}
    if target.kind != "board":
        number = target.name if target.kind == "promotion" else ""
        return asked | {"title": f"#{number}" if number else target.name, "number": number}
    board: views.Board | None = known.value
    lines = len(choice.lines(board, viewer)) if board else 0
    return asked | {
        "pages": -(-lines // parts.PAGE_LINES),
        "lines": any(key.startswith("row/") for key in shown),
    }
