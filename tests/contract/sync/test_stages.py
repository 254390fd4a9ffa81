"""Definitions come before what they define, in one commit."""

from __future__ import annotations

CRD = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: {plural}.sync.test}}
spec:
  group: sync.test
  scope: Namespaced
  names: {{plural: {plural}, singular: {singular}, kind: {kind}, listKind: {kind}List}}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties: {{spec: {{type: object, properties: {{size: {{type: integer}}}}}}}}
"""


def files(world, size: str) -> dict[str, str]:
    tail = world.namespace.replace("-", "")
    other = f"{world.namespace}-new"
    crd = CRD.format(plural=f"{tail}s", singular=tail, kind=tail.capitalize())
    return {
        "1-thing.yaml": (
            f"apiVersion: sync.test/v1\nkind: {tail.capitalize()}\n"
            f"metadata: {{name: x, namespace: {other}}}\nspec: {{size: {size}}}\n"
        ),
        "2-crd.yaml": crd,
        "3-namespace.yaml": f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {other}}}\n",
        "4-map.yaml": f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a, namespace: {other}}}\ndata: {{k: v}}\n",
    }


async def test_a_namespace_a_crd_and_objects_of_both_converge_from_one_commit(world):
    await world.synced(files(world, "3"))
    tail = world.namespace.replace("-", "")
    found = await world.get(tail.capitalize(), "x", group="sync.test", namespace=f"{world.namespace}-new")
    assert found["spec"] == {"size": 3}
    assert await world.get("ConfigMap", "a", namespace=f"{world.namespace}-new") is not None


async def test_an_invalid_object_in_a_namespace_of_the_same_commit_stops_all_of_it(world):
    metadata = f"metadata: {{name: s, namespace: {world.namespace}-new}}"
    bad = f"apiVersion: v1\nkind: Service\n{metadata}\nspec: {{ports: [{{port: 99999}}]}}\n"
    world.repo.commit({**files(world, "3"), "5-bad.yaml": bad})
    await world.source()
    await world.kustomization()
    await world.start()
    message = await world.until_failed("ReconciliationFailed")
    assert "5-bad.yaml" in message
    assert await world.get("Namespace", f"{world.namespace}-new") is None
