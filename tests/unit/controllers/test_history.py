"""The history of a Kustomization's status."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from penstock.controllers import history

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def add(found, digest, outcome="ReconciliationSucceeded", objects=3):
    return history.upserted(
        found, digest=digest, outcome=outcome, now=NOW, took=timedelta(seconds=1.5), revision="main@sha1:a", objects=objects
    )


def test_the_same_build_with_the_same_outcome_counts_up():
    found = add(add(None, "d"), "d")
    assert len(found) == 1
    assert found[0]["totalReconciliations"] == 2
    assert found[0]["lastReconciledDuration"] == "1.5s"


def test_another_outcome_is_another_entry_newest_first():
    found = add(add(None, "d"), "d", "HealthCheckFailed")
    assert [each["lastReconciledStatus"] for each in found] == ["HealthCheckFailed", "ReconciliationSucceeded"]


def test_at_most_five_and_the_last_success_is_never_pushed_out():
    found = add(None, "good", objects=7)
    for index in range(9):
        found = add(found, f"bad{index}", "ReconciliationFailed", objects=9)
    assert len(found) == 5
    assert found[0]["digest"] == "bad8"
    assert history.objects_at_last_success(found) == 7


def test_a_history_that_somebody_else_wrote_is_read_without_complaint():
    theirs = [{"digest": "d", "lastReconciledStatus": "ReconciliationSucceeded", "metadata": {"revision": "r"}}]
    assert history.objects_at_last_success(theirs) is None
    assert history.objects_at_last_success("nonsense") is None
