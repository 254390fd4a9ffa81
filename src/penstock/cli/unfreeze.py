"""`penstock unfreeze`: merging goes on."""

from __future__ import annotations

from pathlib import Path

import click

from penstock.cli import people


@click.command(
    "unfreeze",
    epilog="""\b
Example:
  penstock unfreeze prod""",
)
@click.argument("environment", metavar="ENV")
@people.options
def command(
    environment: str, by: str | None, login: str | None, token_file: Path | None, fleet: Path | None, output: str
) -> None:
    """Take the freeze of ENV away."""
    from penstock.app import marking

    who = people.author(by, login)
    people.show(people.in_world(fleet, login, token_file, lambda world: marking.unfreeze(world, environment, by=who)), output)
