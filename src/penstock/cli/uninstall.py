"""`penstock uninstall`: take the controller and its objects out of a cluster; what it synced stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from penstock.cli import clusters

if TYPE_CHECKING:
    from penstock.ports.cluster import Cluster


@click.command(
    "uninstall",
    epilog="""\b
Examples:
  penstock uninstall --dry-run --context kind-dev     what would go
  penstock uninstall --silent --keep-namespace""",
)
@clusters.options
@click.option("--keep-namespace", is_flag=True, help="Leave the namespace.")
@click.option("--dry-run", is_flag=True, help="Say what would go, and change nothing.")
@click.option("-s", "--silent", is_flag=True, help="Do not ask.")
def command(where: clusters.Where, keep_namespace: bool, dry_run: bool, silent: bool) -> None:
    """Uninstall: the controller, the Kustomizations and sources, their definitions. What was synced stays."""
    from penstock.adapters.clock import SystemClock
    from penstock.app import install

    if not dry_run and not silent:
        click.confirm("Are you sure you want to delete Penstock and its custom resource definitions", abort=True)

    async def work(cluster: Cluster) -> None:
        await install.out_of(
            cluster, SystemClock(), clusters.tell, namespace=where.namespace, keep_namespace=keep_namespace, dry_run=dry_run
        )

    clusters.in_cluster(where, work)
