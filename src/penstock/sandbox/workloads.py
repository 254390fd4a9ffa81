"""A stand-in for kube-controller-manager and kubelet on a bare API server: workloads report themselves ready after a moment.

For `penstock demo --clusters real`: the API server is real, nothing runs in it, so somebody has to write what a cluster's
controllers would report. In: a Cluster. Out: status of Deployments and Jobs, never anything else. The sandbox cluster has
its own, richer rollout; this one speaks to any API server through the port.
"""

from __future__ import annotations

import asyncio
from typing import Any

from penstock.model import errors
from penstock.model.resource import Manifest
from penstock.ports.clock import Clock
from penstock.ports.cluster import ApiResource, Cluster, WatchExpiredError

KINDS = (("apps", "Deployment"), ("batch", "Job"))
_BROKEN = ("broken", "missing")


async def run(cluster: Cluster, clock: Clock, *, rollout_seconds: float = 1.0) -> None:
    """Report rollouts until cancelled."""
    async with asyncio.TaskGroup() as group:
        for api_group, kind in KINDS:
            group.create_task(_follow(cluster, clock, api_group, kind, rollout_seconds), name=f"workloads {cluster.name} {kind}")


async def _follow(cluster: Cluster, clock: Clock, api_group: str, kind: str, rollout_seconds: float) -> None:
    while True:
        try:
            resource = await cluster.resource(api_group, kind)
            if resource is not None:
                await _watch(cluster, clock, resource, rollout_seconds)
        except (errors.RemoteError, WatchExpiredError):
            # The server is restarting or forgot our revision: list again after a breath.
            pass
        await clock.sleep(1.0)


async def _watch(cluster: Cluster, clock: Clock, resource: ApiResource, rollout_seconds: float) -> None:
    found = await cluster.list(resource)
    async with asyncio.TaskGroup() as group:
        for manifest in found.items:
            group.create_task(_report(cluster, clock, resource, manifest, rollout_seconds))
        async for event in cluster.watch(resource, resource_version=found.resource_version):
            if event.kind in ("ADDED", "MODIFIED"):
                group.create_task(_report(cluster, clock, resource, event.object, rollout_seconds))


async def _report(cluster: Cluster, clock: Clock, resource: ApiResource, manifest: Manifest, rollout_seconds: float) -> None:
    """Write the status the object would have once it has rolled out; a newer generation's own report wins."""
    status = job_status(manifest, clock) if resource.kind == "Job" else deployment_status(manifest)
    if status is None:
        return
    await clock.sleep(rollout_seconds)
    metadata = manifest["metadata"]
    # Conditional on what we saw: when the object changed meanwhile, its newer event brings its own report.
    body = {"metadata": {"resourceVersion": metadata["resourceVersion"]}, "status": status}
    try:
        await cluster.patch(
            resource, metadata["namespace"], metadata["name"], body, kind="merge", subresource="status", field_manager="workloads"
        )
    except errors.RemoteError:
        return


def deployment_status(manifest: Manifest) -> dict[str, Any] | None:
    """The status of a rolled-out (or stuck) Deployment; None when it says so already."""
    replicas = manifest["spec"].get("replicas", 1)
    stuck = has_broken_image(manifest["spec"]["template"]["spec"])
    ready = 0 if stuck else replicas
    available = {"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable"}
    progressing = {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}
    if stuck:
        available |= {"status": "False", "reason": "MinimumReplicasUnavailable"}
        progressing |= {"reason": "ReplicaSetUpdated"}
    wanted: dict[str, Any] = {
        "observedGeneration": manifest["metadata"]["generation"],
        "replicas": replicas,
        "updatedReplicas": replicas,
        "readyReplicas": ready,
        "availableReplicas": ready,
        "unavailableReplicas": replicas - ready,
    }
    now = manifest.get("status") or {}
    if all(now.get(field, 0) == value for field, value in wanted.items()):
        return None
    return wanted | {"conditions": [available, progressing]}


def job_status(manifest: Manifest, clock: Clock) -> dict[str, Any] | None:
    """The status of a completed Job; None when it says so already or can never run."""
    status = manifest.get("status") or {}
    if status.get("completionTime") or has_broken_image(manifest["spec"]["template"]["spec"]):
        return None
    now = clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    done = {"type": "SuccessCriteriaMet", "status": "True", "reason": "CompletionsReached", "lastTransitionTime": now}
    return {
        "startTime": now,
        "completionTime": now,
        "succeeded": manifest["spec"].get("completions", 1),
        "conditions": [done, done | {"type": "Complete"}],
    }


def has_broken_image(pod_spec: dict[str, Any]) -> bool:
    """Whether a container's image is one that can never be pulled: from broken.example, or tagged broken or missing."""
    images = [str(container.get("image", "")) for container in pod_spec.get("containers", [])]
    return any(image.startswith("broken.example/") or image.rpartition(":")[2] in _BROKEN for image in images)
