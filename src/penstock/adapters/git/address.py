"""The address of a remote repository, checked. In: a URL as a user wrote it. Out: a URL without credentials, and them.

Only http, https and ssh reach a network. `file` (and plain paths) need `allow_local=True`: on a server a tenant's URL must
not read the server's disk. `ext::`, options in place of hosts, control characters and the like are refused by name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from penstock.adapters.git.credentials import Credentials
from penstock.model.errors import RefusedError

_SCP = re.compile(r"^(?P<user>[A-Za-z0-9._~-]+)@(?P<host>[A-Za-z0-9.-]+):(?!//)(?P<path>[^\s].*)$")
_SCHEMES = ("http", "https", "ssh")


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a repository is."""

    url: str
    """Without userinfo, except the user name of ssh."""
    scheme: str
    credentials: Credentials | None = None
    """What the URL carried, if it carried any."""

    @property
    def origin(self) -> str:
        """scheme://host[:port], to which credentials are bound."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"


def parse_address(text: str, *, allow_local: bool = False) -> Address:
    """Raises RefusedError(code='InvalidURL') for anything but http(s), ssh, user@host:path, or (if allowed) a local path."""
    if not text or text.startswith("-") or any(ord(char) <= 0x20 or ord(char) == 0x7F for char in text):
        raise _invalid("it is empty, starts with '-' or has a space or control character in it")
    if "://" not in text and (match := _SCP.match(text)):
        text = f"ssh://{match['user']}@{match['host']}/{match['path'].lstrip('/')}"
    if allow_local and "://" not in text and "::" not in text:
        return Address(url=Path(text).resolve().as_uri(), scheme="file")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise _invalid("it cannot be parsed") from None
    scheme = parts.scheme.lower()
    if scheme == "file" and allow_local and not parts.netloc:
        return Address(url=urlunsplit((scheme, "", parts.path, "", "")), scheme=scheme)
    if scheme not in _SCHEMES or "::" in text.split("://", 1)[0]:
        raise _invalid(f"only {', '.join(_SCHEMES)} are allowed", hint="write https://host/owner/repository")
    host = parts.hostname or ""
    user = unquote(parts.username or "")
    if not host or host.startswith("-") or user.startswith("-") or parts.path.startswith("/-"):
        raise _invalid("its host is missing or looks like an option")
    if ":" in host:
        host = f"[{host}]"
    netloc = host if port is None else f"{host}:{port}"
    if scheme == "ssh" and user:
        netloc = f"{quote(user, safe='')}@{netloc}"
    url = urlunsplit((scheme, netloc, parts.path, "", ""))
    return Address(url=url, scheme=scheme, credentials=_carried(scheme, user, unquote(parts.password or "")))


def _carried(scheme: str, user: str, password: str) -> Credentials | None:
    if scheme == "ssh" or not (user or password):
        return None
    return Credentials(username=user if password else "git", password=password or user)


def _invalid(why: str, hint: str | None = None) -> RefusedError:
    # The URL itself is not repeated: it may hold a password.
    return RefusedError(f"the repository URL is not usable: {why}", hint, code="InvalidURL")
