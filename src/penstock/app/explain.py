"""Why is this change not everywhere yet? One unit, environment by environment, and the one thing to do next.

In: an open world and a unit. Out: an `Explanation`, computed from the same survey as `status`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from penstock.app import status as statuses
from penstock.app.promote import known_unit
from penstock.model.pipeline import Window
from penstock.model.values import CommitId, EnvName
from penstock.promote import calendar, gates

if TYPE_CHECKING:
    from penstock.app.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One environment on the way."""

    cell: statuses.Cell
    source: EnvName | None
    digest: str = ""
    generation: int = 0
    verdicts: tuple[gates.Verdict, ...] = ()
    windows: tuple[str, ...] = ()
    opens: datetime | None = None
    """When a window opens next, where none is open now."""
    reason: str = ""
    """What the controller would do or waits for, when something is to be promoted here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """The whole answer."""

    unit: str
    commit: CommitId | None
    subject: str
    steps: tuple[Step, ...]
    next: str
    """The one thing to do, or that there is nothing to do."""
    now: datetime


async def explain(world: World, unit: str) -> Explanation:
    """Look now. Raises InputError for an unknown unit, RemoteError when Git or the forge cannot be asked."""
    looking = statuses.surveyor(world)
    survey = await looking.survey()
    known_unit(survey.repository, unit)
    shown = statuses.of(looking, survey)
    row = next((one for one in shown.rows if one.unit == unit), None)
    cells = row.cells if row else ()
    steps = []
    for cell in cells:
        environment = survey.repository.by_name[cell.environment]
        case = survey.case(cell.environment, unit)
        seen = survey.seen[cell.environment]
        alone = looking.judge.evidence(survey, environment, statuses.alone(looking, survey, environment), unit)
        steps.append(
            Step(
                cell=cell,
                source=environment.promote_from[0] if environment.promote_from else None,
                digest=alone.digest,
                generation=int(((seen.manifest or {}).get("metadata") or {}).get("generation") or 0),
                verdicts=case.verdicts if case else (),
                windows=tuple(calendar.show(window) for window in environment.gates.windows),
                opens=_opens(environment.gates.windows, survey.now),
                reason=case.decision.reason if case and not case.change.empty else "",
            )
        )
    first = next((step for step in steps if step.cell.commit), None)
    return Explanation(
        unit=unit,
        commit=first.cell.commit if first else None,
        subject=first.cell.subject if first else "",
        steps=tuple(steps),
        next=_next(unit, steps),
        now=survey.now,
    )


def _opens(windows: Sequence[Window], now: datetime) -> datetime | None:
    if any(calendar.is_open(window, now) for window in windows):
        return None
    return min((moment for window in windows if (moment := calendar.next_open(window, now))), default=None)


def _next(unit: str, steps: list[Step]) -> str:
    """The first thing, in the order of promotion, that somebody or something has to do."""
    for step in steps:
        cell, pending = step.cell, step.cell.pending
        if cell.state == "failing":
            return f"mend {unit} in {cell.environment}: {cell.problem}"
        if cell.state == "unknown":
            return f"find out why the cluster of {cell.environment} does not answer"
        if pending is None:
            continue
        if pending.conflicts:
            what = f"{pending.conflicts} conflicting fields" if pending.conflicts > 1 else "the conflicting field"
            return f"decide {what}: penstock promote {unit} --to {cell.environment} --dry-run"
        people = [one for one in pending.waits if one.who == "person"]
        later = [one.until for one in pending.waits if one.until]
        then = f", then it merges by itself at {gates.clock_time(max(later))}" if later else ", then it merges by itself"
        if people and pending.pull:
            return f"{people[0].need or people[0].what} on PR #{pending.pull} ({pending.url}){then}"
        if people:
            return people[0].need or people[0].what
        if pending.draft:
            return f"read PR #{pending.pull} and mark it ready ({pending.url})"
        if later:
            return f"nothing to do: it moves on by itself at {gates.clock_time(max(later))}"
        return f"nothing to do: {pending.reason}"
    return "nothing to do: it is everywhere"
