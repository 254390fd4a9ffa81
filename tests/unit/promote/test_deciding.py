"""One decision from one state; the same state, the same decision."""

from __future__ import annotations

from dataclasses import replace

import pytest

from penstock.merge.outcome import Conflict
from penstock.model.values import CommitId, EnvName
from penstock.promote import change, deciding, gates

ONE = CommitId("1" * 40)
CHANGE = change.Change(
    unit="web", source=EnvName("dev"), target=EnvName("staging"), commit=ONE, files={"a": b"b"}, content="sha256:1"
)
EMPTY = replace(CHANGE, files={})
CONFLICT = replace(CHANGE, files={}, conflicts=(Conflict(path="a", base="1", source="2", target="3"),))
PULL = deciding.Pull(number=7, head=ONE, draft=False, current=True, told=True, ours=True)


def verdict(gate: str, state: gates.State) -> gates.Verdict:
    return gates.Verdict(gate=gate, state=state, text=f"{gate} {state}", who="person")


GREEN = (verdict("healthy", "passed"), verdict("approvals", "passed"))
UNREVIEWED = (verdict("healthy", "passed"), verdict("approvals", "waiting"))
SICK = (verdict("healthy", "failed"), verdict("approvals", "passed"))


def decide(found: change.Change = CHANGE, **known: object) -> tuple[str, bool]:
    decision = deciding.decide(deciding.State(change=found, **known))  # type: ignore[arg-type]
    return decision.action, decision.draft


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ({}, "none"),
        ({"branch": ONE}, "clean"),
        ({"pull": PULL}, "close"),
        ({"pull": replace(PULL, ours=False)}, "close"),
    ],
)
def test_with_nothing_to_promote_what_is_left_over_goes(state: dict[str, object], expected: str) -> None:
    assert decide(EMPTY, **state)[0] == expected


def test_it_is_opened_once_it_ran_healthy_and_is_not_held() -> None:
    assert decide(verdicts=UNREVIEWED) == ("open", False)
    assert decide(verdicts=SICK)[0] == "wait"
    assert decide(verdicts=(*UNREVIEWED, verdict("hold", "waiting")))[0] == "wait"
    assert decide(verdicts=(*UNREVIEWED, verdict("freeze", "waiting")))[0] == "open"
    assert decide(verdicts=UNREVIEWED, attention=("names dev",)) == ("open", True)
    assert decide(verdicts=UNREVIEWED, wanted=False)[0] == "wait"


def test_it_is_merged_only_when_every_gate_is_green_on_exactly_this_content() -> None:
    assert decide(verdicts=GREEN, pull=PULL)[0] == "merge"
    assert decide(verdicts=UNREVIEWED, pull=PULL)[0] == "wait"
    assert decide(verdicts=SICK, pull=PULL)[0] == "wait"
    assert decide(verdicts=GREEN, pull=replace(PULL, current=False))[0] == "update"
    assert decide(verdicts=GREEN, pull=replace(PULL, draft=True)) == ("wait", True)
    assert decide(verdicts=GREEN, pull=replace(PULL, ours=False))[0] == "wait"
    assert decide(verdicts=GREEN, pull=PULL, auto_merge=False)[0] == "wait"
    assert decide(verdicts=GREEN, pull=PULL, problem="it does not build")[0] == "update"
    assert decide(CONFLICT, verdicts=GREEN, pull=PULL)[0] == "update"


def test_news_are_told_and_told_once() -> None:
    assert decide(verdicts=UNREVIEWED, pull=replace(PULL, told=False))[0] == "update"
    assert decide(verdicts=UNREVIEWED, pull=PULL)[0] == "wait"


def test_a_conflict_opens_nothing_and_makes_an_open_one_a_draft() -> None:
    assert decide(CONFLICT, verdicts=GREEN)[0] == "wait"
    assert decide(CONFLICT, verdicts=GREEN, pull=PULL) == ("update", True)
    assert decide(CONFLICT, verdicts=GREEN, pull=replace(PULL, draft=True)) == ("wait", True)


def test_a_draft_that_we_made_is_ready_again_and_one_that_a_person_made_is_not() -> None:
    ours = replace(PULL, draft=True, drafted_for="blocked", told=False)
    assert decide(verdicts=UNREVIEWED, pull=ours) == ("update", False)
    assert decide(verdicts=UNREVIEWED, pull=replace(PULL, draft=True)) == ("wait", True)


def test_what_a_person_closed_stays_closed_unless_asked_for() -> None:
    by_person = deciding.Closed(number=7, merged=False, by="ann", by_us=False)
    assert decide(verdicts=UNREVIEWED, closed=[by_person])[0] == "wait"
    assert decide(verdicts=UNREVIEWED, closed=[by_person], asked=True)[0] == "open"
    assert decide(verdicts=UNREVIEWED, closed=[replace(by_person, by="penstock", by_us=True)])[0] == "open"


def test_a_merge_that_git_does_not_show_yet_is_not_proposed_again() -> None:
    merged = deciding.Closed(number=7, merged=True, by="penstock", by_us=False)
    assert decide(verdicts=UNREVIEWED, closed=[merged], asked=True)[0] == "wait"
