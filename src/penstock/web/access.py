"""Who may see the page. In: a request. Out: the session it belongs to, or a refusal; and the headers of every answer.

In front of everything stands the Host header: a page of another site that points its own name at 127.0.0.1 gets nowhere.
Then a session, begun by the link with the token that `penstock up` prints; every route wants one but those in `OPEN`. A
change wants the session's own CSRF token too. Sessions live in memory: a restart ends them all.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta

from aiohttp import web

from penstock.ports.clock import Clock

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

SESSION = timedelta(hours=12)
_SESSIONS = 64
"""More at a time than people on a loopback address; the oldest ends when another begins."""

OPEN = frozenset({"/sign-in", "/healthz"})
STATIC = "/-/"

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}
"""On every answer, whatever became of it."""


@dataclass(slots=True, kw_only=True, eq=False)
class Session:
    """One signed-in browser."""

    id: str
    csrf: str
    ends: float
    """On the monotonic clock."""
    ended: list[Callable[[], None]] = field(default_factory=list)
    """Called when it is signed out: open event streams close at once."""


class Access:
    """Checks hosts and tokens, and keeps the sessions."""

    def __init__(self, token: str, clock: Clock) -> None:
        if len(token) < 16:
            raise ValueError("a token that short can be guessed")
        self._token = token
        self._clock = clock
        self._sessions: dict[str, Session] = {}
        self._hosts: frozenset[str] = frozenset()
        self._cookie = "penstock_web"

    def listen(self, port: int) -> None:
        """The port is known: cookies do not tell ports apart, so the cookie's name does."""
        self._hosts = frozenset(f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]"))
        self._cookie = f"penstock_web_{port}"

    @web.middleware
    async def guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Foreign hosts, strangers and forged changes stop here."""
        if request.headers.get("Host", "").lower() not in self._hosts:
            raise web.HTTPMisdirectedRequest(text="this page answers only to its own loopback address\n")
        if request.method == "POST":
            self._check_origin(request)
        if request.path not in OPEN and not request.path.startswith(STATIC):
            session = self.session(request)
            if session is None:
                raise web.HTTPUnauthorized(text="sign in with the link that penstock up printed\n")
            if request.method == "POST":
                await self._check_csrf(request, session)
        return await handler(request)

    def session(self, request: web.Request) -> Session | None:
        """The session of the request's cookie, unless it has ended."""
        found = self._sessions.get(request.cookies.get(self._cookie, ""))
        if found is not None and found.ends <= self._clock.monotonic():
            self._end(found)
            return None
        return found

    def sign_in(self, response: web.StreamResponse, token: str) -> bool:
        """Begin a session for whoever has the token; never one whose id the browser brought along."""
        if not hmac.compare_digest(token.encode(), self._token.encode()):
            return False
        for session in self._surplus():
            self._end(session)
        ends = self._clock.monotonic() + SESSION.total_seconds()
        session = Session(id=secrets.token_urlsafe(32), csrf=secrets.token_urlsafe(32), ends=ends)
        self._sessions[session.id] = session
        seconds = int(SESSION.total_seconds())
        response.set_cookie(self._cookie, session.id, httponly=True, samesite="Strict", path="/", max_age=seconds)
        return True

    def sign_out(self, request: web.Request, response: web.StreamResponse) -> None:
        """End the request's session everywhere it is open."""
        if (session := self.session(request)) is not None:
            self._end(session)
        response.del_cookie(self._cookie, path="/", httponly=True, samesite="Strict")

    def _surplus(self) -> Iterator[Session]:
        now = self._clock.monotonic()
        sessions = list(self._sessions.values())
        yield from (session for session in sessions if session.ends <= now)
        living = [session for session in sessions if session.ends > now]
        yield from living[: max(0, len(living) - _SESSIONS + 1)]

    def _end(self, session: Session) -> None:
        self._sessions.pop(session.id, None)
        for call in session.ended:
            call()

    def _check_origin(self, request: web.Request) -> None:
        """What the browser itself says about where a change comes from; old ones say nothing and have the token alone."""
        site = request.headers.get("Sec-Fetch-Site", "same-origin")
        origin = request.headers.get("Origin", "null")
        if site not in ("same-origin", "none") or (origin != "null" and origin.partition("://")[2].lower() not in self._hosts):
            raise web.HTTPForbidden(text="a change has to come from this page itself\n")

    async def _check_csrf(self, request: web.Request, session: Session) -> None:
        if request.content_type != "application/x-www-form-urlencoded":
            raise web.HTTPUnsupportedMediaType(text="changes are sent as a form\n")
        given = (await request.post()).get("csrf", "")
        if not isinstance(given, str) or not hmac.compare_digest(given.encode(), session.csrf.encode()):
            raise web.HTTPForbidden(text="this form is out of date: go back, reload, try again\n")
