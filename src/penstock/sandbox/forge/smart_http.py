"""Git's smart HTTP protocol. In: requests of git clients. Out: git's own upload-pack and receive-pack, streamed.

The server speaks nothing of Git itself: `--stateless-rpc` does, so shallow and partial clones and protocol v2 work as
they do everywhere. All it reads is the list of ref changes at the head of a push, to know what to allow and to announce.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from aiohttp import StreamReader, web

from penstock.sandbox.forge.store import Repository

_NO_CACHE = {
    "Cache-Control": "no-cache, max-age=0, must-revalidate",
    "Expires": "Fri, 01 Jan 1980 00:00:00 GMT",
    "Pragma": "no-cache",
}
_SERVICES = ("git-upload-pack", "git-receive-pack")
_TALK_SECONDS = 900.0
_COMMANDS_LIMIT_BYTES = 4 * 1024 * 1024
_COMMAND = re.compile(rb"^([0-9a-f]{40}|[0-9a-f]{64}) ([0-9a-f]{40}|[0-9a-f]{64}) ([^\0\n]+)")

_PRE_RECEIVE = """#!/bin/sh
# The server decided before it started git; this hook is how git is told.
[ -z "$SANDBOX_REFUSES" ] && exit 0
printf '%s\\n' "$SANDBOX_REFUSES" >&2
exit 1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """One ref that a push moved."""

    owner: str
    repository: str
    ref: str
    before: str
    """All zeros: it is new."""
    after: str
    """All zeros: it is gone."""
    user: str


Judge = Callable[[Repository, str, list[Push]], str | None]
"""Given (repository, user, asked ref changes): why the push is refused, or None."""
Announce = Callable[[Repository, list[Push]], Awaitable[None]]


class SmartHttp:
    """Serves repositories to git clients; at most `processes` git processes at once."""

    def __init__(self, state: Path, judge: Judge, announce: Announce, processes: int = 8) -> None:
        self._judge = judge
        self._announce = announce
        self._slots = asyncio.Semaphore(processes)
        self._hooks = state / "hooks"
        self._hooks.mkdir(parents=True, exist_ok=True)
        hook = self._hooks / "pre-receive"
        hook.write_text(_PRE_RECEIVE)
        hook.chmod(0o755)

    async def advertise(self, request: web.Request, repository: Repository) -> web.StreamResponse:
        """GET info/refs: the first talk of every fetch and push."""
        service = request.query.get("service", "")
        if service not in _SERVICES:
            raise web.HTTPForbidden(text="this server speaks only git's smart protocol\n")
        async with self._slots:
            process = await self._start(service, repository, request, "--advertise-refs")
            refs, _ = await process.communicate()
        if process.returncode:
            raise web.HTTPInternalServerError(text="git failed\n")
        body = refs
        if request.headers.get("Git-Protocol", "").find("version=2") < 0 or service == "git-receive-pack":
            banner = f"# service={service}\n".encode()
            body = b"%04x%s0000" % (len(banner) + 4, banner) + refs
        kind = f"application/x-{service}-advertisement"
        return web.Response(body=body, headers={**_NO_CACHE, "Content-Type": kind})

    async def serve(self, request: web.Request, repository: Repository, service: str, user: str) -> web.StreamResponse:
        """POST git-upload-pack or git-receive-pack."""
        if request.content_type != f"application/x-{service}-request":
            raise web.HTTPUnsupportedMediaType(text="not a git request\n")
        start, asked, refused = b"", list[Push](), ""
        if service == "git-receive-pack":
            start = await _command_list(request.content)
            asked = _asked(start, repository, user)
            refused = self._judge(repository, user, asked) or ""
        response = web.StreamResponse(headers={**_NO_CACHE, "Content-Type": f"application/x-{service}-result"})
        async with self._slots:
            try:
                await response.prepare(request)
            except ConnectionError:  # it did not wait for its turn
                return response
            process = await self._start(service, repository, request, refused=refused)
            try:
                await self._stream(request, response, process, start, repository, asked)
            finally:
                await _end(process)
        return response

    async def _stream(
        self,
        request: web.Request,
        response: web.StreamResponse,
        process: asyncio.subprocess.Process,
        start: bytes,
        repository: Repository,
        asked: list[Push],
    ) -> None:
        """Both directions at once. A push is announced even to nobody: what it moved, it moved."""
        assert process.stdout is not None
        answer = b""
        with suppress(TimeoutError):
            async with asyncio.timeout(_TALK_SECONDS), asyncio.TaskGroup() as group:
                group.create_task(_feed(process, start, request.content))
                while chunk := await process.stdout.read(65536):
                    if asked:  # a push's answer is short: hold it back until others have been told
                        answer += chunk
                    elif not await _sent(response, chunk):
                        process.kill()  # the client of a fetch has left
        if asked:
            await self._announce(repository, asked)
            await _sent(response, answer)
        with suppress(ConnectionError):
            await response.write_eof()

    async def _start(
        self, service: str, repository: Repository, request: web.Request, *options: str, refused: str = ""
    ) -> asyncio.subprocess.Process:
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "LC_ALL": "C",
        }
        if protocol := request.headers.get("Git-Protocol"):
            environment["GIT_PROTOCOL"] = protocol
        if refused:
            environment["SANDBOX_REFUSES"] = refused
        return await asyncio.create_subprocess_exec(
            "git",
            "-c",
            f"core.hooksPath={self._hooks}",
            service.removeprefix("git-"),
            "--stateless-rpc",
            *options,
            str(repository.folder),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=environment,
        )


