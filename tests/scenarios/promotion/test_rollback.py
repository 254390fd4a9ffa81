"""Back to an earlier state by pull request, and what was rolled back stays back until it changes."""

from __future__ import annotations

import pytest
from promotion_fleet import WEB, Fleet

from penstock.app import log, promote, rollback
from penstock.controllers.promotion_reverting import Reverting
from penstock.model import errors


async def promoted(fleet: Fleet) -> None:
    """A change came to staging."""
    await fleet.raise_timeout()
    await fleet.syncs("dev")
    await fleet.settle()
    await fleet.approve(await fleet.the_pull())
    await fleet.settle()
    await fleet.syncs("staging")
    assert await fleet.settle() == ["open web -> prod"]


async def merged(fleet: Fleet, found: Reverting) -> None:
    assert found.pull is not None
    pull = await fleet.forges["reviewer"].pull(found.pull.number)
    await fleet.forges["reviewer"].merge_pull(
        pull.number, sha=pull.head_sha, method="squash", title=found.title, message=found.message.partition("\n\n")[2]
    )


async def test_a_rolled_back_change_is_not_promoted_again_until_it_changes(fleet: Fleet) -> None:
    await promoted(fleet)
    found = await rollback.rollback(fleet.world(), "staging", "web")
    assert found.outcome is not None
    assert [(row.field, row.before, row.after) for row in found.outcome.rows] == [("data.checkout_timeout", "20s", "10s")]
    await merged(fleet, found)
    assert "close web -> prod" in await fleet.settle(), "what staging does not run any more does not go to prod"
    assert "checkout_timeout: 10s" in await fleet.read(WEB.format("staging") + "config.yaml")
    assert await fleet.pulls() == []
    (entry, *_) = log.log(fleet.mirror, "main", "staging")
    assert (entry.kind, entry.unit) == ("rollback", "web")
    await fleet.raise_timeout(to="15s", was="20s")
    await fleet.syncs("dev")
    assert await fleet.settle() == ["open web -> staging"]
    assert "`15s` | `10s` | **`15s`** | promoted" in (await fleet.the_pull()).body


async def test_a_person_may_ask_for_what_was_rolled_back(fleet: Fleet) -> None:
    await promoted(fleet)
    await merged(fleet, await rollback.rollback(fleet.world(), "staging", "web"))
    await fleet.settle()
    done = await promote.promote(fleet.world(), "web", "staging")
    assert [step.action for step in done.done] == ["open"]


async def test_other_apps_and_the_environments_own_files_stay(fleet: Fleet) -> None:
    await promoted(fleet)
    start = await fleet.git("rev-list", "--max-parents=0", "FETCH_HEAD")
    await fleet.edit("api", "clusters/staging/apps/api/config.yaml", "\ndata:\n", "\ndata:\n  extra: words\n")
    found = await rollback.rollback(fleet.world(), "staging", "web", to=start, dry_run=True)
    assert list(found.files) == [WEB.format("staging") + "config.yaml"]
    whole = await rollback.rollback(fleet.world(), "staging", None, to=start, dry_run=True)
    assert sorted(whole.files) == ["clusters/staging/apps/api/config.yaml", WEB.format("staging") + "config.yaml"]
    assert whole.units == ("api", "web")


async def test_what_cannot_be_taken_back_is_told(fleet: Fleet) -> None:
    for unit, to, told in (
        ("web", None, "no earlier state"),
        ("wob", None, "no app"),
        ("web", "nonsense", "no earlier revision"),
    ):
        with pytest.raises(errors.InputError, match=told):
            await rollback.rollback(fleet.world(), "staging", unit, to=to)
    with pytest.raises(errors.InputError, match="is the same"):
        await rollback.rollback(fleet.world(), "staging", "web", to="main")
