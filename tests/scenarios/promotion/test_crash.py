"""A crash at any step of a promotion: before the step, or after it with the answer lost. One pull request, one merge."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from promotion_fleet import Fleet

from penstock.model.errors import TransientError

_STEPS = ("push", "open_pull", "update_pull", "merge_pull", "comment", "set_status")


class KilledError(BaseException):
    """The process is gone: nothing catches this."""


class Fragile:
    """A port that dies, or loses the answer, at one of its changing calls."""

    def __init__(self, port: Any, plan: Plan) -> None:
        self._port = port
        self._plan = plan

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._port, name)
        if name not in _STEPS:
            return real

        async def step(*arguments: Any, **options: Any) -> Any:
            return await self._plan.step(name, lambda: real(*arguments, **options))

        return step


class Plan:
    """Counts changing calls of a repository and a forge together; breaks once, at a number or at the first of a name."""

    def __init__(self, at: int, how: str, *, name: str = "") -> None:
        self.at, self.how, self.name, self.count, self.broken = at, how, name, 0, False

    async def step(self, name: str, call: Any) -> Any:
        self.count += 1
        if self.broken or (self.count != self.at and name != self.name):
            return await call()
        self.broken = True
        if self.how == "killed before":
            raise KilledError
        result = await call()
        if self.how == "killed after":
            raise KilledError
        del result
        raise TransientError("the answer was lost", code="Lost")


async def story(fleet: Fleet, plan: Plan) -> None:
    """A change ran healthy in dev; passes go on, dying once, until it is in staging."""
    await fleet.raise_timeout()
    await fleet.syncs("dev")
    fragile = fleet.controller(forge=Fragile(fleet.forges["penstock"], plan), repo=Fragile(fleet.mirror, plan))  # type: ignore[arg-type]
    controller = fragile
    approved: set[int] = set()
    for _ in range(20):
        try:
            await controller.once()
        except KilledError:
            controller = fleet.controller()  # A restart.
        pulls = await fleet.pulls("all")
        if pulls and all(pull.state == "merged" for pull in pulls):
            break
        for pull in pulls:
            if pull.state == "open" and pull.number not in approved:
                approved.add(pull.number)
                await fleet.approve(pull)
    await fleet.settle()


async def count(fleet: Fleet) -> int:
    plan = Plan(0, "never")
    await story(fleet, plan)
    return plan.count


async def judge(fleet: Fleet) -> None:
    """What must hold however it went."""
    assert await fleet.drawing() == (
        "#1 penstock/promote/staging/web merged: Promote web: dev → staging (raise checkout timeout to 20s)"
    )
    await fleet.git("fetch", "-q", fleet.url, "main")
    subjects = (await fleet.git("log", "--format=%s", "FETCH_HEAD")).splitlines()
    assert len([subject for subject in subjects if subject.startswith("Promote web: dev")]) == 1
    assert "checkout_timeout: 20s" in await fleet.read("clusters/staging/apps/web/config.yaml")


async def test_an_undisturbed_promotion_takes_a_handful_of_steps(fleet: Fleet) -> None:
    assert 5 <= await count(fleet) <= _MOST
    await judge(fleet)


_MOST = 8
_BREAKS = ("killed before", "killed after", "answer lost")


@pytest.mark.parametrize(("at", "how"), list(itertools.product(range(1, _MOST + 1), _BREAKS)))
@pytest.mark.row("M30", "M06", "G15")
async def test_a_promotion_broken_at_any_step_ends_in_one_pull_request_and_one_merge(fleet: Fleet, at: int, how: str) -> None:
    await story(fleet, Plan(at, how))
    await judge(fleet)


@pytest.mark.parametrize("any_fleet", ["gitea"], indirect=True)
@pytest.mark.parametrize(("name", "how"), list(itertools.product(("push", "open_pull", "set_status", "merge_pull"), _BREAKS)))
@pytest.mark.row("M30")
async def test_on_a_real_gitea_each_kind_of_step_can_break_too(any_fleet: Fleet, name: str, how: str) -> None:
    """Labels come with the pull request, and the record with the merge: these are all the kinds of steps there are."""
    plan = Plan(0, how, name=name)
    await story(any_fleet, plan)
    assert plan.broken
    await judge(any_fleet)
