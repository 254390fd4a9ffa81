"""`penstock tree`: what a Kustomization has put into its cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from penstock.cli import clusters, fleets

if TYPE_CHECKING:
    from penstock.app.tree import Node
    from penstock.ports.cluster import Cluster


@click.command(
    "tree",
    epilog="""\b
Examples:
  penstock tree ks dev
  penstock tree ks fleet --compact      only Flux's own objects
  penstock tree ks dev -o json""",
)
@click.argument("what", nargs=-1, required=True, metavar="ks NAME")
@clusters.options
@click.option("--compact", is_flag=True, help="Only Flux's own objects.")
@fleets.output_option
def command(what: tuple[str, ...], where: clusters.Where, compact: bool, output: str) -> None:
    """Show the objects of a Kustomization, and of the Kustomizations among them."""
    from penstock.app import objects, tree

    asked = objects.parse(what)
    if asked.kinds != (objects.KUSTOMIZATION,) or len(asked.names) != 1:
        raise click.UsageError("one Kustomization has to be named: penstock tree ks NAME")

    async def work(cluster: Cluster) -> Node:
        return await tree.tree(cluster, where.namespace, asked.names[0], compact=compact)

    found = clusters.in_cluster(where, work)
    if output != "table":
        fleets.print_data(_data(found), output)
        return
    for line in tree.lines(found, ascii_only=not fleets.fancy()):
        click.echo(line)


def _data(node: Node) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "group": node.id.group,
        "kind": node.id.kind,
        "namespace": node.id.namespace,
        "name": node.id.name,
    }
    if node.children:
        shown["children"] = [_data(child) for child in node.children]
    return shown
