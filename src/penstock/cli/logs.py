"""`penstock logs`: what the controllers logged, of pods in a cluster or of `penstock up` on this machine."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from penstock.cli import clusters, fleets
from penstock.model import errors

if TYPE_CHECKING:
    from penstock.app.logs import Line
    from penstock.ports.cluster import Cluster


@click.command(
    "logs",
    epilog="""\b
Examples:
  penstock logs --level error -A
  penstock logs --kind Kustomization --name dev --since 10m
  penstock logs --local --tail 50           of penstock up, from its folder
\b
One line: TIMESTAMP LEVEL KIND/NAME.NAMESPACE - MESSAGE.""",
)
@clusters.options
@clusters.all_namespaces_option
@click.option("--level", type=click.Choice(["debug", "info", "error"]), help="Only lines of this level.")
@click.option("--kind", default="", help="Only about objects of this kind.")
@click.option("--name", default="", help="Only about objects of this name.")
@click.option("--reconcile-id", default="", help="Only of this pass.")
@click.option("--since", default="", metavar="10m", help="Only lines younger than this.")
@click.option("--tail", default=1000, show_default=True, help="How many of the last lines of each controller to look at.")
@click.option("--flux-namespace", default="flux-system", show_default=True, help="Where the controllers run.")
@click.option("--local", is_flag=True, help="The log of penstock up, of the sandbox here or above.")
@fleets.output_option
def command(
    where: clusters.Where,
    all_namespaces: bool,
    level: str | None,
    kind: str,
    name: str,
    reconcile_id: str,
    since: str,
    tail: int,
    flux_namespace: str,
    local: bool,
    output: str,
) -> None:
    """Show what the controllers logged about Kustomizations and sources."""
    from penstock.app import logs

    wanted = logs.Wanted(
        level=level or "",
        kind=kind.lower(),
        name=name,
        namespace="" if all_namespaces else where.namespace,
        reconcile_id=reconcile_id,
        after=datetime.now(UTC) - _span(since) if since else None,
    )

    async def work(cluster: Cluster) -> list[Line]:
        return await logs.of_pods(cluster, flux_namespace, wanted, tail)

    found = logs.of_file(_log_file(), wanted, tail) if local else clusters.in_cluster(where, work)
    if output != "table":
        fleets.print_data(found, output)
        return
    for line in found:
        click.echo(fleets.plain(line.text()))


def _span(text: str) -> timedelta:
    from penstock.model import duration

    try:
        return duration.parse(text)
    except ValueError:
        raise click.UsageError(f"--since takes a duration such as 10m, not {text!r}") from None


def _log_file() -> Path:
    from penstock.app import logs, world

    found = world.find(Path.cwd())
    path = found.parent / logs.FILE_NAME if found is not None else None
    if path is None or not path.is_file():
        raise errors.invalid("no log of penstock up is here", hint="penstock up writes one beside its fleet file", code="NoLog")
    return path
