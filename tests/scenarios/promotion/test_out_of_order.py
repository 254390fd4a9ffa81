"""What moves in another order than the pipeline would like: breaks, rollbacks upstream, no-op steps, older content."""

from __future__ import annotations

import pytest
from promotion_fleet import WEB, Fleet

PIPELINE = "penstock.yaml"


async def in_staging(fleet: Fleet, *, to: str = "20s", was: str = "10s", healthy: bool = True) -> None:
    """A change came from dev to staging, and runs there."""
    await fleet.raise_timeout(to=to, was=was)
    await fleet.syncs("dev")
    await fleet.settle()
    await fleet.approve(next(pull for pull in await fleet.pulls() if pull.head.endswith("staging/web")))
    await fleet.settle()
    await fleet.syncs("staging", healthy=healthy)


@pytest.mark.row("M07")
async def test_a_commit_that_changes_nothing_in_the_middle_does_not_carry_a_sick_change_past_it(fleet: Fleet) -> None:
    await in_staging(fleet, healthy=False)
    assert await fleet.settle() == [], "sick in staging"
    await fleet.commit("words", {"docs/note.md": "hello\n"})
    await fleet.edit("api", "clusters/staging/apps/api/config.yaml", "\ndata:\n", "\ndata:\n  extra: words\n")
    await fleet.syncs("staging", healthy=False)
    assert [step for step in await fleet.settle() if step.endswith("web -> prod")] == []
    fleet.clock.turn(minutes=1)
    await fleet.syncs("staging")
    assert "open web -> prod" in await fleet.settle()


@pytest.mark.row("M07")
async def test_a_step_in_which_nothing_can_change_lets_nothing_past_it(fleet: Fleet) -> None:
    """Staging declares the very field as its own, so the change ends there: prod is promoted from staging, not from dev."""
    await fleet.edit(
        "own", PIPELINE, "  - name: staging\n", "  - name: staging\n    differences: ['#ConfigMap/web data.checkout_timeout']\n"
    )
    await fleet.raise_timeout()
    await fleet.syncs("dev")
    await fleet.syncs("staging")
    assert await fleet.settle() == []
    assert await fleet.drawing() == ""


@pytest.mark.row("M08")
async def test_an_older_change_that_ends_later_does_not_go_over_a_newer_one(fleet: Fleet) -> None:
    """The newer content is in staging when somebody reopens the pull request of the older one: it stays out."""
    await fleet.raise_timeout()
    await fleet.syncs("dev")
    await fleet.settle()
    old = await fleet.the_pull()
    await fleet.raise_timeout(to="30s", was="20s")
    await fleet.syncs("dev")
    await fleet.settle()
    await fleet.approve(await fleet.the_pull())
    await fleet.settle()
    assert (await fleet.forges["penstock"].pull(old.number)).state == "merged"
    await fleet.syncs("dev", commit=await fleet.git("rev-list", "-1", "--skip=2", "FETCH_HEAD"))
    assert await fleet.settle() == [], "dev shows an older revision for a moment"
    assert "checkout_timeout: 30s" in await fleet.read(WEB.format("staging") + "config.yaml")


@pytest.mark.row("M09")
async def test_what_is_rolled_back_upstream_is_not_promoted(fleet: Fleet) -> None:
    await in_staging(fleet)
    assert await fleet.settle() == ["open web -> prod"]
    await fleet.raise_timeout("staging", to="10s", was="20s")
    assert "close web -> prod" in await fleet.settle()
    assert [pull.head for pull in await fleet.pulls() if pull.head.endswith("prod/web")] == []


@pytest.mark.row("M10")
async def test_a_failure_during_the_soak_begins_it_anew(fleet: Fleet) -> None:
    await fleet.edit("soak", PIPELINE, "  - name: staging\n", "  - name: staging\n    gates: {soak: 30m, approvals: 0}\n")
    await fleet.raise_timeout()
    await fleet.syncs("dev")
    await fleet.settle()
    fleet.clock.turn(minutes=20)
    await fleet.syncs("dev", healthy=False)
    await fleet.settle()
    fleet.clock.turn(minutes=5)
    await fleet.syncs("dev")
    fleet.clock.turn(minutes=29)
    assert "merge web -> staging" not in await fleet.settle(), "25 + 29 minutes, and a failure in between"
    fleet.clock.turn(minutes=1)
    assert "merge web -> staging" in await fleet.settle()


@pytest.mark.row("M31")
async def test_what_is_suspended_or_only_partly_applied_upstream_is_no_evidence(fleet: Fleet) -> None:
    await fleet.raise_timeout()
    tip = await fleet.syncs("dev")
    cluster = fleet.clusters[next(iter(fleet.clusters))]
    resource = await cluster.resource("kustomize.toolkit.fluxcd.io", "Kustomization", "v1")
    assert resource is not None
    await cluster.patch(resource, "flux-system", "dev", {"spec": {"suspend": True}}, kind="merge")
    assert await fleet.settle() == [], "suspended"
    await cluster.patch(resource, "flux-system", "dev", {"spec": {"suspend": False}}, kind="merge")
    live = await cluster.get(resource, "flux-system", "dev")
    assert live is not None
    status = {"observedGeneration": live["metadata"]["generation"], "lastAttemptedRevision": f"main@sha1:{'0' * 40}"}
    await cluster.patch(resource, "flux-system", "dev", {"status": status}, kind="merge", subresource="status")
    assert await fleet.settle() == [], "something else is being applied"
    await fleet.syncs("dev", commit=tip)
    assert await fleet.settle() == ["open web -> staging"]
