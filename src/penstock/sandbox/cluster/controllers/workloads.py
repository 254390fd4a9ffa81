"""Workloads that seem to run: Deployments become ReplicaSets become Pods, and Pods become ready after a moment.

In: due keys. Out: objects and status, written as kube-controller-manager and kubelet would. Nothing is pulled or started.
An image that says it is broken (registry `broken.example`, or tag `broken` or `missing`) never becomes ready and says
ImagePullBackOff, so that a failing rollout can be shown. CronJob schedules do not fire.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from penstock.sandbox.cluster.api import Api, Call
from penstock.sandbox.cluster.controllers import pods
from penstock.sandbox.cluster.kinds import Kind
from penstock.sandbox.cluster.store import Change, Manifest

Key = tuple[str, str, str]
MANAGER = "kube-controller-manager"
REVISION = "deployment.kubernetes.io/revision"
HASH = "pod-template-hash"
Owned = Callable[[str, Manifest], list[Manifest]]
"""Objects of a resource that an object controls."""


class Workloads:
    """The workload controllers of one cluster."""

    def __init__(self, api: Api, *, rollout_seconds: float, owned: Owned, later: Callable[[float, Key], None]) -> None:
        self._api = api
        self._later = later
        self._owned = owned
        self._pods = pods.Pods(api, rollout_seconds=rollout_seconds, later=later)
        self._rules: Mapping[str, Callable[[Kind, Manifest], None]] = {
            "deployments.apps": self._deployment,
            "replicasets.apps": self._replica_set,
            "statefulsets.apps": self._stateful_set,
            "daemonsets.apps": self._daemon_set,
            "jobs.batch": self._job,
            "pods": self._pods.reconcile,
            "persistentvolumeclaims": self._claim,
            "poddisruptionbudgets.policy": self._budget,
        }

    def concerned(self, change: Change) -> Iterator[Key]:
        """A changed pod concerns the disruption budgets of its namespace; owners are the garbage collector's index."""
        if change.resource == "pods":
            for budget in self._api.store.objects("poddisruptionbudgets.policy", change.namespace):
                yield "poddisruptionbudgets.policy", change.namespace, budget["metadata"]["name"]

    def reconcile(self, resource: str, namespace: str, name: str) -> None:
        """Take one object a step towards what its specification says."""
        rule = self._rules.get(resource)
        live = self._api.store.get(resource, namespace, name) if rule else None
        if rule is None or live is None or live["metadata"].get("deletionTimestamp"):
            return
        kind = self._api.registry.by_key(resource)
        assert kind is not None
        rule(kind, live)

    # ---------------------------------------------------------------------------------------------- Deployments

    def _deployment(self, kind: Kind, live: Manifest) -> None:
        spec, metadata = live["spec"], live["metadata"]
        digest = template_hash(spec["template"])
        owned = self._owned("replicasets.apps", live)
        current = next((rs for rs in owned if rs["metadata"].get("labels", {}).get(HASH) == digest), None)
        if current is None and not spec.get("paused"):
            revision = 1 + max((int(rs["metadata"].get("annotations", {}).get(REVISION, 0)) for rs in owned), default=0)
            current = self._create_replica_set(live, digest, revision)
            owned = self._owned("replicasets.apps", live)
        older = [rs for rs in owned if current is None or rs["metadata"]["uid"] != current["metadata"]["uid"]]
        if current is not None:
            current = self._scale(current, spec["replicas"])
            self._number(kind, live, current, older)
            if _ready(current) >= spec["replicas"] and _observed(current):
                # The new pods are there: only now the old ones go.
                older = [self._scale(rs, 0) for rs in older]
        self._trim(older, spec.get("revisionHistoryLimit", 10))
        self._set_status(kind, self._fresh(kind, live), self._deployment_status(metadata, spec, current, older, live))

    def _create_replica_set(self, live: Manifest, digest: str, revision: int) -> Manifest:
        kind, metadata, spec = self._kind("replicasets.apps"), live["metadata"], live["spec"]
        template = _with_labels(spec["template"], {HASH: digest})
        selector = msgspec.json.decode(msgspec.json.encode(spec["selector"]))
        selector.setdefault("matchLabels", {})[HASH] = digest
        name = f"{metadata['name']}-{digest}"
        manifest = {
            "metadata": {
                "name": name,
                "labels": template["metadata"]["labels"],
                "annotations": {REVISION: str(revision)},
                "ownerReferences": [owner_reference("apps/v1", "Deployment", metadata)],
            },
            "spec": {"replicas": spec["replicas"], "selector": selector, "template": template},
        }
        self._event(live, "ScalingReplicaSet", f"Scaled up replica set {name} from 0 to {spec['replicas']}")
        return self._api.create(Call(kind=kind, namespace=metadata["namespace"], manager=MANAGER), manifest)

    def _scale(self, replica_set: Manifest, replicas: int) -> Manifest:
        if replica_set["spec"]["replicas"] == replicas:
            return replica_set
        return self._api.patch(self._call(self._kind("replicasets.apps"), replica_set), "merge", {"spec": {"replicas": replicas}})

    def _number(self, kind: Kind, live: Manifest, current: Manifest, older: list[Manifest]) -> None:
        """Revision annotations, as `kubectl rollout history` reads them; a rollback makes the old set the newest."""
        newest = max((int(rs["metadata"].get("annotations", {}).get(REVISION, 0)) for rs in older), default=0)
        mine = int(current["metadata"].get("annotations", {}).get(REVISION, 0))
        if mine <= newest:
            mine = newest + 1
            change = {"metadata": {"annotations": {REVISION: str(mine)}}}
            self._api.patch(self._call(self._kind("replicasets.apps"), current), "merge", change)
        if live["metadata"].get("annotations", {}).get(REVISION) != str(mine):
            # Through the status door, as the real controller does: it is no change of the specification.
            change = {"metadata": {"annotations": {REVISION: str(mine)}}}
            self._api.patch(self._call(kind, live, "status"), "merge", change)

    def _trim(self, older: list[Manifest], limit: int) -> None:
        idle = [rs for rs in older if rs["spec"]["replicas"] == 0 and not rs.get("status", {}).get("replicas")]
        idle.sort(key=lambda rs: int(rs["metadata"].get("annotations", {}).get(REVISION, 0)))
        for replica_set in idle[: max(0, len(idle) - limit)]:
            self._api.delete(self._call(self._kind("replicasets.apps"), replica_set), {})

    def _deployment_status(
        self, metadata: Manifest, spec: Manifest, current: Manifest | None, older: list[Manifest], live: Manifest
    ) -> Manifest:
        sets = [rs for rs in (current, *older) if rs is not None]
        total = sum(rs.get("status", {}).get("replicas", 0) for rs in sets)
        ready = sum(_ready(rs) for rs in sets)
        updated = current.get("status", {}).get("replicas", 0) if current else 0
        wanted = spec["replicas"]
        before = live.get("status", {})
        status: Manifest = {"observedGeneration": metadata["generation"]}
        for name, number in (
            ("replicas", total),
            ("updatedReplicas", updated),
            ("readyReplicas", ready),
            ("availableReplicas", ready),
            ("unavailableReplicas", max(0, wanted - ready)),
        ):
            if number:
                status[name] = number
        done = bool(current) and updated == wanted == total and _ready(current or {}) == wanted
        name = current["metadata"]["name"] if current else ""
        progressing = self._progress(metadata, spec, before, name, done=done)
        available = ready >= max(0, wanted - _quarter(wanted, spec))
        status["conditions"] = [
            self._condition(before, "Progressing", *progressing),
            self._condition(
                before,
                "Available",
                available,
                "MinimumReplicasAvailable" if available else "MinimumReplicasUnavailable",
                f"Deployment {'has' if available else 'does not have'} minimum availability.",
            ),
        ]
        return status

    def _progress(self, metadata: Manifest, spec: Manifest, before: Manifest, name: str, *, done: bool) -> tuple[bool, str, str]:
        if done:
            return True, "NewReplicaSetAvailable", f'ReplicaSet "{name}" has successfully progressed.'
        limit = spec.get("progressDeadlineSeconds", 600)
        last = next((c for c in before.get("conditions") or () if c["type"] == "Progressing"), None)
        same_rollout = last is not None and before.get("observedGeneration") == metadata["generation"]
        waited = 0.0
        if last and same_rollout and last["reason"] != "NewReplicaSetAvailable":
            # What has timed out stays so until it is done after all.
            waited = limit if last["reason"] == "ProgressDeadlineExceeded" else _seconds_since(last["lastUpdateTime"])
        if waited >= limit:
            return False, "ProgressDeadlineExceeded", f'ReplicaSet "{name}" has timed out progressing.'
        self._later(limit - waited + 0.1, ("deployments.apps", metadata["namespace"], metadata["name"]))
        return True, "ReplicaSetUpdated", f'ReplicaSet "{name}" is progressing.'

    def _condition(self, before: Manifest, kind: str, true: bool, reason: str, message: str) -> Manifest:
        old: Manifest = next((c for c in before.get("conditions") or () if c["type"] == kind), {})
        new = {"type": kind, "status": "True" if true else "False", "reason": reason, "message": message}
        if all(old.get(key) == value for key, value in new.items()):
            return old
        now = self._api.now()
        kept = old.get("lastTransitionTime") if old.get("status") == new["status"] else None
        return {**new, "lastUpdateTime": now, "lastTransitionTime": kept or now}

    # ---------------------------------------------------------------------------------------------- ReplicaSets

    def _replica_set(self, kind: Kind, live: Manifest) -> None:
        owned = [pod for pod in self._owned("pods", live) if not pod["metadata"].get("deletionTimestamp")]
        wanted = live["spec"].get("replicas", 1)
        missing = range(wanted - len(owned))
        owned += [self._create_pod(live, "apps/v1", "ReplicaSet", live["spec"]["template"]) for _ in missing]
        # The newest and the unready go first.
        owned.sort(key=lambda pod: (not pods.is_ready(pod), pod["metadata"]["creationTimestamp"]))
        for pod in owned[wanted:] if wanted < len(owned) else ():
            self._api.delete(self._call(self._kind("pods"), pod), {})
        owned = owned[:wanted]
        ready = sum(pods.is_ready(pod) for pod in owned)
        status: Manifest = {"replicas": len(owned), "observedGeneration": live["metadata"]["generation"]}
        for name, number in (("fullyLabeledReplicas", len(owned)), ("readyReplicas", ready), ("availableReplicas", ready)):
            if number:
                status[name] = number
        self._set_status(kind, live, status)

    def _create_pod(
        self, owner: Manifest, api_version: str, kind: str, template: Manifest, *, name: str = "", labels: Mapping[str, str] = {}
    ) -> Manifest:
        metadata = {
            **_with_labels(template, labels)["metadata"],
            "ownerReferences": [owner_reference(api_version, kind, owner["metadata"])],
        }
        if name:
            metadata["name"] = name
        else:
            metadata["generateName"] = f"{owner['metadata']['name']}-"
        call = Call(kind=self._kind("pods"), namespace=owner["metadata"]["namespace"], manager=MANAGER)
        # The scheduler's part is done at once: there is one node.
        return self._api.create(call, {"metadata": metadata, "spec": {"nodeName": "sandbox", **template.get("spec", {})}})

    # ---------------------------------------------------------------------------------------------- StatefulSets

    def _stateful_set(self, kind: Kind, live: Manifest) -> None:
        spec, metadata = live["spec"], live["metadata"]
        revision = f"{metadata['name']}-{template_hash(spec['template'])}"
        found = {pod["metadata"]["name"]: pod for pod in self._owned("pods", live)}
        wanted = [f"{metadata['name']}-{index}" for index in range(spec["replicas"])]
        ordered = spec.get("podManagementPolicy") != "Parallel"
        for name in sorted(found.keys() - set(wanted)):
            self._api.delete(self._call(self._kind("pods"), found.pop(name)), {})
        for name in wanted:
            if name not in found:
                self._claims(live, name)
                labels = {"controller-revision-hash": revision, "statefulset.kubernetes.io/pod-name": name}
                template = spec["template"]
                found[name] = self._create_pod(live, "apps/v1", "StatefulSet", template, name=name, labels=labels)
            if ordered and not pods.is_ready(found[name]):
                break
        else:
            self._roll(live, found, wanted, revision)
        self._set_status(kind, live, self._stateful_status(live, list(found.values()), revision))

    def _claims(self, live: Manifest, pod: str) -> None:
        for template in live["spec"].get("volumeClaimTemplates") or ():
            name, namespace = f"{template['metadata']['name']}-{pod}", live["metadata"]["namespace"]
            if self._api.store.get("persistentvolumeclaims", namespace, name) is None:
                call = Call(kind=self._kind("persistentvolumeclaims"), namespace=namespace, manager=MANAGER)
                labels = live["spec"]["selector"].get("matchLabels") or {}
                self._api.create(call, {"metadata": {"name": name, "labels": labels}, "spec": template["spec"]})

    def _roll(self, live: Manifest, found: Mapping[str, Manifest], wanted: list[str], revision: str) -> None:
        """Replace one pod of an older template, the highest ordinal first."""
        strategy = live["spec"].get("updateStrategy") or {}
        if strategy.get("type") == "OnDelete":
            return
        partition = (strategy.get("rollingUpdate") or {}).get("partition", 0)
        for name in reversed(wanted[partition:]):
            if found[name]["metadata"].get("labels", {}).get("controller-revision-hash") != revision:
                self._api.delete(self._call(self._kind("pods"), found[name]), {})
                return

    def _stateful_status(self, live: Manifest, owned: list[Manifest], revision: str) -> Manifest:
        ready = sum(pods.is_ready(pod) for pod in owned)
        current = live.get("status", {}).get("currentRevision") or revision
        updated = sum(pod["metadata"].get("labels", {}).get("controller-revision-hash") == revision for pod in owned)
        if updated == len(owned) == live["spec"]["replicas"] == ready:
            current = revision
        status: Manifest = {
            "observedGeneration": live["metadata"]["generation"],
            "replicas": len(owned),
            "availableReplicas": ready,
            "currentRevision": current,
            "updateRevision": revision,
            "collisionCount": 0,
        }
        for name, number in (
            ("readyReplicas", ready),
            ("updatedReplicas", updated),
            ("currentReplicas", len(owned) if current == revision else len(owned) - updated),
        ):
            if number:
                status[name] = number
        return status

    # ---------------------------------------------------------------------------------------------- DaemonSets

    def _daemon_set(self, kind: Kind, live: Manifest) -> None:
        digest = template_hash(live["spec"]["template"])
        owned = self._owned("pods", live)
        old: list[Manifest] = [
            pod for pod in owned if pod["metadata"].get("labels", {}).get("controller-revision-hash") != digest
        ]
        on_delete = live["spec"].get("updateStrategy", {}).get("type") == "OnDelete"
        for pod in [] if on_delete else old:
            self._api.delete(self._call(self._kind("pods"), pod), {})
            owned.remove(pod)
        nodes = len(self._api.store.objects("nodes"))
        for _ in range(nodes - len(owned)):
            labels = {"controller-revision-hash": digest}
            owned.append(self._create_pod(live, "apps/v1", "DaemonSet", live["spec"]["template"], labels=labels))
        ready = sum(pods.is_ready(pod) for pod in owned)
        status: Manifest = {
            "observedGeneration": live["metadata"]["generation"],
            "currentNumberScheduled": len(owned),
            "desiredNumberScheduled": nodes,
            "numberMisscheduled": 0,
            "numberReady": ready,
        }
        updated = len(owned) - (len(old) if on_delete else 0)
        for name, number in (
            ("updatedNumberScheduled", updated),
            ("numberAvailable", ready),
            ("numberUnavailable", nodes - ready),
        ):
            if number:
                status[name] = number
        self._set_status(kind, live, status)

    # ---------------------------------------------------------------------------------------------- Jobs

    def _job(self, kind: Kind, live: Manifest) -> None:
        spec, before = live["spec"], live.get("status", {})
        if any(c["type"] in ("Complete", "Failed") and c["status"] == "True" for c in before.get("conditions") or ()):
            return
        now = self._api.now()
        if spec.get("suspend"):
            condition = _job_condition("Suspended", "JobSuspended", "Job suspended", now)
            if not any(c["type"] == "Suspended" for c in before.get("conditions") or ()):
                self._set_status(kind, live, {"conditions": [condition]})
            return
        owned = self._owned("pods", live)
        succeeded = [pod for pod in owned if pod.get("status", {}).get("phase") == "Succeeded"]
        wanted = spec.get("completions") or spec.get("parallelism", 1)
        missing = min(spec.get("parallelism", 1) - (len(owned) - len(succeeded)), wanted - len(owned))
        for _ in range(missing):
            owned.append(self._create_pod(live, "batch/v1", "Job", spec["template"]))
        active = len(owned) - len(succeeded)
        status: Manifest = {"startTime": before.get("startTime") or now, "uncountedTerminatedPods": {}, "ready": 0}
        if active:
            status["active"] = active
        if succeeded:
            status["succeeded"] = len(succeeded)
        if len(succeeded) >= wanted:
            message = "Reached expected number of succeeded pods"
            status["completionTime"] = now
            status["conditions"] = [
                _job_condition("SuccessCriteriaMet", "CompletionsReached", message, now),
                _job_condition("Complete", "CompletionsReached", message, now),
            ]
        self._set_status(kind, live, status)

    # ---------------------------------------------------------------------------------------------- others

    def _claim(self, kind: Kind, live: Manifest) -> None:
        """A claim is bound at once; there is no volume behind it."""
        if live.get("status", {}).get("phase") == "Bound":
            return
        if not live["spec"].get("volumeName"):
            change = {"spec": {"volumeName": f"pvc-{live['metadata']['uid']}"}}
            live = self._api.patch(self._call(kind, live), "merge", change)
        capacity = (live["spec"].get("resources") or {}).get("requests") or {}
        modes = live["spec"].get("accessModes") or []
        self._set_status(kind, live, {"phase": "Bound", "accessModes": modes, "capacity": capacity})

    def _budget(self, kind: Kind, live: Manifest) -> None:
        from penstock.sandbox.cluster import selectors

        matches = selectors.label_query(live["spec"].get("selector"))
        found = [pod for pod in self._api.store.objects("pods", live["metadata"]["namespace"]) if matches(pod)]
        healthy = sum(pods.is_ready(pod) for pod in found)
        minimum, maximum = live["spec"].get("minAvailable"), live["spec"].get("maxUnavailable")
        desired = _share(minimum, len(found)) if minimum is not None else len(found) - _share(maximum, len(found))
        allowed = max(0, healthy - desired)
        status = {
            "observedGeneration": live["metadata"]["generation"],
            "currentHealthy": healthy,
            "desiredHealthy": desired,
            "disruptionsAllowed": allowed,
            "expectedPods": len(found),
        }
        self._set_status(kind, live, status)

    # ---------------------------------------------------------------------------------------------- writing

    def _kind(self, resource: str) -> Kind:
        kind = self._api.registry.by_key(resource)
        assert kind is not None
        return kind

    def _call(self, kind: Kind, manifest: Manifest, subresource: str = "") -> Call:
        metadata = manifest["metadata"]
        return Call(
            kind=kind,
            namespace=metadata.get("namespace", ""),
            name=metadata["name"],
            subresource=subresource,
            manager=MANAGER,
        )

    def _fresh(self, kind: Kind, live: Manifest) -> Manifest:
        return self._api.get(self._call(kind, live))

    def _set_status(self, kind: Kind, live: Manifest, status: Manifest) -> None:
        self._api.write_status(kind, live, status, manager=MANAGER)

    def _event(self, about: Manifest, reason: str, message: str) -> None:
        pods.record(self._api, about, reason=reason, message=message, component="deployment-controller")


