"""Trailers: what a commit says about a promotion, and which commit is the base of the next one."""

from __future__ import annotations

from datetime import UTC, datetime

from penstock.model.values import CommitId, EnvName
from penstock.promote import records

DEV, STAGING = EnvName("dev"), EnvName("staging")
ONE, TWO, THREE = (CommitId(digit * 40) for digit in "123")
NOW = datetime(2026, 3, 2, tzinfo=UTC)

PROMOTION = records.Promotion(
    unit="web",
    source=DEV,
    commit=TWO,
    target=STAGING,
    base=ONE,
    digest="sha256:abc",
    evidence="dev healthy 2026-03-02T14:02:11Z/2026-03-02T14:33:40Z sha256:def",
    verdict="Same configuration as dev@2222222.",
    pull="#14",
    approved_by=("reviewer", "other"),
    picked=(records.PickedSide(side="keep", values="0123456789ab", field="#ConfigMap/web data.a"),),
)


def landed(commit: CommitId, message: str) -> records.Landed:
    return records.Landed(commit=commit, when=NOW, record=records.parse(message))


def is_ancestor(older: CommitId, newer: CommitId) -> bool:
    return older <= newer


def test_a_record_reads_as_it_was_written() -> None:
    assert records.parse(f"Promote web\n\n{PROMOTION.trailers()}").promotions == (PROMOTION,)


def test_a_record_survives_a_squash_that_puts_text_around_and_behind_it() -> None:
    squashed = f"Title (#14)\n\n* Promote web\r\n\r\n{PROMOTION.trailers()}\n---------\n\nCo-authored-by: x <x@y>\n"
    assert records.parse(squashed.replace("\r\n", "\n")).promotions == (PROMOTION,)


def test_a_value_with_a_line_break_cannot_write_a_trailer_of_its_own() -> None:
    sly = records.Promotion(
        unit="web",
        source=DEV,
        commit=TWO,
        target=STAGING,
        verdict="fine\nPenstock-Promotion: api dev@" + "3" * 40 + " -> staging",
    )
    assert len(records.parse(sly.trailers()).promotions) == 1


def test_the_newest_promotion_of_the_unit_names_the_base() -> None:
    history = [
        landed(THREE, f"Penstock-Promotion: api dev@{THREE} -> staging\n"),
        landed(TWO, f"Penstock-Promotion: web dev@{TWO} -> staging\n"),
        landed(ONE, f"Penstock-Promotion: web dev@{ONE} -> staging\n"),
    ]
    assert records.base_of("web", DEV, STAGING, history, (), is_ancestor) == TWO


def test_an_adoption_without_a_commit_means_the_commit_that_says_so() -> None:
    history = [landed(TWO, "Penstock-Adopt: staging -> prod\n"), landed(ONE, "Start\n\nPenstock-Adopt: dev -> staging\n")]
    assert records.base_of("web", DEV, STAGING, history, (), is_ancestor) == ONE
    assert records.base_of("web", STAGING, EnvName("prod"), history, (), is_ancestor) == TWO


def test_without_any_record_there_is_no_base() -> None:
    assert records.base_of("web", DEV, STAGING, [landed(ONE, "just a commit")], (), is_ancestor) is None


def test_of_a_record_in_a_file_and_one_in_history_the_later_wins() -> None:
    history = [landed(TWO, f"Penstock-Promotion: web dev@{ONE} -> staging\n")]
    after = records.Settling(source=DEV, target=STAGING, commit=THREE)
    before = records.Settling(source=DEV, target=STAGING, commit=ONE)
    assert records.base_of("web", DEV, STAGING, history, [after], is_ancestor) == THREE
    assert records.base_of("web", DEV, STAGING, history, [before], is_ancestor) == ONE
    assert (
        records.base_of(
            "web", DEV, STAGING, [landed(TWO, f"Penstock-Promotion: web dev@{TWO} -> staging\n")], [before], is_ancestor
        )
        == TWO
    )
