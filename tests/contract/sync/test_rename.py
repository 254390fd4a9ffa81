"""A renamed object replaces the old one, and the inventory follows."""

from __future__ import annotations


async def test_a_rename_creates_the_new_and_deletes_the_old(world, namespaced):
    await world.synced({"a.yaml": namespaced("a"), "x.yaml": namespaced("x")})
    status = await world.until_applied(world.push({"a.yaml": namespaced("renamed")}))
    await world.gone("ConfigMap", "a")
    assert await world.get("ConfigMap", "renamed") is not None
    names = [entry["id"].split("_")[1] for entry in status["inventory"]["entries"]]
    assert names == ["renamed", "x"]
