"""The Git repositories that sources point at: one mirror per URL, way in and ref, shared by every cluster's manager.

In: a URL, the data of its Secrets, how to get in. Out: a repository. Credentials are part of the key, so nobody reads by
URL alone what somebody else's credentials fetched.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote, urlsplit, urlunsplit

from penstock.model import flux
from penstock.model.errors import RefusedError
from penstock.model.values import CommitId
from penstock.ports.repo import Repo

if TYPE_CHECKING:
    from penstock.adapters.git import Credentials

LARGEST_BYTES = 2 * 1024**3
"""What one fetch may bring."""
_EARLY = timedelta(minutes=10)
_NOTHING: Mapping[str, bytes] = {}


class GitSource(Repo, Protocol):
    """A repository as a GitRepository needs it: signatures are looked at in the raw objects."""

    def raw(self, name: str) -> bytes:
        """An object as it stands in the database. Raises RefusedError."""

    def annotated(self, tag: str) -> str | None:
        """The id of a tag's own object, None for a tag that has none."""

    def keep(self, commit: CommitId) -> None:
        """Keep a commit, whatever becomes of the refs that lead to it."""

    async def is_empty(self) -> bool:
        """Whether the remote has no ref at all."""


class Repositories(Protocol):
    """Gives the repository behind a source."""

    def get(
        self,
        url: str,
        secret: Mapping[str, bytes],
        *,
        proxy: Mapping[str, bytes] = _NOTHING,
        provider: str = "generic",
        ref: str = "",
    ) -> GitSource:
        """The repository of a URL; `secret` is empty for anonymous access, `proxy` for none of one's own; `ref` is the
        full name of a ref when nothing but its tip is needed. Raises RefusedError, InputError."""


class Mirrors:
    """Mirrors in one folder. The folder is cache: it can be deleted while nothing runs."""

    def __init__(self, folder: Path, *, allow_local: bool = False, largest_bytes: int = LARGEST_BYTES) -> None:
        self._folder = folder
        self._allow_local = allow_local
        self._largest_bytes = largest_bytes
        self._known: dict[str, GitSource] = {}

    def get(
        self,
        url: str,
        secret: Mapping[str, bytes],
        *,
        proxy: Mapping[str, bytes] = _NOTHING,
        provider: str = "generic",
        ref: str = "",
    ) -> GitSource:
        parts = (url, sorted(secret.items()), sorted(proxy.items()), provider, ref)
        key = hashlib.sha256(repr(parts).encode()).hexdigest()[:32]
        if key not in self._known:
            from penstock.adapters import git

            through = proxy_url(url, proxy) if proxy else ""
            credentials = (
                AppCredentials(secret, through)
                if provider == "github"
                else credentials_of(url, secret, through, self._allow_local)
            )
            self._known[key] = git.Mirror(
                _with_user(url),
                self._folder / key,
                credentials=credentials,
                refs=[ref] if ref else (),
                history=not ref,
                largest_bytes=self._largest_bytes,
                allow_local=self._allow_local,
            )
        return self._known[key]


def credentials_of(url: str, secret: Mapping[str, bytes], proxy: str = "", allow_local: bool = False) -> Credentials | None:
    """What a source's Secret means, in Flux's keys. Raises RefusedError, which never repeats a value."""
    from penstock.adapters import git

    if urlsplit(url).scheme == "ssh":
        return _ssh(secret, allow_local)
    if "githubAppID" in secret:
        raise RefusedError("the secret has github app data but provider is not set to github", code=flux.INVALID_PROVIDER)
    username, password, bearer = (_text(secret, key) for key in ("username", "password", "bearerToken"))
    if bearer and (username or password):
        raise _refused("the secret has both 'bearerToken' and 'username' or 'password'")
    if password and not username:
        raise _refused("invalid 'https' auth option: 'password' requires 'username' to be set")
    certificate = secret.get("tls.crt") or secret.get("certFile") or b""
    certificate_key = secret.get("tls.key") or secret.get("keyFile") or b""
    if bool(certificate) != bool(certificate_key):
        raise _refused("a client certificate needs both 'tls.crt' and 'tls.key'")
    if not (secret or proxy):
        return None
    return git.Credentials(
        username=username,
        password=password,
        bearer=bearer,
        ca=secret.get("ca.crt") or secret.get("caFile") or b"",
        certificate=certificate,
        certificate_key=certificate_key,
        proxy=proxy,
    )


