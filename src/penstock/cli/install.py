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
        from penstock import controllers
        from penstock.yamldoc import emitting

        sys.stdout.buffer.write(emitting.emit_all(controllers.definitions()))
        return
    asyncio.run(_install(kubeconfig, context))


async def _install(kubeconfig: Path | None, context: str | None) -> None:
    from penstock import controllers
    from penstock.adapters import kube

    async with kube.connect(kubeconfig, context) as cluster:
        for name, outcome in await controllers.install(cluster):
            click.echo(f"{name} {outcome}")
