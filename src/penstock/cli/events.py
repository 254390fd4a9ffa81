"""`penstock events`: what the controllers told of their objects."""

from __future__ import annotations

from contextlib import aclosing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from penstock.cli import clusters, fleets

if TYPE_CHECKING:
    from penstock.app.events import Event, EventType
    from penstock.ports.cluster import Cluster


@click.command(
    "events",
    epilog="""\b
Examples:
  penstock events                                  of all Flux objects in flux-system
  penstock events --for Kustomization/dev          and of its source
  penstock events -A --types Warning
  penstock events -w --env prod                    as they come, until Ctrl-C""",
)
@clusters.options
@clusters.all_namespaces_option
@click.option("--for", "about", default="", metavar="KIND[/NAME]", help="Only of this kind or object.")
@click.option("--types", default="", metavar="Normal,Warning", help="Only of these types.")
@click.option("-w", "--watch", is_flag=True, help="Go on with what comes.")
@fleets.output_option
def command(where: clusters.Where, all_namespaces: bool, about: str, types: str, watch: bool, output: str) -> None:
    """Show the Kubernetes events of Kustomizations and sources."""
    from penstock.app import events

    if watch and output != "table":
        raise click.UsageError("--watch prints lines: leave out --output")
    wanted_types = _types(types)
    namespace = "" if all_namespaces else where.namespace

    async def work(cluster: Cluster) -> tuple[list[Event], bool]:
        wanted, places = await events.wanted(cluster, namespace, about, wanted_types)
        spread = all_namespaces or len(places) > 1
        if not watch:
            return await events.listed(cluster, wanted, places), spread
        # one watch sees all: of several namespaces, the filter keeps what was asked for
        async with aclosing(events.followed(cluster, wanted, places[0] if len(places) == 1 else "")) as found:
            first = True
            async for event in found:
                _print([event], spread, header=first)
                first = False
        return [], spread

    found, spread = clusters.in_cluster(where, work)
    if output != "table":
        fleets.print_data(found, output)
    elif found:
        _print(found, spread)
    else:
        click.echo(f"no events found in {namespace} namespace" if namespace else "no events found", err=True)


def _types(text: str) -> list[EventType]:
    known: dict[str, EventType] = {"normal": "Normal", "warning": "Warning"}
    names = [part.strip() for part in text.split(",") if part.strip()]
    if unknown := [name for name in names if name.lower() not in known]:
        raise click.UsageError(f"--types takes Normal and Warning, not {unknown[0]!r}")
    return [known[name.lower()] for name in names]


def _print(found: list[Event], spread: bool, *, header: bool = True) -> None:
    now = datetime.now(UTC)
    titles = ["LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"]
    rows = [["NAMESPACE", *titles] if spread else titles] if header else []
    for event in found:
        cells = [_seen(event, now), event.type, event.reason, event.object, " ".join(event.message.split())]
        rows.append([event.namespace, *cells] if spread else cells)
    clusters.table(rows)


def _seen(event: Event, now: datetime) -> str:
    last = fleets.ago(event.last, now) or "<unknown>"
    return f"{last} (x{event.count} over {fleets.ago(event.first, now)})" if event.count > 1 and event.first else last
