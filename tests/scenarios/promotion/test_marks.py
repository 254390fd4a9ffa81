"""Freezes, holds and approvals by commands: files in Git that say who and why, and people as themselves."""

from __future__ import annotations

from datetime import timedelta

import pytest
from promotion_fleet import WEB, Fleet

from penstock.app import approve, marking
from penstock.app.world import World
from penstock.model import errors

ANN = marking.Person(name="Ann", email="ann@shop.example")


async def opened(fleet: Fleet) -> None:
    await fleet.raise_timeout()
    await fleet.syncs("dev")
    assert await fleet.settle() == ["open web -> staging"]


def person(fleet: Fleet, user: str) -> World:
    from dataclasses import replace

    return replace(fleet.world(), forge=fleet.forges[user])


async def test_a_freeze_is_a_commit_with_its_author_and_stops_the_merge_until_it_is_taken_away(any_fleet: Fleet) -> None:
    fleet = any_fleet
    await opened(fleet)
    marked = await marking.freeze(fleet.world(), "staging", reason="summer fair", until=None, by=ANN)
    assert marked.pull is None
    commit = fleet.mirror.commit(marked.commit)
    assert (commit.author.name, commit.subject) == ("Ann", "Freeze staging: summer fair")
    await fleet.approve(await fleet.the_pull())
    await fleet.settle()
    assert "frozen by Ann: summer fair" in (await fleet.the_pull()).body
    await marking.unfreeze(fleet.world(), "staging", by=ANN)
    assert "merge web -> staging" in await fleet.settle()


async def test_a_freeze_ends_by_itself(fleet: Fleet) -> None:
    await opened(fleet)
    until = fleet.clock.now() + timedelta(hours=2)
    await marking.freeze(fleet.world(), "staging", reason="fair", until=until, by=ANN)
    await fleet.approve(await fleet.the_pull())
    await fleet.settle()
    assert (await fleet.the_pull()).state == "open"
    fleet.clock.turn(hours=2)
    assert "merge web -> staging" in await fleet.settle()


async def test_an_app_that_is_held_is_not_opened_until_it_is_released(fleet: Fleet) -> None:
    await marking.hold(fleet.world(), "web", environments=["staging"], reason='odd: "looks"', until=None, by=ANN)
    await fleet.raise_timeout()
    await fleet.syncs("dev")
    assert await fleet.settle() == []
    await marking.release(fleet.world(), "web", by=ANN)
    await fleet.syncs("dev")
    assert await fleet.settle() == ["open web -> staging"]


async def test_one_change_is_held_back_and_what_came_before_it_goes(fleet: Fleet) -> None:
    """What is asked for again and again: skip this one change, not all of them."""
    await fleet.raise_timeout(to="20s")
    await fleet.syncs("dev")
    bad = await fleet.raise_timeout(to="30s", was="20s")
    await fleet.syncs("dev")
    await marking.hold(fleet.world(), bad[:8], environments=[], reason="slow", until=None, by=ANN)
    assert await fleet.settle() == ["open web -> staging"]
    await fleet.approve(await fleet.the_pull())
    await fleet.settle()
    assert "checkout_timeout: 20s" in await fleet.read(WEB.format("staging") + "config.yaml")
    await marking.release(fleet.world(), bad[:8], by=ANN)
    assert "open web -> staging" in await fleet.settle()


