"""Requests from anybody: which of them make somebody look, and what the others cost."""

from __future__ import annotations

import asyncio
import gzip
import hmac
import json
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from penstock.adapters.forge.webhooks import Event
from penstock.controllers import hooks, receiving
from penstock.controllers.hooks import Hook, Hooks, Kind

SECRET = "the secret"
PATH = "/hook/" + "a" * 64
BODY = json.dumps({"ref": "refs/heads/main", "after": "1" * 40, "repository": {"full_name": "o/r"}}).encode()


def digest(body: bytes, secret: str = SECRET, algorithm: str = "sha256") -> str:
    return hmac.new(secret.encode(), body, algorithm).hexdigest()


def signed(kind: Kind, body: bytes = BODY, secret: str = SECRET) -> dict[str, str]:
    return {
        "github": {"X-Hub-Signature-256": f"sha256={digest(body, secret)}", "X-GitHub-Event": "push"},
        "gitlab": {"X-Gitlab-Token": secret, "X-Gitlab-Event": "Push Hook"},
        "gitea": {"X-Gitea-Signature": digest(body, secret), "X-Gitea-Event": "push"},
        "generic": {"X-Signature": f"sha256={digest(body, secret)}"},
        "bitbucket": {"X-Hub-Signature": f"sha256={digest(body, secret)}", "X-Event-Key": "repo:refs_changed"},
        "harbor": {"Authorization": secret},
        "nexus": {"X-Nexus-Webhook-Signature": digest(body, secret, "sha1")},
        "open": {},
    }[kind]


KINDS: tuple[Kind, ...] = ("github", "gitlab", "gitea", "generic", "bitbucket", "harbor", "nexus")


class Called:
    """A hook that counts what it was told."""

    def __init__(self, kind: Kind = "github", **more: object) -> None:
        self.events: list[Event] = []
        self.hooks = Hooks()
        self.hooks.put(PATH, Hook(kind=kind, secret=SECRET, deliver=self.events.append, **more))  # type: ignore[arg-type]

    async def receive(self, headers: dict[str, str], body: bytes = BODY, path: str = PATH) -> int:
        return await self.hooks.receive(path, {name.lower(): (value,) for name, value in headers.items()}, body)


@asynccontextmanager
async def served(called: Called, **options: float) -> AsyncIterator[tuple[str, aiohttp.ClientSession]]:
    async with hooks.serve(called.hooks, **options) as url, aiohttp.ClientSession() as client:  # type: ignore[arg-type]
        yield url, client


@pytest.mark.parametrize("kind", [*KINDS, "open"])
async def test_a_genuine_request_of_every_kind_is_delivered_once(kind: Kind) -> None:
    called = Called(kind)
    async with served(called) as (url, client), client.post(url + PATH, data=BODY, headers=signed(kind)) as answer:
        assert (answer.status, await answer.text()) == (202, "accepted\n")
    assert [event.ref for event in called.events] == ["refs/heads/main"]


@pytest.mark.parametrize("kind", KINDS)
async def test_whoever_does_not_know_the_secret_gets_the_answer_of_a_path_that_is_none(kind: Kind) -> None:
    called = Called(kind)
    good = signed(kind)
    name = next(iter(good))
    attempts = [
        {},
        {**good, name: ""},
        {**good, name: good[name][:-1]},
        {**good, name: good[name] + "0"},
        {**good, name: "sha256="},
        {**good, name: "sha1=" + digest(BODY, algorithm="sha1") if kind not in ("nexus",) else digest(BODY)},
        {**good, name: "md5=" + digest(BODY, algorithm="md5")},
        signed(kind, secret="another"),
        signed(kind, secret=""),
    ]
    if kind not in ("gitlab", "harbor"):
        attempts.append(signed(kind, BODY + b" "))
    async with served(called) as (url, client):
        answers = set()
        for headers in attempts:
            async with client.post(url + PATH, data=BODY, headers=headers) as answer:
                answers.add((answer.status, await answer.text(), answer.headers.get("Content-Type")))
        for path in ("/hook/" + "b" * 64, "/", "/hook", PATH + "/", PATH.upper(), "//hook/x", PATH + "?x=1/../.."):
            async with client.post(url + path, data=BODY, headers=signed(kind, secret="another")) as answer:
                answers.add((answer.status, await answer.text(), answer.headers.get("Content-Type")))
    assert answers == {(403, "refused\n", "text/plain; charset=utf-8")}
    assert not called.events


