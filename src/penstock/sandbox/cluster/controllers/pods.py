"""Pods that seem to run, and the events about them.

In: pods. Out: their status: scheduled to the one node, waiting, then running and ready after `rollout_seconds`; a Job's
pod succeeds instead. A broken image waits for ever.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from penstock.sandbox.cluster.api import Api, Call
from penstock.sandbox.cluster.kinds import Kind
from penstock.sandbox.cluster.status import ApiError
from penstock.sandbox.cluster.store import Manifest

Key = tuple[str, str, str]
_BROKEN_TAGS = ("broken", "missing")
_BROKEN_REGISTRY = "broken.example"


def is_broken(image: str) -> bool:
    """Whether an image says of itself that it cannot be pulled."""
    registry, _, rest = image.partition("/")
    tag = (rest or registry).rpartition("/")[2].partition("@")[0].partition(":")[2]
    return registry.partition(":")[0] == _BROKEN_REGISTRY or tag in _BROKEN_TAGS


def is_ready(pod: Mapping[str, object]) -> bool:
    """Whether a pod's Ready condition is true."""
    status = pod.get("status")
    conditions = status.get("conditions") if isinstance(status, Mapping) else None
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions or ())


class Pods:
    """The kubelet and scheduler of one cluster, without anything to run."""

    def __init__(self, api: Api, *, rollout_seconds: float, later: Callable[[float, Key], None]) -> None:
        self._api = api
        self._rollout_seconds = rollout_seconds
        self._later = later
        self._started: dict[str, datetime] = {}
        """Pod uid -> when it began to start; whole seconds of the API are too coarse for short rollouts."""

    def reconcile(self, kind: Kind, pod: Manifest) -> None:
        """Take a pod from Pending to Running (or Succeeded), in its time."""
        metadata, spec = pod["metadata"], pod["spec"]
        if pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
            return
        if not spec.get("nodeName"):
            pod = self._api.patch(self._call(kind, pod), "merge", {"spec": {"nodeName": "sandbox"}})
        containers = spec.get("containers") or []
        broken = [container for container in containers if is_broken(container.get("image", ""))]
        if broken:
            self._set_status(kind, pod, self._waiting(pod, "ImagePullBackOff"))
            image = broken[0]["image"]
            record(
                self._api,
                pod,
                reason="Failed",
                message=f'Failed to pull image "{image}": not found (the sandbox takes this name for a broken image)',
                component="kubelet",
                warning=True,
            )
            return
        if is_ready(pod) and _same_images(pod):
            return
        begun = self._started.setdefault(metadata["uid"], _moment(pod) or datetime.now(UTC))
        left = self._rollout_seconds - (datetime.now(UTC) - begun).total_seconds()
        if left > 0:
            if pod.get("status", {}).get("startTime") is None:
                self._set_status(kind, pod, self._waiting(pod, "ContainerCreating"))
            self._later(left, ("pods", metadata["namespace"], metadata["name"]))
            return
        self._started.pop(metadata["uid"], None)
        self._set_status(kind, pod, self._finished(pod) if _of_job(pod) else self._running(pod))

    # ---------------------------------------------------------------------------------------------- status

    def _waiting(self, pod: Manifest, reason: str) -> Manifest:
        containers = [{**self._container(c), "state": {"waiting": {"reason": reason}}} for c in pod["spec"]["containers"]]
        return self._status(pod, "Pending", containers, ready=False, reason="ContainersNotReady")

    def _running(self, pod: Manifest) -> Manifest:
        now = self._api.now()
        containers = [
            {**self._container(c), "state": {"running": {"startedAt": now}}, "ready": True, "started": True}
            for c in pod["spec"]["containers"]
        ]
        return self._status(pod, "Running", containers, ready=True)

    def _finished(self, pod: Manifest) -> Manifest:
        now = self._api.now()
        ended = {"exitCode": 0, "reason": "Completed", "startedAt": now, "finishedAt": now}
        containers = [{**self._container(c), "state": {"terminated": ended}, "started": False} for c in pod["spec"]["containers"]]
        return self._status(pod, "Succeeded", containers, ready=False, reason="PodCompleted")

    def _container(self, container: Manifest) -> Manifest:
        image = container.get("image", "")
        return {"name": container["name"], "image": image, "imageID": "", "lastState": {}, "ready": False, "restartCount": 0}

    def _status(self, pod: Manifest, phase: str, containers: list[Manifest], *, ready: bool, reason: str = "") -> Manifest:
        before = pod.get("status", {})
        now = self._api.now()
        conditions = []
        for name, true in (
            ("PodReadyToStartContainers", True),
            ("Initialized", True),
            ("Ready", ready),
            ("ContainersReady", ready),
            ("PodScheduled", True),
        ):
            condition: Manifest = {"type": name, "status": "True" if true else "False", "lastTransitionTime": now}
            if not true and reason:
                condition["reason"] = reason
            old = next((c for c in before.get("conditions") or () if c["type"] == name), None)
            conditions.append(old if old and _alike(old, condition) else condition)
        status: Manifest = {
            "phase": phase,
            "qosClass": before.get("qosClass", "BestEffort"),
            "startTime": before.get("startTime") or now,
            "hostIP": "127.0.0.1",
            "hostIPs": [{"ip": "127.0.0.1"}],
            "observedGeneration": pod["metadata"].get("generation", 1),
            "conditions": conditions,
            "containerStatuses": containers,
        }
        if phase != "Pending":
            address = before.get("podIP") or _address(pod["metadata"]["uid"])
            status |= {"podIP": address, "podIPs": [{"ip": address}]}
        return status

    def _set_status(self, kind: Kind, pod: Manifest, status: Manifest) -> None:
        self._api.write_status(kind, pod, status, manager="kubelet")

    def _call(self, kind: Kind, pod: Manifest, subresource: str = "") -> Call:
        metadata = pod["metadata"]
        return Call(kind=kind, namespace=metadata["namespace"], name=metadata["name"], subresource=subresource, manager="kubelet")


