"""What the objects of one build say about each other: names that nothing carries, selectors that select nothing.

In: the rendered objects of an environment. Out: findings at the line of the object that refers. All are warnings, because
the missing object may be made by somebody else in the cluster; Secrets are never looked for, since they rarely are in Git.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from penstock.model.errors import Problem
from penstock.model.fieldpath import FieldPath, Keyed, show
from penstock.model.rendered import RenderedObject

_POD_SPEC: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("", "Pod"): ("spec",),
    ("apps", "Deployment"): ("spec", "template", "spec"),
    ("apps", "StatefulSet"): ("spec", "template", "spec"),
    ("apps", "DaemonSet"): ("spec", "template", "spec"),
    ("apps", "ReplicaSet"): ("spec", "template", "spec"),
    ("", "ReplicationController"): ("spec", "template", "spec"),
    ("batch", "Job"): ("spec", "template", "spec"),
    ("batch", "CronJob"): ("spec", "jobTemplate", "spec", "template", "spec"),
}

Reference = tuple[FieldPath, str, str, str]
"""Where it is said, then group, kind and name of what is referred to (in the same namespace)."""


def dangling(objects: Sequence[RenderedObject]) -> list[Problem]:
    """References of one environment's objects that lead nowhere, in object order."""
    there = {(item.id.group, item.id.kind, item.id.namespace, item.id.name) for item in objects}
    kinds = {(group, kind) for group, kind, _, _ in there}
    pods = [(item.id.namespace, labels) for item in objects if (labels := _pod_labels(item)) is not None]
    problems = []
    for item in objects:
        for path, group, kind, name in _references(item):
            if (group, kind, item.id.namespace, name) in there:
                continue
            if kind == "ServiceAccount" and (name == "default" or (group, kind) not in kinds):
                continue
            problems.append(
                _problem(item, path, f"refers to {kind}/{name}, which this environment does not have", "DanglingReference")
            )
        problems += _selects_nothing(item, pods)
    return problems


def _problem(item: RenderedObject, path: FieldPath, what: str, code: str) -> Problem:
    return Problem(what=f"{item.id} {show(path)} {what}", where=item.origin.place, code=code, severity="warning")


def _references(item: RenderedObject) -> Iterator[Reference]:
    manifest, key = item.manifest, (item.id.group, item.id.kind)
    if key in _POD_SPEC:
        path = _POD_SPEC[key]
        yield from _of_pod_spec(_at(manifest, path), path)
    elif key == ("networking.k8s.io", "Ingress"):
        yield from _of_ingress(manifest)
    elif key == ("autoscaling", "HorizontalPodAutoscaler"):
        target = _at(manifest, ("spec", "scaleTargetRef"))
        if isinstance(target.get("name"), str):
            group = str(target.get("apiVersion", "")).rpartition("/")[0]
            yield ("spec", "scaleTargetRef", "name"), group, str(target.get("kind")), target["name"]


def _of_pod_spec(spec: Mapping[str, Any], path: FieldPath) -> Iterator[Reference]:
    if isinstance(name := spec.get("serviceAccountName"), str):
        yield (*path, "serviceAccountName"), "", "ServiceAccount", name
    for volume in _mappings(spec.get("volumes")):
        here = (*path, "volumes", Keyed((("name", str(volume.get("name"))),)))
        config = _at(volume, ("configMap",))
        if isinstance(name := config.get("name"), str) and not config.get("optional"):
            yield (*here, "configMap", "name"), "", "ConfigMap", name
        claim = _at(volume, ("persistentVolumeClaim",)).get("claimName")
        if isinstance(claim, str):
            yield (*here, "persistentVolumeClaim", "claimName"), "", "PersistentVolumeClaim", claim
    for field in ("initContainers", "containers"):
        for container in _mappings(spec.get(field)):
            here = (*path, field, Keyed((("name", str(container.get("name"))),)))
            yield from _of_container(container, here)


def _of_container(container: Mapping[str, Any], path: FieldPath) -> Iterator[Reference]:
    for position, source in enumerate(_mappings(container.get("envFrom"))):
        config = _at(source, ("configMapRef",))
        if isinstance(name := config.get("name"), str) and not config.get("optional"):
            yield (*path, "envFrom", position, "configMapRef", "name"), "", "ConfigMap", name
    for variable in _mappings(container.get("env")):
        config = _at(variable, ("valueFrom", "configMapKeyRef"))
        if isinstance(name := config.get("name"), str) and not config.get("optional"):
            here = (*path, "env", Keyed((("name", str(variable.get("name"))),)))
            yield (*here, "valueFrom", "configMapKeyRef", "name"), "", "ConfigMap", name


def _of_ingress(manifest: Mapping[str, Any]) -> Iterator[Reference]:
    default = _at(manifest, ("spec", "defaultBackend", "service")).get("name")
    if isinstance(default, str):
        yield ("spec", "defaultBackend", "service", "name"), "", "Service", default
    for number, rule in enumerate(_mappings(_at(manifest, ("spec",)).get("rules"))):
        for position, path in enumerate(_mappings(_at(rule, ("http",)).get("paths"))):
            name = _at(path, ("backend", "service")).get("name")
            if isinstance(name, str):
                yield ("spec", "rules", number, "http", "paths", position, "backend", "service", "name"), "", "Service", name


def _selects_nothing(item: RenderedObject, pods: Iterable[tuple[str, Mapping[str, Any]]]) -> list[Problem]:
    """A Service whose selector fits no pod template of its namespace."""
    if (item.id.group, item.id.kind) != ("", "Service"):
        return []
    selector = _at(item.manifest, ("spec", "selector"))
    if not selector or any(namespace == item.id.namespace and selector.items() <= labels.items() for namespace, labels in pods):
        return []
    return [_problem(item, ("spec", "selector"), "selects no pods of this environment", "SelectsNothing")]


def _pod_labels(item: RenderedObject) -> Mapping[str, Any] | None:
    path = _POD_SPEC.get((item.id.group, item.id.kind))
    return _at(item.manifest, (*path[:-1], "metadata", "labels")) if path else None


def _at(value: object, path: Iterable[str]) -> Mapping[str, Any]:
    """The mapping at a path, {} where there is none: a malformed object is somebody else's finding."""
    for step in path:
        value = value.get(step) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def _mappings(value: object) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []
