"""What the verbs that look at a running fleet share: where it is found, and how facts are shown.

In: options, values of the app. Out: an open world for a block; text. Marks and colours only on a terminal.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import textwrap
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from penstock.cli import options, showing
from penstock.model import errors
from penstock.model.values import Missing

if TYPE_CHECKING:
    from penstock.app.world import Fleet, World

fleet_option = click.option(
    "--fleet",
    type=click.Path(path_type=Path),
    help="The fleet file.  [default: of the sandbox started here or above, else fleet.yaml here or above]",
)
output_option = options.output_option

_NARROWEST = 10
"""Columns are not made narrower than this for a small terminal."""

_MARKS = {"live": "✔", "moving": "◐", "person": "●", "failing": "✖", "unknown": "?", "absent": "·", "bypass": "!"}
_PLAIN = {"live": "ok", "moving": "..", "person": "->", "failing": "XX", "unknown": "??", "absent": "- ", "bypass": "!!"}
_COLOURS = {"live": "green", "moving": "yellow", "person": "magenta", "failing": "red", "unknown": "yellow", "bypass": "red"}


def in_world[T](
    path: Path | None, work: Callable[[World], Awaitable[T]], change: Callable[[Fleet], Fleet] = lambda fleet: fleet
) -> T:
    """Open the fleet, do the work, close it. Raises InputError when there is no fleet, RemoteError when it is silent."""
    from penstock.app import world

    found = path or world.find(Path.cwd())
    if found is None:
        raise errors.invalid(
            "no fleet is known here",
            hint="start one with `penstock up`, or name its file with --fleet",
            code="NoFleet",
        )

    async def run() -> T:
        async with world.open_fleet(change(world.read(found))) as opened:
            return await work(opened)

    return asyncio.run(run())


def print_data(value: Any, output: str) -> None:
    """A value as JSON or YAML, with full ids and times."""
    import msgspec

    # Through the encoder: it knows dataclasses, times and bytes.
    data = json.loads(msgspec.json.encode(value))
    if output == "json":
        click.echo(json.dumps(data, indent=2, ensure_ascii=False))
    else:
        import yaml

        click.echo(yaml.safe_dump(data, sort_keys=False, allow_unicode=True), nl=False)


def given(value: str | Missing) -> str | None:
    """A value for a program: null where there is none."""
    return None if isinstance(value, Missing) else value


def fancy() -> bool:
    """Whether to use marks beyond ASCII."""
    return sys.stdout.isatty() and "utf" in (sys.stdout.encoding or "").lower()


def coloured() -> bool:
    return sys.stdout.isatty() and not showing.colourless()


def mark(state: str) -> str:
    """The sign of a state, coloured on a terminal."""
    sign = (_MARKS if fancy() else _PLAIN).get(state, "?")
    return paint(sign, _COLOURS.get(state))


def paint(text: str, colour: str | None, **styles: bool) -> str:
    return click.style(text, fg=colour, **styles) if coloured() and (colour or styles) else text


def plain(text: str) -> str:
    """What people wrote, without anything that moves the cursor; ASCII where the output is no terminal."""
    from penstock.promote import text as texts

    shown = texts.clean(text)
    return shown if fancy() else shown.replace("→", "->").replace("…", "...")


def ago(moment: datetime | None, now: datetime) -> str:
    """'11m', '2h', '3d'."""
    return compact(now - moment) if moment else ""


def compact(duration: timedelta) -> str:
    seconds = max(0, int(duration.total_seconds()))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def columns(rows: list[list[str]], gap: int = 2) -> list[str]:
    """Rows as lines with aligned columns; colours do not count. On a terminal, what is too wide for it is wrapped in its cell."""
    widths = [
        max((visible(row[index]) for row in rows if index < len(row)), default=0)
        for index in range(max(map(len, rows), default=0))
    ]
    if sys.stdout.isatty():
        widths = _fitted(widths, shutil.get_terminal_size((120, 24)).columns, gap)
    lines = []
    for row in rows:
        cells = [_folded(cell, widths[index]) for index, cell in enumerate(row)]
        for number in range(max(map(len, cells), default=1)):
            parts = [cell[number] if number < len(cell) else "" for cell in cells]
            padded = [part + " " * (widths[index] - visible(part) + gap) for index, part in enumerate(parts)]
            lines.append("".join(padded).rstrip())
    return lines


def _fitted(widths: list[int], total: int, gap: int) -> list[int]:
    """Widths that fit, taken from the widest first; none below what a word needs."""
    fitted = list(widths)
    while sum(fitted) + gap * (len(fitted) - 1) > total and max(fitted) > _NARROWEST:
        fitted[fitted.index(max(fitted))] -= 1
    return fitted


def _folded(cell: str, width: int) -> list[str]:
    """The lines of a cell. One that is folded loses its colours: they would not end where a line does."""
    if visible(cell) <= width:
        return [cell]
    return textwrap.wrap(click.unstyle(cell), max(1, width), break_on_hyphens=False) or [""]


def visible(text: str) -> int:
    return len(click.unstyle(text))


def cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: max(1, width - 1)] + ("…" if fancy() else "~")
