"""Requests to a forge's REST API. In: a method, a path, a body. Out: decoded answers, whole lists, or a classified error.

Reads are tried again for a while when the forge is busy or the line breaks; writes are not, because their outcome is
unknown: the caller looks and decides. Redirects are never followed (the token would go along), a token never shows up
in an error, and what the server says is made plain before anybody sees it.
"""

from __future__ import annotations

import asyncio
import random
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

import aiohttp
import msgspec

from penstock.adapters.git.text import plain
from penstock.model.errors import RaceError, RefusedError, RemoteError, TransientError

Session = aiohttp.ClientSession

_ATTEMPTS = 4
_PATIENCE_SECONDS = 30.0
_BODY_LIMIT_BYTES = 32 * 1024 * 1024
_PAGES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A successful answer."""

    status: int
    body: bytes
    headers: Mapping[str, str]


@asynccontextmanager
async def session(ca: bytes = b"", proxy: str = "") -> AsyncIterator[Session]:
    """A pool of connections, through a proxy or through those of the environment; cookies are not kept."""
    timeout = aiohttp.ClientTimeout(total=30, connect=10, sock_read=20)
    context = ssl.create_default_context(cadata=ca.decode()) if ca else True
    connector = aiohttp.TCPConnector(limit=16, ssl=context)
    jar = aiohttp.DummyCookieJar()
    async with aiohttp.ClientSession(
        timeout=timeout, connector=connector, cookie_jar=jar, trust_env=not proxy, proxy=proxy or None
    ) as made:
        # aiohttp sends a PUT or DELETE again by itself when the connection breaks before the answer. Ours have outcomes
        # (a merge is a PUT on GitHub); there is no public switch, its own test client sets the same attribute.
        made._retry_connection = False
        yield made


class Rest:
    """One API under one root; `authorize` makes the headers that carry the credentials of the moment."""

    def __init__(self, http: Session, root: str, authorize: Callable[[], Awaitable[Mapping[str, str]]], name: str) -> None:
        parts = urlsplit(root)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
            raise RefusedError("the forge's URL is not usable", "write https://host, without user or password", code="InvalidURL")
        self._http = http
        self._root = root.rstrip("/")
        self._authorize = authorize
        self._name = name
        self.server_time: datetime | None = None
        """What the server's clock said with its newest answer."""

    async def get[T](self, path: str, shape: type[T], **query: object) -> T:
        return decode((await self.request("GET", path, query=query)).body, shape)

    async def items[T](self, path: str, shape: type[T], **query: object) -> list[T]:
        """All items of a paginated list, following `Link: rel="next"` to its end."""
        return [item async for page in self.pages(path, shape, **query) for item in page]

    async def pages[T](self, path: str, shape: type[T], **query: object) -> AsyncIterator[list[T]]:
        """The same, page by page, as long as the caller wants more."""
        url: str | None = self._url(path, query)
        for _ in range(_PAGES):
            if url is None:
                return
            answer = await self._reading("GET", url)
            yield decode(answer.body, list[shape])  # type: ignore[valid-type]
            url = self._next(answer, url)
        raise RefusedError(f"{self._name} has more than {_PAGES} pages of {path}", code="TooLarge")

    async def request(self, method: str, path: str, *, query: Mapping[str, object] | None = None, body: object = None) -> Answer:
        """One request. Raises RefusedError, RaceError (409), TransientError."""
        url = self._url(path, query or {})
        if method == "GET":
            return await self._reading(method, url)
        return await self._once(method, url, body)

    async def send[T](self, method: str, path: str, shape: type[T], body: object) -> T:
        return decode((await self.request(method, path, body=body)).body, shape)

    async def _reading(self, method: str, url: str) -> Answer:
        """With retries: a read has no outcome to be unsure of."""
        waited = 0.0
        for attempt in range(_ATTEMPTS):
            try:
                return await self._once(method, url, None)
            except BusyError as busy:
                pause = busy.retry_after if busy.retry_after is not None else 0.25 * 4**attempt * (0.5 + random.random())  # noqa: S311
                waited += pause
                if attempt == _ATTEMPTS - 1 or waited > _PATIENCE_SECONDS:
                    raise
                await asyncio.sleep(pause)
        raise AssertionError("unreachable")

    async def _once(self, method: str, url: str, body: object) -> Answer:
        headers = {"Accept": "application/json", "User-Agent": "penstock", **await self._authorize()}
        data = None
        if body is not None:
            data = msgspec.json.encode(body)
            headers["Content-Type"] = "application/json"
        what = f"{method} {urlsplit(url).path}"
        try:
            async with self._http.request(method, url, headers=headers, data=data, allow_redirects=False) as response:
                content = await self._content(response, what)
        except ValueError:  # aiohttp refuses a header with a line break, and says what is in it
            raise RefusedError(
                f"{self._name}: the token has characters no header may have", code="AuthenticationFailed"
            ) from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            why = plain(str(error)) or type(error).__name__
            raise BusyError(f"{self._name} did not answer {what}: {why}", code="Unreachable") from None
        if response.status >= 300:
            raise self._refusal(response.status, dict(response.headers), content, what)
        self.server_time = _date(response.headers.get("Date", ""))
        return Answer(status=response.status, body=content, headers=response.headers)

    async def _content(self, response: aiohttp.ClientResponse, what: str) -> bytes:
        kept = bytearray()
        async for chunk in response.content.iter_any():
            kept += chunk
            if len(kept) > _BODY_LIMIT_BYTES:
                raise RefusedError(f"{self._name} answered {what} with too much", code="TooLarge")
        return bytes(kept)

    def _refusal(self, status: int, headers: Mapping[str, str], content: bytes, what: str) -> RemoteError:
        said = _message(content)
        message = f"{self._name} answered {status} to {what}" + (f": {said}" if said else "")
        lowered = {name.lower(): value for name, value in headers.items()}
        if status == 429 or (status == 403 and _limited(lowered, said)):
            return BusyError(message, code="RateLimited", status=status, retry_after=_retry_after(lowered))
        if status >= 500 and status != 501:
            return BusyError(message, code="ServerError", status=status, retry_after=_retry_after(lowered))
        if status == 409:
            return RaceError(message, code="Conflict", status=status)
        if status < 400:
            return RefusedError(
                message, "the repository or the forge has moved: write its new address", code="Moved", status=status
            )
        hints = {401: "check the forge token", 403: "check what the forge token may do", 404: "check the repository's name"}
        codes = {401: "AuthenticationFailed", 403: "Forbidden", 404: "NotFound", 405: "NotAllowed", 422: "Unprocessable"}
        return RefusedError(message, hints.get(status), code=codes.get(status, "Refused"), status=status)

    def _url(self, path: str, query: Mapping[str, object]) -> str:
        words = {name: value for name, value in query.items() if value not in (None, "")}
        return f"{self._root}{path}" + (f"?{urlencode(words, doseq=True)}" if words else "")

    def _next(self, answer: Answer, url: str) -> str | None:
        """The next page, only if it is on the same host (a proxy may rewrite it, a forge may not send us elsewhere)."""
        match = re.search(r'<([^>]+)>\s*;[^,]*rel="?next"?', answer.headers.get("Link", ""))
        if not match:
            return None
        following = urlsplit(urljoin(url, match[1]))
        here = urlsplit(url)
        # Behind a proxy the forge may not know its own address: keep ours, take its query.
        return here._replace(query=following.query).geturl() if following.path.endswith(here.path[-20:]) else None


