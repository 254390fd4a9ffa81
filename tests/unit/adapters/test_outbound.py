"""Questions to other people's servers go only where they may: not inwards, not by a detour, and never with another's secret."""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web

from penstock.adapters import outbound
from penstock.model.question import Answer, Question


@pytest.fixture
async def serve() -> AsyncIterator[Callable[..., Any]]:
    """Starts a server on loopback with one handler; the port."""
    runners: list[web.AppRunner] = []

    async def start(handler: Any) -> int:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handler)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        runners.append(runner)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return int(runner.addresses[0][1])

    yield start
    for runner in runners:
        await runner.cleanup()


async def ask(url: str, *allow: str, seconds: float = 20, **more: Any) -> Answer:
    credentials = more.pop("credentials", None)
    async with outbound.connect(allow, credentials) as asking:
        return await asking.ask(Question(url=url, timeout=timedelta(seconds=seconds), **more))


async def ok(request: web.Request) -> web.Response:
    return web.json_response({"path": request.path, "secret": request.headers.get("Authorization", "")})


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "127.1",
        "2130706433",
        "0x7f.0.0.1",
        "0.0.0.0",
        "[64:ff9b::7f00:1]",
    ],
)
async def test_our_own_machine_is_not_asked_however_it_is_written(serve: Callable[..., Any], host: str) -> None:
    port = await serve(ok)
    answer = await ask(f"http://{host}:{port}/")
    assert answer.status == 0 and answer.problem


@pytest.mark.parametrize(
    ("address", "may"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("10.1.2.3", False),
        ("192.168.1.1", False),
        ("172.16.0.1", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("224.0.0.1", False),
        ("fe80::1", False),
        ("fd00::1", False),
        ("::ffff:10.0.0.1", False),
        ("2002:0a00:0001::", False),
    ],
)
def test_only_public_addresses_may_be_asked_by_themselves(address: str, may: bool) -> None:
    assert outbound.Allowed().may("x.example", ipaddress.ip_address(address)) is may


def test_a_name_opens_private_addresses_and_only_a_network_opens_link_local_ones() -> None:
    named = outbound.Allowed.parse(["Prom.monitoring.svc", "10.0.0.0/8"])
    private, metadata = ipaddress.ip_address("192.168.0.7"), ipaddress.ip_address("169.254.169.254")
    assert named.may("prom.monitoring.svc", private) and not named.may("other.svc", private)
    assert not named.may("prom.monitoring.svc", metadata)
    assert named.may("anything", ipaddress.ip_address("10.2.3.4"))
    assert outbound.Allowed.parse(["169.254.169.254"]).may("x", metadata)
    for nonsense in ("10.0.0.0/99", "http://x", ""):
        with pytest.raises(ValueError, match="neither"):
            outbound.Allowed.parse([nonsense])


async def test_what_the_fleet_file_allows_is_asked(serve: Callable[..., Any]) -> None:
    port = await serve(ok)
    assert (await ask(f"http://127.0.0.1:{port}/ready", "127.0.0.0/8")).status == 200
    assert (await ask(f"http://localhost:{port}/ready", "localhost")).status == 200


async def test_a_redirect_inwards_is_not_followed(serve: Callable[..., Any]) -> None:
    inside = await serve(ok)

    async def away(request: web.Request) -> web.Response:
        raise web.HTTPFound(f"http://{request.path.strip('/')}:{inside}/")

    outside = await serve(away)
    for path in ("127.0.0.2", "127.2", "169.254.169.254"):
        answer = await ask(f"http://127.0.0.1:{outside}/{path}", "127.0.0.1")
        assert answer.status == 0 and answer.refused, answer


async def test_a_redirect_within_what_is_allowed_is_followed_and_not_for_ever(serve: Callable[..., Any]) -> None:
    async def round_and_round(request: web.Request) -> web.Response:
        if request.path == "/once":
            raise web.HTTPFound("/there")
        if request.path == "/for-ever":
            raise web.HTTPFound("/for-ever")
        return web.Response(text="there")

    port = await serve(round_and_round)
    assert (await ask(f"http://127.0.0.1:{port}/once", "127.0.0.1")).body == b"there"
    assert (await ask(f"http://127.0.0.1:{port}/for-ever", "127.0.0.1")).problem == "more than 3 redirects"


async def test_a_secret_goes_to_its_own_host_only(serve: Callable[..., Any]) -> None:
    port = await serve(ok)

    async def away(request: web.Request) -> web.Response:
        raise web.HTTPFound(f"http://127.0.0.1:{port}/")

    detour = await serve(away)
    secret = {"smoke": outbound.Credential(host="localhost", header="Authorization", value="Bearer s3cret")}
    here = await ask(f"http://localhost:{port}/", "localhost", credential="smoke", credentials=secret)
    assert b"s3cret" in here.body
    elsewhere = await ask(f"http://127.0.0.1:{port}/", "127.0.0.1", credential="smoke", credentials=secret)
    assert elsewhere.refused and elsewhere.problem == "its credential is for localhost, not for 127.0.0.1"
    redirected = await ask(f"http://localhost:{detour}/", "localhost", "127.0.0.1", credential="smoke", credentials=secret)
    assert redirected.status == 200 and b"s3cret" not in redirected.body
    # Allowed by its network only: nobody said that this name may have it without TLS.
    plain = await ask(f"http://localhost:{port}/", "127.0.0.0/8", credential="smoke", credentials=secret)
    assert plain.problem == "a credential is sent over https only"
    unknown = await ask(f"http://localhost:{port}/", "localhost", credential="other", credentials=secret)
    assert unknown.refused and "no credential 'other'" in unknown.problem


async def test_silence_and_floods_end(serve: Callable[..., Any]) -> None:
    import asyncio

    forever = asyncio.Event()

    async def odd(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        if request.path == "/silent":
            await forever.wait()
        for _ in range(64):
            await response.write(b"x" * 65536)
        return response

    port = await serve(odd)
    assert (await ask(f"http://127.0.0.1:{port}/silent", "127.0.0.1", seconds=0.3)).problem == "no answer within 0.3 s"
    assert len((await ask(f"http://127.0.0.1:{port}/flood", "127.0.0.1")).body) == 256 * 1024
    forever.set()


@pytest.mark.parametrize("url", ["ftp://example.com/", "https://user:word@example.com/", "file:///etc/passwd", "https:///x"])
async def test_odd_addresses_are_not_asked(url: str) -> None:
    assert (await ask(url)).refused
