"""`penstock log`: what came into an environment, from Git alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from penstock.cli import fleets
from penstock.model import errors

if TYPE_CHECKING:
    from penstock.app import log as logs

_SOME, _ALL = 20, 1000


@click.command(
    "log",
    epilog="""\b
Examples:
  penstock log prod               what came into prod, newest first
  penstock log prod -n 5 -o json
  penstock log prod --summary     lead time, change failure rate, time to restore
  penstock log prod -C ../fleet   in a clone of the repository: no cluster and no forge is asked""",
)
@click.argument("environment", metavar="ENV")
@click.option("-n", "limit", type=click.IntRange(1), help="How many entries.  [default: 20]")
@click.option(
    "-C", "--repository", "folder", type=click.Path(path_type=Path), help="A clone to read, in place of the fleet's repository."
)
@click.option("--summary", is_flag=True, help="Only the figures over all entries (-n 1000 where it does not say).")
@click.option("--branch", help="The branch that is live.  [default: the fleet's, or what is checked out in the clone]")
@fleets.fleet_option
@fleets.output_option
def command(
    environment: str,
    limit: int | None,
    folder: Path | None,
    summary: bool,
    branch: str | None,
    fleet: Path | None,
    output: str,
) -> None:
    """Show what came into ENV, when, from where and who let it: from Git alone."""
    from penstock.app import log as logs

    entries = _entries(environment, limit or (_ALL if summary else _SOME), folder, branch, fleet)
    if output != "table":
        found = logs.summary(entries)
        fleets.print_data({**_asdict(found), "failure_rate": found.failure_rate} if summary else entries, output)
        return
    if not summary:
        show(entries, environment)
    if entries:
        click.echo(("" if summary else "\n") + _figures(logs.summary(entries)))


def _asdict(found: logs.Summary) -> dict[str, object]:
    import dataclasses

    return dataclasses.asdict(found)


def _figures(found: logs.Summary) -> str:
    """'12 promotions since 2026-02-01: lead time 2 h, change failure rate 8 %, restored within 12 min, 1 bypass'."""
    from penstock.promote import gates

    if not found.promotions or found.since is None:
        return "no promotion yet"
    parts = [f"{found.promotions} promotion{'s' if found.promotions > 1 else ''} since {found.since:%Y-%m-%d}"]
    if found.lead_time is not None:
        parts.append(f"lead time {gates.span(found.lead_time)} (median)")
    parts.append(f"change failure rate {found.failure_rate or 0:.0%}")
    if found.time_to_restore is not None:
        parts.append(f"restored within {gates.span(found.time_to_restore)} (median)")
    if found.bypasses:
        parts.append(f"{found.bypasses} bypass{'es' if found.bypasses > 1 else ''}")
    return parts[0] + ": " + ", ".join(parts[1:])


def _entries(environment: str, limit: int, folder: Path | None, branch: str | None, fleet: Path | None) -> tuple[logs.Entry, ...]:
    from penstock.app import log as logs
    from penstock.app import world

    if folder is None and (fleet or world.find(Path.cwd())):

        async def read(opened: world.World) -> tuple[logs.Entry, ...]:
            return logs.log(opened.repo, branch or opened.branch, environment, limit=limit)

        return fleets.in_world(fleet, read)
    from penstock.adapters import git

    try:
        repo = git.LocalRepo(folder or Path.cwd())
    except errors.RefusedError as error:
        raise errors.invalid(error.what, hint="run it in a clone, or name one with -C", code="NotARepository") from None
    return logs.log(repo, branch or "HEAD", environment, limit=limit)


def show(entries: tuple[logs.Entry, ...], environment: str) -> None:
    from penstock.promote import gates

    if not entries:
        click.echo(f"nothing ever came into {environment}")
        return
    rows = [["WHEN", "APP", "CHANGE", "FROM", "PR", "APPROVED", "HEALTHY", "LEAD TIME"]]
    for entry in entries:
        words = {"bypass": fleets.paint("BYPASS ", "red"), "rollback": fleets.paint("ROLLBACK ", "yellow")}.get(entry.kind, "")
        change = f"{words}{fleets.cut(fleets.plain(entry.subject), 56)} ({fleets.plain(entry.author)})"
        if entry.bypassed:
            change += f" merged by {fleets.plain(entry.merged_by)} past {', '.join(map(fleets.plain, entry.bypassed))}"
        rows.append(
            [
                f"{entry.when:%Y-%m-%d %H:%M}",
                "environment" if entry.unit.startswith("_") else entry.unit,
                change,
                str(entry.source or "-"),
                entry.pull or "-",
                ", ".join(map(fleets.plain, entry.approved_by)) or "-",
                gates.span(entry.healthy_after) if entry.healthy_after is not None else "-",
                gates.span(entry.lead_time) if entry.lead_time is not None else "-",
            ]
        )
    for line in fleets.columns(rows):
        click.echo(line)
