"""Health and readiness in CEL: healthCheckExprs and dependsOn[].readyExpr."""

from __future__ import annotations

import pytest

from penstock.model import condition as conditions
from penstock.model import flux

MAP_IS_DONE = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "inProgress": "data.state == 'working'",
    "failed": "data.state == 'broken'",
    "current": "data.state == 'done'",
}


def state(namespaced, value: str) -> str:
    return namespaced("job").replace("k: '1'", f"state: {value}")


async def healthy(world) -> conditions.Condition | None:
    return conditions.parse((await world.status()).get("conditions")).get(flux.HEALTHY)


async def test_a_kind_is_healthy_when_its_expression_says_so(world, namespaced):
    commit = world.repo.commit({"a.yaml": state(namespaced, "working")})
    await world.source()
    await world.kustomization(wait=True, healthCheckExprs=[MAP_IS_DONE], timeout="1m")
    await world.start()

    async def waiting() -> bool:
        found = await healthy(world)
        return found is not None and found.status == "Unknown"

    await world.until(waiting, "health is being checked")
    assert (await world.status()).get("lastAppliedRevision") is None
    revision = world.push({"a.yaml": state(namespaced, "done")})
    await world.until_applied(revision)
    assert commit not in revision
    assert (await healthy(world)).status == "True"


async def test_a_kind_has_failed_when_its_expression_says_so(world, namespaced):
    world.repo.commit({"a.yaml": state(namespaced, "broken")})
    await world.source()
    await world.kustomization(wait=True, healthCheckExprs=[MAP_IS_DONE], timeout="1m")
    await world.start()
    message = await world.until_failed("HealthCheckFailed")
    assert "job status: 'Failed'" in message


async def test_of_several_true_expressions_the_first_in_flux_order_counts(world, namespaced):
    expressions = {**MAP_IS_DONE, "inProgress": "data.state == 'x'", "failed": "has(data.state)", "current": "true"}
    world.repo.commit({"a.yaml": state(namespaced, "y")})
    await world.source()
    await world.kustomization(wait=True, healthCheckExprs=[expressions], timeout="1m")
    await world.start()
    await world.until_failed("HealthCheckFailed")


async def test_only_the_group_of_an_api_version_counts(world):
    deployments = {"apiVersion": "apps/v0", "kind": "Deployment", "current": "false", "failed": "spec.replicas == 7"}
    world.repo.commit(
        {
            "a.yaml": f"apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: x, namespace: {world.namespace}}}\n"
            "spec:\n  replicas: 7\n  selector: {matchLabels: {a: b}}\n  template:\n    metadata: {labels: {a: b}}\n"
            "    spec: {containers: [{name: a, image: a}]}\n"
        }
    )
    await world.source()
    await world.kustomization(wait=True, healthCheckExprs=[deployments], timeout="1m")
    await world.start()
    await world.until_failed("HealthCheckFailed")


@pytest.mark.parametrize("broken", [{"current": "data.state =="}, {"failed": "("}, {"inProgress": "a b"}])
async def test_an_expression_that_is_none_stalls_for_good(world, namespaced, broken):
    world.repo.commit({"a.yaml": state(namespaced, "done")})
    await world.source()
    await world.kustomization(healthCheckExprs=[{**MAP_IS_DONE, **broken}])
    await world.start()
    message = await world.until_failed("InvalidCELExpression")
    assert message.startswith("Reconciliation failed terminally due to configuration error: ")
    status = await world.status()
    stalled = conditions.parse(status["conditions"]).get(flux.STALLED)
    assert (stalled.status, stalled.reason) == ("True", "InvalidCELExpression")
    assert status["observedGeneration"] == 1
    assert await world.get("ConfigMap", "job") is None
    # a change of the object is what mends it
    await world.kustomization(healthCheckExprs=[MAP_IS_DONE])
    await world.until_applied(await revision_of(world))


async def revision_of(world) -> str:
    async def look() -> str | None:
        return ((await world.status("fleet", flux.GIT_REPOSITORY)).get("artifact") or {}).get("revision")

    return await world.until(look, "the source has an artifact")


