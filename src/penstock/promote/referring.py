"""What one rendered object says of another, and where a promotion would break it.

In: the objects that an environment renders to, before and after. Out: every reference that holds before and not after, or
that is new and does not hold. Two changes can each be right and wrong together (a key of a ConfigMap is renamed upstream, a
container that only the target has still reads the old one): a merge of fields cannot see that, the rendered objects can.

Only what Git renders counts. An object that was never rendered here may come from elsewhere, so a reference to it is not
called broken; one to an object that the promotion takes away is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from penstock.model.errors import Place
from penstock.model.rendered import RenderedObject
from penstock.model.resource import ResourceId, split_api_version

_POD_SPECS: Mapping[str, tuple[str, ...]] = {
    "Pod": ("spec",),
    "Deployment": ("spec", "template", "spec"),
    "ReplicaSet": ("spec", "template", "spec"),
    "StatefulSet": ("spec", "template", "spec"),
    "DaemonSet": ("spec", "template", "spec"),
    "Job": ("spec", "template", "spec"),
    "CronJob": ("spec", "jobTemplate", "spec", "template", "spec"),
}
"""Where a kind keeps the spec of its pods (Kubernetes API, core, apps and batch)."""
_SCALED = ("Deployment", "ReplicaSet", "StatefulSet")
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_PROBE_ACTIONS = ("httpGet", "tcpSocket", "grpc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """One reference that would not hold."""

    object: ResourceId
    """What refers."""
    field: str
    """Where in it, as people write paths."""
    what: str
    """Why it does not hold, a clause without any value of a Secret."""
    place: Place
    """The document of the object that refers."""

    def __str__(self) -> str:
        """Short enough for one line; the field stands beside it where there is room."""
        return f"{self.object.kind}/{self.object.name}: {self.what} ({self.place})"

    @property
    def same(self) -> tuple[ResourceId, str, str]:
        """What makes it the same finding in two renderings."""
        return self.object, self.field, self.what


def broken_by(before: Sequence[RenderedObject], after: Sequence[RenderedObject]) -> tuple[Broken, ...]:
    """The references that a change breaks, in the order of the objects; what was broken before is not its fault."""
    known = {one.id for one in before}
    was = {one.same for one in _broken(_Objects(before, known))}
    return tuple(one for one in _broken(_Objects(after, known)) if one.same not in was)


class _Objects:
    """A rendering, and what was rendered here before it."""

    def __init__(self, objects: Sequence[RenderedObject], known: Iterable[ResourceId]) -> None:
        self.all = objects
        self.by_id = {one.id: one for one in objects}
        self._known = set(known)

    def gone(self, target: ResourceId) -> bool:
        """Whether an object was rendered here and is not any more."""
        return target in self._known and target not in self.by_id

    def manifest(self, target: ResourceId) -> Mapping[str, Any] | None:
        found = self.by_id.get(target)
        return found.manifest if found is not None else None

    def pods(self, namespace: str, selector: Mapping[str, Any]) -> list[tuple[RenderedObject, Mapping[str, Any]]]:
        """Workloads whose pods have these labels, with their pods' specs."""
        found = []
        for one in self.all:
            if one.id.namespace != namespace or one.id.kind not in _POD_SPECS:
                continue
            labels = _labels(one)
            if selector and all(labels.get(key) == value for key, value in selector.items()):
                found.append((one, _pod_spec(one)))
        return found


def _broken(objects: _Objects) -> Iterator[Broken]:
    for one in objects.all:
        for field, what in _complaints(objects, one):
            yield Broken(object=one.id, field=field, what=what, place=one.origin.place)


Complaint = tuple[str, str]
"""(field, why)."""


def _complaints(objects: _Objects, one: RenderedObject) -> Iterator[Complaint]:
    if one.id.kind in _POD_SPECS:
        yield from _of_pods(objects, one)
    match one.id.kind:
        case "Service":
            yield from _of_service(objects, one)
        case "Ingress":
            yield from _of_ingress(objects, one)
        case "HorizontalPodAutoscaler":
            yield from _of_autoscaler(objects, one)
        case "PodDisruptionBudget":
            yield from _of_budget(objects, one)
        case "RoleBinding" | "ClusterRoleBinding":
            yield from _of_binding(objects, one)
        case "StatefulSet":
            name = str(_at(one.manifest, "spec", "serviceName") or "")
            yield from _gone(objects, ResourceId("", "Service", one.id.namespace, name), "spec.serviceName")


