"""`penstock stats`: how many objects of each kind, and how many of them fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from penstock.cli import clusters, fleets

if TYPE_CHECKING:
    from penstock.app.objects import Total
    from penstock.ports.cluster import Cluster


@click.command(
    "stats",
    epilog="""\b
Examples:
  penstock stats -A
  penstock stats --env prod -o json""",
)
@clusters.options
@clusters.all_namespaces_option
@fleets.output_option
def command(where: clusters.Where, all_namespaces: bool, output: str) -> None:
    """Count Kustomizations and sources: running, failing, suspended, and the size of their artifacts."""
    from penstock.app import objects

    async def work(cluster: Cluster) -> list[Total]:
        found = await objects.find(cluster, objects.parse(["all"]), "" if all_namespaces else where.namespace)
        return [objects.total(kind, items) for kind, items in found]

    totals = clusters.in_cluster(where, work)
    if output != "table":
        fleets.print_data(totals, output)
        return
    rows = [["RECONCILERS", "RUNNING", "FAILING", "SUSPENDED", "STORAGE"]]
    for total in totals:
        storage = "-" if total.storage_bytes is None else _size(total.storage_bytes)
        rows.append([total.kind, str(total.running), str(total.failing), str(total.suspended), storage])
    clusters.table(rows)


def _size(count: int) -> str:
    """'312 B', '1.8 MiB'."""
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{count} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"
