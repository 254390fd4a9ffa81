"""Somebody at a browser who notices everything that goes wrong, and a developer who pushes."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Page
from web_served import TOKEN, Clock

from penstock.app import fleet, sandbox
from penstock.web import serving

PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 800}
PAGES = ("/", "/app/web", "/promotion/14", "/environment/dev", "/log/dev")


@asynccontextmanager
async def visit(
    chromium: Browser, page: serving.WebPage, *, size: Any = DESK, now: Any = None, refused: bool = False, **options: Any
) -> AsyncIterator[Page]:
    """Sign in by the link. At the end nothing may stand in the console, and nothing may have been fetched elsewhere;
    with `refused`, the browser may note that answers were refusals."""
    context = await chromium.new_context(viewport=size, **options)
    tab = await context.new_page()
    if now is not None:
        await tab.clock.set_fixed_time(now)
    said: list[str] = []
    asked: list[str] = []
    tab.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
    tab.on("pageerror", lambda error: said.append(f"error: {error}"))
    tab.on("dialog", lambda dialog: said.append(f"dialog: {dialog.message}"))
    tab.on("request", lambda request: asked.append(request.url))
    await tab.goto(page.sign_in_url)
    try:
        yield tab
        assert [line for line in said if not (refused and "responded with a status of 4" in line)] == []
        assert [url for url in asked if not url.startswith(f"{page.url}/")] == []
    finally:
        await context.close()


@dataclass(kw_only=True)
class Whole:
    """A whole fleet and its page."""

    running: fleet.RunningSandbox
    page: serving.WebPage
    folder: Path

    async def push(self, edits: dict[str, tuple[str, str]], subject: str) -> str:
        """Commit as the developer, with the ordinary git client: path -> (pattern, replacement); the commit."""
        login = self.running.box.login(sandbox.DEVELOPER)
        clone = self.folder / f"clone-{len(list(self.folder.iterdir()))}"
        await sandbox.git_command("clone", "--quiet", self.running.box.repository_url, str(clone), login=login)
        for path, (pattern, replacement) in edits.items():
            text, count = re.subn(pattern, replacement, (clone / path).read_text(), count=1)
            assert count == 1, (path, pattern)
            (clone / path).write_text(text)
        author = ["-c", "user.name=Dana <b>Developer</b>", "-c", "user.email=dana@shop.example"]
        await sandbox.git_command("-C", str(clone), *author, "commit", "--quiet", "--all", "--message", subject)
        await sandbox.git_command("-C", str(clone), "push", "--quiet", "origin", "HEAD", login=login)
        return (await sandbox.git_command("-C", str(clone), "rev-parse", "HEAD")).strip()

    async def write(self, files: dict[str, str], subject: str) -> str:
        """Commit whole files as the developer; the commit."""
        login = self.running.box.login(sandbox.DEVELOPER)
        clone = self.folder / f"clone-{len(list(self.folder.iterdir()))}"
        await sandbox.git_command("clone", "--quiet", self.running.box.repository_url, str(clone), login=login)
        for path, text in files.items():
            (clone / path).write_text(text)
        await sandbox.git_command("-C", str(clone), "add", "--all")
        author = ["-c", "user.name=Dana Developer", "-c", "user.email=dana@shop.example"]
        await sandbox.git_command("-C", str(clone), *author, "commit", "--quiet", "--message", subject)
        await sandbox.git_command("-C", str(clone), "push", "--quiet", "origin", "HEAD", login=login)
        return (await sandbox.git_command("-C", str(clone), "rev-parse", "HEAD")).strip()


__all__ = ["DESK", "PAGES", "PHONE", "TOKEN", "Clock", "Whole", "visit"]