def _alike(old: Manifest, new: Manifest) -> bool:
    return (old["status"], old.get("reason")) == (new["status"], new.get("reason"))


def _same_images(pod: Manifest) -> bool:
    shown = {s["name"]: s.get("image") for s in pod.get("status", {}).get("containerStatuses") or ()}
    return all(shown.get(c["name"]) == c.get("image") for c in pod["spec"].get("containers") or ())


def _of_job(pod: Manifest) -> bool:
    return any(r["kind"] == "Job" for r in pod["metadata"].get("ownerReferences") or ())


def _moment(pod: Manifest) -> datetime | None:
    """When the pod began to start, if it did before we did."""
    text = pod.get("status", {}).get("startTime")
    return datetime.fromisoformat(text.replace("Z", "+00:00")) if text else None


def _address(uid: str) -> str:
    number = int(hashlib.sha256(uid.encode()).hexdigest()[:4], 16)
    return f"10.244.{number >> 8}.{number & 255}"


def record(api: Api, about: Manifest, *, reason: str, message: str, component: str, warning: bool = False) -> None:
    """Write an Event about an object, or count it up; an Event that cannot be written is no reason to stop."""
    kind = api.registry.find("", "v1", "events")
    assert kind is not None
    metadata = about["metadata"]
    digest = hashlib.sha256(f"{metadata['uid']}{reason}{message}".encode()).hexdigest()[:16]
    name, namespace, now = f"{metadata['name']}.{digest}", metadata.get("namespace", "default"), api.now()
    if api.store.get("events", namespace, name) is not None:
        return
    event = {
        "metadata": {"name": name},
        "involvedObject": {
            "apiVersion": about["apiVersion"],
            "kind": about["kind"],
            "name": metadata["name"],
            "namespace": namespace,
            "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"],
        },
        "reason": reason,
        "message": message,
        "type": "Warning" if warning else "Normal",
        "source": {"component": component},
        "reportingComponent": component,
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
    try:
        api.create(Call(kind=kind, namespace=namespace, manager=component), event)
    except ApiError:
        return
