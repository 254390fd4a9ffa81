"""Take an environment, or one app of it, back to what it was at an earlier commit: by a pull request like any other change.

In: an open world, an environment, an app or all, an earlier revision. Out: the pull request. What was rolled back is not
promoted again until it changes in the source, or a person asks for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.app.log import found
from penstock.app.promote import known_unit
from penstock.app.status import surveyor
from penstock.controllers.promotion_cases import Survey
from penstock.controllers.promotion_history import History, unit_paths
from penstock.controllers.promotion_reverting import ASKED_BY as ASKED_BY
from penstock.controllers.promotion_reverting import BRANCHES as BRANCHES
from penstock.controllers.promotion_reverting import Reverter, Reverting
from penstock.controllers.promotion_survey import Surveyor
from penstock.model import errors
from penstock.model.pipeline import Environment
from penstock.model.values import CommitId
from penstock.ports.repo import Repo
from penstock.promote import verdict

if TYPE_CHECKING:
    from penstock.app.world import World


async def rollback(
    world: World, environment: str, unit: str | None, *, to: str | None = None, dry_run: bool = False, by: str = ""
) -> Reverting:
    """Propose it; without `to`, to before the newest change; `by` is recorded. Raises InputError for unknown names and
    revisions, and when there is nothing to take back."""
    looking = surveyor(world)
    survey = await looking.survey()
    target = found(survey.repository, environment)
    if unit is not None:
        known_unit(survey.repository, unit)
    commit = _revision(world.repo, looking.history, survey, target, unit, to)
    reverter = Reverter(repo=world.repo, renderer=looking.renderer)
    proposed = reverter.compose(survey, target, commit, (unit,) if unit else (), by=by)
    if not proposed.files:
        raise errors.invalid(
            f"{unit or environment} is the same at {commit[:7]}", hint="--to names an earlier revision", code="NothingToDo"
        )
    return proposed if dry_run else await reverter.propose(world.forge, world.branch, proposed, unit)


def outcome_of(
    looking: Surveyor, survey: Survey, target: Environment, commit: CommitId, head: CommitId
) -> verdict.Outcome | None:
    """What changes among the rendered objects; None when one of the sides does not render."""
    return Reverter(repo=looking.repo, renderer=looking.renderer).outcome(survey, target, commit, head)


def _revision(repo: Repo, history: History, survey: Survey, target: Environment, unit: str | None, to: str | None) -> CommitId:
    if to is not None:
        commit = repo.resolve(to)
        if commit is None or not repo.is_ancestor(commit, survey.tip):
            hint = f"penstock log {target.name} shows them"
            raise errors.invalid(f"{to!r} is no earlier revision of the main branch", hint=hint, code="UnknownRevision")
        return commit
    newest = history.newest(unit_paths(target, unit) if unit else target.paths, survey.tip)
    if newest is None or not newest.parents:
        raise errors.invalid(f"{unit or target.name} has no earlier state", code="NothingToDo")
    return newest.parents[0]
