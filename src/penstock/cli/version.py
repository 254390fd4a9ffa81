"""`penstock version`: ours, and what the cluster has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from penstock import __version__
from penstock.cli import clusters, fleets

if TYPE_CHECKING:
    from penstock.ports.cluster import Cluster


@click.command(
    "version",
    epilog="""\b
Examples:
  penstock version --client
  penstock version --context kind-dev -o json""",
)
@clusters.options
@click.option("--client", is_flag=True, help="Ask no cluster.")
@fleets.output_option
def command(where: clusters.Where, client: bool, output: str) -> None:
    """Print the version of Penstock, and of the cluster's definitions."""
    found = {"penstock": f"v{__version__}"}
    if not client:

        async def work(cluster: Cluster) -> dict[str, str]:
            from penstock.app import installed

            return await installed.versions(cluster)

        found |= clusters.in_cluster(where, work)
    if output != "table":
        fleets.print_data(found, output)
        return
    for name, version in found.items():
        click.echo(f"{name}: {version}")
