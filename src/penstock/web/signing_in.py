"""The doors: by token, by an identity provider, out again; and the list of who is in, for admins.

In: requests. Out: sessions in `access`. What a sign-in at the provider has to remember until the browser comes back stands in
a signed cookie of that browser, so that nobody can push it out and no other browser can use it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec
from aiohttp import web

from penstock.model import errors
from penstock.ports.clock import Clock
from penstock.web import access

if TYPE_CHECKING:
    from penstock.app.people import SignIn
    from penstock.web.sessions import Session

_FLOW_SECONDS = 600.0
_ERRORS = {
    "access_denied": "the identity provider says that you declined, or may not",
    "login_required": "the identity provider wants you to sign in there first",
    "temporarily_unavailable": "the identity provider is not available at the moment",
}
"""What a provider may answer; its own words are anybody's who makes up the address."""


class _Flow(msgspec.Struct, frozen=True):
    state: str
    nonce: str
    verifier: str
    to: str
    until: float


@dataclass(slots=True, kw_only=True)
class Doors:
    """The ways in and out."""

    access: access.Access
    clock: Clock
    provider: SignIn | None = None
    public_url: str = ""
    """Where people reach the page; set when the port is known."""
    _key: bytes = field(default_factory=lambda: secrets.token_bytes(32))

    def with_token(self, request: web.Request, token: str) -> Session | None:
        """A session for whoever has a token. Raises HTTPTooManyRequests after wrong ones."""
        source = request.remote or ""
        wait = self.access.attempts.wait_seconds(source)
        if wait > 0:
            raise web.HTTPTooManyRequests(
                text=f"too many wrong tokens from there: try again in {int(wait) + 1} s\n",
                headers={"Retry-After": str(int(wait) + 1)},
            )
        person = self.access.person_of(token)
        if person is None:
            self.access.attempts.wrong(source)
            return None
        self.access.attempts.right(source)
        return self.access.sessions.begin(person)

    async def begin(self, to: str) -> tuple[str, str]:
        """The provider's address to go to, and the cookie that remembers the way. `to`: a page of ours."""
        assert self.provider is not None
        flow = _Flow(
            state=secrets.token_urlsafe(32),
            nonce=secrets.token_urlsafe(32),
            verifier=secrets.token_urlsafe(48),
            to=to,
            until=self.clock.monotonic() + _FLOW_SECONDS,
        )
        where = await self.provider.authorization(
            redirect=self._redirect, state=flow.state, nonce=flow.nonce, verifier=flow.verifier
        )
        return where, self._sealed(flow)

    async def come_back(self, query: Mapping[str, str], cookie: str) -> tuple[Session, str]:
        """The session of whoever came back from the provider, and the page they wanted. Raises PenstockError."""
        assert self.provider is not None
        flow = self._opened(cookie)
        if flow is None or not hmac.compare_digest(query.get("state", "").encode(), flow.state.encode()):
            raise _refused("this sign-in was not begun here, or too long ago")
        # RFC 9207: a provider that names itself here must be the one that was asked.
        if query.get("iss", self.provider.issuer) != self.provider.issuer:
            raise _refused("the answer is from another identity provider")
        if "error" in query:
            raise _refused(_ERRORS.get(query["error"], "the identity provider refused"))
        code = query.get("code", "")
        if not code or len(code) > 4096:
            raise _refused("the identity provider sent no code")
        found = await self.provider.returned(code, redirect=self._redirect, nonce=flow.nonce, verifier=flow.verifier)
        session = self.access.sessions.begin(found.person, forge_token=found.forge_token, forge_seconds=found.forge_seconds)
        return session, flow.to

    @property
    def flow_cookie(self) -> str:
        port = self.public_url.rpartition(":")[2]
        return "__Host-penstock_flow" if self.access.secure else f"penstock_flow_{port}"

    @property
    def flow_seconds(self) -> int:
        return int(_FLOW_SECONDS)

    @property
    def _redirect(self) -> str:
        return f"{self.public_url}/sign-in/return"

    def _sealed(self, flow: _Flow) -> str:
        body = msgspec.json.encode(flow)
        return base64.urlsafe_b64encode(self._mac(body) + body).decode()

    def _opened(self, cookie: str) -> _Flow | None:
        try:
            data = base64.urlsafe_b64decode(cookie.encode())
            mac, body = data[:32], data[32:]
            if not hmac.compare_digest(mac, self._mac(body)):
                return None
            flow = msgspec.json.decode(body, type=_Flow)
        except (binascii.Error, ValueError, UnicodeError):
            return None
        return flow if flow.until > self.clock.monotonic() else None

    def _mac(self, body: bytes) -> bytes:
        return hmac.new(self._key, body, hashlib.sha256).digest()


def _refused(what: str) -> errors.RefusedError:
    return errors.RefusedError(what, hint="begin again", code="SignIn", status=403)