async def test_a_proof_given_twice_proves_nothing() -> None:
    called = Called("github")
    headers = {name.lower(): (value,) for name, value in signed("github").items()}
    for name in ("x-hub-signature-256", "x-github-event", "x-gitea-event"):
        doubled = {**headers, name: ("sha256=0", *headers.get(name, ("push",)))}
        assert await called.hooks.receive(PATH, doubled, BODY) == 403
        assert await called.hooks.receive(PATH, {**doubled, name: doubled[name][::-1]}, BODY) == 403
    assert not called.events


async def test_no_secret_is_no_way_in() -> None:
    called = Called()
    called.hooks.put(PATH, Hook(kind="github", secret="", deliver=called.events.append))
    assert await called.receive(signed("github", secret="")) == 403
    assert not called.events


async def test_the_same_delivery_again_is_answered_alike_and_does_nothing() -> None:
    called = Called()
    headers = {**signed("github"), "X-GitHub-Delivery": "one"}
    assert [await called.receive(headers) for _ in range(3)] == [202, 202, 202]
    assert len(called.events) == 1
    assert await called.receive({**headers, "X-GitHub-Delivery": "two"}) == 202
    assert len(called.events) == 2


@pytest.mark.parametrize("kind", [*KINDS, "open"])
@pytest.mark.parametrize(
    "body",
    [b"", b"x", b"[]", b"null", b"7", b'"x"', b"{", b'{"a":}', b"\xff\xfe", b"[" * 100_000, b'{"a":' * 100_000, b"{} {}"],
    ids=lambda body: repr(body[:8]),
)
async def test_what_is_not_an_object_is_refused_and_nothing_breaks(kind: Kind, body: bytes) -> None:
    called = Called(kind)
    wanted = 202 if kind == "open" and not body else 400
    assert await called.receive(signed(kind, body), body) == wanted
    assert len(called.events) == (wanted == 202)


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"repository": None},
        {"repository": []},
        {"repository": {"full_name": 7}},
        {"ref": {"x": 1}, "after": [], "commits": "x"},
        {"commits": [{"id": "x" * 40}] * 10_000},
        {"pull_request": None, "number": "7"},
        {"project": [{}], "object_attributes": 1, "merge_request": True},
    ],
    ids=lambda payload: ",".join(payload) or "empty",
)
async def test_a_genuine_object_of_any_shape_is_only_a_poke(payload: dict[str, object]) -> None:
    called = Called()
    body = json.dumps(payload).encode()
    assert await called.receive(signed("github", body), body) == 202
    assert len(called.events) == 1


async def test_a_form_is_read_as_the_forge_sends_it() -> None:
    from urllib.parse import urlencode

    called = Called()
    body = urlencode({"payload": BODY.decode()}).encode()
    headers = {**signed("github", body), "Content-Type": "application/x-www-form-urlencoded"}
    assert await called.receive(headers, body) == 202
    assert called.events[0].after == "1" * 40


async def test_only_the_events_asked_for_are_delivered() -> None:
    called = Called(events=("Push", "ping"))
    assert await called.receive({**signed("github"), "X-GitHub-Event": "push"}) == 202
    assert await called.receive({**signed("github"), "X-GitHub-Event": "issues"}) == 202
    assert len(called.events) == 1


async def test_a_secret_that_was_exchanged_no_longer_opens() -> None:
    now: list[str | None] = [SECRET]

    async def current() -> str | None:
        return now[0]

    called = Called(current=current)
    assert await called.receive(signed("github")) == 202
    now[0] = "another"
    assert await called.receive(signed("github")) == 403
    now[0] = None  # the cluster does not answer: what was known counts
    assert await called.receive(signed("github")) == 202