class BusyError(TransientError):
    """No answer, 429 or 5xx; `retry_after` is what the server asked for, in seconds."""

    def __init__(
        self, what: str, hint: str | None = None, code: str = "Remote", status: int = 0, retry_after: float | None = None
    ) -> None:
        super().__init__(what, hint, code, status)
        self.args = (what, hint, code, status, retry_after)
        self.retry_after = retry_after


def decode[T](body: bytes, shape: type[T]) -> T:
    """JSON as the shape says. Raises RefusedError(code='UnexpectedAnswer') when it is something else (HTML of a proxy)."""
    try:
        return msgspec.json.decode(body, type=shape)
    except msgspec.MsgspecError as error:
        raise RefusedError(f"the forge answered something unexpected: {plain(str(error))}", code="UnexpectedAnswer") from None


def _message(content: bytes) -> str:
    """The reason in an error body: `message`, `error` or `errors`, as the forges spell it."""
    try:
        body: Any = msgspec.json.decode(content)
    except msgspec.MsgspecError:
        return ""
    if not isinstance(body, dict):
        return ""
    parts: list[str] = []
    for key in ("message", "error", "error_description", "errors"):
        found = body.get(key)
        items = found if isinstance(found, list) else [found]
        parts += [
            item if isinstance(item, str) else str(item.get("message", "")) for item in items if isinstance(item, str | dict)
        ]
    return plain("; ".join(dict.fromkeys(part for part in parts if part)), limit=300)


def _date(text: str) -> datetime | None:
    try:
        return parsedate_to_datetime(text)
    except ValueError:
        return None


def _limited(headers: Mapping[str, str], said: str) -> bool:
    """GitHub says 403 for its limits: primary by a header, secondary by a wish to wait."""
    return headers.get("x-ratelimit-remaining") == "0" or "retry-after" in headers or "rate limit" in said.lower()


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait as the server wishes: Retry-After, or the time the limit is reset."""
    asked = headers.get("retry-after", "")
    if asked.isdigit():
        return float(asked)
    if asked:
        try:
            return max(0.0, (parsedate_to_datetime(asked) - parsedate_to_datetime(headers["date"])).total_seconds())
        except (ValueError, KeyError, TypeError):
            return None
    reset, date = headers.get("x-ratelimit-reset") or headers.get("ratelimit-reset") or "", headers.get("date", "")
    if reset.isdigit() and date and headers.get("x-ratelimit-remaining", "0") == "0":
        try:
            return max(1.0, int(reset) - parsedate_to_datetime(date).timestamp())
        except ValueError:
            return None
    return None
