"""The manifests of Penstock inside a cluster: who it is, what it may do, how it runs, who may reach it.

In: an image, a namespace, how it applies. Out: plain manifests in the order of applying. Two ways to apply:

- `cluster-admin`: it applies whatever Git has as itself, as Flux does by default. Git decides what is in the cluster, so
  whoever syncs all of it needs the right to all of it.
- `service-accounts`: it has no right to change anything but its own objects. It acts as the service account that each
  Kustomization names (or `default`), in the namespaces it was given, and in no other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from penstock import __version__
from penstock.app import dashboard
from penstock.controllers import installing, leadership
from penstock.model import flux
from penstock.model.resource import Manifest

NAME: Final = "penstock-controller"
"""Flux's dashboards look for pods named `*-controller-*`."""
PORTS: Final = {"http-prom": 8080, "http": 9090, "healthz": 9440}
LABELS: Final = installing.LABELS
ApplyAs = Literal["cluster-admin", "service-accounts"]
_NOTIFICATIONS = "notification.toolkit.fluxcd.io"
_READ = ["get", "list", "watch"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What is chosen at install time."""

    image: str = f"penstock:{__version__}"
    namespace: str = installing.NAMESPACE
    apply_as: ApplyAs = "cluster-admin"
    tenants: tuple[str, ...] = ()
    """With `service-accounts`: the namespaces whose accounts it may act as."""
    replicas: int = 2
    monitoring: bool = False
    """A PodMonitor (its definition has to be there) and a Grafana dashboard."""
    arguments: tuple[str, ...] = ()
    """Further flags of `penstock run`."""


def manifests(settings: Settings) -> Iterator[Manifest]:
    """Everything, in the order of applying."""
    yield _namespace(settings)
    yield from installing.definitions()
    yield _account(settings)
    yield from _rights(settings)
    yield from _policies(settings)
    yield _deployment(settings)
    yield _budget(settings)
    if settings.monitoring:
        yield _pod_monitor(settings)
        yield _dashboard(settings)


def command_line(settings: Settings) -> list[str]:
    """The arguments of the container."""
    narrow = ["--default-service-account=default", "--no-cross-namespace-refs"]
    return [
        "run",
        "--enable-leader-election",
        "--cache=/data/cache",
        "--storage-path=/data/artifacts",
        f"--storage-addr=:{PORTS['http']}",
        f"--storage-adv-addr=$(POD_IP):{PORTS['http']}",
        f"--metrics-addr=:{PORTS['http-prom']}",
        f"--health-addr=:{PORTS['healthz']}",
        "--log-encoding=json",
        *(narrow if settings.apply_as == "service-accounts" else []),
        *settings.arguments,
    ]


def _meta(name: str, settings: Settings, *, cluster: bool = False) -> Manifest:
    metadata: Manifest = {"name": name, "labels": {**LABELS, "app.kubernetes.io/component": NAME}}
    return metadata if cluster else {**metadata, "namespace": settings.namespace}


def _namespace(settings: Settings) -> Manifest:
    restricted = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "audit", "warn")}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": settings.namespace, "labels": {**LABELS, **restricted}}}


def _account(settings: Settings) -> Manifest:
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _meta(NAME, settings)}


def _rule(groups: Sequence[str], resources: Sequence[str], verbs: Sequence[str], names: Sequence[str] = ()) -> dict[str, Any]:
    rule = {"apiGroups": list(groups), "resources": list(resources), "verbs": list(verbs)}
    return {**rule, "resourceNames": list(names)} if names else rule


def _rights(settings: Settings) -> Iterator[Manifest]:
    """Each rule for a reason: see docs/how-to/install.md."""
    ours, lists = (flux.SOURCE_GROUP, flux.KUSTOMIZE_GROUP), ["gitrepositories", "kustomizations"]
    yield _role(
        "ClusterRole",
        settings,
        NAME,
        [
            _rule([flux.SOURCE_GROUP], ["*"], _READ),
            _rule([flux.KUSTOMIZE_GROUP], ["*"], _READ),
            _rule([_NOTIFICATIONS], ["receivers"], _READ),
            _rule([_NOTIFICATIONS], ["receivers", "receivers/status"], ["patch"]),
            _rule(ours, lists, ["patch"]),
            _rule(ours, [f"{each}/status" for each in lists], ["patch"]),
            _rule([""], ["events"], ["create", "patch"]),
            _rule([""], ["namespaces", "secrets", "configmaps", "serviceaccounts"], _READ),
        ],
    )
    yield _binding("ClusterRoleBinding", settings, NAME, "ClusterRole", NAME)
    # creating cannot be limited by name; a Lease of another name in this namespace gives no right to anything
    leases = "coordination.k8s.io"
    yield _role(
        "Role",
        settings,
        f"{NAME}-leases",
        [
            _rule([leases], ["leases"], ["create"]),
            _rule([leases], ["leases"], ["get", "patch"], _leases(settings)),
        ],
    )
    yield _binding("RoleBinding", settings, f"{NAME}-leases", "Role", f"{NAME}-leases")
    if settings.apply_as == "cluster-admin":
        yield _binding("ClusterRoleBinding", settings, f"{NAME}-cluster-admin", "ClusterRole", "cluster-admin")
        return
    # what it owns is watched as itself, whatever kind it is of; changing is for the accounts it acts as
    yield _role("ClusterRole", settings, f"{NAME}-view", [_rule(["*"], ["*"], _READ)])
    yield _binding("ClusterRoleBinding", settings, f"{NAME}-view", "ClusterRole", f"{NAME}-view")
    yield _role("ClusterRole", settings, f"{NAME}-impersonate", [_rule([""], ["serviceaccounts"], ["impersonate"])])
    for tenant in settings.tenants:
        binding = _binding("RoleBinding", settings, f"{NAME}-impersonate", "ClusterRole", f"{NAME}-impersonate")
        binding["metadata"]["namespace"] = tenant
        yield binding


def _leases(settings: Settings) -> list[str]:
    """Those that `penstock run` with these arguments takes."""
    flag = "--watch-label-selector="
    selector = next((each.removeprefix(flag) for each in settings.arguments if each.startswith(flag)), "")
    return [leadership.shard_name(name, selector) for name in (leadership.KUSTOMIZE_LEASE, leadership.SOURCE_LEASE)]


def _role(kind: str, settings: Settings, name: str, rules: list[dict[str, Any]]) -> Manifest:
    metadata = _meta(name, settings, cluster=kind == "ClusterRole")
    return {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": metadata, "rules": rules}


def _binding(kind: str, settings: Settings, name: str, role_kind: str, role: str) -> Manifest:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": kind,
        "metadata": _meta(name, settings, cluster=kind == "ClusterRoleBinding"),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": role_kind, "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": settings.namespace}],
    }


def _policies(settings: Settings) -> Iterator[Manifest]:
    """Metrics may be read from anywhere in the cluster, artifacts by the pods of this namespace, and nothing else comes in.
    Going out is open: Git servers and API servers are where they are."""
    yield {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": _meta(NAME, settings),
        "spec": {
            "podSelector": {"matchLabels": {"app": NAME}},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [
                {"from": [{"namespaceSelector": {}}], "ports": [{"port": "http-prom", "protocol": "TCP"}]},
                {"from": [{"podSelector": {}}], "ports": [{"port": "http", "protocol": "TCP"}]},
            ],
            "egress": [{}],
        },
    }


def _deployment(settings: Settings) -> Manifest:
    labels = {**LABELS, "app": NAME}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _meta(NAME, settings),
        "spec": {
            "replicas": settings.replicas,
            "selector": {"matchLabels": {"app": NAME}},
            "template": {"metadata": {"labels": labels}, "spec": pod(settings)},
        },
    }


def pod(settings: Settings) -> Manifest:
    """The pod's spec: it satisfies the restricted Pod Security Standard."""
    return {
        "serviceAccountName": NAME,
        "automountServiceAccountToken": True,
        # the passes under way get 20 s, letting go of the lease a few more
        "terminationGracePeriodSeconds": 40,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "runAsGroup": 65532,
            "fsGroup": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(settings)],
        "volumes": [{"name": "data", "emptyDir": {}}, {"name": "tmp", "emptyDir": {}}],
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": {"app": NAME}},
            }
        ],
    }


