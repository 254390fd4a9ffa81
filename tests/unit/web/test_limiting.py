"""Guessing gets slow, for whoever guesses, and no flood makes it quick again."""

from __future__ import annotations

import aiohttp
from web_served import TOKEN, Clock, Served

from penstock.web import limiting


def test_the_first_mistakes_are_free_and_then_every_wait_is_longer() -> None:
    clock = Clock()
    attempts = limiting.Attempts(clock=clock)
    waits = []
    for _ in range(limiting.FREE + 4):
        waits.append(round(attempts.wait_seconds("203.0.113.7")))
        attempts.wrong("203.0.113.7")
    assert waits == [0, 0, 0, 0, 0, 2, 4, 8, 16]
    assert attempts.wait_seconds("203.0.113.8") == 0
    clock.ahead += 1000
    assert attempts.wait_seconds("203.0.113.7") == 0


def test_a_flood_of_addresses_makes_nobody_forgotten() -> None:
    attempts = limiting.Attempts(clock=Clock())
    for _ in range(12):
        attempts.wrong("203.0.113.7")
    before = attempts.wait_seconds("203.0.113.7")
    for number in range(50_000):
        attempts.wrong(f"2001:db8::{number:x}")
    assert attempts.wait_seconds("203.0.113.7") >= before - 1


async def test_wrong_tokens_are_soon_not_looked_at_any_more_and_neither_is_the_right_one(served: Served) -> None:
    async def give(token: str) -> int:
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{served.url}/sign-in", data={"token": token}, allow_redirects=False) as answer,
        ):
            return answer.status

    assert [await give(f"wrong-{number}") for number in range(limiting.FREE + 1)] == [401] * limiting.FREE + [429]
    assert await give(TOKEN) == 429
    served.clock.ahead += 10
    assert await give(TOKEN) == 303
    assert await give("wrong-again") == 401
