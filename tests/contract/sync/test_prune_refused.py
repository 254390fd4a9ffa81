"""A delete that the server refuses stays to be done; what is on its way out is done."""

from __future__ import annotations

import pytest

from penstock.model import flux

real_only = pytest.mark.parametrize("cluster", [pytest.param("real", marks=pytest.mark.real)], indirect=True)
RBAC = "rbac.authorization.k8s.io"


async def allow(world, *verbs: str) -> None:
    metadata = {"name": "tenant", "namespace": world.namespace}
    await world.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": list(verbs)}]
    await world.apply({"apiVersion": f"{RBAC}/v1", "kind": "Role", "metadata": metadata, "rules": rules})
    subject = {"kind": "ServiceAccount", **metadata}
    role = {"apiGroup": RBAC, "kind": "Role", "name": "tenant"}
    await world.apply(
        {"apiVersion": f"{RBAC}/v1", "kind": "RoleBinding", "metadata": metadata, "roleRef": role, "subjects": [subject]}
    )


def ids(status: dict) -> list[str]:
    return [entry["id"] for entry in status["inventory"]["entries"]]


@real_only
async def test_a_refused_delete_stays_in_the_inventory_until_it_succeeds(world, namespaced):
    await allow(world, "get", "create", "patch")
    await world.synced({"a.yaml": namespaced("a"), "b.yaml": namespaced("b")}, serviceAccountName="tenant")
    revision = world.push({"b.yaml": None})
    message = await world.until_failed("PruneFailed")
    assert "delete failed" in message and f"ConfigMap/{world.namespace}/b" in message
    assert ids(await world.status()) == [f"{world.namespace}_{name}__ConfigMap" for name in ("a", "b")]
    await allow(world, "get", "create", "patch", "delete")
    await world.until_applied(revision)
    assert ids(await world.status()) == [f"{world.namespace}_a__ConfigMap"]
    assert await world.get("ConfigMap", "b") is None


async def test_an_object_with_a_finalizer_leaves_the_inventory_once_its_delete_is_accepted(world, namespaced):
    await world.synced({"a.yaml": namespaced("a"), "b.yaml": namespaced("b")})
    await world.patch("ConfigMap", "b", {"metadata": {"finalizers": ["test.example/hold"]}}, manager="somebody")
    await world.until_applied(world.push({"b.yaml": None}))
    assert ids(await world.status()) == [f"{world.namespace}_a__ConfigMap"]
    assert (await world.get("ConfigMap", "b"))["metadata"]["deletionTimestamp"]
    await world.patch("ConfigMap", "b", {"metadata": {"finalizers": []}}, manager="somebody")
    await world.gone("ConfigMap", "b")


async def test_objects_of_a_kustomization_deleted_while_suspended_stay(world, namespaced):
    await world.synced({"a.yaml": namespaced("a")})
    await world.patch(flux.KUSTOMIZATION, "app", {"spec": {"suspend": True}}, group=flux.KUSTOMIZE_GROUP)
    await world.settled()
    await world.delete(flux.KUSTOMIZATION, "app", group=flux.KUSTOMIZE_GROUP)
    await world.gone(flux.KUSTOMIZATION, "app", group=flux.KUSTOMIZE_GROUP)
    assert await world.get("ConfigMap", "a") is not None


async def test_an_object_marked_as_not_applied_survives_the_last_prune_and_one_created_once_does_not(world, namespaced):
    ignore = "  annotations: {kustomize.toolkit.fluxcd.io/ssa: Ignore}\n"
    once = "  annotations: {kustomize.toolkit.fluxcd.io/ssa: IfNotPresent}\n"
    await world.synced({"a.yaml": namespaced("a"), "b.yaml": namespaced("b", "1", once)})
    await world.until_applied(world.push({"a.yaml": namespaced("a", "1", ignore)}))
    await world.patch("ConfigMap", "a", {"metadata": {"annotations": {flux.SSA: "Ignore"}}}, manager="somebody")
    await world.delete(flux.KUSTOMIZATION, "app", group=flux.KUSTOMIZE_GROUP)
    await world.gone(flux.KUSTOMIZATION, "app", group=flux.KUSTOMIZE_GROUP)
    assert await world.get("ConfigMap", "a") is not None
    assert await world.get("ConfigMap", "b") is None


async def test_a_kustomization_deleted_before_anything_ever_worked_does_not_hang(world):
    await world.kustomization()
    await world.start()
    await world.until_failed("ArtifactFailed")
    await world.delete(flux.KUSTOMIZATION, "app", group=flux.KUSTOMIZE_GROUP)
    await world.gone(flux.KUSTOMIZATION, "app", group=flux.KUSTOMIZE_GROUP)


async def test_skipped_objects_are_not_waited_for(world, namespaced):
    ignored = "  annotations: {kustomize.toolkit.fluxcd.io/reconcile: disabled}\n"
    expressions = [{"apiVersion": "v1", "kind": "ConfigMap", "current": "data.k == 'done'"}]
    await world.synced(
        {"a.yaml": namespaced("a", "done"), "b.yaml": namespaced("b", "never", ignored)}, wait=True, healthCheckExprs=expressions
    )
