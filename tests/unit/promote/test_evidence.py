"""What a Kustomization's status proves, and the many ways in which it proves nothing."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any

import pytest

from penstock.model.values import CommitId, EnvName
from penstock.promote import evidence, timeline

DEV = EnvName("dev")
OLD, NEW, OTHER = (CommitId(digit * 40) for digit in "123")
NOW = datetime(2026, 3, 2, 15, tzinfo=UTC)


def history(digest: str, commit: str, first: str, last: str, status: str = "ReconciliationSucceeded") -> dict[str, Any]:
    return {
        "digest": digest,
        "firstReconciled": f"2026-03-02T{first}Z",
        "lastReconciled": f"2026-03-02T{last}Z",
        "lastReconciledStatus": status,
        "metadata": {"revision": f"main@sha1:{commit}"},
    }


def kustomization() -> dict[str, Any]:
    return {
        "metadata": {"generation": 9},
        "spec": {"wait": True},
        "status": {
            "observedGeneration": 9,
            "lastAppliedRevision": f"main@sha1:{NEW}",
            "lastAttemptedRevision": f"main@sha1:{NEW}",
            "conditions": [
                {"type": "Ready", "status": "True", "observedGeneration": 9, "lastTransitionTime": "2026-03-02T14:02:11Z"},
                {"type": "Healthy", "status": "True", "observedGeneration": 9, "lastTransitionTime": "2026-03-02T14:02:11Z"},
            ],
            "history": [history("sha256:new", NEW, "14:02:11", "14:50:00"), history("sha256:old", OLD, "10:00:00", "14:00:00")],
        },
    }


def read(
    manifest: dict[str, Any] | None, *, content: tuple[str, ...] = (NEW,), digest: str | None = "sha256:new"
) -> evidence.Evidence:
    return evidence.read(
        DEV, manifest, holds_content=lambda commit: commit in content, rendered_digest=lambda commit: digest, now=NOW
    )


def test_live_at_this_revision_generation_and_digest_is_healthy_since_then() -> None:
    found = read(kustomization())
    assert (found.state, found.applied, found.digest, found.generation) == ("healthy", NEW, "sha256:new", 9)
    assert found.since == datetime(2026, 3, 2, 14, 2, 11, tzinfo=UTC)
    assert found.trailer() == "dev healthy 2026-03-02T14:02:11Z/2026-03-02T15:00:00Z sha256:new"


def damaged(change: str) -> dict[str, Any]:
    manifest = copy.deepcopy(kustomization())
    status, conditions = manifest["status"], manifest["status"]["conditions"]
    match change:
        case "an earlier generation was observed":
            status["observedGeneration"] = 8
        case "a newer revision is being tried":
            status["lastAttemptedRevision"] = f"main@sha1:{OTHER}"
        case "Ready is unknown":
            conditions[0]["status"] = "Unknown"
        case "Ready is of an earlier generation":
            conditions[0]["observedGeneration"] = 8
        case "Healthy is unknown":
            conditions[1]["status"] = "Unknown"
        case "there are no conditions":
            status["conditions"] = []
        case "nothing was applied":
            del status["lastAppliedRevision"], status["lastAttemptedRevision"]
        case "the history does not know the revision":
            status["history"] = status["history"][1:]
        case "the history is empty":
            status["history"] = []
        case "the status is empty":
            manifest["status"] = {"observedGeneration": -1}
        case "Ready is False":
            conditions[0] |= {"status": "False", "reason": "HealthCheckFailed"}
        case "Stalled":
            conditions.append({"type": "Stalled", "status": "True", "reason": "BuildFailed"})
        case "suspended":
            manifest["spec"]["suspend"] = True
        case "no health is checked":
            manifest["spec"] = {}
        case _:
            raise AssertionError(change)
    return manifest


@pytest.mark.parametrize(
    "change",
    [
        "an earlier generation was observed",
        "a newer revision is being tried",
        "Ready is unknown",
        "Ready is of an earlier generation",
        "Healthy is unknown",
        "there are no conditions",
        "nothing was applied",
        "the history does not know the revision",
        "the history is empty",
        "the status is empty",
    ],
)
def test_what_is_not_judged_yet_is_waited_for(change: str) -> None:
    assert read(damaged(change)).state == "waiting"


@pytest.mark.parametrize("change", ["Ready is False", "Stalled", "suspended", "no health is checked"])
def test_what_somebody_has_to_mend_is_failed(change: str) -> None:
    assert read(damaged(change)).state == "failed"


def test_a_failure_of_other_content_is_not_a_failure_of_this_one() -> None:
    manifest = damaged("Ready is False")
    manifest["status"]["lastAttemptedRevision"] = f"main@sha1:{OTHER}"
    assert read(manifest).state == "waiting"


def test_a_live_revision_without_the_content_proves_nothing() -> None:
    found = read(kustomization(), content=(OTHER,))
    assert found.state == "waiting" and "does not hold it yet" in found.reason


def test_an_applied_digest_that_git_does_not_render_to_is_failed() -> None:
    assert read(kustomization(), digest="sha256:something else").state == "failed"
    assert read(kustomization(), digest=None).state == "failed"


def test_a_kustomization_that_is_not_there_is_failed_and_a_silent_cluster_unknown() -> None:
    assert read(None).state == "failed"
    assert evidence.unreachable(DEV, "no answer").state == "unknown"


def test_the_soak_goes_on_across_revisions_that_left_the_unit_alone() -> None:
    found = read(kustomization(), content=(OLD, NEW))
    assert found.since == datetime(2026, 3, 2, 10, tzinfo=UTC)


def test_the_soak_starts_again_after_a_failure_in_between() -> None:
    manifest = kustomization()
    manifest["status"]["history"][0] = history("sha256:new", NEW, "13:00:00", "14:50:00")
    manifest["status"]["history"].insert(1, history("sha256:new", NEW, "14:01:00", "14:01:30", "HealthCheckFailed"))
    assert read(manifest).since == datetime(2026, 3, 2, 14, 2, 11, tzinfo=UTC)


def test_the_soak_starts_again_when_other_content_ran_in_between() -> None:
    manifest = kustomization()
    manifest["status"]["history"][0] = history("sha256:new", NEW, "09:00:00", "14:50:00")
    assert read(manifest).since == datetime(2026, 3, 2, 14, 2, 11, tzinfo=UTC)


def sick_environment() -> dict[str, Any]:
    """Applied whole, and something in it is not healthy."""
    manifest = kustomization()
    status = manifest["status"]
    status["conditions"][0] |= {"status": "False", "reason": "HealthCheckFailed"}
    status["history"].insert(0, history("sha256:new", NEW, "14:20:00", "14:50:00", "HealthCheckFailed"))
    return manifest


@pytest.mark.parametrize(
    ("own", "state", "reason"),
    [
        ("", "healthy", "live as 2222222, while other apps there are not healthy"),
        ("Deployment/web InProgress", "failed", "Deployment/web InProgress"),
        (None, "failed", "HealthCheckFailed at 2222222"),
    ],
)
def test_an_app_is_not_held_back_by_the_failure_of_another(own: str | None, state: str, reason: str) -> None:
    found = evidence.read(
        DEV,
        sick_environment(),
        holds_content=lambda commit: commit == NEW,
        rendered_digest=lambda commit: "sha256:new",
        own_health=lambda commit: own,
        now=NOW,
    )
    assert (found.state, found.reason) == (state, reason)


def test_own_health_proves_nothing_of_another_digest_generation_or_commit() -> None:
    def read_sick(manifest: dict[str, Any], content: str = NEW, digest: str = "sha256:new") -> str:
        return evidence.read(
            DEV,
            manifest,
            holds_content=lambda commit: commit == content,
            rendered_digest=lambda commit: digest,
            own_health=lambda commit: "",
            now=NOW,
        ).state

    assert read_sick(sick_environment(), digest="sha256:other") == "failed"
    assert read_sick(sick_environment(), content=OTHER) == "waiting"
    older = sick_environment()
    older["status"]["observedGeneration"] = 8
    assert read_sick(older) == "failed"


def past(*entries: dict[str, Any], content: tuple[str, ...] = (OLD,), healthy_now: bool = True) -> evidence.Evidence:
    """What the history, newest first, proves of content that is not the newest any more."""
    return evidence.read_past(
        DEV,
        timeline.entries_of({"history": list(entries)}),
        holds_content=lambda commit: commit in content,
        proven=lambda commit, digest: digest == "sha256:old",
        healthy_now=healthy_now,
        now=NOW,
    )


OLD_RAN = history("sha256:old", OLD, "10:00:00", "10:30:00")
NEW_RAN = history("sha256:new", NEW, "10:30:00", "14:50:00")
NEW_FAILED = history("sha256:new", NEW, "10:35:00", "14:50:00", "HealthCheckFailed")


@pytest.mark.parametrize(
    ("entries", "healthy_now", "since", "until"),
    [
        ([NEW_RAN, OLD_RAN], True, "10:00", None),
        ([NEW_RAN, OLD_RAN], False, "10:00", "14:50"),
        ([NEW_FAILED, OLD_RAN], False, "10:00", "10:35"),
        ([history("sha256:new", NEW, "10:30:00", "10:30:00", "BuildFailed"), OLD_RAN], False, "10:00", "10:30"),
        ([OLD_RAN, history("sha256:old", OLD, "09:00:00", "09:59:00", "HealthCheckFailed")], True, "10:00", None),
        # Taken up again after something else: what was before that does not count.
        ([OLD_RAN, history("sha256:x", OTHER, "09:00:00", "10:10:00"), history("sha256:old", OLD, "08:00:00", "08:59:00")],
         True, "10:10", None),
        # A failure within one second of the last success is later if the controller put it first.
        ([history("sha256:new", NEW, "10:30:00", "10:30:00", "HealthCheckFailed"), OLD_RAN], True, "10:00", "10:30"),
        # Waiting for a dependency is no failure.
        ([history("sha256:new", NEW, "10:31:00", "10:32:00", "DependencyNotReady"), OLD_RAN], True, "10:00", None),
    ],
)  # fmt: skip
def test_what_ran_before_is_proven_until_a_failure(
    entries: list[dict[str, Any]], healthy_now: bool, since: str, until: str | None
) -> None:
    found = past(*entries, healthy_now=healthy_now)
    assert found.state == "healthy" and found.since is not None
    assert f"{found.since:%H:%M}" == since
    assert (f"{found.until:%H:%M}" if found.until else None) == until


def test_what_was_not_seen_or_was_another_build_is_not_proven() -> None:
    assert past(NEW_RAN).state == "waiting"
    assert past(history("sha256:other", OLD, "10:00:00", "10:30:00")).state == "waiting"
    assert past(history("sha256:old", OLD, "10:00:00", "10:30:00", "HealthCheckFailed")).state == "waiting"


def test_memory_keeps_what_the_status_forgets_and_takes_what_went_on() -> None:
    first, second = timeline.entries_of({"history": [OLD_RAN]}), timeline.entries_of({"history": [NEW_RAN]})
    went_on = timeline.entries_of({"history": [history("sha256:new", NEW, "10:30:00", "14:59:00")]})
    kept = timeline.remembered(timeline.remembered(first, second), went_on)
    assert [(one.digest, f"{one.last:%H:%M}") for one in kept] == [("sha256:new", "14:59"), ("sha256:old", "10:30")]


def report(commit: str, minute: int, status: str = timeline.SUCCEEDED) -> timeline.Entry:
    moment = NOW.replace(hour=14, minute=minute)
    return timeline.Entry(digest="", status=status, commit=CommitId(commit), first=moment, last=moment)


def reported(*reports: timeline.Entry, content: tuple[str, ...] = (NEW,), wait: bool = True) -> tuple[str, str]:
    found = evidence.read_reported(DEV, reports, spec={"wait": wait}, holds_content=lambda commit: commit in content, now=NOW)
    return found.state, f"{found.since:%H:%M}" if found.since else found.reason


def test_reports_prove_what_they_say_about_the_newest_commit_reported_on() -> None:
    assert reported() == ("waiting", "its Flux has reported on none of the newest commits")
    assert reported(report(NEW, 20)) == ("healthy", "14:20")
    assert reported(report(OLD, 20)) == ("waiting", "1111111 is what it reported last, which does not hold it yet")
    assert reported(report(NEW, 20, timeline.FAILED), report(OLD, 10))[0] == "failed"
    assert reported(report(NEW, 20, timeline.PROGRESSING))[0] == "waiting"
    assert reported(report(NEW, 20), wait=False)[0] == "failed"
    both = (NEW, OTHER)
    assert reported(report(NEW, 20), report(OTHER, 10), report(OLD, 5), content=both) == ("healthy", "14:10")
    assert reported(report(NEW, 20), report(OTHER, 10, timeline.FAILED), report(OTHER, 5), content=both) == ("healthy", "14:20")
