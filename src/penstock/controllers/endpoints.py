"""What a process answers to those who watch over it: metrics, liveness, readiness.

In: addresses, and functions that tell the state. Out: `/metrics` on one port, `/healthz` and `/readyz` on another. They live
in the loop that does the work, so a loop that stands still does not answer, which is the truth.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import web
from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.exposition import choose_encoder

from penstock.model.errors import RefusedError, invalid

if TYPE_CHECKING:
    from prometheus_client.registry import Collector

Problems = Callable[[], list[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What is asked of a process."""

    collectors: tuple[Collector, ...]
    stuck: Problems
    """What stands still: anything makes liveness fail, so that the process is started anew."""
    unready: Problems
    """What is not there yet."""


def address(text: str) -> tuple[str | None, int] | None:
    """':8080', '127.0.0.1:0', '[::1]:9440' as host (None: every interface) and port; None for '' and '0', which is off.

    Raises InputError.
    """
    if text in ("", "0"):
        return None
    host, separator, port = text.rpartition(":")
    if not separator or not port.isdigit() or int(port) > 65535:
        raise invalid(f"{text!r} is not an address", hint="127.0.0.1:8080, or :8080 for every interface", code="Address")
    return host.strip("[]") or None, int(port)


@contextlib.asynccontextmanager
async def serve(watched: Watched, *, metrics: str, health: str) -> AsyncIterator[dict[str, str]]:
    """Serve until the block ends; the base URLs of 'metrics' and 'health', of those that are on.

    Raises InputError (not an address), RefusedError (the port is taken).
    """
    registry = CollectorRegistry(auto_describe=False)
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    for collector in watched.collectors:
        registry.register(collector)

    async def expose(request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(registry), headers={"Content-Type": content_type})

    urls: dict[str, str] = {}
    async with contextlib.AsyncExitStack() as stack:
        routes = {
            "metrics": (metrics, [web.get("/metrics", expose)]),
            "health": (health, [web.get("/healthz", _answer(watched.stuck)), web.get("/readyz", _answer(watched.unready))]),
        }
        for name, (text, served) in routes.items():
            if (where := address(text)) is not None:
                urls[name] = await stack.enter_async_context(_listen(where, served))
        yield urls


def _answer(problems: Problems) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(request: web.Request) -> web.StreamResponse:
        found = problems()
        return web.Response(text="\n".join(found) or "ok", status=503 if found else 200)

    return answer


@contextlib.asynccontextmanager
async def _listen(where: tuple[str | None, int], routes: list[web.RouteDef]) -> AsyncIterator[str]:
    host, port = where
    application = web.Application(client_max_size=1024)
    application.add_routes(routes)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            what = f"port {port} is not free: {error.strerror}"
            raise RefusedError(what, "choose another one, or 0 for any", code="PortInUse") from None
        shown = f"[{host}]" if host and ":" in host else host or "127.0.0.1"
        yield f"http://{shown}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
