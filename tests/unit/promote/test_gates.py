"""Every gate: passed, waiting until when, or failed because of what."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest

from penstock.model.pipeline import Environment, Freeze, Gates, Hold, HttpCheck, RequiredStatus, Window
from penstock.model.question import Answer
from penstock.model.values import CommitId, EnvName
from penstock.promote import calendar, gates
from penstock.promote.evidence import Evidence

NOW = datetime(2026, 3, 2, 15, tzinfo=UTC)  # a Monday
DEV = EnvName("dev")
WORK = Window(days=(0, 1, 2, 3, 4), start=time(9), end=time(16), zone="Europe/Berlin")


def judge(rules: Gates, **known: Any) -> dict[str, tuple[str, str, datetime | None]]:
    target = Environment(name=EnvName("prod"), paths=("clusters/prod",), cluster="prod", promote_from=(DEV,), gates=rules)
    known = {"evidence": (healthy(),), "author": "penstock", "now": NOW} | known
    situation = gates.Situation(unit="web", target=target, commit=CommitId("a" * 40), **known)
    return {one.gate: (one.state, one.text, one.until) for one in gates.judge(situation)}


def healthy(minutes: int = 31) -> Evidence:
    return Evidence(environment=DEV, state="healthy", reason="live as aaaaaaa", since=NOW - timedelta(minutes=minutes))


def approval(user: str) -> gates.Approval:
    return gates.Approval(user=user, when=NOW)


def test_without_evidence_nothing_is_healthy() -> None:
    assert judge(Gates(), evidence=())["healthy"][0] == "failed"
    for state, expected in {"waiting": "waiting", "unknown": "waiting", "failed": "failed", "healthy": "passed"}.items():
        one = Evidence(environment=DEV, state=state, reason="so")  # type: ignore[arg-type]
        assert judge(Gates(), evidence=(one,))["healthy"][0] == expected


def test_soak_waits_until_it_is_over_and_begins_only_when_healthy() -> None:
    rules = Gates(soak=timedelta(minutes=30))
    assert judge(rules, evidence=(healthy(31),))["soak"][0] == "passed"
    assert judge(rules, evidence=(healthy(30),))["soak"][0] == "passed"
    assert judge(rules, evidence=(healthy(11),))["soak"] == ("waiting", "soak 11 min of 30 min", NOW + timedelta(minutes=19))
    sick = Evidence(environment=DEV, state="failed", reason="so", since=NOW - timedelta(days=1))
    assert judge(rules, evidence=(sick,))["soak"][0] == "waiting"


def test_the_author_does_not_approve_and_one_person_counts_once() -> None:
    rules = Gates(approvals=2)
    assert judge(rules, approvals=(approval("penstock"), approval("ann")))["approvals"][:2] == ("waiting", "1 of 2 approvals")
    assert judge(rules, approvals=(approval("ann"), approval("ann")))["approvals"][0] == "waiting"
    assert judge(rules, approvals=(approval("ann"), approval("bob")))["approvals"][:2] == ("passed", "approved by ann, bob")


def test_who_wrote_what_travels_does_not_approve_it_unless_the_rules_say_so() -> None:
    known = {"approvals": (approval("Ann"), approval("bob")), "change_authors": ("ann",)}
    assert judge(Gates(approvals=2), **known)["approvals"][:2] == (
        "waiting",
        "1 of 2 approvals (Ann wrote it, which does not count)",
    )
    assert judge(Gates(approvals=2, by_authors=True), **known)["approvals"][0] == "passed"
    assert judge(Gates(approvals=1), **known)["approvals"][:2] == ("passed", "approved by bob")


def test_only_named_approvers_and_members_of_named_teams_count() -> None:
    rules = Gates(approvals=1, approvers=("team:web", "carl"))
    teams = {"web": ["bob"]}
    assert judge(rules, approvals=(approval("ann"),), teams=teams)["approvals"][1] == "0 of 1 approval from team web, carl"
    assert judge(rules, approvals=(approval("bob"),), teams=teams)["approvals"][0] == "passed"
    assert judge(rules, approvals=(approval("carl"),), teams=teams)["approvals"][0] == "passed"


def test_a_request_for_changes_stops_whatever_others_say() -> None:
    assert judge(Gates(), approvals=(approval("ann"),), rejections=("bob",))["approvals"][0] == "failed"


def test_a_freeze_stops_what_it_names_until_it_ends() -> None:
    freeze = Freeze(environments=("prod",), reason="fair", by="ann", until=NOW + timedelta(hours=1))
    assert judge(Gates(), freezes=(freeze,))["freeze"] == ("waiting", "frozen by ann: fair", NOW + timedelta(hours=1))
    assert "freeze" not in judge(Gates(), freezes=(Freeze(environments=("qa",), reason="x"),))
    assert "freeze" not in judge(Gates(), freezes=(Freeze(environments=(), reason="x", until=NOW),))
    assert "freeze" not in judge(Gates(), freezes=(Freeze(environments=(), reason="x", since=NOW + timedelta(1)),))
    assert "freeze" in judge(Gates(), freezes=(Freeze(environments=(), reason="x"),))


def test_a_hold_keeps_a_unit_or_a_commit_back() -> None:
    assert "hold" in judge(Gates(), holds=(Hold(unit="web", commit="", environments=(), reason="odd"),))
    assert "hold" not in judge(Gates(), holds=(Hold(unit="api", commit="", environments=(), reason="odd"),))
    assert "hold" in judge(Gates(), holds=(Hold(unit="", commit="aaaa", environments=("prod",), reason="odd"),))
    assert "hold" not in judge(Gates(), holds=(Hold(unit="", commit="bbbb", environments=(), reason="odd"),))
    assert "hold" in judge(
        Gates(), holds=(Hold(unit="", commit="bb", environments=(), reason="odd"),), commits=(CommitId("b" * 40),)
    )


def test_a_status_counts_only_from_the_account_that_is_trusted() -> None:
    rules = Gates(statuses=(RequiredStatus(context="ci/test", creator="ci-bot"),))
    sly = gates.Status(context="ci/test", state="success", creator="mallory")
    good = gates.Status(context="ci/test", state="success", creator="ci-bot")
    bad = gates.Status(context="ci/test", state="failure", creator="ci-bot")
    assert judge(rules, statuses=(sly,))["status ci/test"][:2] == ("waiting", "ci/test has no result yet, but not by ci-bot")
    assert judge(rules, statuses=(sly, good))["status ci/test"][0] == "passed"
    assert judge(rules, statuses=(bad,))["status ci/test"][0] == "failed"


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        ("2026-03-02T07:59:59+00:00", False),
        ("2026-03-02T08:00:00+00:00", True),  # 09:00 in Berlin, winter
        ("2026-03-02T14:59:59+00:00", True),
        ("2026-03-02T15:00:00+00:00", False),
        ("2026-03-30T07:00:00+00:00", True),  # 09:00 in Berlin, the Monday after summer time began
        ("2026-03-30T06:59:59+00:00", False),
        ("2026-03-07T10:00:00+00:00", False),  # Saturday
    ],
)
@pytest.mark.row("M29")
def test_a_window_follows_local_time_across_summer_time(moment: str, is_open: bool) -> None:
    assert calendar.is_open(WORK, datetime.fromisoformat(moment)) is is_open


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        # Spring: 02:00 to 03:00 does not exist in Berlin on 2026-03-29.
        ("2026-03-29T00:59:59+00:00", False),
        ("2026-03-29T01:00:00+00:00", True),  # 03:00 summer time: 02:00 moved with the clock
        ("2026-03-29T01:59:59+00:00", True),
        ("2026-03-29T02:00:00+00:00", False),  # 04:00
        # Autumn: 02:00 to 03:00 exists twice on 2026-10-25; the first counts, and the window is open through both.
        ("2026-10-24T23:59:59+00:00", False),
        ("2026-10-25T00:00:00+00:00", True),  # 02:00 summer time
        ("2026-10-25T01:30:00+00:00", True),  # 02:30 winter time, the second time
        ("2026-10-25T02:59:59+00:00", True),  # 03:59 winter time
        ("2026-10-25T03:00:00+00:00", False),  # 04:00
    ],
)
def test_a_window_of_the_night_in_which_the_clock_is_changed(moment: str, is_open: bool) -> None:
    night = Window(days=(6,), start=time(2), end=time(4), zone="Europe/Berlin")
    assert calendar.is_open(night, datetime.fromisoformat(moment)) is is_open


def test_the_soak_of_what_runs_no_more_does_not_go_on() -> None:
    rules = Gates(soak=timedelta(minutes=30))
    begun = NOW - timedelta(hours=2)
    ended = Evidence(environment=DEV, state="healthy", reason="ran", since=begun, until=begun + timedelta(minutes=10))
    assert judge(rules, evidence=(ended,))["soak"][:2] == ("failed", "soak 10 min of 30 min, then it was healthy no more")
    assert not gates.soaked(ended, rules, NOW) and gates.soaked(ended, Gates(soak=timedelta(minutes=10)), NOW)


def test_a_check_says_what_its_server_said() -> None:
    rules = Gates(http=(HttpCheck(name="smoke", url="https://x.example/"),))
    assert judge(rules)["check smoke"][:2] == ("waiting", "smoke was not asked yet")
    assert judge(rules, answers={"smoke": Answer(status=200)})["check smoke"][0] == "passed"
    assert judge(rules, answers={"smoke": Answer(status=500)})["check smoke"][:2] == ("failed", "smoke answered 500")


def test_a_closed_window_says_when_it_opens() -> None:
    friday = datetime(2026, 3, 27, 18, tzinfo=UTC)  # summer time begins that Sunday
    assert judge(Gates(windows=(WORK,)), now=friday)["window"] == (
        "waiting",
        "outside the window Mon-Fri 09:00-16:00 Europe/Berlin",
        datetime(2026, 3, 30, 7, tzinfo=UTC),
    )


def test_a_window_over_midnight_belongs_to_the_day_it_began() -> None:
    night = Window(days=(4,), start=time(22), end=time(4), zone="UTC")
    assert calendar.is_open(night, datetime(2026, 3, 7, 3, tzinfo=UTC))
    assert not calendar.is_open(night, datetime(2026, 3, 6, 3, tzinfo=UTC))
    assert not calendar.is_open(night, datetime(2026, 3, 7, 23, tzinfo=UTC))


def test_a_start_that_the_clock_skips_moves_with_the_clock() -> None:
    skipped = Window(days=(6,), start=time(2, 30), end=time(4), zone="Europe/Berlin")
    assert calendar.next_open(skipped, datetime(2026, 3, 29, 0, tzinfo=UTC)) == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)


def test_switched_off_gates_say_nothing() -> None:
    assert judge(Gates(healthy=False, approvals=0, references=False), evidence=()).keys() == {"verdict"}


def test_a_reference_that_would_break_is_told_with_its_place_and_how_many_more() -> None:
    broken = ("Deployment/web env: ConfigMap/web has no key level (clusters/prod/apps/web/deployment.yaml:1)", "another")
    assert judge(Gates(approvals=0), broken=broken)["references"][:2] == ("failed", f"would break {broken[0]}, and 1 more")


def test_what_is_not_the_sources_configuration_needs_a_person_even_where_no_approval_is_asked_for() -> None:
    alone = Gates(approvals=0)
    assert judge(alone)["verdict"][0] == "passed"
    odd = "1 changed to something else"
    assert judge(alone, odd=odd)["verdict"][:2] == ("waiting", f"{odd}: a person has to approve that")
    assert judge(alone, odd=odd, approvals=(approval("penstock"),))["verdict"][0] == "waiting"
    assert judge(alone, odd=odd, approvals=(approval("ann"),))["verdict"][:2] == ("passed", f"{odd}, seen by ann")
