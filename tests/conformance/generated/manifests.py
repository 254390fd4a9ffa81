"""Realistic objects: the built-in kinds and custom ones, which point at each other by name."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import odd
from .writing import Alias, Anchor, Raw

Value = dict[Any, Any]

APPS = ("web", "api", "db", "cache", "job-runner", "x")
NAMESPACES = ("default", "apps", "team-a", "kube-system")
IMAGES = (
    "nginx",
    "nginx:1.14.2",
    "postgres:12",
    "foobar@sha256:24a0c4b4a4c0eb97a1aabb8e29f18e917d05abfe1b7a7c07857230879ce7d3d3",
    "registry.example.com:5000/team/app:v1",
    "gcr.io/x/y",
    "nginx:1.14@sha256:24a0c4b4a4c0eb97a1aabb8e29f18e917d05abfe1b7a7c07857230879ce7d3d3",
    "example.com/nginx",
    "$(IMAGE)",
)
LABELS = {
    "app": APPS,
    "tier": ("frontend", "backend"),
    "env": ("dev", "prod"),
    "app.kubernetes.io/name": APPS,
    "version": ("1", "v2"),
}
CONFIGS = ("settings", "env-config", "game", "extra")
SECRETS = ("creds", "tls", "token")
ACCOUNTS = ("default", "robot", "viewer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """An object that was generated, as later choices need it."""

    api_version: str
    kind: str
    name: str
    namespace: str
    labels: dict[str, str]


def labels(rng: random.Random, *, at_least: int = 0) -> dict[str, Any]:
    """Some labels."""
    keys = rng.sample(list(LABELS), rng.randint(at_least, 3))
    found: dict[str, Any] = {key: rng.choice(LABELS[key]) for key in keys}
    return found


def metadata(rng: random.Random, name: str) -> Value:
    """metadata with a name and whatever else comes with it."""
    value: Value = {"name": name}
    if rng.random() < 0.3:
        value["namespace"] = rng.choice(NAMESPACES)
    if rng.random() < 0.5:
        value["labels"] = labels(rng)
    if rng.random() < 0.3:
        value["annotations"] = annotations(rng)
    if rng.random() < 0.04:
        value["annotations"] = rng.choice(({}, None, {"n": Raw("1")}, {"b": Raw("true")}, {"z": None}))
    if rng.random() < 0.03:
        value["labels"] = rng.choice(({}, None, {"n": Raw("1")}))
    if rng.random() < 0.04:
        value["creationTimestamp"] = None
    if rng.random() < 0.03:
        value["ownerReferences"] = [{"apiVersion": "v1", "kind": "ConfigMap", "name": rng.choice(CONFIGS), "uid": "u"}]
    if rng.random() < 0.5:
        items = list(value.items())
        rng.shuffle(items)
        value = dict(items)
    return value


def annotations(rng: random.Random) -> Value:
    """Some annotations, one of them odd now and then."""
    value: Value = {
        key: rng.choice(("x", "true", "a b", "1"))
        for key in rng.sample(("note", "example.com/owner", "checksum", "z"), rng.randint(1, 2))
    }
    if rng.random() < 0.2:
        value["text"] = odd.text(rng)
    if rng.random() < 0.04:
        value["config.kubernetes.io/local-config"] = "true"
    if rng.random() < 0.03:
        value["internal.config.kubernetes.io/index"] = "3"
    if rng.random() < 0.03:
        value["kustomize.toolkit.fluxcd.io/prune"] = "disabled"
    return value


def env(rng: random.Random) -> list[Any]:
    """Environment of a container."""
    out: list[Any] = []
    for name in rng.sample(("HOST", "PORT", "MODE", "TOKEN", "PASSWORD"), rng.randint(1, 3)):
        roll = rng.random()
        if roll < 0.5:
            value: Any = rng.choice(("a", "1", "$(HOST):80", "${X}", "$(SVC)", "true"))
            if rng.random() < 0.1:
                value = rng.choice((Raw("1"), Raw("yes"), None, Raw("0755"), ""))
            out.append({"name": name, "value": value})
        elif roll < 0.75:
            out.append({"name": name, "valueFrom": {"configMapKeyRef": {"name": rng.choice(CONFIGS), "key": "k"}}})
        elif roll < 0.93:
            out.append({"name": name, "valueFrom": {"secretKeyRef": {"name": rng.choice(SECRETS), "key": "k", "optional": True}}})
        else:
            out.append({"name": name, "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}})
    return out


def container(rng: random.Random, name: str) -> Value:
    """A container."""
    value: Value = {"name": name, "image": rng.choice(IMAGES)}
    if rng.random() < 0.4:
        value["env"] = env(rng)
    if rng.random() < 0.2:
        value["envFrom"] = [
            rng.choice(({"configMapRef": {"name": rng.choice(CONFIGS)}}, {"secretRef": {"name": rng.choice(SECRETS)}}))
        ]
    if rng.random() < 0.3:
        value["command"] = rng.choice((["sh", "-c", "echo $(HOST)\nsleep 1\n"], ["run", "--port=$(PORT)", "-v"], ["--x", ""]))
    if rng.random() < 0.2:
        value["args"] = [rng.choice(("--a", "-b", "$(SVC)", "1", "")) for _ in range(rng.randint(0, 3))]
    if rng.random() < 0.4:
        value["ports"] = [
            {
                "containerPort": port,
                **({"name": f"p{port}"} if rng.random() < 0.5 else {}),
                **({"protocol": "TCP"} if rng.random() < 0.3 else {}),
            }
            for port in rng.sample((80, 8080, 443, 9090), rng.randint(1, 2))
        ]
    if rng.random() < 0.3:
        value["resources"] = {"limits": {"cpu": rng.choice((Raw("1"), "100m", Raw("0.5"))), "memory": "1Gi"}, "requests": {}}
    if rng.random() < 0.3:
        value["volumeMounts"] = [{"name": f"v{i}", "mountPath": f"/mnt/{i}"} for i in range(rng.randint(1, 2))]
    if rng.random() < 0.1:
        value["livenessProbe"] = {"httpGet": {"path": "/", "port": rng.choice((80, "http"))}, "periodSeconds": 3}
    if rng.random() < 0.05:
        value["securityContext"] = {"runAsUser": 1000, "capabilities": {"add": ["NET_ADMIN"], "drop": ["ALL"]}}
    return value


def pod_spec(rng: random.Random) -> Value:
    """A pod's spec."""
    value: Value = {"containers": [container(rng, name) for name in rng.sample(("main", "sidecar", "proxy"), rng.randint(1, 2))]}
    if rng.random() < 0.2:
        value["initContainers"] = [container(rng, "init")]
    if rng.random() < 0.25:
        value["serviceAccountName"] = rng.choice(ACCOUNTS)
    if rng.random() < 0.3:
        value["volumes"] = [volume(rng, f"v{i}") for i in range(rng.randint(1, 3))]
    if rng.random() < 0.1:
        value["imagePullSecrets"] = [{"name": rng.choice(SECRETS)}]
    if rng.random() < 0.1:
        value["affinity"] = {
            "podAntiAffinity": {
                "preferredDuringSchedulingIgnoredDuringExecution": [
                    {
                        "weight": 1,
                        "podAffinityTerm": {
                            "labelSelector": {"matchLabels": labels(rng)},
                            "topologyKey": "kubernetes.io/hostname",
                        },
                    }
                ]
            }
        }
    if rng.random() < 0.1:
        value["tolerations"] = [{"key": "a", "operator": "Exists"}, {"key": "b", "operator": "Equal", "value": "c"}]
    if rng.random() < 0.08:
        value["topologySpreadConstraints"] = [
            {"maxSkew": 1, "topologyKey": "zone", "labelSelector": {"matchLabels": labels(rng)}}
        ]
    if rng.random() < 0.05:
        value["nodeSelector"] = labels(rng)
    if rng.random() < 0.05:
        value["hostAliases"] = [{"ip": "127.0.0.1", "hostnames": ["a", "b"]}]
    return value


