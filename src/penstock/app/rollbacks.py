"""A pull request that Penstock opened for a person as it stands: a rollback, a freeze or a hold put in place or taken away.

In: the pull request, its reviews, a survey. Out: a `Proposed`: what it changes, whether it may be merged. Like any other it
waits for the approvals its environment wants, and neither who opened it nor who asked for it gives one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from penstock import source
from penstock.app import rollback
from penstock.controllers.promotion_cases import Survey
from penstock.controllers.promotion_survey import Surveyor
from penstock.model import errors
from penstock.model.pipeline import REMAINDER, Environment, Freeze, Hold
from penstock.model.values import CommitId
from penstock.ports.forge import PullRequest, Review
from penstock.promote import gates, records, verdict

_ASKED_BY = re.compile(rf"^{rollback.ASKED_BY}: (.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposed:
    """What it is, from the commit at its head."""

    unit: str
    target: str
    """The environment it concerns; '' for several."""
    to: CommitId | None
    """What a rollback goes back to; None for a freeze or a hold."""
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
    """None when the head is nothing of the kind, or not known here yet."""
    try:
        commit = looking.repo.commit(pull.head_sha)
    except errors.RefusedError:
        return None
    found = records.parse(commit.message).rollbacks
    if found:
        unit, target, to = found[0].unit, str(found[0].target), found[0].commit
    else:
        unit, target, to = *_marked(looking, survey, pull.head_sha), None
    environment = survey.repository.environment(target)
    asked = _ASKED_BY.search(commit.message)
    asked_by = asked[1].strip() if asked else ""
    outcome = None
    if environment is not None and to is not None and pull.state == "open":
        outcome = rollback.outcome_of(looking, survey, environment, to, pull.head_sha)
    verdicts = tuple(_approvals(survey, environment, pull, reviews, teams, asked_by)) if environment else ()
    return Proposed(
        unit=unit, target=target, to=to, message=commit.message, asked_by=asked_by, outcome=outcome, verdicts=verdicts
    )


def _marked(looking: Surveyor, survey: Survey, head: CommitId) -> tuple[str, str]:
    """The app and the one environment that a freeze or a hold coming or going concerns."""
    after = source.discover(looking.repo.tree(head))
    before: set[Freeze | Hold] = {*survey.repository.freezes, *survey.repository.holds}
    now: set[Freeze | Hold] = {*after.freezes, *after.holds}
    changed = before ^ now
    environments = {name for one in changed for name in one.environments or ("", "")}
    units = {one.unit for one in changed if isinstance(one, Hold)}
    return next(iter(units), REMAINDER), environments.pop() if len(environments) == 1 else ""


def _approvals(
    survey: Survey,
    target: Environment,
    pull: PullRequest,
    reviews: Sequence[Review],
    teams: Mapping[str, Sequence[str]],
    asked_by: str,
) -> list[gates.Verdict]:
    newest = {one.user: one for one in sorted(reviews, key=lambda one: one.when) if one.state != "commented"}
    situation = gates.Situation(
        unit=REMAINDER,
        target=target,
        commit=pull.head_sha,
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
    return gates.approvals(situation)


def login_of(asked_by: str) -> str:
    """The login in 'Name (login)', or the whole of it."""
    return asked_by.rpartition("(")[2].removesuffix(")") if asked_by.endswith(")") else asked_by
