"""Every built-in kind the sandbox serves is stored, defaulted and owned as a real API server does it."""

from __future__ import annotations

from typing import Any

import pytest
from cluster_clients import Twins

POD: dict[str, Any] = {
    "containers": [
        {
            "name": "web",
            "image": "nginx",
            "ports": [{"containerPort": 80, "name": "http"}],
            "env": [{"name": "A", "value": "1"}, {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
            "resources": {"limits": {"cpu": "1000m", "memory": "1024Mi"}, "requests": {"cpu": "0.5", "memory": "1e3"}},
            "readinessProbe": {"httpGet": {"port": "http"}},
            "livenessProbe": {"exec": {"command": ["true"]}, "periodSeconds": 5},
            "volumeMounts": [{"name": "config", "mountPath": "/etc/config"}, {"name": "tmp", "mountPath": "/tmp"}],
            "securityContext": {"runAsNonRoot": True, "privileged": False},
        },
        {"name": "side", "image": "registry.example/side:1.2@sha256:" + "0" * 64},
    ],
    "initContainers": [{"name": "init", "image": "busybox:1", "command": ["true"]}],
    "volumes": [
        {"name": "config", "configMap": {"name": "config"}},
        {"name": "secret", "secret": {"secretName": "secret"}},
        {"name": "tmp", "emptyDir": {}},
        {"name": "token", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}},
    ],
    "serviceAccountName": "web",
    "hostNetwork": False,
}
LABELS = {"app": "web"}
TEMPLATE = {"metadata": {"labels": LABELS}, "spec": POD}
SELECTOR = {"matchLabels": LABELS}
JOB_TEMPLATE = {"spec": {**POD, "restartPolicy": "Never"}}
METRIC = {"type": "Resource", "resource": {"name": "memory", "target": {"type": "AverageValue", "averageValue": "1.5Gi"}}}
HOOK = {
    "name": "a.example.com",
    "sideEffects": "None",
    "admissionReviewVersions": ["v1"],
    "clientConfig": {"service": {"name": "a", "namespace": "b"}},
    "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["bindings"]}],
    "namespaceSelector": {"matchLabels": {"nobody": "has-this"}},
}

NAMESPACED: dict[str, tuple[str, str, dict[str, Any]]] = {
    "config map": ("v1", "configmaps", {"data": {"a": "1", "b": ""}, "binaryData": {"c": "AAA="}}),
    "empty config map": ("v1", "configmaps", {"data": {}}),
    "secret": ("v1", "secrets", {"stringData": {"a": "text"}, "data": {"b": "AAA="}}),
    "typed secret": ("v1", "secrets", {"type": "example.com/x", "immutable": True}),
    "service account": ("v1", "serviceaccounts", {"imagePullSecrets": [{"name": "a"}], "automountServiceAccountToken": False}),
    "service": ("v1", "services", {"spec": {"selector": LABELS, "ports": [{"port": 80, "targetPort": "http"}]}}),
    "service of two ports": (
        "v1",
        "services",
        {"spec": {"ports": [{"name": "a", "port": 80}, {"name": "b", "port": 53, "protocol": "UDP", "targetPort": 5353}]}},
    ),
    "headless service": ("v1", "services", {"spec": {"clusterIP": "None", "selector": LABELS, "ports": [{"port": 80}]}}),
    "node port service": ("v1", "services", {"spec": {"type": "NodePort", "ports": [{"port": 80}]}}),
    "load balancer": ("v1", "services", {"spec": {"type": "LoadBalancer", "ports": [{"port": 80}]}}),
    "external name": ("v1", "services", {"spec": {"type": "ExternalName", "externalName": "example.com"}}),
    "sticky service": ("v1", "services", {"spec": {"sessionAffinity": "ClientIP", "ports": [{"port": 80}]}}),
    "claim": (
        "v1",
        "persistentvolumeclaims",
        {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1024Mi"}}}},
    ),
    "deployment": ("apps/v1", "deployments", {"spec": {"selector": SELECTOR, "template": TEMPLATE}}),
    "recreate deployment": (
        "apps/v1",
        "deployments",
        {"spec": {"replicas": 0, "strategy": {"type": "Recreate"}, "selector": SELECTOR, "template": TEMPLATE, "paused": False}},
    ),
    "replica set": ("apps/v1", "replicasets", {"spec": {"selector": SELECTOR, "template": TEMPLATE}}),
    "stateful set": (
        "apps/v1",
        "statefulsets",
        {
            "spec": {
                "serviceName": "web",
                "selector": SELECTOR,
                "template": TEMPLATE,
                "volumeClaimTemplates": [
                    {
                        "metadata": {"name": "data"},
                        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
                    }
                ],
            }
        },
    ),
    "daemon set": ("apps/v1", "daemonsets", {"spec": {"selector": SELECTOR, "template": TEMPLATE}}),
    "job": ("batch/v1", "jobs", {"spec": {"template": JOB_TEMPLATE}}),
    "cron job": (
        "batch/v1",
        "cronjobs",
        {"spec": {"schedule": "0 3 * * *", "jobTemplate": {"spec": {"template": JOB_TEMPLATE}}}},
    ),
    "pod": ("v1", "pods", {"spec": POD}),
    "autoscaler": (
        "autoscaling/v2",
        "horizontalpodautoscalers",
        {
            "spec": {
                "maxReplicas": 3,
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
                "metrics": [METRIC],
            }
        },
    ),
    "ingress": (
        "networking.k8s.io/v1",
        "ingresses",
        {
            "spec": {
                "rules": [
                    {
                        "host": "example.com",
                        "http": {
                            "paths": [
                                {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "a", "port": {"number": 80}}}}
                            ]
                        },
                    }
                ],
                "tls": [{"hosts": ["example.com"], "secretName": "tls"}],
            }
        },
    ),
    "network policy": (
        "networking.k8s.io/v1",
        "networkpolicies",
        {"spec": {"podSelector": {}, "ingress": [{"ports": [{"port": 80}]}], "egress": [{"to": [{"podSelector": SELECTOR}]}]}},
    ),
    "disruption budget": ("policy/v1", "poddisruptionbudgets", {"spec": {"minAvailable": "50%", "selector": SELECTOR}}),
    "role": (
        "rbac.authorization.k8s.io/v1",
        "roles",
        {"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}]},
    ),
    "empty role": ("rbac.authorization.k8s.io/v1", "roles", {}),
    "role binding": (
        "rbac.authorization.k8s.io/v1",
        "rolebindings",
        {
            "roleRef": {"kind": "ClusterRole", "name": "view"},
            "subjects": [{"kind": "ServiceAccount", "name": "a", "namespace": "b"}, {"kind": "User", "name": "u"}],
        },
    ),
    "lease": (
        "coordination.k8s.io/v1",
        "leases",
        {"spec": {"holderIdentity": "me", "leaseDurationSeconds": 15, "renewTime": "2026-01-01T00:00:00.000000Z"}},
    ),
    "limit range": ("v1", "limitranges", {"spec": {"limits": [{"type": "Container", "max": {"cpu": "2000m"}}]}}),
    "quota": ("v1", "resourcequotas", {"spec": {"hard": {"pods": "1000"}}}),
    "endpoint slice": (
        "discovery.k8s.io/v1",
        "endpointslices",
        {"addressType": "IPv4", "endpoints": [{"addresses": ["192.0.2.1"]}], "ports": [{"port": 80}]},
    ),
}
CLUSTERED: dict[str, tuple[str, str, dict[str, Any]]] = {
    "namespace": ("v1", "namespaces", {"metadata": {"labels": {"team": "a"}}}),
    "cluster role": (
        "rbac.authorization.k8s.io/v1",
        "clusterroles",
        {"rules": [{"nonResourceURLs": ["/metrics"], "verbs": ["get"]}]},
    ),
    "cluster role binding": (
        "rbac.authorization.k8s.io/v1",
        "clusterrolebindings",
        {"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}},
    ),
    "priority class": ("scheduling.k8s.io/v1", "priorityclasses", {"value": 10, "description": "x"}),
    "storage class": ("storage.k8s.io/v1", "storageclasses", {"provisioner": "example.com/disk", "parameters": {"a": "b"}}),
    "ingress class": ("networking.k8s.io/v1", "ingressclasses", {"spec": {"controller": "example.com/ingress"}}),
    "volume": (
        "v1",
        "persistentvolumes",
        {"spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteMany"], "nfs": {"path": "/", "server": "a"}}},
    ),
    "validating webhook": ("admissionregistration.k8s.io/v1", "validatingwebhookconfigurations", {"webhooks": [HOOK]}),
    "mutating webhook": ("admissionregistration.k8s.io/v1", "mutatingwebhookconfigurations", {"webhooks": [HOOK]}),
}


