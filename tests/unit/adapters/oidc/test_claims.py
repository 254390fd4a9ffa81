"""A token that is wrong in any one point is refused, and nothing of it is in the reason."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, Key, KeySet, OKPKey, RSAKey

from penstock.adapters.oidc import claims
from penstock.model.errors import RefusedError

NOW = datetime(2026, 3, 2, 14, 0, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
RSA = RSAKey.generate_key(2048, {"kid": "one", "use": "sig"}, private=True)
OTHER_RSA = RSAKey.generate_key(2048, {"kid": "other", "use": "sig"}, private=True)
EC = ECKey.generate_key("P-256", {"kid": "two", "use": "sig", "alg": "ES256"}, private=True)
ED = OKPKey.generate_key("Ed25519", {"kid": "three"}, private=True)
ENCRYPTING = RSAKey.import_key({**RSA.as_dict(private=True), "kid": "enc", "use": "enc"})
EXPECTED = claims.Expected(issuer="https://id.example", client="penstock", nonce="n-0S6_WzA2Mj")
CANARY = "canary-that-stays-inside"


def published(*keys: Key) -> KeySet:
    return KeySet.import_key_set({"keys": [key.as_dict(private=False) for key in keys]})


KEYS = published(RSA, EC, ED, ENCRYPTING)
RIGHT: dict[str, Any] = {
    "iss": "https://id.example",
    "aud": "penstock",
    "sub": "17",
    "exp": SECONDS + 300,
    "iat": SECONDS - 1,
    "nonce": EXPECTED.nonce,
    "preferred_username": "mia",
    "note": CANARY,
}


def token(key: Any = RSA, header: dict[str, Any] | None = None, **changes: Any) -> str:
    said = {name: value for name, value in (RIGHT | changes).items() if value is not None}
    head = {"alg": "RS256", "kid": "one"} | (header or {})
    return jwt.encode({name: value for name, value in head.items() if value is not None}, said, key, algorithms=[head["alg"]])


def unsigned(header: dict[str, Any], signature: str = "") -> str:
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in (header, RIGHT)]
    return ".".join([*parts, signature])


@pytest.mark.parametrize(
    "made",
    [
        lambda: token(),
        lambda: token(EC, {"alg": "ES256", "kid": "two"}),
        lambda: token(header={"alg": "PS256"}),
        lambda: token(aud=["penstock"]),
        lambda: token(aud=["other", "penstock"], azp="penstock"),
        lambda: token(azp="penstock"),
        lambda: token(exp=SECONDS - 59),
        lambda: token(nbf=SECONDS + 59),
        lambda: token(iat=SECONDS + 59),
        lambda: token(EC, {"alg": "ES256", "kid": None}),
    ],
)
def test_a_right_token_is_believed(made: Callable[[], str]) -> None:
    assert claims.verified(made(), KEYS, EXPECTED, NOW)["preferred_username"] == "mia"


def keyed(secret: bytes) -> str:
    """A token whose secret is what everybody may know."""
    body = unsigned({"alg": "HS256", "kid": "one"}).rpartition(".")[0]
    return f"{body}.{base64.urlsafe_b64encode(hmac.digest(secret, body.encode(), 'sha256')).rstrip(b'=').decode()}"


BAD: dict[str, Callable[[], str]] = {
    "empty": lambda: "",
    "no token": lambda: "x.y.z",
    "two parts": lambda: token().rpartition(".")[0],
    "endless": lambda: token() + "x" * 70_000,
    "not ASCII": lambda: token() + "ä",
    "alg none": lambda: unsigned({"alg": "none", "kid": "one"}),
    "alg None": lambda: unsigned({"alg": "None", "kid": "one"}),
    "alg missing": lambda: unsigned({"kid": "one"}),
    "alg a list": lambda: unsigned({"alg": ["RS256"], "kid": "one"}),
    "no signature": lambda: unsigned({"alg": "RS256", "kid": "one"}),
    "HMAC with the public key": lambda: keyed(RSA.as_pem(private=False)),
    "HMAC with the key as JSON": lambda: keyed(json.dumps(RSA.as_dict(private=False), sort_keys=True).encode()),
    "crit": lambda: unsigned({"alg": "RS256", "kid": "one", "crit": ["b64"], "b64": False}, "x"),
    "another key by the same name": lambda: token(OTHER_RSA),
    "a key that is not published": lambda: token(OTHER_RSA, {"kid": "other"}),
    "a key that encrypts": lambda: token(RSA, {"kid": "enc"}),
    "a key for another algorithm": lambda: token(RSA, {"kid": "two"}),
    "its own key in the header": lambda: token(OTHER_RSA, {"kid": "other", "jwk": OTHER_RSA.as_dict(private=False)}),
    "changed claims": lambda: ".".join([token().split(".")[0], token(sub="18").split(".")[1], token().split(".")[2]]),
    "iss missing": lambda: token(iss=None),
    "iss another": lambda: token(iss="https://id.example.evil"),
    "iss with a slash": lambda: token(iss="https://id.example/"),
    "iss a list": lambda: token(iss=["https://id.example"]),
    "aud missing": lambda: token(aud=None),
    "aud another": lambda: token(aud="other"),
    "aud a prefix": lambda: token(aud="penstock2"),
    "aud an object": lambda: token(aud={"penstock": 1}),
    "aud several without azp": lambda: token(aud=["penstock", "other"]),
    "azp another": lambda: token(azp="other"),
    "azp another of several": lambda: token(aud=["penstock", "other"], azp="other"),
    "exp missing": lambda: token(exp=None),
    "exp past": lambda: token(exp=SECONDS - 61),
    "exp a text": lambda: token(exp=str(SECONDS + 300)),
    "exp true": lambda: token(exp=True),
    "iat missing": lambda: token(iat=None),
    "iat future": lambda: token(iat=SECONDS + 3600),
    "nbf future": lambda: token(nbf=SECONDS + 3600),
    "nbf a text": lambda: token(nbf="now"),
    "nonce missing": lambda: token(nonce=None),
    "nonce another": lambda: token(nonce="of-another-sign-in"),
    "nonce empty": lambda: token(nonce=""),
    "nonce a number": lambda: token(nonce=1),
    "sub missing": lambda: token(sub=None),
    "sub empty": lambda: token(sub=""),
    "sub a number": lambda: token(sub=17),
}


@pytest.mark.parametrize("name", BAD)
def test_a_token_that_is_wrong_in_one_point_is_refused(name: str) -> None:
    with pytest.raises(RefusedError) as caught:
        claims.verified(BAD[name](), KEYS, EXPECTED, NOW)
    assert caught.value.code == "BadToken"
    assert CANARY not in str(caught.value)
    assert EXPECTED.nonce not in str(caught.value)


def test_without_a_kid_no_key_is_guessed() -> None:
    with pytest.raises(claims.UnknownKeyError):
        claims.verified(token(header={"kid": None}), published(RSA, OTHER_RSA), EXPECTED, NOW)


def test_an_empty_nonce_matches_nothing() -> None:
    with pytest.raises(RefusedError):
        claims.verified(token(nonce=""), KEYS, claims.Expected(issuer="https://id.example", client="penstock", nonce=""), NOW)


@pytest.mark.parametrize("value", [None, "", "  ", 17, ["mia"], "x" * 300, "token:wallboard"])
def test_whoever_has_no_name_there_has_no_access(value: object) -> None:
    with pytest.raises(RefusedError):
        claims.login({"preferred_username": value}, "preferred_username")


@pytest.mark.parametrize(
    ("value", "groups"),
    [(None, ()), ("platform", ()), ({"platform": 1}, ()), (["a", "", None, 3, "b"], ("a", "b")), ([["a"]], ())],
)
def test_only_a_list_of_texts_is_groups(value: object, groups: tuple[str, ...]) -> None:
    assert claims.groups({"groups": value}, "groups") == groups
