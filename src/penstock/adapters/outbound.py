"""Questions to other people's servers, which a file in Git names: only to addresses that may be asked.

In: a question, what the fleet file allows. Out: an answer. A name is resolved once and the connection goes to the addresses
that were checked, so a name that changes its mind gains nothing; every redirect is checked like the first address. Proxies
of the environment are not used: behind one, nobody could tell where a request ends up.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from penstock.adapters.git.text import plain
from penstock.model.question import Answer, Question

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_REDIRECTS = 3
_BODY_LIMIT_BYTES = 256 * 1024
_LONGEST_SECONDS = 30.0
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A secret that goes to one host only."""

    host: str
    header: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """What may be asked beyond the public internet."""

    networks: tuple[Network, ...] = ()
    hosts: tuple[str, ...] = ()
    """Names whose addresses may be private; link-local ones need their network."""

    @classmethod
    def parse(cls, texts: Sequence[str]) -> Allowed:
        """Networks ('10.0.0.0/8', '127.0.0.1') and host names. Raises ValueError for what is neither."""
        networks: list[Network] = []
        hosts: list[str] = []
        for text in texts:
            try:
                networks.append(ipaddress.ip_network(text, strict=False))
            except ValueError:
                if "/" in text or ":" in text or not text.strip():
                    raise ValueError(f"{text!r} is neither a network nor a host name") from None
                hosts.append(text.lower().rstrip("."))
        return cls(networks=tuple(networks), hosts=tuple(hosts))

    def may(self, host: str, address: Address) -> bool:
        """Whether a host at this address may be asked."""
        inner = _unwrapped(address)
        if any(one in network for network in self.networks for one in (address, inner) if one.version == network.version):
            return True
        if inner.is_multicast or inner.is_unspecified or inner.is_link_local:
            return False
        return inner.is_global or host.lower().rstrip(".") in self.hosts


def _unwrapped(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for, if it does."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address.sixtofour is not None:
            return address.sixtofour
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


class _RefusedError(OSError):
    """A name that leads only to addresses nobody may ask."""


class _Resolver(AbstractResolver):
    """Gives only those addresses of a name that may be asked."""

    def __init__(self, allowed: Allowed) -> None:
        self._allowed = allowed

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC) -> list[ResolveResult]:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
        results: list[ResolveResult] = []
        for kind, _, proto, _, address in found:
            text = str(address[0]).partition("%")[0]
            if self._allowed.may(host, ipaddress.ip_address(text)):
                one: Any = {"hostname": host, "host": text, "port": port, "family": kind, "proto": proto, "flags": 0}
                results.append(one)
        if not results:
            raise _RefusedError(f"{host} is at no address that may be asked")
        return results

    async def close(self) -> None:
        """Nothing is kept."""


class Outbound:
    """The Outbound port over HTTP."""

    def __init__(self, http: aiohttp.ClientSession, allowed: Allowed, credentials: Mapping[str, Credential]) -> None:
        self._http = http
        self._allowed = allowed
        self._credentials = credentials

    async def ask(self, question: Question) -> Answer:
        seconds = min(question.timeout.total_seconds(), _LONGEST_SECONDS)
        try:
            async with asyncio.timeout(seconds):
                return await self._following(question)
        except TimeoutError:
            return Answer(problem=f"no answer within {seconds:g} s")
        except aiohttp.ClientError as error:
            cause = error.__cause__ or getattr(error, "os_error", None) or error
            refused = isinstance(cause, _RefusedError)
            hint = "; the fleet file's outbound.allow lists what else may be asked" if refused else ""
            return Answer(problem=(plain(str(cause)) or type(error).__name__) + hint, refused=refused)
        except (OSError, ValueError) as error:
            return Answer(problem=plain(str(error)) or type(error).__name__)

    async def _following(self, question: Question) -> Answer:
        url = question.url
        credential = self._credentials.get(question.credential) if question.credential else None
        if question.credential and credential is None:
            return Answer(problem=f"the fleet file has no credential {question.credential!r}", refused=True)
        for _ in range(_REDIRECTS + 1):
            if problem := self._problem(url):
                return Answer(problem=problem, refused=True)
            headers = {"User-Agent": "penstock"}
            if credential is not None and (wrong := self._wrong(credential, url)):
                if url == question.url:
                    return Answer(problem=wrong, refused=True)
            elif credential is not None:
                headers[credential.header] = credential.value
            async with self._http.get(url, headers=headers, allow_redirects=False) as response:
                if response.status in (301, 302, 303, 307, 308) and (target := response.headers.get("Location")):
                    url = urljoin(url, target)
                    continue
                body = b""
                async for chunk in response.content.iter_any():
                    body += chunk
                    if len(body) >= _BODY_LIMIT_BYTES:
                        break
                return Answer(status=response.status, body=body[:_BODY_LIMIT_BYTES])
        return Answer(problem=f"more than {_REDIRECTS} redirects")

    def _problem(self, url: str) -> str:
        """Why an address must not be asked; a name is judged once it is resolved."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
            return "only http(s) addresses without a user name are asked"
        try:
            literal = ipaddress.ip_address(parts.hostname.partition("%")[0])
        except ValueError:
            # '127.1' and '2130706433' are addresses to the system and names to nobody: they would get past the resolver.
            return f"{parts.hostname} is no proper address" if parts.hostname.replace(".", "").isdigit() else ""
        if self._allowed.may(parts.hostname, literal):
            return ""
        return f"{parts.hostname} may not be asked; the fleet file's outbound.allow lists what may"

    def _wrong(self, credential: Credential, url: str) -> str:
        """Why a secret must not go there."""
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
        if host != credential.host.lower():
            return f"its credential is for {credential.host}, not for {host}"
        if parts.scheme != "https" and not self._is_inside(host):
            return "a credential is sent over https only"
        return ""

    def _is_inside(self, host: str) -> bool:
        """Whether the fleet file allows this host by name, or by its own address."""
        try:
            literal = ipaddress.ip_address(host)
        except ValueError:
            return host in self._allowed.hosts
        return any(literal in network for network in self._allowed.networks)


@asynccontextmanager
async def connect(allow: Sequence[str] = (), credentials: Mapping[str, Credential] | None = None) -> AsyncIterator[Outbound]:
    """Something that asks, until the block ends. Raises ValueError for an `allow` that cannot be read."""
    allowed = Allowed.parse(allow)
    connector = aiohttp.TCPConnector(resolver=_Resolver(allowed), use_dns_cache=False, limit=8, force_close=True)
    jar = aiohttp.DummyCookieJar()
    timeout = aiohttp.ClientTimeout(total=_LONGEST_SECONDS, connect=10)
    async with aiohttp.ClientSession(connector=connector, cookie_jar=jar, timeout=timeout, trust_env=False) as http:
        yield Outbound(http, allowed, credentials or {})
