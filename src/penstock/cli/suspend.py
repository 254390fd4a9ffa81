"""`penstock suspend`: leave an object alone until it is resumed, with who and why."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from penstock.cli import clusters

if TYPE_CHECKING:
    from penstock.ports.cluster import Cluster


@click.command(
    "suspend",
    epilog="""\b
Examples:
  penstock suspend ks prod --reason "load test" --until 2h
  penstock suspend ks web api --env staging
  penstock suspend source git --all""",
)
@click.argument("what", nargs=-1, required=True, metavar="ks|source git [NAME]...")
@clusters.options
@click.option("--all", "everything", is_flag=True, help="All of the kind in the namespace.")
@click.option("--reason", default="", help="Why; `get` shows it to the next person.")
@click.option("--until", metavar="2h|TIME", help="When it ends by itself.")
@click.option("--by", default=None, help="Who.  [default: the user name of this machine]")
def command(
    what: tuple[str, ...], where: clusters.Where, everything: bool, reason: str, until: str | None, by: str | None
) -> None:
    """Suspend: nothing is applied, undone or deleted until it is resumed."""
    from penstock.app import objects, reconcile

    asked = objects.parse(what)
    end = _moment(until, datetime.now(UTC)) if until else None
    who = by if by is not None else _user()

    async def work(cluster: Cluster) -> None:
        async def one(at: reconcile.At) -> None:
            await reconcile.suspend(at, tell=clusters.tell, reason=reason, until=end, by=who)

        await clusters.each(await clusters.places(cluster, asked, where.namespace, everything=everything), one)

    clusters.in_cluster(where, work)


def _moment(text: str, now: datetime) -> datetime:
    """'2h' from now, or a time as RFC 3339 (without an offset: UTC). Raises UsageError when it is not in the future."""
    from penstock.model import duration

    try:
        moment = now + duration.parse(text)
    except ValueError:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise click.UsageError(
                f"--until takes a duration such as 2h or a time such as 2026-05-01T09:00Z, not {text!r}"
            ) from None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if moment <= now:
        raise click.UsageError("--until has to be in the future")
    return moment


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        # a container's user may have no name
        return ""
