"""Connections to addresses that somebody in Git chose: only to the public internet. In: a URL. Out: a connector that keeps to it.

What is checked is the address that is connected to, after resolving and at every connection, so that a name which answers
something else the second time gains nothing. Loopback, private, link-local (the cloud's metadata), shared and multicast
addresses are refused, also when they are written as one number or inside an IPv6 address.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from penstock.model.errors import RefusedError


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet; IPv4 inside of IPv6 (mapped, 6to4, NAT64, Teredo) counts as itself."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        inner = [one for one in (found.ipv4_mapped, found.sixtofour, *(found.teredo or ())) if one is not None]
        if found in ipaddress.ip_network("64:ff9b::/96") or found in ipaddress.ip_network("::/96"):
            inner.append(ipaddress.IPv4Address(int(found) & 0xFFFFFFFF))
        if any(not one.is_global or one.is_multicast for one in inner):
            return False
    return found.is_global and not found.is_multicast


def check(url: str) -> str:
    """The URL if it may be dialled at all. Raises RefusedError for another scheme, credentials in it, or an inner address."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if parts.scheme != "https" or not host or parts.username is not None:
        raise RefusedError("an address from Git is an https:// URL without user or password", code="AddressRefused")
    if _literal(host) and not is_public(host):
        raise refused()
    return url


def refused() -> RefusedError:
    return RefusedError("an address from Git may only lead to the public internet", code="AddressRefused")


def _literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


class PublicResolver(AbstractResolver):
    """Resolves as the system does, and knows no inner address."""

    def __init__(self, resolver: AbstractResolver | None = None) -> None:
        self._resolver = resolver or ThreadedResolver()

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        public = [one for one in found if is_public(one["host"])]
        if not public:
            # An error of the kind that connecting has: the session turns it into one of its own, without a connection.
            raise OSError("only inner addresses")
        return public

    async def close(self) -> None:
        await self._resolver.close()


def public_connector(**options: Any) -> aiohttp.TCPConnector:
    """Connects to public addresses only."""
    return aiohttp.TCPConnector(resolver=PublicResolver(), use_dns_cache=False, **options)
