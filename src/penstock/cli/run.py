"""`penstock run`: sync and promotion for real clusters and a real forge."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import click


@click.command(
    "run",
    epilog="""\b
Examples:
  penstock run --fleet fleet.yaml                      every cluster in it, and promotion between them
  penstock run --fleet fleet.yaml --no-sync            beside real Flux: only promotion
\b
The fleet file: penstock help on its fields stands in docs/reference/fleet.md.""",
)
@click.option("--fleet", "path", type=click.Path(path_type=Path), required=True, help="The fleet file.")
@click.option("--sync/--no-sync", default=True, show_default=True, help="Sync the clusters; --no-sync where Flux does.")
@click.option("--promote/--no-promote", default=True, show_default=True, help="Promote between environments.")
def command(path: Path, sync: bool, promote: bool) -> None:
    """Sync and promote with real clusters and a real forge, in one process."""
    asyncio.run(_run(path, sync, promote))


async def _run(path: Path, sync: bool, promote: bool) -> None:
    from penstock.app import fleet, world

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with world.open_fleet(world.read(path)) as opened, fleet.running(opened, sync=sync, promote=promote):
        names = ", ".join(str(name) for name in opened.clusters)
        click.echo(f"running for {names}; Ctrl-C stops it")
        for environment, problem in opened.cluster_problems.items():
            click.secho(f"{environment}: {problem}", fg="red", err=True)
        await stop.wait()