async def test_a_hostile_expression_holds_nobody_up(world, namespaced):
    bomb = f"['{'x' * 64}']" + ".map(t, t + t)" * 25 + ".size() == 0"
    world.repo.commit({"bomb/a.yaml": namespaced("a"), "other/b.yaml": namespaced("b")})
    await world.source()
    expressions = {"apiVersion": "v1", "kind": "ConfigMap", "current": bomb}
    await world.kustomization("bomb", path="./bomb", wait=True, healthCheckExprs=[expressions], timeout="5s")
    await world.start()
    await world.kustomization("other", path="./other", wait=True)
    await world.until_applied(await revision_of(world), "other", seconds=30)
    message = await world.until_failed("HealthCheckFailed", "bomb", seconds=60)
    assert "more time or memory" in message


async def test_a_ready_expression_takes_the_place_of_the_built_in_check(world, namespaced):
    commit = world.repo.commit({"base/a.yaml": "kind: [\n", "app/b.yaml": namespaced("b")})
    await world.source()
    await world.kustomization("base", path="./base")
    expression = "dep.metadata.labels['version'] == self.metadata.labels['version']"
    await world.kustomization(path="./app", dependsOn=[{"name": "base", "readyExpr": expression}])
    label = {"metadata": {"labels": {"version": "2"}}}
    await world.patch(flux.KUSTOMIZATION, "app", label, group=flux.KUSTOMIZE_GROUP)
    await world.patch(flux.KUSTOMIZATION, "base", {"metadata": {"labels": {"version": "1"}}}, group=flux.KUSTOMIZE_GROUP)
    await world.start()
    message = await world.until_failed("DependencyNotReady")
    assert message == f"dependency '{world.namespace}/base' is not ready according to readyExpr eval"
    # the retry is at 30 s: only the dependency's own change brings it in time, and that it never became ready is no matter
    await world.patch(flux.KUSTOMIZATION, "base", label, group=flux.KUSTOMIZE_GROUP)
    await world.until_applied(f"main@sha1:{commit}", seconds=15)


async def test_a_ready_expression_can_come_on_top_of_the_built_in_check(world, namespaced):
    world.options = {"additive_ready_expr": True}
    world.repo.commit({"base/a.yaml": "kind: [\n", "app/b.yaml": namespaced("b")})
    await world.source()
    await world.kustomization("base", path="./base")
    await world.kustomization(path="./app", dependsOn=[{"name": "base", "readyExpr": "true == true"}])
    await world.start()
    message = await world.until_failed("DependencyNotReady")
    assert message == f"dependency '{world.namespace}/base' is not ready"


@pytest.mark.parametrize("expression", ["dep.status.", "dep.metadata.name + 1 ==", "other.x == 1", "1 + 1", "dep.status.ready"])
async def test_a_ready_expression_that_is_none_stalls_for_good(world, namespaced, expression):
    world.repo.commit({"app/b.yaml": namespaced("b")})
    await world.source()
    await world.kustomization("base", path="./app", suspend=True)
    await world.kustomization(path="./app", dependsOn=[{"name": "base", "readyExpr": expression}])
    await world.start()
    message = await world.until_failed("InvalidCELExpression")
    assert message.startswith("Reconciliation failed terminally due to configuration error: failed to evaluate dependency base")
    assert (await world.status())["observedGeneration"] == 1


async def test_a_ready_expression_without_an_answer_waits(world, namespaced):
    commit = world.repo.commit({"app/b.yaml": namespaced("b")})
    await world.source()
    await world.kustomization("base", path="./app", suspend=True)
    await world.kustomization(path="./app", dependsOn=[{"name": "base", "readyExpr": "dep.metadata.labels.x == '1'"}])
    await world.start()
    message = await world.until_failed("DependencyNotReady")
    assert "Key not found in map" in message
    await world.patch(flux.KUSTOMIZATION, "base", {"metadata": {"labels": {"x": "1"}}}, group=flux.KUSTOMIZE_GROUP)
    await world.until_applied(f"main@sha1:{commit}", seconds=15)
