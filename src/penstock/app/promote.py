"""Promote now what a person asks for: the same steps as the controller's, for the units and the target that are named.

In: an open world, a unit or none for all, a target, decisions on conflicting fields. Out: the cases, and what was done.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from penstock.app.log import found
from penstock.app.status import surveyor
from penstock.controllers.promotion import Controller, Done
from penstock.controllers.promotion_cases import Asked, Case, Survey
from penstock.merge.outcome import Choice
from penstock.model import errors
from penstock.model.pipeline import REMAINDER, Environment, Repository
from penstock.model.values import EnvName

if TYPE_CHECKING:
    from penstock.app.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Promoted:
    """What was found and, unless it was a dry run, done."""

    source: EnvName
    target: EnvName
    cases: tuple[Case, ...]
    done: tuple[Done, ...] = ()


async def promote(
    world: World, unit: str | None, target: str, *, choices: Sequence[Choice] = (), dry_run: bool = False
) -> Promoted:
    """Open or update the pull requests; with `dry_run` only say what they would be.

    Raises InputError for unknown names, RemoteError when Git or the forge cannot be asked. Conflicts are in the cases.
    """
    asked = Asked(unit=unit or "", target=EnvName(target), choices=tuple(choices))
    looking = surveyor(world)
    survey = await looking.survey([asked])
    environment = found(survey.repository, target)
    origin = _checked(survey, environment, unit)
    done: tuple[Done, ...] = ()
    if not dry_run:
        controller = controller_of(world)
        for _ in range(_PASSES):
            report = await controller.once([asked], only_asked=True)
            done += report.done
            survey = report.survey
            if report.problems:
                raise errors.RemoteError(report.problems[0], code="Promote")
            if not report.again:
                break
    cases = tuple(case for case in survey.cases if asked.concerns(case.change) and not case.change.empty)
    return Promoted(source=origin, target=environment.name, cases=cases, done=done)


def controller_of(world: World) -> Controller:
    """The controller that promotes in this world."""
    return Controller(
        repo=world.repo,
        forge=world.forge,
        clusters=world.clusters,
        clock=world.clock,
        outbound=world.outbound,
        branch=world.branch,
    )


_PASSES = 10
"""Enough for opening, telling, merging and cleaning up; races are retried by running the command again."""


def _checked(survey: Survey, target: Environment, unit: str | None) -> EnvName:
    """Where the target's configuration comes from. Raises InputError for what does not fit."""
    if not target.promote_from:
        others = ", ".join(str(env.name) for env in survey.repository.environments if env.promote_from)
        raise errors.invalid(
            f"nothing is promoted into {target.name}",
            hint=f"it is where changes begin; promotions lead into: {others}" if others else "penstock.yaml says promoteFrom",
            code="NoUpstream",
        )
    if unit is not None:
        known_unit(survey.repository, unit)
    return target.promote_from[0]


def known_unit(repository: Repository, unit: str) -> None:
    """Raises InputError, with a guess, when no environment has this app."""
    apps = repository.apps()
    if unit != REMAINDER and unit not in apps:
        near = difflib.get_close_matches(unit, apps, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"apps here: {', '.join(apps) or 'none'}"
        raise errors.invalid(f"there is no app {unit!r}", hint=hint, code="UnknownApp")


def parse_choice(text: str, side: str, source: EnvName, target: EnvName) -> Choice:
    """'dev:data.timeout', '#ConfigMap/web data.timeout' or 'data.timeout' as a choice of 'take' or 'keep'.

    Raises InputError when it names the other environment.
    """
    name, colon, rest = text.partition(":")
    wanted, other = (source, target) if side == "take" else (target, source)
    if colon and name == other:
        raise errors.invalid(
            f"--{side} {text} names {other}", hint=f"--{side} is about what {wanted} has: --{side} {wanted}:{rest}", code="Choice"
        )
    field = rest if colon and name == wanted else text
    return Choice(field=field.strip(), side="source" if side == "take" else "target")
