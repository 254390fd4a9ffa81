"""`penstock install`: what a cluster needs before it can be synced, and with an image the controller too."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from penstock.cli import clusters

if TYPE_CHECKING:
    from penstock.ports.cluster import Cluster


@click.command(
    "install",
    epilog="""\b
Examples:
  penstock install --context kind-dev                            definitions and namespace, for penstock run from outside
  penstock install --image registry.example.com/penstock:1.2     the controller in the cluster too; again to upgrade
  penstock install --image IMAGE --export > penstock.yaml        to review, commit and apply it yourself
  penstock install --image IMAGE --apply-as service-accounts --tenant web --tenant shop""",
)
@clusters.options
@click.option("--image", help="The container image; without it only the definitions and the namespace.")
@click.option("--export", is_flag=True, help="Print the manifests and change nothing.")
@click.option(
    "--apply-as",
    type=click.Choice(["cluster-admin", "service-accounts"]),
    default="cluster-admin",
    show_default=True,
    help="Apply as itself with every right, or only as the accounts that Kustomizations name.",
)
@click.option("--tenant", "tenants", multiple=True, metavar="NAMESPACE", help="A namespace whose accounts it may act as.")
@click.option("--replicas", default=2, show_default=True, help="One leads, the others stand by.")
@click.option("--monitoring", is_flag=True, help="A PodMonitor and a Grafana dashboard too.")
@click.option("--argument", "arguments", multiple=True, metavar="FLAG", help="A further flag for penstock run.")
def command(
    where: clusters.Where,
    image: str | None,
    export: bool,
    apply_as: str,
    tenants: tuple[str, ...],
    replicas: int,
    monitoring: bool,
    arguments: tuple[str, ...],
) -> None:
    """Install the definitions and the namespace in a cluster, and with --image the controller; again to upgrade."""
    from penstock.app import incluster, install

    if tenants and apply_as != "service-accounts":
        raise click.UsageError("--tenant goes with --apply-as service-accounts")
    settings = None
    if image is not None:
        settings = incluster.Settings(
            image=image,
            namespace=where.namespace,
            apply_as="service-accounts" if apply_as == "service-accounts" else "cluster-admin",
            tenants=tenants,
            replicas=replicas,
            monitoring=monitoring,
            arguments=arguments,
        )
    if export:
        sys.stdout.buffer.write(install.manifests(settings))
        return

    async def work(cluster: Cluster) -> None:
        if settings is not None:
            await install.everything(cluster, settings, clusters.tell)
            return
        version = await install.into(cluster)
        click.echo(f"installed in {cluster.name} (Kubernetes {version}): 2 definitions, namespace flux-system")

    clusters.in_cluster(where, work)
