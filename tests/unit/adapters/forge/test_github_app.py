"""Tokens of a GitHub App: asked for with a signed assertion, kept, renewed in time."""

from __future__ import annotations

import asyncio
import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from penstock.adapters import forge as forges
from penstock.adapters.forge import rest
from penstock.adapters.forge.github_app import AppTokens
from penstock.model.errors import RefusedError

START = datetime(2026, 3, 2, 14, 0, tzinfo=UTC)
ASK = "POST /api/v3/app/installations/67/access_tokens"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pem(key: Any) -> bytes:
    return bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))


def answer(name: str, expires: datetime) -> Any:
    return (201, {"token": name, "expires_at": expires.strftime("%Y-%m-%dT%H:%M:%SZ"), "permissions": {"contents": "write"}})


async def test_a_token_is_asked_for_kept_and_renewed_before_its_end(scripted: Any) -> None:
    now = START
    scripted.on(ASK, answer("one", START + timedelta(hours=1)), answer("two", START + timedelta(hours=2)))
    async with rest.session() as session:
        app = AppTokens(session, url=scripted.url, app="12", installation="67", key=pem(KEY), now=lambda: now)
        assert set(await asyncio.gather(*(app.token() for _ in range(5)))) == {"one"}
        now = START + timedelta(minutes=49)
        held = await app.credentials()
        assert (held.username, held.password) == ("x-access-token", "one")
        assert len(scripted.asked) == 1
        now = START + timedelta(minutes=51)
        assert await app.token() == "two"
        assert len(scripted.asked) == 2


async def test_the_assertion_is_signed_and_short_lived(scripted: Any) -> None:
    scripted.on(ASK, answer("one", START + timedelta(hours=1)))
    async with rest.session() as session:
        await AppTokens(session, url=scripted.url, app="12", installation="67", key=pem(KEY), now=lambda: START).token()
    kind, _, assertion = scripted.headers[0]["Authorization"].partition(" ")
    head, claims, signature = (base64.urlsafe_b64decode(part + "==") for part in assertion.split("."))
    assert kind == "Bearer"
    assert json.loads(head) == {"alg": "RS256", "typ": "JWT"}
    found = json.loads(claims)
    assert found["iss"] == "12"
    assert found["iat"] < START.timestamp() < found["exp"] <= (START + timedelta(minutes=10)).timestamp()
    KEY.public_key().verify(signature, assertion.rpartition(".")[0].encode(), padding.PKCS1v15(), hashes.SHA256())


async def test_the_forge_is_asked_with_the_token_of_the_moment(scripted: Any) -> None:
    scripted.on(ASK, answer("inst", START + timedelta(hours=1)))
    scripted.on("GET /api/v3/repos/octo/fleet/pulls", [])
    async with rest.session() as session:
        app = AppTokens(session, url=scripted.url, app="12", installation="67", key=pem(KEY), now=lambda: START)
        async with forges.connect("github", scripted.url, "octo/fleet", token=app.token) as forge:
            assert list(await forge.pulls()) == []
    assert scripted.headers[-1]["Authorization"] == "Bearer inst"


@pytest.mark.parametrize("key", [b"", b"garbage", pem(ec.generate_private_key(ec.SECP256R1()))])
async def test_a_key_that_cannot_sign_is_refused(scripted: Any, key: bytes) -> None:
    async with rest.session() as session:
        with pytest.raises(RefusedError) as refused:
            AppTokens(session, url=scripted.url, app="12", installation="67", key=key)
    assert refused.value.code == "InvalidKey"


async def test_a_refused_app_says_so_without_its_assertion(scripted: Any) -> None:
    scripted.on(ASK, (401, {"message": "A JSON web token could not be decoded"}))
    async with rest.session() as session:
        app = AppTokens(session, url=scripted.url, app="12", installation="67", key=pem(KEY), now=lambda: START)
        with pytest.raises(RefusedError) as refused:
            await app.token()
    assert refused.value.status == 401
    assert "ey" not in str(refused.value)
