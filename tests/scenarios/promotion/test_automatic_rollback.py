"""A promotion that runs sick is taken back by itself where the pipeline says so: once, with its own verdict, and not where
going back would mend nothing."""

from __future__ import annotations

import pytest
from promotion_fleet import WEB, Fleet

from penstock.app import log
from penstock.model.errors import RefusedError

PIPELINE = """\
apiVersion: penstock.dev/v1alpha1
kind: Pipeline
spec:
  environments:
  - name: dev
  - name: staging
    promoteFrom: [dev]
    rollback: {{onFailure: {how}, after: 10m}}
"""
DEPLOYMENT = WEB.format("dev") + "deployment.yaml"
STAGING = WEB.format("staging") + "config.yaml"


async def promoted(fleet: Fleet, how: str = "propose") -> None:
    """A change came to staging, where everything ran healthy before."""
    await fleet.commit("pipeline", {"penstock.yaml": PIPELINE.format(how=how)})
    await fleet.syncs("staging")
    await fleet.raise_timeout()
    await fleet.syncs("dev")
    await fleet.settle()
    fleet.clock.turn(minutes=5)
    await fleet.approve(await fleet.the_pull())
    await fleet.settle()
    assert "checkout_timeout: 20s" in await fleet.read(STAGING)


async def test_a_promotion_that_runs_sick_for_long_enough_is_proposed_to_go_back(any_fleet: Fleet) -> None:
    fleet = any_fleet
    await promoted(fleet)
    await fleet.runs("staging", sick="web")
    report = await fleet.controller().once()
    assert report.due is not None and await fleet.settle() == [], "not at once: it may still come up"
    fleet.clock.turn(minutes=11)
    assert await fleet.settle() == ["open rollback of web -> staging"]
    pull = await fleet.the_pull()
    assert pull.title.startswith("Roll back web in staging to ")
    assert "**Why:** Deployment/web " in pull.body and "for 11 min since it came with" in pull.body
    assert "`20s` | **`10s`** |" in pull.body, "with a verdict of its own"
    assert await fleet.settle() == [], "and once"
    assert "checkout_timeout: 20s" in await fleet.read(STAGING), "it is a proposal"


async def test_where_the_pipeline_says_so_it_is_merged_and_what_went_back_stays_back(fleet: Fleet) -> None:
    await promoted(fleet, "merge")
    await fleet.runs("staging", sick="web")
    fleet.clock.turn(minutes=11)
    assert await fleet.settle() == ["open rollback of web -> staging", "merge rollback of web -> staging"]
    assert "checkout_timeout: 10s" in await fleet.read(STAGING)
    (entry, *_) = log.log(fleet.mirror, "main", "staging")
    assert (entry.kind, entry.unit) == ("rollback", "web")
    await fleet.syncs("staging")
    fleet.clock.turn(hours=5)
    assert await fleet.settle() == [], "the same content is not promoted again"
    await fleet.raise_timeout(to="15s", was="20s")
    await fleet.syncs("dev")
    assert await fleet.settle() == ["open web -> staging"], "another one is"


async def test_it_never_goes_round_in_circles(fleet: Fleet) -> None:
    """What the rollback brought runs sick as well: it was not the promotion's fault, and nothing more is taken back."""
    await promoted(fleet, "merge")
    await fleet.runs("staging", sick="web")
    fleet.clock.turn(minutes=11)
    await fleet.settle()
    await fleet.runs("staging", sick="web")
    fleet.clock.turn(hours=5)
    assert await fleet.settle() == []
    assert await fleet.pulls() == []


async def test_a_failure_that_was_there_before_the_promotion_takes_nothing_back(fleet: Fleet) -> None:
    await fleet.commit("pipeline", {"penstock.yaml": PIPELINE.format(how="merge")})
    await fleet.runs("staging", sick="web")
    fleet.clock.turn(minutes=5)
    await fleet.raise_timeout()
    await fleet.syncs("dev")
    await fleet.settle()
    await fleet.approve(await fleet.the_pull())
    await fleet.settle()
    await fleet.runs("staging", sick="web")
    fleet.clock.turn(hours=1)
    assert await fleet.settle() == []


