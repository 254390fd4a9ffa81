"""What the API refuses: names, required fields, immutable fields of the built-in kinds.

In: a defaulted object and, on an update, the one it replaces. Out: every finding as a Cause, in Kubernetes' words. Only
rules a GitOps user meets are here; a real API server knows many more.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from penstock.sandbox.cluster import fieldsets, selectors
from penstock.sandbox.cluster.defaulting import pod_spec
from penstock.sandbox.cluster.kinds import Kind
from penstock.sandbox.cluster.status import Cause

Manifest = Mapping[str, Any]
_SUBDOMAIN = "[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_VALUE = "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?"
_QUALIFIED = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"


def invalid_value(field: str, value: Any, why: str) -> Cause:
    shown = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return Cause(reason="FieldValueInvalid", message=f"Invalid value: {shown}: {why}", field=field)


def required(field: str, why: str = "") -> Cause:
    return Cause(reason="FieldValueRequired", message=f"Required value: {why}" if why else "Required value", field=field)


def forbidden(field: str, why: str) -> Cause:
    return Cause(reason="FieldValueForbidden", message=f"Forbidden: {why}", field=field)


def unsupported(field: str, value: Any, allowed: Iterable[str]) -> Cause:
    supported = ", ".join(json.dumps(item) for item in sorted(allowed))
    message = f"Unsupported value: {json.dumps(value)}: supported values: {supported}"
    return Cause(reason="FieldValueNotSupported", message=message, field=field)


def validate(kind: Kind, manifest: Manifest, old: Manifest | None) -> list[Cause]:
    """Every finding about an object that is about to be stored."""
    causes = _metadata(kind, manifest, old)
    rule = _RULES.get(kind.key)
    if rule is not None:
        causes += rule(manifest)
    if (spec := pod_spec(kind.key, manifest)) is not None:
        causes += _pod_spec(spec, _pod_path(kind.key))
    if old is not None:
        causes += _immutable(kind, manifest, old)
    return causes


# ------------------------------------------------------------------------------------------------- metadata


def _metadata(kind: Kind, manifest: Manifest, old: Manifest | None) -> list[Cause]:
    metadata = manifest["metadata"]
    causes = []
    name = metadata.get("name", "")
    if not name:
        causes.append(required("metadata.name", "name or generateName is required"))
    elif old is None and (why := name_problem(kind, name)):
        causes.append(invalid_value("metadata.name", name, why))
    causes += _labels("metadata.labels", metadata.get("labels"))
    for key in sorted(metadata.get("annotations") or {}):
        causes += [invalid_value("metadata.annotations", key, why) for why in _key_problems(key.lower())]
    if sum(len(k) + len(v) for k, v in (metadata.get("annotations") or {}).items()) > 256 * 1024:
        message = "Too long: may not be more than 262144 bytes"
        causes.append(Cause(reason="FieldValueTooLong", message=message, field="metadata.annotations"))
    for index, finalizer in enumerate(metadata.get("finalizers") or ()):
        causes += [invalid_value("metadata.finalizers", finalizer, why) for why in _key_problems(finalizer)]
        # Custom resources only get a warning: Flux's own finalizer, finalizers.fluxcd.io, has no path.
        if kind.crd is None and "/" not in finalizer and finalizer not in ("orphan", "foregroundDeletion", "kubernetes"):
            why = "name is neither a standard finalizer name nor is it fully qualified"
            causes.append(invalid_value(f"metadata.finalizers[{index}]", finalizer, why))
    if old is not None and old["metadata"].get("deletionTimestamp"):
        added = set(metadata.get("finalizers") or ()) - set(old["metadata"].get("finalizers") or ())
        if added:
            why = f"no new finalizers can be added if the object is being deleted, found new finalizers {_go_list(added)}"
            causes.append(forbidden("metadata.finalizers", why))
    if old is not None and metadata.get("uid") != old["metadata"].get("uid"):
        causes.append(invalid_value("metadata.uid", metadata.get("uid"), "field is immutable"))
    return causes


def _go_list(values: Iterable[str]) -> str:
    return "[]string{" + ", ".join(json.dumps(value) for value in sorted(values)) + "}"


def name_problem(kind: Kind, name: str) -> str | None:
    """Why a name cannot be used for this kind; None when it can."""
    if kind.group == "rbac.authorization.k8s.io":
        bad = next((part for part in ("/", "%") if part in name), None)
        return f"may not contain '{bad}'" if bad else ("may not be '.'" if name in (".", "..") else None)
    if kind.key in ("services", "namespaces"):
        if "." in name:
            return "must not contain dots"
        return _match(_LABEL, 63, name, _DNS_LABEL)
    return _match(_SUBDOMAIN, 253, name, _DNS_SUBDOMAIN)


_DNS_SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end "
    f"with an alphanumeric character (e.g. 'example.com', regex used for validation is '{_SUBDOMAIN}')"
)
_DNS_LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an "
    f"alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '{_LABEL}')"
)
_LABEL_VALUE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with "
    f"an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '{_VALUE}')"
)
_NAME_PART = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
    f"(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{_QUALIFIED}')"
)


def _match(pattern: str, length: int, text: str, why: str, unit: str = "characters") -> str | None:
    if len(text) > length:
        return f"must be no more than {length} {unit}"
    return None if re.fullmatch(pattern, text) else why


def _key_problems(key: str) -> list[str]:
    """Everything wrong with a qualified name: its prefix, then its name."""
    prefix, slash, name = key.rpartition("/")
    found = []
    if slash and not prefix:
        found.append("prefix part must be non-empty")
    elif slash and not re.fullmatch(_SUBDOMAIN, prefix):
        found.append(f"prefix part {_DNS_SUBDOMAIN}")
    if not name:
        found.append("name part must be non-empty")
    if why := _match(_QUALIFIED, 63, name, _NAME_PART, "bytes"):
        found.append(why if why == _NAME_PART else f"name part {why}")
    return found


def _labels(field: str, labels: Mapping[str, str] | None) -> list[Cause]:
    causes = []
    for key, value in sorted((labels or {}).items()):
        causes += [invalid_value(field, key, why) for why in _key_problems(key)]
        if why := _match(_VALUE, 63, value, _LABEL_VALUE, "bytes"):
            causes.append(invalid_value(field, value, why))
    return causes


# ------------------------------------------------------------------------------------------------- kinds


def _workload(manifest: Manifest) -> list[Cause]:
    spec = manifest["spec"]
    causes = []
    selector = spec.get("selector")
    labels = spec.get("template", {}).get("metadata", {}).get("labels")
    if selector is None:
        causes.append(required("spec.selector"))
        selector = {}
    elif not selector.get("matchLabels") and not selector.get("matchExpressions"):
        causes.append(invalid_value("spec.selector", selector, "empty selector is invalid for deployment"))
    elif not selectors.label_query(selector)({"metadata": {"labels": labels}}):
        causes.append(
            invalid_value("spec.template.metadata.labels", labels or None, "`selector` does not match template `labels`")
        )
    strategy = spec.get("strategy") or {}
    if strategy.get("type") == "Recreate" and strategy.get("rollingUpdate") is not None:
        causes.append(forbidden("spec.strategy.rollingUpdate", "may not be specified when strategy `type` is 'Recreate'"))
    if isinstance(replicas := spec.get("replicas"), int) and replicas < 0:
        causes.append(invalid_value("spec.replicas", replicas, "must be greater than or equal to 0"))
    policy = spec.get("template", {}).get("spec", {}).get("restartPolicy")
    if policy != "Always":
        causes.append(unsupported("spec.template.spec.restartPolicy", policy, ["Always"]))
    return causes


def _job(manifest: Manifest) -> list[Cause]:
    return _job_spec(manifest["spec"], "spec")


def _job_spec(spec: Manifest, path: str) -> list[Cause]:
    policy = spec.get("template", {}).get("spec", {}).get("restartPolicy")
    if policy in ("OnFailure", "Never"):
        return []
    return [required(f"{path}.template.spec.restartPolicy", 'valid values: "OnFailure", "Never"')]


_CRON = re.compile(r"(@(yearly|annually|monthly|weekly|daily|midnight|hourly)|@every \S+|\S+( \S+){4})\Z")


def _cron_job(manifest: Manifest) -> list[Cause]:
    spec = manifest["spec"]
    causes = []
    schedule = spec.get("schedule", "")
    if not schedule:
        causes.append(required("spec.schedule"))
    elif not _CRON.match(" ".join(schedule.split())):
        causes.append(invalid_value("spec.schedule", schedule, f"expected exactly 5 fields, found {len(schedule.split())}"))
    return causes + _job_spec(spec.get("jobTemplate", {}).get("spec", {}), "spec.jobTemplate.spec")


def _service(manifest: Manifest) -> list[Cause]:
    spec = manifest["spec"]
    causes = []
    ports = spec.get("ports") or []
    if not ports and spec.get("type") != "ExternalName" and spec.get("clusterIP") != "None":
        causes.append(required("spec.ports"))
    seen: set[tuple[Any, Any]] = set()
    for index, port in enumerate(ports):
        number = port.get("port", 0)
        if not 1 <= number <= 65535:
            causes.append(invalid_value(f"spec.ports[{index}].port", number, "must be between 1 and 65535, inclusive"))
        if len(ports) > 1 and not port.get("name"):
            causes.append(required(f"spec.ports[{index}].name"))
        target = port.get("targetPort")
        if isinstance(target, int) and not 1 <= target <= 65535:
            causes.append(invalid_value(f"spec.ports[{index}].targetPort", target, "must be between 1 and 65535, inclusive"))
        identity = (port.get("protocol"), number)
        if identity in seen:
            # The real server prints its internal struct here.
            inside = {"Name": "", "Protocol": port.get("protocol"), "AppProtocol": None, "Port": number}
            shown = json.dumps(inside | {"TargetPort": 0, "NodePort": 0}, separators=(",", ":"))
            causes.append(Cause(reason="FieldValueDuplicate", message=f"Duplicate value: {shown}", field=f"spec.ports[{index}]"))
        seen.add(identity)
    if spec.get("type") == "ExternalName" and not spec.get("externalName"):
        causes.append(required("spec.externalName"))
    return causes


_KEY_WORDS = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or "
    "'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)


def _data_keys(manifest: Manifest) -> list[Cause]:
    return [
        invalid_value(f"{field}[{key}]", key, _KEY_WORDS)
        for field in ("data", "binaryData")
        for key in manifest.get(field) or {}
        if not re.fullmatch(r"[-._a-zA-Z0-9]+", key)
    ]


def _binding(manifest: Manifest) -> list[Cause]:
    role = manifest.get("roleRef") or {}
    causes = []
    if role.get("kind") not in ("Role", "ClusterRole"):
        causes.append(unsupported("roleRef.kind", role.get("kind", ""), ["ClusterRole", "Role"]))
    if not role.get("name"):
        causes.append(required("roleRef.name"))
    return causes


def _ingress(manifest: Manifest) -> list[Cause]:
    spec = manifest.get("spec") or {}
    causes = []
    if not spec.get("rules") and not spec.get("defaultBackend"):
        causes.append(invalid_value("spec", None, "either `defaultBackend` or `rules` must be specified"))
    for i, rule in enumerate(spec.get("rules") or ()):
        for j, path in enumerate((rule.get("http") or {}).get("paths") or ()):
            where = f"spec.rules[{i}].http.paths[{j}]"
            if not path.get("pathType"):
                causes.append(required(f"{where}.pathType", "pathType must be specified"))
    return causes


_RULES: Mapping[str, Callable[[Manifest], list[Cause]]] = {
    "deployments.apps": _workload,
    "replicasets.apps": _workload,
    "statefulsets.apps": _workload,
    "daemonsets.apps": _workload,
    "jobs.batch": _job,
    "cronjobs.batch": _cron_job,
    "services": _service,
    "configmaps": _data_keys,
    "secrets": _data_keys,
    "rolebindings.rbac.authorization.k8s.io": _binding,
    "clusterrolebindings.rbac.authorization.k8s.io": _binding,
    "ingresses.networking.k8s.io": _ingress,
}


def _pod_path(resource: str) -> str:
    if resource == "pods":
        return "spec"
    return "spec.jobTemplate.spec.template.spec" if resource == "cronjobs.batch" else "spec.template.spec"


def _pod_spec(spec: Manifest, path: str) -> list[Cause]:
    causes = []
    containers = spec.get("containers") or []
    if not containers:
        causes.append(required(f"{path}.containers"))
    volumes = {volume.get("name") for volume in spec.get("volumes") or ()}
    names: set[str] = set()
    for field, group in (("initContainers", spec.get("initContainers") or []), ("containers", containers)):
        for index, container in enumerate(group):
            causes += _container(container, f"{path}.{field}[{index}]", volumes, names)
    return causes


def _container(container: Manifest, path: str, volumes: set[Any], names: set[str]) -> list[Cause]:
    causes = []
    name = container.get("name", "")
    if not name:
        causes.append(required(f"{path}.name"))
    elif why := _match(_LABEL, 63, name, _DNS_LABEL):
        causes.append(invalid_value(f"{path}.name", name, why))
    elif name in names:
        causes.append(Cause(reason="FieldValueDuplicate", message=f'Duplicate value: "{name}"', field=f"{path}.name"))
    names.add(name)
    if not container.get("image"):
        causes.append(required(f"{path}.image"))
    for index, mount in enumerate(container.get("volumeMounts") or ()):
        if mount.get("name") not in volumes:
            where = f"{path}.volumeMounts[{index}].name"
            causes.append(Cause(reason="FieldValueNotFound", message=f'Not found: "{mount.get("name", "")}"', field=where))
    for index, port in enumerate(container.get("ports") or ()):
        if not 1 <= (number := port.get("containerPort", 0)) <= 65535:
            where = f"{path}.ports[{index}].containerPort"
            causes.append(
                required(where) if not number else invalid_value(where, number, "must be between 1 and 65535, inclusive")
            )
    resources = container.get("resources") or {}
    for key, asked in (resources.get("requests") or {}).items():
        limit = (resources.get("limits") or {}).get(key)
        if limit is not None and _amount(asked) > _amount(limit):
            causes.append(
                invalid_value(f"{path}.resources.requests", asked, f"must be less than or equal to {key} limit of {limit}")
            )
    return causes


_SUFFIXES = {"m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


def _amount(text: str) -> float:
    number = text.rstrip("mkMGTPEi")
    return float(number) * _SUFFIXES.get(text[len(number) :], 1)


# ------------------------------------------------------------------------------------------------- immutability

_IMMUTABLE: Mapping[str, tuple[str, ...]] = {
    "deployments.apps": ("spec.selector",),
    "replicasets.apps": ("spec.selector",),
    "daemonsets.apps": ("spec.selector",),
    "jobs.batch": ("spec.completionMode", "spec.selector", "spec.template"),
    "secrets": ("type",),
    "rolebindings.rbac.authorization.k8s.io": ("roleRef",),
    "clusterrolebindings.rbac.authorization.k8s.io": ("roleRef",),
    "storageclasses.storage.k8s.io": ("parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"),
    "priorityclasses.scheduling.k8s.io": ("value", "preemptionPolicy"),
    "endpointslices.discovery.k8s.io": ("addressType",),
    "customresourcedefinitions.apiextensions.k8s.io": ("spec.group", "spec.names.kind", "spec.names.plural", "spec.scope"),
    "ingressclasses.networking.k8s.io": ("spec.controller",),
    "runtimeclasses.node.k8s.io": ("handler",),
}
_STATEFUL_MUTABLE = frozenset(
    {
        "replicas",
        "ordinals",
        "template",
        "updateStrategy",
        "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy",
        "minReadySeconds",
    }
)
_POD_MUTABLE = frozenset({"activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds"})
_POD_WORDS = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def _immutable(kind: Kind, new: Manifest, old: Manifest) -> list[Cause]:
    causes = []
    for path in _IMMUTABLE.get(kind.key, ()):
        value = _at(new, path)
        if not fieldsets.same(value, _at(old, path)):
            if path == "roleRef":
                causes.append(invalid_value(path, value, "cannot change roleRef"))
            else:
                causes.append(invalid_value(path, value, "field is immutable"))
    if kind.key in ("configmaps", "secrets") and old.get("immutable"):
        if not new.get("immutable"):
            causes.append(forbidden("immutable", "field is immutable when `immutable` is set"))
        changed = [field for field in ("data", "binaryData") if not fieldsets.same(new.get(field), old.get(field))]
        causes += [forbidden(field, "field is immutable when `immutable` is set") for field in changed]
    if kind.key == "statefulsets.apps":
        causes += [
            invalid_value(f"spec.{field}", new["spec"].get(field), "field is immutable")
            for field in sorted({*new["spec"], *old["spec"]} - _STATEFUL_MUTABLE)
            if not fieldsets.same(new["spec"].get(field), old["spec"].get(field))
        ]
    if kind.key == "jobs.batch" and new["spec"].get("completions") != old["spec"].get("completions"):
        tandem = "can only be modified in tandem with spec.parallelism"
        indexed = new["spec"].get("completionMode") == "Indexed"
        causes.append(
            invalid_value("spec.completions", new["spec"].get("completions"), tandem if indexed else "field is immutable")
        )
    if kind.key == "pods":
        causes += _frozen_spec(_without_images(new), _without_images(old), _POD_MUTABLE, _POD_WORDS)
    if kind.key == "persistentvolumeclaims" and old["spec"].get("volumeName"):
        causes += _frozen_spec(new, old, frozenset({"resources", "volumeAttributesClassName"}), _PVC_WORDS)
    if kind.key == "services":
        causes += _service_address(new, old)
    return causes


_PVC_WORDS = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"


def _service_address(new: Manifest, old: Manifest) -> list[Cause]:
    before, after = old["spec"].get("clusterIP"), new["spec"].get("clusterIP")
    if before and after != before and "ExternalName" not in (new["spec"].get("type"), old["spec"].get("type")):
        addresses = new["spec"].get("clusterIPs") or [after]
        return [
            invalid_value("spec.clusterIPs[0]", addresses[0], "may not change once set"),
        ]
    return []


def _frozen_spec(new: Manifest, old: Manifest, mutable: frozenset[str], words: str) -> list[Cause]:
    def rest(manifest: Manifest) -> dict[str, Any]:
        return {key: value for key, value in manifest["spec"].items() if key not in mutable}

    return [] if fieldsets.same(rest(new), rest(old)) else [forbidden("spec", words)]


def _without_images(manifest: Manifest) -> dict[str, Any]:
    spec = dict(manifest["spec"])
    spec.pop("nodeName", None)
    for field in ("containers", "initContainers"):
        if field in spec:
            spec[field] = [{key: value for key, value in item.items() if key != "image"} for item in spec[field]]
    return {"spec": spec}


def _at(manifest: Manifest, path: str) -> Any:
    value: Any = manifest
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value
