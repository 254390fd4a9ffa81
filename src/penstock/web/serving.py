"""Serve the web page of one fleet on a loopback port.

In: an open world, a port, the token that lets people in, and the forge as each person who may act here sees it. Out: a
running `WebPage`, gone with its block. It only reads and reviews: sync and promotion neither need it nor wait for it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from aiohttp import web

from penstock.app.world import World
from penstock.model.errors import RefusedError
from penstock.ports.clock import Clock
from penstock.ports.forge import Forge
from penstock.web import access, drawing, pages

HOST = "127.0.0.1"
_BODY_LIMIT_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class WebPage:
    """A page that is being served."""

    url: str
    """Without a final slash."""
    sign_in_url: str
    """Carries the token: for the person who started it."""
    poke: Callable[[], None]
    """Call it when something changed: whoever looks sees it at once and not within a second."""


@contextlib.asynccontextmanager
async def serve(world: World, *, port: int = 0, token: str, forges: Mapping[str, Forge] | None = None) -> AsyncIterator[WebPage]:
    """Serve until the block ends. `forges`: login -> the forge as that person, for approving here.

    Raises RefusedError(code='PortInUse') when the port is taken.
    """
    from penstock.web import reading

    facts = reading.Reading(world)
    environments = tuple(str(name) for name in (*world.clusters, *world.cluster_problems))
    async with serve_facts(
        facts, environments, clock=world.clock, fleet=facts.fleet, port=port, token=token, forges=forges or {}
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
    forges: Mapping[str, Forge],
) -> AsyncIterator[WebPage]:
    """The same over any source of facts."""
    guard = access.Access(token, clock)
    with _one_error():
        async with asyncio.TaskGroup() as group:
            made = pages.Pages(
                facts=facts,
                templates=drawing.Drawing(clock=clock),
                door=guard,
                clock=clock,
                group=group,
                forges=forges,
                environments=environments,
                fleet=fleet,
            )
            application = web.Application(middlewares=[made.boundary, guard.guard], client_max_size=_BODY_LIMIT_BYTES)
            application.add_routes(made.routes())
            application.on_response_prepare.append(pages.add_headers)
            runner = web.AppRunner(application, access_log=None, shutdown_timeout=2)
            await runner.setup()
            try:
                await _listen(runner, port)
                taken = int(runner.addresses[0][1])
                guard.listen(taken)
                url = f"http://{HOST}:{taken}"
                yield WebPage(url=url, sign_in_url=f"{url}/sign-in?token={quote(token, safe='')}", poke=made.poke)
            finally:
                made.close()
                await runner.cleanup()
                made.cancel()


@contextlib.contextmanager
def _one_error() -> Iterator[None]:
    """The error of whoever uses the block, as it was: a task group would wrap it."""
    try:
        yield
    except BaseExceptionGroup as grouped:
        if len(grouped.exceptions) == 1:
            raise grouped.exceptions[0] from None
        raise


async def _listen(runner: web.AppRunner, port: int) -> None:
    try:
        await web.TCPSite(runner, HOST, port).start()
    except OSError as error:
        raise RefusedError(
            f"port {port} on {HOST} is not free: {error.strerror}", "choose another one, or 0 for any", code="PortInUse"
        ) from error
