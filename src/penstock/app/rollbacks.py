"""A rollback's pull request as it stands: what it takes back, what it changes, whether it may be merged.

In: the pull request, its reviews, a survey. Out: a `Proposed`. Like any other change it waits for the approvals its environment
wants, and neither who opened it nor who asked for it gives one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from penstock.app import rollback
from penstock.controllers.promotion_cases import Survey
from penstock.controllers.promotion_survey import Surveyor
from penstock.model import errors
from penstock.model.values import CommitId
from penstock.ports.forge import PullRequest, Review
from penstock.promote import gates, records, verdict

_ASKED_BY = re.compile(rf"^{rollback.ASKED_BY}: (.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposed:
    """What a rollback is, from the commit at its head."""

    to: CommitId
    message: str
    asked_by: str
    outcome: verdict.Outcome | None
    """None when one of the sides does not render."""
    verdicts: tuple[gates.Verdict, ...]


def read(
    looking: Surveyor,
    survey: Survey,
    pull: PullRequest,
    reviews: Sequence[Review],
    teams: Mapping[str, Sequence[str]],
) -> Proposed | None:
    """None when the head is no rollback, or not known here yet."""
    try:
        commit = looking.repo.commit(pull.head_sha)
    except errors.RefusedError:
        return None
    found = records.parse(commit.message).rollbacks
    target = survey.repository.environment(found[0].target) if found else None
    if target is None:
        return None
    asked = _ASKED_BY.search(commit.message)
    asked_by = asked[1].strip() if asked else ""
    outcome = rollback.outcome_of(looking, survey, target, found[0].commit, pull.head_sha) if pull.state == "open" else None
    newest = {one.user: one for one in sorted(reviews, key=lambda one: one.when) if one.state != "commented"}
    situation = gates.Situation(
        unit=found[0].unit,
        target=target,
        commit=found[0].commit,
        evidence=(),
        approvals=tuple(
            gates.Approval(user=one.user, when=one.when)
            for one in newest.values()
            if one.state == "approved" and one.commit == pull.head_sha
        ),
        rejections=tuple(one.user for one in newest.values() if one.state == "changes_requested"),
        author=pull.author,
        change_authors=(asked_by, login_of(asked_by)),
        teams=teams,
        now=survey.now,
    )
    verdicts = tuple(gates.approvals(situation))
    return Proposed(to=found[0].commit, message=commit.message, asked_by=asked_by, outcome=outcome, verdicts=verdicts)


def login_of(asked_by: str) -> str:
    """The login in 'Name (login)', or the whole of it."""
    return asked_by.rpartition("(")[2].removesuffix(")") if asked_by.endswith(")") else asked_by
