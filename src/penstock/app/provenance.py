"""Which Kustomization and which source an object of a cluster comes from.

In: a kind and a name as people say them. Out: the object, its Kustomization, its source, each as Flux's `trace` shows them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from penstock.app import objects
from penstock.apply import marks
from penstock.model import condition as conditions
from penstock.model import errors, flux
from penstock.model.resource import Manifest
from penstock.ports.cluster import ApiResource, Cluster


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One link of the chain: rows of a title and a text."""

    rows: Sequence[tuple[str, str]]


async def trace(cluster: Cluster, kind: str, name: str, namespace: str) -> list[Block]:
    """The chain from the object to its source. Raises InputError when the kind or the object is not there."""
    resource = await _resource(cluster, kind)
    where = namespace if resource.namespaced else ""
    found = await objects.answered(cluster, cluster.get(resource, where, name))
    if found is None:
        raise errors.invalid(f"{resource.kind} '{name}' not found in {where or 'the cluster'}", code="NotFound")
    owner = marks.owner(found)
    rows = [("Object", f"{kind}/{name}"), *([("Namespace", where)] if where else [])]
    if owner is None:
        return [Block(rows=[*rows, ("Status", "Not managed by Flux")])]
    blocks = [Block(rows=[*rows, ("Status", "Managed by Flux")])]
    kustomization = await objects.get(cluster, objects.KUSTOMIZATION, owner.namespace, owner.name)
    blocks.append(_kustomization(kustomization))
    source = await _source(cluster, kustomization)
    return [*blocks, source] if source is not None else blocks


async def _resource(cluster: Cluster, kind: str) -> ApiResource:
    """The kind people mean by 'deployment', 'deployments', 'deployments.apps' or 'Deployment'."""
    word, _, group = kind.lower().partition(".")
    kinds = getattr(cluster, "kinds", None)
    served: Sequence[ApiResource] = await objects.answered(cluster, kinds()) if kinds is not None else ()
    for each in served:
        if word in (each.kind.lower(), each.plural) and (not group or each.group == group):
            return each
    raise errors.invalid(f"the cluster serves no kind {kind!r}", hint="deployment, or deployments.apps", code="Kind")


def _kustomization(manifest: Manifest) -> Block:
    metadata, spec, status = manifest["metadata"], manifest.get("spec") or {}, manifest.get("status") or {}
    rows = [
        ("Kustomization", str(metadata["name"])),
        ("Namespace", str(metadata["namespace"])),
        ("Target", str(spec.get("targetNamespace") or "")),
        ("Path", str(spec.get("path") or "")),
        ("Revision", str(status.get("lastAppliedRevision") or "")),
        *_state(manifest, "reconciled"),
    ]
    return Block(rows=[row for row in rows if row[1]])


async def _source(cluster: Cluster, kustomization: Manifest) -> Block | None:
    ref = (kustomization.get("spec") or {}).get("sourceRef") or {}
    kind = objects.of_kind(flux.SOURCE_GROUP, str(ref.get("kind") or ""))
    if kind is None:
        return None
    namespace = str(ref.get("namespace") or kustomization["metadata"]["namespace"])
    manifest = await objects.get(cluster, kind, namespace, str(ref.get("name") or ""))
    spec = manifest.get("spec") or {}
    wanted = spec.get("ref") or {}
    rows = [
        (kind.kind, str(manifest["metadata"]["name"])),
        ("Namespace", namespace),
        ("URL", str(spec.get("url") or "")),
        *((title, str(wanted.get(title.lower()) or "")) for title in ("Tag", "Branch", "Semver", "Commit")),
        ("Revision", kind.revision(manifest)),
        *_state(manifest, "reconciled"),
    ]
    return Block(rows=[row for row in rows if row[1]])


def _state(manifest: Manifest, done: str) -> list[tuple[str, str]]:
    ready = conditions.of(manifest).get(flux.READY)
    if objects.is_suspended(manifest):
        return [("Status", "Suspended")]
    if ready is None:
        return [("Status", "Unknown")]
    verb = f"Last {done} at" if ready.status == "True" else "Last reconciliation failed at"
    if ready.status == "Unknown":
        verb = "Reconciling since"
    return [("Status", f"{verb} {ready.since}"), ("Message", ready.message)]
