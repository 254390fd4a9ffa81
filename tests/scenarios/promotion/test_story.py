"""One change from dev to prod: opened when it ran healthy, merged when it was reviewed."""

from __future__ import annotations

import pytest
from promotion_fleet import Fleet


async def test_a_fresh_repository_has_nothing_to_promote(any_fleet: Fleet) -> None:
    fleet = any_fleet
    assert await fleet.settle() == []
    assert await fleet.drawing() == ""


@pytest.mark.row("M26")
async def test_a_change_travels_from_dev_to_prod_through_two_reviews(any_fleet: Fleet) -> None:
    fleet = any_fleet
    await fleet.raise_timeout()
    assert await fleet.settle() == [], "nothing is proposed before it ran"
    await fleet.syncs("dev")
    assert await fleet.settle() == ["open web -> staging"]
    pull = await fleet.the_pull()
    assert pull.title == "Promote web: dev → staging (raise checkout timeout to 20s)"
    assert "**Same configuration as dev@" in pull.body
    await fleet.approve(pull)
    assert (await fleet.settle())[0] == "merge web -> staging"
    assert "checkout_timeout: 20s" in await fleet.read("clusters/staging/apps/web/config.yaml")
    await fleet.syncs("staging")
    assert await fleet.settle() == ["open web -> prod"]
    pull = await fleet.the_pull()
    assert pull.title == "Promote web: staging → prod (raise checkout timeout to 20s)"
    await fleet.approve(pull)
    await fleet.settle()
    await fleet.syncs("prod")
    assert await fleet.settle() == []
    assert "checkout_timeout: 20s" in await fleet.read("clusters/prod/apps/web/config.yaml")
    assert await fleet.drawing() == (
        "#1 penstock/promote/staging/web merged: Promote web: dev → staging (raise checkout timeout to 20s)\n"
        "#2 penstock/promote/prod/web merged: Promote web: staging → prod (raise checkout timeout to 20s)"
    )
