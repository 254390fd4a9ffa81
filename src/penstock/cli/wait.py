"""`penstock wait`: block until a change has come to an environment."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from penstock.cli import clusters, fleets

if TYPE_CHECKING:
    from penstock.app.status import Cell
    from penstock.app.wait import Wanted
    from penstock.app.world import World


@click.command(
    "wait",
    epilog="""\b
Examples:
  penstock wait web --in prod                          until web's newest change runs healthy in prod
  penstock wait web --in staging --for proposed        until its pull request to staging is open
  penstock wait web --in prod --commit 4be1c02 --timeout 2h
\b
Exit codes: 0 it is there; 1 wrong names; 2 a conflict, a person decides; 3 time is up, or a server refused.""",
)
@click.argument("app")
@click.option("--in", "environment", metavar="ENV", required=True, help="Where it has to come to.")
@click.option(
    "--for", "wanted", type=click.Choice(["healthy", "proposed"]), default="healthy", show_default=True, help="What for."
)
@click.option("--commit", default="", metavar="REV", help="The commit, or the start of its id.  [default: the app's newest]")
@clusters.timeout_option
@fleets.fleet_option
@fleets.output_option
def command(app: str, environment: str, wanted: Wanted, commit: str, seconds: float, fleet: Path | None, output: str) -> None:
    """Wait until APP's change is proposed to ENV, or runs healthy in it."""
    from penstock.app import wait

    def tell(line: str) -> None:
        clusters.tell("wait", line) if output == "table" else None

    async def work(world: World) -> Cell:
        return await wait.wait(world, app, environment, wanted, commit=commit, seconds=seconds, tell=tell)

    cell = fleets.in_world(fleet, work)
    if output != "table":
        fleets.print_data(cell, output)
    elif wanted == "proposed" and cell.pending is not None:
        clusters.tell("done", f"{app} to {environment}: #{cell.pending.pull} {cell.pending.url}")
    else:
        clusters.tell("done", f"{app} in {environment}: {(cell.commit or '')[:7]} {cell.subject} ({cell.health})")