async def _sent(response: web.StreamResponse, chunk: bytes) -> bool:
    try:
        await response.write(chunk)
    except ConnectionError:
        return False
    return True


async def _end(process: asyncio.subprocess.Process) -> None:
    """Its output has ended, so it is about to; one that is not, or whose server stops, is made to."""
    try:
        async with asyncio.timeout(5):
            await process.wait()
    except TimeoutError:
        pass
    finally:
        if process.returncode is None:
            process.kill()
            await asyncio.shield(process.wait())


async def _feed(process: asyncio.subprocess.Process, start: bytes, body: StreamReader) -> None:
    """The request's body into git; git may stop reading early, which is its right."""
    assert process.stdin is not None
    with suppress(ConnectionError, aiohttp.ClientError, web.RequestPayloadError):
        process.stdin.write(start)
        async for chunk in body.iter_any():
            process.stdin.write(chunk)
            await process.stdin.drain()
    process.stdin.close()
    with suppress(ConnectionError):
        await process.stdin.wait_closed()


async def _command_list(content: StreamReader) -> bytes:
    """The bytes of a push up to and with the flush packet after its ref changes (whatever more came along stays in)."""
    kept = bytearray()
    position = 0
    async for chunk in content.iter_any():
        kept += chunk
        while len(kept) >= position + 4:
            try:
                length = int(kept[position : position + 4], 16)
            except ValueError:
                raise web.HTTPBadRequest(text="not a packet line\n") from None
            if length == 0:
                return bytes(kept)
            if length < 4:
                raise web.HTTPBadRequest(text="not a packet line\n")
            position += length
        if len(kept) > _COMMANDS_LIMIT_BYTES:
            raise web.HTTPRequestEntityTooLarge(max_size=_COMMANDS_LIMIT_BYTES, actual_size=len(kept))
    return bytes(kept)


def _asked(packets: bytes, repository: Repository, user: str) -> list[Push]:
    """The ref changes in a command list (`shallow` and certificate lines are git's business)."""
    found, position = [], 0
    while (length := int(packets[position : position + 4] or b"0", 16)) >= 4:
        match = _COMMAND.match(packets[position + 4 : position + length])
        position += length
        if match:
            before, after, ref = (part.decode("utf-8", "surrogateescape") for part in match.groups())
            found.append(Push(owner=repository.owner, repository=repository.name, ref=ref, before=before, after=after, user=user))
    return found
