"""An identity provider: its discovery document, its keys, and the exchange of a code for tokens.

In: the issuer's address, the client's id and secret. Out: where to send the browser, and who came back. Redirects are never
followed, answers have a limit, and no error holds a code, a token or the secret.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import aiohttp
import msgspec
from joserfc import errors as jose
from joserfc.jwk import KeySet

from penstock.adapters.oidc import claims
from penstock.model.errors import RefusedError, TransientError
from penstock.ports.clock import Clock

_KEPT_SECONDS = 3600.0
"""How long the discovery document and the keys are believed."""
_AGAIN_SECONDS = 60.0
"""A token with an unknown key makes us ask for the keys again, and not more often than this."""
_LIMIT_BYTES = 512 * 1024
_TIMEOUT = aiohttp.ClientTimeout(total=15, connect=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """Who we are to the provider."""

    issuer: str
    id: str
    secret: str = field(repr=False, default="")
    """'' for a public client."""
    scopes: tuple[str, ...] = ("openid", "profile", "email", "groups")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Who came back, by a token that was checked, and what they can use on the provider themselves."""

    claims: Mapping[str, Any]
    access_token: str = field(repr=False)
    expires_seconds: float | None
    """Of the access token; None when it does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    authorization: str
    token: str
    keys: KeySet
    asked: float
    basic: bool


class Provider:
    """One identity provider. Raises TransientError while it does not answer, RefusedError when it is not to be believed."""

    def __init__(self, client: Client, http: aiohttp.ClientSession, clock: Clock) -> None:
        self.client = client
        self._http = http
        self._clock = clock
        self._known: _Known | None = None

    async def authorization(self, *, redirect: str, state: str, nonce: str, verifier: str) -> str:
        """Where to send the browser: authorization code, with PKCE."""
        known = await self._discovered()
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "response_type": "code",
            "client_id": self.client.id,
            "redirect_uri": redirect,
            "scope": " ".join(self.client.scopes),
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        separator = "&" if "?" in known.authorization else "?"
        return f"{known.authorization}{separator}{urlencode(query)}"

    async def redeem(self, code: str, *, redirect: str, nonce: str, verifier: str) -> Answer:
        """Exchange the code the browser brought back for the person's identity."""
        known = await self._discovered()
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect, "code_verifier": verifier}
        headers = {"Accept": "application/json"}
        if self.client.secret and known.basic:
            # RFC 6749, 2.3.1: both are form-encoded before they are joined.
            pair = f"{quote(self.client.id, safe='')}:{quote(self.client.secret, safe='')}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        else:
            form["client_id"] = self.client.id
            if self.client.secret:
                form["client_secret"] = self.client.secret
        answer = await self._ask("POST", known.token, "exchange the code", data=form, headers=headers)
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise RefusedError("the identity provider sent no ID token", code="BadToken", status=403)
        access, seconds = answer.get("access_token"), answer.get("expires_in")
        return Answer(
            claims=await self._verified(token, known, nonce),
            access_token=access if isinstance(access, str) else "",
            expires_seconds=float(seconds) if isinstance(seconds, (int, float)) and not isinstance(seconds, bool) else None,
        )

    async def _verified(self, token: str, known: _Known, nonce: str) -> Mapping[str, Any]:
        expected = claims.Expected(issuer=self.client.issuer, client=self.client.id, nonce=nonce)
        try:
            return claims.verified(token, known.keys, expected, self._clock.now())
        except claims.UnknownKeyError:
            if self._clock.monotonic() - known.asked < _AGAIN_SECONDS:
                raise
            self._known = None
            return claims.verified(token, (await self._discovered()).keys, expected, self._clock.now())

    async def _discovered(self) -> _Known:
        known = self._known
        if known is not None and self._clock.monotonic() - known.asked < _KEPT_SECONDS:
            return known
        issuer = self.client.issuer
        found = await self._ask("GET", f"{issuer.rstrip('/')}/.well-known/openid-configuration", "read what it offers")
        if found.get("issuer") != issuer:
            raise RefusedError(
                "the identity provider calls itself by another name than issuer in the fleet file", code="OtherIssuer", status=502
            )
        methods = found.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        self._known = _Known(
            authorization=self._endpoint(found, "authorization_endpoint"),
            token=self._endpoint(found, "token_endpoint"),
            keys=_keys(await self._ask("GET", self._endpoint(found, "jwks_uri"), "read its keys")),
            asked=self._clock.monotonic(),
            basic=not isinstance(methods, list) or "client_secret_basic" in methods,
        )
        return self._known

    def _endpoint(self, found: Mapping[str, Any], name: str) -> str:
        """An address of the discovery document; over https whenever the issuer is."""
        value = found.get(name)
        wanted = ("https",) if urlsplit(self.client.issuer).scheme == "https" else ("https", "http")
        if not isinstance(value, str) or urlsplit(value).scheme not in wanted or not urlsplit(value).hostname:
            raise RefusedError(f"the identity provider's {name} is no usable address", code="BadDiscovery", status=502)
        return value

    async def _ask(self, method: str, url: str, what: str, **sent: Any) -> Mapping[str, Any]:
        try:
            async with self._http.request(method, url, allow_redirects=False, timeout=_TIMEOUT, **sent) as answer:
                body = await _limited(answer.content)
                status = answer.status
        except (aiohttp.ClientError, TimeoutError):
            raise TransientError(f"the identity provider does not answer: cannot {what}", code="NoProvider") from None
        if status >= 500:
            raise TransientError(f"the identity provider answers {status}: cannot {what}", code="NoProvider")
        if status != 200:
            raise RefusedError(f"the identity provider answers {status}: cannot {what}", code="ProviderRefused", status=403)
        try:
            return msgspec.json.decode(body, type=dict[str, Any])
        except msgspec.DecodeError:
            raise RefusedError(f"the identity provider sends no JSON: cannot {what}", code="BadDiscovery", status=502) from None


async def _limited(content: aiohttp.StreamReader) -> bytes:
    body = bytearray()
    async for chunk in content.iter_chunked(16 * 1024):
        body += chunk
        if len(body) > _LIMIT_BYTES:
            raise RefusedError("the identity provider's answer is too long", code="BadDiscovery", status=502)
    return bytes(body)


def _keys(found: Mapping[str, Any]) -> KeySet:
    """The keys that can be read: a provider may list kinds that are not known here."""
    usable = []
    for one in found.get("keys", ()):
        try:
            usable += KeySet.import_key_set({"keys": [one]}).keys
        except (jose.JoseError, ValueError, KeyError, TypeError, AttributeError):
            continue
    if not usable:
        raise RefusedError("the identity provider lists no key that can be used", code="BadDiscovery", status=502)
    return KeySet(usable)
