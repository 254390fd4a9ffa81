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
