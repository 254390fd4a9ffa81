"""A commit that is wrong anywhere changes nothing anywhere, and the status says all that is wrong and where."""

from __future__ import annotations


async def test_a_broken_file_changes_nothing_and_is_named(world, namespaced):
    await world.synced({"a.yaml": namespaced("a"), "b.yaml": namespaced("b")})
    inventory = (await world.status())["inventory"]
    world.push({"a.yaml": namespaced("a", "2"), "b.yaml": "kind: [\n"})
    message = await world.until_failed("BuildFailed")
    assert "b.yaml" in message
    assert (await world.get("ConfigMap", "a"))["data"] == {"k": "1"}
    assert await world.get("ConfigMap", "b") is not None
    assert (await world.status())["inventory"] == inventory


async def test_objects_that_the_server_refuses_are_all_named_with_their_files_and_nothing_is_applied(world, namespaced):
    await world.synced({"a.yaml": namespaced("a")})
    service = (
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec:\n  ports: [{{port: 99999}}]\n"
    )
    revision = world.push(
        {
            "a.yaml": namespaced("a", "2"),
            "new.yaml": namespaced("new"),
            "s1.yaml": service.format(name="s1", namespace=world.namespace),
            "s2.yaml": service.format(name="s2", namespace=world.namespace),
            "kind.yaml": f"apiVersion: nowhere.test/v1\nkind: Thing\nmetadata: {{name: t, namespace: {world.namespace}}}\n",
        }
    )
    message = await world.until_failed("ReconciliationFailed")
    for named in ("s1.yaml:1", "s2.yaml:1", "kind.yaml:1", 'no matches for kind "Thing"', f"Service/{world.namespace}/s1"):
        assert named in message
    assert "99999" not in message, "a manifest's values are not for statuses"
    assert (await world.get("ConfigMap", "a"))["data"] == {"k": "1"}
    assert await world.get("ConfigMap", "new") is None
    status = await world.status()
    assert [entry["id"] for entry in status["inventory"]["entries"]] == [f"{world.namespace}_a__ConfigMap"]
    assert status["lastAttemptedRevision"] == revision != status["lastAppliedRevision"]


async def test_the_next_good_commit_heals_it(world, namespaced):
    await world.synced({"a.yaml": namespaced("a")})
    world.push({"a.yaml": "kind: [\n"})
    await world.until_failed("BuildFailed")
    await world.until_applied(world.push({"a.yaml": namespaced("a", "3")}))
    assert (await world.get("ConfigMap", "a"))["data"] == {"k": "3"}


async def test_a_branch_that_does_not_exist_keeps_what_runs(world, namespaced):
    await world.synced({"a.yaml": namespaced("a")})
    await world.source(ref={"branch": "gone"})

    async def failed():
        ready = await world.ready("fleet", "GitRepository")
        return ready.status == "False" and ready.reason == "GitOperationFailed"

    await world.until(failed, "the source failed")
    await world.settled()
    assert await world.get("ConfigMap", "a") is not None
    assert (await world.ready()).status == "True"


async def test_a_bug_of_ours_is_told_in_the_status_and_stops_nobody_else(world, namespaced):
    from penstock import render

    def broken(tree, spec, *, name, namespace, variables):
        if name == "app":
            raise ZeroDivisionError
        return render.flux_build(tree, spec, name=name, namespace=namespace, variables=variables)

    world.options["build"] = broken
    commit = world.repo.commit({"a.yaml": namespaced("a")})
    await world.source()
    await world.kustomization()
    await world.kustomization("other")
    await world.start()
    await world.until_applied(f"main@sha1:{commit}", "other")
    assert "internal error (ZeroDivisionError)" in await world.until_failed("ReconciliationFailed")
