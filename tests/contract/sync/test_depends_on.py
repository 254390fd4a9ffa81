"""dependsOn waits for the other to be ready at the same revision, and goes on by event."""

from __future__ import annotations

from penstock.model import flux


async def test_a_missing_dependency_holds_back_and_its_coming_lets_go(world, namespaced):
    commit = world.repo.commit({"base/a.yaml": namespaced("a"), "app/b.yaml": namespaced("b")})
    await world.source()
    await world.kustomization(path="./app", dependsOn=[{"name": "base"}])
    await world.start()
    message = await world.until_failed("DependencyNotReady")
    assert message == f"dependency '{world.namespace}/base' not found"
    assert await world.get("ConfigMap", "b") is None

    await world.kustomization("base", path="./base")
    # the retry is at 30 s: only an event brings it in time
    await world.until_applied(f"main@sha1:{commit}", seconds=15)
    assert await world.get("ConfigMap", "b") is not None


async def test_a_failing_dependency_holds_back_new_revisions_but_not_garbage_collection(world, namespaced):
    commit = world.repo.commit({"base/a.yaml": namespaced("a"), "app/b.yaml": namespaced("b")})
    await world.source()
    await world.kustomization("base", path="./base")
    await world.kustomization(path="./app", dependsOn=[{"name": "base"}])
    await world.start()
    await world.until_applied(f"main@sha1:{commit}")
    world.push({"base/a.yaml": "kind: [\n", "app/b.yaml": namespaced("b", "2")})
    await world.until_failed("BuildFailed", "base")
    await world.until_failed("DependencyNotReady")
    assert (await world.get("ConfigMap", "b"))["data"] == {"k": "1"}
    await world.delete(flux.KUSTOMIZATION, "app", group=flux.KUSTOMIZE_GROUP)
    await world.gone("ConfigMap", "b")