def volume(rng: random.Random, name: str) -> Value:
    """A volume of one of the kinds that name something."""
    return rng.choice(
        (
            {"name": name, "configMap": {"name": rng.choice(CONFIGS), "items": [{"key": "k", "path": "p"}]}},
            {
                "name": name,
                "secret": {"secretName": rng.choice(SECRETS), "defaultMode": Raw(rng.choice(("0644", "420", "0o600")))},
            },
            {"name": name, "emptyDir": {}},
            {"name": name, "persistentVolumeClaim": {"claimName": rng.choice(APPS)}},
            {
                "name": name,
                "projected": {
                    "sources": [{"configMap": {"name": rng.choice(CONFIGS)}}, {"secret": {"name": rng.choice(SECRETS)}}]
                },
            },
            {"name": name, "hostPath": {"path": "/x", "type": ""}},
        )
    )


def template(rng: random.Random, selector: dict[str, Any]) -> Value:
    """A pod template."""
    meta: Value = {"labels": dict(selector)} if rng.random() < 0.9 else {}
    if rng.random() < 0.2:
        meta["annotations"] = annotations(rng)
    if rng.random() < 0.1:
        meta["creationTimestamp"] = None
    return {"metadata": meta, "spec": pod_spec(rng)}


def workload(rng: random.Random, name: str, kind: str) -> Value:
    """Deployment, StatefulSet, DaemonSet, ReplicaSet."""
    selector = labels(rng, at_least=1)
    spec: Value = {"selector": {"matchLabels": dict(selector)}, "template": template(rng, selector)}
    if kind != "DaemonSet" and rng.random() < 0.6:
        spec["replicas"] = rng.choice((1, 3, 0))
    if kind == "StatefulSet":
        spec["serviceName"] = rng.choice(APPS)
        if rng.random() < 0.5:
            spec["volumeClaimTemplates"] = [
                {
                    "metadata": {"name": "data", **({"labels": labels(rng)} if rng.random() < 0.4 else {})},
                    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
                }
            ]
    if kind == "Deployment" and rng.random() < 0.2:
        spec["strategy"] = rng.choice(({"type": "Recreate"}, {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%"}}))
    value = {"apiVersion": "apps/v1", "kind": kind, "metadata": metadata(rng, name), "spec": spec}
    if rng.random() < 0.05:
        value["status"] = {}
    return value


def job(rng: random.Random, name: str, kind: str) -> Value:
    """Job and CronJob."""
    spec: Value = {"template": {"spec": {**pod_spec(rng), "restartPolicy": "Never"}}}
    if rng.random() < 0.3:
        spec["template"]["metadata"] = {"labels": labels(rng)}
    if kind == "Job":
        return {"apiVersion": "batch/v1", "kind": kind, "metadata": metadata(rng, name), "spec": spec}
    return {
        "apiVersion": rng.choice(("batch/v1", "batch/v1beta1")),
        "kind": kind,
        "metadata": metadata(rng, name),
        "spec": {"schedule": "*/5 * * * *", "jobTemplate": {"spec": spec}},
    }


def service(rng: random.Random, name: str) -> Value:
    """Service."""
    spec: Value = {"ports": [{"port": 80, "targetPort": rng.choice((8080, "http")), "name": "http"}]}
    if rng.random() < 0.85:
        spec["selector"] = labels(rng)
    if rng.random() < 0.3:
        spec["type"] = rng.choice(("ClusterIP", "LoadBalancer"))
        spec["ports"].append({"port": 443, "protocol": "TCP", "name": "https"})
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata(rng, name), "spec": spec}


def ingress(rng: random.Random, name: str) -> Value:
    """Ingress, new and old."""
    backend = {"service": {"name": rng.choice(APPS), "port": {"number": 80}}}
    rule = {"host": f"{name}.example.com", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}
    spec: Value = {"rules": [rule]}
    if rng.random() < 0.4:
        spec["tls"] = [{"hosts": [f"{name}.example.com"], "secretName": rng.choice(SECRETS)}]
    if rng.random() < 0.2:
        spec["defaultBackend"] = backend
    return {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": metadata(rng, name), "spec": spec}


def config(rng: random.Random, name: str) -> Value:
    """ConfigMap with texts of all kinds."""
    value: Value = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata(rng, name)}
    data: Value = {
        key: odd.text(rng) for key in rng.sample(("k", "a.properties", "config.yaml", "z", "key_1", "1"), rng.randint(0, 3))
    }
    if rng.random() < 0.1:
        data["raw"] = Raw(odd.number(rng))
    if data or rng.random() < 0.5:
        value["data"] = data
    if rng.random() < 0.1:
        value["binaryData"] = {"b": "aGk="}
    if rng.random() < 0.1:
        value["immutable"] = rng.choice((True, False))
    return value


def secret(rng: random.Random, name: str) -> Value:
    """Secret."""
    value: Value = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata(rng, name)}
    if rng.random() < 0.7:
        value["type"] = rng.choice(("Opaque", "kubernetes.io/tls"))
    value[rng.choice(("data", "stringData"))] = {
        key: rng.choice(("aGVsbG8=", "cGFzcw==", "")) for key in ("k", "password")[: rng.randint(0, 2)]
    }
    return value


def binding(rng: random.Random, name: str, kind: str) -> Value:
    """RoleBinding and ClusterRoleBinding."""
    subjects: list[Any] = []
    for _ in range(rng.randint(1, 2)):
        subject: Value = {"kind": rng.choice(("ServiceAccount", "ServiceAccount", "User")), "name": rng.choice(ACCOUNTS)}
        if rng.random() < 0.6:
            subject["namespace"] = rng.choice(NAMESPACES)
        subjects.append(subject)
    role = rng.choice(("Role", "ClusterRole"))
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": kind,
        "metadata": metadata(rng, name),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": role, "name": rng.choice(APPS)},
        "subjects": subjects,
    }


