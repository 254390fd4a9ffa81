"""The health of one object, by kstatus' rules.

In: a live object with its status (or None when it is not there), and the time for the two rules that need it.
Out: `Health`. The rules are one table from (group, kind) to a function; an object that states the standard conditions
Reconciling or Stalled is believed before any rule of its kind.

Source: sigs.k8s.io/cli-utils kstatus, plus Flux's rule that a Job is current only when it has ended.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from penstock.model.condition import Condition, Conditions
from penstock.model.condition import of as conditions_of
from penstock.model.resource import Manifest, split_api_version

Status = Literal["Current", "InProgress", "Failed", "Terminating", "NotFound", "Unknown"]

SCHEDULE_WINDOW = timedelta(seconds=15)
"""How long a pod may wait for a node before that is a failure."""
_NO_DEADLINE = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What an object's own status says; `reason` is the one a Reconciling or Stalled condition would carry."""

    status: Status
    reason: str = ""
    message: str = ""

    @property
    def settled(self) -> bool:
        """Whether waiting longer would not change it."""
        return self.status in ("Current", "Failed")


NOT_FOUND = Health(status="NotFound", reason="NotFound", message="Resource not found")


def _current(message: str) -> Health:
    return Health(status="Current", message=message)


def _waiting(reason: str, message: str) -> Health:
    return Health(status="InProgress", reason=reason, message=message)


def _failed(reason: str, message: str) -> Health:
    return Health(status="Failed", reason=reason, message=message)


def health(manifest: Manifest | None, now: datetime) -> Health:
    """The health of an object as it stands in the cluster."""
    if manifest is None:
        return NOT_FOUND
    group, _ = split_api_version(str(manifest.get("apiVersion") or ""))
    conditions = conditions_of(manifest)
    if (found := _generic(manifest, conditions)) is not None:
        return found
    rule = RULES.get((group, str(manifest.get("kind") or "")))
    if rule is not None:
        return rule(manifest, conditions, now)
    return _custom(conditions)


def _generic(manifest: Manifest, conditions: Conditions) -> Health | None:
    metadata = _map(manifest, "metadata")
    if metadata.get("deletionTimestamp"):
        return Health(status="Terminating", reason="Terminating", message="Resource scheduled for deletion")
    generation = metadata.get("generation")
    observed = _map(manifest, "status").get("observedGeneration")
    if generation is not None and observed is not None and generation != observed:
        message = f"{manifest.get('kind')} generation is {generation}, but latest observed generation is {observed}"
        return _waiting("LatestGenerationNotObserved", message)
    for condition in conditions:
        if condition.type == "Reconciling" and condition.status == "True":
            return _waiting(condition.reason, condition.message)
        if condition.type == "Stalled" and condition.status == "True":
            return _failed(condition.reason, condition.message)
    return None


def _custom(conditions: Conditions) -> Health:
    """Any other kind: its Ready condition if it has one, else it is taken for current."""
    ready = conditions.get("Ready")
    if ready is not None and ready.status != "True":
        return _waiting(ready.reason, ready.message)
    return _current("Resource is current" if ready is None else "Resource is Ready")


def _always(manifest: Manifest, conditions: Conditions, now: datetime) -> Health:
    return _current("Resource is always ready")


def _deployment(manifest: Manifest, conditions: Conditions, now: datetime) -> Health:
    spec, status = _map(manifest, "spec"), _map(manifest, "status")
    progressing = _number(spec, "progressDeadlineSeconds", _NO_DEADLINE) == _NO_DEADLINE
    progress = conditions.get("Progressing")
    if progress is not None and progress.reason == "ProgressDeadlineExceeded":
        return _failed(progress.reason, "Progress deadline exceeded")
    if progress is not None and progress.status == "True" and progress.reason == "NewReplicaSetAvailable":
        progressing = True
    wanted = _number(spec, "replicas", 1)
    existing, updated = _number(status, "replicas"), _number(status, "updatedReplicas")
    ready, available = _number(status, "readyReplicas"), _number(status, "availableReplicas")
    if wanted > existing:
        return _waiting("LessReplicas", f"Replicas: {existing}/{wanted}")
    if wanted > updated:
        return _waiting("LessUpdated", f"Updated: {updated}/{wanted}")
    if existing > wanted:
        return _waiting("ExtraPods", f"Pending termination: {existing - wanted}")
    if updated > available:
        return _waiting("LessAvailable", f"Available: {available}/{updated}")
    if wanted > ready:
        return _waiting("LessReady", f"Ready: {ready}/{wanted}")
    if not progressing:
        return _waiting("ReplicaSetNotAvailable", "ReplicaSet not Available")
    if not conditions.is_true("Available"):
        return _waiting("DeploymentNotAvailable", "Deployment not Available")
    return _current(f"Deployment is available. Replicas: {existing}")


