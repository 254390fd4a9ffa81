"""The health of one object: kstatus' own cases as a table, and what is ours beside them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from penstock.observe import kstatus

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LONG_AGO = "2026-03-01T11:00:00Z"
JUST_NOW = "2026-03-01T11:59:55Z"

POD, CLAIM, STS, DS, DEP, RS = (
    "v1/Pod",
    "v1/PersistentVolumeClaim",
    *(f"apps/v1/{kind}" for kind in ("StatefulSet", "DaemonSet", "Deployment", "ReplicaSet")),
)
PDB, CR, JOB, CRON, SVC = "policy/v1/PodDisruptionBudget", "something/v1/MyCR", "batch/v1/Job", "batch/v1/CronJob", "v1/Service"
CRD = "apiextensions.k8s.io/v1/CustomResourceDefinition"
GONE: dict[str, Any] = {}


def conditions(**found: str) -> list[dict[str, str]]:
    """Ready='False/Reason' to a list of conditions."""
    return [{"type": name, "status": text.partition("/")[0], "reason": text.partition("/")[2]} for name, text in found.items()]


def counts(**found: int) -> dict[str, Any]:
    return {"observedGeneration": 1, **found}


OK_DEP = counts(replicas=1, updatedReplicas=1, readyReplicas=1, availableReplicas=1)
UNSCHEDULED = conditions(PodScheduled="False/Unschedulable")
CRASHING = [{"name": "app", "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]
OK_DS = counts(desiredNumberScheduled=4, currentNumberScheduled=4, updatedNumberScheduled=4, numberAvailable=4, numberReady=4)
OK_RS = counts(replicas=2, readyReplicas=2, availableReplicas=2, fullyLabeledReplicas=2)
RS4 = counts(replicas=4, readyReplicas=4, availableReplicas=4, fullyLabeledReplicas=4)

# kind, spec, status, metadata, health, reason
CASES: list[tuple[str, str, dict[str, Any], dict[str, Any], dict[str, Any], str, str]] = [
    ("a pod nobody saw", POD, {}, {}, {}, "InProgress", "PodNotObserved"),
    ("a ready pod", POD, {}, {"phase": "Running", "conditions": conditions(Ready="True/")}, {}, "Current", ""),
    (
        "a pod that ended well",
        POD,
        {},
        {"phase": "Succeeded", "conditions": conditions(Ready="False/PodCompleted")},
        {},
        "Current",
        "",
    ),
    (
        "a pod that ended badly",
        POD,
        {},
        {"phase": "Failed", "conditions": conditions(Ready="False/PodCompleted")},
        {},
        "Current",
        "",
    ),
    (
        "a pod being scheduled",
        POD,
        {},
        {"phase": "Pending", "conditions": UNSCHEDULED},
        {"creationTimestamp": JUST_NOW},
        "InProgress",
        "PodNotScheduled",
    ),
    (
        "a pod no node takes",
        POD,
        {},
        {"phase": "Pending", "conditions": UNSCHEDULED},
        {"creationTimestamp": LONG_AGO},
        "Failed",
        "PodUnschedulable",
    ),
    (
        "a pod no node takes, of unknown age",
        POD,
        {},
        {"phase": "Pending", "conditions": UNSCHEDULED},
        {},
        "Failed",
        "PodUnschedulable",
    ),
    (
        "a pending pod",
        POD,
        {},
        {"phase": "Pending", "conditions": conditions(PodScheduled="False/Unknown")},
        {},
        "InProgress",
        "PodPending",
    ),
    (
        "a crash loop",
        POD,
        {},
        {"phase": "Running", "conditions": UNSCHEDULED, "containerStatuses": CRASHING},
        {},
        "Failed",
        "ContainerCrashLooping",
    ),
    ("a running pod that is not ready", POD, {}, {"phase": "Running"}, {}, "InProgress", "PodRunningNotReady"),
    ("a phase nobody knows", POD, {}, {"phase": "Floating"}, {}, "Unknown", "UnknownPhase"),
    ("a claim nobody saw", CLAIM, {}, {}, {}, "InProgress", "NotBound"),
    ("a bound claim", CLAIM, {}, {"phase": "Bound"}, {}, "Current", ""),
    ("a stateful set nobody saw", STS, {}, {}, {}, "InProgress", "LessReplicas"),
    ("a stateful set with a bad status", STS, {}, counts(currentReplicas=1), {}, "InProgress", "LessReplicas"),
    ("a stateful set", STS, {"replicas": 4}, counts(currentReplicas=4, readyReplicas=4, replicas=4), {}, "Current", ""),
    (
        "too few ready",
        STS,
        {"replicas": 4},
        counts(currentReplicas=4, readyReplicas=2, replicas=4),
        {},
        "InProgress",
        "LessReady",
    ),
    (
        "too few current",
        STS,
        {"replicas": 4},
        counts(currentReplicas=2, readyReplicas=4, replicas=4),
        {},
        "InProgress",
        "LessCurrent",
    ),
    (
        "too many pods",
        STS,
        {"replicas": 4},
        counts(currentReplicas=4, readyReplicas=4, replicas=8),
        {},
        "InProgress",
        "ExtraPods",
    ),
    ("a stateful set rolled by hand", STS, {"replicas": 4, "updateStrategy": {"type": "OnDelete"}}, {}, {}, "Current", ""),
    (
        "a partition under way",
        STS,
        {"replicas": 4, "updateStrategy": {"rollingUpdate": {"partition": 2}}},
        counts(replicas=4, readyReplicas=4, updatedReplicas=1),
        {},
        "InProgress",
        "PartitionRollout",
    ),
    (
        "a partition done",
        STS,
        {"replicas": 4, "updateStrategy": {"rollingUpdate": {"partition": 2}}},
        counts(replicas=4, readyReplicas=4, updatedReplicas=2),
        {},
        "Current",
        "",
    ),
    (
        "two revisions",
        STS,
        {"replicas": 1},
        counts(replicas=1, readyReplicas=1, currentReplicas=1) | {"currentRevision": "a", "updateRevision": "b"},
        {},
        "InProgress",
        "RevisionMismatch",
    ),
    ("a daemon set nobody saw", DS, {}, {}, {}, "InProgress", "NoObservedGeneration"),
    ("a daemon set with a bad status", DS, {}, counts(currentReplicas=1), {}, "InProgress", "NoDesiredNumber"),
    ("a daemon set", DS, {}, OK_DS, {}, "Current", ""),
    ("a daemon set of another generation", DS, {}, OK_DS, {"generation": 2}, "InProgress", "LatestGenerationNotObserved"),
    ("too few daemons ready", DS, {}, OK_DS | {"numberReady": 2}, {}, "InProgress", "LessReady"),
    ("too few daemons available", DS, {}, OK_DS | {"numberAvailable": 2}, {}, "InProgress", "LessAvailable"),
    ("a deployment nobody saw", DEP, {}, {}, {}, "InProgress", "LessReplicas"),
    (
        "a deployment",
        DEP,
        {},
        OK_DEP | {"conditions": conditions(Progressing="True/NewReplicaSetAvailable", Available="True/")},
        {},
        "Current",
        "",
    ),
    (
        "a deployment that does not progress",
        DEP,
        {"progressDeadlineSeconds": 45},
        OK_DEP | {"conditions": conditions(Progressing="False/Some reason", Available="True/")},
        {},
        "InProgress",
        "ReplicaSetNotAvailable",
    ),
    ("a deployment without a deadline", DEP, {}, OK_DEP | {"conditions": conditions(Available="True/")}, {}, "Current", ""),
    (
        "a deployment that is not available",
        DEP,
        {},
        OK_DEP | {"conditions": conditions(Progressing="True/NewReplicaSetAvailable", Available="False/")},
        {},
        "InProgress",
        "DeploymentNotAvailable",
    ),
    (
        "a deployment past its deadline",
        DEP,
        {},
        OK_DEP | {"conditions": conditions(Progressing="False/ProgressDeadlineExceeded")},
        {},
        "Failed",
        "ProgressDeadlineExceeded",
    ),
    (
        "available on the old replica set",
        DEP,
        {"replicas": 2},
        counts(replicas=3, updatedReplicas=1, readyReplicas=3, availableReplicas=3),
        {},
        "InProgress",
        "LessUpdated",
    ),
    (
        "old pods that end",
        DEP,
        {"replicas": 1},
        counts(replicas=2, updatedReplicas=1, readyReplicas=2, availableReplicas=2),
        {},
        "InProgress",
        "ExtraPods",
    ),
    ("no replicas wanted", DEP, {"replicas": 0}, counts() | {"conditions": conditions(Available="True/")}, {}, "Current", ""),
    ("a replica set nobody saw", RS, {}, {}, {}, "InProgress", "LessLabelled"),
    ("a replica set", RS, {"replicas": 2}, OK_RS | {"conditions": conditions(ReplicaFailure="False/")}, {}, "Current", ""),
    ("a replica set without conditions", RS, {"replicas": 2}, OK_RS, {}, "Current", ""),
    ("too few available", RS, {"replicas": 4}, RS4 | {"availableReplicas": 2}, {}, "InProgress", "LessAvailable"),
    ("too few of the set ready", RS, {"replicas": 4}, RS4 | {"readyReplicas": 2}, {}, "InProgress", "LessReady"),
    (
        "a replica that fails",
        RS,
        {"replicas": 4},
        RS4 | {"conditions": conditions(ReplicaFailure="True/")},
        {},
        "InProgress",
        "ReplicaFailure",
    ),
    ("a budget not observed", PDB, {}, counts(), {"generation": 2}, "InProgress", "LatestGenerationNotObserved"),
    ("a budget", PDB, {}, counts(), {}, "Current", ""),
    ("a custom resource without status", CR, {}, {}, {}, "Current", ""),
    ("a custom resource that is ready", CR, {}, {"conditions": conditions(Ready="True/AllOk")}, {}, "Current", ""),
    (
        "a custom resource that is not ready",
        CR,
        {},
        counts() | {"conditions": conditions(Ready="False/NotReadyYet")},
        {},
        "InProgress",
        "NotReadyYet",
    ),
    (
        "a custom resource whose readiness is unknown",
        CR,
        {},
        counts() | {"conditions": conditions(Ready="Unknown/Progressing")},
        {},
        "InProgress",
        "Progressing",
    ),
    ("a custom resource with another condition", CR, {}, {"conditions": conditions(SomeCondition="False/")}, {}, "Current", ""),
    ("a custom resource of another generation", CR, {}, counts(), {"generation": 2}, "InProgress", "LatestGenerationNotObserved"),
    (
        "a stale Ready of the generation before",
        CR,
        {},
        counts() | {"conditions": conditions(Ready="True/")},
        {"generation": 2},
        "InProgress",
        "LatestGenerationNotObserved",
    ),
    (
        "a custom resource that says it reconciles",
        CR,
        {},
        {"conditions": conditions(Reconciling="True/Busy", Ready="True/")},
        {},
        "InProgress",
        "Busy",
    ),
    (
        "a custom resource that says it is stalled",
        CR,
        {},
        {"conditions": conditions(Stalled="True/Broken")},
        {},
        "Failed",
        "Broken",
    ),
    ("a job nobody saw", JOB, {}, {}, {}, "InProgress", "JobNotStarted"),
    ("a job that ended", JOB, {}, {"succeeded": 1, "active": 0, "conditions": conditions(Complete="True/")}, {}, "Current", ""),
    (
        "a job that failed",
        JOB,
        {"completions": 4},
        {"succeeded": 3, "failed": 1, "conditions": conditions(Failed="True/JobFailed")},
        {},
        "Failed",
        "JobFailed",
    ),
    (
        "a job that runs: Flux waits for its end",
        JOB,
        {"completions": 10},
        {"startTime": LONG_AGO, "active": 2, "conditions": conditions(Failed="False/", Complete="False/")},
        {},
        "InProgress",
        "JobInProgress",
    ),
    ("a suspended job", JOB, {}, {"conditions": conditions(Suspended="True/")}, {}, "Current", ""),
    ("a cron job", CRON, {}, {}, {}, "Current", ""),
    ("a service", SVC, {}, {}, {}, "Current", ""),
    ("a node port", SVC, {"type": "NodePort"}, {}, {}, "Current", ""),
    ("a load balancer with an address", SVC, {"type": "LoadBalancer", "clusterIP": "1.2.3.4"}, {}, {}, "Current", ""),
    ("a load balancer without an address", SVC, {"type": "LoadBalancer"}, {}, {}, "InProgress", "NoIPAssigned"),
    ("a definition nobody saw", CRD, {}, {}, {}, "InProgress", "Installing"),
    (
        "a definition being installed",
        CRD,
        {},
        {"conditions": conditions(NamesAccepted="True/NoConflicts", Established="False/Installing")},
        {},
        "InProgress",
        "Installing",
    ),
    (
        "a definition whose names are taken",
        CRD,
        {},
        {"conditions": conditions(NamesAccepted="False/SomeReason")},
        {},
        "Failed",
        "SomeReason",
    ),
    (
        "a definition",
        CRD,
        {},
        {"conditions": conditions(NamesAccepted="True/NoConflicts", Established="True/InitialNamesAccepted")},
        {},
        "Current",
        "",
    ),
    ("anything on its way out", DEP, {}, OK_DEP, {"deletionTimestamp": LONG_AGO}, "Terminating", "Terminating"),
    ("a secret", "v1/Secret", {}, {}, {}, "Current", ""),
]


@pytest.mark.parametrize(
    ("kind", "spec", "status", "metadata", "health", "reason"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_health_of(kind, spec, status, metadata, health, reason):
    api_version, _, name = kind.rpartition("/")
    manifest = {
        "apiVersion": api_version,
        "kind": name,
        "metadata": {"name": "x", "namespace": "y", "generation": 1, **metadata},
        "spec": spec,
        "status": status,
    }
    found = kstatus.health(manifest, NOW)
    assert (found.status, found.reason) == (health, reason)


def test_an_object_that_is_not_there_is_not_found():
    assert kstatus.health(None, NOW).status == "NotFound"


def test_a_pod_gets_fifteen_seconds_to_find_a_node():
    created = NOW - kstatus.SCHEDULE_WINDOW
    manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"creationTimestamp": created.isoformat()},
        "status": {"phase": "Pending", "conditions": UNSCHEDULED},
    }
    assert kstatus.health(manifest, NOW - timedelta(seconds=1)).status == "InProgress"
    assert kstatus.health(manifest, NOW).status == "Failed"


@pytest.mark.parametrize(
    "status", [None, [], "x", {"conditions": "x"}, {"conditions": [None, 3, {"type": 1}]}, {"replicas": "many"}]
)
def test_a_status_of_any_shape_is_no_crash(status):
    for kind in ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"):
        kstatus.health({"apiVersion": "apps/v1", "kind": kind, "metadata": {}, "status": status}, NOW)
    kstatus.health({"apiVersion": "v1", "kind": "Pod", "metadata": {}, "status": status}, NOW)
