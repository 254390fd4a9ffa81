"""Between us and a real server things go wrong: whatever it is, nothing is lost, nothing foreign is touched, and when it
stops the cluster becomes what Git says."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random

import aiohttp
import pytest

from penstock.model import flux

WRITES = ("PATCH", "POST", "DELETE", "PUT")


class Answer:
    """An answer that the server did not give."""

    def __init__(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.status = status
        self.headers = headers or {}
        self._content = content

    async def read(self) -> bytes:
        return self._content


def said(status: int, reason: str, message: str = "injected", **headers: str) -> Answer:
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": status, "reason": reason, "message": message}
    return Answer(status, json.dumps(body).encode(), headers)


ANSWERS = {
    "429": lambda: said(429, "TooManyRequests", **{"Retry-After": "1"}),
    "500": lambda: said(500, "InternalError"),
    "500 of etcd": lambda: said(500, "", "etcdserver: request timed out"),
    "503": lambda: said(503, "ServiceUnavailable"),
    "504": lambda: said(504, "Timeout"),
    "502 of a proxy": lambda: Answer(502, b"<html>bad gateway</html>"),
    "401": lambda: said(401, "Unauthorized"),
    "403": lambda: said(403, "Forbidden"),
    "403 of a namespace that goes": lambda: said(403, "Forbidden", "unable to create: it is being terminated"),
    "400 of a webhook": lambda: said(400, "BadRequest", 'failed calling webhook "x": timeout'),
}
ON_WRITES = {
    "409": lambda: said(409, "Conflict"),
    "422": lambda: said(422, "Invalid"),
}
OTHERS = ("drop before", "drop after", "cut short", "not JSON", "delay", "watch 410", "watch cut", "list 410")
KINDS = (*ANSWERS, *ON_WRITES, *OTHERS)


class Faults:
    """Stands between the client and the connection; `injected` counts what it did."""

    def __init__(self, cluster, kinds, rate: float, seed: int = 1) -> None:
        self.injected = 0
        self.kinds = kinds
        self._dice = random.Random(seed)
        self._rate = rate
        self._transport = cluster._transport
        self._real = self._transport._open

    def __enter__(self):
        self._transport._open = self._open
        return self

    def __exit__(self, *_):
        self._transport._open = self._real

    @contextlib.asynccontextmanager
    async def _open(self, method, path, params, body, headers, **options):
        kind = self._dice.choice(self.kinds) if self._dice.random() < self._rate else ""
        watching = (params or {}).get("watch") == "1"
        continued = "limit" in (params or {}) and not watching
        fits = kind and (
            (kind.startswith("watch ") and watching)
            or (kind == "list 410" and continued)
            or (not watching and not kind.startswith(("watch ", "list ")) and (kind not in ON_WRITES or method in WRITES))
        )
        if not fits:
            async with self._real(method, path, params, body, headers, **options) as response:
                yield response
            return
        self.injected += 1
        if kind in ANSWERS or kind in ON_WRITES:
            yield (ANSWERS.get(kind) or ON_WRITES[kind])()
        elif kind in ("watch 410", "list 410"):
            yield said(410, "Expired")
        elif kind == "drop before":
            raise aiohttp.ServerDisconnectedError
        else:
            if kind == "delay":
                await asyncio.sleep(0.05)
            async with self._real(method, path, params, body, headers, **options) as response:
                if kind == "watch cut":
                    raise aiohttp.ClientPayloadError
                content = await response.read()
                if kind == "drop after":
                    raise aiohttp.ServerDisconnectedError
                if kind == "cut short":
                    content = content[: len(content) // 2]
                yield Answer(response.status, b"hello" if kind == "not JSON" else content)


async def story(world, namespaced, kinds, rate: float) -> int:
    bystander = {"name": "bystander", "namespace": world.namespace}
    await world.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": bystander, "data": {"mine": "yes"}})
    world.repo.commit({f"{name}.yaml": namespaced(name) for name in "abcdef"})
    await world.source()
    await world.kustomization()
    with Faults(world.cluster, kinds, rate) as faults:
        await world.start(seconds=60)
        for round_ in range(3):
            world.push({"b.yaml": namespaced("b", f"{round_}"), f"new{round_}.yaml": namespaced(f"new{round_}")})
            # time for the faults to happen in: what is waited for comes after them
            await asyncio.sleep(0.4)
        world.push({"a.yaml": None, "new0.yaml": None})
        await asyncio.sleep(0.4)
    last = world.push({"b.yaml": namespaced("b", "last")})
    status = await world.until_applied(last, seconds=60)
    await world.settled()
    wanted = {"b", "c", "d", "e", "f", "new1", "new2"}
    kind = await world.cluster.resource("", "ConfigMap")
    owned = await world.cluster.list(kind, world.namespace, label_selector=flux.OWNER_NAME)
    assert {item["metadata"]["name"] for item in owned.items} == wanted
    assert {entry["id"].split("_")[1] for entry in status["inventory"]["entries"]} == wanted
    assert (await world.get("ConfigMap", "b"))["data"] == {"k": "last"}
    assert (await world.get("ConfigMap", "bystander"))["data"] == {"mine": "yes"}
    return faults.injected


@pytest.mark.parametrize("cluster", ["sandbox"], indirect=True)
@pytest.mark.parametrize("kind", KINDS)
async def test_one_kind_of_fault(world, namespaced, kind):
    """Each kind alone on the sandbox; all together on the real server too."""
    await story(world, namespaced, (kind,), 0.3)


async def test_every_kind_of_fault_at_once(world, namespaced):
    injected = await story(world, namespaced, KINDS, 0.3)
    assert injected >= 10
