"""`penstock hold`: an app, or one commit, stays back."""

from __future__ import annotations

from pathlib import Path

import click

from penstock.cli import people


@click.command(
    "hold",
    epilog="""\b
Examples:
  penstock hold web --reason "looks odd"                     nothing of web is opened or merged
  penstock hold web --from prod --reason "too early" --until 2d
  penstock hold 4be1c02 --reason "not this one"              what came before it still goes
  penstock hold web --field data.timeout --reason "not yet"  the rest of web goes
  penstock release web""",
)
@click.argument("what", metavar="APP|COMMIT")
@click.option("--from", "environments", multiple=True, metavar="ENV", help="Only from this environment.  [default: from all]")
@click.option("--field", default="", metavar="FIELD", help="Only this field of APP; the rest goes.")
@people.reason_option
@people.until_option
@people.options
def command(
    what: str,
    environments: tuple[str, ...],
    field: str,
    reason: str,
    until: str | None,
    by: str | None,
    login: str | None,
    token_file: Path | None,
    fleet: Path | None,
    output: str,
) -> None:
    """Keep an app or a commit back, by a file in Git that says who, why and until when."""
    from penstock.app import marking

    end, who = people.moment(until), people.author(by, login)
    people.show(
        people.in_world(
            fleet,
            login,
            token_file,
            lambda world: marking.hold(world, what, environments=environments, reason=reason, until=end, by=who, field=field),
        ),
        output,
    )
