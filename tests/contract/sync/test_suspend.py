"""Suspended means: nothing is applied, nothing undone, nothing deleted."""

from __future__ import annotations

from penstock.model import flux


async def test_a_suspended_kustomization_stays_where_it_is_until_resumed(world, namespaced):
    await world.synced({"a.yaml": namespaced("a")})
    await world.patch(flux.KUSTOMIZATION, "app", {"spec": {"suspend": True}}, group=flux.KUSTOMIZE_GROUP)
    await world.settled()
    revision = world.push({"a.yaml": namespaced("a", "2")})

    async def fetched():
        return (await world.status("fleet", flux.GIT_REPOSITORY))["artifact"]["revision"] == revision

    await world.until(fetched, "the source has it")
    await world.settled()
    assert (await world.get("ConfigMap", "a"))["data"] == {"k": "1"}
    await world.patch(flux.KUSTOMIZATION, "app", {"spec": {"suspend": False}}, group=flux.KUSTOMIZE_GROUP)
    await world.until_applied(revision)
    assert (await world.get("ConfigMap", "a"))["data"] == {"k": "2"}


async def test_deleting_a_suspended_kustomization_keeps_its_objects(world, namespaced):
    await world.synced({"a.yaml": namespaced("a")})
    await world.patch(flux.KUSTOMIZATION, "app", {"spec": {"suspend": True}}, group=flux.KUSTOMIZE_GROUP)
    await world.delete(flux.KUSTOMIZATION, "app", group=flux.KUSTOMIZE_GROUP)
    await world.gone(flux.KUSTOMIZATION, "app", group=flux.KUSTOMIZE_GROUP)
    assert await world.get("ConfigMap", "a") is not None


async def test_a_suspension_ends_when_its_time_has_passed(world, namespaced):
    from datetime import UTC, datetime, timedelta

    from penstock.model import condition

    await world.synced({"a.yaml": namespaced("a")})
    end = condition.timestamp(datetime.now(UTC) + timedelta(seconds=4))
    marks = {flux.SUSPEND_UNTIL: end, flux.SUSPEND_REASON: "load test", flux.SUSPEND_BY: "dana"}
    change = {"metadata": {"annotations": marks}, "spec": {"suspend": True}}
    await world.patch("Kustomization", "app", change, group=flux.KUSTOMIZE_GROUP)
    revision = world.push({"a.yaml": namespaced("a", "2")})
    await world.until_applied(revision)
    found = await world.there("Kustomization", "app", group=flux.KUSTOMIZE_GROUP)
    assert datetime.now(UTC) >= datetime.fromisoformat(end), "nothing was applied before"
    assert found["spec"]["suspend"] is False
    assert not set(marks) & set(found["metadata"].get("annotations") or {})


async def test_a_suspension_until_no_time_lasts(world, namespaced):

    await world.synced({"a.yaml": namespaced("a")})
    change = {"metadata": {"annotations": {flux.SUSPEND_UNTIL: "after the holidays"}}, "spec": {"suspend": True}}
    await world.patch("Kustomization", "app", change, group=flux.KUSTOMIZE_GROUP)
    world.push({"a.yaml": namespaced("a", "2")})
    await world.settled()
    found = await world.there("Kustomization", "app", group=flux.KUSTOMIZE_GROUP)
    assert found["spec"]["suspend"] is True
