"""Defaults of the built-in kinds: what the API fills in where a client said nothing.

In: a normalized object, changed in place (it is ours by then). Out: the same object, complete. Most defaults are rows of a
table; the few that depend on other fields are functions. Values an allocator picks (cluster IPs, node ports) are given by
the caller.
Source: the SetDefaults functions of kubernetes pkg/apis, probed on a real API server by the contract suite.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

Manifest = dict[str, Any]
TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"

# Rows of a pod spec, wherever it stands. `[]` is each item of a list; a row applies when everything before its last
# key is there and the last key is not.
_POD = """
restartPolicy = "Always"
dnsPolicy = "ClusterFirst"
schedulerName = "default-scheduler"
securityContext = {}
terminationGracePeriodSeconds = 30
@containers[].terminationMessagePath = "/dev/termination-log"
@containers[].terminationMessagePolicy = "File"
@containers[].resources = {}
@containers[].ports[].protocol = "TCP"
@containers[].env[].valueFrom.fieldRef.apiVersion = "v1"
@containers[].lifecycle.@hook.httpGet.path = "/"
@containers[].lifecycle.@hook.httpGet.scheme = "HTTP"
@containers[].@probe.timeoutSeconds = 1
@containers[].@probe.periodSeconds = 10
@containers[].@probe.successThreshold = 1
@containers[].@probe.failureThreshold = 3
@containers[].@probe.httpGet.path = "/"
@containers[].@probe.httpGet.scheme = "HTTP"
@containers[].@probe.grpc.service = ""
volumes[].secret.defaultMode = 420
volumes[].configMap.defaultMode = 420
volumes[].downwardAPI.defaultMode = 420
volumes[].downwardAPI.items[].fieldRef.apiVersion = "v1"
volumes[].projected.defaultMode = 420
volumes[].projected.sources[].serviceAccountToken.expirationSeconds = 3600
volumes[].projected.sources[].downwardAPI.items[].fieldRef.apiVersion = "v1"
volumes[].hostPath.type = ""
volumes[].ephemeral.volumeClaimTemplate.spec.volumeMode = "Filesystem"
"""

_KINDS = {
    "deployments.apps": """
spec.replicas = 1
spec.strategy.type = "RollingUpdate"
spec.revisionHistoryLimit = 10
spec.progressDeadlineSeconds = 600
""",
    "replicasets.apps": "spec.replicas = 1",
    "replicationcontrollers": "spec.replicas = 1",
    "statefulsets.apps": """
spec.replicas = 1
spec.podManagementPolicy = "OrderedReady"
spec.updateStrategy.type = "RollingUpdate"
spec.revisionHistoryLimit = 10
spec.persistentVolumeClaimRetentionPolicy = {}
spec.persistentVolumeClaimRetentionPolicy.whenDeleted = "Retain"
spec.persistentVolumeClaimRetentionPolicy.whenScaled = "Retain"
spec.volumeClaimTemplates[].spec.volumeMode = "Filesystem"
spec.volumeClaimTemplates[].status.phase = "Pending"
spec.volumeClaimTemplates[].apiVersion = "v1"
spec.volumeClaimTemplates[].kind = "PersistentVolumeClaim"
""",
    "daemonsets.apps": """
spec.updateStrategy.type = "RollingUpdate"
spec.revisionHistoryLimit = 10
""",
    "jobs.batch": """
spec.backoffLimit = 6
spec.parallelism = 1
spec.completionMode = "NonIndexed"
spec.manualSelector = false
spec.suspend = false
spec.podReplacementPolicy = "TerminatingOrFailed"
""",
    "cronjobs.batch": """
spec.concurrencyPolicy = "Allow"
spec.suspend = false
spec.successfulJobsHistoryLimit = 3
spec.failedJobsHistoryLimit = 1
""",
    "services": """
spec.type = "ClusterIP"
spec.sessionAffinity = "None"
spec.ports[].protocol = "TCP"
""",
    "secrets": 'type = "Opaque"',
    "namespaces": 'status.phase = "Active"',
    "persistentvolumeclaims": """
spec.volumeMode = "Filesystem"
status.phase = "Pending"
""",
    "persistentvolumes": """
spec.persistentVolumeReclaimPolicy = "Retain"
spec.volumeMode = "Filesystem"
status.phase = "Pending"
""",
    "storageclasses.storage.k8s.io": """
reclaimPolicy = "Delete"
volumeBindingMode = "Immediate"
""",
    "priorityclasses.scheduling.k8s.io": 'preemptionPolicy = "PreemptLowerPriority"',
    "horizontalpodautoscalers.autoscaling": """
spec.minReplicas = 1
spec.metrics = [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}]
status.currentMetrics = null
""",
    "networkpolicies.networking.k8s.io": """
spec.ingress[].ports[].protocol = "TCP"
spec.egress[].ports[].protocol = "TCP"
""",
    "endpoints": 'subsets[].ports[].protocol = "TCP"',
    "endpointslices.discovery.k8s.io": """
