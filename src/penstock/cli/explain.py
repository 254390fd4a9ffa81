"""`penstock explain`: why one app's change is not everywhere yet."""

from __future__ import annotations

import shutil
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import click

from penstock.cli import fleets

if TYPE_CHECKING:
    from penstock.app import explain as explaining

_NARROW = 36


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
    total = shutil.get_terminal_size((120, 24)).columns
    left = [max(map(fleets.visible, texts), default=0) for texts in ([row[0] for row in rows], [row[1] for row in rows])]
    indent = 2 + left[0] + 2 + left[1] + 2
    if total - indent < _NARROW:
        indent = 2 + left[0] + 2
    for name, state, pieces in rows:
        lines = _filled(pieces, max(_NARROW, total - indent))
        head = f"  {name.ljust(left[0])}  {state}"
        if lines and indent > 2 + left[0] + 2:
            head += " " * (indent - fleets.visible(head)) + lines.pop(0)
        click.echo(head.rstrip())
        for line in lines:
            click.echo(" " * indent + line)
    click.echo("\n" + "\n".join(textwrap.wrap(f"Next: {fleets.plain(found.next)}.", total, break_long_words=False)))


def _filled(pieces: list[str], width: int) -> list[str]:
    """Pieces side by side as far as they go; one that is longer than a line is wrapped."""
    lines: list[str] = []
    for piece in pieces:
        if lines and fleets.visible(lines[-1]) + 3 + fleets.visible(piece) <= width:
            lines[-1] += "   " + piece
        elif fleets.visible(piece) <= width:
            lines.append(piece)
        else:
            # Colours stand only at a piece's beginning, so a wrapped one keeps its own.
            lines += textwrap.wrap(piece, width, subsequent_indent="  ")
    return lines


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


def _row(step: explaining.Step, found: explaining.Explanation) -> tuple[str, str, list[str]]:
    """(environment, where the change is on its way, what proves it or what it waits for)."""
    cell, pending, name = step.cell, step.cell.pending, str(step.cell.environment)
    health = f"{cell.health} {fleets.ago(cell.since, found.now)}".rstrip()
    if pending is not None:
        what = f"PR #{pending.pull} {'is a draft' if pending.draft else 'open'}" if pending.pull else "not opened"
        state = f"{fleets.mark(cell.state)} {what}"
        if pending.conflicts:
            return name, state, [f"{_gate_mark('failed')} {fleets.plain(step.reason)}"]
        gates = [f"{_gate_mark(one.state)} {fleets.plain(one.text)}" for one in step.verdicts]
        return name, state, [*(gates or [fleets.plain(step.reason)]), *_window(step, found)]
    if cell.state == "absent":
        return name, f"{fleets.mark('absent')} not there", []
    if cell.state == "live" and cell.commit != found.commit and step.source:
        runs = f"runs {(cell.commit or '')[:7]}, {health}"
        return name, f"{fleets.mark('absent')} after {step.source}", [runs, *_window(step, found)]
    day = "" if cell.since is None or cell.since.date() == found.now.date() else f"{cell.since:%Y-%m-%d} "
    since = f"since {day}{cell.since:%H:%M} UTC, " if cell.since else ""
    state = f"{fleets.mark(cell.state)} {'live ' if cell.state == 'live' else ''}{since}{health}"
    if cell.problem:
        return name, state, [fleets.plain(cell.problem)]
    digest = fleets.cut(step.digest, 15)
    proof = f"evidence: Kustomization {name}, digest {digest}, generation {step.generation}" if step.digest else ""
    return name, state, [proof] if proof else []


def _window(step: explaining.Step, found: explaining.Explanation) -> list[str]:
    """When merging may happen; where it is a gate by now, that says it already."""
    if not step.windows or any(one.gate == "window" for one in step.verdicts):
        return []
    opens = f", next opens in {fleets.compact(step.opens - found.now)}" if step.opens else ", open now"
    return [f"window: {' or '.join(step.windows)}{opens}"]


def _gate_mark(state: str) -> str:
    return fleets.mark({"passed": "live", "waiting": "moving", "failed": "failing"}[state])
