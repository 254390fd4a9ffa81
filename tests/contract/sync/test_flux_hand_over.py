"""A cluster that Flux synced is taken over without one object being touched, and can be given back."""

from __future__ import annotations

from penstock.model import flux


def as_flux(world, name: str) -> dict:
    labels = {flux.OWNER_NAME: "app", flux.OWNER_NAMESPACE: world.namespace}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": world.namespace, "labels": labels},
        "data": {"k": "1"},
    }


async def test_objects_that_flux_wrote_are_not_touched_and_its_inventory_is_read(world, namespaced):
    for name in ("a", "b", "stale"):
        await world.apply(as_flux(world, name), manager="kustomize-controller")
    commit = world.repo.commit({"a.yaml": namespaced("a"), "b.yaml": namespaced("b")})
    await world.source()
    await world.kustomization()
    entries = [{"id": f"{world.namespace}_{name}__ConfigMap", "v": "v1"} for name in ("a", "b", "stale")]
    status = {
        "inventory": {"entries": entries},
        "observedGeneration": 1,
        "lastAppliedRevision": "main@sha1:0000000000000000000000000000000000000000",
    }
    await world.patch(
        flux.KUSTOMIZATION,
        "app",
        {"status": status},
        group=flux.KUSTOMIZE_GROUP,
        manager="gotk-kustomize-controller",
        subresource="status",
    )
    before = {name: (await world.get("ConfigMap", name))["metadata"] for name in ("a", "b")}

    await world.start()
    status = await world.until_applied(f"main@sha1:{commit}")

    for name, metadata in before.items():
        assert (await world.get("ConfigMap", name))["metadata"] == metadata
    await world.gone("ConfigMap", "stale")
    assert status["inventory"]["entries"] == entries[:2]
    owners = {
        entry["manager"]
        for entry in (await world.get("ConfigMap", "a"))["metadata"]["managedFields"]
        if entry["operation"] == "Apply"
    }
    assert owners == {"kustomize-controller"}
