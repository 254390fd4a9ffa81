"""Server-side tables: the columns `kubectl get` prints.

In: objects. Out: meta.k8s.io/v1 Tables. Built-in kinds have their columns here (those a GitOps user looks at); custom kinds
bring theirs as additionalPrinterColumns; anything else shows its name and age. A `*` marks a column of `-o wide`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from penstock.sandbox.cluster import defaulting
from penstock.sandbox.cluster.kinds import Kind
from penstock.sandbox.cluster.store import Manifest

Cell = Callable[[Manifest], Any]
NONE, UNSET, UNKNOWN = "<none>", "<unset>", "<unknown>"


def table(
    kind: Kind, items: Sequence[Manifest], include_object: str, revision: str, *, headed: bool = True, **metadata: Any
) -> Manifest:
    """A Table of these objects; `headed` is false for all but the first event of a watch."""
    columns = _columns(kind)
    rows = []
    for item in items:
        row: dict[str, Any] = {"cells": [cell(item) for _, cell in columns]}
        if include_object == "Object":
            row["object"] = item
        elif include_object != "None":
            row["object"] = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": item["metadata"]}
        rows.append(row)
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": revision, **metadata},
        "columnDefinitions": [definition for definition, _ in columns] if headed else [],
        "rows": rows,
    }


def _columns(kind: Kind) -> list[tuple[Manifest, Cell]]:
    if kind.crd is not None:
        return _custom_columns(kind)
    specs = _BUILTIN.get(kind.key, (("Age", age_of),))
    columns: list[tuple[Manifest, Cell]] = [] if kind.key == "events" else [_column("Name", name_of)]
    return columns + [_column(title, cell) for title, cell in specs]


def _column(title: str, cell: Cell) -> tuple[Manifest, Cell]:
    name, wide = title.rstrip("*"), title.endswith("*")
    kind = "integer" if cell in _COUNTS else "string"
    style = "name" if name == "Name" else ""
    return {"name": name, "type": kind, "format": style, "description": "", "priority": int(wide)}, cell


# ------------------------------------------------------------------------------------------------- custom kinds


def _custom_columns(kind: Kind) -> list[tuple[Manifest, Cell]]:
    assert kind.crd is not None
    columns = [_column("Name", name_of)]
    declared = kind.crd.get("additionalPrinterColumns")
    if not declared:
        definition, _ = _column("Age", age_of)
        return [*columns, ({**definition, "type": "date"}, lambda m: m["metadata"].get("creationTimestamp"))]
    for column in declared:
        definition = {
            "name": column["name"],
            "type": column["type"],
            "format": column.get("format", ""),
            "description": column.get("description", ""),
            "priority": column.get("priority", 0),
        }
        columns.append((definition, _custom_cell(column)))
    return columns


def _custom_cell(column: Mapping[str, Any]) -> Cell:
    path, kind = json_path(column["jsonPath"]), column["type"]

    def cell(manifest: Manifest) -> Any:
        found = path(manifest)
        value = found[0] if found else None
        if value is None:
            return None
        if kind == "date":
            # The real server prints the age itself; kubectl shows the cell as it is.
            return age(str(value))
        if kind == "string" and not isinstance(value, str):
            return (
                " ".join(str(item) for item in value)
                if isinstance(value, list)
                else str(value).lower()
                if isinstance(value, bool)
                else str(value)
            )
        return value

    return cell


_STEP = re.compile(
    r"\.(?P<key>(?:[\w-]|\\.)+)|\['(?P<quoted>[^']+)'\]|\[(?P<index>-?\d+|\*)\]|\[\?\(@\.(?P<filter>[\w.]+)\s*==\s*['\"](?P<value>[^'\"]*)['\"]\)\]"
)


def json_path(text: str) -> Callable[[Any], list[Any]]:
    """The subset of JSONPath printer columns use: keys, indexes, [*] and [?(@.type=='Ready')]."""
    steps = list(_STEP.finditer(text.strip("{}")))

    def find(value: Any) -> list[Any]:
        found = [value]
        for step in steps:
            found = [below for item in found for below in _walk(step, item)]
        return found

    return find


def _walk(step: re.Match[str], value: Any) -> list[Any]:
    key = step["quoted"] or (step["key"] or "").replace("\\", "")
    if key:
        return [value[key]] if isinstance(value, Mapping) and key in value else []
    if not isinstance(value, list):
        return []
    if step["filter"]:
        inner = json_path("." + step["filter"])
        return [item for item in value if inner(item) == [step["value"]]]
    if step["index"] == "*":
        return value
    index = int(step["index"])
    return [value[index]] if -len(value) <= index < len(value) else []


# ------------------------------------------------------------------------------------------------- cells


def age(text: str | None, now: datetime | None = None) -> str:
    """How long ago, as kubectl writes durations."""
    if not text:
        return UNKNOWN
    try:
        then = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return "<invalid>"
    return duration(int(((now or datetime.now(UTC)) - then).total_seconds()))


def duration(seconds: int) -> str:
    """60s below two minutes, then 3m20s, 45m, 3h5m, 20h, 2d3h, 400d (apimachinery HumanDuration)."""
    if seconds < -1:
        return "<invalid>"
    seconds = max(seconds, 0)
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if seconds < 120:
        return f"{seconds}s"
    if minutes < 10:
        return f"{minutes}m{seconds % 60}s" if seconds % 60 else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return f"{days}d{hours % 24}h" if hours % 24 else f"{days}d"
    if days < 730:
        return f"{days}d"
    years, rest = divmod(days, 365)
    return f"{years}y{rest}d" if rest and years < 8 else f"{years}y"


def name_of(manifest: Manifest) -> str:
    return str(manifest["metadata"]["name"])


def age_of(manifest: Manifest) -> str:
    return age(manifest["metadata"].get("creationTimestamp"))


def created_at(manifest: Manifest) -> str:
    return str(manifest["metadata"].get("creationTimestamp", ""))


def at(path: str, default: Any = NONE) -> Cell:
    """The value at a dotted path."""
    parts = path.split(".")

    def cell(manifest: Manifest) -> Any:
        value: Any = manifest
        for part in parts:
            value = value.get(part) if isinstance(value, Mapping) else None
        return default if value in (None, "", [], {}) else value

    return cell


def count(path: str) -> Cell:
    cell = at(path, 0)
    _COUNTS.append(cell)
    return cell


_COUNTS: list[Cell] = []


def _labels(labels: Mapping[str, str] | None) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted((labels or {}).items())) or NONE


def selector_of(manifest: Manifest) -> str:
    return _labels((manifest["spec"].get("selector") or {}).get("matchLabels"))


def _containers(field: str) -> Callable[[Kind | str], Cell]:
    def build(resource: Kind | str) -> Cell:
        def cell(manifest: Manifest) -> str:
            spec = defaulting.pod_spec(str(resource), manifest) or {}
            return ",".join(container.get(field, "") for container in spec.get("containers") or ())

        return cell

    return build


_names, _images = _containers("name"), _containers("image")


def _wide(resource: str, *, selector: bool = True) -> tuple[tuple[str, Cell], ...]:
    columns: tuple[tuple[str, Cell], ...] = (("Containers*", _names(resource)), ("Images*", _images(resource)))
    return (*columns, ("Selector*", selector_of)) if selector else columns


def _ready_of(manifest: Manifest) -> str:
    return f"{manifest.get('status', {}).get('readyReplicas', 0)}/{manifest['spec'].get('replicas', 0)}"


def _pod_ready(manifest: Manifest) -> str:
    statuses = manifest.get("status", {}).get("containerStatuses") or []
    return f"{sum(bool(s.get('ready')) for s in statuses)}/{len(manifest['spec'].get('containers') or ())}"


def _pod_status(manifest: Manifest) -> str:
    if manifest["metadata"].get("deletionTimestamp"):
        return "Terminating"
    status = manifest.get("status", {})
    for container in status.get("containerStatuses") or ():
        waiting = (container.get("state") or {}).get("waiting") or {}
        terminated = (container.get("state") or {}).get("terminated") or {}
        if reason := waiting.get("reason") or terminated.get("reason"):
            return str(reason)
    return str(status.get("reason") or status.get("phase") or UNKNOWN)


def _restarts(manifest: Manifest) -> str:
    return str(sum(s.get("restartCount", 0) for s in manifest.get("status", {}).get("containerStatuses") or ()))


def _external_ip(manifest: Manifest) -> str:
    spec = manifest["spec"]
    if spec.get("type") == "LoadBalancer":
        found = [str(entry.get("ip") or entry.get("hostname", "")) for entry in _balancer(manifest)]
        return ",".join(found) or "<pending>"
    if spec.get("type") == "ExternalName":
        return str(spec.get("externalName"))
    return ",".join(spec.get("externalIPs") or ()) or NONE


def _balancer(manifest: Manifest) -> list[Manifest]:
    return (manifest.get("status", {}).get("loadBalancer") or {}).get("ingress") or []


def _service_ports(manifest: Manifest) -> str:
    parts = []
    for port in manifest["spec"].get("ports") or ():
        node = f":{port['nodePort']}" if port.get("nodePort") else ""
        parts.append(f"{port['port']}{node}/{port.get('protocol', 'TCP')}")
    return ",".join(parts) or NONE


def _job_status(manifest: Manifest) -> str:
    conditions = {c["type"] for c in manifest.get("status", {}).get("conditions") or () if c.get("status") == "True"}
    for found, word in (("Complete", "Complete"), ("Failed", "Failed"), ("Suspended", "Suspended")):
        if found in conditions:
            return word
    return "Terminating" if manifest["metadata"].get("deletionTimestamp") else "Running"


def _completions(manifest: Manifest) -> str:
    wanted = manifest["spec"].get("completions", 1)
    return f"{manifest.get('status', {}).get('succeeded', 0)}/{wanted}"


def _job_duration(manifest: Manifest) -> str:
    status = manifest.get("status", {})
    if not (start := status.get("startTime")):
        return ""
    end = status.get("completionTime")
    return age(start, datetime.fromisoformat(end.replace("Z", "+00:00")) if end else None)


def _data_count(*fields: str) -> Cell:
    return lambda manifest: sum(len(manifest.get(field) or {}) for field in fields)


def _hosts(manifest: Manifest) -> str:
    return ",".join(rule.get("host") or "*" for rule in manifest["spec"].get("rules") or ()) or "*"


def _ingress_ports(manifest: Manifest) -> str:
    return "80, 443" if manifest["spec"].get("tls") else "80"


def _event_object(manifest: Manifest) -> str:
    involved = manifest.get("involvedObject") or {}
    return f"{str(involved.get('kind', '')).lower()}/{involved.get('name', '')}"


def _last_seen(manifest: Manifest) -> str:
    return age(manifest.get("lastTimestamp") or manifest.get("eventTime") or manifest.get("firstTimestamp"))


def _event_source(manifest: Manifest) -> str:
    source = manifest.get("source") or {}
    return ", ".join(filter(None, (source.get("component") or manifest.get("reportingComponent"), source.get("host"))))


def _node_status(manifest: Manifest) -> str:
    conditions = {c["type"]: c["status"] for c in manifest.get("status", {}).get("conditions") or ()}
    return "Ready" if conditions.get("Ready") == "True" else "NotReady"


def _role_of(manifest: Manifest) -> str:
    return f"{manifest['roleRef'].get('kind')}/{manifest['roleRef'].get('name')}"


def _subjects(kind: str) -> Cell:
    def cell(manifest: Manifest) -> str:
        found = [s for s in manifest.get("subjects") or () if s.get("kind") == kind]
        return ", ".join(f"{s['namespace']}/{s['name']}" if s.get("namespace") else s.get("name", "") for s in found)

    return cell


def _modes(path: str) -> Cell:
    short = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}
    return lambda manifest: ",".join(short.get(mode, mode) for mode in manifest["spec"].get(path) or ())


def _target(manifest: Manifest) -> str:
    reference = manifest["spec"].get("scaleTargetRef") or {}
    return f"{reference.get('kind')}/{reference.get('name')}"


def _versions(manifest: Manifest) -> str:
    return ",".join(version["name"] for version in manifest["spec"].get("versions") or ())


_BUILTIN: Mapping[str, Sequence[tuple[str, Cell]]] = {
    "pods": (
        ("Ready", _pod_ready),
        ("Status", _pod_status),
        ("Restarts", _restarts),
        ("Age", age_of),
        ("IP*", at("status.podIP")),
        ("Node*", at("spec.nodeName")),
        ("Nominated Node*", at("status.nominatedNodeName")),
        ("Readiness Gates*", lambda manifest: NONE),
    ),
    "deployments.apps": (
        ("Ready", _ready_of),
        ("Up-to-date", at("status.updatedReplicas", 0)),
        ("Available", at("status.availableReplicas", 0)),
        ("Age", age_of),
        *_wide("deployments.apps"),
    ),
    "replicasets.apps": (
        ("Desired", count("spec.replicas")),
        ("Current", count("status.replicas")),
        ("Ready", count("status.readyReplicas")),
        ("Age", age_of),
        *_wide("replicasets.apps"),
    ),
    "statefulsets.apps": (("Ready", _ready_of), ("Age", age_of), *_wide("statefulsets.apps", selector=False)),
    "daemonsets.apps": (
        ("Desired", count("status.desiredNumberScheduled")),
        ("Current", count("status.currentNumberScheduled")),
        ("Ready", count("status.numberReady")),
        ("Up-to-date", count("status.updatedNumberScheduled")),
        ("Available", count("status.numberAvailable")),
        ("Node Selector", lambda manifest: _labels(manifest["spec"]["template"]["spec"].get("nodeSelector"))),
        ("Age", age_of),
        *_wide("daemonsets.apps"),
    ),
    "jobs.batch": (
        ("Status", _job_status),
        ("Completions", _completions),
        ("Duration", _job_duration),
        ("Age", age_of),
        *_wide("jobs.batch"),
    ),
    "cronjobs.batch": (
        ("Schedule", at("spec.schedule")),
        ("Timezone", at("spec.timeZone")),
        ("Suspend", lambda manifest: bool(manifest["spec"].get("suspend"))),
        ("Active", lambda manifest: len(manifest.get("status", {}).get("active") or ())),
        ("Last Schedule", lambda manifest: age(t) if (t := manifest.get("status", {}).get("lastScheduleTime")) else NONE),
        ("Age", age_of),
        *_wide("cronjobs.batch", selector=False),
    ),
    "services": (
        ("Type", at("spec.type")),
        ("Cluster-IP", at("spec.clusterIP")),
        ("External-IP", _external_ip),
        ("Port(s)", _service_ports),
        ("Age", age_of),
        ("Selector*", lambda manifest: _labels(manifest["spec"].get("selector"))),
    ),
    "namespaces": (("Status", at("status.phase")), ("Age", age_of)),
    "configmaps": (("Data", _data_count("data", "binaryData")), ("Age", age_of)),
    "secrets": (("Type", at("type")), ("Data", _data_count("data")), ("Age", age_of)),
    "events": (
        ("Last Seen", _last_seen),
        ("Type", at("type", "")),
        ("Reason", at("reason", "")),
        ("Object", _event_object),
        ("Subobject*", at("involvedObject.fieldPath", "")),
        ("Source*", _event_source),
        ("Message", lambda manifest: str(manifest.get("message", "")).strip()),
        ("First Seen*", lambda manifest: age(manifest.get("firstTimestamp") or manifest.get("eventTime"))),
        ("Count*", at("count", 1)),
        ("Name*", name_of),
    ),
    "nodes": (
        ("Status", _node_status),
        ("Roles", lambda manifest: NONE),
        ("Age", age_of),
        ("Version", at("status.nodeInfo.kubeletVersion")),
    ),
    "ingresses.networking.k8s.io": (
        ("Class", at("spec.ingressClassName")),
        ("Hosts", _hosts),
        ("Address", lambda manifest: ",".join(entry.get("ip") or entry.get("hostname", "") for entry in _balancer(manifest))),
        ("Ports", _ingress_ports),
        ("Age", age_of),
    ),
    "networkpolicies.networking.k8s.io": (
        ("Pod-Selector", lambda manifest: _labels((manifest["spec"].get("podSelector") or {}).get("matchLabels"))),
        ("Age", age_of),
    ),
    "horizontalpodautoscalers.autoscaling": (
        ("Reference", _target),
        ("Targets", lambda manifest: UNKNOWN),
        ("MinPods", at("spec.minReplicas", UNSET)),
        ("MaxPods", at("spec.maxReplicas")),
        ("Replicas", at("status.currentReplicas", 0)),
        ("Age", age_of),
    ),
    "poddisruptionbudgets.policy": (
        ("Min Available", at("spec.minAvailable", "N/A")),
        ("Max Unavailable", at("spec.maxUnavailable", "N/A")),
        ("Allowed Disruptions", count("status.disruptionsAllowed")),
        ("Age", age_of),
    ),
    "leases.coordination.k8s.io": (("Holder", at("spec.holderIdentity", "")), ("Age", age_of)),
    "persistentvolumeclaims": (
        ("Status", at("status.phase")),
        ("Volume", at("spec.volumeName", "")),
        ("Capacity", at("status.capacity.storage", "")),
        ("Access Modes", _modes("accessModes")),
        ("StorageClass", at("spec.storageClassName", "")),
        ("VolumeAttributesClass", at("spec.volumeAttributesClassName", UNSET)),
        ("Age", age_of),
        ("VolumeMode*", at("spec.volumeMode")),
    ),
    "storageclasses.storage.k8s.io": (
        ("Provisioner", at("provisioner")),
        ("ReclaimPolicy", at("reclaimPolicy")),
        ("VolumeBindingMode", at("volumeBindingMode")),
        ("AllowVolumeExpansion", lambda manifest: str(bool(manifest.get("allowVolumeExpansion"))).lower()),
        ("Age", age_of),
    ),
    "priorityclasses.scheduling.k8s.io": (
        ("Value", count("value")),
        ("Global-Default", lambda manifest: bool(manifest.get("globalDefault"))),
        ("Age", age_of),
        ("PreemptionPolicy", at("preemptionPolicy")),
    ),
    "roles.rbac.authorization.k8s.io": (("Created At", created_at),),
    "clusterroles.rbac.authorization.k8s.io": (("Created At", created_at),),
    "rolebindings.rbac.authorization.k8s.io": (
        ("Role", _role_of),
        ("Age", age_of),
        ("Users*", _subjects("User")),
        ("Groups*", _subjects("Group")),
        ("ServiceAccounts*", _subjects("ServiceAccount")),
    ),
    "clusterrolebindings.rbac.authorization.k8s.io": (
        ("Role", _role_of),
        ("Age", age_of),
        ("Users*", _subjects("User")),
        ("Groups*", _subjects("Group")),
        ("ServiceAccounts*", _subjects("ServiceAccount")),
    ),
    "customresourcedefinitions.apiextensions.k8s.io": (
        ("Scope", at("spec.scope")),
        ("Versions", _versions),
        ("Created At", created_at),
    ),
    "limitranges": (("Created At", created_at),),
}