async def test_a_body_past_the_limit_is_refused_before_it_is_read() -> None:
    called = Called()
    async with served(called, largest_bytes=1 << 20) as (url, client):
        async with client.post(url + PATH, data=b"x" * (1 << 20), headers=signed("github")) as answer:
            assert answer.status == 403, "at the limit it is read and judged"
        with_length = await raw(url, b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 1073741824\r\n\r\n" % PATH.encode())
        assert with_length.startswith(b"HTTP/1.1 413")


async def test_an_endless_body_ends_at_the_limit_and_memory_stays_flat() -> None:
    called = Called()
    async with served(called, largest_bytes=1 << 20) as (url, _):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        reader, writer = await connected(url)
        writer.write(b"POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" % PATH.encode())
        block = b"10000\r\n" + b"x" * 65536 + b"\r\n"
        sent = 0
        with pytest.raises((ConnectionError, BrokenPipeError)):
            while sent < 1 << 30:
                writer.write(block)
                sent += 65536
                await writer.drain()
        writer.close()
        assert sent < 64 << 20
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 * 1024, "KiB"
        reader.feed_eof()
    assert not called.events


@pytest.mark.parametrize("part", ["headers", "body", "chunks", "nothing"])
async def test_who_sends_too_slowly_is_let_go(part: str) -> None:
    called = Called()
    async with served(called, seconds=0.3) as (url, _):
        head = b"POST %s HTTP/1.1\r\nHost: x\r\n" % PATH.encode()
        text = {
            "headers": head + b"X-A: ",
            "body": head + b"Content-Length: 100\r\n\r\n{",
            "chunks": head + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{",
            "nothing": b"",
        }[part]
        answer = await raw(url, text)
        assert answer.startswith(b"HTTP/1.1 408") or (part in ("headers", "nothing") and answer == b"")


async def test_a_compressed_body_is_refused_unread() -> None:
    bomb = gzip.compress(b"0" * (64 << 20))
    called = Called()
    async with served(called) as (url, client):
        headers = {**signed("github", bomb), "Content-Encoding": "gzip"}
        async with client.post(url + PATH, data=bomb, headers=headers) as answer:
            assert answer.status == 415


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS", "PATCH"])
async def test_only_post_is_answered(method: str) -> None:
    async with served(Called()) as (url, client), client.request(method, url + PATH) as answer:
        assert answer.status == 405


async def test_garbage_on_the_line_ends_that_connection_only() -> None:
    called = Called()
    async with served(called, seconds=0.5) as (url, client):
        for text in (b"\x16\x03\x01\x02\x00", b"GARBAGE\r\n\r\n", b"POST / HTTP/9.9\r\n\r\n", b"\r\n" * 1000, b"A" * 100_000):
            await raw(url, text)
        async with client.post(url + PATH, data=BODY, headers=signed("github")) as answer:
            assert answer.status == 202


async def test_a_flood_is_answered_and_stays_a_poke() -> None:
    """What is delivered only sets a flag; many at once cost one look, and nobody is locked out by them."""
    called = Called()
    async with served(called) as (url, client):

        async def one(number: int) -> int:
            headers = {**signed("github"), "X-GitHub-Delivery": str(number % 50)}
            async with client.post(url + PATH, data=BODY, headers=headers) as answer:
                return answer.status

        assert set(await asyncio.gather(*(one(number) for number in range(400)))) == {202}
    assert len(called.events) == 50


def test_the_path_is_fluxs() -> None:
    # sha256 of "tokennamenamespace"
    import hashlib

    assert receiving.webhook_path("token", "name", "namespace") == "/hook/" + hashlib.sha256(b"tokennamenamespace").hexdigest()


async def connected(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, port = url.removeprefix("http://").split(":")
    return await asyncio.open_connection(host, int(port))


async def raw(url: str, text: bytes) -> bytes:
    """What comes back until the other side closes."""
    reader, writer = await connected(url)
    try:
        writer.write(text)
        async with asyncio.timeout(10):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()
