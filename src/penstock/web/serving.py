"""Serve the web page of one fleet.

In: an open world, where to listen, how people sign in, and the forge as they see it. Out: a running `WebPage`, gone with its
block. Sync and promotion neither need it nor wait for it: it runs beside them, and an error of its own stays its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote

from aiohttp import web

from penstock.app.world import World
from penstock.model.errors import RefusedError
from penstock.model.people import Grant, Person
from penstock.ports.clock import Clock
from penstock.ports.forge import Forge
from penstock.web import access, acting, drawing, pages, signing_in
from penstock.web.site import Site

if TYPE_CHECKING:
    from penstock.app.people import SignIn

HOST = "127.0.0.1"
_LOCAL = Person(login="local", name="the link", own=("admin",))
"""Whoever has the link of a page on this machine could do all of it by the command line as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebPage:
    """A page that is being served."""

    url: str
    """Without a final slash."""
    sign_in_url: str = field(repr=False)
    """Carries the token: for the person who started it."""
    poke: Callable[[], None] = field(repr=False)
    """Call it when something changed: whoever looks sees it at once and not within a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrance:
    """Where the page is and who gets in."""

    host: str = HOST
    public_url: str = ""
    """Where a proxy serves it; '' when people come to `host` themselves."""
    hosts: tuple[str, ...] = ()
    """Further names it answers to."""
    tokens: Mapping[str, Person] = field(default_factory=dict, repr=False)
    provider: SignIn | None = None
    grants: tuple[Grant, ...] = ()


@contextlib.asynccontextmanager
async def serve(
    world: World,
    *,
    port: int = 0,
    token: str = "",
    forges: Mapping[str, Forge] | None = None,
    entrance: Entrance | None = None,
) -> AsyncIterator[WebPage]:
    """Serve until the block ends. `token`: a link with it makes an admin. `forges`: login -> the forge as that person, for
    whoever has the link.

    Raises RefusedError(code='PortInUse') when the port is taken.
    """
    from penstock.adapters.forge import connect
    from penstock.web import doing, reading

    at = world.fleet.forge
    facts = reading.Reading(world)
    hands = acting.Hands(
        clock=world.clock, people=forges or {}, connect=lambda found: connect(at.kind, at.url, at.repository, token=found)
    )
    environments = tuple(str(name) for name in (*world.clusters, *world.cluster_problems))
    async with serve_facts(
        facts,
        environments,
        clock=world.clock,
        fleet=facts.fleet,
        port=port,
        token=token,
        hands=hands,
        deeds=doing.Doing(world, facts),
        entrance=entrance,
    ) as page:
        yield page


@contextlib.asynccontextmanager
async def serve_facts(
    facts: pages.Facts,
    environments: tuple[str, ...],
    *,
    clock: Clock,
    fleet: str,
    port: int,
    token: str,
    deeds: acting.Deeds,
    hands: acting.Hands,
    entrance: Entrance | None = None,
) -> AsyncIterator[WebPage]:
    """The same over any source of facts."""
    at = entrance or Entrance()
    tokens = {**at.tokens, **({token: _LOCAL} if token else {})}
    door = access.Access(tokens, clock, public_url=at.public_url, hosts=at.hosts)
    doors = signing_in.Doors(access=door, clock=clock, provider=at.provider)
    with _one_error():
        async with asyncio.TaskGroup() as group:
            made = pages.Pages(
                facts=facts,
                templates=drawing.Drawing(clock=clock),
                door=door,
                clock=clock,
                group=group,
                logins=hands.logins,
                environments=environments,
                fleet=fleet,
                own_grants=at.grants,
            )
            site = Site(pages=made, acting=acting.Acting(site=made, deeds=deeds, hands=hands), doors=doors)
            runner = web.AppRunner(site.application(), access_log=None, shutdown_timeout=2)
            await runner.setup()
            try:
                await _listen(runner, at.host, port)
                taken = int(runner.addresses[0][1])
                door.listen(taken)
                url = f"http://{_reachable(at.host)}:{taken}"
                doors.public_url = at.public_url or url
                link = f"{url}/sign-in?token={quote(token, safe='')}" if token else f"{doors.public_url}/sign-in"
                yield WebPage(url=url, sign_in_url=link, poke=made.poke)
            finally:
                made.close()
                await runner.cleanup()
                made.cancel()


def _reachable(host: str) -> str:
    """An address of this machine by which a page that listens at `host` is reached from it."""
    try:
        return HOST if ipaddress.ip_address(host).is_unspecified else host
    except ValueError:
        return host


@contextlib.contextmanager
def _one_error() -> Iterator[None]:
    """The error of whoever uses the block, as it was: a task group would wrap it."""
    try:
        yield
    except BaseExceptionGroup as grouped:
        if len(grouped.exceptions) == 1:
            raise grouped.exceptions[0] from None
        raise


async def _listen(runner: web.AppRunner, host: str, port: int) -> None:
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        raise RefusedError(
            f"port {port} on {host} is not free: {error.strerror}", "choose another one, or 0 for any", code="PortInUse"
        ) from error
