"""Lead time, change failure rate and time to restore, from the entries of a log."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from penstock.app import log
from penstock.model.values import CommitId, EnvName

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


def entry(hours_ago: int, unit: str, kind: log.Kind = "promotion", *, lead: int | None = None) -> log.Entry:
    return log.Entry(
        when=NOW - timedelta(hours=hours_ago),
        commit=CommitId(f"{hours_ago:040}"),
        unit=unit,
        kind=kind,
        subject="s",
        author="a",
        source=EnvName("dev") if kind in ("promotion", "bypass") and lead is not None else None,
        lead_time=timedelta(hours=lead) if lead is not None else None,
    )


def test_a_rollback_is_held_against_the_promotion_it_took_back() -> None:
    entries = (
        entry(1, "web", lead=3),
        entry(2, "web", "rollback"),
        entry(3, "api", lead=1),
        entry(5, "web", lead=2),
        entry(6, "web", lead=9),
        entry(8, "web", "bypass"),
    )
    found = log.summary(entries)
    assert (found.promotions, found.failed, found.failure_rate, found.bypasses) == (4, 1, 0.25, 1)
    assert (found.lead_time, found.time_to_restore) == (timedelta(hours=3), timedelta(hours=3))
    assert found.since == NOW - timedelta(hours=6)


def test_nothing_came_and_nothing_failed() -> None:
    found = log.summary((entry(1, "web", "rollback"),))
    assert (found.promotions, found.failure_rate, found.lead_time, found.time_to_restore) == (0, None, None, None)