async def test_one_field_is_held_back_while_the_rest_goes_and_goes_once_it_is_released(any_fleet: Fleet) -> None:
    fleet = any_fleet
    field = "data.checkout_timeout"
    await marking.hold(fleet.world(), "web", environments=[], reason="slow", until=None, by=ANN, field=field)
    dev, staging = (WEB.format(env) + "config.yaml" for env in ("dev", "staging"))
    text = (await fleet.read(dev)).replace("checkout_timeout: 10s", "checkout_timeout: 20s").replace("http://api", "http://other")
    await fleet.commit("slower, elsewhere", {dev: text})
    await fleet.syncs("dev")
    assert await fleet.settle() == ["open web -> staging"]
    pull = await fleet.the_pull()
    assert "kept, declared in .penstock/hold-web-" in pull.body
    await fleet.approve(pull)
    await fleet.settle()
    here = await fleet.read(staging)
    assert "http://other" in here and "checkout_timeout: 10s" in here
    # Another change goes while the field is still held, so what it is compared with must not be forgotten.
    await fleet.edit("again", dev, "http://other", "http://third")
    await fleet.syncs("dev")
    await fleet.settle()
    await fleet.approve(await fleet.the_pull())
    await fleet.settle()
    here = await fleet.read(staging)
    assert "http://third" in here and "checkout_timeout: 10s" in here
    await fleet.syncs("dev")
    assert await fleet.settle() == [], "nothing but the held field is left"
    await marking.release(fleet.world(), "web", by=ANN, field=field)
    await fleet.syncs("dev")
    assert await fleet.settle() == ["open web -> staging"]
    pull = await fleet.the_pull()
    assert "`20s` | `10s` | **`20s`** | promoted" in pull.body and "slower, elsewhere" in pull.body
    await fleet.approve(pull)
    await fleet.settle()
    here = await fleet.read(staging)
    assert "http://third" in here and "checkout_timeout: 20s" in here
    await fleet.syncs("dev")
    await fleet.syncs("staging")
    assert [step for step in await fleet.settle() if "staging" in step] == []


async def test_on_a_protected_branch_it_is_proposed(fleet: Fleet) -> None:
    refused = _Protected(fleet.mirror)
    from dataclasses import replace

    world = replace(fleet.world(), repo=refused)  # type: ignore[arg-type]
    marked = await marking.freeze(world, "staging", reason="fair", until=None, by=ANN)
    assert marked.pull is not None and marked.pull.title == "Freeze staging: fair"


class _Protected:
    """A repository whose main branch takes no direct commits."""

    def __init__(self, repo: object) -> None:
        self._repo = repo

    def __getattr__(self, name: str) -> object:
        return getattr(self._repo, name)

    async def push(self, branch: str, commit: object, *, expect: object) -> None:
        if branch == "main":
            raise errors.RefusedError("the server refused the push of main: protected", code="PushRefused")
        await self._repo.push(branch, commit, expect=expect)  # type: ignore[attr-defined]


async def test_what_is_not_there_or_not_alone_is_told(fleet: Fleet) -> None:
    world = fleet.world()
    for call, told in (
        (marking.unfreeze(world, "staging", by=ANN), "staging is not frozen"),
        (marking.release(world, "web", by=ANN), "web is not held back"),
        (marking.freeze(world, "stagin", reason="x", until=None, by=ANN), "no environment 'stagin'"),
        (marking.hold(world, "wob", environments=[], reason="x", until=None, by=ANN), "no app 'wob'"),
        (marking.hold(world, "abcdef0", environments=[], reason="x", until=None, by=ANN), "no app 'abcdef0'"),
    ):
        with pytest.raises(errors.InputError, match=told):
            await call
    freeze = "apiVersion: penstock.dev/v1alpha1\nkind: Freeze\nspec: {reason: all of them}\n"
    await fleet.commit("freeze all", {".penstock/all.yaml": freeze})
    with pytest.raises(errors.InputError, match="says more than that"):
        await marking.unfreeze(world, "staging", by=ANN)


async def test_a_person_approves_what_is_there_now_as_themselves(any_fleet: Fleet) -> None:
    fleet = any_fleet
    await opened(fleet)
    looked = await approve.approve(person(fleet, "reviewer"), "web", "staging", dry_run=True)
    assert [one.state for one in looked.case.verdicts if one.gate == "approvals"] == ["waiting"]
    done = await approve.approve(person(fleet, "reviewer"), "web", "staging")
    assert done.by == "reviewer"
    assert all(one.state == "passed" for one in done.case.verdicts)
    assert (await fleet.settle())[0] == "merge web -> staging"


async def test_an_approval_needs_one_promotion(fleet: Fleet) -> None:
    with pytest.raises(errors.InputError, match="no pull request brings web to anywhere"):
        await approve.approve(person(fleet, "reviewer"), "web")
    with pytest.raises(errors.InputError, match="#9 is no open promotion"):
        await approve.approve(person(fleet, "reviewer"), "#9")
