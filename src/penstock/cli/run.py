"""`penstock run`: sync and promotion for real clusters and a real forge."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from pathlib import Path

import click


@click.command(
    "run",
    epilog="""\b
Examples:
  penstock run --fleet fleet.yaml                      every cluster in it, and promotion between them
  penstock run --fleet fleet.yaml --no-sync            beside real Flux: only promotion
  penstock run --fleet fleet.yaml --web-addr 127.0.0.1:8080   the web page too
\b
The fleet file: penstock help on its fields stands in docs/reference/fleet.md.""",
)
@click.option("--fleet", "path", type=click.Path(path_type=Path), required=True, help="The fleet file.")
@click.option("--sync/--no-sync", default=True, show_default=True, help="Sync the clusters; --no-sync where Flux does.")
@click.option("--promote/--no-promote", default=True, show_default=True, help="Promote between environments.")
@click.option(
    "--web-addr", metavar="HOST:PORT", help="Serve the web page there.  [default: web.address of the fleet file, else not at all]"
)
def command(path: Path, sync: bool, promote: bool, web_addr: str | None) -> None:
    """Sync and promote with real clusters and a real forge, in one process."""
    asyncio.run(_run(path, sync, promote, web_addr))


async def _run(path: Path, sync: bool, promote: bool, web_addr: str | None) -> None:
    from penstock.app import fleet, world
    from penstock.web import hosting

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with contextlib.AsyncExitStack() as stack:
        opened = await stack.enter_async_context(world.open_fleet(world.read(path)))
        await stack.enter_async_context(fleet.running(opened, sync=sync, promote=promote))
        names = ", ".join(str(name) for name in opened.clusters)
        click.echo(f"running for {names}; Ctrl-C stops it")
        for environment, problem in opened.cluster_problems.items():
            click.secho(f"{environment}: {problem}", fg="red", err=True)
        page = await stack.enter_async_context(hosting.host(opened, web_addr))
        if page is not None:
            click.echo(f"web page: {page.sign_in_url}")
        await stop.wait()
