"""`penstock status`: environments across, apps down."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import click

from penstock.cli import fleets

if TYPE_CHECKING:
    from penstock.app import status as statuses

_GAP = 2
_NARROWEST, _ROOMY = 21, 24


@click.command(
    "status",
    epilog="""\b
Examples:
  penstock status                 what runs where, and what waits for what
  penstock status -o json         the same with full ids and times
  penstock explain web            why one app's change is not everywhere yet""",
)
@fleets.fleet_option
@fleets.output_option
def command(fleet: Path | None, output: str) -> None:
    """Show what runs where, how healthy, since when, and what waits for what."""
    from penstock.app import status as statuses

    found = fleets.in_world(fleet, statuses.status)
    if output != "table":
        fleets.print_data(found, output)
        return
    show(found)


def show(found: statuses.Status) -> None:
    head = found.head
    click.echo(
        f"{fleets.paint(found.name or 'fleet', None, bold=True)}  {found.branch}@{head.commit[:7]}  "
        f'"{fleets.plain(head.subject)}" ({fleets.plain(head.author)}, {fleets.ago(head.when, found.now)} ago)\n'
    )
    names = [str(name) for name in found.environments]
    label = max((len(_label(row.unit)) for row in found.rows), default=3)
    width = _cell_width(len(names), label)
    rows: list[list[str]] = [["APP", *(name.upper() for name in names)]]
    for row in found.rows:
        cells = [_cell(cell, found, width) for cell in row.cells]
        for number in range(max((len(cell) for cell in cells), default=0)):
            texts = [cell[number] if number < len(cell) else "" for cell in cells]
            label_text = _label(row.unit) if number == 0 else ""
            rows += [[label_text, *texts]]
    for line in fleets.columns(rows, gap=_GAP):
        click.echo(line)
    for problem in found.problems:
        click.echo(fleets.paint(f"! {fleets.plain(problem)}", "red"))
    click.echo("\n" + _legend(found))


def _label(unit: str) -> str:
    return "environment" if unit.startswith("_") else unit


def _cell_width(count: int, label: int) -> int:
    """As wide as the terminal lets a cell be, and not narrower than a mark, a commit and a word need."""
    total = shutil.get_terminal_size((120, 24)).columns
    return max(_NARROWEST, (total - max(3, label)) // max(1, count) - _GAP)


def _cell(cell: statuses.Cell, found: statuses.Status, width: int) -> list[str]:
    """The lines of one cell: revision and state, then what it is or waits for."""
    if cell.state == "absent":
        return [fleets.mark("absent")]
    sign, commit = fleets.mark(cell.state), (cell.commit or "")[:7] or "       "
    pending = cell.pending
    since = fleets.ago(cell.since, found.now)
    first = f"{sign} {commit}{' ' if width < _ROOMY else '  '}{cell.health}" + (
        f" {since}" if since and cell.health == "healthy" else ""
    )
    lines = [first]
    if cell.state in ("failing", "unknown") or (cell.problem and pending is None):
        lines += [f"   {part}" for part in _wrapped(fleets.plain(cell.problem), width - 3)[:3]]
    if pending is None:
        if cell.subject and cell.state == "live":
            lines.append("   " + fleets.paint(fleets.cut(fleets.plain(cell.subject), width - 3), None, dim=True))
        return lines
    title = f"PR #{pending.pull}" + (" draft" if pending.draft else "") if pending.pull else "next"
    lines.append(f"   {title}: {pending.commit[:7]} " + fleets.cut(fleets.plain(pending.subject), max(8, width - 22)))
    lines += [f"   {part}" for part in _wrapped(_waits(pending, found), width - 3)[:3]]
    return lines


def _waits(pending: statuses.Pending, found: statuses.Status) -> str:
    if pending.conflicts:
        return f"{pending.conflicts} conflict{'s' if pending.conflicts > 1 else ''}: a person decides"
    if not pending.waits:
        return fleets.plain(pending.reason)
    shown = [
        fleets.plain(one.what) + (f" ({fleets.compact(one.until - found.now)} left)" if one.until else "")
        for one in pending.waits
    ]
    return "waits: " + ", ".join(shown)


def _wrapped(text: str, width: int) -> list[str]:
    import textwrap

    return textwrap.wrap(text, max(12, width))


def _legend(found: statuses.Status) -> str:
    words = {"live": "live and healthy", "moving": "moving", "person": "waits for a person", "failing": "needs you"}
    legend = "  ".join(f"{fleets.mark(state)} {text}" for state, text in words.items())
    busy = next((row.unit for row in found.rows if any(cell.state not in ("live", "absent") for cell in row.cells)), None)
    return legend + (f"    next: penstock explain {busy}" if busy else "")
