"""`penstock reconcile`: fetch or apply now, and wait for the outcome."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from penstock.cli import clusters

if TYPE_CHECKING:
    from penstock.ports.cluster import Cluster


@click.command(
    "reconcile",
    epilog="""\b
Examples:
  penstock reconcile ks dev --with-source        fetch, apply, and wait for both
  penstock reconcile source git fleet --env prod
  penstock reconcile ks dev --timeout 30s        exit code 1 when it is not Ready by then""",
)
@click.argument("what", nargs=-1, required=True, metavar="ks|source git NAME")
@clusters.options
@click.option("--with-source", is_flag=True, help="Have its source fetched first.")
@clusters.timeout_option
def command(what: tuple[str, ...], where: clusters.Where, with_source: bool, seconds: float) -> None:
    """Reconcile a Kustomization or a source now, and wait for the outcome."""
    from penstock.adapters.clock import SystemClock
    from penstock.app import objects, reconcile

    asked = objects.parse(what)
    kind = asked.one
    if len(asked.names) != 1:
        raise click.UsageError(f"{kind.kind} name is required: penstock reconcile {kind.human} NAME")
    if with_source and kind.source:
        raise click.UsageError("--with-source is for a Kustomization: a source has none")

    async def work(cluster: Cluster) -> None:
        at = reconcile.At(cluster=cluster, kind=kind, namespace=where.namespace, name=asked.names[0])
        now = SystemClock().now()
        await reconcile.reconcile(at, now=now, seconds=seconds, tell=clusters.tell, with_source=with_source)

    clusters.in_cluster(where, work)
