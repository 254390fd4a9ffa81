"""What leaves Git leaves the cluster, unless it is marked, somebody else's, or too grave to go unasked."""

from __future__ import annotations

from penstock.model import flux

KEEP = "  annotations: {kustomize.toolkit.fluxcd.io/prune: disabled}\n"


async def test_a_removed_file_is_pruned(world, namespaced):
    await world.synced({"a.yaml": namespaced("a"), "b.yaml": namespaced("b")})
    status = await world.until_applied(world.push({"b.yaml": None}))
    await world.gone("ConfigMap", "b")
    assert await world.get("ConfigMap", "a") is not None
    assert [entry["id"] for entry in status["inventory"]["entries"]] == [f"{world.namespace}_a__ConfigMap"]


async def test_a_removed_object_marked_prune_disabled_stays(world, namespaced):
    await world.synced({"a.yaml": namespaced("a"), "b.yaml": namespaced("b", extra=KEEP)})
    status = await world.until_applied(world.push({"b.yaml": None}))
    assert await world.get("ConfigMap", "b") is not None
    assert len(status["inventory"]["entries"]) == 1


async def test_without_prune_objects_stay_and_turning_it_on_finds_them(world, namespaced):
    await world.synced({"a.yaml": namespaced("a"), "b.yaml": namespaced("b")}, prune=False)
    await world.until_applied(world.push({"b.yaml": None}))
    assert await world.get("ConfigMap", "b") is not None
    await world.patch(flux.KUSTOMIZATION, "app", {"spec": {"prune": True}}, group=flux.KUSTOMIZE_GROUP)
    await world.gone("ConfigMap", "b")


async def test_an_object_that_another_kustomization_took_over_is_not_deleted(world, namespaced):
    """A file moves from one Kustomization's folder to another's: handed over, never deleted in between."""
    world.repo.commit({"one/a.yaml": namespaced("a"), "one/x.yaml": namespaced("x"), "two/b.yaml": namespaced("b")})
    await world.source()
    await world.kustomization("one", path="./one")
    await world.kustomization("two", path="./two")
    await world.start()
    await world.there("ConfigMap", "a")
    await world.there("ConfigMap", "b")
    await world.settled()
    uid = (await world.get("ConfigMap", "a"))["metadata"]["uid"]
    revision = world.push({"one/a.yaml": None, "two/a.yaml": namespaced("a")})
    await world.until_applied(revision, "one")
    await world.until_applied(revision, "two")
    await world.settled()

    async def theirs():
        found = await world.get("ConfigMap", "a")
        return found is not None and found["metadata"]["labels"][flux.OWNER_NAME] == "two"

    await world.until(theirs, "owned by the other")
    if (await world.get("ConfigMap", "a"))["metadata"]["uid"] != uid:
        raise AssertionError("the object was deleted and created again instead of handed over")

    async def let_go():
        entries = (await world.status("one"))["inventory"]["entries"]
        return [entry["id"] for entry in entries] == [f"{world.namespace}_x__ConfigMap"]

    await world.until(let_go, "no longer in the first one's inventory", 5)


async def test_a_prune_of_everything_waits_for_consent_to_exactly_that(world, namespaced):
    files = {f"{name}.yaml": namespaced(name) for name in "abcd"}
    await world.synced({**files, "kustomization.yaml": "resources: [a.yaml, b.yaml, c.yaml, d.yaml]\n"})
    world.push({"kustomization.yaml": "resources: [e.yaml]\n", "e.yaml": namespaced("e")})
    message = await world.until_failed("PruneFailed")
    assert "it would delete everything (4 objects)" in message
    for name in "abcd":
        assert await world.get("ConfigMap", name) is not None
    assert len((await world.status())["inventory"]["entries"]) == 5

    wrong = {"metadata": {"annotations": {flux.PRUNE_CONSENT: "0" * 16}}}
    await world.patch(flux.KUSTOMIZATION, "app", wrong, group=flux.KUSTOMIZE_GROUP)
    await world.settled()
    assert await world.get("ConfigMap", "a") is not None

    world.push({"e.yaml": namespaced("e", "2")})

    async def applied():
        return (await world.get("ConfigMap", "e"))["data"] == {"k": "2"}

    await world.until(applied, "the next commit is applied")
    await world.settled()
    assert await world.get("ConfigMap", "a") is not None, "a later commit let the held prune go"
    message = await world.until_failed("PruneFailed")

    consent = message.rpartition(f"{flux.PRUNE_CONSENT}=")[2]
    right = {"metadata": {"annotations": {flux.PRUNE_CONSENT: consent}}}
    await world.patch(flux.KUSTOMIZATION, "app", right, group=flux.KUSTOMIZE_GROUP)
    for name in "abcd":
        await world.gone("ConfigMap", name)


async def test_a_removed_namespace_waits_for_consent(world, namespaced):
    other = f"{world.namespace}-x"
    namespace = f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {other}}}\n"
    await world.synced({"a.yaml": namespaced("a"), "ns.yaml": namespace})
    world.push({"ns.yaml": None})
    message = await world.until_failed("PruneFailed")
    assert f"Namespace/{other}" in message
    found = await world.get("Namespace", other)
    assert "deletionTimestamp" not in found["metadata"]


async def test_the_guard_can_be_turned_off_as_flux_has_none(world, namespaced):
    await world.synced({f"{name}.yaml": namespaced(name) for name in "abcd"}, annotations={flux.PRUNE_GUARD: "disabled"})
    await world.until_applied(world.push({f"{name}.yaml": None for name in "abcd"} | {"e.yaml": namespaced("e")}))
    for name in "abcd":
        await world.gone("ConfigMap", name)
