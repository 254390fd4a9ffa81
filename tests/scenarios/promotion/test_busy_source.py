"""A source that moves on before what it had has soaked: what ran healthy for long enough still gets through, and only that."""

from __future__ import annotations

import re

import pytest
from promotion_fleet import WEB, Fleet

from penstock.controllers.promotion import Controller

PIPELINE = """\
apiVersion: penstock.dev/v1alpha1
kind: Pipeline
spec:
  environments:
  - name: dev
  - name: staging
    promoteFrom: [dev]
    gates: {soak: 30m}
  - name: prod
    promoteFrom: [staging]
"""
DEV, STAGING = (WEB.format(env) + "config.yaml" for env in ("dev", "staging"))


@pytest.fixture
async def busy(fleet: Fleet) -> Fleet:
    await fleet.commit("soak", {"penstock.yaml": PIPELINE})
    await fleet.syncs("dev")
    return fleet


async def value(fleet: Fleet) -> int:
    found = re.search(r"checkout_timeout: (\d+)s", await fleet.read(STAGING))
    assert found is not None
    return int(found[1])


async def approve_all(fleet: Fleet) -> None:
    for pull in await fleet.pulls():
        if "approval" in pull.body.partition("Still needed")[2]:
            await fleet.approve(pull)


async def test_a_source_that_always_moves_before_its_soak_is_over_gets_through(busy: Fleet) -> None:
    """Every ten minutes something new, and half an hour of soak: no revision is ever the newest for long enough."""
    controller = busy.controller()
    seen = []
    before = 10
    for number in range(11, 26):
        await busy.raise_timeout(to=f"{number}s", was=f"{before}s")
        before = number
        await busy.syncs("dev")
        await busy.settle(controller)
        await approve_all(busy)
        await busy.settle(controller)
        seen.append(await value(busy))
        busy.clock.turn(minutes=10)
    assert seen == sorted(seen), "never backwards"
    assert seen[:4] == [10, 10, 10, 11], "the first has run for half an hour when the fourth comes"
    assert seen[-1] >= 21, "and it keeps up, half an hour behind"


async def test_what_broke_the_source_does_not_hold_back_what_ran_before(busy: Fleet) -> None:
    controller = busy.controller()
    await busy.raise_timeout(to="20s")
    await busy.syncs("dev")
    await busy.settle(controller)
    busy.clock.turn(minutes=31)
    await busy.syncs("dev")
    await busy.settle(controller)
    await busy.raise_timeout(to="30s", was="20s")
    await busy.syncs("dev", healthy=False)
    await busy.settle(controller)
    pull = await busy.the_pull()
    assert "raise checkout timeout to 20s" in pull.title and "30s" not in pull.body.split("<details>")[0]
    assert "1 newer revision of dev waits behind it" in pull.body
    await busy.approve(pull)
    assert (await busy.settle(controller))[0] == "merge web -> staging"
    assert await value(busy) == 20
    assert await busy.pulls() == [], "what is broken is not proposed"


async def test_a_failure_ends_the_soak_of_what_ran_before_it(busy: Fleet) -> None:
    controller = busy.controller()
    await busy.raise_timeout(to="20s")
    await busy.syncs("dev")
    await busy.settle(controller)
    busy.clock.turn(minutes=10)
    await busy.raise_timeout(to="30s", was="20s")
    await busy.syncs("dev", healthy=False)
    await approve_all(busy)
    await busy.settle(controller)
    busy.clock.turn(minutes=60)
    await busy.settle(controller)
    assert await value(busy) == 10, "ten minutes of proof stay ten minutes"


async def test_what_the_source_took_back_is_not_promoted_although_it_ran_healthy(busy: Fleet) -> None:
    controller = busy.controller()
    await busy.raise_timeout(to="20s")
    await busy.syncs("dev")
    busy.clock.turn(minutes=31)
    await busy.syncs("dev")
    await busy.settle(controller)
    # One commit takes that back and changes something else, so the app still has something to promote.
    text = (await busy.read(DEV)).replace("checkout_timeout: 20s", "checkout_timeout: 10s").replace("http://api", "http://other")
    await busy.commit("back, and another address", {DEV: text})
    await busy.settle(controller)
    await approve_all(busy)
    await busy.settle(controller)
    assert await value(busy) == 10
    await busy.syncs("dev")
    busy.clock.turn(minutes=31)
    await busy.settle(controller)
    await approve_all(busy)
    await busy.settle(controller)
    assert await value(busy) == 10 and "http://other" in await busy.read(STAGING)


async def test_a_held_commit_stays_back_and_what_came_before_it_goes(busy: Fleet) -> None:
    controller = busy.controller()
    await busy.raise_timeout(to="20s")
    await busy.syncs("dev")
    busy.clock.turn(minutes=40)
    await busy.syncs("dev")
    held = await busy.raise_timeout(to="30s", was="20s")
    hold = f"apiVersion: penstock.dev/v1alpha1\nkind: Hold\nspec: {{commit: {held[:10]}, reason: odd}}\n"
    await busy.commit("hold", {".penstock/hold.yaml": hold})
    await busy.syncs("dev")
    busy.clock.turn(minutes=40)
    await busy.syncs("dev")
    await busy.settle(controller)
    await approve_all(busy)
    await busy.settle(controller)
    assert await value(busy) == 20
    await busy.commit("release", {".penstock/hold.yaml": None})
    await busy.settle(controller)
    await approve_all(busy)
    await busy.settle(controller)
    assert await value(busy) == 30


async def test_a_restart_forgets_nothing_that_the_cluster_still_tells(busy: Fleet) -> None:
    await busy.raise_timeout(to="20s")
    await busy.syncs("dev")
    for number in (21, 22, 23):
        busy.clock.turn(minutes=11)
        await busy.raise_timeout(to=f"{number}s", was=f"{number - 1}s")
        await busy.syncs("dev")
        # Every pass is one of a new process.
        await busy.settle(Controller(repo=busy.mirror, forge=busy.forges["penstock"], clusters=busy.clusters, clock=busy.clock))
        await approve_all(busy)
    await busy.settle()
    assert await value(busy) == 20
