"""Webhooks in: an HTTP server whose requests do nothing but make somebody look.

In: requests, and hooks registered under paths. Out: calls of `deliver`. Nothing that a request says is believed; it can only
cause a look at what is configured. Whoever does not know a path and its secret sees one and the same answer, whatever they
try: no path can be told from another, and no secret from a wrong one.

A request is read within limits (size, time, how many at once) before anything else is done with it.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import ssl
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from penstock.adapters.forge import webhooks
from penstock.adapters.forge.webhooks import Event

if TYPE_CHECKING:
    from aiohttp import web

_quiet = logging.getLogger(f"{__name__}.access")
_quiet.setLevel(logging.CRITICAL)  # who floods us must not flood the log too
LARGEST_BODY_BYTES = 4 * 1024 * 1024
REQUEST_SECONDS = 10.0
_AT_ONCE, _CONNECTIONS = 16, 256
_REMEMBERED = 2000

Kind = webhooks.Flavour | Literal["open"]
"""'open': whoever knows the path may call (Flux's generic, dockerhub, quay, acr)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """Who may call under one path, and what then happens."""

    kind: Kind
    secret: str = field(repr=False)
    deliver: Callable[[Event], None]
    """Must return at once: the sender waits."""
    events: tuple[str, ...] = ()
    """The forge's names of events that count; empty for all."""
    current: Callable[[], Awaitable[str | None]] | None = None
    """Reads the secret as it is now, asked once a request knows the one that was; None when it cannot be read."""


class Hooks:
    """Hooks by path, of everybody in this process."""

    def __init__(self) -> None:
        self._hooks: dict[str, Hook] = {}
        self._seen: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._nobody = Hook(kind="github", secret=secrets.token_hex(32), deliver=lambda _: None)

    def put(self, path: str, hook: Hook) -> None:
        self._hooks[path] = hook

    def drop(self, path: str) -> None:
        self._hooks.pop(path, None)

    async def receive(self, path: str, headers: Mapping[str, tuple[str, ...]], body: bytes) -> int:
        """Judge one request (header names in lower case) and deliver it; the HTTP status of the answer."""
        hook = self._hooks.get(path, self._nobody)
        single = {name: values[-1] for name, values in headers.items()}
        if not await self._genuine(hook, headers, single, body):
            return 403
        name = webhooks.event_name(single)
        try:
            webhooks.parsed(single, body)
        except ValueError:
            if body.strip() or hook.kind != "open":
                return 400
        if hook.events and name.lower() not in {each.lower() for each in hook.events}:
            return 202
        event = webhooks.read(single, body)
        if not self._repeated(path, event):
            hook.deliver(event)
        return 202

    async def _genuine(self, hook: Hook, headers: Mapping[str, tuple[str, ...]], single: Mapping[str, str], body: bytes) -> bool:
        if hook.kind == "open":
            return True
        if any(len(headers.get(name, ())) > 1 for name in (*webhooks.SIGNING_HEADERS[hook.kind], *webhooks.EVENT_HEADERS)):
            return False
        if not webhooks.genuine(hook.kind, single, body, hook.secret) or hook is self._nobody:
            return False
        if hook.current is None:
            return True
        now = await hook.current()
        return now is None or now == hook.secret

    def _repeated(self, path: str, event: Event) -> bool:
        """Whether this delivery was here before: a forge's retry, or somebody's replay."""
        if not event.delivery:
            return False
        key = (path, event.delivery)
        known = key in self._seen
        self._seen[key] = None
        self._seen.move_to_end(key)
        while len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        return known


@asynccontextmanager
async def serve(
    hooks: Hooks,
    host: str | None = "127.0.0.1",
    port: int = 0,
    *,
    tls: ssl.SSLContext | None = None,
    seconds: float = REQUEST_SECONDS,
    largest_bytes: int = LARGEST_BODY_BYTES,
) -> AsyncIterator[str]:
    """Serve the hooks until the block ends, on one address or (None) all of them; gives the base URL."""
    from aiohttp import web

    at_once = asyncio.Semaphore(_AT_ONCE)

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        try:
            async with asyncio.timeout(seconds), at_once:
                status = await _received(hooks, request, largest_bytes)
        except TimeoutError:
            status = 408
        response = web.Response(status=status, text=_SAID.get(status, "refused\n"))
        response.force_close()  # one request for each connection: nobody holds one open
        return response

    server = web.Server(handle, access_log=None)
    loop = asyncio.get_running_loop()
    open_connections: set[object] = set()

    class Impatient(web.RequestHandler):
        """Ends a connection that has not brought its request in time, also one that never gets past its headers."""

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            assert isinstance(transport, asyncio.Transport)
            if len(open_connections) >= _CONNECTIONS:
                transport.abort()
                return
            open_connections.add(transport)
            self._deadline = loop.call_later(seconds + 1, transport.abort)

        def connection_lost(self, exc: BaseException | None) -> None:
            open_connections.discard(self.transport)
            if hasattr(self, "_deadline"):
                self._deadline.cancel()
            super().connection_lost(exc)

    def protocol() -> asyncio.Protocol:
        limits: dict[str, Any] = {"auto_decompress": False, "keepalive_timeout": 0, "lingering_time": 0}
        return Impatient(server, loop=loop, access_log=_quiet, logger=_quiet, **limits)

    listening = await loop.create_server(protocol, host, port, ssl=tls)
    try:
        shown = listening.sockets[0].getsockname()
        yield f"http{'s' if tls else ''}://{host or '0.0.0.0'}:{shown[1]}"  # noqa: S104 - shown, not bound
    finally:
        listening.close()
        await server.shutdown(1.0)


_SAID = {
    202: "accepted\n",
    400: "not JSON\n",
    405: "only POST\n",
    408: "too slow\n",
    413: "too large\n",
    415: "not compressed, please\n",
}


async def _received(hooks: Hooks, request: web.BaseRequest, largest_bytes: int) -> int:
    if request.method != "POST":
        return 405
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        return 415  # a signature is over bytes as they were sent; and nothing swells here
    if request.content_length is not None and request.content_length > largest_bytes:
        return 413
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > largest_bytes:
            return 413
    headers: dict[str, tuple[str, ...]] = {}
    for name, value in request.headers.items():
        headers[name.lower()] = (*headers.get(name.lower(), ()), value)
    return await hooks.receive(request.rel_url.raw_path, headers, bytes(body))
