"""`penstock rollback`: an environment, or one app of it, back to an earlier state."""

from __future__ import annotations

from pathlib import Path

import click

from penstock.cli import fleets


@click.command(
    "rollback",
    epilog="""\b
Examples:
  penstock rollback staging web                 web as it was before its newest change there
  penstock rollback prod --to 5c1e9bb           everything in prod as it was at a commit
  penstock rollback staging web --dry-run""",
)
@click.argument("environment", metavar="ENV")
@click.argument("app", required=False)
@click.option("--to", metavar="REV", help="The earlier revision.  [default: before the newest change]")
@click.option("--dry-run", is_flag=True, help="Only show what would be proposed.")
@fleets.fleet_option
@fleets.output_option
def command(environment: str, app: str | None, to: str | None, dry_run: bool, fleet: Path | None, output: str) -> None:
    """Propose to take ENV, or one APP of it, back to an earlier revision, by a pull request."""
    from penstock.app import rollback
    from penstock.promote import text

    found = fleets.in_world(fleet, lambda world: rollback.rollback(world, environment, app, to=to, dry_run=dry_run))
    changes = found.outcome.rows if found.outcome else ()
    if output != "table":
        told = [(row, fleets.given(row.before), fleets.given(row.after)) for row in changes]
        shown = [{"object": row.object, "field": row.field, "now": now, "after": after} for row, now, after in told]
        pull = {"pull": found.pull.number, "url": found.pull.url} if found.pull else {"pull": None, "url": None}
        fleets.print_data({"title": found.title, "changes": shown, **pull}, output)
        return
    click.echo(f"{found.title}\n")
    rows = [["OBJECT", "FIELD", "NOW", "AFTER"]]
    for row in changes:
        values = [fleets.cut(text.value_of(value), 40) for value in (row.before, row.after)]
        rows.append([fleets.plain(row.object), fleets.cut(fleets.plain(row.field), 70), *values])
    for line in fleets.columns(rows):
        click.echo(line)
    if found.pull:
        click.echo(f"\nproposed as #{found.pull.number}: {found.pull.url}")
