"""Objects that a server's validation cannot tell apart: one dry-run of them speaks for all.

In: manifests of new objects. Out: a shape, the same for two objects when the API server is certain to accept both or
neither. A shape is the object with every string that Kubernetes only checks for its form (a name, a label's value, an
image, a ConfigMap's text), and that has that form, replaced by its class and a number: which strings are equal to which
stays visible, because validation compares them (a selector and its template's labels). Everything else is part of the
shape as it is. An object of a kind that is not in the table, or with anything out of the ordinary, has no shape: rules
of custom kinds may look at any value.

This holds as long as nothing but the API server itself judges objects: with webhooks or admission policies of others in
the cluster every object is dry-run.

Source: kubernetes pkg/apis/{core,apps,batch,networking}/validation, apimachinery's validation of names and labels.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from penstock.model.resource import Manifest, split_api_version

_LARGEST_BYTES = 200 * 1024
"""Far below every limit on sizes (annotations 256 KiB, a ConfigMap 1 MiB), so that none has to be counted."""
_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_LONGEST_NAME = 45
"""Names of this form and length are good for every kind, what controllers derive from them included."""
_LABEL = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")
_HOST = re.compile(r"(?:[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?\.)+[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?")
_IMAGE = re.compile(r"[^\s\x00-\x1f]+")

Rules = Mapping[str, Any]
"""Keys of an object ('*' for any key, and for every item of a list) to rules, or to the class of the string there."""

_META: Rules = {"labels": {"*": "label"}, "annotations": {"*": "text"}}
_NAMED: Rules = {"name": "name", **_META}
_REFERENCE: Rules = {"name": "name"}
_CONTAINERS: Rules = {
    "*": {
        "name": "name",
        "image": "image",
        "args": {"*": "text"},
        "command": {"*": "text"},
        "envFrom": {"*": {"configMapRef": _REFERENCE, "secretRef": _REFERENCE}},
        "env": {"*": {"value": "text", "valueFrom": {"configMapKeyRef": _REFERENCE, "secretKeyRef": _REFERENCE}}},
    }
}
_POD: Rules = {
    "metadata": _META,
    "spec": {
        "containers": _CONTAINERS,
        "initContainers": _CONTAINERS,
        "serviceAccountName": "name",
        "volumes": {
            "*": {
                "configMap": _REFERENCE,
                "secret": {"secretName": "name"},
                "persistentVolumeClaim": {"claimName": "name"},
            }
        },
    },
}
_WORKLOAD: Rules = {"selector": {"matchLabels": {"*": "label"}}, "template": _POD, "serviceName": "name"}
_BACKEND: Rules = {"service": _REFERENCE}
_KINDS: Mapping[tuple[str, str], Rules] = {
    ("", "ConfigMap"): {},
    ("", "Secret"): {},
    ("", "ServiceAccount"): {},
    ("", "Service"): {"spec": {"selector": {"*": "label"}}},
    ("apps", "Deployment"): {"spec": _WORKLOAD},
    ("apps", "StatefulSet"): {"spec": _WORKLOAD},
    ("apps", "DaemonSet"): {"spec": _WORKLOAD},
    ("batch", "Job"): {"spec": {"template": _POD}},
    ("batch", "CronJob"): {"spec": {"jobTemplate": {"spec": {"template": _POD}}}},
    ("autoscaling", "HorizontalPodAutoscaler"): {"spec": {"scaleTargetRef": _REFERENCE}},
    ("policy", "PodDisruptionBudget"): {"spec": {"selector": {"matchLabels": {"*": "label"}}}},
    ("networking.k8s.io", "Ingress"): {
        "spec": {
            "defaultBackend": _BACKEND,
            "rules": {"*": {"host": "host", "http": {"paths": {"*": {"backend": _BACKEND}}}}},
            "tls": {"*": {"hosts": {"*": "host"}, "secretName": "name"}},
        }
    },
}
_FORMS: Mapping[str, Callable[[str], bool]] = {
    "name": lambda text: len(text) <= _LONGEST_NAME and _NAME.fullmatch(text) is not None,
    "label": lambda text: text == "" or (len(text) <= 63 and _LABEL.fullmatch(text) is not None),
    "host": lambda text: len(text) <= 253 and _HOST.fullmatch(text) is not None,
    "image": lambda text: _IMAGE.fullmatch(text) is not None,
    "text": lambda text: "\x00" not in text,
}


def shape(manifest: Manifest) -> str | None:
    """What a new object has in common with all that are validated alike; None for one that only speaks for itself."""
    group, _ = split_api_version(str(manifest.get("apiVersion") or ""))
    kind = str(manifest.get("kind") or "")
    rules = _KINDS.get((group, kind))
    if rules is None or len(msgspec.json.encode(manifest)) > _LARGEST_BYTES:
        return None
    rest = manifest
    if not group and kind in ("ConfigMap", "Secret"):
        if not _plain_data(manifest, encoded=kind == "Secret"):
            return None
        rest = {key: value for key, value in manifest.items() if key != "data"}
    rules = {"metadata": _NAMED, **rules}
    bound = set(_bound(rest, rules))
    return hashlib.blake2b(msgspec.json.encode(_outline(rest, rules, bound, {}), order="sorted"), digest_size=16).hexdigest()


def _plain_data(manifest: Manifest, *, encoded: bool) -> bool:
    """Whether the data of a ConfigMap or an opaque Secret is beyond doubt, whatever it is."""
    data = manifest.get("data")
    if data is None:
        return True
    if not isinstance(data, dict) or (encoded and manifest.get("type", "Opaque") != "Opaque") or "binaryData" in manifest:
        return False
    return all(_KEY.fullmatch(key) and ".." not in key and key != "." and _plain(value, encoded) for key, value in data.items())


def _plain(value: Any, encoded: bool) -> bool:
    if not isinstance(value, str):
        return False
    if encoded:
        try:
            base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            return False
    return True


def _free(value: Any, rules: Any) -> bool:
    return isinstance(value, str) and isinstance(rules, str) and _FORMS[rules](value)


def _bound(value: Any, rules: Any) -> Iterator[str]:
    """Strings that are part of the shape as they are: one that is free elsewhere may be compared with them."""
    if isinstance(value, dict):
        for key, below in value.items():
            yield from _bound(below, _below(rules, key))
    elif isinstance(value, list):
        for item in value:
            yield from _bound(item, _below(rules, "*"))
    elif isinstance(value, str) and not _free(value, rules):
        yield value


def _outline(value: Any, rules: Any, bound: set[str], numbers: dict[str, int]) -> Any:
    if isinstance(value, dict):
        return {key: _outline(value[key], _below(rules, key), bound, numbers) for key in sorted(value)}
    if isinstance(value, list):
        return [_outline(item, _below(rules, "*"), bound, numbers) for item in value]
    if _free(value, rules) and value not in bound:
        # a number is the same for equal strings, and a list of one is no string
        return [f"{rules} {numbers.setdefault(value, len(numbers))}"]
    return value


def _below(rules: Any, key: str) -> Any:
    if not isinstance(rules, Mapping):
        return None
    found = rules.get(key, rules.get("*"))
    # annotations of Kubernetes' own mean something, and some are validated
    if found == "text" and "kubernetes.io/" in key:
        return None
    return found
