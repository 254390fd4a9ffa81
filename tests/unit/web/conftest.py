"""A page served over hand-made facts."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest
import web_samples as samples
import web_served
from web_served import Clock, Served

from penstock.ports.forge import Forge


@pytest.fixture
def facts() -> samples.Facts:
    return samples.Facts()


@pytest.fixture
def people() -> dict[str, Forge]:
    """As whom one can act on the page."""
    return {}


@pytest.fixture
async def served(facts: samples.Facts, people: dict[str, Forge]) -> AsyncIterator[Served]:
    clock = Clock()
    async with (
        web_served.serve(facts, clock=clock, forges=people) as page,
        aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http,
    ):
        result = Served(page=page, facts=facts, clock=clock, http=http)
        try:
            yield result
        finally:
            for session in result.sessions:
                await session.close()