def _ssh(secret: Mapping[str, bytes], allow_local: bool) -> Credentials | None:
    from penstock.adapters import git

    if not secret and allow_local:
        return None  # a person's own agent and known hosts; on a server they would be everybody's
    for key in ("identity", "known_hosts"):
        if not _text(secret, key):
            raise _refused(f"invalid 'ssh' auth option: '{key}' is required")
    passphrase = _text(secret, "password")
    if not passphrase and _encrypted(secret["identity"]):
        raise RefusedError(
            "SSH identity key is encrypted but no 'password' field was provided in the secret", code=flux.AUTHENTICATION_FAILED
        )
    return git.Credentials(username="git", ssh_key=secret["identity"], known_hosts=secret["known_hosts"], passphrase=passphrase)


def _encrypted(identity: bytes) -> bool:
    """Whether a private key asks for a passphrase."""
    if b"-----BEGIN OPENSSH PRIVATE KEY-----" not in identity:
        return b"ENCRYPTED" in identity
    import base64
    import binascii

    body = b"".join(line for line in identity.splitlines() if line and not line.startswith(b"-"))
    try:
        found = base64.b64decode(body)
    except binascii.Error:
        return False
    # "openssh-key-v1\0", then the cipher's name with its length
    return found[15:19] != b"\0\0\0\4" or found[19:23] != b"none"


def proxy_url(url: str, proxy: Mapping[str, bytes]) -> str:
    """The proxy with its user name and password in it. Raises RefusedError."""
    address = _text(proxy, "address")
    parts = urlsplit(address)
    if (
        parts.scheme not in ("http", "https", "socks5", "socks5h")
        or not parts.hostname
        or any(ord(each) <= 0x20 for each in address)
    ):
        what = "failed to configure proxy options: the secret needs an 'address' like http://proxy.example.com:3128"
        raise RefusedError(what, code=flux.AUTHENTICATION_FAILED)
    if urlsplit(url).scheme == "ssh":
        raise RefusedError("proxySecretRef is not supported with an ssh URL", code=flux.FEATURE_DISABLED)
    username, password = _text(proxy, "username"), _text(proxy, "password")
    if not username:
        return address
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{quote(username, safe='')}:{quote(password, safe='')}@{host}"))


class AppCredentials:
    """Credentials of a GitHub App's installation, made from a Secret; a token is kept until shortly before its end."""

    def __init__(self, secret: Mapping[str, bytes], proxy: str = "") -> None:
        if not (_text(secret, "githubAppID") and _text(secret, "githubAppPrivateKey")):
            what = "secretRef with github app data must be specified when provider is set to github"
            raise RefusedError(what, code=flux.INVALID_PROVIDER)
        if bool(_text(secret, "githubAppInstallationID")) == bool(_text(secret, "githubAppInstallationOwner")):
            what = "the secret needs either 'githubAppInstallationID' or 'githubAppInstallationOwner'"
            raise RefusedError(what, code=flux.INVALID_PROVIDER)
        self._secret = secret
        self._proxy = proxy
        self._held: Credentials | None = None
        self._until = datetime.min.replace(tzinfo=UTC)

    async def __call__(self) -> Credentials:
        """The credentials of the moment."""
        from dataclasses import replace

        from penstock.adapters.forge import rest
        from penstock.adapters.forge.github_app import AppTokens

        if self._held is None or self._until - datetime.now(UTC) < _EARLY:
            ca = self._secret.get("ca.crt") or self._secret.get("caFile") or b""
            async with rest.session(ca, self._proxy) as session:
                app = AppTokens(
                    session,
                    url=_text(self._secret, "githubAppBaseURL") or "https://github.com",
                    app=_text(self._secret, "githubAppID"),
                    installation=_text(self._secret, "githubAppInstallationID"),
                    owner=_text(self._secret, "githubAppInstallationOwner"),
                    key=self._secret["githubAppPrivateKey"],
                )
                self._held = replace(await app.credentials(), ca=ca, proxy=self._proxy)
                self._until = app.expires_at or self._until
        return self._held

    def renew(self) -> None:
        """The server did not take them: ask for new ones next time."""
        self._held = None


def _with_user(url: str) -> str:
    """An ssh URL without a user name means git's, not that of this process."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"git@{parts.netloc}")) if parts.scheme == "ssh" and not parts.username else url


def _text(secret: Mapping[str, bytes], key: str) -> str:
    return secret.get(key, b"").decode(errors="replace").strip()


def _refused(what: str) -> RefusedError:
    return RefusedError(f"failed to configure authentication options: {what}", code=flux.AUTHENTICATION_FAILED)