async def test_what_fails_upstream_too_is_not_taken_back(fleet: Fleet) -> None:
    await promoted(fleet, "merge")
    await fleet.runs("dev", sick="web")
    await fleet.runs("staging", sick="web")
    fleet.clock.turn(minutes=30)
    assert await fleet.settle() == []


async def test_another_apps_failure_takes_nothing_back(fleet: Fleet) -> None:
    await promoted(fleet, "merge")
    await fleet.runs("staging", sick="api")
    fleet.clock.turn(minutes=30)
    assert await fleet.settle() == []


async def test_what_somebody_changed_since_is_theirs_to_mend(fleet: Fleet) -> None:
    await promoted(fleet, "merge")
    await fleet.edit("by hand", STAGING, "checkout_timeout: 20s", "checkout_timeout: 25s")
    await fleet.runs("staging", sick="web")
    fleet.clock.turn(minutes=30)
    assert [step for step in await fleet.settle() if "rollback" in step] == []


async def test_what_becomes_healthy_again_is_not_taken_back(fleet: Fleet) -> None:
    await promoted(fleet)
    await fleet.runs("staging", sick="web")
    fleet.clock.turn(minutes=11)
    await fleet.settle()
    await fleet.syncs("staging")
    assert await fleet.settle() == ["close rollback of web -> staging"]
    assert await fleet.pulls() == []


async def test_a_proposal_that_a_person_closed_is_not_made_again(fleet: Fleet) -> None:
    await promoted(fleet)
    await fleet.runs("staging", sick="web")
    fleet.clock.turn(minutes=11)
    await fleet.settle()
    await fleet.forges["reviewer"].update_pull((await fleet.the_pull()).number, state="closed")
    fleet.clock.turn(minutes=11)
    assert await fleet.settle() == []


async def test_in_a_freeze_it_is_proposed_and_waits_for_a_person(fleet: Fleet) -> None:
    await promoted(fleet, "merge")
    freeze = "apiVersion: penstock.dev/v1alpha1\nkind: Freeze\nspec: {environments: [staging], reason: fair}\n"
    await fleet.commit("freeze", {".penstock/freeze.yaml": freeze})
    await fleet.runs("staging", sick="web")
    fleet.clock.turn(minutes=11)
    assert await fleet.settle() == ["open rollback of web -> staging"]
    await fleet.commit("thaw", {".penstock/freeze.yaml": None})
    assert await fleet.settle() == ["merge rollback of web -> staging"]


async def test_without_the_rule_nothing_is_taken_back(fleet: Fleet) -> None:
    await promoted(fleet, '"off"')
    await fleet.runs("staging", sick="web")
    fleet.clock.turn(days=1)
    assert await fleet.settle() == []


@pytest.mark.parametrize("lost", ["open_pull", "merge_pull"])
async def test_a_crash_in_between_leaves_one_pull_request_and_one_merge(fleet: Fleet, lost: str) -> None:
    await promoted(fleet, "merge")
    await fleet.runs("staging", sick="web")
    fleet.clock.turn(minutes=11)

    class Crashing:
        """A forge that does as it is told once, and whose answer is lost."""

        def __getattr__(self, name: str) -> object:
            real = getattr(fleet.forges["penstock"], name)
            if name != lost:
                return real

            async def crash(*arguments: object, **more: object) -> None:
                await real(*arguments, **more)
                raise KeyboardInterrupt

            return crash

    for _ in range(3):
        try:
            await fleet.controller(forge=Crashing()).once()  # type: ignore[arg-type]
        except KeyboardInterrupt:
            break
    await fleet.settle()
    found = [one for one in await fleet.pulls("all") if one.head.startswith("penstock/rollback/")]
    assert [one.state for one in found] == ["merged"]
    assert "checkout_timeout: 10s" in await fleet.read(STAGING)
    with pytest.raises(RefusedError):
        await fleet.forges["penstock"].pull(found[0].number + 1)
