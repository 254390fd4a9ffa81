"""Wait until an app's newest change is proposed to an environment, or runs healthy in it.

In: an open world, an app, an environment, what to wait for. Out: the cell that satisfies it; each other state is told once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from penstock.app import log, status
from penstock.app.promote import known_unit
from penstock.model import errors
from penstock.model.values import EnvName

if TYPE_CHECKING:
    from penstock.app.world import World

Wanted = Literal["healthy", "proposed"]
_LOOK_SECONDS = 1.0


async def wait(
    world: World,
    unit: str,
    environment: str,
    wanted: Wanted,
    *,
    commit: str = "",
    seconds: float,
    tell: Callable[[str], None],
) -> status.Cell:
    """The cell, once it is as wanted: with `commit`, once that commit (or the start of its id) is there, else once nothing is
    on its way into it any more.

    Raises InputError for unknown names, ConflictError when a person has to decide first, TransientError when time is up.
    """
    surveyor = status.surveyor(world)
    until = world.clock.monotonic() + seconds
    said = ""
    while True:
        try:
            survey = await surveyor.survey()
        except errors.TransientError as error:
            line = f"looking again: {error.what}"
        else:
            known_unit(survey.repository, unit)
            target = log.found(survey.repository, environment)
            row = next((one for one in status.of(surveyor, survey).rows if one.unit == unit), None)
            cell = next(one for one in row.cells if one.environment == target.name) if row else None
            if cell is not None and cell.pending is not None and cell.pending.conflicts:
                raise errors.ConflictError(
                    f"{unit} cannot go to {environment}: {cell.pending.conflicts} fields need a decision",
                    hint=f"penstock promote {unit} --to {environment} --dry-run",
                )
            if cell is not None and row is not None and _is(cell, row, wanted, commit, tuple(target.promote_from)):
                return cell
            line = _words(unit, environment, cell)
        if line != said:
            tell(line)
            said = line
        if world.clock.monotonic() >= until:
            raise errors.TransientError(
                f"waited {seconds:.0f} s, and still: {line}", hint=f"penstock explain {unit}", code="TimedOut"
            )
        await world.clock.sleep(_LOOK_SECONDS)


def _is(cell: status.Cell, row: status.Row, wanted: Wanted, commit: str, sources: tuple[EnvName, ...]) -> bool:
    if wanted == "proposed":
        return cell.pending is not None and cell.pending.pull > 0 and (not commit or cell.pending.commit.startswith(commit))
    if cell.state != "live" or not cell.commit:
        return False
    if commit:
        return cell.commit.startswith(commit)
    # What is on its way upstream is on its way here too: in a moment it is proposed.
    upstream = [one for one in row.cells if one.environment in sources]
    return all(one.commit == cell.commit and one.pending is None for one in upstream)


def _words(unit: str, environment: str, cell: status.Cell | None) -> str:
    if cell is None:
        return f"{unit} is nowhere yet"
    if cell.state in ("failing", "unknown"):
        return f"{unit} in {environment}: {cell.problem or cell.health}"
    if cell.pending is not None:
        waits = "; ".join(one.what for one in cell.pending.waits)
        what = f"#{cell.pending.pull} is open" if cell.pending.pull else "not proposed yet"
        return f"{unit} to {environment}: {what}" + (f", waits for: {waits}" if waits else f" ({cell.pending.reason})")
    return f"{unit} in {environment}: {(cell.commit or '')[:7]} {cell.health or cell.state}"
