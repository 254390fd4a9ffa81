"""The scale subresource: the replica count of a workload, as autoscaling/v1 Scale.

In: a live object and a Scale document. Out: the Scale it shows, or the object with the new count.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from penstock.sandbox.cluster import patching, status
from penstock.sandbox.cluster.api import Api, Call, PatchKind
from penstock.sandbox.cluster.kinds import Kind
from penstock.sandbox.cluster.store import Manifest


def _paths(kind: Kind) -> tuple[list[str], list[str], list[str]]:
    """Where the count, the observed count and the selector are: a CRD says so itself."""
    scale = ((kind.crd or {}).get("subresources") or {}).get("scale") or {}
    specified = scale.get("specReplicasPath", ".spec.replicas")
    observed = scale.get("statusReplicasPath", ".status.replicas")
    selector = scale.get("labelSelectorPath", "")
    return tuple([part for part in path.split(".") if part] for path in (specified, observed, selector))  # type: ignore[return-value]


def _at(manifest: Mapping[str, Any], path: list[str]) -> Any:
    value: Any = manifest
    for part in path:
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def scale_of(kind: Kind, manifest: Manifest) -> Manifest:
    """The Scale of an object."""
    specified, observed, selector_path = _paths(kind)
    metadata = manifest["metadata"]
    if kind.crd is not None:
        selector = _at(manifest, selector_path) if selector_path else ""
    else:
        labels = (manifest.get("spec", {}).get("selector") or {}).get("matchLabels") or {}
        selector = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {
            key: metadata[key] for key in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp") if key in metadata
        },
        "spec": {"replicas": count} if (count := _at(manifest, specified)) else {},
        "status": {"replicas": _at(manifest, observed) or 0} | ({"selector": selector} if selector else {}),
    }


def patched(scale: Manifest, kind: PatchKind, patch: Any) -> Manifest:
    """A Scale with a patch applied."""
    out: Manifest = patching.json_patch(scale, patch) if kind == "json" else patching.merge_patch(scale, patch)
    return out


def set_replicas(api: Api, call: Call, live: Manifest, scale: Mapping[str, Any]) -> Manifest:
    """Store the count a Scale asks for. Raises 409 when the Scale is of an older revision."""
    sent = (scale.get("metadata") or {}).get("resourceVersion")
    if sent and sent != live["metadata"]["resourceVersion"]:
        raise status.conflict(call.kind.group, call.kind.plural, call.name, status.STALE)
    count = (scale.get("spec") or {}).get("replicas", 0)
    if not isinstance(count, int) or isinstance(count, bool) or count < 0:
        cause = status.Cause(
            reason="FieldValueInvalid",
            message=f"Invalid value: {count}: must be greater than or equal to 0",
            field="spec.replicas",
        )
        raise status.invalid("autoscaling", "Scale", call.name, [cause])
    path = _paths(call.kind)[0]
    patch: Any = count
    for part in reversed(path):
        patch = {part: patch}
    return api.patch(call, "merge", patch)
