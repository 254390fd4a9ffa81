"""Requests to one API server: connections, credentials, retries by class, and a count of what was sent.

In: method, path, parameters, body. Out: the decoded answer, or an error of ours. A write whose outcome is unknown is
never sent twice unless the caller says that it may be (`repeatable`): then it changes nothing the second time.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import random
import socket
import weakref
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import aiohttp
import msgspec
from aiohttp.client_proto import ResponseHandler
from multidict import CIMultiDict

from penstock.adapters.kube import credentials, refusals
from penstock.adapters.kube.kubeconfig import Access
from penstock.adapters.kube.pacing import Pace
from penstock.model.errors import TransientError

CONNECTIONS = 64
_ATTEMPTS = 4
_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 5.0
_REQUEST_SECONDS = 60.0
_CONNECT_SECONDS = 10.0
_SETTLE_SECONDS = 2.0
_READS = ("GET", "HEAD")


class _Connector(aiohttp.TCPConnector):
    """Never cancels a connection while it opens: asyncio (3.13) forgets a socket whose TLS handshake is cancelled in its
    first step, and then nobody closes it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._opening: set[asyncio.Future[ResponseHandler]] = set()
        self._opened: weakref.WeakSet[asyncio.BaseTransport] = weakref.WeakSet()

    async def _create_connection(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Any],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - the overridden method has it
    ) -> ResponseHandler:
        opening = asyncio.ensure_future(super()._create_connection(req, traces, timeout))
        self._opening.add(opening)
        opening.add_done_callback(self._opened_one)
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_dropped)
            raise

    def _opened_one(self, opening: asyncio.Future[ResponseHandler]) -> None:
        self._opening.discard(opening)
        if not opening.cancelled() and opening.exception() is None and (transport := opening.result().transport) is not None:
            self._opened.add(transport)

    async def end(self) -> None:
        """Drop what still says goodbye to the server: a polite TLS end would outlive the event loop."""
        for transport in list(self._opened):
            if isinstance(transport, asyncio.Transport):
                transport.abort()
        # a transport closes its socket in the loop's next round
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def settle(self) -> None:
        """Wait for the connections that are opening, not longer than they should take."""
        if self._opening:
            _, late = await asyncio.wait(set(self._opening), timeout=_SETTLE_SECONDS)
            for each in late:
                each.cancel()


Gate = Callable[[], None]
"""Asked right before a write goes out; raises what keeps it from going."""


def _gated(gate: Gate) -> type[aiohttp.ClientRequest]:
    """Requests that ask the gate as the very last thing: whatever they waited for (a free connection, a retry, a process
    that was paused) has passed by then."""

    class Request(aiohttp.ClientRequest):
        async def send(self, conn: Any) -> aiohttp.ClientResponse:
            if self.method not in _READS:
                gate()
            return await super().send(conn)

    return Request


