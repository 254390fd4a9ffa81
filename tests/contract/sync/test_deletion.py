"""Deleting a Kustomization: the matrix of deletionPolicy and prune."""

from __future__ import annotations

import pytest

from penstock.model import flux


@pytest.mark.parametrize(
    ("policy", "prune", "kept"),
    [
        ("MirrorPrune", True, False),
        ("MirrorPrune", False, True),
        ("Delete", False, False),
        ("WaitForTermination", False, False),
        ("Orphan", True, True),
    ],
)
async def test_the_deletion_policy_decides_what_happens_to_the_objects(world, namespaced, policy, prune, kept):
    await world.synced({"a.yaml": namespaced("a")}, deletionPolicy=policy, prune=prune)
    await world.delete(flux.KUSTOMIZATION, "app", group=flux.KUSTOMIZE_GROUP)
    await world.gone(flux.KUSTOMIZATION, "app", group=flux.KUSTOMIZE_GROUP)
    assert (await world.get("ConfigMap", "a") is not None) == kept


async def test_an_object_deleted_with_its_kustomization_does_not_come_back(world, namespaced):
    await world.synced({"a.yaml": namespaced("a")})
    await world.delete(flux.KUSTOMIZATION, "app", group=flux.KUSTOMIZE_GROUP)
    await world.gone("ConfigMap", "a")
    await world.settled()
    assert await world.get("ConfigMap", "a") is None


async def test_a_deleted_source_lets_go_and_its_kustomization_keeps_what_runs(world, namespaced):
    await world.synced({"a.yaml": namespaced("a")})
    await world.delete(flux.GIT_REPOSITORY, "fleet", group=flux.SOURCE_GROUP)
    await world.gone(flux.GIT_REPOSITORY, "fleet", group=flux.SOURCE_GROUP)
    message = await world.until_failed("ArtifactFailed")
    assert message == f"Source 'GitRepository/{world.namespace}/fleet' not found"
    assert await world.get("ConfigMap", "a") is not None
