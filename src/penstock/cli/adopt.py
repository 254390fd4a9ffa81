"""`penstock adopt`: today's differences are meant."""

from __future__ import annotations

from pathlib import Path

import click

from penstock.cli import fleets


@click.command(
    "adopt",
    epilog="""\b
Examples:
  penstock adopt dev staging --dry-run        what differs today
  penstock adopt dev staging                  propose to record it; once merged, only later changes travel
  penstock adopt dev staging --app web""",
)
@click.argument("source")
@click.argument("target")
@click.option("--app", default="", help="Only this app.")
@click.option("--dry-run", is_flag=True, help="Only show what would be recorded.")
@fleets.fleet_option
@fleets.output_option
def command(source: str, target: str, app: str, dry_run: bool, fleet: Path | None, output: str) -> None:
    """Record today's differences between SOURCE and TARGET as meant, by a pull request."""
    from penstock.app import adopt
    from penstock.promote import text

    found = fleets.in_world(fleet, lambda world: adopt.adopt(world, source, target, unit=app, dry_run=dry_run))
    if output != "table":
        told = [(row, fleets.given(row.source), fleets.given(row.after)) for row in found.rows]
        shown = [{"object": row.object, "field": row.field, "source": left, "target": right} for row, left, right in told]
        pull = {"pull": found.pull.number, "url": found.pull.url} if found.pull else {"pull": None, "url": None}
        fleets.print_data({"commit": found.commit, "differences": shown, **pull}, output)
        return
    rows = [["OBJECT", "FIELD", source.upper(), target.upper()]]
    for row in found.rows:
        values = [fleets.cut(text.value_of(value), 40) for value in (row.source, row.after)]
        rows.append([fleets.plain(row.object), fleets.cut(fleets.plain(row.field), 70), *values])
    for line in fleets.columns(rows):
        click.echo(line)
    click.echo(f"\n{len(found.rows)} difference{'s' if len(found.rows) != 1 else ''} as of {found.commit[:7]}")
    if found.pull:
        click.echo(f"proposed as #{found.pull.number}: {found.pull.url}")
