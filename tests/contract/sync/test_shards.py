"""Shards: each process works on the objects with its label, and may build from or depend on those of others."""

from __future__ import annotations

from penstock.model import flux

KEY = "sharding.fluxcd.io/key"


async def test_an_object_of_another_shard_is_left_alone(world, namespaced):
    world.options["label_selector"] = f"{KEY}=one"
    world.repo.commit({"a.yaml": namespaced("a")})
    await world.source()
    await world.kustomization("theirs")
    await world.start()
    await world.settled()
    assert "conditions" not in await world.status("theirs")
    assert "conditions" not in await world.status("fleet", flux.GIT_REPOSITORY)
    assert await world.get("ConfigMap", "a") is None


async def test_an_object_that_comes_to_the_shard_is_worked_on_and_one_that_leaves_is_not(world, namespaced):
    world.options["label_selector"] = f"{KEY}=one"
    commit = world.repo.commit({"a.yaml": namespaced("a")})
    await world.source()
    await world.kustomization()
    await world.start()
    label = {"metadata": {"labels": {KEY: "one"}}}
    await world.patch("GitRepository", "fleet", label, group=flux.SOURCE_GROUP)
    await world.patch("Kustomization", "app", label, group=flux.KUSTOMIZE_GROUP)
    await world.until_applied(f"main@sha1:{commit}")
    await world.patch("Kustomization", "app", {"metadata": {"labels": {KEY: "two"}}}, group=flux.KUSTOMIZE_GROUP)

    async def left_alone() -> bool:
        return all(each["kind"] != flux.KUSTOMIZATION for each in world.manager.known())

    await world.until(left_alone, "it belongs to nobody here")
    revision = world.push({"a.yaml": namespaced("a", "2")})

    async def fetched() -> bool:
        return (await world.status("fleet", flux.GIT_REPOSITORY))["artifact"]["revision"] == revision

    await world.until(fetched, "the source, which is still ours, is fetched")
    await world.settled()
    found = await world.there("ConfigMap", "a")
    assert found["data"] == {"k": "1"}, "left as it was, and not deleted"


async def test_it_builds_from_the_source_of_another_shard(world, namespaced):
    """The other shard's artifact is fetched over HTTP, as from Flux's source-controller."""
    commit = world.repo.commit({"a.yaml": namespaced("a")})
    await world.source()
    world.options["label_selector"] = f"!{KEY}"
    await world.start()

    async def fetched() -> bool:
        return bool((await world.status("fleet", flux.GIT_REPOSITORY)).get("artifact"))

    await world.until(fetched, "the source is fetched")
    first, first_task = world.manager, world._running
    world.options["label_selector"] = f"{KEY}=one"
    world.folder = world.folder / "second"
    await world.start()
    try:
        await world.kustomization()
        await world.patch("Kustomization", "app", {"metadata": {"labels": {KEY: "one"}}}, group=flux.KUSTOMIZE_GROUP)
        await world.until_applied(f"main@sha1:{commit}")
    finally:
        first.stop()
        await first_task