def _base(api_version: str) -> str:
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"


def _with_name(body: dict[str, Any], name: str) -> dict[str, Any]:
    return {**body, "metadata": {**body.get("metadata", {}), "name": name}}


@pytest.mark.parametrize("what", NAMESPACED)
async def test_a_created_object_comes_back_the_same(twins: Twins, what: str) -> None:
    api_version, plural, body = NAMESPACED[what]
    collection = f"{_base(api_version)}/namespaces/{{ns}}/{plural}"
    await twins.same("POST", collection, _with_name(body, "thing"))
    await twins.same("GET", f"{collection}/thing")


@pytest.mark.parametrize("what", NAMESPACED)
async def test_an_applied_object_comes_back_the_same_and_a_second_apply_changes_nothing(twins: Twins, what: str) -> None:
    api_version, plural, body = NAMESPACED[what]
    place = f"{_base(api_version)}/namespaces/{{ns}}/{plural}/thing"
    kind = (await twins.sandbox.ok("GET", place.rpartition("/")[0]))["kind"].removesuffix("List")
    applied = {"apiVersion": api_version, "kind": kind, **_with_name(body, "thing")}
    first = await twins.apply(place, applied)
    second = await twins.apply(place, applied)
    assert first == second


@pytest.mark.parametrize("what", CLUSTERED)
async def test_a_created_cluster_object_comes_back_the_same(twins: Twins, what: str) -> None:
    api_version, plural, body = CLUSTERED[what]
    name = f"{twins.real.namespace}-thing"
    try:
        await twins.same("POST", f"{_base(api_version)}/{plural}", _with_name(body, name))
    finally:
        await twins.real.call("DELETE", f"{_base(api_version)}/{plural}/{name}")
