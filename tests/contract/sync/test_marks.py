"""Labels and annotations that steer single objects."""

from __future__ import annotations

IF_NOT_PRESENT = "  annotations: {kustomize.toolkit.fluxcd.io/ssa: IfNotPresent}\n"
IGNORE = "  annotations: {kustomize.toolkit.fluxcd.io/ssa: Ignore}\n"
MERGE = "  annotations: {kustomize.toolkit.fluxcd.io/ssa: Merge}\n"


async def test_if_not_present_creates_once_and_prunes(world, namespaced):
    await world.synced({"a.yaml": namespaced("a", "1", IF_NOT_PRESENT), "b.yaml": namespaced("b")})
    await world.until_applied(world.push({"a.yaml": namespaced("a", "2", IF_NOT_PRESENT)}))
    assert (await world.get("ConfigMap", "a"))["data"] == {"k": "1"}
    await world.until_applied(world.push({"a.yaml": None}))
    await world.gone("ConfigMap", "a")


async def test_ignore_is_neither_applied_nor_pruned(world, namespaced):
    await world.synced({"a.yaml": namespaced("a"), "b.yaml": namespaced("b")})
    await world.until_applied(world.push({"a.yaml": namespaced("a", "2", IGNORE)}))
    assert (await world.get("ConfigMap", "a"))["data"] == {"k": "1"}


async def test_merge_keeps_what_kubectl_set(world, namespaced):
    await world.synced({"a.yaml": namespaced("a", "1", MERGE)})
    await world.patch("ConfigMap", "a", {"data": {"theirs": "x"}}, manager="kubectl-edit")
    await world.until_applied(world.push({"a.yaml": namespaced("a", "2", MERGE)}))
    assert (await world.get("ConfigMap", "a"))["data"] == {"k": "2", "theirs": "x"}
