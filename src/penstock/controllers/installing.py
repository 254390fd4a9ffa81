"""What a cluster needs before anything can be synced to it: two CRDs and a namespace.

In: a cluster. Out: the kinds served. CRDs that are already there are Flux's, or ours of another version: those of Flux are
left as they are, because they accept all that ours accept.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources
from typing import Any, Final

from penstock import __version__
from penstock.model import flux
from penstock.model.errors import RefusedError, TransientError
from penstock.model.resource import Manifest
from penstock.ports.clock import Clock
from penstock.ports.cluster import Cluster

NAMESPACE = "flux-system"
MANAGER = "penstock-install"
LABELS: Final = {
    "app.kubernetes.io/name": "penstock",
    "app.kubernetes.io/part-of": "flux",
    "app.kubernetes.io/version": f"v{__version__}",
}
"""On everything installed. `part-of: flux` is where the flux command line looks for what it checks and whose logs it reads."""
_ESTABLISHED_SECONDS = 30.0


async def install(cluster: Cluster, clock: Clock | None = None) -> None:
    """Apply the definitions and wait until their kinds are served. Doing it again changes nothing.

    Raises RefusedError (no right to), TransientError.
    """
    if clock is None:
        from penstock.adapters.clock import SystemClock

        clock = SystemClock()
    await _apply(cluster, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}, keep=True)
    for definition in definitions():
        await _apply(cluster, definition, keep=False)
    for group, kind in ((flux.SOURCE_GROUP, flux.GIT_REPOSITORY), (flux.KUSTOMIZE_GROUP, flux.KUSTOMIZATION)):
        until = clock.monotonic() + _ESTABLISHED_SECONDS
        while await cluster.resource(group, kind) is None:
            if clock.monotonic() > until:
                raise TransientError(f"{cluster.name} does not serve {kind} yet", code="Timeout")
            await clock.sleep(0.05)


async def definitions_are_ours(cluster: Cluster) -> bool:
    """Whether the definitions that are there were installed by us."""
    for definition in definitions():
        resource = await cluster.resource("apiextensions.k8s.io", "CustomResourceDefinition", "v1")
        found = await cluster.get(resource, "", definition["metadata"]["name"]) if resource is not None else None
        if found is not None and not _ours(found):
            return False
    return True


def definitions() -> Iterator[Manifest]:
    """The CRDs, as manifests."""
    import yaml

    folder = resources.files("penstock.controllers") / "crds"
    for name in ("gitrepositories.yaml", "kustomizations.yaml"):
        manifest: Any = yaml.safe_load((folder / name).read_bytes())
        metadata = manifest["metadata"]
        metadata["labels"] = {**(metadata.get("labels") or {}), **LABELS}
        yield manifest


async def _apply(cluster: Cluster, manifest: Manifest, *, keep: bool) -> None:
    group, _, version = str(manifest["apiVersion"]).rpartition("/")
    resource = await cluster.resource(group, str(manifest["kind"]), version)
    if resource is None:
        raise RefusedError(f"{cluster.name} does not serve {manifest['kind']}", code="NoMatch")
    found = await cluster.get(resource, "", manifest["metadata"]["name"])
    if found is not None and (keep or not _ours(found)):
        return
    await cluster.apply(resource, manifest, field_manager=MANAGER)


def _ours(manifest: Manifest) -> bool:
    managed = manifest["metadata"].get("managedFields") or ()
    return any(entry.get("manager") == MANAGER for entry in managed)
