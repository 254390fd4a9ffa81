"""The board of 500 apps in 5 environments in a real Chromium: first paint, a live update, the server's CPU and memory.

The page is served by a process of its own over hand-made facts, so that its memory is its own. Bars on 2 cores: first paint
within 1 s, an update within 0.2 s of the change, 150 MB.

usage: web.py [RUNS]
"""

from __future__ import annotations

import asyncio
import os
import resource
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from penstock.adapters.clock import SystemClock
from penstock.model.people import Grant
from penstock.web import acting, insides, serving, views

APPS, ENVIRONMENTS = 500, ("dev", "test", "staging", "preprod", "prod")
CHROMIUM = Path("/usr/bin/chromium")
_FLAGS = """
    --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
    --disable-component-update --disable-sync
"""
_TOKEN = "a-token-that-is-long-enough-for-a-benchmark"


class Facts:
    """A board whose first app changes whenever it is told to."""

    def __init__(self) -> None:
        now = datetime.now(UTC)
        commit = views.Commit(id="4be1c02a7f0d4c8e9b1a2c3d4e5f60718293a4b5", subject="raise checkout timeout", when=now)
        waits = (
            views.Gate(mark="moving", text="soak 11 min of 30 min", until=now + timedelta(minutes=19)),
            views.Gate(mark="person", text="0 of 1 approval from team web"),
        )
        live = views.Cell(environment="", mark="live", words="healthy", commit=commit, since=now)
        moving = views.Cell(
            environment="", mark="person", words="PR #14 open", commit=commit, pull=views.PullLink(number=14), waits=waits
        )
        self.changes = 0
        self.lines = tuple(
            views.Line(
                app=f"app-{number:03}",
                cells=tuple(
                    replace(moving if (number + at) % 10 == 0 else live, environment=env) for at, env in enumerate(ENVIRONMENTS)
                ),
            )
            for number in range(APPS)
        )
        self.heads = tuple(views.Head(name=env, mark="live", words="ready", commit=commit, since=now) for env in ENVIRONMENTS)
        self.tip = commit

    async def grants(self) -> Sequence[Grant]:
        return ()

    async def board(self) -> views.Board:
        first = self.lines[0]
        cell = replace(first.cells[0], words=f"change {self.changes}")
        lines = (replace(first, cells=(cell, *first.cells[1:])), *self.lines[1:])
        return views.Board(fleet="fleet", branch="main", tip=self.tip, heads=self.heads, lines=lines)

    async def app(self, name: str) -> views.AppPage:
        raise NotImplementedError

    async def promotion(self, number: int) -> views.PromotionPage:
        raise NotImplementedError

    async def environment(self, name: str) -> insides.EnvironmentPage:
        raise NotImplementedError

    async def log(self, name: str) -> insides.LogPage:
        raise NotImplementedError

    async def decide(self, name: str, target: str, stamp: str, choices: Mapping[str, acting.Side], by: str) -> None:
        raise NotImplementedError


async def serve() -> None:
    """Print the link; change once for every line that comes in, answer each with CPU seconds and the most memory so far."""
    clock, facts = SystemClock(), Facts()
    hands = acting.Hands(clock=clock)
    async with serving.serve_facts(
        facts,
        ENVIRONMENTS,
        clock=clock,
        fleet="fleet",
        port=0,
        token=_TOKEN,
        deeds=facts,
        hands=hands,  # type: ignore[arg-type]
    ) as page:
        print(page.sign_in_url, flush=True)
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            if line.strip() == b"change":
                facts.changes += 1
                page.poke()
            used = resource.getrusage(resource.RUSAGE_SELF)
            print(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, flush=True)


async def measure(runs: int) -> None:
    from playwright.async_api import async_playwright

    server = await asyncio.create_subprocess_exec(
        sys.executable, __file__, "serve", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert server.stdin is not None and server.stdout is not None
    link = (await server.stdout.readline()).decode().strip()
    page = link.partition("/sign-in")[0]

    async def tell(word: bytes) -> tuple[float, float]:
        assert server.stdin is not None and server.stdout is not None
        server.stdin.write(word + b"\n")
        cpu, memory = (await server.stdout.readline()).split()
        return float(cpu), float(memory)

    paints: list[float] = []
    updates: list[float] = []
    costs: list[float] = []
    async with async_playwright() as playwright:
        options = {"executable_path": CHROMIUM} if CHROMIUM.exists() else {}
        browser = await playwright.chromium.launch(args=_FLAGS.split(), **options)  # type: ignore[arg-type]
        tab = await (await browser.new_context(viewport={"width": 1280, "height": 800})).new_page()
        await tab.goto(link)
        size = await tab.evaluate("async () => (await (await fetch('/')).text()).length")
        for _ in range(runs):
            before, _memory = await tell(b"")
            await tab.goto(page)
            paints.append(await tab.evaluate("performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? NaN"))
            costs.append((await tell(b""))[0] - before)
            await tab.wait_for_function("document.getElementById('connection').dataset.state === 'live'")
            cell = "document.querySelector('tr[data-name=\"app-000\"] td').textContent"
            shown = await tab.evaluate(cell)
            changed = tab.evaluate(
                f"was => new Promise(done => new MutationObserver(() => {cell} !== was && done())"
                ".observe(document.querySelector('tbody'), {childList: true, subtree: true, characterData: true}))",
                shown,
            )
            waiting = asyncio.ensure_future(changed)
            await asyncio.sleep(1.2)  # Past the second in which what is known counts as new.
            began = time.perf_counter()
            await tell(b"change")
            await waiting
            updates.append((time.perf_counter() - began) * 1000)
        await browser.close()
    _, memory = await tell(b"")
    server.stdin.close()
    await server.wait()
    load = os.getloadavg()[0]
    print(f"{APPS} apps x {len(ENVIRONMENTS)} environments, {runs} runs, load {load:.1f} on {os.cpu_count()} cores")
    print(f"  first paint      median {statistics.median(paints):6.0f} ms, best {min(paints):6.0f} ms   (bar 1000 ms)")
    print(f"  live update      median {statistics.median(updates):6.0f} ms, best {min(updates):6.0f} ms   (bar 200 ms)")
    print(f"  server's CPU     {statistics.median(costs) * 1000:.0f} ms for a page of {size / 1000:.0f} kB")
    print(f"  server's memory  {memory:.0f} MB   (bar 150 MB)")


if __name__ == "__main__":
    asyncio.run(serve() if sys.argv[1:] == ["serve"] else measure(int(sys.argv[1]) if sys.argv[1:] else 7))
