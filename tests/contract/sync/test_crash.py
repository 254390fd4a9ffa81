"""Whenever the process dies, nothing that was applied is forgotten and the next one finishes the work."""

from __future__ import annotations

import asyncio

import pytest

from penstock.model import flux


@pytest.mark.parametrize("writes", range(1, 12))
async def test_a_process_that_dies_after_any_write_leaves_nothing_unknown_and_the_next_one_finishes(world, namespaced, writes):
    """The first commit's objects are partly applied when the process dies; the second commit no longer has one of them.
    It must be deleted all the same: only an inventory written ahead knows of it."""
    files = {f"{name}.yaml": namespaced(name) for name in "abcdef"}
    world.repo.commit(files)
    await world.source()
    await world.kustomization(annotations={flux.PRUNE_GUARD: "disabled"})
    cluster, left = world.cluster, writes
    died = asyncio.Event()

    async def dying(verb, method, path, **options):
        nonlocal left
        answer = await real(verb, method, path, **options)
        if method != "GET" and "dryRun" not in (options.get("params") or {}) and "/events" not in path:
            left -= 1
            if left == 0:
                died.set()
                await asyncio.Event().wait()
        return answer

    transport = cluster._transport
    real = transport.request
    transport.request = dying
    try:
        await world.start()
        await asyncio.wait_for(died.wait(), 20)
    finally:
        transport.request = real
        await world.kill()

    owned = set()
    for name in "abcdef":
        found = await world.get("ConfigMap", name)
        if found is not None:
            owned.add(f"{world.namespace}_{name}__ConfigMap")
    inventory = {entry["id"] for entry in ((await world.status()).get("inventory") or {}).get("entries", ())}
    assert owned <= inventory, "an object in the cluster that no inventory has"

    commit = world.repo.commit({"a.yaml": None, "b.yaml": None, "c.yaml": None})
    await world.start()
    status = await world.until_applied(f"main@sha1:{commit}")
    for name in "abc":
        assert await world.get("ConfigMap", name) is None
    for name in "def":
        assert await world.get("ConfigMap", name) is not None
    assert len(status["inventory"]["entries"]) == 3