# Pods -------------------------------------------------------------------------------------------------------------------


def _of_pods(objects: _Objects, one: RenderedObject) -> Iterator[Complaint]:
    spec, prefix = _pod_spec(one), ".".join(_POD_SPECS[one.id.kind])
    namespace = one.id.namespace
    for kind, name, keys, field in _configured(spec):
        yield from _keys(objects, ResourceId("", kind, namespace, name), keys, f"{prefix}.{field}")
    account = str(spec.get("serviceAccountName") or "")
    yield from _gone(objects, ResourceId("", "ServiceAccount", namespace, account), f"{prefix}.serviceAccountName")
    for volume in _items(spec, "volumes"):
        claim = str(_at(volume, "persistentVolumeClaim", "claimName") or "")
        field = f"{prefix}.volumes[name={volume.get('name')}].persistentVolumeClaim.claimName"
        yield from _gone(objects, ResourceId("", "PersistentVolumeClaim", namespace, claim), field)
    for field, container in _containers(spec):
        for probe in _PROBES:
            for action in _PROBE_ACTIONS:
                port = _at(container, probe, action, "port")
                if port is not None and not _has_port(_ports(container), port, undeclared=True):
                    yield f"{prefix}.{field}.{probe}.{action}.port", f"the container has no port {port}"


def _configured(spec: Mapping[str, Any]) -> Iterator[tuple[str, str, list[str], str]]:
    """(kind, name, keys, field) of every ConfigMap and Secret that pods cannot start without."""
    for volume in _items(spec, "volumes"):
        field = f"volumes[name={volume.get('name')}]"
        parts = [(field, volume)]
        parts += [
            (f"{field}.projected.sources[{index}]", each) for index, each in enumerate(_items(volume, "projected", "sources"))
        ]
        for where, part in parts:
            for word, kind, name in (("configMap", "ConfigMap", "name"), ("secret", "Secret", "secretName")):
                about = part.get(word)
                if isinstance(about, Mapping) and not about.get("optional"):
                    keys = [str(item.get("key")) for item in _items(about, "items")]
                    yield kind, str(about.get(name) or about.get("name") or ""), keys, f"{where}.{word}"
    for field, container in _containers(spec):
        for index, each in enumerate(_items(container, "envFrom")):
            for word, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
                about = each.get(word)
                if isinstance(about, Mapping) and not about.get("optional"):
                    yield kind, str(about.get("name") or ""), [], f"{field}.envFrom[{index}].{word}"
        for each in _items(container, "env"):
            for word, kind in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
                about = _at(each, "valueFrom", word)
                if isinstance(about, Mapping) and not about.get("optional"):
                    where = f"{field}.env[name={each.get('name')}].valueFrom.{word}"
                    yield kind, str(about.get("name") or ""), [str(about.get("key"))], where


def _keys(objects: _Objects, target: ResourceId, keys: Sequence[str], field: str) -> Iterator[Complaint]:
    """A ConfigMap or Secret that went, or that has no such key."""
    found = objects.manifest(target)
    if found is None:
        yield from _gone(objects, target, field)
        return
    there = {key for part in ("data", "binaryData", "stringData") for key in (found.get(part) or {})}
    for key in keys:
        if key not in there:
            yield field, f"{target.kind}/{target.name} has no key {key}"


# Everything that points at something --------------------------------------------------------------------------------------


def _of_service(objects: _Objects, one: RenderedObject) -> Iterator[Complaint]:
    selector = _at(one.manifest, "spec", "selector")
    if not isinstance(selector, Mapping) or not selector:
        return
    found = objects.pods(one.id.namespace, selector)
    if not found:
        yield "spec.selector", "no pods rendered here have these labels"
        return
    declared = [port for _, spec in found for _, container in _containers(spec) for port in _ports(container)]
    for index, port in enumerate(_items(one.manifest, "spec", "ports")):
        wanted = port.get("targetPort", port.get("port"))
        if wanted is not None and not _has_port(declared, wanted, undeclared=True):
            yield f"spec.ports[{index}].targetPort", f"{_names(found)} has no port {wanted}"


