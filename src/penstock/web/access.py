"""Who is let in. In: a request. Out: the session it belongs to, or a refusal; and the headers of every answer.

In front of everything stands the Host header: a page of another site that points its own name at this address gets nowhere.
Then a session, begun by a token or by an identity provider; every route wants one but those that `routing` calls open. A
change wants the session's own CSRF token too. What somebody may do is asked elsewhere, by `model.people.may` alone.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import urlsplit

from aiohttp import web

from penstock.model.people import Person
from penstock.ports.clock import Clock
from penstock.web import limiting, routing, sessions
from penstock.web.sessions import SESSION, Session

__all__ = ["HEADERS", "SESSION", "Access", "Handler", "Session"]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

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

_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_SHORTEST = 16


class Access:
    """Checks hosts and tokens, and finds the session of a request."""

    def __init__(self, tokens: Mapping[str, Person], clock: Clock, *, public_url: str = "", hosts: tuple[str, ...] = ()) -> None:
        """`tokens`: what lets in whom. `public_url`: where a proxy serves the page; `hosts`: further names it answers to."""
        if any(len(token) < _SHORTEST for token in tokens):
            raise ValueError("a token that short can be guessed")
        self._tokens = dict(tokens)
        self.sessions = sessions.Sessions(clock=clock)
        self.attempts = limiting.Attempts(clock=clock)
        self._public = urlsplit(public_url)
        self._named = frozenset(name.lower() for name in hosts) | ({self._public.netloc.lower()} if public_url else frozenset())
        self._hosts: frozenset[str] = frozenset()
        self._cookie = "penstock_web"

    def listen(self, port: int) -> None:
        """The port is known: cookies do not tell ports apart, so the cookie's name does."""
        self._hosts = self._named | {f"{name}:{port}" for name in _LOOPBACK}
        self._cookie = "__Host-penstock_web" if self.secure else f"penstock_web_{port}"

    @property
    def secure(self) -> bool:
        """Whether people come over https: cookies go no other way then."""
        return self._public.scheme == "https"

    @property
    def takes_tokens(self) -> bool:
        return bool(self._tokens)

    @web.middleware
    async def guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Foreign hosts, strangers and forged changes stop here."""
        if request.headers.get("Host", "").lower() not in self._hosts:
            raise web.HTTPMisdirectedRequest(text="this page answers only to its own address\n")
        if request.method == "POST":
            self._check_origin(request)
        if request.path not in routing.OPEN and not request.path.startswith(routing.STATIC):
            session = self.session(request)
            if session is None:
                raise web.HTTPUnauthorized(text="sign in first\n")
            if request.method == "POST":
                await self._check_csrf(request, session)
        return await handler(request)

    def session(self, request: web.Request) -> Session | None:
        """The session of the request's cookie, unless it has ended."""
        return self.sessions.find(request.cookies.get(self._cookie, ""))

    def person_of(self, token: str) -> Person | None:
        """Whose token this is; every one is compared, and each takes as long as any other."""
        given = token.encode()
        found = [person for known, person in self._tokens.items() if hmac.compare_digest(given, known.encode())]
        return found[0] if found else None

    def let_in(self, request: web.Request, response: web.StreamResponse, session: Session) -> None:
        """Give the browser its cookie, in place of any it had; a session it had before is over."""
        if (before := self.session(request)) is not None:
            self.sessions.end(before)
        response.set_cookie(
            self._cookie,
            session.id,
            httponly=True,
            secure=self.secure,
            samesite="Strict",
            path="/",
            max_age=int(SESSION.total_seconds()),
        )

    def sign_out(self, request: web.Request, response: web.StreamResponse) -> None:
        """End the request's session everywhere it is open."""
        if (session := self.session(request)) is not None:
            self.sessions.end(session)
        response.del_cookie(self._cookie, path="/", httponly=True, secure=self.secure, samesite="Strict")

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
