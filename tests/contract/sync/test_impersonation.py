"""A Kustomization with a service account does nothing that this account may not do."""

from __future__ import annotations

import pytest

real_only = pytest.mark.parametrize("cluster", [pytest.param("real", marks=pytest.mark.real)], indirect=True)
"""The sandbox stores RBAC objects without enforcing them."""


async def account(world, name: str, verbs: list[str]) -> None:
    metadata = {"name": name, "namespace": world.namespace}
    await world.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
    rbac = "rbac.authorization.k8s.io"
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": verbs}]
    await world.apply({"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": metadata, "rules": rules})
    await world.apply(
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": world.namespace}],
        }
    )


@real_only
async def test_an_account_without_rights_is_refused_by_name(world, namespaced):
    await account(world, "weak", ["get"])
    world.repo.commit({"a.yaml": namespaced("a")})
    await world.source()
    await world.kustomization(serviceAccountName="weak")
    await world.start()
    message = await world.until_failed("ReconciliationFailed")
    assert f'User "system:serviceaccount:{world.namespace}:weak" cannot' in message
    assert await world.get("ConfigMap", "a") is None


@real_only
async def test_an_account_with_rights_applies_and_prunes(world, namespaced):
    await account(world, "able", ["get", "list", "watch", "create", "patch", "delete"])
    await world.synced({"a.yaml": namespaced("a"), "b.yaml": namespaced("b")}, serviceAccountName="able")
    await world.until_applied(world.push({"b.yaml": None}))
    await world.gone("ConfigMap", "b")


@pytest.mark.parametrize("name", [" ", "system:masters", "a:b"])
async def test_a_name_that_is_no_account_does_nothing_as_ourselves(world, namespaced, name):
    world.repo.commit({"a.yaml": namespaced("a")})
    await world.source()
    await world.kustomization(serviceAccountName=name)
    await world.start()
    message = await world.until_failed("ReconciliationFailed")
    assert "cannot act as the service account" in message
    assert await world.get("ConfigMap", "a") is None
