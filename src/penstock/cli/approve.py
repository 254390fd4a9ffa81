"""`penstock approve`: a person lets a promotion go."""

from __future__ import annotations

from pathlib import Path

import click

from penstock.cli import fleets, people


@click.command(
    "approve",
    epilog="""\b
Examples:
  penstock approve 14 --as reviewer
  penstock approve web --to staging --as reviewer
  penstock approve web --to staging --dry-run        what would be approved""",
)
@click.argument("what", metavar="PR|APP")
@click.option("--to", "target", default="", metavar="ENV", help="Where APP is on its way to.")
@click.option("--dry-run", is_flag=True, help="Only show what would be approved.")
@people.login_option
@people.token_option
@fleets.fleet_option
@fleets.output_option
def command(
    what: str, target: str, dry_run: bool, login: str | None, token_file: Path | None, fleet: Path | None, output: str
) -> None:
    """Approve a promotion as yourself, through the forge, at exactly what it holds now."""
    from penstock.app import approve
    from penstock.promote import verdict

    if login is None and not dry_run:
        raise click.UsageError("--as says who you are on the forge: an approval is a person's")
    found = people.in_world(fleet, login, token_file, lambda world: approve.approve(world, what, target, dry_run=dry_run))
    case = found.case
    assert case.pull is not None
    if output != "table":
        left = [{"gate": one.gate, "state": one.state, "text": one.text} for one in case.verdicts if one.state != "passed"]
        who = None if dry_run else found.by
        told = {"pull": case.pull.number, "url": case.pull.url, "title": case.title, "head": case.pull.head_sha, "by": who}
        fleets.print_data({**told, "needed": left}, output)
        return
    click.echo(f"#{case.pull.number} {fleets.plain(case.title)}")
    if case.outcome:
        click.echo(f"  {fleets.plain(verdict.sentence(case.outcome, case.source.name, case.change.commit))}")
    if not dry_run:
        click.echo(f"  approved by {found.by} at {case.pull.head_sha[:7]}")
    waiting = [one for one in case.verdicts if one.state != "passed"]
    needed = "; ".join(fleets.plain(one.text) for one in waiting)
    after = "it is merged by itself now" if case.target.auto_merge else "a person may merge it"
    click.echo(f"  still needed: {needed}" if waiting else f"  nothing more is needed: {after}")
