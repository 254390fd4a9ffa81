"""`penstock get`: the Kustomizations and sources of a cluster."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from penstock.cli import clusters, fleets

if TYPE_CHECKING:
    from penstock.app.objects import Row
    from penstock.ports.cluster import Cluster


@click.command(
    "get",
    epilog="""\b
Examples:
  penstock get ks                          the Kustomizations of flux-system
  penstock get ks dev --env dev            one of them, in the cluster of dev
  penstock get sources git -A -o json      with full revisions
  penstock get all --status-selector ready=false""",
)
@click.argument("what", nargs=-1, required=True, metavar="all|ks|sources git [NAME]...")
@clusters.options
@clusters.all_namespaces_option
@click.option("-l", "--label-selector", default="", help="Only objects with these labels.")
@click.option("--status-selector", metavar="ready=STATUS", help="Only objects whose Ready is true, false or unknown.")
@click.option("--no-header", is_flag=True, help="No line of titles.")
@fleets.output_option
def command(
    what: tuple[str, ...],
    where: clusters.Where,
    all_namespaces: bool,
    label_selector: str,
    status_selector: str | None,
    no_header: bool,
    output: str,
) -> None:
    """Show Kustomizations and sources: revision, whether suspended, ready, and why not."""
    from penstock.app import objects

    asked = objects.parse(what)
    status = _status(status_selector)
    namespace = "" if all_namespaces else where.namespace

    async def work(cluster: Cluster) -> list[Row]:
        found = await objects.find(cluster, asked, namespace, labels=label_selector)
        rows = [objects.row(kind, item) for kind, items in found for item in items]
        return [row for row in rows if status is None or row.ready.lower() == status]

    rows = clusters.in_cluster(where, work)
    if output != "table":
        fleets.print_data(rows, output)
        return
    if not rows:
        kinds = " or ".join(kind.kind for kind in asked.kinds)
        place = f' in "{namespace}" namespace' if namespace else " in any namespace"
        click.echo(f"no {kinds} objects found{place}", err=True)
    several = len(asked.kinds) > 1
    for number, kind in enumerate(dict.fromkeys(row.kind for row in rows)):
        if number:
            click.echo()
        group = [row for row in rows if row.kind == kind]
        clusters.table([*_header(all_namespaces, no_header), *(_cells(row, all_namespaces, several) for row in group)])


def _status(selector: str | None) -> str | None:
    if selector is None:
        return None
    key, _, wanted = selector.lower().partition("=")
    if key != "ready" or wanted not in ("true", "false", "unknown"):
        raise click.UsageError("--status-selector takes ready=true, ready=false or ready=unknown")
    return wanted


def _header(namespaces: bool, without: bool) -> list[list[str]]:
    titles = ["NAME", "REVISION", "SUSPENDED", "READY", "MESSAGE"]
    return [] if without else [["NAMESPACE", *titles] if namespaces else titles]


def _cells(row: Row, namespaces: bool, several: bool) -> list[str]:
    name = f"{row.kind.lower()}/{row.name}" if several else row.name
    message = f"{row.suspension.text(datetime.now(UTC))}; {row.message}" if row.suspension else row.message
    cells = [name, row.revision, str(row.suspended), row.ready, " ".join(message.split())]
    return [row.namespace, *cells] if namespaces else cells
