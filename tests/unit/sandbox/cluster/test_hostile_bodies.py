"""Whatever a client sends, the answer is an object or a refusal, never a crash, and what is stored can be read back."""

from __future__ import annotations

import contextlib
import copy
import random
from pathlib import Path
from typing import Any

import pytest

from penstock.sandbox.cluster import openapi, tables
from penstock.sandbox.cluster.api import Api, Call
from penstock.sandbox.cluster.controllers import Controllers
from penstock.sandbox.cluster.kinds import Registry
from penstock.sandbox.cluster.status import ApiError
from penstock.sandbox.cluster.store import Store

LABELS = {"app": "web"}
POD = {
    "containers": [
        {
            "name": "web",
            "image": "x:1",
            "ports": [{"containerPort": 80}],
            "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
            "resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "500m"}},
            "livenessProbe": {"httpGet": {"port": 80}},
            "volumeMounts": [{"name": "v", "mountPath": "/v"}],
        }
    ],
    "volumes": [{"name": "v", "configMap": {"name": "c"}}],
    "tolerations": [{"key": "a"}],
}
TEMPLATE = {"metadata": {"labels": LABELS}, "spec": POD}
WORKLOAD = {"replicas": 1, "selector": {"matchLabels": LABELS}, "template": TEMPLATE}
SCHEMA = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "properties": {
                "a": {"type": "integer", "minimum": 1, "default": 2},
                "b": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
                "c": {"oneOf": [{"required": ["x"]}], "type": "object", "properties": {"x": {"type": "string", "pattern": "^a"}}},
            },
        }
    },
}
BODIES: dict[str, tuple[str, dict[str, Any]]] = {
    "ConfigMap": ("", {"data": {"a": "b"}, "binaryData": {"c": "AA=="}}),
    "Secret": ("", {"stringData": {"a": "b"}, "data": {"c": "AA=="}}),
    "Service": ("", {"spec": {"type": "NodePort", "selector": LABELS, "ports": [{"port": 80, "targetPort": "x"}]}}),
    "Pod": ("", {"spec": POD}),
    "PersistentVolumeClaim": ("", {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}),
    "LimitRange": ("", {"spec": {"limits": [{"type": "Container", "max": {"cpu": "1"}}]}}),
    "Deployment": ("apps", {"spec": WORKLOAD}),
    "StatefulSet": ("apps", {"spec": {**WORKLOAD, "volumeClaimTemplates": [{"metadata": {"name": "d"}, "spec": {}}]}}),
    "DaemonSet": ("apps", {"spec": {"selector": {"matchLabels": LABELS}, "template": TEMPLATE}}),
    "Job": ("batch", {"spec": {"template": {"spec": {**POD, "restartPolicy": "Never"}}}}),
    "CronJob": (
        "batch",
        {"spec": {"schedule": "* * * * *", "jobTemplate": {"spec": {"template": {"spec": {**POD, "restartPolicy": "Never"}}}}}},
    ),
    "NetworkPolicy": ("networking.k8s.io", {"spec": {"podSelector": {}, "egress": [{"ports": [{"port": 1}]}]}}),
    "Ingress": ("networking.k8s.io", {"spec": {"rules": [{"http": {"paths": [{"path": "/", "pathType": "Exact"}]}}]}}),
    "PodDisruptionBudget": ("policy", {"spec": {"minAvailable": "50%", "selector": {"matchLabels": LABELS}}}),
    "HorizontalPodAutoscaler": ("autoscaling", {"spec": {"maxReplicas": 1, "scaleTargetRef": {"kind": "a", "name": "b"}}}),
    "RoleBinding": ("rbac.authorization.k8s.io", {"roleRef": {"kind": "Role", "name": "a"}, "subjects": [{"kind": "User"}]}),
    "CustomResourceDefinition": (
        "apiextensions.k8s.io",
        {
            "metadata": {"name": "things.example.com"},
            "spec": {
                "group": "example.com",
                "names": {"kind": "Thing", "plural": "things"},
                "scope": "Namespaced",
                "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": SCHEMA}}],
            },
        },
    ),
}
BODIES["Thing"] = ("example.com", {"spec": {"a": 1, "b": ["x"], "c": {"x": "a"}}})
ODD = [None, True, 0, -1, 1.5, "", "x", "£\x00", [], {}, [None], [[]], {"": None}, {"a": {"b": []}}, 2**70, "9" * 300]


def mutate(body: dict[str, Any], dice: random.Random) -> dict[str, Any]:
    """The body with one to three places replaced, removed or added."""
    out = copy.deepcopy(body)
    for _ in range(dice.randint(1, 3)):
        places = list(_places(out))
        holder, key = dice.choice(places)
        action = dice.random()
        if action < 0.6:
            holder[key] = copy.deepcopy(dice.choice(ODD))
        elif action < 0.8:
            del holder[key]
        elif isinstance(holder, list):
            holder.append(copy.deepcopy(dice.choice(ODD)))
        else:
            holder[dice.choice(["x", "$patch", "name", "metadata", "status"])] = copy.deepcopy(dice.choice(ODD))
        if not out:
            return out
    return out


def _places(value: Any) -> Any:
    if isinstance(value, dict):
        for key, child in value.items():
            yield value, key
            yield from _places(child)
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield value, index
            yield from _places(child)


@pytest.mark.parametrize("name", BODIES)
async def test_no_body_crashes_the_api_or_its_controllers(tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    dice = random.Random(name)
    with contextlib.closing(Store(tmp_path / "db")) as store:
        stored, refused = await _storm(store, name, dice)
    assert stored, "nothing at all was accepted: the mutations are too wild to test anything"
    assert refused
    crashed = [record for record in caplog.records if record.exc_info]
    assert not crashed, crashed[0].getMessage()


async def _storm(store: Store, name: str, dice: random.Random) -> tuple[int, int]:
    """150 mutated bodies through every door; how many were stored and refused."""
    api = Api(store, Registry())
    namespaces = api.registry.find("", "v1", "namespaces")
    assert namespaces is not None
    api.create(Call(kind=namespaces), {"metadata": {"name": "ns"}})
    group, sound = BODIES[name]
    sound = {**sound, "metadata": {"name": "thing", "labels": {"a": "b"}, **sound.get("metadata", {})}}
    if name == "Thing":
        definitions = api.registry.by_kind("apiextensions.k8s.io", "CustomResourceDefinition")
        assert definitions is not None
        api.create(Call(kind=definitions), BODIES["CustomResourceDefinition"][1])
    kind = api.registry.by_kind(group, name)
    assert kind is not None
    stored = refused = 0
    async with Controllers(api, rollout_seconds=0):
        for _ in range(150):
            body = mutate(sound, dice)
            call = Call(kind=kind, namespace="ns" if kind.namespaced else "", name=sound["metadata"]["name"], manager="m")
            try:
                way = dice.randrange(4)
                if way == 0:
                    api.create(Call(kind=kind, namespace=call.namespace), body)
                elif way == 1:
                    api.apply(call, {**body, "apiVersion": kind.api_version, "kind": kind.kind}, force=True)
                elif way == 2:
                    api.patch(call, dice.choice(["merge", "strategic"]), body)
                else:
                    api.replace(call, body)
                stored += 1
            except ApiError as error:
                assert error.status()["code"] >= 400
                refused += 1
            await store.durable()
            for manifest in store.objects(kind.key):
                tables.table(kind, [manifest], "Object", "1")
    for group, versions in api.registry.group_versions().items():
        for version in versions:
            assert openapi.v3(api.registry, group, version)["paths"]
    return stored, refused
