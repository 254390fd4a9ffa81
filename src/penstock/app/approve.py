"""Approve a promotion as a person, through the forge, at exactly the content that was looked at.

In: a world opened as that person, a pull request or an app and a target. Out: what was approved, and what is still needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from penstock.app.log import found
from penstock.app.promote import known_unit
from penstock.app.status import surveyor
from penstock.controllers.promotion_cases import Case, Survey
from penstock.model import errors

if TYPE_CHECKING:
    from penstock.app.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Approved:
    """What was approved, by whom, and how its gates stand now."""

    by: str
    case: Case


async def approve(world: World, what: str, target: str = "", *, dry_run: bool = False) -> Approved:
    """Approve pull request `what`, or the one that brings app `what` to `target`.

    Raises InputError when there is no such promotion, RemoteError when the forge refuses. With `dry_run` only looks.
    """
    by = await world.forge.whoami()
    survey = await surveyor(world).survey()
    case = _case(survey, what, target)
    if not dry_run:
        assert case.pull is not None
        await world.forge.review(case.pull.number, state="approved", commit=case.pull.head_sha)
        survey = await surveyor(world).survey()
        case = _case(survey, what, target)
    return Approved(by=by, case=case)


def _case(survey: Survey, what: str, target: str) -> Case:
    number = what.removeprefix("#")
    if number.isdigit():
        cases = [case for case in survey.cases if case.pull and case.pull.number == int(number)]
        nothing = f"#{number} is no open promotion"
    else:
        known_unit(survey.repository, what)
        if target:
            found(survey.repository, target)
        cases = [case for case in survey.cases if case.pull and case.unit == what and target in ("", case.target.name)]
        nothing = f"no pull request brings {what} to {target or 'anywhere'}"
    if len(cases) > 1:
        names = ", ".join(case.target.name for case in cases)
        raise errors.invalid(f"{what} is on its way to {names}", hint="say which with --to", code="Ambiguous")
    if not cases:
        opened = ", ".join(f"#{case.pull.number} {case.unit} to {case.target.name}" for case in survey.cases if case.pull)
        raise errors.invalid(nothing, hint=f"open promotions: {opened or 'none'}", code="NoPromotion")
    return cases[0]
