"""A running page, and a browser's worth of HTTP to talk to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime

import aiohttp
import web_samples as samples

from penstock.adapters.clock import SystemClock
from penstock.ports.forge import Forge
from penstock.web import acting, serving

TOKEN = "a-token-that-is-long-enough-for-a-test"


class Clock(SystemClock):
    """The clock of the samples; its monotonic side can be turned forward."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def now(self) -> datetime:
        return samples.NOW

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead


def serve(
    facts: samples.Facts,
    environments: tuple[str, ...] = ("dev", "staging", "prod"),
    *,
    clock: Clock | None = None,
    forges: Mapping[str, Forge] | None = None,
    port: int = 0,
    token: str = TOKEN,
    entrance: serving.Entrance | None = None,
    connect: Callable[[str], AbstractAsyncContextManager[Forge]] | None = None,
) -> AbstractAsyncContextManager[serving.WebPage]:
    """The page over hand-made facts."""
    now = clock or Clock()
    return serving.serve_facts(
        facts,
        environments,
        clock=now,
        fleet="fleet",
        port=port,
        token=token,
        deeds=facts,
        hands=acting.Hands(clock=now, people=forges or {}, connect=connect),
        entrance=entrance,
    )


@dataclass(kw_only=True)
class Served:
    """A running page and what is behind it."""

    page: serving.WebPage
    facts: samples.Facts
    clock: Clock
    http: aiohttp.ClientSession
    """Not signed in."""
    sessions: list[aiohttp.ClientSession] = field(default_factory=list)

    @property
    def url(self) -> str:
        return self.page.url

    async def signed_in(self) -> aiohttp.ClientSession:
        """A browser of its own that followed the link."""
        session = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))
        self.sessions.append(session)
        async with session.get(self.page.sign_in_url) as answer:
            assert answer.status == 200
        return session
