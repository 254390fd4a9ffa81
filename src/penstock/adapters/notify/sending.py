"""One message to one target. In: a target, a message. Out: nothing, or a RemoteError.

Slack, Teams and webhooks are posted by ourselves, because their dialects are where hostile text must be held; e-mail and
every other service goes through apprise, on a thread of the target's own that a dead service can hold without holding others.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

import aiohttp
import msgspec

from penstock.adapters.notify import dialing
from penstock.model.errors import RefusedError, RemoteError, TransientError
from penstock.notify import wording
from penstock.notify.facts import Message

Kind = Literal["slack", "teams", "webhook", "email", "apprise"]
_ANSWER_SECONDS = 10.0
_THREAD_SECONDS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a target is; its address and key are secrets and never shown."""

    name: str
    kind: Kind
    url: str = field(repr=False)
    key: str = field(default="", repr=False)
    """Signs the body of a webhook."""
    per_minute: float = 30.0
    from_git: bool = False
    """Somebody in Git chose the address: only the public internet, and no key of ours."""


class Sender:
    """Sends to targets; one for the whole process."""

    def __init__(
        self, session: aiohttp.ClientSession, public: aiohttp.ClientSession, masked: frozenset[str] = frozenset()
    ) -> None:
        self._session = session
        self._public = public
        self._masked = sorted(masked)
        self._threads: dict[str, ThreadPoolExecutor] = {}

    async def send(self, target: Target, message: Message) -> None:
        """Deliver, or raise TransientError (try again) or RefusedError (it will not work until somebody changes something)."""
        match target.kind:
            case "slack":
                await self._post(target, wording.slack(message, self._masked), message)
            case "teams":
                await self._post(target, wording.teams(message, self._masked), message)
            case "webhook":
                await self._post(target, wording.webhook(message, self._masked), message)
            case "email":
                await self._apprise(target, message, wording.plain(message, self._masked))
            case "apprise":
                await self._apprise(target, message, wording.defused(message, self._masked))

    async def _post(self, target: Target, content: Mapping[str, object], message: Message) -> None:
        body = msgspec.json.encode(content)
        headers = {"Content-Type": "application/json", "User-Agent": "penstock"}
        if target.kind == "webhook":
            headers |= {"X-Penstock-Event": message.event, "X-Penstock-Delivery": message.key}
            if target.key:
                # As Flux's generic-hmac provider signs, so that one receiver serves both.
                headers["X-Signature"] = f"sha256={hmac.new(target.key.encode(), body, hashlib.sha256).hexdigest()}"
        session = self._public if target.from_git else self._session
        url = dialing.check(target.url) if target.from_git else target.url
        try:
            async with session.post(url, data=body, headers=headers, allow_redirects=False) as answer:
                status, wait = answer.status, answer.headers.get("Retry-After", "")
        except (aiohttp.InvalidURL, ValueError):
            raise RefusedError(f"the address of the target {target.name} cannot be used", code="NotifyAddress") from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise TransientError(f"{target.name} did not answer ({type(error).__name__})", code="NotifyUnreachable") from None
        if status in (408, 425, 429) or status >= 500:
            raise BusyError(f"{target.name} answered {status}", wait)
        if status >= 300:
            raise RefusedError(f"{target.name} answered {status}", code="NotifyRefused", status=status)

    async def _apprise(self, target: Target, message: Message, body: str) -> None:
        thread = self._threads.setdefault(target.name, ThreadPoolExecutor(1, thread_name_prefix=f"notify-{target.name}"))
        subject = wording.subject(message, self._masked)
        title = subject if target.kind == "email" else wording.defuse(subject)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_THREAD_SECONDS):
                told = await loop.run_in_executor(thread, _tell, target.url, title, body, message.severity)
        except TimeoutError:
            # The thread is busy until its own time is over; the next try waits behind it, nobody else does.
            raise TransientError(f"{target.name} did not answer in time", code="NotifyUnreachable") from None
        if told is None:
            raise RefusedError(f"the address of the target {target.name} is none that apprise knows", code="NotifyAddress")
        if not told:
            raise TransientError(f"{target.name} did not take the message", code="NotifyUnreachable")

    def close(self) -> None:
        for thread in self._threads.values():
            thread.shutdown(wait=False, cancel_futures=True)


class BusyError(TransientError):
    """The target asks for patience; `retry_after` in seconds, 0 when it does not say."""

    def __init__(self, what: str, retry_after: str = "") -> None:
        super().__init__(what, None, "NotifyBusy")
        self.args = (what, retry_after)
        self.retry_after = float(retry_after) if retry_after.isdigit() else 0.0


def _tell(url: str, title: str, body: str, severity: str) -> bool | None:
    """By apprise; None when it does not know the address. Its log lines may hold addresses, so it is kept silent."""
    import logging

    import apprise

    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
    carrier = apprise.Apprise()
    if not carrier.add(url):
        return None
    kinds = {"info": apprise.NotifyType.INFO, "warning": apprise.NotifyType.WARNING, "error": apprise.NotifyType.FAILURE}
    return bool(carrier.notify(title=title, body=body, notify_type=kinds[severity], body_format=apprise.NotifyFormat.TEXT))


@asynccontextmanager
async def sender(masked: frozenset[str] = frozenset()) -> AsyncIterator[Sender]:
    """A sender with its connections, until the block ends."""
    timeout = aiohttp.ClientTimeout(total=_ANSWER_SECONDS, connect=5)
    jar = aiohttp.DummyCookieJar
    async with (
        aiohttp.ClientSession(
            timeout=timeout, connector=aiohttp.TCPConnector(limit=32), cookie_jar=jar(), trust_env=True
        ) as session,
        aiohttp.ClientSession(timeout=timeout, connector=dialing.public_connector(limit=8), cookie_jar=jar()) as public,
    ):
        made = Sender(session, public, masked)
        try:
            yield made
        finally:
            made.close()


__all__ = ["BusyError", "Kind", "RemoteError", "Sender", "Target", "sender"]
