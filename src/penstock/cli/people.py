"""What the verbs share that a person does: as whom, why, until when.

In: options. Out: an open world as that person, and the author of what is written.
"""

from __future__ import annotations

import getpass
import subprocess
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from penstock.cli import fleets

if TYPE_CHECKING:
    from penstock.app import marking
    from penstock.app.world import World

login_option = click.option("--as", "login", help="Your login on the forge.  [default: Penstock's own account]")
token_option = click.option(
    "--token-file",
    type=click.Path(path_type=Path),
    envvar="PENSTOCK_TOKEN_FILE",
    help="A file with your token of the forge.  [default: PENSTOCK_TOKEN_FILE, or that of the sandbox's person]",
)
by_option = click.option("--by", help="Who, as it is written down.  [default: Git's user.name here]")
reason_option = click.option("--reason", required=True, help="Why; it is shown to everybody who waits.")
until_option = click.option("--until", metavar="2h|TIME", help="When it ends by itself.  [default: when it is taken away]")


def options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Fleet, login, token, name, and how to print."""
    for option in (fleets.output_option, fleets.fleet_option, token_option, login_option, by_option):
        command = option(command)
    return command


def in_world[T](fleet: Path | None, login: str | None, token: Path | None, work: Callable[[World], Awaitable[T]]) -> T:
    """As `fleets.in_world`, as a person if one is named. Raises InputError without a token of theirs."""
    from penstock.app import persons

    if login is None:
        return fleets.in_world(fleet, work)
    return fleets.in_world(fleet, work, lambda one: persons.as_person(one, login, token))


def author(by: str | None, login: str | None) -> marking.Person:
    """Who stands in the commit: as asked, else Git's own answer, else the login, else the user of this machine."""
    from penstock.app import marking

    name, email = by or _git("user.name"), _git("user.email")
    name = name or login or _user()
    return marking.Person(name=name, email=email or f"{name.replace(' ', '.')}@localhost")


def moment(text: str | None) -> datetime | None:
    """'2h' from now, or a time as RFC 3339. Raises UsageError when it is not in the future."""
    from penstock.model import duration

    if text is None:
        return None
    now = datetime.now(UTC)
    try:
        found = now + duration.parse(text, days=True)
    except ValueError:
        try:
            found = datetime.fromisoformat(text)
        except ValueError:
            what = f"--until takes a duration such as 2h or a time such as 2026-05-01T09:00Z, not {text!r}"
            raise click.UsageError(what) from None
        found = found if found.tzinfo else found.replace(tzinfo=UTC)
    if found <= now:
        raise click.UsageError("--until has to be in the future")
    return found


def show(marked: marking.Marked, output: str) -> None:
    if output != "table":
        told = {"subject": marked.subject, "path": marked.path, "written": marked.content is not None, "commit": marked.commit}
        pull = {"pull": marked.pull.number, "url": marked.pull.url} if marked.pull else {"pull": None, "url": None}
        fleets.print_data({**told, **pull}, output)
    elif marked.pull:
        click.echo(f"{fleets.plain(marked.subject)}\nproposed as #{marked.pull.number}: {marked.pull.url}")
        click.echo("The main branch takes no direct commits of this account: it counts once that is merged.")
    else:
        verb = "took away" if marked.content is None else "wrote"
        click.echo(f"{fleets.plain(marked.subject)}\n{verb} {marked.path} ({marked.commit[:7]})")


def _git(key: str) -> str:
    try:
        asked = ["git", "config", "--get", key]
        done = subprocess.run(asked, capture_output=True, text=True, timeout=10, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "somebody"
