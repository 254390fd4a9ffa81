"""Who may talk to the forge. In: a request. Out: a user's login name, or a refusal.

Three doors, all by the user's own token: `Authorization: token|Bearer` for the API, Basic for git clients, a signed
cookie for the pages. Before any of them stands the Host header: a page of another site that points its name at
127.0.0.1 gets nowhere.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Awaitable, Callable

from aiohttp import web

from penstock.sandbox.forge.store import Store

COOKIE = "penstock_forge"
_SESSION_SECONDS = 12 * 3600

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Access:
    """Checks hosts, tokens, cookies and CSRF tokens."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._key = bytes.fromhex(store.setting("session-key"))
        self.hosts: frozenset[str] = frozenset()
        """Accepted Host headers, set when the port is known."""

    def listen(self, port: int) -> None:
        self.hosts = frozenset(f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]"))

    @web.middleware
    async def guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuses foreign hosts."""
        if request.headers.get("Host", "").lower() not in self.hosts:
            raise web.HTTPMisdirectedRequest(text="this sandbox answers only to its loopback address\n")
        return await handler(request)

    def user(self, request: web.Request) -> str | None:
        """By Authorization header only: a browser cannot be made to send one."""
        scheme, _, rest = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() in ("token", "bearer"):
            return self._by_token(rest.strip())
        if scheme.lower() == "basic":
            return self._by_basic(rest.strip())
        return None

    def _by_token(self, token: str) -> str | None:
        found = None
        for login, known in self._store.users().items():
            if hmac.compare_digest(known.encode(), token.encode()):
                found = login
        return found

    def _by_basic(self, encoded: str) -> str | None:
        """User name and token as password; like Gitea, the token alone in either place will do."""
        try:
            name, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        user = self._by_token(password)
        if user is not None:
            return user if name in (user, "", "oauth2", "git", "x-access-token") else None
        return self._by_token(name) if password in ("", "x-oauth-basic") else None

    # pages

    def session(self, request: web.Request) -> str | None:
        """The user of a cookie this server signed and that has not expired."""
        login, _, rest = request.cookies.get(COOKIE, "").partition("|")
        until, _, _ = rest.partition("|")
        if not until.isdigit() or int(until) < time.time():
            return None
        good = hmac.compare_digest(request.cookies[COOKIE].encode(), self._signed(login, int(until)).encode())
        return login if good and login in self._store.users() else None

    def sign_in(self, response: web.StreamResponse, token: str) -> str | None:
        """Set the cookie for the token's user."""
        login = self._by_token(token)
        if login is not None:
            value = self._signed(login, int(time.time()) + _SESSION_SECONDS)
            response.set_cookie(COOKIE, value, httponly=True, samesite="Strict", path="/", max_age=_SESSION_SECONDS)
        return login

    def csrf(self, request: web.Request) -> str:
        """The token a form of this session must carry."""
        return self._mac(f"csrf|{request.cookies.get(COOKIE, '')}")

    def check_csrf(self, request: web.Request, token: str) -> None:
        site = request.headers.get("Sec-Fetch-Site", "same-origin")
        if site not in ("same-origin", "none") or not hmac.compare_digest(self.csrf(request).encode(), token.encode()):
            raise web.HTTPForbidden(text="this form is out of date: go back, reload, try again\n")

    def _signed(self, login: str, until: int) -> str:
        return f"{login}|{until}|{self._mac(f'session|{login}|{until}')}"

    def _mac(self, text: str) -> str:
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()
