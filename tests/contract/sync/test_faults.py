"""Between us and a real server things go wrong: whatever it is, nothing is lost, nothing foreign is touched, and when it
stops the cluster becomes what Git says. PENSTOCK_FAULTS=1000 goes on until so many faults were injected on each cluster."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import json
import os
import random

import aiohttp
import pytest
from tests.contract.sync.conftest import World, config_map

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
    "429 without a time": lambda: said(429, "TooManyRequests"),
    "404 of a path": lambda: Answer(404, b"404 page not found\n"),
    "500 of a leader that changed": lambda: said(500, "", "etcdserver: leader changed"),
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
OTHERS = (
    "drop before",
    "drop after",
    "reset in the middle",
    "cut short",
    "not JSON",
    "delay",
    "stale read",
    "watch 410",
    "watch cut",
    "watch half open",
    "list 410",
    "list token expires",
    "discovery in part",
)
KINDS = (*ANSWERS, *ON_WRITES, *OTHERS)


class Faults:
    """Stands between the client and the connection; `injected` counts what it did."""

    def __init__(self, cluster, kinds, rate: float, seed: int = 1) -> None:
        self.injected = collections.Counter()
        self._earlier: dict[str, bytes] = {}
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
        if not kind or not self._fits(kind, method, path, params or {}):
            async with self._real(method, path, params, body, headers, **options) as response:
                if method == "GET" and (params or {}).get("watch") != "1" and "stale read" in self.kinds:
                    content = await response.read()
                    self._earlier.setdefault(self._asked(path, params), content)
                    yield Answer(response.status, content, dict(response.headers))
                else:
                    yield response
            return
        self.injected[kind] += 1
        if kind in ANSWERS or kind in ON_WRITES:
            yield (ANSWERS.get(kind) or ON_WRITES[kind])()
        elif kind in ("watch 410", "list 410"):
            yield said(410, "Expired")
        elif kind == "drop before":
            raise aiohttp.ServerDisconnectedError
        elif kind == "watch half open":
            # connected, and then nothing
            await asyncio.sleep(1)
            raise TimeoutError
        elif kind == "stale read":
            yield Answer(200, self._earlier[self._asked(path, params)])
        else:
            if kind == "delay":
                await asyncio.sleep(0.05)
            if kind == "list token expires":
                params = {**params, "limit": "1"}
            async with self._real(method, path, params, body, headers, **options) as response:
                if kind == "watch cut":
                    raise aiohttp.ClientPayloadError
                content = await response.read()
                if kind in ("drop after", "reset in the middle"):
                    raise aiohttp.ServerDisconnectedError if kind == "drop after" else ConnectionResetError
                if kind == "cut short":
                    content = content[: len(content) // 2]
                if kind == "list token expires":
                    content = _with_token(content)
                if kind == "discovery in part":
                    content = _in_part(content)
                yield Answer(response.status, b"hello" if kind == "not JSON" else content)

    def _fits(self, kind, method, path, params) -> bool:
        """Whether a fault can happen to this request."""
        watching = params.get("watch") == "1"
        if watching or kind.startswith("watch "):
            return watching and kind.startswith("watch ")
        if kind.startswith("list "):
            return "limit" in params and "continue" not in params
        if kind.startswith("discovery "):
            return path in ("/api", "/apis")
        if kind == "stale read":
            # one object or a list, as they were before; discovery has no earlier state worth the name
            return method == "GET" and self._asked(path, params) in self._earlier and path not in ("/api", "/apis")
        return kind not in ON_WRITES or method in WRITES

    def _asked(self, path, params) -> str:
        return json.dumps([path, sorted((params or {}).items())])


def _with_token(content: bytes) -> bytes:
    """A first page whose next one nobody has any more: the server answers its token with 410."""
    page = json.loads(content)
    if page.get("metadata", {}).get("continue"):
        page["metadata"]["continue"] = "expired"
    return json.dumps(page).encode()


def _in_part(content: bytes) -> bytes:
    """Discovery in which the groups of our own kinds do not answer."""
    document = json.loads(content)
    for item in document.get("items", ()):
        for version in item.get("versions", ()):
            if "fluxcd" in (item.get("metadata") or {}).get("name", ""):
                version["freshness"], version["resources"] = "Stale", []
    return json.dumps(document).encode()


async def story(world, namespaced, kinds, rate: float, seed: int = 1) -> collections.Counter[str]:
    bystander = {"name": "bystander", "namespace": world.namespace}
    await world.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": bystander, "data": {"mine": "yes"}})
    world.repo.commit({f"{name}.yaml": namespaced(name) for name in "abcdef"})
    await world.source()
    await world.kustomization()
    with Faults(world.cluster, kinds, rate, seed) as faults:
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


async def test_every_kind_of_fault_at_once(cluster, tmp_path, record_property):
    wanted = int(os.environ.get("PENSTOCK_FAULTS", "60"))
    injected: collections.Counter[str] = collections.Counter()
    for seed in range(1, 1000):
        world = World(cluster, tmp_path / f"{seed}")
        await world.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": world.namespace}})
        try:
            injected += await story(
                world, lambda *about, in_=world.namespace: config_map(about[0], in_, *about[1:]), KINDS, 0.3, seed
            )
        finally:
            await world.kill()
        if sum(injected.values()) >= wanted:
            break
    record_property("faults", dict(injected))
    assert sum(injected.values()) >= wanted
    if wanted >= 500:
        assert len(injected) >= 20, injected
