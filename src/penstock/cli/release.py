"""`penstock release`: what was held back goes on."""

from __future__ import annotations

from pathlib import Path

import click

from penstock.cli import people


@click.command(
    "release",
    epilog="""\b
Examples:
  penstock release web
  penstock release web --field data.timeout
  penstock release 4be1c02""",
)
@click.argument("what", metavar="APP|COMMIT")
@click.option("--field", default="", metavar="FIELD", help="The hold of this field of APP.")
@people.options
def command(
    what: str, field: str, by: str | None, login: str | None, token_file: Path | None, fleet: Path | None, output: str
) -> None:
    """Take the hold of an app or a commit away."""
    from penstock.app import marking

    who = people.author(by, login)
    people.show(
        people.in_world(fleet, login, token_file, lambda world: marking.release(world, what, by=who, field=field)), output
    )
