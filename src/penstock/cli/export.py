"""`penstock export`: Flux's objects as the YAML somebody would write."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from penstock.cli import clusters

if TYPE_CHECKING:
    from penstock.model.resource import Manifest
    from penstock.ports.cluster import Cluster


@click.command(
    "export",
    epilog="""\b
Examples:
  penstock export ks dev > dev.yaml
  penstock export source git --all
  penstock export all --all -A --env prod""",
)
@click.argument("what", nargs=-1, required=True, metavar="all|ks|source git [NAME]...")
@clusters.options
@clusters.all_namespaces_option
@click.option("--all", "everything", is_flag=True, help="All of the kind.")
def command(what: tuple[str, ...], where: clusters.Where, all_namespaces: bool, everything: bool) -> None:
    """Print objects as clean YAML: no status, nothing the server added."""
    from penstock.app import objects
    from penstock.yamldoc import emitting

    asked = objects.parse(what)
    if everything == bool(asked.names):
        raise click.UsageError("either names or --all: penstock export ks NAME, or penstock export ks --all")
    namespace = "" if all_namespaces else where.namespace

    async def work(cluster: Cluster) -> list[Manifest]:
        found = await objects.find(cluster, asked, namespace)
        return [objects.exported(item) for _, items in found for item in items]

    manifests = clusters.in_cluster(where, work)
    if not manifests:
        click.echo("nothing to export", err=True)
    for manifest in manifests:
        click.echo("---\n" + emitting.emit(manifest), nl=False)
