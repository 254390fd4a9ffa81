"""`penstock resume`: end a suspension and wait for what it held back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from penstock.cli import clusters

if TYPE_CHECKING:
    from penstock.ports.cluster import Cluster


@click.command(
    "resume",
    epilog="""\b
Examples:
  penstock resume ks prod --env prod
  penstock resume ks --all --no-wait
  penstock resume source git fleet --timeout 1m""",
)
@click.argument("what", nargs=-1, required=True, metavar="ks|source git [NAME]...")
@clusters.options
@click.option("--all", "everything", is_flag=True, help="All of the kind in the namespace that are suspended.")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Wait until it is reconciled.")
@clusters.timeout_option
def command(what: tuple[str, ...], where: clusters.Where, everything: bool, wait: bool, seconds: float) -> None:
    """Resume what was suspended, and wait for the applied revision."""
    from penstock.app import objects, reconcile

    asked = objects.parse(what)

    async def work(cluster: Cluster) -> None:
        async def one(at: reconcile.At) -> None:
            manifest = await reconcile.resume(at, tell=clusters.tell)
            if wait:
                await reconcile.resumed(at, manifest, seconds=seconds, tell=clusters.tell)

        found = await clusters.places(cluster, asked, where.namespace, everything=everything, suspended=True)
        await clusters.each(found, one)

    clusters.in_cluster(where, work)
