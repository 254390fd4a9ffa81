"""Clients of the contract suite: raw HTTP and kubectl, and the comparison of two clusters.

In: where a cluster is. Out: answers, and answers with everything taken out that must differ between two clusters (ids,
revisions, times, addresses).
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
JSON = "application/json"
DEADLINE_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def message(self) -> str:
        return str(self.body.get("message", "")) if isinstance(self.body, dict) else str(self.body)


class Client:
    """One cluster, over raw HTTP."""

    def __init__(self, name: str, url: str, token: str, ca: Path, kubeconfig: Path, session: aiohttp.ClientSession) -> None:
        self.name = name
        self.url = url
        self.kubeconfig = kubeconfig
        self.namespace = "default"
        self._session = session
        self._headers = {"Authorization": f"Bearer {token}", "User-Agent": "contract/1.0"}
        context = ssl.create_default_context(cafile=str(ca))
        # A self-signed certificate that is its own authority, as kube-apiserver makes it, lacks what strict mode wants.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        self._ssl = context

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        content_type: str = JSON,
        accept: str = JSON,
        headers: Mapping[str, str] | None = None,
        **query: str,
    ) -> Answer:
        """One request; `{ns}` in the path is the test's namespace."""
        sent = {**self._headers, "Accept": accept, **(headers or {})}
        data = None
        if body is not None:
            data = body if isinstance(body, (bytes, str)) else json.dumps(body)
            sent["Content-Type"] = content_type
        url = self.url + path.replace("{ns}", self.namespace)
        async with self._session.request(method, url, data=data, headers=sent, params=query, ssl=self._ssl) as response:
            raw = await response.read()
            try:
                parsed = json.loads(raw)
            except ValueError:
                parsed = raw.decode()
            return Answer(response.status, parsed, response.headers)

    async def ok(self, *arguments: Any, **options: Any) -> Any:
        """The body of a request that has to succeed."""
        answer = await self.call(*arguments, **options)
        assert answer.status < 300, (self.name, arguments, answer.status, answer.message)
        return answer.body

    async def apply(self, path: str, body: Mapping[str, Any], manager: str = "tester", **query: str) -> Answer:
        """Server-side apply."""
        return await self.call("PATCH", path, body, APPLY, fieldManager=manager, **query)

    @asynccontextmanager
    async def watch(self, path: str, accept: str = JSON, **query: str) -> AsyncIterator[Watch]:
        """An open watch."""
        headers = {**self._headers, "Accept": accept}
        url = self.url + path.replace("{ns}", self.namespace)
        async with self._session.get(url, headers=headers, params={"watch": "true", **query}, ssl=self._ssl) as response:
            try:
                yield Watch(response)
            finally:
                # An open stream is dropped at once: a polite TLS goodbye would outlive the test.
                if response.connection is not None and response.connection.transport is not None:
                    response.connection.transport.abort()

    async def until(self, probe: Callable[[], Awaitable[Any]], what: str) -> Any:
        """Wait for a condition with a deadline."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not (found := await probe()):
            assert time.monotonic() < deadline, f"{self.name}: waited {DEADLINE_SECONDS} s for {what}"
            await asyncio.sleep(0.02)
        return found

    async def kubectl(self, *arguments: str, stdin: str = "", check: bool = True) -> Kubectl:
        """Run the machine's kubectl against this cluster, in the test's namespace."""
        command = ["kubectl", f"--kubeconfig={self.kubeconfig}", f"--namespace={self.namespace}"]
        command += ["--cache-dir", str(self.kubeconfig.parent / "kube-cache"), *arguments]
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(process.communicate(stdin.encode()), 60)
        result = Kubectl(process.returncode or 0, out.decode(), err.decode())
        if check:
            assert result.code == 0, (self.name, arguments, result.err)
        return result


@dataclass(frozen=True, slots=True)
class Kubectl:
    """How a kubectl command ended."""

    code: int
    out: str
    err: str


class Watch:
    """Events of one open watch, in order."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.status = response.status
        self._response = response

    async def next(self) -> dict[str, Any]:
        line = await asyncio.wait_for(self._response.content.readline(), DEADLINE_SECONDS)
        assert line, "the watch ended"
        event: dict[str, Any] = json.loads(line)
        return event

    async def ended(self) -> bool:
        return not await asyncio.wait_for(self._response.content.readline(), DEADLINE_SECONDS)


