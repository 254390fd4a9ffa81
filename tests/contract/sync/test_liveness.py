"""A pass that hangs makes liveness fail, and only that: HTTP being up says nothing."""

from __future__ import annotations

import threading
from datetime import timedelta

import aiohttp

from penstock import render
from penstock.controllers import endpoints


async def test_a_pass_that_hangs_makes_liveness_fail_and_the_others_go_on(world, namespaced):
    release = threading.Event()

    def build(tree, spec, *, name, namespace, variables):
        if name == "stuck":
            release.wait(120)
        return render.flux_build(tree, spec, name=name, namespace=namespace, variables=variables)

    world.options |= {"build": build, "pass_slack": timedelta(0)}
    try:
        commit = world.repo.commit({"a.yaml": namespaced("a")})
        await world.source()
        await world.kustomization("app")
        await world.start()
        await world.until_applied(f"main@sha1:{commit}")
        watched = endpoints.Watched(collectors=(), stuck=lambda: world.manager.stuck(), unready=list)
        async with endpoints.serve(watched, metrics="", health="127.0.0.1:0") as urls, aiohttp.ClientSession() as session:

            async def health() -> tuple[int, str]:
                async with session.get(urls["health"] + "/healthz") as response:
                    return response.status, await response.text()

            assert await health() == (200, "ok")
            await world.kustomization("stuck", timeout="1s")

            async def failing() -> bool:
                return (await health())[0] == 503

            await world.until(failing, "liveness fails", seconds=30)
            assert f"Kustomization/{world.namespace}/stuck has been worked on" in (await health())[1]
            release.set()

            async def well() -> bool:
                return await health() == (200, "ok")

            await world.until(well, "liveness is well again", seconds=30)
    finally:
        release.set()
