"""`penstock up`: the sandbox fleet, until stopped."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from penstock.cli import options


@click.command(
    "up",
    epilog="""\b
Examples:
  penstock up                            a new fleet in .penstock/sandbox, or the one of last time
  penstock up --from ../fleet            start from the main branch of a repository of yours
  penstock up --environments dev,prod --port 8080 --web-port 8081
\b
While it runs: penstock status, git clone, kubectl --kubeconfig .penstock/sandbox/kubeconfig.
Ctrl-C stops it; everything is still there the next time. Delete the folder to begin anew.""",
)
@click.option("--environments", default="", metavar="NAMES", help="In order of promotion.  [default: dev,staging,prod]")
@click.option("--clusters", type=click.Choice(["sandbox", "real"]), help="What to run on.  [default: sandbox]")
@click.option("--context", "contexts", multiple=True, metavar="ENV=NAME", help="Use a cluster of your kubeconfig for ENV.")
@click.option("--kubeconfig", type=click.Path(path_type=Path), help="The kubeconfig of --context.  [default: as kubectl]")
@click.option("--from", "source", type=click.Path(path_type=Path, exists=True), help="A repository to start from.")
@click.option("--port", default=0, help="Port of the Git server and forge.  [default: that of last time, or any]")
@click.option("--web-port", default=0, help="Port of the web page.  [default: that of last time, or any]")
@click.option("--state", type=click.Path(path_type=Path), help="Folder for everything it writes.  [default: .penstock/sandbox]")
def command(
    environments: str,
    clusters: str | None,
    contexts: Sequence[str],
    kubeconfig: Path | None,
    source: Path | None,
    port: int,
    web_port: int,
    state: Path | None,
) -> None:
    """Run a sandbox fleet with Git server, forge, clusters and web page until stopped."""
    from penstock.app import memory, world

    chosen = memory.Options(
        environments=tuple(part.strip() for part in environments.split(",") if part.strip()),
        clusters=None if clusters is None else "real" if clusters == "real" else "sandbox",
        contexts=options.parse_contexts(contexts),
        kubeconfig=kubeconfig,
        source=source,
        ports={name: number for name, number in (("forge", port), ("web", web_port)) if number},
    )
    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(_up(state or world.SANDBOX_FOLDER, chosen))


@contextlib.contextmanager
def _log(folder: Path) -> Iterator[None]:
    """What the controllers log goes to a file, for `penstock logs --local`; the log of last time is kept."""
    import logging

    from penstock.app import logs
    from penstock.controllers import journal

    path = folder / logs.FILE_NAME
    if path.exists():
        path.replace(path.with_suffix(".log.1"))
    with path.open("w") as file:
        handler = journal.to(file)
        try:
            yield
        finally:
            logging.getLogger("penstock").removeHandler(handler)


async def _up(folder: Path, chosen: Any) -> None:
    from penstock.app import fleet, memory, sandbox
    from penstock.web import serving

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    click.echo("starting ...")
    async with contextlib.AsyncExitStack() as stack:
        running = await stack.enter_async_context(fleet.sandbox(folder, chosen))
        stack.enter_context(_log(folder))
        box = running.box
        token = memory.secret(box.state / "web-token")
        # The page approves as the reviewer: nobody reviews what he wrote himself.
        reviewers = {sandbox.REVIEWER: running.people[sandbox.REVIEWER]}
        page = await stack.enter_async_context(
            serving.serve(running.world, port=box.options.port("web"), token=token, forges=reviewers)
        )
        memory.remember_port(box.state, "web", page.url)
        click.echo(f"web page      {page.sign_in_url}")
        click.echo(f"forge         {box.sign_in_url('developer')}")
        click.echo(f"              {box.sign_in_url('reviewer')}     (signs you in as the reviewer)")
        click.echo(f"repository    git clone {box.clone_url('developer')} fleet")
        for name in box.options.environments:
            click.echo(f"{name:13} kubectl --kubeconfig {box.kubeconfig} --context {name} get deploy")
        click.echo("Ctrl-C stops it; everything is kept in " + str(folder))
        await stop.wait()
        click.echo("stopping ...")
