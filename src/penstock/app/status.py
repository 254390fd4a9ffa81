"""What runs where, how healthy, since when, and what waits for what. Looks only.

In: an open world. Out: a `Status`: environments across, units down. Every fact is read now from Git, clusters and forge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from penstock.controllers.promotion_cases import Case, Survey
from penstock.controllers.promotion_survey import Surveyor
from penstock.model.pipeline import REMAINDER, Environment
from penstock.model.values import CommitId, EnvName
from penstock.promote import change, evidence, gates

if TYPE_CHECKING:
    from penstock.app.world import World

State = Literal["live", "moving", "person", "failing", "unknown", "absent"]
"""live: runs healthy; moving: on its way, by itself; person: waits for somebody; failing: needs you; unknown: its cluster
does not answer; absent: the unit is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """One thing a promotion waits for."""

    what: str
    until: datetime | None = None
    who: gates.Who = "nobody"
    failed: bool = False
    need: str = ""
    """What has to be done, for a sentence that begins with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A promotion into a cell that is not done."""

    source: EnvName
    commit: CommitId
    subject: str
    pull: int = 0
    url: str = ""
    draft: bool = False
    conflicts: int = 0
    reason: str = ""
    """What the controller does or waits for."""
    waits: tuple[Waiting, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One unit in one environment."""

    environment: EnvName
    state: State
    commit: CommitId | None = None
    """The commit, as a person wrote it, that gave the unit what is live here (or would be)."""
    subject: str = ""
    health: str = ""
    """'healthy', 'syncing', 'failing' or 'unknown'."""
    since: datetime | None = None
    problem: str = ""
    pending: Pending | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One unit across the environments."""

    unit: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The newest commit of the main branch."""

    commit: CommitId
    subject: str
    author: str
    when: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The whole picture at one moment."""

    name: str
    branch: str
    head: Head
    environments: tuple[EnvName, ...]
    rows: tuple[Row, ...]
    now: datetime
    problems: tuple[str, ...] = ()
    """Clusters that do not answer, files that cannot be read."""


def surveyor(world: World) -> Surveyor:
    """Something that looks at this world."""
    return Surveyor(
        repo=world.repo,
        forge=world.forge,
        clusters=world.clusters,
        clock=world.clock,
        outbound=world.outbound,
        branch=world.branch,
    )


async def status(world: World) -> Status:
    """Look now. Raises RemoteError when Git or the forge cannot be asked; a silent cluster is told in its cells."""
    looking = surveyor(world)
    return of(looking, await looking.survey(), name=_name(world))


def _name(world: World) -> str:
    return world.fleet.repository.url.rstrip("/").rpartition("/")[2].removesuffix(".git")


def of(looking: Surveyor, survey: Survey, *, name: str = "") -> Status:
    """The status that a survey shows."""
    head = looking.repo.commit(survey.tip)
    repository = survey.repository
    units = [*repository.apps(), REMAINDER]
    # What lists the apps is parsed once for all cells: it is as long as there are apps.
    pairs = {env.name: alone(looking, survey, env) for env in repository.environments}
    rows = [
        Row(unit=unit, cells=tuple(_cell(looking, survey, env, unit, pairs[env.name]) for env in repository.environments))
        for unit in units
    ]
    silent = [seen.problem for seen in survey.seen.values() if seen.problem]
    return Status(
        name=repository.name or name,
        branch=looking.branch,
        head=Head(commit=head.id, subject=head.subject, author=head.author.name, when=head.committer.when),
        environments=tuple(env.name for env in repository.environments),
        # The remainder is shown only where something is going on: it is no app.
        rows=tuple(row for row in rows if row.unit != REMAINDER or any(cell.pending for cell in row.cells)),
        now=survey.now,
        problems=(*silent, *survey.faults, *(str(one) for one in repository.problems if one.severity == "error")),
    )


def _cell(looking: Surveyor, survey: Survey, environment: Environment, unit: str, pair: change.Pair) -> Cell:
    pending = _pending(survey.case(environment.name, unit), survey)
    if environment.unit(unit) is None:
        state: State = "absent" if pending is None else _moving(pending)
        return Cell(environment=environment.name, state=state, pending=pending)
    found = looking.judge.evidence(survey, environment, pair, unit)
    seen = survey.seen.get(environment.name)
    applied = found.applied or survey.tip
    if found.state == "unknown":
        applied = survey.tip
    origin = looking.history.origin(environment, unit, applied, survey.repository)
    health, problem = _health(found, (seen.manifest if seen else None) or {})
    if health == "failing":
        state = "failing"
    elif health == "unknown":
        state = "unknown"
    elif pending is not None:
        state = _moving(pending)
    else:
        state = "live" if health == "healthy" else "moving"
    return Cell(
        environment=environment.name,
        state=state,
        commit=origin.id if origin else None,
        subject=origin.subject if origin else "",
        health=health,
        since=found.since,
        problem=problem,
        pending=pending,
    )


def alone(looking: Surveyor, survey: Survey, environment: Environment) -> change.Pair:
    """An environment compared with itself: evidence needs to know what the main branch has there."""
    tree = looking.repo.tree(survey.tip)
    return change.Pair(source=environment, target=environment, base=None, base_commit=None, tree=tree)


def _health(found: evidence.Evidence, manifest: Mapping[str, Any]) -> tuple[str, str]:
    """(health, problem)."""
    match found.state:
        case "healthy":
            return "healthy", ""
        case "unknown":
            return "unknown", found.reason
        case "waiting":
            return "syncing", found.reason
    # A failure of one object is told by itself; any other by the words of its Kustomization.
    own = found.reason if "/" in found.reason.split(" ", 1)[0] else _short(_ready_message(manifest)) or found.reason
    return "failing", own


def _ready_message(manifest: Mapping[str, Any]) -> str:
    conditions = (manifest.get("status") or {}).get("conditions") or ()
    return next((str(one.get("message") or "") for one in conditions if one.get("type") == "Ready"), "")


def _short(message: str, limit: int = 160) -> str:
    line = " ".join(message.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _pending(case: Case | None, survey: Survey) -> Pending | None:
    if case is None or case.change.empty:
        return None
    subject = case.commits[0].subject if case.commits else ""
    return Pending(
        source=case.source.name,
        commit=CommitId(case.commits[0].commit) if case.commits else case.change.commit,
        subject=subject,
        pull=case.pull.number if case.pull else 0,
        url=case.pull.url if case.pull else "",
        draft=bool(case.pull and case.pull.draft),
        conflicts=len(case.change.conflicts),
        reason=case.decision.reason,
        waits=waiting_of(case.verdicts),
    )


def waiting_of(verdicts: Sequence[gates.Verdict]) -> tuple[Waiting, ...]:
    """What is not green."""
    return tuple(
        Waiting(what=one.text, until=one.until, who=one.who, failed=one.state == "failed", need=one.need)
        for one in verdicts
        if one.state != "passed"
    )


def _moving(pending: Pending) -> State:
    if pending.conflicts or pending.draft:
        return "person"
    waits = [one.who for one in pending.waits]
    return "person" if waits and all(who == "person" for who in waits) else "moving"
