"""Put into a cluster what syncing needs, upgrade it, and take it out again without touching what was synced.

In: a cluster, what to install. Out: steps as they happen. Applying the same again changes nothing; applying another version
is the upgrade. Uninstalling takes the controller away first, then the finalizers, then the definitions: no object that was
applied from Git is deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal

from penstock.app import incluster, objects
from penstock.controllers import installing, leadership
from penstock.model import errors, flux
from penstock.model.resource import Manifest
from penstock.ports.clock import Clock
from penstock.ports.cluster import ApiResource, Cluster, Propagation
from penstock.yamldoc import emitting

Step = Literal["begin", "done", "wait", "failed"]
Tell = Callable[[Step, str], None]
_GONE_SECONDS = 90.0


async def into(cluster: Cluster) -> str:
    """Install the definitions and their namespace, and wait until the kinds are served; the server's version.

    Raises RefusedError, TransientError.
    """
    version = await cluster.version()
    await installing.install(cluster)
    return version


async def everything(cluster: Cluster, settings: incluster.Settings, tell: Tell) -> None:
    """Install or upgrade the controller as well. Raises RefusedError, TransientError."""
    tell("begin", f"installing components in {settings.namespace} namespace")
    await installing.install(cluster)
    served = {"CustomResourceDefinition", "Namespace"}
    for manifest in incluster.manifests(settings):
        if manifest["kind"] == "CustomResourceDefinition":
            continue
        resource = await _resource(cluster, manifest)
        if resource is None:
            raise errors.RefusedError(f"{cluster.name} does not serve {manifest['kind']}", code="NoMatch")
        if manifest["kind"] in served and await cluster.get(resource, "", manifest["metadata"]["name"]) is not None:
            # a namespace that is there keeps its labels: they are its owner's
            continue
        await cluster.apply(resource, manifest, field_manager=installing.MANAGER)
        tell("done", f"{_name(manifest)} configured")
    tell("done", "install finished")


def manifests(settings: incluster.Settings | None = None) -> bytes:
    """What would be applied, as YAML: everything, or without settings the definitions and their namespace."""
    if settings is not None:
        return emitting.emit_all(list(incluster.manifests(settings)))
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": installing.NAMESPACE}}
    return emitting.emit_all([namespace, *installing.definitions()])


async def out_of(
    cluster: Cluster, clock: Clock, tell: Tell, *, namespace: str, keep_namespace: bool, dry_run: bool = False
) -> None:
    """Uninstall. What was synced stays as it is.

    Raises TransientError when somebody still holds the lease: a controller that is not ours to stop would undo it.
    """
    mode = " (dry run)" if dry_run else ""
    tell("begin", f"deleting components in {namespace} namespace")
    for manifest in [*_components(namespace), *await _bindings_of_tenants(cluster)]:
        if await _delete(cluster, manifest, dry_run):
            tell("done", f"{_name(manifest)} deleted{mode}")
    if not dry_run:
        await _until_nobody_leads(cluster, clock, namespace, tell)
    if not await installing.definitions_are_ours(cluster):
        # Flux's own definitions: its objects go on being synced by whoever comes next
        tell("done", f"uninstall finished{mode}; the definitions are Flux's: they and their objects stay")
        return
    tell("begin", "deleting toolkit.fluxcd.io finalizers in all namespaces")
    kinds = [(flux.SOURCE_GROUP, flux.GIT_REPOSITORY), (flux.KUSTOMIZE_GROUP, flux.KUSTOMIZATION)]
    for group, kind in kinds:
        resource = await cluster.resource(group, kind)
        for manifest in (await cluster.list(resource)).items if resource is not None else ():
            assert resource is not None
            await _let_go(cluster, resource, manifest, dry_run)
            tell("done", f"{_name(manifest)} finalizers deleted{mode}")
    tell("begin", "deleting toolkit.fluxcd.io custom resource definitions")
    for manifest in installing.definitions():
        if await _delete(cluster, manifest, dry_run):
            tell("done", f"{_name(manifest)} deleted{mode}")
    if not keep_namespace:
        whole: Manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
        if await _delete(cluster, whole, dry_run):
            tell("done", f"{_name(whole)} deleted{mode}")
    tell("done", f"uninstall finished{mode}")


def _components(namespace: str) -> Iterable[Manifest]:
    """What everything is but the definitions and the namespace: the controller first, its rights last."""
    settings = incluster.Settings(namespace=namespace, monitoring=True)
    narrow = incluster.Settings(namespace=namespace, apply_as="service-accounts")
    found = {_name(each): each for each in (*incluster.manifests(settings), *incluster.manifests(narrow))}
    kept = [each for each in found.values() if each["kind"] not in ("Namespace", "CustomResourceDefinition")]
    return sorted(kept, key=lambda each: (each["kind"] != "Deployment", each["apiVersion"].startswith("rbac")))


async def _bindings_of_tenants(cluster: Cluster) -> list[Manifest]:
    resource = await cluster.resource("rbac.authorization.k8s.io", "RoleBinding", "v1")
    labels = f"app.kubernetes.io/name=penstock,app.kubernetes.io/component={incluster.NAME}"
    return list((await cluster.list(resource, label_selector=labels)).items) if resource is not None else []


async def _let_go(cluster: Cluster, resource: ApiResource, manifest: Manifest, dry_run: bool) -> None:
    """Nobody prunes for a suspended object, should anything still look at it; then its finalizers go, then the object."""
    if dry_run:
        return
    metadata = manifest["metadata"]
    change: dict[str, Any] = {"metadata": {"finalizers": None}, "spec": {"suspend": True}}
    await cluster.patch(resource, metadata["namespace"], metadata["name"], change, kind="merge", field_manager="penstock")
    await cluster.delete(resource, metadata["namespace"], metadata["name"], uid=str(metadata["uid"]))


async def _until_nobody_leads(cluster: Cluster, clock: Clock, namespace: str, tell: Tell) -> None:
    resource = await cluster.resource(leadership.GROUP, "Lease", "v1")
    until, told = clock.monotonic() + _GONE_SECONDS, ""
    seen: tuple[object, float] = (None, clock.monotonic())
    while resource is not None:
        lease = await cluster.get(resource, namespace, leadership.KUSTOMIZE_LEASE)
        spec = (lease or {}).get("spec") or {}
        holder, now = str(spec.get("holderIdentity") or ""), clock.monotonic()
        if spec.get("renewTime") != seen[0]:
            seen = (spec.get("renewTime"), now)
        if not holder or now - seen[1] > float(spec.get("leaseDurationSeconds") or 15):
            return
        if now > until:
            what = f"{holder} still leads in {namespace}: it would give its objects their finalizers again"
            raise errors.TransientError(what, hint="stop it (scale kustomize-controller to 0), then again", code="StillLeading")
        if holder != told:
            told = holder
            tell("wait", f"waiting for {holder} to end")
        await clock.sleep(0.5)


async def _delete(cluster: Cluster, manifest: Manifest, dry_run: bool) -> bool:
    resource = await _resource(cluster, manifest)
    if resource is None:
        return False
    namespace, name = str(manifest["metadata"].get("namespace") or ""), str(manifest["metadata"]["name"])
    how: Propagation = "Foreground" if manifest["kind"] == "Deployment" else "Background"
    question = cluster.delete(resource, namespace, name, propagation=how, dry_run=dry_run)
    return await objects.answered(cluster, question)


async def _resource(cluster: Cluster, manifest: Manifest) -> ApiResource | None:
    group, _, version = str(manifest["apiVersion"]).rpartition("/")
    return await cluster.resource(group, str(manifest["kind"]), version)


def _name(manifest: Manifest) -> str:
    metadata = manifest["metadata"]
    return "/".join(part for part in (manifest["kind"], metadata.get("namespace"), metadata["name"]) if part)