# ------------------------------------------------------------------------------------------------- small facts


def template_hash(template: Mapping[str, Any]) -> str:
    """Ten characters that name a pod template; the same template gives the same name."""
    digest = hashlib.sha256(msgspec.json.encode(template, order="deterministic")).hexdigest()
    return digest[:10]


def owner_reference(api_version: str, kind: str, metadata: Manifest) -> Manifest:
    return {
        "apiVersion": api_version,
        "kind": kind,
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def _with_labels(template: Mapping[str, Any], labels: Mapping[str, str]) -> Manifest:
    metadata = dict(template.get("metadata") or {})
    metadata["labels"] = {**(metadata.get("labels") or {}), **labels}
    return {**template, "metadata": metadata}


def _ready(replica_set: Mapping[str, Any]) -> int:
    ready: int = replica_set.get("status", {}).get("readyReplicas", 0)
    return ready


def _observed(replica_set: Manifest) -> bool:
    return bool(replica_set.get("status", {}).get("observedGeneration") == replica_set["metadata"]["generation"])


def _quarter(wanted: int, spec: Manifest) -> int:
    """How many pods of a Deployment may be missing while it still counts as available."""
    allowed = (spec.get("strategy", {}).get("rollingUpdate") or {}).get("maxUnavailable", 0)
    if isinstance(allowed, str):
        percent = allowed.rstrip("%")
        return wanted * int(percent) // 100 if percent.isdecimal() else 0
    return int(allowed)


def _share(value: Any, total: int) -> int:
    if isinstance(value, str):
        percent = value.rstrip("%")
        return -(-total * int(percent) // 100) if percent.isdecimal() else 0
    return int(value or 0)


def _seconds_since(text: str) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(text.replace("Z", "+00:00"))).total_seconds()


def _job_condition(kind: str, reason: str, message: str, now: str) -> Manifest:
    return {
        "type": kind,
        "status": "True",
        "reason": reason,
        "message": message,
        "lastProbeTime": now,
        "lastTransitionTime": now,
    }
