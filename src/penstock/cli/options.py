"""Options that several verbs share, and how their texts are read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from penstock.cli import showing

output_option = click.option(
    "-o", "--output", type=click.Choice(["table", "json", "yaml"]), default="table", show_default=True, help="How to print."
)


def reads(context: click.Context, parameter: click.Parameter, folder: Any) -> Any:
    """Remember the folder of a command's files: findings in it are shown with their line."""
    if isinstance(folder, Path):
        showing.reading.append(folder)
    return folder


repository_option = click.option(
    "-C",
    "--repository",
    "folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=Path(),
    help="The repository.",
    callback=reads,
)


def parse_contexts(contexts: Sequence[str]) -> dict[str, str]:
    """ENV=NAME pairs. Raises UsageError for anything else."""
    pairs = {}
    for text in contexts:
        environment, separator, name = text.partition("=")
        if not (environment and separator and name):
            raise click.UsageError(f"--context takes ENV=NAME, not {text!r}")
        pairs[environment] = name
    return pairs