def _stateful_set(manifest: Manifest, conditions: Conditions, now: datetime) -> Health:
    spec, status = _map(manifest, "spec"), _map(manifest, "status")
    strategy = _map(spec, "updateStrategy")
    if strategy.get("type") == "OnDelete":
        return _current("StatefulSet is using the ondelete update strategy")
    wanted = _number(spec, "replicas", 1)
    existing, ready = _number(status, "replicas"), _number(status, "readyReplicas")
    current, updated = _number(status, "currentReplicas"), _number(status, "updatedReplicas")
    if wanted > existing:
        return _waiting("LessReplicas", f"Replicas: {existing}/{wanted}")
    if wanted > ready:
        return _waiting("LessReady", f"Ready: {ready}/{wanted}")
    if existing > wanted:
        return _waiting("ExtraPods", f"Pending termination: {existing - wanted}")
    partition = _number(_map(strategy, "rollingUpdate"), "partition", -1)
    if partition != -1:
        if updated < wanted - partition:
            return _waiting("PartitionRollout", f"updated: {updated}/{wanted - partition}")
        return _current(f"Partition rollout complete. updated: {updated}")
    if wanted > current:
        return _waiting("LessCurrent", f"current: {current}/{wanted}")
    if str(status.get("currentRevision") or "") != str(status.get("updateRevision") or ""):
        return _waiting("RevisionMismatch", "Waiting for updated revision to match current")
    return _current(f"All replicas scheduled as expected. Replicas: {existing}")


def _replica_set(manifest: Manifest, conditions: Conditions, now: datetime) -> Health:
    status = _map(manifest, "status")
    if conditions.is_true("ReplicaFailure"):
        return _waiting("ReplicaFailure", "Replica Failure condition. Check Pods")
    wanted = _number(_map(manifest, "spec"), "replicas", 1)
    labelled, available = _number(status, "fullyLabeledReplicas"), _number(status, "availableReplicas")
    ready, existing = _number(status, "readyReplicas"), _number(status, "replicas")
    if wanted > labelled:
        return _waiting("LessLabelled", f"Labelled: {labelled}/{wanted}")
    if wanted > available:
        return _waiting("LessAvailable", f"Available: {available}/{wanted}")
    if wanted > ready:
        return _waiting("LessReady", f"Ready: {ready}/{wanted}")
    if existing > wanted:
        return _waiting("ExtraPods", f"Pending termination: {existing - wanted}")
    return _current(f"ReplicaSet is available. Replicas: {existing}")


def _daemon_set(manifest: Manifest, conditions: Conditions, now: datetime) -> Health:
    status = _map(manifest, "status")
    if _map(manifest, "metadata").get("generation") is None:
        return _waiting("NoGeneration", "DaemonSet metadata.generation not found")
    if status.get("observedGeneration") is None:
        return _waiting("NoObservedGeneration", "DaemonSet status.observedGeneration not found")
    wanted = _number(status, "desiredNumberScheduled", -1)
    if wanted == -1:
        return _waiting("NoDesiredNumber", "Missing .status.desiredNumberScheduled")
    for key, reason, word in (
        ("currentNumberScheduled", "LessCurrent", "Current"),
        ("updatedNumberScheduled", "LessUpdated", "Updated"),
        ("numberAvailable", "LessAvailable", "Available"),
        ("numberReady", "LessReady", "Ready"),
    ):
        found = _number(status, key)
        if wanted > found:
            return _waiting(reason, f"{word}: {found}/{wanted}")
    return _current(f"All replicas scheduled as expected. Replicas: {wanted}")


def _claim(manifest: Manifest, conditions: Conditions, now: datetime) -> Health:
    phase = _map(manifest, "status").get("phase") or "unknown"
    if phase != "Bound":
        return _waiting("NotBound", f"PVC is not Bound. phase: {phase}")
    return _current("PVC is Bound")


