"""Gates that ask: an endpoint and a metric are asked while the pull request is open, and decide with everything else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from promotion_fleet import Fleet

from penstock.adapters import outbound
from penstock.controllers.promotion import Controller

PIPELINE = """\
apiVersion: penstock.dev/v1alpha1
kind: Pipeline
spec:
  environments:
  - name: dev
  - name: staging
    promoteFrom: [dev]
    gates:
      http:
      - {{name: smoke, url: "http://{host}:{port}/ready?app=${{app}}&at=${{commit}}", contains: fine}}
      prometheus:
      - {{name: errors, address: "http://{host}:{port}", query: 'errors{{app="${{app}}"}}', below: 0.01}}
"""


@dataclass
class Monitor:
    """An endpoint and a Prometheus on loopback, which say what a scenario wants."""

    port: int = 0
    ready: int = 200
    errors: str = "0.001"
    asked: list[str] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.Response:
        self.asked.append(f"{request.path} {' '.join(request.query.values())}")
        if request.path == "/ready":
            return web.Response(status=self.ready, text="all fine")
        result: list[Any] = [{"metric": {}, "value": [0, self.errors]}] if self.errors else []
        return web.json_response({"status": "success", "data": {"resultType": "vector", "result": result}})


@pytest.fixture
async def monitor() -> AsyncIterator[Monitor]:
    made = Monitor()
    app = web.Application()
    app.router.add_get("/{path:.*}", made.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.port = int(runner.addresses[0][1])
    yield made
    await runner.cleanup()


def controller(fleet: Fleet, asking: outbound.Outbound) -> Controller:
    return Controller(
        repo=fleet.mirror,
        forge=fleet.forges["penstock"],
        clusters=fleet.clusters,
        clock=fleet.clock,
        outbound=asking,
        tell=fleet.done.append,
    )


async def opened(fleet: Fleet, monitor: Monitor, asking: outbound.Outbound) -> Controller:
    await fleet.commit("checks", {"penstock.yaml": PIPELINE.format(host="127.0.0.1", port=monitor.port)})
    await fleet.raise_timeout()
    await fleet.syncs("dev")
    running = controller(fleet, asking)
    await fleet.settle(running)
    await fleet.approve(await fleet.the_pull())
    return running


async def test_it_is_merged_once_the_endpoint_and_the_metric_say_yes(fleet: Fleet, monitor: Monitor) -> None:
    monitor.ready, monitor.errors = 503, "0.2"
    async with outbound.connect(["127.0.0.1"]) as asking:
        running = await opened(fleet, monitor, asking)
        await fleet.settle(running)
        body = (await fleet.the_pull()).body
        assert "✖ smoke answered 503" in body and "✖ errors is 0.2, not below 0.01" in body
        statuses = {one.context: one.state for one in await fleet.forges["penstock"].statuses((await fleet.the_pull()).head_sha)}
        assert (statuses["penstock/check smoke"], statuses["penstock/check errors"]) == ("failure", "failure")
        before = len(monitor.asked)
        await fleet.settle(running)
        assert len(monitor.asked) == before, "not again within half a minute"
        monitor.ready, monitor.errors = 200, "0.001"
        fleet.clock.turn(seconds=31)
        assert "merge web -> staging" in await fleet.settle(running)
    assert any(path.startswith("/ready web ") for path in monitor.asked)
    assert '/api/v1/query errors{app="web"}' in monitor.asked


async def test_what_may_not_be_asked_holds_the_promotion_and_says_why(fleet: Fleet, monitor: Monitor) -> None:
    """Whoever writes to the repository cannot make Penstock look inside: the fleet file allows nothing here."""
    async with outbound.connect([]) as asking:
        running = await opened(fleet, monitor, asking)
        await fleet.settle(running)
        assert "127.0.0.1 may not be asked; the fleet file's outbound.allow lists what may" in (await fleet.the_pull()).body
    assert monitor.asked == []


async def test_a_check_that_no_server_answers_waits(fleet: Fleet, monitor: Monitor) -> None:
    monitor.errors = ""
    async with outbound.connect(["127.0.0.1"]) as asking:
        running = await opened(fleet, monitor, asking)
        await fleet.settle(running)
        assert "errors has no data yet" in (await fleet.the_pull()).body
