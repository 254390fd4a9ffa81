"""A web server that answers as written down, and remembers what it was asked."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web


@dataclass
class Scripted:
    """Answers by 'METHOD path': each list is used up in order, its last answer stays."""

    url: str = ""
    answers: dict[str, list[Any]] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)
    """'METHOD path', query, body."""
    headers: list[dict[str, str]] = field(default_factory=list)

    def on(self, request: str, *answers: Any) -> None:
        """An answer is a body, or (status, body), or (status, body, headers)."""
        self.answers[request] = list(answers)

    def bodies(self, request: str) -> list[Any]:
        return [body for name, _, body in self.asked if name == request]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        name = f"{request.method} {request.rel_url.raw_path}"
        text = await request.text()
        self.asked.append((name, dict(request.query), json.loads(text) if text else None))
        self.headers.append(dict(request.headers))
        waiting = self.answers.get(name)
        if not waiting:
            return web.json_response({"message": f"nothing is written down for {name}"}, status=404)
        answer = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        status, body, headers = (*answer, {})[:3] if isinstance(answer, tuple) else (200, answer, {})
        if body == "DROP":
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if isinstance(body, bytes):
            return web.Response(status=status, body=body, headers=headers)
        return web.json_response(body, status=status, headers=headers)


@pytest.fixture
async def scripted() -> AsyncIterator[Scripted]:
    made = Scripted()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield made
    finally:
        await runner.cleanup()
