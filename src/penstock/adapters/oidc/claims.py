"""Whether an ID token is to be believed. In: the token, the provider's keys, what was asked for, the time. Out: its claims.

Source: OpenID Connect Core 1.0, section 3.1.3.7, and RFC 8725. Everything that is not right in every point is refused, with
a reason that never holds the token.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeGuard

from joserfc import errors as jose
from joserfc import jws, jwt
from joserfc.jwk import ECKey, Key, KeySet, OKPKey, RSAKey

from penstock.model.errors import RefusedError

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Signatures with a public key only: with HS256 the public key would be the secret, and `none` is no signature."""
_FAMILIES: Mapping[str, type[Key]] = {"RS": RSAKey, "PS": RSAKey, "ES": ECKey, "Ed": OKPKey}
LEEWAY_SECONDS = 60
_LONGEST_BYTES = 64 * 1024
_LONGEST_NAME = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a token has to be for."""

    issuer: str
    client: str
    nonce: str


class UnknownKeyError(RefusedError):
    """Signed with a key that is not among those known: they may have been changed since."""


def verified(token: str, keys: KeySet, expected: Expected, now: datetime) -> Mapping[str, Any]:
    """The claims of a token that is right. Raises RefusedError(code='BadToken'), UnknownKeyError."""
    if len(token) > _LONGEST_BYTES:
        raise _bad("it is longer than any ID token")
    try:
        header = jws.extract_compact(token.encode()).headers()
    except (jose.JoseError, ValueError, UnicodeError):
        raise _bad("it is no signed token") from None
    algorithm = header.get("alg")
    if algorithm not in ALGORITHMS:
        raise _bad("its algorithm is none that is trusted")
    if "crit" in header:
        raise _bad("it wants extensions that are not known here")
    key = _key(keys, header.get("kid"), str(algorithm))
    try:
        decoded = jwt.decode(token, key, algorithms=[str(algorithm)])
    except (jose.JoseError, ValueError):
        raise _bad("its signature is not that of the provider") from None
    if not isinstance(decoded.claims, dict):
        raise _bad("it holds no claims")
    _check(decoded.claims, expected, now.timestamp())
    return decoded.claims


def _key(keys: KeySet, kid: object, algorithm: str) -> Key:
    """The one key that may have signed; a token without `kid` names one only where there is no choice."""
    family = _FAMILIES[algorithm[:2]]
    fitting = [
        key
        for key in keys.keys
        if isinstance(key, family)
        and key.as_dict().get("use", "sig") == "sig"
        and key.as_dict().get("alg", algorithm) == algorithm
        and (kid is None or key.as_dict().get("kid") == kid)
    ]
    if len(fitting) != 1:
        raise UnknownKeyError("the ID token is refused: it is signed with no key of the provider", code="BadToken")
    return fitting[0]


def _check(claims: Mapping[str, Any], expected: Expected, now: float) -> None:
    if claims.get("iss") != expected.issuer:
        raise _bad("it is from somebody else (iss)")
    audience = claims.get("aud")
    audiences = [audience] if isinstance(audience, str) else audience
    if not isinstance(audiences, list) or expected.client not in audiences:
        raise _bad("it is for somebody else (aud)")
    if ("azp" in claims or len(audiences) > 1) and claims.get("azp") != expected.client:
        raise _bad("it was asked for by somebody else (azp)")
    _check_times(claims, now)
    nonce = claims.get("nonce")
    if not isinstance(nonce, str) or not expected.nonce or not hmac.compare_digest(nonce.encode(), expected.nonce.encode()):
        raise _bad("it is of another sign-in (nonce)")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not subject:
        raise _bad("it is about nobody (sub)")


def _check_times(claims: Mapping[str, Any], now: float) -> None:
    expires, issued, begins = (claims.get(name) for name in ("exp", "iat", "nbf"))
    if not _number(expires) or expires <= now - LEEWAY_SECONDS:
        raise _bad("it is over (exp)")
    if not _number(issued) or issued > now + LEEWAY_SECONDS:
        raise _bad("it is from the future (iat)")
    if begins is not None and (not _number(begins) or begins > now + LEEWAY_SECONDS):
        raise _bad("it is not valid yet (nbf)")


def _number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def login(claims: Mapping[str, Any], name: str) -> str:
    """The person's login name. Raises RefusedError without one: somebody without a name has no access."""
    value = claims.get(name)
    if not isinstance(value, str) or not value.strip() or len(value) > _LONGEST_NAME or value.startswith("token:"):
        raise RefusedError(
            f"the identity provider does not say who you are: the claim {name} is missing",
            hint="userClaim of the fleet file names another one",
            code="NoLogin",
            status=403,
        )
    return value


def groups(claims: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """The person's groups; anything but a list of texts is none."""
    value = claims.get(name)
    if not isinstance(value, list):
        return ()
    return tuple(one for one in value if isinstance(one, str) and one)


def email(claims: Mapping[str, Any]) -> str:
    """The address; one that is said not to be verified is none."""
    value = claims.get("email")
    return value.lower() if isinstance(value, str) and claims.get("email_verified", True) is True else ""


def _bad(why: str) -> RefusedError:
    return RefusedError(f"the ID token is refused: {why}", code="BadToken", status=403)