def _container(settings: Settings) -> Manifest:
    def field(name: str, path: str) -> Manifest:
        return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}

    def probe(path: str, **more: int) -> Manifest:
        return {"httpGet": {"path": path, "port": "healthz"}, **more}

    return {
        # the name that `flux logs` reads
        "name": "manager",
        "image": settings.image,
        "imagePullPolicy": "IfNotPresent",
        "args": command_line(settings),
        "env": [
            field("RUNTIME_NAMESPACE", "metadata.namespace"),
            field("POD_IP", "status.podIP"),
            {"name": "HOME", "value": "/tmp"},  # noqa: S108 - a volume of the pod
        ],
        "ports": [{"name": name, "containerPort": port, "protocol": "TCP"} for name, port in PORTS.items()],
        "livenessProbe": probe("/healthz", periodSeconds=10, timeoutSeconds=5, failureThreshold=6),
        "readinessProbe": probe("/readyz", periodSeconds=10, timeoutSeconds=5),
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "1Gi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": [{"name": "data", "mountPath": "/data"}, {"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108
    }


def _budget(settings: Settings) -> Manifest:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": _meta(NAME, settings),
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": NAME}}},
    }


def _pod_monitor(settings: Settings) -> Manifest:
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PodMonitor",
        "metadata": _meta(NAME, settings),
        "spec": {
            "namespaceSelector": {"matchNames": [settings.namespace]},
            "selector": {"matchLabels": {"app": NAME}},
            "podMetricsEndpoints": [{"port": "http-prom", "interval": "30s"}],
        },
    }


def _dashboard(settings: Settings) -> Manifest:
    metadata = _meta(f"{NAME}-dashboard", settings)
    metadata["labels"] = {**metadata["labels"], "grafana_dashboard": "1"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"penstock.json": dashboard.text()}}
