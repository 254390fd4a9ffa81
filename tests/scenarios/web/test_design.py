"""Every page in both themes, on a desk and on a phone: axe finds nothing serious, nothing is cut off; and pictures for the docs.

The pictures are written only when asked for, by `make screenshots`; a test run leaves the tree as it was.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, cast

import browsing
import pytest
import web_samples as samples
import web_served
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page

from penstock.ports.forge import Forge

PICTURES = os.environ.get("PENSTOCK_SCREENSHOTS", "")
"""The folder they go to; '' for none."""
IN_THE_DOCS = ("board-desk-light", "board-phone-dark", "promotion-desk-light", "app-desk-dark", "log-desk-light")
VIEWS: dict[str, str] = {
    "board": "/",
    "app": "/app/web",
    "promotion": "/promotion/14",
    "environment": "/environment/dev",
    "log": "/log/dev",
    "sessions": "/sessions",
    "not-there": "/nowhere",
}
SIZES: dict[str, Any] = {"desk": browsing.DESK, "phone": browsing.PHONE}


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
async def test_every_page_is_fit_for_everybody(chromium: Browser, facts: samples.Facts, theme: Any, size: str) -> None:
    facts.promoted = samples.promotion(rows=(*samples.promotion().rows, *samples.long_rows()))
    wrong: list[str] = []
    reviewer = {"reviewer": cast("Forge", None)}  # Nothing is pressed here.
    async with (
        web_served.serve(facts, forges=reviewer) as page,
        browsing.visit(
            chromium, page, size=SIZES[size], now=samples.NOW, refused=True, color_scheme=theme, reduced_motion="reduce"
        ) as tab,
    ):
        for name, path in VIEWS.items():
            await tab.goto(page.url + path)
            await tab.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
            wrong += [f"{name} {found}" for found in await serious(tab)]
            width, room = await tab.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
            wrong += [f"{name} is {width} wide, of {room}"] if width > room else []
            await picture(tab, f"{name}-{size}-{theme}")
        await tab.context.clear_cookies()
        await tab.goto(f"{page.url}/sign-in")
        wrong += [f"sign-in {found}" for found in await serious(tab)]
        await picture(tab, f"sign-in-{size}-{theme}")
    assert wrong == []


async def serious(tab: Page) -> list[str]:
    """What axe calls serious or critical, with the first element each is about."""
    found = await Axe().run(tab)
    return [
        f"{one['id']} {one['nodes'][0]['target']} {one['nodes'][0]['failureSummary']}"
        for one in found.response["violations"]
        if one["impact"] in ("serious", "critical")
    ]


async def picture(tab: Page, name: str) -> None:
    data = await tab.screenshot(full_page=True, animations="disabled")
    assert data.startswith(b"\x89PNG")
    if PICTURES and name in IN_THE_DOCS:
        (Path(PICTURES) / f"{name}.png").write_bytes(data)
