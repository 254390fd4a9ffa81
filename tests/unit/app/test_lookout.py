"""Silence is waited for once, then taken for an answer for a while."""

from __future__ import annotations

import asyncio

import pytest

from penstock.adapters.clock import SystemClock
from penstock.app import lookout
from penstock.model.errors import RefusedError, TransientError


class Clock(SystemClock):
    def __init__(self) -> None:
        self.ahead = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead


class Somebody:
    """Counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.error: Exception | None = None
        self.silent = False

    async def __call__(self) -> str:
        self.asked += 1
        if self.silent:
            await asyncio.Event().wait()
        if self.error is not None:
            raise self.error
        return "an answer"


async def test_silence_is_left_alone_a_while_and_then_asked_again() -> None:
    clock, somebody = Clock(), Somebody()
    patience = lookout.Patience("prod", clock, 0.02)
    somebody.silent = True
    for _ in range(3):
        with pytest.raises(TransientError, match="prod did not answer within"):
            await patience.within(somebody)
    assert somebody.asked == 1
    somebody.silent = False
    clock.ahead = lookout.ALONE_SECONDS
    assert await patience.within(somebody) == "an answer"
    assert await patience.within(somebody) == "an answer"


async def test_a_failing_server_is_left_alone_with_its_own_words() -> None:
    clock, somebody = Clock(), Somebody()
    patience = lookout.Patience("the forge", clock, 5)
    somebody.error = TransientError("connection refused")
    for _ in range(2):
        with pytest.raises(TransientError, match="connection refused"):
            await patience.within(somebody)
    assert somebody.asked == 1


async def test_a_refusal_is_an_answer() -> None:
    clock, somebody = Clock(), Somebody()
    patience = lookout.Patience("the forge", clock, 5)
    somebody.error = RefusedError("no such pull request", status=404)
    for _ in range(2):
        with pytest.raises(RefusedError):
            await patience.within(somebody)
    assert somebody.asked == 2
