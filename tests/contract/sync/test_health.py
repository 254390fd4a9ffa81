"""Ready waits for health, and says what is not healthy."""

from __future__ import annotations

from penstock.model import condition as conditions
from penstock.model import flux

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web, namespace: {namespace}}}
spec:
  replicas: 1
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec: {{containers: [{{name: web, image: {image}}}]}}
"""


async def roll_out(world) -> None:
    """Report the Deployment as available, where nothing else does."""
    if world.cluster.name == "sandbox":
        return
    found = await world.there("Deployment", "web", group="apps")
    status = {
        "observedGeneration": found["metadata"]["generation"],
        **dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), 1),
        "conditions": [
            {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"},
            {"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable"},
        ],
    }
    await world.patch("Deployment", "web", {"status": status}, group="apps", subresource="status", patch="merge")


async def test_ready_waits_until_the_deployment_is_available(world):
    commit = world.repo.commit({"web.yaml": DEPLOYMENT.format(namespace=world.namespace, image="example/web:1")})
    await world.source()
    await world.kustomization(wait=True)
    await world.start()
    await world.there("Deployment", "web", group="apps")
    if world.cluster.name == "real":

        async def waits():
            found = conditions.parse((await world.status()).get("conditions"))
            healthy = found.get("Healthy")
            return healthy is not None and healthy.status == "Unknown" and "Running health checks" in healthy.message

        await world.until(waits, "it says that it waits")
        assert (await world.ready()).status == "Unknown"
    await roll_out(world)
    status = await world.until_applied(f"main@sha1:{commit}")
    healthy = conditions.parse(status["conditions"]).get("Healthy")
    assert (healthy.status, healthy.reason) == ("True", "Succeeded")


async def test_what_never_gets_healthy_fails_by_the_timeout_and_is_named(world):
    world.repo.commit({"web.yaml": DEPLOYMENT.format(namespace=world.namespace, image="broken.example/web:1")})
    await world.source()
    await world.kustomization(wait=True, timeout="2s", retryInterval="1m")
    await world.start()
    message = await world.until_failed("HealthCheckFailed")
    assert f"Deployment/{world.namespace}/web status: 'InProgress'" in message
    status = await world.status()
    assert "lastAppliedRevision" not in status
    assert status["inventory"]["entries"], "what was applied is remembered although it failed"
    assert conditions.parse(status["conditions"]).get("Healthy").status == "False"


async def test_a_new_revision_ends_the_wait_for_the_old_one(world, namespaced):
    world.repo.commit({"web.yaml": DEPLOYMENT.format(namespace=world.namespace, image="broken.example/web:1")})
    await world.source()
    await world.kustomization(wait=True, timeout="5m")
    await world.start()
    await world.there("Deployment", "web", group="apps")
    await world.until_applied(world.push({"web.yaml": None, "a.yaml": namespaced("a")}), seconds=15)


async def test_drift_is_undone_while_waiting_for_health(world, namespaced):
    files = {"web.yaml": DEPLOYMENT.format(namespace=world.namespace, image="broken.example/web:1"), "a.yaml": namespaced("a")}
    world.repo.commit(files)
    await world.source()
    await world.kustomization(wait=True, timeout="5m")
    await world.start()
    await world.there("ConfigMap", "a")
    await world.patch("ConfigMap", "a", {"data": {"k": "by hand"}}, manager="somebody")

    async def undone():
        return (await world.get("ConfigMap", "a"))["data"] == {"k": "1"}

    await world.until(undone, "the value set back", 10)


async def test_a_listed_health_check_is_waited_for_alone(world, namespaced):
    check = {"apiVersion": "v1", "kind": "ConfigMap", "name": "elsewhere", "namespace": world.namespace}
    commit = world.repo.commit({"a.yaml": namespaced("a")})
    await world.source()
    await world.kustomization(healthChecks=[check])
    await world.start()
    await world.there("ConfigMap", "a")
    await world.apply(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "elsewhere", "namespace": world.namespace}, "data": {}}
    )
    await world.until_applied(f"main@sha1:{commit}")
    assert conditions.parse((await world.status())["conditions"]).is_true(flux.HEALTHY)
