"""The words and marks of the board are those of the status."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from penstock.app import log as logs
from penstock.app import lookout, status
from penstock.controllers.promotion_cases import Survey
from penstock.model.pipeline import REMAINDER, Repository
from penstock.model.values import CommitId, EnvName
from penstock.web import insides, showing, views

NOW = datetime(2026, 3, 2, 14, 0, tzinfo=UTC)
SHA = CommitId("4be1c02a7f0d4c8e9b1a2c3d4e5f60718293a4b5")
STAGING = EnvName("staging")
SURVEY = Survey(tip=SHA, repository=Repository(name="fleet", environments=(), declared=False), seen={}, now=NOW)


def cell(**changes: Any) -> status.Cell:
    facts: dict[str, Any] = {
        "environment": STAGING,
        "state": "live",
        "commit": SHA,
        "subject": "raise checkout timeout",
        "health": "healthy",
        "since": NOW,
    }
    return status.Cell(**(facts | changes))


def pending(**changes: Any) -> status.Pending:
    facts: dict[str, Any] = {"source": EnvName("dev"), "commit": SHA, "subject": "raise checkout timeout"}
    return status.Pending(**(facts | changes))


def test_a_live_cell_says_since_when() -> None:
    shown = showing.board_cell(cell())
    assert (shown.mark, shown.words, shown.since) == ("live", "healthy", NOW)


def test_a_promotion_says_what_it_waits_for_and_for_whom() -> None:
    soak = status.Waiting(what="soak 11 of 30 min", until=NOW + timedelta(minutes=19), who="time")
    person = status.Waiting(what="0 of 1 approval", who="person")
    failed = status.Waiting(what="not healthy in dev", who="person", failed=True)
    shown = showing.board_cell(cell(state="person", pending=pending(pull=14, waits=(soak, person, failed))))
    assert (shown.words, shown.pull) == ("PR #14 open", views.PullLink(number=14))
    assert [gate.mark for gate in shown.waits] == ["moving", "person", "broken"]
    assert shown.waits[0].until == NOW + timedelta(minutes=19)
    assert shown.since is None, "the age of what is live is not the age of what is proposed"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pull": 14}, "PR #14 ready"),
        ({"pull": 14, "draft": True}, "PR #14 draft"),
        ({}, "4be1c02 waits in dev"),
        ({"conflicts": 1}, "1 field in conflict"),
        ({"conflicts": 2, "pull": 14}, "2 fields in conflict"),
    ],
)
def test_every_stage_of_a_promotion_has_its_words(changes: dict[str, Any], words: str) -> None:
    assert showing.board_cell(cell(state="moving", pending=pending(**changes))).words == words


def test_a_failure_is_not_hidden_by_a_promotion() -> None:
    shown = showing.board_cell(
        cell(state="failing", health="failing", problem="Job/shop/report failed", pending=pending(pull=14))
    )
    assert shown.mark == "broken"
    assert shown.words == "failing, PR #14 ready"
    assert "Job/shop/report failed" in shown.detail


def test_what_is_nowhere_and_what_is_not_known_are_told_apart() -> None:
    assert showing.board_cell(cell(state="absent", commit=None, health="")).words == "not there"
    assert showing.board_cell(cell(state="unknown", health="unknown")).mark == "unknown"


def look(manifest: dict[str, Any] | None, silent: dict[EnvName, str] | None = None) -> lookout.Look:
    head = status.Head(commit=SHA, subject="s", author="a", when=NOW)
    found = status.Status(name="fleet", branch="main", head=head, environments=(STAGING,), rows=(), now=NOW)
    manifests = {} if silent else {STAGING: manifest}
    return lookout.Look(status=found, cases=(), manifests=manifests, silent=silent or {}, survey=SURVEY)


def kustomization(ready: str, reason: str, **spec: Any) -> dict[str, Any]:
    condition = {
        "type": "Ready",
        "status": ready,
        "reason": reason,
        "message": "why",
        "lastTransitionTime": "2026-03-02T13:00:00Z",
    }
    return {"metadata": {"name": "staging"}, "spec": spec, "status": {"conditions": [condition]}}


@pytest.mark.parametrize(
    ("found", "mark", "words"),
    [
        (look(kustomization("True", "ReconciliationSucceeded")), "live", "ready"),
        (look(kustomization("False", "BuildFailed")), "broken", "BuildFailed"),
        (look(kustomization("Unknown", "Progressing")), "moving", "reconciling"),
        (look(kustomization("True", "ReconciliationSucceeded", suspend=True)), "person", "suspended"),
        (look({"metadata": {}}), "moving", "reconciling"),
        (look(None), "person", "not synced"),
        (look(None, {STAGING: "connection refused"}), "unknown", "not known"),
    ],
)
def test_an_environment_says_what_its_kustomization_says(found: lookout.Look, mark: str, words: str) -> None:
    head = showing.environment_head(found, STAGING)
    assert (head.mark, head.words) == (mark, words)


def test_the_sentence_goes_through_the_environments() -> None:
    dev, prod = EnvName("dev"), EnvName("prod")
    row = status.Row(unit="web", cells=(cell(environment=dev), cell(pending=pending(pull=14)), cell(environment=prod)))
    found = look(None)
    environments = status.Status(
        name="fleet", branch="main", head=found.status.head, environments=(dev, STAGING, prod), rows=(row,), now=NOW
    )
    said = showing.sentence(row, lookout.Look(status=environments, cases=(), manifests={}, silent={}, survey=SURVEY))
    assert said == 'web: 4be1c02 "raise checkout timeout" is live in dev, not yet in staging, not yet in prod.'


def entry(days: float, **changes: Any) -> logs.Entry:
    facts: dict[str, Any] = {
        "when": NOW - timedelta(days=days),
        "commit": SHA,
        "unit": "web",
        "kind": "promotion",
        "subject": "s",
        "author": "a",
    }
    return logs.Entry(**(facts | changes))


def test_the_figures_count_the_last_days_only() -> None:
    hour = timedelta(hours=1)
    entries = [
        entry(1, lead_time=hour),
        entry(2, lead_time=3 * hour),
        entry(3, lead_time=2 * hour),
        entry(4, kind="bypass"),
        entry(5, kind="rollback"),
        entry(31, lead_time=500 * hour, kind="bypass"),
    ]
    figures = showing.figures(entries, NOW, 1000)
    assert figures == insides.Figures(
        days=30,
        changes=5,
        median_lead_time="2 h",
        per_week="1.2",
        failed="25 %",
        restored="26 d",
        bypasses=1,
        rollbacks=1,
    )
    assert showing.figures(entries[:5], NOW, 5).more


def test_a_merge_past_the_gates_is_told() -> None:
    shown = showing.log_row(entry(1, kind="bypass", merged_by="ops", bypassed=("approvals", "soak")))
    assert (shown.kind, shown.detail) == ("BYPASS", "merged by ops past approvals, soak")


def test_what_belongs_to_no_app_cannot_be_taken_for_an_app() -> None:
    assert showing.title(REMAINDER) == "the environment"
    assert showing.title("environment") == "environment"
