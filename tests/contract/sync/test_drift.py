"""What is changed by hand is undone when it happens, not at the next interval (which is ten minutes here)."""

from __future__ import annotations

import asyncio


async def test_a_changed_value_is_set_back(world, namespaced):
    await world.synced({"a.yaml": namespaced("a")})
    await world.patch("ConfigMap", "a", {"data": {"k": "by hand"}}, manager="somebody")

    async def undone():
        return (await world.get("ConfigMap", "a"))["data"] == {"k": "1"}

    await world.until(undone, "the value set back", 10)


async def test_a_deleted_object_comes_back(world, namespaced):
    await world.synced({"a.yaml": namespaced("a")})
    before = (await world.get("ConfigMap", "a"))["metadata"]["uid"]
    await world.delete("ConfigMap", "a")

    async def back():
        found = await world.get("ConfigMap", "a")
        return found is not None and found["metadata"]["uid"] != before

    await world.until(back, "the object created again", 10)


async def test_owner_labels_taken_off_are_put_back(world, namespaced):
    await world.synced({"a.yaml": namespaced("a")})
    await world.patch("ConfigMap", "a", {"metadata": {"labels": None}}, manager="somebody")

    async def back():
        return ((await world.get("ConfigMap", "a"))["metadata"].get("labels") or {}).get("kustomize.toolkit.fluxcd.io/name")

    await world.until(back, "the labels are back", 10)


async def test_what_kubectl_added_is_removed(world, namespaced):
    await world.synced({"a.yaml": namespaced("a")})
    await world.patch("ConfigMap", "a", {"data": {"extra": "by hand"}}, manager="kubectl-edit")

    async def undone():
        return (await world.get("ConfigMap", "a"))["data"] == {"k": "1"}

    await world.until(undone, "the field removed", 10)


async def test_what_another_controller_added_stays(world, namespaced):
    await world.synced({"a.yaml": namespaced("a")})
    await world.patch("ConfigMap", "a", {"data": {"theirs": "x"}}, manager="autoscaler")
    await world.until_applied(world.push({"a.yaml": namespaced("a", "2")}))
    assert (await world.get("ConfigMap", "a"))["data"] == {"k": "2", "theirs": "x"}


async def test_an_object_marked_reconcile_disabled_keeps_its_drift(world, namespaced):
    await world.synced({"a.yaml": namespaced("a")})
    mark = {"kustomize.toolkit.fluxcd.io/reconcile": "disabled"}
    await world.patch("ConfigMap", "a", {"metadata": {"annotations": mark}, "data": {"k": "kept"}}, manager="somebody")
    await world.until_applied(world.push({"a.yaml": namespaced("a", "2")}))
    assert (await world.get("ConfigMap", "a"))["data"] == {"k": "kept"}


async def test_a_kustomization_can_only_report_drift(world, namespaced):
    from penstock.model import condition as conditions
    from penstock.model import flux

    await world.synced({"a.yaml": namespaced("a")}, annotations={flux.DRIFT: "report"})
    await world.patch("ConfigMap", "a", {"data": {"k": "by hand"}}, manager="somebody")

    async def told():
        found = conditions.parse((await world.status())["conditions"]).get("Drifted")
        return found is not None and f"ConfigMap/{world.namespace}/a" in found.message and "by hand" not in found.message

    await world.until(told, "the drift is told", 10)
    assert (await world.get("ConfigMap", "a"))["data"] == {"k": "by hand"}
    await world.until_applied(world.push({"a.yaml": namespaced("a", "2")}))
    assert (await world.get("ConfigMap", "a"))["data"] == {"k": "2"}
    assert conditions.parse((await world.status())["conditions"]).get("Drifted") is None


async def test_a_fight_over_an_object_ends_instead_of_going_on_for_ever(world, namespaced):
    """Another controller that sets its value back at once would otherwise have us both write without end."""
    await world.synced({"a.yaml": namespaced("a")})
    kind = await world.cluster.resource("", "ConfigMap")
    rounds = 0

    async def fighter():
        nonlocal rounds
        listed = await world.cluster.list(kind, world.namespace)
        await world.patch("ConfigMap", "a", {"data": {"k": "mine"}}, manager="fighter")
        async for event in world.cluster.watch(kind, world.namespace, resource_version=listed.resource_version):
            if event.kind == "MODIFIED" and event.object["data"]["k"] == "1":
                rounds += 1
                await world.patch("ConfigMap", "a", {"data": {"k": "mine"}}, manager="fighter")

    task = asyncio.create_task(fighter())
    try:

        async def noticed():
            events = await world.cluster.resource("", "Event")
            found = (await world.cluster.list(events, world.namespace)).items
            return any(each["reason"] == "DriftFight" for each in found)

        await world.until(noticed, "the fight is told of", 20)
        await world.settled()
        assert 3 <= rounds <= 8
    finally:
        task.cancel()


async def test_an_ignored_field_keeps_its_drift_and_the_others_do_not(world):
    def deployment(image: str) -> str:
        return (
            f"apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web, namespace: {world.namespace}}}\nspec:\n"
            "  replicas: 2\n  selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n"
            f"    spec: {{containers: [{{name: web, image: 'example/web:{image}'}}]}}\n"
        )

    rule = {"paths": ["/spec/replicas"], "target": {"kind": "Deployment"}}
    await world.synced({"web.yaml": deployment("1")}, ignore=[rule])
    await world.patch("Deployment", "web", {"spec": {"replicas": 5}}, group="apps", manager="autoscaler")
    await world.until_applied(world.push({"web.yaml": deployment("2")}))
    await world.settled()
    spec = (await world.get("Deployment", "web", group="apps"))["spec"]
    assert spec["replicas"] == 5
    assert spec["template"]["spec"]["containers"][0]["image"] == "example/web:2"
    labelled = {"spec": {"template": {"metadata": {"labels": {"app": "web", "x": "y"}}}}}
    await world.patch("Deployment", "web", labelled, group="apps", manager="kubectl-edit")

    async def undone():
        labels = (await world.get("Deployment", "web", group="apps"))["spec"]["template"]["metadata"]["labels"]
        return labels == {"app": "web"}

    await world.until(undone, "what is not ignored is undone", 10)
    assert (await world.get("Deployment", "web", group="apps"))["spec"]["replicas"] == 5
