"""The web page's settings in the fleet file: where it is reached, who signs in how, and what they may do. Example:

    web:
      url: https://penstock.example.com      # where a proxy with TLS serves it
      address: 127.0.0.1:8080                # where it listens
      hosts: [penstock.internal:8443]        # further names it answers to
      oidc:
        name: Example Git                    # on the button
        issuer: https://git.example.com
        clientId: 6b2…
        clientSecretFile: secrets/oidc
        userClaim: preferred_username
        groupsClaim: groups
        actsOnForge: true                    # the issuer is the forge: decisions are made there as the person
      tokens:
      - name: wallboard
        tokenFile: secrets/wallboard
      access:
      - {role: viewer, users: ["token:wallboard"]}
      - {role: approver, environments: [prod], groups: [platform:oncall]}

In: that mapping. Out: `WebAt`, and an identity provider to sign in with.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from penstock.model import people
from penstock.ports.clock import Clock

if TYPE_CHECKING:
    from penstock.adapters.oidc import provider as providers
    from penstock.app.world import Reader

_SCOPES = ("openid", "profile", "email", "groups")


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcAt:
    """An identity provider, and who we are to it."""

    issuer: str
    client_id: str
    client_secret_file: Path | None = None
    name: str = ""
    scopes: tuple[str, ...] = _SCOPES
    user_claim: str = "preferred_username"
    groups_claim: str = "groups"
    acts_on_forge: bool = False
    """The provider is the forge: its access token lets decisions be made there as the person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenAt:
    """A token that lets somebody in as 'token:NAME'."""

    name: str
    file: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class WebAt:
    """Where the page is, and for whom."""

    url: str = ""
    address: str = ""
    hosts: tuple[str, ...] = ()
    oidc: OidcAt | None = None
    tokens: tuple[TokenAt, ...] = ()
    access: tuple[people.Grant, ...] = ()


def read(reader: Reader, value: Any) -> WebAt:
    """The `web` mapping of a fleet file; what is wrong is collected by the reader."""
    if value is None:
        return WebAt()
    if isinstance(value, str):
        value = {"url": value}
    web = reader.mapping(value, "web", {"url", "address", "hosts", "oidc", "tokens", "access"})
    url = reader.text(web, "web", "url", "").rstrip("/")
    parts = urlsplit(url)
    if url and (parts.scheme not in ("http", "https") or not parts.netloc or parts.path or parts.query):
        reader.problem("web.url", "must be an address like https://penstock.example.com, without a path")
    return WebAt(
        url=url,
        address=reader.text(web, "web", "address", ""),
        hosts=_texts(reader, web, "web", "hosts"),
        oidc=_oidc(reader, web["oidc"]) if "oidc" in web else None,
        tokens=tuple(_tokens(reader, web)),
        access=tuple(_grants(reader, web)),
    )


def _oidc(reader: Reader, value: Any) -> OidcAt | None:
    where = "web.oidc"
    known = {"issuer", "clientId", "clientSecretFile", "name", "scopes", "userClaim", "groupsClaim", "actsOnForge"}
    oidc = reader.mapping(value, where, known)
    acts = oidc.get("actsOnForge", False)
    if not isinstance(acts, bool):
        reader.problem(f"{where}.actsOnForge", "must be true or false")
    return OidcAt(
        issuer=reader.text(oidc, where, "issuer"),
        client_id=reader.text(oidc, where, "clientId"),
        client_secret_file=reader.file(reader.text(oidc, where, "clientSecretFile", "")),
        name=reader.text(oidc, where, "name", ""),
        scopes=_texts(reader, oidc, where, "scopes") or _SCOPES,
        user_claim=reader.text(oidc, where, "userClaim", "preferred_username"),
        groups_claim=reader.text(oidc, where, "groupsClaim", "groups"),
        acts_on_forge=acts is True,
    )


def _tokens(reader: Reader, web: dict[str, Any]) -> Iterator[TokenAt]:
    for position, entry in enumerate(_list(reader, web, "web", "tokens")):
        where = f"web.tokens[{position}]"
        token = reader.mapping(entry, where, {"name", "tokenFile"})
        file = reader.file(reader.text(token, where, "tokenFile"))
        if (name := reader.text(token, where, "name")) and file is not None:
            yield TokenAt(name=name, file=file)


