"""The ordinary kubectl against each backend in turn: what a person types works, and prints the same."""

from __future__ import annotations

import asyncio
import json
import re
import shutil

import pytest
from cluster_clients import Client

pytestmark = pytest.mark.skipif(shutil.which("kubectl") is None, reason="NOT RUN: no kubectl on this machine")

MANIFESTS = """
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, labels: {app: web}}
data: {colour: blue}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - {name: web, image: "example.com/web:1", ports: [{containerPort: 80}]}
        - {name: side, image: "example.com/side:1"}
---
apiVersion: v1
kind: Service
metadata: {name: web, labels: {app: web}}
spec: {selector: {app: web}, ports: [{port: 80}]}
"""


def cells(out: str) -> list[list[str]]:
    """Table cells without ages and addresses."""
    plain = re.sub(r"\b(\d+[smhd])+\b", "<age>", re.sub(r"\b10\.\d+\.\d+\.\d+\b", "<ip>", out))
    return [re.split(r"\s{2,}", line.strip()) for line in plain.strip().splitlines()]


async def test_apply_get_and_delete(api: Client) -> None:
    made = await api.kubectl("apply", "--server-side", "-f", "-", stdin=MANIFESTS)
    assert made.out.splitlines() == [
        "configmap/settings serverside-applied",
        "deployment.apps/web serverside-applied",
        "service/web serverside-applied",
    ]
    table = await api.kubectl("get", "configmap,service", "-l", "app=web", "-o", "wide")
    assert cells(table.out) == [
        ["NAME", "DATA", "AGE"],
        ["configmap/settings", "1", "<age>"],
        [""],
        ["NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE", "SELECTOR"],
        ["service/web", "ClusterIP", "<ip>", "<none>", "80/TCP", "<age>", "app=web"],
    ]
    shown = json.loads((await api.kubectl("get", "deploy", "web", "-o", "json")).out)
    assert [c["name"] for c in shown["spec"]["template"]["spec"]["containers"]] == ["web", "side"]
    assert "managedFields" not in shown["metadata"]
    with_status = await api.kubectl("get", "deploy", "web", "--subresource=status", "-o", "jsonpath={.metadata.name}")
    assert with_status.out == "web"
    await api.kubectl("delete", "-f", "-", "--wait=true", "--timeout=20s", stdin=MANIFESTS)
    assert (await api.kubectl("get", "configmap", "settings", check=False)).err.strip() == (
        'Error from server (NotFound): configmaps "settings" not found'
    )


async def test_a_dry_run_and_a_diff_change_nothing(api: Client) -> None:
    await api.kubectl("apply", "--server-side", "-f", "-", stdin=MANIFESTS)
    changed = MANIFESTS.replace("colour: blue", "colour: red")
    dry = await api.kubectl("apply", "--server-side", "--dry-run=server", "-f", "-", stdin=changed)
    assert "serverside-applied (server dry run)" in dry.out
    diff = await api.kubectl("diff", "--server-side", "-f", "-", stdin=changed, check=False)
    assert diff.code == 1, diff.err
    assert "-  colour: blue" in diff.out
    assert "+  colour: red" in diff.out
    assert (await api.kubectl("get", "cm", "settings", "-o", "jsonpath={.data.colour}")).out == "blue"


async def test_conflicts_are_shown_and_can_be_forced(api: Client) -> None:
    await api.kubectl("apply", "--server-side", "--field-manager=one", "-f", "-", stdin=MANIFESTS)
    changed = MANIFESTS.replace("colour: blue", "colour: red")
    refused = await api.kubectl("apply", "--server-side", "--field-manager=two", "-f", "-", stdin=changed, check=False)
    assert refused.code == 1
    assert 'Apply failed with 1 conflict: conflict with "one": .data.colour' in refused.err
    await api.kubectl("apply", "--server-side", "--field-manager=two", "--force-conflicts", "-f", "-", stdin=changed)
    assert (await api.kubectl("get", "cm", "settings", "-o", "jsonpath={.data.colour}")).out == "red"


async def test_client_side_apply_three_ways(api: Client) -> None:
    await api.kubectl("apply", "-f", "-", stdin=MANIFESTS)
    again = await api.kubectl("apply", "-f", "-", stdin=MANIFESTS)
    assert again.out.splitlines() == ["configmap/settings unchanged", "deployment.apps/web unchanged", "service/web unchanged"]
    changed = MANIFESTS.replace('        - {name: side, image: "example.com/side:1"}\n', "").replace("web:1", "web:2")
    configured = await api.kubectl("apply", "-f", "-", stdin=changed)
    assert "deployment.apps/web configured" in configured.out
    images = await api.kubectl("get", "deploy", "web", "-o", "jsonpath={.spec.template.spec.containers[*].image}")
    assert images.out == "example.com/web:2"


