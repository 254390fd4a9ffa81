"""What a cluster has of Flux and Penstock: whether it can be synced, who syncs it, in which version.

In: a cluster. Out: steps as they are found out, and whether all is well. Looks only.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, Literal

from penstock.app import objects
from penstock.controllers import leadership
from penstock.model import flux
from penstock.model.resource import Manifest
from penstock.ports.cluster import Cluster

OLDEST: Final = (1, 30)
"""The oldest Kubernetes that is tried: server-side apply, CEL in definitions, metadata watches."""
_PART_OF: Final = "app.kubernetes.io/part-of=flux"
_RIGHTS: Final = (
    ("", "namespaces", "create"),
    ("apiextensions.k8s.io", "customresourcedefinitions", "create"),
    ("rbac.authorization.k8s.io", "clusterrolebindings", "create"),
    ("apps", "deployments", "create"),
)
Step = Literal["begin", "done", "wait", "failed"]
Tell = Callable[[Step, str], None]


async def prerequisites(cluster: Cluster, tell: Tell) -> bool:
    """Whether Penstock can be installed there, by us."""
    tell("begin", "checking prerequisites")
    version = await objects.answered(cluster, cluster.version())
    wanted = ".".join(str(part) for part in OLDEST)
    found = re.match(r"v(\d+)\.(\d+)", version)
    well = found is not None and (int(found[1]), int(found[2])) >= OLDEST
    tell("done" if well else "failed", f"Kubernetes {version.removeprefix('v')} {'>=' if well else '<'}{wanted}.0")
    for group, resource, verb in _RIGHTS:
        if not await _allowed(cluster, group, resource, verb):
            tell("failed", f"no right to {verb} {resource}{'.' + group if group else ''}")
            well = False
    if well:
        tell("done", "prerequisites checks passed")
    return well


async def _allowed(cluster: Cluster, group: str, resource: str, verb: str) -> bool:
    reviews = await cluster.resource("authorization.k8s.io", "SelfSubjectAccessReview", "v1")
    if reviews is None:
        # a sandbox: nobody is refused anything
        return True
    about = {"group": group, "resource": resource, "verb": verb}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "metadata": {},
        "spec": {"resourceAttributes": about},
    }
    answer = await objects.answered(cluster, cluster.create(reviews, review))
    return (answer.get("status") or {}).get("allowed") is True


async def components(cluster: Cluster, namespace: str, tell: Tell) -> bool:
    """Whether everything is there and somebody works: definitions, controllers, the lease."""
    tell("begin", "checking controllers")
    well = await _controllers(cluster, namespace, tell)
    tell("begin", "checking crds")
    for group, kind in ((flux.SOURCE_GROUP, flux.GIT_REPOSITORY), (flux.KUSTOMIZE_GROUP, flux.KUSTOMIZATION)):
        resource = await objects.answered(cluster, cluster.resource(group, kind))
        if resource is None:
            tell("failed", f"{kind} ({group}) is not served")
            well = False
        else:
            tell("done", f"{resource.plural}.{group}/{resource.version}")
    return well


async def _controllers(cluster: Cluster, namespace: str, tell: Tell) -> bool:
    well, deployments = True, await cluster.resource("apps", "Deployment", "v1")
    listed = None
    if deployments is not None:
        listed = await objects.answered(cluster, cluster.list(deployments, namespace, label_selector=_PART_OF))
    for manifest in listed.items if listed is not None else ():
        metadata, status = manifest["metadata"], manifest.get("status") or {}
        wanted = (manifest.get("spec") or {}).get("replicas", 1)
        available = status.get("availableReplicas") or 0
        ready = available >= wanted
        well = well and ready
        tell("done" if ready else "failed", f"{metadata['name']}: {available} of {wanted} available")
        for container in _containers(manifest):
            tell("begin", str(container.get("image")))
    holder = await leader(cluster, namespace)
    if holder:
        tell("done", f"{holder} leads")
    elif listed is None or not listed.items:
        tell("failed", f"no controllers found in the '{namespace}' namespace, and nobody leads")
        well = False
    return well


def _containers(manifest: Manifest) -> list[dict[str, Any]]:
    template = (manifest.get("spec") or {}).get("template") or {}
    return list((template.get("spec") or {}).get("containers") or ())


async def leader(cluster: Cluster, namespace: str) -> str:
    """Who holds the lease of syncing, '' for nobody."""
    leases = await cluster.resource(leadership.GROUP, "Lease", "v1")
    lease = await cluster.get(leases, namespace, leadership.KUSTOMIZE_LEASE) if leases is not None else None
    return str(((lease or {}).get("spec") or {}).get("holderIdentity") or "")


async def versions(cluster: Cluster) -> dict[str, str]:
    """Of Kubernetes and of the definitions."""
    found = {"kubernetes": await objects.answered(cluster, cluster.version())}
    crds = await cluster.resource("apiextensions.k8s.io", "CustomResourceDefinition", "v1")
    for name in ("gitrepositories.source.toolkit.fluxcd.io", "kustomizations.kustomize.toolkit.fluxcd.io"):
        manifest = await objects.answered(cluster, cluster.get(crds, "", name)) if crds is not None else None
        labels = (manifest or {"metadata": {}})["metadata"].get("labels") or {}
        if manifest is not None:
            by = labels.get("app.kubernetes.io/name") or labels.get("app.kubernetes.io/part-of") or "unknown"
            found[name] = f"{by} {labels.get('app.kubernetes.io/version') or 'unknown'}"
    return found
