"""What is changed by hand is undone when it happens, not at the next interval (which is ten minutes here)."""

from __future__ import annotations


async def test_a_changed_value_is_set_back(world, namespaced):
    await world.synced({"a.yaml": namespaced("a")})
    await world.patch("ConfigMap", "a", {"data": {"k": "by hand"}}, manager="somebody")

    async def undone():
        return (await world.get("ConfigMap", "a"))["data"] == {"k": "1"}

    await world.until(undone, "the value set back", 10)


async def test_a_deleted_object_comes_back(world, namespaced):
    await world.synced({"a.yaml": namespaced("a")})
    before = (await world.get("ConfigMap", "a"))["metadata"]["uid"]
    await world.delete("ConfigMap", "a")

    async def back():
        found = await world.get("ConfigMap", "a")
        return found is not None and found["metadata"]["uid"] != before

    await world.until(back, "the object created again", 10)


async def test_owner_labels_taken_off_are_put_back(world, namespaced):
    await world.synced({"a.yaml": namespaced("a")})
    await world.patch("ConfigMap", "a", {"metadata": {"labels": None}}, manager="somebody")

    async def back():
        return ((await world.get("ConfigMap", "a"))["metadata"].get("labels") or {}).get("kustomize.toolkit.fluxcd.io/name")

    await world.until(back, "the labels are back", 10)


async def test_what_kubectl_added_is_removed(world, namespaced):
    await world.synced({"a.yaml": namespaced("a")})
    await world.patch("ConfigMap", "a", {"data": {"extra": "by hand"}}, manager="kubectl-edit")

    async def undone():
        return (await world.get("ConfigMap", "a"))["data"] == {"k": "1"}

    await world.until(undone, "the field removed", 10)


async def test_what_another_controller_added_stays(world, namespaced):
    await world.synced({"a.yaml": namespaced("a")})
    await world.patch("ConfigMap", "a", {"data": {"theirs": "x"}}, manager="autoscaler")
    await world.until_applied(world.push({"a.yaml": namespaced("a", "2")}))
    assert (await world.get("ConfigMap", "a"))["data"] == {"k": "2", "theirs": "x"}


async def test_an_object_marked_reconcile_disabled_keeps_its_drift(world, namespaced):
    await world.synced({"a.yaml": namespaced("a")})
    mark = {"kustomize.toolkit.fluxcd.io/reconcile": "disabled"}
    await world.patch("ConfigMap", "a", {"metadata": {"annotations": mark}, "data": {"k": "kept"}}, manager="somebody")
    await world.until_applied(world.push({"a.yaml": namespaced("a", "2")}))
    assert (await world.get("ConfigMap", "a"))["data"] == {"k": "kept"}