# ------------------------------------------------------------------------------------------------- comparing

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?Z")
_ADDRESS = re.compile(r"\b10\.\d+\.\d+\.\d+\b")
_VERSION = re.compile(r"(resource ?[vV]ersion\w*[:=]? ?\(?|current: |in record \()\d+")


def comparable(value: Any, key: str = "") -> Any:
    """A value without what two clusters cannot share."""
    if isinstance(value, dict):
        return {name: comparable(child, name) for name, child in value.items()}
    if isinstance(value, list) and key == "causes":
        # The real server walks a Go map here: the order is random.
        return sorted(([comparable(item, key) for item in value]), key=lambda cause: (cause.get("field"), cause.get("message")))
    if isinstance(value, list) and key == "managedFields":
        # They stand in order of time, and the two clusters may see a second begin between different requests.
        value = sorted(value, key=lambda entry: (entry["manager"], entry["operation"], entry.get("subresource", "")))
    if isinstance(value, list):
        return [comparable(item, key) for item in value]
    if key in ("resourceVersion", "continue", "nodePort", "remainingItemCount"):
        return f"<{key}>"
    if isinstance(value, str):
        for pattern, word in ((_UUID, "<uid>"), (_TIME, "<time>"), (_ADDRESS, "<address>")):
            value = pattern.sub(word, value)
        return _VERSION.sub(r"\1<version>", value)
    return value


class Twins:
    """The sandbox and a real cluster, asked the same things."""

    def __init__(self, sandbox: Client, real: Client) -> None:
        self.sandbox = sandbox
        self.real = real

    async def same(self, method: str, path: str, body: Any = None, content_type: str = JSON, **options: Any) -> Any:
        """Ask both; assert that status and body are equal; answer the sandbox's body."""
        ours = await self.sandbox.call(method, path, body, content_type, **options)
        theirs = await self.real.call(method, path, body, content_type, **options)
        one = {"status": ours.status, "body": comparable(ours.body), "warnings": ours.headers.getall("Warning", [])}  # type: ignore[attr-defined]
        other = {"status": theirs.status, "body": comparable(theirs.body), "warnings": theirs.headers.getall("Warning", [])}  # type: ignore[attr-defined]
        assert one == other, f"{method} {path}\n" + difference(one, other)
        return ours.body

    async def apply(self, path: str, body: Any, manager: str = "tester", **query: Any) -> Any:
        return await self.same("PATCH", path, body, APPLY, fieldManager=manager, **query)

    async def both(self, method: str, path: str, body: Any = None, content_type: str = JSON, **options: Any) -> None:
        """Ask both, and want success, without comparing the bodies."""
        await self.sandbox.ok(method, path, body, content_type, **options)
        await self.real.ok(method, path, body, content_type, **options)


def difference(ours: Any, theirs: Any, path: str = "") -> str:
    """Where two answers differ, one line each, for a failing test to show."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        lines = [
            difference(ours.get(key, "<absent>"), theirs.get(key, "<absent>"), f"{path}.{key}")
            for key in sorted({*ours, *theirs})
        ]
        return "\n".join(line for line in lines if line)
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        lines = [difference(one, other, f"{path}[{index}]") for index, (one, other) in enumerate(zip(ours, theirs, strict=True))]
        return "\n".join(line for line in lines if line)
    return "" if ours == theirs else f"{path}:\n  sandbox {json.dumps(ours)}\n  real    {json.dumps(theirs)}"
