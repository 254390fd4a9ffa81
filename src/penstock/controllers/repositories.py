"""The Git repositories that sources point at: one mirror per URL and credentials, shared by every cluster's manager.

In: a URL and the data of a Secret. Out: a `Repo`. Credentials are part of the key, so nobody reads by URL alone what
somebody else's credentials fetched.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from penstock.model import flux
from penstock.model.errors import RefusedError
from penstock.ports.repo import Repo

if TYPE_CHECKING:
    from penstock.adapters.git import Credentials


class Repositories(Protocol):
    """Gives the repository behind a source."""

    def get(self, url: str, secret: Mapping[str, bytes]) -> Repo:
        """The repository of a URL; `secret` is empty for anonymous access. Raises RefusedError, InputError."""


class Mirrors:
    """Mirrors in one folder. The folder is cache: it can be deleted while nothing runs."""

    def __init__(self, folder: Path, *, allow_local: bool = False) -> None:
        self._folder = folder
        self._allow_local = allow_local
        self._known: dict[str, Repo] = {}

    def get(self, url: str, secret: Mapping[str, bytes]) -> Repo:
        key = hashlib.sha256(repr((url, sorted(secret.items()))).encode()).hexdigest()[:32]
        if key not in self._known:
            from penstock.adapters import git

            credentials = _credentials(url, secret) if secret else None
            self._known[key] = git.Mirror(url, self._folder / key, credentials=credentials, allow_local=self._allow_local)
        return self._known[key]


def _credentials(url: str, secret: Mapping[str, bytes]) -> Credentials:
    """What a source's Secret means, in Flux's keys."""
    from penstock.adapters import git

    def text(key: str) -> str:
        return secret.get(key, b"").decode(errors="replace").strip()

    if url.startswith("ssh://"):
        if "identity" not in secret or "known_hosts" not in secret:
            raise _refused("the secret of an ssh source needs 'identity' and 'known_hosts'")
        if text("password"):
            raise _refused("an ssh key with a passphrase is not supported")
        return git.Credentials(username="git", ssh_key=secret["identity"], known_hosts=secret["known_hosts"])
    if "githubAppID" in secret:
        raise _refused("GitHub App data in a source's secret is not supported")
    if "tls.crt" in secret or "certFile" in secret:
        raise _refused("client certificates for Git are not supported")
    ca = secret.get("ca.crt") or secret.get("caFile") or b""
    if text("bearerToken"):
        return git.Credentials(bearer=text("bearerToken"), ca=ca)
    if ("username" in secret) != ("password" in secret):
        raise _refused("the secret of an https source needs both 'username' and 'password'")
    return git.Credentials(username=text("username"), password=text("password"), ca=ca)


def _refused(what: str) -> RefusedError:
    return RefusedError(f"failed to configure authentication options: {what}", code=flux.AUTHENTICATION_FAILED)
