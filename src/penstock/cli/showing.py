"""Errors and findings as text for a terminal: where, what, the line itself with a caret below it, what to do.

The line is shown only to a person: on a terminal, from a file in the folder the command reads. What may be a secret (a value
in a file that speaks of secrets) is never part of it.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import click

from penstock.model import errors

_SECRETIVE = re.compile(rb"secret|password|passwd|token|credential|private|sops|ENC\[", re.IGNORECASE)
_VALUE = re.compile(r"^(\s*(?:- )?[^\s:#]+:\s+|\s*- )\S.*$")
_FILE_LIMIT_BYTES = 1 << 20
_LINE_LIMIT = 160

reading: list[Path] = []
"""Folders that this command reads files from; names in findings are relative to one of them."""


def colourless() -> bool:
    """Whether a person asked for no colours (no-color.org), or the terminal has none."""
    return bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"


def problem(found: errors.Problem, *, stream: object = None) -> str:
    """One finding; with its source line where the stream is a terminal."""
    text = str(found)
    quoted = _quoted(found.where) if found.where and _is_terminal(stream or sys.stdout) else ""
    if not quoted:
        return text
    first, newline, rest = text.partition("\n")
    return f"{first}\n{quoted}{newline}{rest}"


def error(raised: errors.PenstockError) -> str:
    """An error for standard error."""
    label = "error:" if colourless() else click.style("error:", fg="red")
    if isinstance(raised, errors.InputError):
        return f"{label} " + "\n".join(problem(one, stream=sys.stderr) for one in raised.problems)
    return f"{label} {raised}"


def _is_terminal(stream: object) -> bool:
    return bool(getattr(stream, "isatty", lambda: False)())


def _quoted(place: errors.Place) -> str:
    """The line with a caret below its column; '' when there is no such line."""
    line = _line(place)
    if line is None:
        return ""
    shown = line.rstrip().expandtabs(1)[:_LINE_LIMIT]
    shown = "".join(character if character.isprintable() else "?" for character in shown)
    number = str(place.line)
    text = f"  {number} | {shown}"
    if 0 < place.column <= len(shown) + 1:
        text += f"\n  {' ' * len(number)} | {' ' * (place.column - 1)}^"
    return text if colourless() else click.style(text, dim=True)


def _line(place: errors.Place) -> str | None:
    if not place.line or not place.path:
        return None
    for folder in (*reversed(reading), Path()):
        root = folder if folder.is_dir() else folder.parent
        file = root / place.path
        try:
            if not file.resolve().is_relative_to(root.resolve()) and file != Path(place.path):
                continue
            data = file.read_bytes() if file.stat().st_size <= _FILE_LIMIT_BYTES else b""
        except OSError:
            continue
        lines = data.split(b"\n")
        if place.line <= len(lines):
            line = lines[place.line - 1].decode("utf-8", "replace")
            # A file that speaks of secrets shows its keys only.
            return _VALUE.sub(r"\1…", line) if _SECRETIVE.search(data) else line
    return None
