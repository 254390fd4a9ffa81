"""Messages on the wire, to real receivers on loopback: HTTP, SMTP, and what only looks like the public internet."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from email import message_from_bytes, policy

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from penstock.adapters.notify import Target, dialing, sending
from penstock.model.errors import RefusedError, TransientError
from penstock.notify import deciding, facts

CALM = facts.Facts(fleet="fleet", environments=(facts.Environment(name="prod", state="healthy", commit="a" * 40),))
FAILING = facts.Facts(
    fleet="fleet",
    environments=(facts.Environment(name="prod", state="failing", why="HealthCheckFailed: <web> @all", commit="b" * 40),),
)
MESSAGE = deciding.news(CALM, FAILING)[0]


@dataclass
class Receiver:
    """An HTTP server that remembers what it was sent."""

    url: str = ""
    answers: list[int] = field(default_factory=list)
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    found = Receiver()

    async def take(request: web.Request) -> web.Response:
        found.got.append((dict(request.headers), await request.read()))
        return web.Response(status=found.answers.pop(0) if found.answers else 200, headers=found.headers)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield found
    await runner.cleanup()


async def test_a_webhook_gets_json_signed_over_the_very_bytes(receiver: Receiver) -> None:
    async with sending.sender() as sender:
        await sender.send(Target(name="ci", kind="webhook", url=f"{receiver.url}/hook", key="sesame"), MESSAGE)
    (headers, body) = receiver.got[0]
    assert headers["X-Signature"] == "sha256=" + hmac.new(b"sesame", body, hashlib.sha256).hexdigest()
    assert (headers["X-Penstock-Event"], headers["X-Penstock-Delivery"]) == ("environment.failing", MESSAGE.key)
    told = json.loads(body)
    assert (told["event"], told["environment"], told["severity"], told["commit"]) == (
        "environment.failing",
        "prod",
        "error",
        "b" * 40,
    )
    assert told["text"] == "prod is failing at bbbbbbb"


@pytest.mark.parametrize("kind", ["slack", "teams"])
async def test_chats_get_their_own_shape(receiver: Receiver, kind: sending.Kind) -> None:
    async with sending.sender() as sender:
        await sender.send(Target(name="team", kind=kind, url=f"{receiver.url}/services/T/B/X"), MESSAGE)
    told = json.loads(receiver.got[0][1])
    assert ("blocks" in told) if kind == "slack" else told["attachments"][0]["content"]["type"] == "AdaptiveCard"
    assert "prod is failing at bbbbbbb" in json.dumps(told)


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_busy_target_may_be_tried_again_after_what_it_asks_for(receiver: Receiver, status: int) -> None:
    receiver.answers, receiver.headers = [status], {"Retry-After": "7"}
    async with sending.sender() as sender:
        with pytest.raises(sending.BusyError) as raised:
            await sender.send(Target(name="ci", kind="webhook", url=receiver.url), MESSAGE)
    assert raised.value.retry_after == 7


@pytest.mark.parametrize("status", [302, 400, 403, 404])
async def test_a_refusal_is_one_and_a_redirect_is_not_followed(receiver: Receiver, status: int) -> None:
    receiver.answers, receiver.headers = [status], {"Location": f"{receiver.url}/elsewhere"}
    async with sending.sender() as sender:
        with pytest.raises(RefusedError) as raised:
            await sender.send(Target(name="ci", kind="webhook", url=f"{receiver.url}/secret-canary"), MESSAGE)
    assert "canary" not in str(raised.value) and len(receiver.got) == 1


async def test_nobody_there_may_be_tried_again_and_the_error_has_no_address() -> None:
    async with sending.sender() as sender:
        with pytest.raises(TransientError) as raised:
            await sender.send(Target(name="ci", kind="webhook", url="http://127.0.0.1:9/secret-canary"), MESSAGE)
    assert "canary" not in str(raised.value) and "127.0.0.1" not in str(raised.value)


# By apprise


@contextlib.asynccontextmanager
async def smtp() -> AsyncIterator[tuple[int, list[bytes]]]:
    """The smallest SMTP server: it takes mail and keeps it."""
    mails: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def say(line: str) -> None:
            writer.write(f"{line}\r\n".encode())
            await writer.drain()

        await say("220 sink")
        while line := (await reader.readline()).decode().strip():
            verb = line[:4].upper()
            if verb == "DATA":
                await say("354 go on")
                mails.append(await reader.readuntil(b"\r\n.\r\n"))
                await say("250 kept")
            elif verb == "QUIT":
                await say("221 bye")
                break
            else:
                await say("250 ok")
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], mails
    finally:
        server.close()


async def test_an_email_arrives_with_one_subject_line_and_a_plain_text() -> None:
    async with smtp() as (port, mails), sending.sender() as sender:
        url = f"mailto://127.0.0.1:{port}?from=penstock@fleet.test&to=ops@fleet.test&mode=insecure"
        await sender.send(Target(name="mail", kind="email", url=url), MESSAGE)
    mail = message_from_bytes(mails[0], policy=policy.default)
    assert mail["Subject"] == "[fleet] prod is failing at bbbbbbb"
    assert "ops@fleet.test" in mail["To"]
    body = mail.get_body(("plain",))
    assert body is not None and "why: HealthCheckFailed: <web> @all" in body.get_content()


async def test_every_other_service_is_reached_by_apprise_with_defused_text(receiver: Receiver) -> None:
    port = receiver.url.rpartition(":")[2]
    async with sending.sender() as sender:
        await sender.send(Target(name="chat", kind="apprise", url=f"json://127.0.0.1:{port}/x"), MESSAGE)
    told = json.loads(receiver.got[0][1])
    assert told["title"] == "(fleet) prod is failing at bbbbbbb"
    assert "<" not in told["message"] and "@all" not in told["message"]


async def test_an_address_apprise_does_not_know_is_refused_without_showing_it() -> None:
    async with sending.sender() as sender:
        with pytest.raises(RefusedError) as raised:
            await sender.send(Target(name="chat", kind="apprise", url="nosuch://canary"), MESSAGE)
    assert "canary" not in str(raised.value)


# Addresses that somebody in Git chose

INNER = [
    "127.0.0.1",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "224.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "fe80::1",
    "fc00::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
    "::127.0.0.1",
]


@pytest.mark.parametrize("address", INNER)
def test_inner_addresses_are_not_public(address: str) -> None:
    assert not dialing.is_public(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "8.8.8.8", "2606:4700:4700::1111"])
def test_public_addresses_are(address: str) -> None:
    assert dialing.is_public(address)


BAD = [
    "http://example.com/",
    "https://u:p@example.com/",
    "ftp://example.com/",
    "https://127.0.0.1/",
    "https://[::1]/",
    "https:///x",
    "https://[bad/",
]


@pytest.mark.parametrize("url", BAD)
def test_an_address_from_git_is_https_without_credentials_and_not_an_inner_one(url: str) -> None:
    with pytest.raises(RefusedError):
        dialing.check(url)


class Rebinding(AbstractResolver):
    """Says something public first and something inner afterwards."""

    def __init__(self) -> None:
        self.asked = 0

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
        self.asked += 1
        address = "192.0.2.1" if self.asked == 1 else "127.0.0.1"
        return [ResolveResult(hostname=host, host=address, port=port, family=2, proto=0, flags=0)]

    async def close(self) -> None:
        return None


@pytest.mark.parametrize("name", ["localhost", "127.1", "2130706433", "0x7f000001"])
async def test_a_name_or_number_that_leads_inside_is_never_connected_to(name: str) -> None:
    reached: list[str] = []

    async def taken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.append("connected")
        writer.close()

    server = await asyncio.start_server(taken, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with sending.sender() as sender:
        with pytest.raises((RefusedError, TransientError)):
            await sender.send(Target(name="git", kind="webhook", url=f"https://{name}:{port}/", from_git=True), MESSAGE)
    server.close()
    assert reached == []


async def test_a_name_that_changes_its_mind_is_checked_at_every_answer() -> None:
    resolver = dialing.PublicResolver(Rebinding())
    for _ in range(2):
        with pytest.raises(OSError, match="inner"):
            await resolver.resolve("rebinding.test", 443)


async def test_a_key_of_ours_never_goes_to_an_address_from_git() -> None:
    assert Target(name="x", kind="webhook", url="https://example.com", from_git=True).key == ""


async def test_a_dead_mail_server_holds_its_own_thread_only(receiver: Receiver) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    dead = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = dead.sockets[0].getsockname()[1]
    async with sending.sender() as sender:
        url = f"mailto://127.0.0.1:{port}?from=a@b.test&to=c@d.test&mode=insecure&cto=1&rto=1"
        held = asyncio.create_task(sender.send(Target(name="mail", kind="email", url=url), MESSAGE))
        await asyncio.sleep(0)
        began = time.monotonic()
        await sender.send(Target(name="ci", kind="webhook", url=receiver.url), MESSAGE)
        assert not held.done() or time.monotonic() - began < 30
        with pytest.raises(TransientError):
            await held
    dead.close()
    assert len(receiver.got) == 1
