"""CEL expressions, evaluated in a child process that a hostile expression can end but not hold up.

In: an expression and plain data. Out: a boolean. The child compiles each expression once. It has little processor time and
memory for each evaluation; one that uses them up is refused for a while and the child starts anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import struct
import sys
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

LONGEST = 16 * 1024
"""Characters of an expression."""
_ANSWER_SECONDS = 30.0
"""Wall time, for a child that is starved; its own limit counts processor time."""
_REFUSED_SECONDS = 60.0
_KEPT = 4096


class ExpressionError(Exception):
    """The expression cannot be compiled, or has no answer for this data; `what` never holds a value of the data."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


class Evaluator:
    """Evaluates for one manager, one expression at a time. `close` it in the end."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._child: asyncio.subprocess.Process | None = None
        self._good: OrderedDict[tuple[str, tuple[str, ...] | None], str | None] = OrderedDict()
        self._refused: dict[str, float] = {}

    async def check(self, expression: str, variables: Sequence[str] | None = None) -> None:
        """Compile only. `variables` declares names, and wants a boolean; None only parses. Raises ExpressionError."""
        key = (expression, tuple(variables) if variables is not None else None)
        if key not in self._good:
            try:
                await self._ask(expression, variables, None)
                self._good[key] = None
            except ExpressionError as error:
                self._good[key] = error.what
            if len(self._good) > _KEPT:
                self._good.popitem(last=False)
        if (what := self._good[key]) is not None:
            raise ExpressionError(f"failed to parse the CEL expression '{_shown(expression)}': {what}")

    async def holds(self, expression: str, data: Mapping[str, Any], variables: Sequence[str] | None = None) -> bool:
        """Evaluate to a boolean. Raises ExpressionError."""
        try:
            return bool(await self._ask(expression, variables, data))
        except ExpressionError as error:
            raise ExpressionError(f"failed to evaluate the CEL expression '{_shown(expression)}': {error.what}") from None

    async def close(self) -> None:
        """End the child."""
        async with self._turn:
            await self._end()

    async def _ask(self, expression: str, variables: Sequence[str] | None, data: Mapping[str, Any] | None) -> Any:
        if len(expression) > LONGEST:
            raise ExpressionError(f"it is longer than {LONGEST} characters")
        if self._refused.get(expression, 0.0) > time.monotonic():
            raise ExpressionError("it takes more time or memory than an expression may")
        names = list(variables) if variables is not None else None
        request = msgspec.json.encode({"expression": expression, "checked": names, "data": data})
        async with self._turn:
            try:
                async with asyncio.timeout(_ANSWER_SECONDS):
                    answer = await self._exchanged(request)
            except (TimeoutError, asyncio.IncompleteReadError, ConnectionError):
                await self._end()
                self._refused = {each: until for each, until in self._refused.items() if until > time.monotonic()}
                self._refused[expression] = time.monotonic() + _REFUSED_SECONDS
                raise ExpressionError("it takes more time or memory than an expression may") from None
            except asyncio.CancelledError:
                # half an exchange: the next one could not be told from it
                await asyncio.shield(self._end())
                raise
        if "error" in answer:
            raise ExpressionError(str(answer["error"]))
        return answer["value"]

    async def _exchanged(self, request: bytes) -> dict[str, Any]:
        child = self._child
        if child is None or child.returncode is not None:
            child = self._child = await asyncio.create_subprocess_exec(
                sys.executable,
                # nothing is imported from the folder we happen to stand in
                "-P",
                "-m",
                "penstock.adapters.cel.worker",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env={key: os.environ[key] for key in ("PATH", "LD_LIBRARY_PATH", "PYTHONPATH") if key in os.environ},
            )
        assert child.stdin is not None and child.stdout is not None
        child.stdin.write(struct.pack(">I", len(request)) + request)
        await child.stdin.drain()
        size = struct.unpack(">I", await child.stdout.readexactly(4))[0]
        answer: dict[str, Any] = msgspec.json.decode(await child.stdout.readexactly(size))
        return answer

    async def _end(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
        await child.wait()
        if child.stdin is not None:
            child.stdin.close()
            with contextlib.suppress(ConnectionError):
                await child.stdin.wait_closed()


def _shown(expression: str) -> str:
    return expression if len(expression) <= 500 else f"{expression[:500]}..."