def _of_ingress(objects: _Objects, one: RenderedObject) -> Iterator[Complaint]:
    backends = [("spec.defaultBackend", _at(one.manifest, "spec", "defaultBackend"))]
    for number, rule in enumerate(_items(one.manifest, "spec", "rules")):
        for index, path in enumerate(_items(rule, "http", "paths")):
            backends.append((f"spec.rules[{number}].http.paths[{index}].backend", path.get("backend")))
    for field, backend in backends:
        service = _at(backend, "service") if isinstance(backend, Mapping) else None
        if not isinstance(service, Mapping):
            continue
        target = ResourceId("", "Service", one.id.namespace, str(service.get("name") or ""))
        found = objects.manifest(target)
        if found is None:
            yield from _gone(objects, target, f"{field}.service.name")
            continue
        ports = _items(found, "spec", "ports")
        for word, key in (("number", "port"), ("name", "name")):
            wanted = _at(service, "port", word)
            if wanted is not None and all(port.get(key) != wanted for port in ports):
                yield f"{field}.service.port.{word}", f"Service/{target.name} has no port {wanted}"


def _of_autoscaler(objects: _Objects, one: RenderedObject) -> Iterator[Complaint]:
    about = _at(one.manifest, "spec", "scaleTargetRef")
    if not isinstance(about, Mapping):
        return
    group, _version = split_api_version(str(about.get("apiVersion") or ""))
    target = ResourceId(group, str(about.get("kind") or ""), one.id.namespace, str(about.get("name") or ""))
    found = objects.manifest(target)
    if found is None:
        yield from _gone(objects, target, "spec.scaleTargetRef")
    elif target.kind in _SCALED and _at(found, "spec", "replicas") is not None:
        what = f"{target.kind}/{target.name} sets spec.replicas, which this scales: each sync would undo the other"
        yield "spec.scaleTargetRef", what


def _of_budget(objects: _Objects, one: RenderedObject) -> Iterator[Complaint]:
    selector = _at(one.manifest, "spec", "selector", "matchLabels")
    if isinstance(selector, Mapping) and selector and not objects.pods(one.id.namespace, selector):
        yield "spec.selector.matchLabels", "no pods rendered here have these labels"


def _of_binding(objects: _Objects, one: RenderedObject) -> Iterator[Complaint]:
    about = one.manifest.get("roleRef")
    if isinstance(about, Mapping):
        kind = str(about.get("kind") or "")
        namespace = one.id.namespace if kind == "Role" else ""
        yield from _gone(objects, ResourceId(one.id.group, kind, namespace, str(about.get("name") or "")), "roleRef")
    for index, each in enumerate(_items(one.manifest, "subjects")):
        if each.get("kind") == "ServiceAccount":
            namespace = str(each.get("namespace") or one.id.namespace)
            target = ResourceId("", "ServiceAccount", namespace, str(each.get("name") or ""))
            yield from _gone(objects, target, f"subjects[{index}]")


def _gone(objects: _Objects, target: ResourceId, field: str) -> Iterator[Complaint]:
    if target.name and objects.gone(target):
        yield field, f"{target.kind}/{target.name} is not there any more"


# Reading manifests --------------------------------------------------------------------------------------------------------


def _at(value: Any, *path: str) -> Any:
    """What is at a path of mappings, None when anything on the way is missing or something else."""
    for step in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(step)
    return value


def _items(value: Any, *path: str) -> list[Mapping[str, Any]]:
    """The mappings of a list at a path."""
    found = _at(value, *path)
    return [each for each in found if isinstance(each, Mapping)] if isinstance(found, list) else []


def _pod_spec(one: RenderedObject) -> Mapping[str, Any]:
    found = _at(one.manifest, *_POD_SPECS[one.id.kind])
    return found if isinstance(found, Mapping) else {}


def _labels(one: RenderedObject) -> Mapping[str, Any]:
    path = _POD_SPECS[one.id.kind][:-1]
    found = _at(one.manifest, *path, "metadata", "labels")
    return found if isinstance(found, Mapping) else {}


def _containers(spec: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for word in ("containers", "initContainers"):
        for each in _items(spec, word):
            yield f"{word}[name={each.get('name')}]", each


def _ports(container: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return _items(container, "ports")


def _has_port(declared: Sequence[Mapping[str, Any]], wanted: object, *, undeclared: bool) -> bool:
    """Whether a port is there, by number or name. `undeclared`: a number may be open without being declared, so it is only
    missed where others are declared."""
    if isinstance(wanted, str) and not wanted.isdigit():
        return any(port.get("name") == wanted for port in declared)
    numbers = {str(port.get("containerPort")) for port in declared}
    return str(wanted) in numbers or (undeclared and not numbers)


def _names(found: Sequence[tuple[RenderedObject, Mapping[str, Any]]]) -> str:
    return ", ".join(f"{one.id.kind}/{one.id.name}" for one, _ in found[:3])
