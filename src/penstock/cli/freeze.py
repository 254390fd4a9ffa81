"""`penstock freeze`: nothing is merged into an environment for a while."""

from __future__ import annotations

from pathlib import Path

import click

from penstock.cli import people


@click.command(
    "freeze",
    epilog="""\b
Examples:
  penstock freeze prod --reason "summer fair" --until 2d
  penstock freeze prod --reason "incident 4711" --as ann
  penstock unfreeze prod""",
)
@click.argument("environment", metavar="ENV")
@people.reason_option
@people.until_option
@people.options
def command(
    environment: str,
    reason: str,
    until: str | None,
    by: str | None,
    login: str | None,
    token_file: Path | None,
    fleet: Path | None,
    output: str,
) -> None:
    """Stop merging into ENV, by a file in Git that says who, why and until when."""
    from penstock.app import marking

    end, who = people.moment(until), people.author(by, login)
    people.show(
        people.in_world(
            fleet, login, token_file, lambda world: marking.freeze(world, environment, reason=reason, until=end, by=who)
        ),
        output,
    )