async def test_create_imperatively(api: Client) -> None:
    await api.kubectl("create", "configmap", "made", "--from-literal=a=b")
    await api.kubectl("create", "secret", "generic", "hidden", "--from-literal=password=x")
    await api.kubectl("create", "deployment", "quick", "--image=example.com/quick:1", "--replicas=2")
    await api.kubectl("create", "service", "clusterip", "quick", "--tcp=80:8080")
    await api.kubectl("create", "serviceaccount", "robot")
    await api.kubectl("create", "role", "reader", "--verb=get,list", "--resource=pods")
    await api.kubectl("create", "rolebinding", "reader", "--role=reader", f"--serviceaccount={api.namespace}:robot")
    await api.kubectl("create", "job", "once", "--image=example.com/once:1")
    await api.kubectl("create", "cronjob", "nightly", "--image=example.com/n:1", "--schedule=0 3 * * *")
    await api.kubectl("create", "ingress", "front", "--rule=example.com/*=quick:80")
    await api.kubectl("create", "quota", "few", "--hard=pods=10")
    again = await api.kubectl("create", "configmap", "made", check=False)
    assert again.err.strip() == 'error: failed to create configmap: configmaps "made" already exists'
    quick = json.loads((await api.kubectl("get", "deployment", "quick", "-o", "json")).out)
    assert quick["spec"]["replicas"] == 2
    assert quick["spec"]["selector"] == {"matchLabels": {"app": "quick"}}
    assert quick["spec"]["template"]["spec"]["containers"][0]["image"] == "example.com/quick:1"
    hidden = json.loads((await api.kubectl("get", "secret", "hidden", "-o", "json")).out)
    assert hidden["data"] == {"password": "eA=="}
    service = json.loads((await api.kubectl("get", "service", "quick", "-o", "json")).out)
    assert service["spec"]["ports"] == [{"name": "80-8080", "port": 80, "protocol": "TCP", "targetPort": 8080}]


async def test_a_namespace_is_made_and_named(api: Client) -> None:
    name = f"{api.namespace}-b"
    made = await api.kubectl("create", "namespace", name)
    assert made.out.strip() == f"namespace/{name} created"
    assert name in (await api.kubectl("get", "namespaces", "-o", "name")).out


async def test_edit_in_place(api: Client) -> None:
    await api.kubectl("apply", "--server-side", "-f", "-", stdin=MANIFESTS)
    await api.kubectl("patch", "deploy", "web", "--patch", '{"spec":{"replicas":3}}')
    await api.kubectl(
        "patch", "deploy", "web", "--type=json", "--patch", '[{"op":"remove","path":"/spec/template/spec/containers/1"}]'
    )
    await api.kubectl("patch", "cm", "settings", "--type=merge", "--patch", '{"data":{"colour":null,"size":"1"}}')
    await api.kubectl("label", "cm", "settings", "tier=front")
    await api.kubectl("annotate", "cm", "settings", "note=hello")
    await api.kubectl("set", "image", "deploy/web", "web=example.com/web:9")
    await api.kubectl("set", "env", "deploy/web", "MODE=fast")
    await api.kubectl("scale", "deploy", "web", "--replicas=4")
    await api.kubectl("rollout", "restart", "deploy/web")
    web = json.loads((await api.kubectl("get", "deploy", "web", "-o", "json")).out)
    assert web["spec"]["replicas"] == 4
    [container] = web["spec"]["template"]["spec"]["containers"]
    assert (container["image"], container["env"]) == ("example.com/web:9", [{"name": "MODE", "value": "fast"}])
    settings = json.loads((await api.kubectl("get", "cm", "settings", "-o", "json")).out)
    assert settings["data"] == {"size": "1"}
    assert settings["metadata"]["labels"] == {"app": "web", "tier": "front"}
    replaced = {**settings, "data": {"size": "2"}}
    await api.kubectl("replace", "-f", "-", stdin=json.dumps(replaced))
    assert (await api.kubectl("get", "cm", "settings", "-o", "jsonpath={.data.size}")).out == "2"


async def test_discovery_lists_kinds_with_their_short_names(api: Client) -> None:
    out = (await api.kubectl("api-resources", "--no-headers", "--cached=false")).out
    rows = {line.split()[0]: line.split() for line in out.splitlines()}
    assert rows["deployments"] == ["deployments", "deploy", "apps/v1", "true", "Deployment"]
    assert rows["namespaces"] == ["namespaces", "ns", "v1", "false", "Namespace"]
    assert "customresourcedefinitions" in rows
    versions = (await api.kubectl("api-versions")).out.split()
    assert {"v1", "apps/v1", "batch/v1", "apiextensions.k8s.io/v1", "rbac.authorization.k8s.io/v1"} <= set(versions)
    version = json.loads((await api.kubectl("version", "-o", "json")).out)["serverVersion"]
    assert (version["major"], version["minor"]) == ("1", "37")
    assert json.loads((await api.kubectl("get", "--raw", "/apis/apps/v1")).out)["groupVersion"] == "apps/v1"
    explained = (await api.kubectl("explain", "deployment.spec.replicas")).out
    assert "FIELD: replicas <integer>" in explained


