"""What is as it was left costs nothing: no read, no dry-run, no write but the status."""

from __future__ import annotations

from collections import Counter

from penstock.model import flux


async def spent(world, work) -> Counter:
    await world.settled()
    before = Counter(world.cluster.requests)
    await work()
    await world.settled()
    return Counter(world.cluster.requests) - before


async def ask(world, token: str) -> None:
    mark = {"metadata": {"annotations": {flux.REQUESTED_AT: token}}}
    await world.patch(flux.KUSTOMIZATION, "app", mark, group=flux.KUSTOMIZE_GROUP)

    async def handled():
        return world.manager._watcher.objects[(world.namespace, "app")]["status"].get("lastHandledReconcileAt") == token

    await world.until(handled, "the request handled")


async def test_reconciling_an_unchanged_environment_writes_one_status_and_reads_nothing(world, namespaced):
    await world.synced({f"{index}.yaml": namespaced(f"m{index}") for index in range(40)})
    used = await spent(world, lambda: ask(world, "now"))
    # the patch that asks, and the status
    assert used["patch"] == 2, used
    assert used["patch?dryRun"] == used["get"] == used["list"] == used["delete"] == used["create"] == 0, used
    assert (await world.status())["lastHandledReconcileAt"] == "now"


async def test_one_changed_object_costs_the_same_however_many_there_are(world, namespaced):
    await world.synced({f"{index}.yaml": namespaced(f"m{index}") for index in range(40)})

    async def change() -> None:
        await world.until_applied(world.push({"7.yaml": namespaced("m7", "2")}))

    await world.settled()
    before = Counter(world.cluster.requests)
    await change()
    await world.settled()
    used = Counter(world.cluster.requests) - before
    assert used["patch?dryRun"] == 1, used
    # source status, progress, the object, final status
    assert used["patch"] <= 5, used
    assert used["list"] == 0, used


async def test_a_restart_reads_each_kind_once_and_writes_no_object(world, namespaced):
    await world.synced({f"{index}.yaml": namespaced(f"m{index}") for index in range(40)})
    versions = {name: (await world.get("ConfigMap", name))["metadata"]["resourceVersion"] for name in ("m0", "m39")}
    await world.kill()
    before = Counter(world.cluster.requests)
    await world.start()
    await world.settled()
    used = Counter(world.cluster.requests) - before
    assert used["patch?dryRun"] == 0, used
    assert used["patch"] <= 4, used
    assert {name: (await world.get("ConfigMap", name))["metadata"]["resourceVersion"] for name in versions} == versions


async def test_a_commit_that_touches_nothing_of_it_only_moves_the_revision(world, namespaced):
    await world.synced({"app/a.yaml": namespaced("a"), "else/readme.yaml": "x: 1\n"}, path="./app")
    version = (await world.get("ConfigMap", "a"))["metadata"]["resourceVersion"]
    revision = world.push({"else/readme.yaml": "x: 2\n"})
    await world.until_applied(revision)
    assert (await world.get("ConfigMap", "a"))["metadata"]["resourceVersion"] == version