ports[].name = ""
ports[].protocol = "TCP"
""",
    "mutatingwebhookconfigurations.admissionregistration.k8s.io": """
webhooks[].failurePolicy = "Fail"
webhooks[].matchPolicy = "Equivalent"
webhooks[].namespaceSelector = {}
webhooks[].objectSelector = {}
webhooks[].timeoutSeconds = 10
webhooks[].reinvocationPolicy = "Never"
webhooks[].clientConfig.service.port = 443
webhooks[].rules[].scope = "*"
""",
    "validatingwebhookconfigurations.admissionregistration.k8s.io": """
webhooks[].failurePolicy = "Fail"
webhooks[].matchPolicy = "Equivalent"
webhooks[].namespaceSelector = {}
webhooks[].objectSelector = {}
webhooks[].timeoutSeconds = 10
webhooks[].clientConfig.service.port = 443
webhooks[].rules[].scope = "*"
""",
    "customresourcedefinitions.apiextensions.k8s.io": """
spec.conversion = {"strategy": "None"}
""",
    "pods": "spec.enableServiceLinks = true",
}

_POD_PLACES = {
    "pods": "spec",
    "podtemplates": "template.spec",
    "replicationcontrollers": "spec.template.spec",
    "deployments.apps": "spec.template.spec",
    "replicasets.apps": "spec.template.spec",
    "statefulsets.apps": "spec.template.spec",
    "daemonsets.apps": "spec.template.spec",
    "jobs.batch": "spec.template.spec",
    "cronjobs.batch": "spec.jobTemplate.spec.template.spec",
}

_GROUPS = {
    "@containers[]": ("containers[]", "initContainers[]", "ephemeralContainers[]"),
    "@probe": ("livenessProbe", "readinessProbe", "startupProbe"),
    "@hook": ("postStart", "preStop"),
}


def default(resource: str, manifest: Manifest) -> None:
    """Fill in every default of a built-in kind, in place."""
    special = _SPECIAL.get(resource)
    if special is not None:
        special(manifest)
    _places(_KINDS.get(resource, "")).fill(manifest)
    if resource in _POD_PLACES:
        spec = pod_spec(resource, manifest)
        if spec is not None:
            _pod(spec)


def pod_spec(resource: str, manifest: Mapping[str, Any]) -> Manifest | None:
    """The pod spec inside an object of a workload kind."""
    if resource not in _POD_PLACES:
        return None
    found: Any = manifest
    for part in _POD_PLACES[resource].split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else None


@dataclass(slots=True)
class _Place:
    """A place in an object: the defaults of its own keys, and the places below."""

    defaults: dict[str, Any] = field(default_factory=dict)
    below: dict[str, _Place] = field(default_factory=dict)

    def fill(self, value: Any) -> None:
        if not isinstance(value, dict):
            return
        for key, default_value in self.defaults.items():
            if key not in value:
                value[key] = _copy(default_value)
        for key, place in self.below.items():
            if key.endswith("[]"):
                for item in value.get(key[:-2]) or ():
                    place.fill(item)
            elif key in value:
                place.fill(value[key])


def _copy(value: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(value)) if isinstance(value, (dict, list)) else value


@functools.cache
def _places(table: str) -> _Place:
    """The tree of a table of rows, so that one walk over an object fills in everything."""
    root = _Place()
    for line in table.strip().splitlines():
        path, _, value = line.partition(" = ")
        for expanded in _expand(path):
            *parents, last = expanded.split(".")
            place = root
            for parent in parents:
                place = place.below.setdefault(parent, _Place())
            place.defaults[last] = msgspec.json.decode(value)
    return root


def _expand(path: str) -> list[str]:
    for group, members in _GROUPS.items():
        if group in path:
            return [deeper for member in members for deeper in _expand(path.replace(group, member, 1))]
    return [path]


# ------------------------------------------------------------------------------------------- dependent defaults


def _pod(spec: Manifest) -> None:
    _places(_POD).fill(spec)
    for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
        if "imagePullPolicy" not in container:
            container["imagePullPolicy"] = "Always" if _is_latest(container.get("image", "")) else "IfNotPresent"
        if spec.get("hostNetwork"):
            for port in container.get("ports") or ():
                port.setdefault("hostPort", port.get("containerPort"))
    for volume in spec.get("volumes") or ():
        if len(volume) == 1:
            volume["emptyDir"] = {}
    # The old spelling of serviceAccountName is kept in step by the API's conversion.
    account = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if account:
        spec["serviceAccountName"] = spec["serviceAccount"] = account


def _is_latest(image: str) -> bool:
    if "@" in image:
        return False
    tag = image.rpartition("/")[2].partition(":")[2]
    return tag in ("", "latest")


def _deployment(manifest: Manifest) -> None:
    strategy = manifest["spec"].setdefault("strategy", {})
    if strategy.get("type", "RollingUpdate") == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", "25%")
        rolling.setdefault("maxSurge", "25%")


def _daemon_set(manifest: Manifest) -> None:
    strategy = manifest["spec"].setdefault("updateStrategy", {})
    if strategy.get("type", "RollingUpdate") == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", 1)
        rolling.setdefault("maxSurge", 0)
    # Kept by the API's conversion from a field that is gone.
    manifest["metadata"].setdefault("annotations", {}).setdefault(TEMPLATE_GENERATION, "1")


def _stateful_set(manifest: Manifest) -> None:
    strategy = manifest["spec"].setdefault("updateStrategy", {})
    if strategy.get("type", "RollingUpdate") == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("partition", 0)
        rolling.setdefault("maxUnavailable", 1)


def _job(manifest: Manifest) -> None:
    spec = manifest["spec"]
    if "completions" not in spec and "parallelism" not in spec:
        spec["completions"] = 1
    labels = (spec.get("template", {}).get("metadata") or {}).get("labels")
    if labels and not manifest["metadata"].get("labels"):
        manifest["metadata"]["labels"] = dict(labels)


def _limit_range(manifest: Manifest) -> None:
    for item in manifest["spec"].get("limits") or ():
        if item.get("type") == "Container":
            limits, requests = item.setdefault("default", {}), item.setdefault("defaultRequest", {})
            for name, value in (item.get("max") or {}).items():
                limits.setdefault(name, value)
            for source in (limits, item.get("min") or {}):
                for name, value in source.items():
                    requests.setdefault(name, value)
            for name in ("default", "defaultRequest"):
                if not item[name]:
                    del item[name]


def _service(manifest: Manifest) -> None:
    spec = manifest["spec"]
    kind = spec.get("type", "ClusterIP")
    for port in spec.get("ports") or ():
        port.setdefault("targetPort", port.get("port"))
    if kind in ("NodePort", "LoadBalancer"):
        spec.setdefault("externalTrafficPolicy", "Cluster")
    if kind == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)
    if kind != "ExternalName":
        spec.setdefault("internalTrafficPolicy", "Cluster")
    if spec.get("sessionAffinity") == "ClientIP":
        spec.setdefault("sessionAffinityConfig", {"clientIP": {"timeoutSeconds": 10800}})


def _network_policy(manifest: Manifest) -> None:
    spec = manifest["spec"]
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]


def _role_binding(manifest: Manifest) -> None:
    role = manifest.get("roleRef", {})
    role["apiGroup"] = role.get("apiGroup") or "rbac.authorization.k8s.io"
    for subject in manifest.get("subjects") or ():
        if subject.get("kind") in ("User", "Group"):
            subject.setdefault("apiGroup", "rbac.authorization.k8s.io")


def _role(manifest: Manifest) -> None:
    manifest.setdefault("rules", None)


def _namespace(manifest: Manifest) -> None:
    metadata = manifest["metadata"]
    if metadata.get("name"):
        metadata.setdefault("labels", {})["kubernetes.io/metadata.name"] = metadata["name"]


def _secret(manifest: Manifest) -> None:
    import base64

    texts = manifest.pop("stringData", None)
    if texts:
        data = manifest.setdefault("data", {})
        data |= {key: base64.b64encode(text.encode()).decode() for key, text in texts.items()}


def _custom_resource_definition(manifest: Manifest) -> None:
    names = manifest["spec"].get("names", {})
    if names.get("kind"):
        names.setdefault("singular", names["kind"].lower())
        names.setdefault("listKind", f"{names['kind']}List")


def _pod_object(manifest: Manifest) -> None:
    spec = manifest["spec"]
    for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
        resources = container.get("resources") or {}
        for name, limit in (resources.get("limits") or {}).items():
            resources.setdefault("requests", {}).setdefault(name, limit)


def admit_pod(spec: Manifest) -> None:
    """What the default admission plugins add to a new pod: tolerations and a priority."""
    spec.setdefault("preemptionPolicy", "PreemptLowerPriority")
    spec.setdefault("priority", 0)
    tolerations = spec.setdefault("tolerations", [])
    for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"):
        if not any(t.get("key") in (key, None) and t.get("effect") in ("NoExecute", None) for t in tolerations):
            tolerations.append({"effect": "NoExecute", "key": key, "operator": "Exists", "tolerationSeconds": 300})


_SPECIAL: Mapping[str, Callable[[Manifest], None]] = {
    "deployments.apps": _deployment,
    "daemonsets.apps": _daemon_set,
    "statefulsets.apps": _stateful_set,
    "limitranges": _limit_range,
    "jobs.batch": _job,
    "services": _service,
    "networkpolicies.networking.k8s.io": _network_policy,
    "rolebindings.rbac.authorization.k8s.io": _role_binding,
    "clusterrolebindings.rbac.authorization.k8s.io": _role_binding,
    "roles.rbac.authorization.k8s.io": _role,
    "clusterroles.rbac.authorization.k8s.io": _role,
    "namespaces": _namespace,
    "secrets": _secret,
    "customresourcedefinitions.apiextensions.k8s.io": _custom_resource_definition,
    "pods": _pod_object,
}
