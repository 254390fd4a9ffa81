"""A real browser, pages over hand-made facts, and the page of a whole sandbox fleet."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import browsing
import pytest
import web_samples as samples
import web_served
from playwright.async_api import Browser, async_playwright
from web_served import TOKEN

from penstock.app import fleet, sandbox
from penstock.web import serving

CHROMIUM = Path("/usr/bin/chromium")
_FLAGS = """
    --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
    --disable-component-update --disable-sync
"""


@pytest.fixture
async def chromium() -> AsyncIterator[Browser]:
    """The Chromium of this machine."""
    if not CHROMIUM.exists():
        pytest.skip(f"NOT RUN in a browser: there is no {CHROMIUM} (apt-get install chromium)")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=_FLAGS.split())
        try:
            yield browser
        finally:
            await browser.close()


@pytest.fixture
def facts() -> samples.Facts:
    return samples.Facts()


@pytest.fixture
async def page(facts: samples.Facts) -> AsyncIterator[serving.WebPage]:
    """A page over hand-made facts."""
    async with web_served.serve(facts) as served:
        yield served


@pytest.fixture
async def whole(tmp_path: Path) -> AsyncIterator[browsing.Whole]:
    """A sandbox fleet and its page, the reviewer at the keyboard."""
    async with fleet.sandbox(tmp_path / "state", sandbox.Options(rollout_seconds=0.2)) as running:
        reviewer = {sandbox.REVIEWER: running.people[sandbox.REVIEWER]}
        async with serving.serve(running.world, port=0, token=TOKEN, forges=reviewer) as served:
            yield browsing.Whole(running=running, page=served, folder=tmp_path)
