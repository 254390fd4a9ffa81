"""Facts are computed once for everybody, kept when nobody answers, and pushed only when they change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.adapters.clock import SystemClock
from penstock.model.errors import TransientError
from penstock.web import feeds


class Source:
    """Something that answers when it is told to."""

    def __init__(self) -> None:
        self.value: str | Exception = "one"
        self.asked = 0
        self.answers = asyncio.Event()
        self.answers.set()
        self.happened = asyncio.Condition()

    async def __call__(self) -> str:
        async with self.happened:
            self.asked += 1
            self.happened.notify_all()
        await self.answers.wait()
        if isinstance(self.value, Exception):
            raise self.value
        return self.value


class Clock(SystemClock):
    def __init__(self) -> None:
        self.ahead = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead


@asynccontextmanager
async def fresh(source: Source, clock: Clock, **more: float) -> AsyncIterator[feeds.Fresh[str]]:
    async with asyncio.TaskGroup() as group:
        made = feeds.Fresh(compute=source, clock=clock, group=group, **more)
        yield made
        made.cancel()


async def test_many_who_ask_at_once_are_one_question() -> None:
    source, clock = Source(), Clock()
    async with fresh(source, clock) as one:
        known = await asyncio.gather(*(one.get(5) for _ in range(20)))
    assert source.asked == 1
    assert {item.value for item in known} == {"one"}


async def test_nothing_is_asked_twice_within_the_pause() -> None:
    source, clock = Source(), Clock()
    async with fresh(source, clock) as one:
        await one.get(5)
        await one.get(5)
        assert source.asked == 1
        clock.ahead = feeds.PAUSE_SECONDS
        await one.get(5)
        assert source.asked == 2


async def test_the_same_answer_is_the_same_version() -> None:
    source, clock = Source(), Clock()
    async with fresh(source, clock, pause_seconds=0) as one:
        first = await one.get(5)
        source.value = "".join(["o", "ne"])
        second = await one.get(5)
        source.value = "two"
        third = await one.get(5)
    assert first.version == second.version != third.version
    assert second.value is first.value


async def test_who_does_not_answer_leaves_what_was_known_and_says_so() -> None:
    source, clock = Source(), Clock()
    async with fresh(source, clock, pause_seconds=0) as one:
        before = await one.get(5)
        source.value = TransientError("the forge does not answer")
        after = await one.get(5)
        assert (after.value, after.problem) == ("one", "the forge does not answer")
        assert after.asked == before.asked
        assert after.version != before.version
        source.value = "one"
        again = await one.get(5)
        assert (again.value, again.problem) == ("one", "")


async def test_a_slow_answer_is_not_waited_for_longer_than_asked() -> None:
    source, clock = Source(), Clock()
    source.answers.clear()
    async with fresh(source, clock, pause_seconds=0) as one:
        known = await one.get(0.01)
        assert known.value is None
        assert "still asking" in known.problem
        source.answers.set()
        assert (await one.get(5)).value == "one"
        source.answers.clear()
        assert (await one.get(0.01)).value == "one"


async def test_a_computation_that_hangs_is_given_up() -> None:
    source, clock = Source(), Clock()
    source.answers.clear()
    async with fresh(source, clock, pause_seconds=0, deadline_seconds=0.05) as one:
        known = await one.get(5)
        assert "no answer within" in known.problem
        source.answers.set()
        assert (await one.get(5)).value == "one"


async def heard(listener: feeds.Listener) -> feeds.Update:
    """The next update, within a deadline."""
    async with asyncio.timeout(10):
        while True:
            listener.woken.clear()
            if (update := listener.next()) is not None:
                return update
            await listener.woken.wait()


def one_part(known: feeds.Known[str]) -> feeds.Parts:
    return {"text": known.value, "problem": known.problem}


async def test_a_listener_hears_changes_and_only_those() -> None:
    source, clock = Source(), Clock()
    async with fresh(source, clock, pause_seconds=0.02) as one:
        feed = feeds.Feed(fresh=one, parts=one_part)
        with feed.listener("") as listener:
            assert dict((await heard(listener)).changed) == {"text": "one", "problem": ""}
            source.value = "two"
            update = await heard(listener)
            assert dict(update.changed) == {"text": "two"}
            assert update.order == ()
            asked = source.asked
            async with asyncio.timeout(10), source.happened:
                await source.happened.wait_for(lambda: source.asked >= asked + 3)
            assert listener.next() is None
        feed.close()


async def test_a_listener_that_is_up_to_date_hears_nothing_at_first() -> None:
    source, clock = Source(), Clock()
    async with fresh(source, clock, pause_seconds=0.02) as one:
        feed = feeds.Feed(fresh=one, parts=one_part)
        known = await one.get(5)
        with feed.listener(known.version) as listener:
            assert listener.next() is None
        with feed.listener("an-old-one") as listener:
            assert set((await heard(listener)).changed) == {"text", "problem"}
        feed.close()


async def test_nothing_is_computed_while_nobody_listens() -> None:
    source, clock = Source(), Clock()
    async with fresh(source, clock, pause_seconds=0.01) as one:
        feed = feeds.Feed(fresh=one, parts=one_part)
        with feed.listener("") as listener:
            await heard(listener)
        poller = feed._poller
        assert poller is not None
        async with asyncio.timeout(10):
            await poller
        asked = source.asked
        await asyncio.sleep(0.05)
        assert source.asked == asked


async def test_a_poke_does_not_wait_for_the_pause() -> None:
    source, clock = Source(), Clock()
    async with fresh(source, clock, pause_seconds=60) as one:
        feed = feeds.Feed(fresh=one, parts=one_part)
        with feed.listener("") as listener:
            await heard(listener)
            source.value = "two"
            feed.poke()
            assert (await heard(listener)).changed["text"] == "two"
        feed.close()


async def test_a_bug_in_a_computation_does_not_end_the_group(caplog: pytest.LogCaptureFixture) -> None:
    source, clock = Source(), Clock()
    source.value = ZeroDivisionError("insides")
    async with fresh(source, clock, pause_seconds=0) as one:
        known = await one.get(5)
        assert "insides" not in known.problem
        source.value = "well again"
        assert (await one.get(5)).value == "well again"
    assert "insides" in caplog.text


states = st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 3), max_size=6)


def applied(shown: dict[str, object], update: feeds.Update) -> dict[str, object]:
    """What a browser shows after an update."""
    now = {key: value for key, value in shown.items() if key not in update.gone} | dict(update.changed)
    return {key: now[key] for key in update.order} if update.order else now


@given(states, states)
def test_an_update_makes_the_old_state_the_new_one(old: dict[str, object], new: dict[str, object]) -> None:
    assert list(applied(old, feeds.difference(old, new, "v")).items()) == list(new.items())


@given(states)
def test_no_change_is_no_update(state: dict[str, object]) -> None:
    update = feeds.difference(state, dict(state), "v")
    assert (dict(update.changed), update.gone, update.order) == ({}, (), ())
