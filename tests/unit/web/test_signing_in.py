"""Sign-in at a provider: what comes back counts only in the browser that went, once, soon, and for what it went for."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
import web_samples as samples
import web_served
import yarl
from aiohttp import web
from joserfc import jwt
from joserfc.jwk import RSAKey
from web_served import Clock

from penstock.adapters.oidc import provider
from penstock.app import people
from penstock.model.people import Grant
from penstock.web import serving

CODE, CLIENT, SECRET = "code-0123456789", "penstock", "the-client-secret"


@dataclass(kw_only=True)
class Identity:
    """An identity provider on loopback that a test can make lie."""

    url: str = ""
    clock: Clock = field(default_factory=Clock)
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "one", "use": "sig"}, private=True))
    claims: dict[str, Any] = field(default_factory=lambda: {"preferred_username": "mia", "groups": ["platform"]})
    discovery: dict[str, Any] = field(default_factory=dict)
    asked: Mapping[str, str] = field(default_factory=dict)
    """What the browser was sent with."""
    redeemed: list[Mapping[str, Any]] = field(default_factory=list)
    keys_asked: int = 0

    def application(self) -> web.Application:
        made = web.Application()
        made.router.add_get("/.well-known/openid-configuration", self._discovery)
        made.router.add_get("/keys", self._keys)
        made.router.add_post("/token", self._token)
        return made

    async def _discovery(self, _: web.Request) -> web.Response:
        found = {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
        }
        return web.json_response(found | self.discovery)

    async def _keys(self, _: web.Request) -> web.Response:
        self.keys_asked += 1
        return web.json_response({"keys": [self.key.as_dict(private=False), {"kty": "unknown"}]})

    async def _token(self, request: web.Request) -> web.Response:
        form = {key: str(value) for key, value in (await request.post()).items()}
        self.redeemed.append(form | {"authorization": request.headers.get("Authorization", "")})
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).rstrip(b"=").decode()
        if form["code"] != CODE or challenge != self.asked["code_challenge"]:
            return web.json_response({"error": "invalid_grant"}, status=400)
        now = int(self.clock.now().timestamp())
        said = {
            "iss": self.url,
            "aud": CLIENT,
            "sub": "17",
            "exp": now + 60,
            "iat": now,
            "nonce": self.asked["nonce"],
        } | self.claims
        token = jwt.encode({"alg": "RS256", "kid": self.key.kid}, said, self.key)
        return web.json_response({"access_token": "opaque-access-token", "token_type": "bearer", "id_token": token})


@asynccontextmanager
async def at(identity: Identity) -> AsyncIterator[serving.WebPage]:
    """A page whose people come from this provider."""
    runner = web.AppRunner(identity.application())
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    identity.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    facts = samples.Facts()
    facts.granted = (Grant(role="developer", groups=("platform",)),)
    settings = people.OidcAt(issuer=identity.url, client_id=CLIENT, name="Example <b>Git</b>")
    try:
        async with aiohttp.ClientSession() as http:
            client = provider.Client(issuer=identity.url, id=CLIENT, secret=SECRET)
            sign_in = people.SignIn(settings, provider.Provider(client, http, identity.clock))
            entrance = serving.Entrance(provider=sign_in)
            async with web_served.serve(facts, token="", clock=identity.clock, entrance=entrance) as page:
                yield page
    finally:
        await runner.cleanup()


def browser() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))


async def go(session: aiohttp.ClientSession, page: serving.WebPage, identity: Identity, to: str = "/") -> dict[str, str]:
    """Begin a sign-in; what the provider is asked with."""
    async with session.get(f"{page.url}/sign-in/start", params={"to": to}, allow_redirects=False) as answer:
        assert answer.status == 303, await answer.text()
        where = urlsplit(answer.headers["Location"])
    assert f"{where.scheme}://{where.netloc}{where.path}" == f"{identity.url}/authorize"
    identity.asked = {name: values[0] for name, values in parse_qs(where.query).items()}
    return dict(identity.asked)


async def back(session: aiohttp.ClientSession, page: serving.WebPage, **query: str) -> tuple[int, str]:
    async with session.get(f"{page.url}/sign-in/return", params=query, allow_redirects=False) as answer:
        return answer.status, await answer.text()


async def signed_in(session: aiohttp.ClientSession, page: serving.WebPage) -> bool:
    async with session.get(page.url) as answer:
        return answer.status == 200


async def test_whoever_comes_back_with_what_was_asked_for_is_in() -> None:
    identity = Identity()
    async with at(identity) as page, browser() as session:
        asked = await go(session, page, identity, "/promotion/14")
        assert asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256"
        assert asked["redirect_uri"] == f"{page.url}/sign-in/return"
        assert "openid" in asked["scope"].split()
        assert not {"code_verifier", "client_secret"} & set(asked)
        status, text = await back(session, page, code=CODE, state=asked["state"])
        assert status == 200
        assert 'content="0;url=/promotion/14"' in text
        assert await signed_in(session, page)
        async with session.get(page.url) as answer:
            assert "signed in as mia" in await answer.text()
        assert identity.redeemed[0]["authorization"].startswith("Basic ")
        assert "client_secret" not in identity.redeemed[0]
        # Once: the way back leads nowhere a second time.
        assert (await back(session, page, code=CODE, state=asked["state"]))[0] == 403


async def test_a_return_in_another_browser_or_without_the_way_there_is_refused() -> None:
    identity = Identity()
    async with at(identity) as page, browser() as session, browser() as other:
        asked = await go(session, page, identity)
        assert (await back(other, page, code=CODE, state=asked["state"]))[0] == 403
        theirs = await go(other, page, identity)
        assert (await back(other, page, code=CODE, state=asked["state"]))[0] == 403
        assert (await back(session, page, code=CODE, state=theirs["state"]))[0] == 403
        assert identity.redeemed == [], "no code was even asked about"
        assert not await signed_in(session, page)
        assert not await signed_in(other, page)


@pytest.mark.parametrize(
    ("query", "status", "says"),
    [
        ({"state": ""}, 403, "was not begun here"),
        ({"state": "x" * 43}, 403, "was not begun here"),
        ({"code": ""}, 403, "sent no code"),
        ({"code": "another"}, 403, "answers 400"),
        ({"code": "x" * 5000}, 403, "sent no code"),
        ({"error": "access_denied", "error_description": "<script>window.pwned=1</script>"}, 403, "you declined"),
        ({"error": "<script>window.pwned=1</script>"}, 403, "refused"),
        ({"iss": "https://another.example"}, 403, "another identity provider"),
    ],
)
async def test_an_answer_that_is_none_is_refused_in_our_own_words(query: dict[str, str], status: int, says: str) -> None:
    identity = Identity()
    async with at(identity) as page, browser() as session:
        asked = await go(session, page, identity)
        found, text = await back(session, page, **({"code": CODE, "state": asked["state"]} | query))
        assert (found, says in text) == (status, True), text
        assert "pwned" not in text
        assert CODE not in text
        assert SECRET not in text
        assert not await signed_in(session, page)


async def test_a_way_back_is_good_for_ten_minutes() -> None:
    identity = Identity()
    async with at(identity) as page, browser() as session:
        asked = await go(session, page, identity)
        identity.clock.ahead += 601
        assert (await back(session, page, code=CODE, state=asked["state"]))[0] == 403
        assert not await signed_in(session, page)


async def test_a_forged_way_back_is_none() -> None:
    identity = Identity()
    async with at(identity) as page, browser() as session:
        asked = await go(session, page, identity)
        name = f"penstock_flow_{page.url.rpartition(':')[2]}"
        real = next(cookie.value for cookie in session.cookie_jar if cookie.key == name)
        forged = base64.urlsafe_b64encode(base64.urlsafe_b64decode(real)[:-20] + b"x" * 20).decode()
        for value in (forged, "", "x", "ä", real[:-4]):
            session.cookie_jar.update_cookies({name: value}, yarl.URL(page.url))
            assert (await back(session, page, code=CODE, state=asked["state"]))[0] == 403
        assert identity.redeemed == []


@pytest.mark.parametrize(
    "claims",
    [{"aud": "other"}, {"iss": "https://evil.example"}, {"exp": 1}, {"nonce": "another"}, {"preferred_username": ""}],
)
async def test_a_provider_that_sends_a_wrong_token_lets_nobody_in(claims: dict[str, Any]) -> None:
    identity = Identity()
    identity.claims |= claims
    async with at(identity) as page, browser() as session:
        asked = await go(session, page, identity)
        assert (await back(session, page, code=CODE, state=asked["state"]))[0] == 403
        assert not await signed_in(session, page)


@pytest.mark.parametrize("claims", [{}, {"groups": []}, {"groups": "platform"}, {"groups": None}, {"groups": ["Platform"]}])
async def test_whoever_has_no_group_that_was_given_a_role_sees_nothing(claims: dict[str, Any]) -> None:
    identity = Identity(claims={"preferred_username": "mia"} | claims)
    async with at(identity) as page, browser() as session:
        asked = await go(session, page, identity)
        assert (await back(session, page, code=CODE, state=asked["state"]))[0] == 200
        async with session.get(page.url) as answer:
            assert answer.status == 404
            text = await answer.text()
        assert "nobody gave you a role" in text
        assert "checkout" not in text


async def test_new_keys_of_the_provider_are_fetched_and_not_for_every_token() -> None:
    identity = Identity()
    async with at(identity) as page, browser() as session:
        asked = await go(session, page, identity)
        assert (await back(session, page, code=CODE, state=asked["state"]))[0] == 200
        identity.key = RSAKey.generate_key(2048, {"kid": "two"}, private=True)
        asked = await go(session, page, identity)
        assert (await back(session, page, code=CODE, state=asked["state"]))[0] == 403
        assert identity.keys_asked == 1
        identity.clock.ahead += 61
        asked = await go(session, page, identity)
        assert (await back(session, page, code=CODE, state=asked["state"]))[0] == 200
        assert identity.keys_asked == 2


@pytest.mark.parametrize(
    ("discovery", "says"),
    [
        ({"issuer": "https://another.example"}, "calls itself by another name"),
        ({"token_endpoint": "file:///etc/passwd"}, "token_endpoint is no usable address"),
        ({"authorization_endpoint": "javascript:alert(1)"}, "authorization_endpoint is no usable address"),
        ({"jwks_uri": None}, "jwks_uri is no usable address"),
    ],
)
async def test_a_provider_that_describes_itself_wrongly_is_not_used(discovery: dict[str, Any], says: str) -> None:
    identity = Identity(discovery=discovery)
    async with (
        at(identity) as page,
        browser() as session,
        session.get(f"{page.url}/sign-in/start", allow_redirects=False) as answer,
    ):
        assert answer.status in (403, 502)
        assert says in await answer.text()


@pytest.mark.parametrize(
    "to",
    ["//evil.example", "https://evil.example", "/\\evil.example", "/\t/evil.example", "javascript:alert(1)", "/nowhere",
     "/%2f%2fevil.example", "/sign-out", "/sign-in", "\\\\evil.example", "/.//evil.example", "", "/@evil.example",
     "/app/../..//evil.example"],
)  # fmt: skip
async def test_nobody_is_led_elsewhere_after_signing_in(to: str) -> None:
    identity = Identity()
    async with at(identity) as page, browser() as session:
        asked = await go(session, page, identity, to)
        _, text = await back(session, page, code=CODE, state=asked["state"])
        assert 'content="0;url=/' in text
        where = text.partition('content="0;url=')[2].partition('"')[0]
        landed = yarl.URL(page.url).join(yarl.URL(where, encoded=True))
        assert landed.origin() == yarl.URL(page.url).origin()
        assert "evil" not in where or where.startswith("/app/")


async def test_the_door_shows_the_provider_and_a_link_of_a_foreign_page_is_remembered() -> None:
    identity = Identity()
    async with at(identity) as page, browser() as session:
        async with session.get(f"{page.url}/environment/dev") as answer:
            assert answer.status == 401
            text = await answer.text()
        assert "Example &lt;b&gt;Git&lt;/b&gt;" in text
        assert "/sign-in/start?to=%2Fenvironment%2Fdev" in text


async def test_a_proxy_with_tls_gets_cookies_that_go_no_other_way() -> None:
    from penstock.model.people import Person

    token = "a-token-for-the-page-behind-a-proxy"
    entrance = serving.Entrance(public_url="https://penstock.example.com", tokens={token: Person(login="token:x")})
    async with web_served.serve(samples.Facts(), token="", entrance=entrance) as page, browser() as session:
        headers = {"Host": "penstock.example.com", "Origin": "https://penstock.example.com"}
        async with session.post(f"{page.url}/sign-in", data={"token": token}, headers=headers, allow_redirects=False) as answer:
            cookie = answer.headers["Set-Cookie"]
        assert cookie.startswith("__Host-penstock_web=")
        assert "Secure" in cookie
        assert "SameSite=Strict" in cookie
        # There a token is no part of an address: proxies write those down.
        async with session.get(f"{page.url}/sign-in", params={"token": token}, headers=headers, allow_redirects=False) as answer:
            assert "Set-Cookie" not in answer.headers
        async with session.get(f"{page.url}/healthz", headers={"Host": "evil.example"}) as answer:
            assert answer.status == 421


def test_what_is_secret_is_in_no_representation() -> None:
    client = provider.Client(issuer="https://id.example", id="x", secret="canary-secret")
    answer = provider.Answer(claims={}, access_token="canary-token", expires_seconds=None)
    found = people.Identified(person=cast("Any", None), forge_token="canary-forge", forge_seconds=None)
    assert "canary" not in repr(client) + repr(answer) + repr(found)


async def test_a_hostile_name_at_the_provider_is_only_a_text_here() -> None:
    evil = '"><img src=x onerror=alert(1)><script>alert(2)</script>\u202e'
    identity = Identity(claims={"preferred_username": f"mia{evil}", "name": f"Mia{evil}", "groups": ["platform", evil]})
    async with at(identity) as page, browser() as session:
        asked = await go(session, page, identity)
        assert (await back(session, page, code=CODE, state=asked["state"]))[0] == 200
        async with session.get(page.url) as answer:
            text = await answer.text()
        assert "Mia&#34;&gt;&lt;img" in text
        assert "<img" not in text
        assert "<script>" not in text
        assert "\u202e" not in text