def _dropped(opening: asyncio.Future[ResponseHandler]) -> None:
    """Close a connection that nobody waits for any more."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


class Transport:
    """The connection pool of one identity; `Counter` keys are audit verbs ('patch', 'patch?dryRun', 'list', ...)."""

    def __init__(self, access: Access, gate: Gate | None = None, pace: Pace | None = None) -> None:
        self.access = access
        self.gate = gate
        self.pace = pace
        self.counts: collections.Counter[str] = collections.Counter()
        self.answers: collections.Counter[tuple[str, str]] = collections.Counter()
        """By method and status."""
        self._credentials = credentials.Credentials(access)
        self._session: aiohttp.ClientSession | None = None
        self._connector: _Connector | None = None
        self._opening = asyncio.Lock()
        self._closed = False

    async def close(self) -> None:
        """Close the connections; requests after it fail."""
        self._closed = True
        if self._connector is not None:
            await self._connector.settle()
        if self._session is not None:
            await self._session.close()
            self._session = None
        if self._connector is not None:
            await self._connector.end()

    async def request(
        self,
        verb: str,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        doing: str,
        repeatable: bool,
    ) -> tuple[int, bytes]:
        """Status and body of an answer below 400, or 404 and 409 for the caller to understand.

        Raises RefusedError, RaceError (410), TransientError.
        """
        pause = _FIRST_PAUSE_SECONDS
        renewed = False
        attempt = 0
        while True:
            attempt += 1
            if self.pace is not None:
                await self.pace.turn()
            self.counts[verb] += 1
            if self.gate is not None and method not in _READS:
                self.gate()
            wait: float | None = None
            try:
                async with self._open(method, path, params, body, headers, renew=renewed) as response:
                    status, content = response.status, await response.read()
                    self.answers[method, str(status)] += 1
                    header = response.headers.get("Retry-After")
            except aiohttp.ClientConnectorError as error:
                # nothing was sent: any request may be tried again
                failure = TransientError(f"{doing}: {self._unreachable(error)}", code="Unreachable")
            except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
                failure = TransientError(f"{doing}: no answer from {self.access.server} ({_why(error)})", code="NoAnswer")
                if not repeatable:
                    raise failure from None
            else:
                if status < 400:
                    return status, content
                answer = refusals.read(status, content)
                if status == 401 and self._credentials.refreshable and not renewed:
                    renewed = True
                    continue
                found = refusals.error(status, answer, doing)
                if not isinstance(found, TransientError) or found.code == "NamespaceTerminating":
                    if status in (404, 409):
                        return status, content
                    raise found
                wait = refusals.retry_after(answer, header)
                # 429 is said before anything was done; any other failure of a write leaves the outcome open
                if status != 429 and not repeatable:
                    raise found
                failure = found
            if attempt >= _ATTEMPTS:
                raise failure
            await asyncio.sleep(min(wait if wait is not None else pause * random.uniform(0.5, 1.5), _LONGEST_PAUSE_SECONDS))  # noqa: S311 - jitter
            pause *= 2

    @contextlib.asynccontextmanager
    async def stream(
        self, path: str, params: Mapping[str, str], headers: Mapping[str, str], *, idle_seconds: float
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A long answer; reading it raises TimeoutError when nothing comes for `idle_seconds`."""
        self.counts["watch"] += 1
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS, sock_read=idle_seconds)
        async with self._open("GET", path, params, None, headers, timeout=timeout) as response:
            yield response

    @contextlib.asynccontextmanager
    async def _open(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None,
        body: bytes | None,
        headers: Mapping[str, str] | None,
        *,
        renew: bool = False,
        timeout: aiohttp.ClientTimeout | None = None,  # noqa: ASYNC109 - limits of one socket, not of the call
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        session = await self._connected()
        sent = CIMultiDict(headers or {})
        if authorization := await self._credentials.authorization(renew=renew):
            sent["Authorization"] = authorization
        options: dict[str, Any] = {"timeout": timeout} if timeout is not None else {}
        if self.access.tls_server_name:
            options["server_hostname"] = self.access.tls_server_name
        if self.access.proxy_url:
            options["proxy"] = self.access.proxy_url
        async with session.request(
            method, self.access.server + path, params=params, data=body, headers=sent, allow_redirects=False, **options
        ) as response:
            yield response

    async def _connected(self) -> aiohttp.ClientSession:
        if self._session is None:
            async with self._opening:
                if self._closed:
                    raise TransientError(f"the connection to {self.access.name} is closed", code="Closed")
                if self._session is None:
                    self._session = await self._new_session()
        return self._session

    async def _new_session(self) -> aiohttp.ClientSession:
        await self._credentials.prepare()
        # reading certificates from files is slow enough to leave the loop
        context = await asyncio.to_thread(credentials.tls, self.access, self._credentials.certificate)
        self._connector = _Connector(
            limit=CONNECTIONS, ssl=context if context is not None else True, family=socket.AF_UNSPEC, keepalive_timeout=30
        )
        return aiohttp.ClientSession(
            connector=self._connector,
            timeout=aiohttp.ClientTimeout(total=_REQUEST_SECONDS, sock_connect=_CONNECT_SECONDS),
            headers={"User-Agent": "penstock", "Accept": "application/json"},
            auto_decompress=True,
            request_class=_gated(self.gate) if self.gate is not None else aiohttp.ClientRequest,
            skip_auto_headers=["Content-Type"],
        )

    def _unreachable(self, error: aiohttp.ClientConnectorError) -> str:
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            return f"the certificate of {self.access.server} is not trusted"
        return f"cannot reach {self.access.server} ({_why(error.os_error)})"


def _why(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "timed out"
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return text or type(error).__name__


def decode(content: bytes) -> Any:
    """JSON as plain values. Raises TransientError: half an answer is no answer."""
    try:
        return msgspec.json.decode(content)
    except msgspec.MsgspecError:
        raise TransientError("the answer is not JSON", code="NoAnswer") from None
