"""Tokens of a GitHub App installation. In: the App's id and private key, and the installation (or whose it is). Out: a token
of the moment.

    app = AppTokens(session, url="https://github.com", app="12345", installation="67890", key=pem)
    forge.connect("github", url, "octo/fleet", token=app.token)
    git.Mirror(url, folder, credentials=app.credentials)

A token lives for an hour; a new one is asked for ten minutes before its end, once, however many ask at the same time.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from penstock.adapters.forge import rest
from penstock.adapters.forge.github import roots
from penstock.adapters.git.credentials import Credentials
from penstock.model.errors import RefusedError

_EARLY = timedelta(minutes=10)
_SKEW = timedelta(seconds=60)
_ASSERTION = timedelta(minutes=9)
"""GitHub takes at most ten minutes, by its own clock."""


class _Token(msgspec.Struct):
    token: str
    expires_at: datetime


class _Account(msgspec.Struct):
    login: str = ""


class _Installation(msgspec.Struct):
    id: int
    account: _Account | None = None


class AppTokens:
    """Makes installation tokens and keeps the newest.

    Raises RefusedError(code='InvalidKey') when `key` is not an RSA private key in PEM form.
    """

    def __init__(
        self,
        session: rest.Session,
        *,
        url: str,
        app: str,
        key: bytes,
        installation: str = "",
        owner: str = "",
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._app = app
        self._key = _private_key(key)
        self._now = now
        self._held: _Token | None = None
        self._asking = asyncio.Lock()
        self._installation = installation
        self._owner = owner
        self._rest = rest.Rest(session, roots(url)[0], self._authorize, "GitHub")

    async def token(self) -> str:
        """A token that is good for ten more minutes at least."""
        async with self._asking:
            if self._held is None or self._held.expires_at - self._now() < _EARLY:
                if not self._installation:
                    self._installation = await self._installed_at()
                path = f"/app/installations/{self._installation}/access_tokens"
                self._held = await self._rest.send("POST", path, _Token, {})
            return self._held.token

    @property
    def expires_at(self) -> datetime | None:
        """When the newest token ends; None before there is one."""
        return self._held.expires_at if self._held is not None else None

    async def credentials(self) -> Credentials:
        """The same, as git wants it."""
        return Credentials(username="x-access-token", password=await self.token())

    async def _installed_at(self) -> str:
        """The installation of this owner (a user or an organisation)."""
        for each in await self._rest.items("/app/installations", _Installation):
            if each.account is not None and each.account.login.lower() == self._owner.lower():
                return str(each.id)
        raise RefusedError(f"the GitHub App is not installed for '{self._owner}'", code="NotFound", status=404)

    async def _authorize(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self._assertion()}", "Accept": "application/vnd.github+json"}

    def _assertion(self) -> str:
        """A JSON Web Token by which the App says who it is (RS256)."""
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import padding

        now = self._now()
        claims = {"iss": self._app, "iat": int((now - _SKEW).timestamp()), "exp": int((now + _ASSERTION).timestamp())}
        body = b".".join(_packed(msgspec.json.encode(part)) for part in ({"alg": "RS256", "typ": "JWT"}, claims))
        signature = self._key.sign(body, padding.PKCS1v15(), hashes.SHA256())
        return b".".join((body, _packed(signature))).decode()


def _private_key(pem: bytes) -> Any:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise RefusedError("the GitHub App's key is not an RSA private key without a passphrase", code="InvalidKey")
    return key


def _packed(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")