def _pod(manifest: Manifest, conditions: Conditions, now: datetime) -> Health:
    status = _map(manifest, "status")
    phase = status.get("phase")
    if phase == "Succeeded":
        return _current("Pod has completed successfully")
    if phase == "Failed":
        # ended is settled: whoever made the pod says whether that is a failure
        return _current("Pod has completed, but not successfully")
    if phase == "Running":
        if conditions.is_true("Ready"):
            return _current("Pod is Ready")
        if looping := _crash_looping(status):
            return _failed("ContainerCrashLooping", f"Containers in CrashLoop state: {','.join(looping)}")
        return _waiting("PodRunningNotReady", "Pod is running but is not Ready")
    if phase == "Pending":
        return _pending_pod(manifest, conditions.get("PodScheduled"), now)
    if not phase:
        return _waiting("PodNotObserved", "Pod phase not available")
    return Health(status="Unknown", reason="UnknownPhase", message="Pod phase is unknown")


def _pending_pod(manifest: Manifest, scheduled: Condition | None, now: datetime) -> Health:
    if scheduled is None or scheduled.status != "False" or scheduled.reason != "Unschedulable":
        return _waiting("PodPending", "Pod is in the Pending phase")
    created = _moment(_map(manifest, "metadata").get("creationTimestamp"))
    if created is not None and now - created < SCHEDULE_WINDOW:
        return _waiting("PodNotScheduled", "Pod has not been scheduled")
    return _failed("PodUnschedulable", "Pod could not be scheduled")


def _crash_looping(status: Mapping[str, Any]) -> list[str]:
    return [
        str(each.get("name"))
        for each in status.get("containerStatuses") or ()
        if _map(_map(each, "state"), "waiting").get("reason") == "CrashLoopBackOff"
    ]


def _disruption_budget(manifest: Manifest, conditions: Conditions, now: datetime) -> Health:
    # its controller observed this generation, or the generic rule would have answered
    return _current("AllowedDisruptions has been computed.")


def _job(manifest: Manifest, conditions: Conditions, now: datetime) -> Health:
    spec, status = _map(manifest, "spec"), _map(manifest, "status")
    completions = _number(spec, "completions", _number(spec, "parallelism", 1))
    succeeded, failed = _number(status, "succeeded"), _number(status, "failed")
    for condition in conditions:
        if condition.status != "True":
            continue
        if condition.type == "Complete":
            return _current(f"Job Completed. succeeded: {succeeded}/{completions}")
        if condition.type == "Failed":
            return _failed("JobFailed", f"Job Failed. failed: {failed}/{completions}")
        if condition.type == "Suspended":
            return _current("Job is suspended")
    if not status.get("startTime"):
        return _waiting("JobNotStarted", "Job not started")
    active = _number(status, "active")
    # kstatus calls a running Job current; Flux waits for its end, and so do we
    return _waiting("JobInProgress", f"Job in progress. success:{succeeded}, active: {active}, failed: {failed}")


def _service(manifest: Manifest, conditions: Conditions, now: datetime) -> Health:
    spec = _map(manifest, "spec")
    if spec.get("type") == "LoadBalancer" and not spec.get("clusterIP"):
        return _waiting("NoIPAssigned", "ClusterIP not set. Service type: LoadBalancer")
    return _current("Service is ready")


def _crd(manifest: Manifest, conditions: Conditions, now: datetime) -> Health:
    for condition in conditions:
        if condition.type == "NamesAccepted" and condition.status == "False":
            return _failed(condition.reason, condition.message)
        if condition.type == "Established":
            if condition.status == "False" and condition.reason != "Installing":
                return _failed(condition.reason, condition.message)
            if condition.status == "True":
                return _current("CRD is established")
    return _waiting("Installing", "Install in progress")


Rule = Callable[[Manifest, Conditions, datetime], Health]

RULES: Mapping[tuple[str, str], Rule] = {
    ("", "Service"): _service,
    ("", "Pod"): _pod,
    ("", "Secret"): _always,
    ("", "ConfigMap"): _always,
    ("", "PersistentVolumeClaim"): _claim,
    ("apps", "Deployment"): _deployment,
    ("apps", "StatefulSet"): _stateful_set,
    ("apps", "DaemonSet"): _daemon_set,
    ("apps", "ReplicaSet"): _replica_set,
    ("extensions", "Deployment"): _deployment,
    ("extensions", "DaemonSet"): _daemon_set,
    ("extensions", "ReplicaSet"): _replica_set,
    ("policy", "PodDisruptionBudget"): _disruption_budget,
    ("batch", "CronJob"): _always,
    ("batch", "Job"): _job,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _crd,
}
"""Kinds with a rule of their own."""


def _map(value: object, key: str) -> Mapping[str, Any]:
    found = value.get(key) if isinstance(value, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _number(value: Mapping[str, Any], key: str, default: int = 0) -> int:
    found = value.get(key)
    return found if isinstance(found, int) and not isinstance(found, bool) else default


def _moment(text: object) -> datetime | None:
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
