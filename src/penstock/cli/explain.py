"""`penstock explain`: why one app's change is not everywhere yet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from penstock.cli import fleets

if TYPE_CHECKING:
    from penstock.app import explain as explaining


@click.command(
    "explain",
    epilog="""\b
Examples:
  penstock explain web            one screen, with the one thing to do next
  penstock explain web -o json""",
)
@click.argument("app")
@fleets.fleet_option
@fleets.output_option
def command(app: str, fleet: Path | None, output: str) -> None:
    """Say why a change of APP is not everywhere yet, and the one thing to do next."""
    from penstock.app import explain as explaining

    found = fleets.in_world(fleet, lambda world: explaining.explain(world, app))
    if output != "table":
        fleets.print_data(found, output)
        return
    show(found)


def show(found: explaining.Explanation) -> None:
    click.echo(_headline(found) + "\n")
    rows = [_row(step, found) for step in found.steps]
    for line in fleets.columns([["", *row] for row in rows]):
        click.echo(line)
    click.echo(f"\nNext: {fleets.plain(found.next)}.")


def _headline(found: explaining.Explanation) -> str:
    """'web: 4be1c02 "raise checkout timeout" is live in dev, not yet in staging.'"""
    if found.commit is None:
        return f"{found.unit}: nothing of it is live anywhere."
    parts = []
    for step in found.steps:
        cell = step.cell
        here = cell.commit == found.commit and cell.health == "healthy"
        parts.append(f"{'live' if here else 'not yet'} in {cell.environment}")
    return (
        f'{fleets.paint(found.unit, None, bold=True)}: {found.commit[:7]} "{fleets.plain(found.subject)}" is {", ".join(parts)}.'
    )


def _row(step: explaining.Step, found: explaining.Explanation) -> list[str]:
    cell, pending = step.cell, step.cell.pending
    name = str(cell.environment)
    if pending is None:
        if cell.state == "absent":
            return [name, "not there", ""]
        since = f" since {cell.since:%Y-%m-%d %H:%M UTC}, {fleets.ago(cell.since, found.now)}" if cell.since else ""
        digest = (
            f"evidence: Kustomization {name}, digest {step.digest[:15]}..., generation {step.generation}" if step.digest else ""
        )
        return [
            name,
            f"{fleets.mark(cell.state)} {(cell.commit or '')[:7]} {cell.health}{since}",
            digest or fleets.plain(cell.problem),
        ]
    what = f"PR #{pending.pull} open" if pending.pull else f"after {step.source}"
    if pending.conflicts:
        return [name, f"{fleets.mark(cell.state)} {what}", f"{_gate_mark('failed')} {fleets.plain(step.reason)}"]
    gates = "  ".join(f"{_gate_mark(one.state)} {fleets.plain(one.text)}" for one in step.verdicts)
    return [name, f"{fleets.mark(cell.state)} {what}", gates or fleets.plain(step.reason)]


def _gate_mark(state: str) -> str:
    return fleets.mark({"passed": "live", "waiting": "moving", "failed": "failing"}[state])