def role(rng: random.Random, name: str, kind: str) -> Value:
    """Role and ClusterRole."""
    rule: Value = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}
    if rng.random() < 0.4:
        rule["resourceNames"] = [rng.choice(SECRETS)]
    return {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": metadata(rng, name), "rules": [rule]}


def simple(
    api_version: str, kind: str, spec: Callable[[random.Random], Any] | None = None
) -> Callable[[random.Random, str], Value]:
    """A maker of objects with one spec."""

    def make(rng: random.Random, name: str) -> Value:
        value: Value = {"apiVersion": api_version, "kind": kind, "metadata": metadata(rng, name)}
        if spec is not None:
            value["spec"] = spec(rng)
        return value

    return make


def scaler(rng: random.Random, name: str) -> Value:
    """HorizontalPodAutoscaler."""
    version = rng.choice(("autoscaling/v1", "autoscaling/v2", "autoscaling/v2beta2"))
    spec: Value = {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": rng.choice(APPS)}, "maxReplicas": 5}
    if version != "autoscaling/v1":
        spec["metrics"] = [
            {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}
        ]
    return {"apiVersion": version, "kind": "HorizontalPodAutoscaler", "metadata": metadata(rng, name), "spec": spec}


def definition(rng: random.Random, name: str) -> Value:
    """CustomResourceDefinition of Widgets."""
    schema = {"type": "object", "properties": {"spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com",
            "names": {"kind": "Widget", "plural": "widgets"},
            "scope": "Namespaced",
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
        },
    }


def webhook(rng: random.Random, name: str) -> Value:
    """Mutating and validating webhooks."""
    client = {"service": {"name": rng.choice(APPS), "namespace": rng.choice(NAMESPACES), "path": "/"}}
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": rng.choice(("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")),
        "metadata": metadata(rng, name),
        "webhooks": [{"name": "w.example.com", "clientConfig": client, "sideEffects": "None"}],
    }


def custom(rng: random.Random, name: str) -> Value:
    """A custom resource with anything in it."""
    spec: Value = {odd.key(rng): odd.value(rng, 1) for _ in range(rng.randint(0, 4))}
    if rng.random() < 0.5:
        spec["image"] = rng.choice(IMAGES)
        spec["replicas"] = rng.choice((1, 2))
    if rng.random() < 0.3:
        spec["containers"] = [container(rng, "c")]
    if rng.random() < 0.3:
        spec["ref"] = {"name": rng.choice(APPS), "kind": rng.choice(("Deployment", "ConfigMap"))}
    if rng.random() < 0.3:
        spec["items"] = [{"name": "a", "value": 1}, {"name": "b", "value": 2}]
    return {
        "apiVersion": rng.choice(("example.com/v1", "example.com/v1", "example.com/v1beta1")),
        "kind": rng.choice(("Widget", "Widget", "Gadget")),
        "metadata": metadata(rng, name),
        "spec": spec,
    }


def with_shared_labels(rng: random.Random, value: Value) -> Value:
    """The labels once, with an anchor, and aliases where they are repeated."""
    spec = value.get("spec")
    if not isinstance(spec, dict) or "selector" not in spec or "template" not in spec or "matchLabels" not in spec["selector"]:
        return value
    shared = spec["selector"]["matchLabels"]
    meta = {**value["metadata"], "labels": Anchor("labels", shared)}
    inner = {**spec["template"], "metadata": {"labels": rng.choice((Alias("labels"), {"<<": Alias("labels"), "extra": "x"}))}}
    first = {"apiVersion": value["apiVersion"], "kind": value["kind"], "metadata": meta}
    return {**first, "spec": {**spec, "selector": {"matchLabels": Alias("labels")}, "template": inner}}


_MAKERS: tuple[tuple[int, tuple[str, ...], Callable[[random.Random, str], Value]], ...] = (
    (10, APPS, lambda rng, name: workload(rng, name, "Deployment")),
    (4, APPS, lambda rng, name: workload(rng, name, "StatefulSet")),
    (2, APPS, lambda rng, name: workload(rng, name, "DaemonSet")),
    (1, APPS, lambda rng, name: workload(rng, name, "ReplicaSet")),
    (2, APPS, lambda rng, name: job(rng, name, "Job")),
    (3, APPS, lambda rng, name: job(rng, name, "CronJob")),
    (1, APPS, lambda rng, name: {"apiVersion": "v1", "kind": "Pod", "metadata": metadata(rng, name), "spec": pod_spec(rng)}),
    (7, APPS, service),
    (3, APPS, ingress),
    (7, CONFIGS, config),
    (4, SECRETS, secret),
    (3, ACCOUNTS, simple("v1", "ServiceAccount")),
    (2, APPS, lambda rng, name: role(rng, name, "Role")),
    (2, APPS, lambda rng, name: role(rng, name, "ClusterRole")),
    (2, APPS, lambda rng, name: binding(rng, name, "RoleBinding")),
    (2, APPS, lambda rng, name: binding(rng, name, "ClusterRoleBinding")),
    (3, NAMESPACES, simple("v1", "Namespace")),
    (3, APPS, scaler),
    (1, ("w",), definition),
    (1, APPS, webhook),
    (7, APPS, custom),
    (
        2,
        APPS,
        simple(
            "v1",
            "PersistentVolumeClaim",
            lambda rng: {"accessModes": ["ReadWriteOnce"], "storageClassName": "fast", "volumeName": rng.choice(APPS)},
        ),
    ),
    (
        1,
        APPS,
        simple(
            "v1",
            "PersistentVolume",
            lambda rng: {"capacity": {"storage": "1Gi"}, "claimRef": {"name": rng.choice(APPS), "namespace": "default"}},
        ),
    ),
    (
        1,
        ("fast",),
        lambda rng, name: {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": metadata(rng, name),
            "provisioner": "x",
        },
    ),
    (
        2,
        APPS,
        simple("policy/v1", "PodDisruptionBudget", lambda rng: {"minAvailable": 1, "selector": {"matchLabels": labels(rng)}}),
    ),
    (
        2,
        APPS,
        simple(
            "networking.k8s.io/v1",
            "NetworkPolicy",
            lambda rng: {
                "podSelector": {"matchLabels": labels(rng)},
                "ingress": [{"from": [{"podSelector": {"matchLabels": labels(rng)}}, {"namespaceSelector": {}}]}],
            },
        ),
    ),
    (
        1,
        APPS,
        lambda rng, name: {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": metadata(rng, name),
            "value": 10,
        },
    ),
    (
        1,
        APPS,
        simple(
            "cert-manager.io/v1", "Certificate", lambda rng: {"secretName": rng.choice(SECRETS), "dnsNames": ["a.example.com"]}
        ),
    ),
    (
        1,
        APPS,
        simple(
            "monitoring.coreos.com/v1",
            "ServiceMonitor",
            lambda rng: {"selector": {"matchLabels": labels(rng)}, "endpoints": [{"port": "http"}]},
        ),
    ),
    (1, APPS, simple("helm.toolkit.fluxcd.io/v2", "HelmRelease", lambda rng: {"interval": "5m", "values": odd.value(rng, 1)})),
)
_WEIGHTS = [maker[0] for maker in _MAKERS]


def make(rng: random.Random, taken: set[tuple[str, ...]]) -> tuple[Value, Known] | None:
    """An object whose identity is new (mostly), and what to remember of it."""
    for _ in range(6):
        _, names, maker = rng.choices(_MAKERS, _WEIGHTS)[0]
        value = maker(rng, rng.choice(names))
        meta = value["metadata"]
        known = Known(
            api_version=value["apiVersion"],
            kind=value["kind"],
            name=meta["name"],
            namespace=meta.get("namespace", ""),
            labels={key: item for key, item in (meta.get("labels") or {}).items() if isinstance(item, str)},
        )
        # a namespace transformer brings objects of several namespaces together, so the name alone has to be new
        identity = (known.kind, known.name)
        if identity in taken and rng.random() > 0.01:
            continue
        taken.add(identity)
        if rng.random() < 0.08:
            value = with_shared_labels(rng, value)
        return value, known
    return None