def _grants(reader: Reader, web: dict[str, Any]) -> Iterator[people.Grant]:
    """Entries that are right in every field: a misspelt one grants nothing."""
    for position, entry in enumerate(_list(reader, web, "web", "access")):
        where = f"web.access[{position}]"
        before = len(reader.problems)
        grant = reader.mapping(entry, where, {"role", "environments", "users", "groups"})
        role = next((known for known in people.ROLES if known == grant.get("role")), None)
        if role is None:
            reader.problem(f"{where}.role", f"must be one of {', '.join(people.ROLES)}")
        environments, users, groups = (_texts(reader, grant, where, key) for key in ("environments", "users", "groups"))
        if "environments" in grant and not environments:
            reader.problem(f"{where}.environments", "names none; leave it out for all of them")
        if not users and not groups:
            reader.problem(where, "is a role for nobody: name users or groups")
        if role is not None and len(reader.problems) == before:
            yield people.Grant(role=role, environments=environments, users=users, groups=groups)


def _list(reader: Reader, mapping: dict[str, Any], where: str, key: str) -> list[Any]:
    value = mapping.get(key, [])
    if not isinstance(value, list):
        reader.problem(f"{where}.{key}", "must be a list")
        return []
    return value


def _texts(reader: Reader, mapping: dict[str, Any], where: str, key: str) -> tuple[str, ...]:
    found = _list(reader, mapping, where, key)
    if not all(isinstance(one, str) and one for one in found):
        reader.problem(f"{where}.{key}", "must be a list of texts")
        return ()
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identified:
    """Who came back from the identity provider."""

    person: people.Person
    forge_token: str = field(repr=False)
    """'' unless decisions are made on the forge as the person."""
    forge_seconds: float | None


class SignIn:
    """An identity provider for the page."""

    def __init__(self, at: OidcAt, provider: providers.Provider) -> None:
        self.name = at.name or urlsplit(at.issuer).netloc
        self.issuer = at.issuer
        self._at = at
        self._provider = provider
        self.authorization = provider.authorization

    async def returned(self, code: str, *, redirect: str, nonce: str, verifier: str) -> Identified:
        """Who that is. Raises RefusedError for whoever has no name there."""
        from penstock.adapters.oidc import claims

        answer = await self._provider.redeem(code, redirect=redirect, nonce=nonce, verifier=verifier)
        name = answer.claims.get("name")
        return Identified(
            person=people.Person(
                login=claims.login(answer.claims, self._at.user_claim),
                name=name if isinstance(name, str) else "",
                email=claims.email(answer.claims),
                groups=claims.groups(answer.claims, self._at.groups_claim),
            ),
            forge_token=answer.access_token if self._at.acts_on_forge else "",
            forge_seconds=answer.expires_seconds,
        )


@contextlib.asynccontextmanager
async def sign_in(at: WebAt, clock: Clock) -> AsyncIterator[SignIn | None]:
    """The provider of these settings, until the block ends; None where there is none. Nothing is asked of it yet."""
    if at.oidc is None:
        yield None
        return
    import aiohttp

    from penstock.adapters.oidc import provider
    from penstock.app import world

    secret = world.secret(at.oidc.client_secret_file) if at.oidc.client_secret_file else ""
    client = provider.Client(issuer=at.oidc.issuer, id=at.oidc.client_id, secret=secret, scopes=at.oidc.scopes)
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), trust_env=True) as http:
        yield SignIn(at.oidc, provider.Provider(client, http, clock))


def token_people(at: WebAt) -> dict[str, people.Person]:
    """Token -> whom it lets in. Raises InputError when a file is missing or a token is too short."""
    from penstock.app import world
    from penstock.model import errors

    found: dict[str, people.Person] = {}
    for one in at.tokens:
        token = world.secret(one.file)
        if len(token) < 16:
            raise errors.invalid(f"the token in {one.file} can be guessed", hint="use 16 characters or more", code="ShortToken")
        found[token] = people.Person(login=f"token:{one.name}", name=one.name)
    return found
