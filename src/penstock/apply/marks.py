"""The labels and annotations that steer an object: whose it is, and what must not be done to it.

In: manifests. Out: yes or no. A mark counts as a label or as an annotation, its value in any case (Flux's rule).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from penstock.model import flux
from penstock.model.resource import Manifest


@dataclass(frozen=True, slots=True, order=True)
class Owner:
    """The Kustomization that objects belong to."""

    name: str
    namespace: str

    def labels(self) -> dict[str, str]:
        """The owner labels of an object."""
        return {flux.OWNER_NAME: self.name, flux.OWNER_NAMESPACE: self.namespace}


def owner(manifest: Mapping[str, Any]) -> Owner | None:
    """Whose object this is; None when nobody's."""
    labels = _metadata(manifest, "labels")
    name = labels.get(flux.OWNER_NAME)
    return Owner(str(name), str(labels.get(flux.OWNER_NAMESPACE) or "")) if name else None


def marked(manifest: Mapping[str, Any], mark: str, value: str) -> bool:
    """Whether a label or an annotation `mark` has this value."""
    wanted = value.lower()
    return any(str(_metadata(manifest, where).get(mark, "")).lower() == wanted for where in ("labels", "annotations"))


def not_applied(manifest: Mapping[str, Any]) -> bool:
    """`reconcile: disabled` or `ssa: Ignore`: neither applied nor pruned."""
    return marked(manifest, flux.RECONCILE, "disabled") or marked(manifest, flux.SSA, "Ignore")


def only_created(manifest: Mapping[str, Any]) -> bool:
    """`ssa: IfNotPresent`: created when missing, then left alone."""
    return marked(manifest, flux.SSA, "IfNotPresent")


def not_pruned(manifest: Mapping[str, Any]) -> bool:
    """`prune: disabled`, and everything that is not applied."""
    return marked(manifest, flux.PRUNE, "disabled") or not_applied(manifest)


def merged(manifest: Mapping[str, Any]) -> bool:
    """`ssa: Merge`: fields that kubectl set stay."""
    return marked(manifest, flux.SSA, "Merge")


def forced(manifest: Mapping[str, Any]) -> bool:
    """`force: enabled`: recreated when an immutable field changes."""
    return marked(manifest, flux.FORCE, "enabled")


def with_owner(manifest: Manifest, whose: Owner) -> Manifest:
    """The manifest with the owner labels; the given one is not changed."""
    metadata = dict(manifest.get("metadata") or {})
    metadata["labels"] = {**(metadata.get("labels") or {}), **whose.labels()}
    return {**manifest, "metadata": metadata}


def _metadata(manifest: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    metadata = manifest.get("metadata")
    found = metadata.get(key) if isinstance(metadata, Mapping) else None
    return found if isinstance(found, Mapping) else {}
