"""The page of `penstock run`, as the fleet file has it. In: an open world, an address. Out: a page being served, or none.

It listens on loopback unless a proxy with TLS stands in front of it (`web.url`). Its start can fail, a mistake in the settings
is told at once; afterwards sync and promotion go on whatever becomes of it.
"""

from __future__ import annotations

import contextlib
import ipaddress
import secrets
from collections.abc import AsyncIterator

from penstock.app import people
from penstock.app.world import World
from penstock.model import errors
from penstock.web import serving


@contextlib.asynccontextmanager
async def host(world: World, address: str | None) -> AsyncIterator[serving.WebPage | None]:
    """Serve it until the block ends; None where neither the command nor the fleet file says where.

    Where nobody can sign in otherwise, a link is made for whoever started it. Raises InputError for unusable settings,
    RefusedError when the port is taken.
    """
    at = world.fleet.web
    wanted = at.address if address is None else address
    if not wanted:
        yield None
        return
    name, port = parse(wanted)
    tokens = people.token_people(at)
    closed = at.oidc is None and not tokens
    if not loopback(name) and not at.url.startswith("https://"):
        raise errors.invalid(
            f"the web page would be open to the network at {wanted} without TLS",
            hint="listen on 127.0.0.1, or set web.url to the https address of the proxy in front of it",
            code="WebAddress",
        )
    if closed and at.url:
        raise errors.invalid(
            "nobody could sign in to the web page", hint="the fleet file wants web.oidc or web.tokens", code="NobodyCanSignIn"
        )
    async with people.sign_in(at, world.clock) as provider:
        entrance = serving.Entrance(
            host=name, public_url=at.url, hosts=at.hosts, tokens=tokens, provider=provider, grants=at.access
        )
        token = secrets.token_urlsafe(32) if closed else ""
        async with serving.serve(world, port=port, token=token, entrance=entrance) as page:
            yield page


def parse(address: str) -> tuple[str, int]:
    """'127.0.0.1:8080', ':8080' (loopback) or '[::1]:0' as host and port. Raises InputError."""
    name, colon, port = address.rpartition(":")
    name = name.removeprefix("[").removesuffix("]") or serving.HOST
    if not colon or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise errors.invalid(f"{address!r} is no address to listen at", hint="write it like 127.0.0.1:8080", code="WebAddress")
    return name, int(port)


def loopback(name: str) -> bool:
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