async def test_a_typo_is_found_before_it_does_harm(api: Client) -> None:
    typo = MANIFESTS.replace("replicas: 2", "replica: 2")
    refused = await api.kubectl("apply", "-f", "-", stdin=typo, check=False)
    assert refused.code == 1
    assert 'unknown field "spec.replica"' in refused.err


async def test_a_watch_prints_what_happens(api: Client) -> None:
    command = [
        "kubectl",
        f"--kubeconfig={api.kubeconfig}",
        f"--namespace={api.namespace}",
        "get",
        "configmaps",
        "-w",
        "-o",
        "name",
    ]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        await api.kubectl("apply", "--server-side", "-f", "-", stdin=MANIFESTS)
        async with asyncio.timeout(20):
            while await process.stdout.readline() != b"configmap/settings\n":
                pass
    finally:
        process.terminate()
        await process.wait()


async def test_wait_and_rollout_follow_the_status(api: Client) -> None:
    await api.kubectl("apply", "--server-side", "-f", "-", stdin=MANIFESTS)
    if api.name == "real":
        # Nothing runs workloads on a bare API server: say what a controller would.
        live = await api.ok("GET", "/apis/apps/v1/namespaces/{ns}/deployments/web")
        status = {"observedGeneration": live["metadata"]["generation"], "replicas": 2, "updatedReplicas": 2}
        status |= {"readyReplicas": 2, "availableReplicas": 2, "conditions": [{"type": "Available", "status": "True"}]}
        place = "/apis/apps/v1/namespaces/{ns}/deployments/web/status"
        await api.ok("PATCH", place, {"status": status}, "application/merge-patch+json")
    await api.kubectl("rollout", "status", "deploy/web", "--timeout=20s")
    await api.kubectl("wait", "--for=condition=Available", "deploy/web", "--timeout=20s")
    ready = await api.kubectl("get", "deploy", "web", "--no-headers")
    assert cells(ready.out) == [["web", "2/2", "2", "2", "<age>"]]


async def test_a_finalizer_holds_kubectl_delete(api: Client) -> None:
    held = MANIFESTS.split("---")[0].replace("labels:", "finalizers: [example.com/hold], labels:")
    await api.kubectl("apply", "--server-side", "-f", "-", stdin=held)
    stuck = await api.kubectl("delete", "cm", "settings", "--timeout=1s", check=False)
    assert "timed out waiting for the condition" in stuck.err
    await api.kubectl("patch", "cm", "settings", "--type=merge", "--patch", '{"metadata":{"finalizers":null}}')
    await api.kubectl("wait", "--for=delete", "cm/settings", "--timeout=20s")


async def test_custom_kinds_are_served_like_any_other(api: Client) -> None:
    group = f"{api.namespace}.example.com"
    crd = f"""
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: lamps.{group}}}
spec:
  group: {group}
  names: {{kind: Lamp, plural: lamps, shortNames: [lp]}}
  scope: Namespaced
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          properties: {{spec: {{type: object, properties: {{watts: {{type: integer}}}}}}}}
      additionalPrinterColumns: [{{name: Watts, type: integer, jsonPath: .spec.watts}}]
"""
    await api.kubectl("apply", "--server-side", "-f", "-", stdin=crd)
    try:
        await api.kubectl("wait", "--for=condition=Established", f"crd/lamps.{group}", "--timeout=20s")
        lamp = f"apiVersion: {group}/v1\nkind: Lamp\nmetadata: {{name: desk}}\nspec: {{watts: 7}}\n"

        async def applied() -> bool:
            return (await api.kubectl("apply", "--server-side", "-f", "-", stdin=lamp, check=False)).code == 0

        await api.until(applied, "the new kind to be applied")
        assert cells((await api.kubectl("get", "lp")).out) == [["NAME", "WATTS"], ["desk", "7"]]

        async def refused() -> bool:
            # The real server publishes the schema of a new kind a moment after it serves it.
            wrong = await api.kubectl(
                "apply", "--server-side", "-f", "-", stdin=lamp.replace("watts: 7", "watts: bright"), check=False
            )
            assert wrong.code == 1
            return "expected numeric (int or float), got string" in wrong.err

        await api.until(refused, "the wrong type to be refused")
    finally:
        await api.kubectl("delete", "crd", f"lamps.{group}", "--wait=false")
