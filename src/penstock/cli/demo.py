"""`penstock demo`: the story, live on a terminal and as plain lines elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from penstock.cli import options as shared

if TYPE_CHECKING:
    from penstock.app import demo

_MARKS = {"do": "►", "done": "✔", "wait": "◎", "person": "●"}
_PLAIN_MARKS = {"do": ">", "done": "+", "wait": ".", "person": "*"}
_COLOURS = {"do": "cyan", "done": "green", "wait": "yellow", "person": "magenta"}
_STATE_COLOURS = {"healthy": "green", "syncing": "cyan", "moving": "yellow", "drifted": "red", "waiting": "dim"}


@click.command(
    "demo",
    epilog="""\b
Examples:
  penstock demo                                     on a sandbox, about half a minute
  penstock demo --clusters real                     on real API servers (etcd and kube-apiserver on this machine)
  penstock demo --context dev=kind-dev --context staging=kind-staging --context prod=kind-prod
  penstock up                                       keep the demo's world running afterwards""",
)
@click.option("--clusters", type=click.Choice(["sandbox", "real"]), default="sandbox", show_default=True, help="What to run on.")
@click.option("--context", "contexts", multiple=True, metavar="ENV=NAME", help="Use a cluster of your kubeconfig for ENV.")
@click.option("--kubeconfig", type=click.Path(path_type=Path), help="The kubeconfig of --context.  [default: as kubectl]")
@click.option("--state", type=click.Path(path_type=Path), help="Folder for everything it writes.  [default: .penstock/sandbox]")
def command(clusters: str, contexts: Sequence[str], kubeconfig: Path | None, state: Path | None) -> None:
    """Tell the whole story: a commit to dev, synced, promoted by reviewed pull requests, a drift undone."""
    from penstock.app import demo, fleet, memory, world

    folder = state or world.SANDBOX_FOLDER
    aside = fleet.set_aside(folder)
    options = memory.Options(
        clusters="real" if clusters == "real" else "sandbox",
        contexts=shared.parse_contexts(contexts),
        kubeconfig=kubeconfig,
        rollout_seconds=1.0,
    )
    if aside:
        click.echo(f"the sandbox that was in {folder} is now in {aside}")
    with _stage() as stage:
        rows = asyncio.run(_tell(folder, options, stage))
    _closing(rows, folder, demo)


async def _tell(folder: Path, options: Any, stage: _Stage) -> Sequence[demo.Row]:
    from penstock.app import demo, fleet, init, sandbox

    stage.tell(
        demo.Step(
            seconds=0, kind="do", text=f"starting a Git server with pull requests and {len(init.DEFAULT_ENVIRONMENTS)} clusters"
        )
    )
    async with fleet.sandbox(folder, options) as running:
        story = demo.Story(
            box=running.box,
            opened=running.world,
            reviewer=running.people[sandbox.REVIEWER],
            tell=stage.tell,
            show=stage.show,
            began=running.began,
        )
        story.say(
            "done",
            f"a repository with {len(init.DEFAULT_ENVIRONMENTS)} environments, one cluster each, sync and promotion running",
        )
        return await demo.tell(story)


class _Stage:
    """Plain lines, for a pipe or a log."""

    unicode = (sys.stdout.encoding or "").lower().startswith("utf")

    def tell(self, step: demo.Step) -> None:
        click.echo(f"{step.seconds:6.1f}s  {_PLAIN_MARKS[step.kind]} {step.text}")

    def show(self, columns: tuple[demo.Column, ...]) -> None:
        """Nothing: the lines tell it all."""


class _LiveStage(_Stage):
    """Columns that change in place, the story's lines under them."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self.console = Console()
        self.steps: list[demo.Step] = []
        self.columns: tuple[demo.Column, ...] = ()
        self.live = Live(console=self.console, refresh_per_second=8, transient=True)

    def tell(self, step: demo.Step) -> None:
        self.steps.append(step)
        self.console.print(self._line(step))
        self.live.update(self._picture())

    def show(self, columns: tuple[demo.Column, ...]) -> None:
        self.columns = columns
        self.live.update(self._picture())

    def _line(self, step: demo.Step) -> Any:
        """Time, mark, words; what does not fit goes on below the words."""
        from rich.table import Table
        from rich.text import Text

        line = Table.grid(padding=(0, 1, 0, 0))
        line.add_column(no_wrap=True)
        line.add_column(no_wrap=True)
        line.add_column()
        seconds = Text(f"{step.seconds:6.1f}s ", style="dim")
        line.add_row(seconds, Text(_MARKS[step.kind], style=_COLOURS[step.kind]), Text(step.text))
        return line

    def _picture(self) -> Any:
        from rich.columns import Columns
        from rich.panel import Panel
        from rich.text import Text

        width = max(24, min(40, self.console.width // max(1, len(self.columns)) - 1))
        panels = []
        for column in self.columns:
            colour = _STATE_COLOURS.get(column.state, "default")
            text = Text()
            text.append(f"{column.revision or '-------'} ", style="bold")
            text.append(f"{column.state}\n", style=colour)
            text.append(f"{column.subject or ' '}\n", style="default")
            text.append(f"{column.image.rpartition('/')[2] or ' '}\n", style="cyan")
            text.append(column.waits or " ", style="dim")
            text.truncate(10_000)
            panels.append(Panel(text, title=column.environment, border_style=colour, width=width, height=7))
        return Columns(panels, padding=0)


@contextlib.contextmanager
def _stage() -> Iterator[_Stage]:
    if not sys.stdout.isatty() or os.environ.get("TERM") == "dumb":
        yield _Stage()
        return
    stage = _LiveStage()
    with stage.live:
        yield stage


def _closing(rows: Sequence[demo.Row], folder: Path, story: Any) -> None:
    headers = ("ENVIRONMENT", "COMMIT", "LIVE SINCE", "IMAGE", "TIMEOUT", "REPLICAS", "NEW CHECKOUT", "HOST")
    table = [
        (row.environment, row.commit, row.live, row.image, row.checkout_timeout, row.replicas, row.new_checkout, row.host)
        for row in rows
    ]
    click.echo()
    for number, text in enumerate(_table([headers, *table])):
        click.secho(text, bold=number == 0)
    last = rows[-1].environment
    ending = f'"{story.SUBJECT}" went through {len(rows)} environments; replicas, flag and host stayed as they are in each.'
    width = shutil.get_terminal_size((120, 24)).columns if sys.stdout.isatty() else 1000
    click.echo("\n" + "\n".join(textwrap.wrap(ending, width)) + "\n")
    prefix = "penstock" if shutil.which("penstock") else ".venv/bin/penstock"
    state = "" if folder.as_posix() == ".penstock/sandbox" else f" --state {folder}"
    click.echo("go on with:")
    click.echo(f"  {prefix} up{state}" + ("" if state else "      (or make up)"))
    click.echo(f"  git clone $(cat {folder}/clone-url) fleet      while it is up")
    click.echo(f"  kubectl --kubeconfig {folder}/kubeconfig --context {last} get deploy")


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    """Aligned lines. On a narrow terminal without the commits, which are one and the same at the end."""
    total = shutil.get_terminal_size((120, 24)).columns if sys.stdout.isatty() else 1000
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    shown = [column for column in range(len(widths)) if column != 1 or sum(widths) + 2 * (len(widths) - 1) <= total]
    shown = [column for column in shown if column != 2 or sum(widths[one] + 2 for one in shown) - 2 <= total]
    return ["  ".join(row[column].ljust(widths[column]) for column in shown).rstrip() for row in rows]
