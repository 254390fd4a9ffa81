"""Garbage collection, namespaces and finalizers: how things go away.

In: changes and due keys. Out: deletions. A dependent goes when all its owners are gone (background), an owner that waits
for `foregroundDeletion` goes after its blocking dependents, `orphan` first cuts the owner references. A namespace that is
Terminating is emptied, then finalized.
Source: kubernetes garbage-collection docs and the namespace controller.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from penstock.sandbox.cluster.api import Api, Call
from penstock.sandbox.cluster.kinds import Kind
from penstock.sandbox.cluster.store import Change, Manifest

Key = tuple[str, str, str]
MANAGER = "kube-controller-manager"


class Garbage:
    """Owners, dependents and namespaces of one cluster."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._dependents: dict[str, dict[Key, None]] = {}
        """Owner uid -> objects that name it."""

    # ---------------------------------------------------------------------------------------------- the index

    def adopt(self, resource: str, manifest: Manifest) -> None:
        """Remember whom an object names as its owners."""
        metadata = manifest["metadata"]
        for reference in metadata.get("ownerReferences") or ():
            key = (resource, metadata.get("namespace", ""), metadata["name"])
            self._dependents.setdefault(reference["uid"], {})[key] = None

    def heard(self, change: Change) -> None:
        key = (change.resource, change.namespace, change.name)
        for reference in (change.previous or {}).get("metadata", {}).get("ownerReferences") or ():
            self._dependents.get(reference["uid"], {}).pop(key, None)
        if change.kind != "DELETED":
            self.adopt(change.resource, change.manifest)

    def concerned(self, change: Change) -> Iterator[Key]:
        """Who has to be looked at because of this change, besides the object itself."""
        metadata = change.manifest["metadata"]
        if change.kind == "DELETED":
            yield from list(self._dependents.get(metadata["uid"], {}))
            if change.namespace:
                yield "namespaces", "", change.namespace
        if change.kind == "DELETED" and change.resource == "pods":
            for volume in change.manifest["spec"].get("volumes") or ():
                if claim := (volume.get("persistentVolumeClaim") or {}).get("claimName"):
                    yield "persistentvolumeclaims", change.namespace, claim
        for reference in metadata.get("ownerReferences") or ():
            if (owner := self._owner_key(reference, change.namespace)) is not None:
                yield owner

    def _owner_key(self, reference: Manifest, namespace: str) -> Key | None:
        group = reference["apiVersion"].rpartition("/")[0]
        kind = self._api.registry.by_kind(group, reference["kind"])
        return (kind.key, namespace if kind.namespaced else "", reference["name"]) if kind else None

    def dependents(self, resource: str, owner: Manifest) -> list[Manifest]:
        """Objects of one resource that this one controls, by name."""
        uid = owner["metadata"]["uid"]
        keys = sorted(key for key in self._dependents.get(uid, ()) if key[0] == resource)
        found = [manifest for key in keys if (manifest := self._api.store.get(*key)) is not None]
        return [m for m in found if any(r["uid"] == uid and r.get("controller") for r in _references(m))]

    # ---------------------------------------------------------------------------------------------- the work

    def reconcile(self, resource: str, namespace: str, name: str) -> None:
        """Take one object a step towards where it should be."""
        live = self._api.store.get(resource, namespace, name)
        kind = self._api.registry.by_key(resource)
        if live is None or kind is None:
            return
        if resource == "namespaces":
            self._namespace(kind, live)
        if live["metadata"].get("ownerReferences") and not live["metadata"].get("deletionTimestamp"):
            self._orphaned(kind, live)
        if live["metadata"].get("deletionTimestamp"):
            self._finalize(kind, live)

    def expire_events(self, oldest: str) -> None:
        """Forget events last seen before a moment (RFC 3339 text, which sorts by time)."""
        for event in self._api.store.objects("events"):
            seen = event.get("lastTimestamp") or event.get("eventTime") or event["metadata"]["creationTimestamp"]
            if seen < oldest:
                self._api.store.delete("events", event["metadata"]["namespace"], event["metadata"]["name"])

    def _orphaned(self, kind: Kind, live: Manifest) -> None:
        """Delete an object none of whose owners exists any more."""
        metadata = live["metadata"]
        namespace = metadata.get("namespace", "")
        kept, waiting = [], False
        for reference in metadata["ownerReferences"]:
            owner = self._owner(reference, namespace)
            if owner is None:
                continue
            kept.append(reference)
            waiting |= "foregroundDeletion" in (owner["metadata"].get("finalizers") or ())
        if not kept:
            self._delete(kind, live)
        elif len(kept) < len(metadata["ownerReferences"]):
            self._patch_metadata(kind, live, {"ownerReferences": kept})
        elif waiting and len(kept) == 1:
            # Whoever waits for this one waits for what it owns, too.
            self._delete(kind, live, "Foreground" if self._dependents.get(metadata["uid"]) else "Background")

    def _owner(self, reference: Manifest, namespace: str) -> Manifest | None:
        key = self._owner_key(reference, namespace)
        owner = self._api.store.get(*key) if key else None
        return owner if owner is not None and owner["metadata"]["uid"] == reference["uid"] else None

    def _finalize(self, kind: Kind, live: Manifest) -> None:
        """The two finalizers that are the garbage collector's own."""
        metadata = live["metadata"]
        finalizers = [name for name in metadata.get("finalizers") or () if not self._free(live, name)]
        if finalizers != (metadata.get("finalizers") or []):
            pass
        elif "orphan" in finalizers:
            for key in list(self._dependents.get(metadata["uid"], {})):
                self._cut(key, metadata["uid"])
            finalizers.remove("orphan")
        elif "foregroundDeletion" in finalizers:
            dependents = [(key, self._api.store.get(*key)) for key in list(self._dependents.get(metadata["uid"], {}))]
            blocking = [
                (key, found)
                for key, found in dependents
                if found and any(r["uid"] == metadata["uid"] and r.get("blockOwnerDeletion") for r in _references(found))
            ]
            for key, found in dependents:
                owner_kind = self._api.registry.by_key(key[0])
                if found and owner_kind and not found["metadata"].get("deletionTimestamp"):
                    self._orphaned(owner_kind, found)
            if any(self._api.store.get(*key) for key, _ in blocking):
                return
            finalizers.remove("foregroundDeletion")
        else:
            return
        self._patch_metadata(kind, live, {"finalizers": finalizers or None})

    def _free(self, live: Manifest, finalizer: str) -> bool:
        """Whether a volume or claim is in nobody's use, so that its protection may end."""
        if finalizer == "kubernetes.io/pv-protection":
            return bool(live.get("status", {}).get("phase") != "Bound")
        if finalizer != "kubernetes.io/pvc-protection":
            return False
        name, namespace = live["metadata"]["name"], live["metadata"]["namespace"]
        return not any(
            (volume.get("persistentVolumeClaim") or {}).get("claimName") == name
            for pod in self._api.store.objects("pods", namespace)
            if pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")
            for volume in pod["spec"].get("volumes") or ()
        )

    def _cut(self, key: Key, uid: str) -> None:
        kind, found = self._api.registry.by_key(key[0]), self._api.store.get(*key)
        if kind and found:
            kept = [reference for reference in _references(found) if reference["uid"] != uid]
            self._patch_metadata(kind, found, {"ownerReferences": kept or None})

    def _namespace(self, kind: Kind, live: Manifest) -> None:
        """Empty a namespace that is going, then let it go."""
        if not live["metadata"].get("deletionTimestamp"):
            return
        name = live["metadata"]["name"]
        left = False
        for other in list(self._api.registry.all()):
            if not other.namespaced or not other.preferred:
                continue
            for manifest in self._api.store.objects(other.key, name):
                if not manifest["metadata"].get("deletionTimestamp"):
                    self._delete(other, manifest)
                left |= self._api.store.get(other.key, name, manifest["metadata"]["name"]) is not None
        if left or not live.get("spec", {}).get("finalizers"):
            return
        call = Call(kind=kind, name=name, subresource="finalize", manager=MANAGER)
        spec = {key: value for key, value in live["spec"].items() if key != "finalizers"}
        self._api.replace(call, {**live, "spec": {**spec, "finalizers": []}})

    def _delete(self, kind: Kind, manifest: Manifest, propagation: str = "Background") -> None:
        metadata = manifest["metadata"]
        call = Call(kind=kind, namespace=metadata.get("namespace", ""), name=metadata["name"], manager=MANAGER)
        self._api.delete(call, {"preconditions": {"uid": metadata["uid"]}, "propagationPolicy": propagation})

    def _patch_metadata(self, kind: Kind, manifest: Manifest, change: dict[str, Any]) -> None:
        metadata = manifest["metadata"]
        call = Call(kind=kind, namespace=metadata.get("namespace", ""), name=metadata["name"], manager=MANAGER)
        self._api.patch(call, "merge", {"metadata": change})


def _references(manifest: Manifest) -> list[Manifest]:
    return manifest["metadata"].get("ownerReferences") or []
