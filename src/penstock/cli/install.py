"""`penstock install`: what a cluster needs before it can be synced."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import click


@click.command(
    "install",
    epilog="""\b
Examples:
  penstock install --context kind-dev
  penstock install --export > penstock.yaml   to review and apply it yourself""",
)
@click.option("--kubeconfig", type=click.Path(path_type=Path), help="A kubeconfig.  [default: as kubectl]")
@click.option("--context", help="The context in it.  [default: the current one]")
@click.option("--export", is_flag=True, help="Print the manifests and change nothing.")
def command(kubeconfig: Path | None, context: str | None, export: bool) -> None:
    """Install the custom resource definitions and the namespace in a cluster."""
    if export:
        from penstock.app import install

        sys.stdout.buffer.write(install.manifests())
        return
    asyncio.run(_install(kubeconfig, context))


async def _install(kubeconfig: Path | None, context: str | None) -> None:
    from penstock.adapters import kube
    from penstock.app import install

    async with kube.connect(kubeconfig, context) as cluster:
        version = await install.into(cluster)
        click.echo(f"installed in {cluster.name} (Kubernetes {version}): 2 definitions, namespace flux-system")
