"""A rendered manifest as it is sent to the API server.

In: a manifest of a build. Out: the manifest without what only a server may say (status, creationTimestamp), with a
Secret's stringData in data: the server moves it there, and a field that moves cannot be owned; and with what the server
would fill into ports: the protocol (part of a port's key, see structured-merge-diff #130) and a Service's target port.
Flux holds these fields too, so a cluster that changes hands keeps them.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from penstock.model.resource import Manifest


def normalized(manifest: Manifest) -> Manifest:
    """The manifest to apply; the given one is not changed."""
    result = {key: value for key, value in manifest.items() if key != "status"}
    metadata = dict(result.get("metadata") or {})
    for key in ("creationTimestamp", "managedFields", "resourceVersion", "uid", "generation", "selfLink"):
        metadata.pop(key, None)
    for key in ("labels", "annotations"):
        if key in metadata and not metadata[key]:
            # an empty map and an absent one are the same wish, but not the same set of fields
            del metadata[key]
    result["metadata"] = metadata
    if result.get("apiVersion") == "v1" and result.get("kind") == "Secret" and "stringData" in result:
        plain = result.pop("stringData") or {}
        encoded = {key: base64.b64encode(str(value).encode()).decode() for key, value in plain.items()}
        result["data"] = {**(result.get("data") or {}), **encoded}
    path = _PORTS.get((str(result.get("apiVersion")), str(result.get("kind"))))
    return with_ports(result, path, _service if result["kind"] == "Service" else _container) if path is not None else result


_TEMPLATE = ("spec", "template", "spec", "containers", "*", "ports")
_PORTS: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("v1", "Service"): ("spec", "ports"),
    ("v1", "Pod"): ("spec", "containers", "*", "ports"),
    ("apps/v1", "Deployment"): _TEMPLATE,
    ("apps/v1", "StatefulSet"): _TEMPLATE,
    ("apps/v1", "DaemonSet"): _TEMPLATE,
    ("apps/v1", "ReplicaSet"): _TEMPLATE,
    ("batch/v1", "Job"): _TEMPLATE,
    ("batch/v1", "CronJob"): ("spec", "jobTemplate", *_TEMPLATE),
}


def with_ports(value: Any, path: Sequence[str], complete: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    """The value with every port at the path completed; the given one is not changed."""
    if not path:
        return [complete(port) if isinstance(port, dict) else port for port in value] if isinstance(value, list) else value
    if path[0] == "*":
        return [with_ports(item, path[1:], complete) for item in value] if isinstance(value, list) else value
    if not isinstance(value, dict) or path[0] not in value:
        return value
    return {**value, path[0]: with_ports(value[path[0]], path[1:], complete)}


def _container(port: dict[str, Any]) -> dict[str, Any]:
    return port if port.get("protocol") else {**port, "protocol": "TCP"}


def _service(port: dict[str, Any]) -> dict[str, Any]:
    completed = _container(port)
    return completed if "targetPort" in port or "port" not in port else {**completed, "targetPort": port["port"]}
