"""force recreates an object only where an immutable field changed, never for a mistake."""

from __future__ import annotations

from penstock.model import flux

SECRET = """
apiVersion: v1
kind: Secret
metadata:
  name: s
  namespace: {namespace}
{marks}immutable: true
stringData: {{k: '{value}'}}
"""
FORCE = "  annotations: {kustomize.toolkit.fluxcd.io/force: enabled}\n"
SERVICE = """
apiVersion: v1
kind: Service
metadata: {{name: s, namespace: {namespace}}}
spec:
  selector: {{app: s}}
  ports: [{{port: {port}}}]
"""


def secret(world, value: str, marks: str = "") -> str:
    return SECRET.format(namespace=world.namespace, value=value, marks=marks)


async def test_an_immutable_change_without_force_fails_and_the_object_stays(world):
    await world.synced({"s.yaml": secret(world, "one")})
    uid = (await world.get("Secret", "s"))["metadata"]["uid"]
    world.push({"s.yaml": secret(world, "two")})
    message = await world.until_failed("ReconciliationFailed")
    assert "immutable" in message
    assert "two" not in message
    assert (await world.get("Secret", "s"))["metadata"]["uid"] == uid


async def test_an_immutable_change_with_the_force_mark_recreates_the_object(world):
    await world.synced({"s.yaml": secret(world, "one", FORCE)})
    uid = (await world.get("Secret", "s"))["metadata"]["uid"]
    await world.until_applied(world.push({"s.yaml": secret(world, "two", FORCE)}))
    found = await world.get("Secret", "s")
    assert found["metadata"]["uid"] != uid
    assert found["data"] == {"k": "dHdv"}


async def test_force_never_deletes_for_a_mistake(world):
    """Flux takes any refusal for an immutable field: it deletes the Service and then cannot create it again."""
    await world.synced({"s.yaml": SERVICE.format(namespace=world.namespace, port=80)}, force=True)
    uid = (await world.get("Service", "s"))["metadata"]["uid"]
    world.push({"s.yaml": SERVICE.format(namespace=world.namespace, port=99999)})
    await world.until_failed("ReconciliationFailed")
    await world.settled()
    assert (await world.get("Service", "s"))["metadata"]["uid"] == uid


async def test_force_on_the_kustomization_recreates_too(world):
    await world.synced({"s.yaml": secret(world, "one")}, force=True)
    await world.until_applied(world.push({"s.yaml": secret(world, "two")}))
    assert (await world.get("Secret", "s"))["data"] == {"k": "dHdv"}
    assert (await world.status())["inventory"]["entries"][0]["id"].endswith("_s__Secret")
    assert flux.OWNER_NAME in (await world.get("Secret", "s"))["metadata"]["labels"]
