"""A commit comes to be in the cluster, and the next one too."""

from __future__ import annotations

from penstock.model import flux


async def test_a_commit_is_applied_and_the_status_says_so_in_flux_words(world, namespaced):
    commit = world.repo.commit({"a.yaml": namespaced("a")})
    await world.source()
    await world.kustomization()
    await world.start()
    revision = f"main@sha1:{commit}"
    status = await world.until_applied(revision)

    found = await world.get("ConfigMap", "a")
    assert found["data"] == {"k": "1"}
    assert found["metadata"]["labels"] == {flux.OWNER_NAME: "app", flux.OWNER_NAMESPACE: world.namespace}
    assert status["inventory"] == {"entries": [{"id": f"{world.namespace}_a__ConfigMap", "v": "v1"}]}
    assert status["lastAttemptedRevision"] == revision
    assert status["observedGeneration"] == 1
    ready = await world.ready()
    assert (ready.reason, ready.message) == ("ReconciliationSucceeded", f"Applied revision: {revision}")
    assert status["history"][0]["metadata"]["revision"] == revision
    source = await world.status("fleet", flux.GIT_REPOSITORY)
    assert source["artifact"]["revision"] == revision
    assert source["artifact"]["digest"].startswith("sha256:")


async def test_the_next_commit_changes_what_differs_and_leaves_the_rest_alone(world, namespaced):
    world.repo.commit({"a.yaml": namespaced("a"), "b.yaml": namespaced("b")})
    await world.source()
    await world.kustomization()
    await world.start()
    await world.until_applied(await head(world))
    before = (await world.get("ConfigMap", "b"))["metadata"]["resourceVersion"]

    await world.until_applied(world.push({"a.yaml": namespaced("a", "2")}))

    assert (await world.get("ConfigMap", "a"))["data"] == {"k": "2"}
    assert (await world.get("ConfigMap", "b"))["metadata"]["resourceVersion"] == before


async def head(world) -> str:
    async def look():
        status = await world.status("fleet", flux.GIT_REPOSITORY)
        return (status.get("artifact") or {}).get("revision")

    return await world.until(look, "a revision")
