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
    assert records.base_of("web", DEV, STAGING, history, (), is_ancestor).commit == TWO


def test_an_adoption_without_a_commit_means_the_commit_that_says_so() -> None:
    history = [landed(TWO, "Penstock-Adopt: staging -> prod\n"), landed(ONE, "Start\n\nPenstock-Adopt: dev -> staging\n")]
    assert records.base_of("web", DEV, STAGING, history, (), is_ancestor).commit == ONE
    assert records.base_of("web", STAGING, EnvName("prod"), history, (), is_ancestor).commit == TWO


def test_without_any_record_there_is_no_base() -> None:
    assert records.base_of("web", DEV, STAGING, [landed(ONE, "just a commit")], (), is_ancestor).commit is None


def test_of_a_record_in_a_file_and_one_in_history_the_later_wins() -> None:
    def base(file_at: CommitId, promoted: CommitId) -> CommitId | None:
        history = [landed(TWO, f"Penstock-Promotion: web dev@{promoted} -> staging\n")]
        settled = records.Settling(source=DEV, target=STAGING, commit=file_at)
        return records.base_of("web", DEV, STAGING, history, [settled], is_ancestor).commit

    assert base(THREE, ONE) == THREE
    assert base(ONE, ONE) == ONE
    assert base(ONE, TWO) == TWO


def test_after_a_rollback_the_history_goes_on_where_the_target_went_back_to() -> None:
    four = CommitId("4" * 40)
    history = [
        landed(four, f"Roll back\n\nPenstock-Rollback: web staging@{TWO}\n"),
        landed(THREE, f"Penstock-Promotion: web dev@{THREE} -> staging\n"),
        landed(TWO, f"Penstock-Promotion: web dev@{ONE} -> staging\n"),
    ]
    assert records.base_of("web", DEV, STAGING, history, (), is_ancestor) == records.Base(commit=ONE, rolled_back=THREE)
    assert records.base_of("api", DEV, STAGING, history, (), is_ancestor) == records.Base()


def test_what_is_promoted_after_a_rollback_counts_again() -> None:
    four, five = CommitId("4" * 40), CommitId("5" * 40)
    history = [
        landed(five, f"Penstock-Promotion: web dev@{five} -> staging\n"),
        landed(four, f"Penstock-Rollback: web staging@{TWO}\n"),
        landed(THREE, f"Penstock-Promotion: web dev@{THREE} -> staging\n"),
    ]
    assert records.base_of("web", DEV, STAGING, history, (), is_ancestor) == records.Base(commit=five)
