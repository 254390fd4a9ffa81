"""Record today's differences between two environments as meant, so that only later changes travel.

In: an open world, two environments, one app or all. Out: a pull request with one small file under .penstock/; once it is
merged, everything that is the same or different today stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from penstock.app.log import found
from penstock.app.promote import known_unit
from penstock.app.status import surveyor
from penstock.controllers.promotion_cases import EMAIL, LABEL, NAME, Survey
from penstock.controllers.promotion_survey import Surveyor
from penstock.model import errors
from penstock.model.pipeline import Environment
from penstock.model.values import CommitId, EnvName
from penstock.ports.forge import PullRequest
from penstock.ports.repo import Signature
from penstock.promote import change, text, verdict

if TYPE_CHECKING:
    from penstock.app.world import World

_BRANCHES = "penstock/adopt/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopted:
    """What is, or would be, recorded."""

    source: EnvName
    target: EnvName
    unit: str
    commit: CommitId
    """Today: what differs in it is meant."""
    path: str
    content: bytes
    rows: tuple[verdict.Row, ...]
    """What differs, by rendered object and field."""
    pull: PullRequest | None = None


async def adopt(world: World, source: str, target: str, *, unit: str = "", dry_run: bool = False) -> Adopted:
    """Propose the record. Raises InputError for unknown names or a step that the pipeline does not have."""
    looking = surveyor(world)
    survey = await looking.survey()
    origin, environment = found(survey.repository, source), found(survey.repository, target)
    if origin.name not in environment.promote_from:
        whence = ", ".join(environment.promote_from) or "nothing"
        hint = f"{target} is promoted from {whence}"
        raise errors.invalid(f"nothing is promoted from {source} to {target}", hint=hint, code="NoStep")
    if unit:
        known_unit(survey.repository, unit)
    path, content = change.settled_file(looking.repo.tree(survey.tip), origin.name, environment.name, unit, survey.tip)
    rows = _differences(looking, survey, origin, environment, unit)
    adopted = Adopted(
        source=origin.name, target=environment.name, unit=unit, commit=survey.tip, path=path, content=content, rows=rows
    )
    if dry_run:
        return adopted
    return await _propose(world, survey, adopted)


def _differences(
    looking: Surveyor, survey: Survey, source: Environment, target: Environment, unit: str
) -> tuple[verdict.Row, ...]:
    here = looking.renderer.at(survey.tip, source, survey.seen[source.name]).objects
    there = looking.renderer.at(survey.tip, target, survey.seen[target.name]).objects
    if unit:
        here = tuple(verdict.of_unit(here, [f"{path}/apps/{unit}" for path in source.paths]))
        there = tuple(verdict.of_unit(there, [f"{path}/apps/{unit}" for path in target.paths]))
    else:
        here = tuple(verdict.of_unit(here, source.paths, [f"{path}/flux-system" for path in source.paths]))
        there = tuple(verdict.of_unit(there, target.paths, [f"{path}/flux-system" for path in target.paths]))
    return verdict.compare(source=here, before=there, after=there, base=None, differences=target.differences).rows


async def _propose(world: World, survey: Survey, adopted: Adopted) -> Adopted:
    name = f"{adopted.source}-{adopted.target}" + (f"-{adopted.unit}" if adopted.unit else "")
    branch = f"{_BRANCHES}{name}"
    about = f"{adopted.unit}: " if adopted.unit else ""
    title = f"Adopt {about}what differs between {adopted.source} and {adopted.target} is meant"
    author = Signature(name=NAME, email=EMAIL, when=world.clock.now())
    commit = world.repo.write_commit([survey.tip], {adopted.path: adopted.content}, message=f"{title}\n", author=author)
    await world.repo.push(branch, commit, expect=world.repo.branches(branch).get(branch))
    pull = await world.forge.open_pull(
        title=title, body=_body(adopted), head=branch, base=world.branch, draft=False, labels=[LABEL]
    )
    from dataclasses import replace

    return replace(adopted, pull=pull)


def _body(adopted: Adopted) -> str:
    lines = [
        (
            f"Once this is merged, everything in which {adopted.target} differs from {adopted.source} as of {adopted.commit[:7]} "
            f"counts as meant, and only later changes of {adopted.source} are promoted."
        ),
        "",
        f"| | {adopted.source} | {adopted.target} |",
        "|---|---|---|",
    ]
    for row in adopted.rows[:100]:
        field = f" {text.code(row.field, 160)}" if row.field else ""
        lines.append(f"| {text.clean(row.object)}{field} | {text.code(row.source)} | {text.code(row.after)} |")
    if len(adopted.rows) > 100:
        lines.append(f"| and {len(adopted.rows) - 100} more | | |")
    return "\n".join(lines) + "\n"
