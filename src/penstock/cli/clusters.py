"""What the verbs of one cluster share: how it is named, how it is opened, how steps are told.

In: options. Out: an open cluster for a block; text. Words and marks are those of the flux command line.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from penstock.cli import fleets
from penstock.model import errors

if TYPE_CHECKING:
    from penstock.app.objects import Asked
    from penstock.app.reconcile import At
    from penstock.ports.cluster import Cluster

_MARKS = {"begin": ("►", "> "), "done": ("✔", "ok"), "wait": ("◎", ".."), "failed": ("✗", "XX")}
_HEX = re.compile(r"\b([0-9a-f]{8})[0-9a-f]{32}(?:[0-9a-f]{24})?\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """Which cluster, and the namespace in it."""

    kubeconfig: Path | None
    context: str | None
    env: str | None
    fleet: Path | None
    namespace: str


def options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say where; the command gets them as `where`."""
    from functools import wraps

    @wraps(command)
    def called(
        *arguments: Any,
        kubeconfig: Path | None,
        context: str | None,
        env: str | None,
        fleet: Path | None,
        namespace: str,
        **others: Any,
    ) -> Any:
        if env is not None and (kubeconfig is not None or context is not None):
            raise click.UsageError("--env names the cluster already; --kubeconfig and --context name another")
        if fleet is not None and env is None:
            raise click.UsageError("--fleet says where the environments are; --env says which one")
        where = Where(kubeconfig=kubeconfig, context=context, env=env, fleet=fleet, namespace=namespace)
        return command(*arguments, where=where, **others)

    for option in (
        click.option("-n", "--namespace", default="flux-system", show_default=True, help="The namespace."),
        fleets.fleet_option,
        click.option("--env", metavar="NAME", help="The cluster of this environment, from the fleet file."),
        click.option("--context", help="The context in the kubeconfig.  [default: the current one]"),
        click.option("--kubeconfig", type=click.Path(path_type=Path), help="A kubeconfig.  [default: as kubectl]"),
    ):
        called = option(called)
    return called


def _seconds(context: click.Context, parameter: click.Parameter, text: str) -> float:
    """'5m', '90s' as seconds. Raises BadParameter."""
    from penstock.model import duration

    try:
        seconds = duration.parse(text).total_seconds()
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a duration such as 5m or 90s") from None
    if seconds <= 0:
        raise click.BadParameter("it has to be longer than nothing")
    return seconds


timeout_option = click.option(
    "--timeout", "seconds", callback=_seconds, default="5m", show_default=True, help="How long to wait for it."
)
all_namespaces_option = click.option("-A", "--all-namespaces", is_flag=True, help="In every namespace.")


def in_cluster[T](where: Where, work: Callable[[Cluster], Awaitable[T]]) -> T:
    """Open the cluster, do the work, close it. Raises InputError when no such cluster is known."""
    kubeconfig, context = _named(where)

    async def run() -> T:
        from penstock.adapters import kube

        async with kube.connect(kubeconfig, context) as cluster:
            return await work(cluster)

    return asyncio.run(run())


def _named(where: Where) -> tuple[Path | None, str | None]:
    if where.env is None:
        return where.kubeconfig, where.context
    from penstock.app import world

    path = where.fleet or world.find(Path.cwd())
    if path is None:
        raise errors.invalid(
            "no fleet is known here", hint="name its file with --fleet, or a cluster with --context", code="NoFleet"
        )
    clusters = world.read(path).clusters
    found = next((at for at in clusters if at.environment == where.env), None)
    if found is None:
        known = ", ".join(str(at.environment) for at in clusters)
        raise errors.invalid(f"{path} has no environment {where.env!r}", hint=f"known: {known}", code="UnknownEnvironment")
    return found.kubeconfig, found.context


def tell(step: str, text: str) -> None:
    """One step, as flux tells it."""
    fancy, plain = _MARKS[step]
    colours = {"done": "green", "failed": "red", "wait": "yellow"}
    mark = fleets.paint(fancy if fleets.fancy() else plain, colours.get(step))
    click.echo(f"{mark} {fleets.plain(text)}")


def table(rows: list[list[str]]) -> None:
    """Rows with aligned columns; long commit ids are cut."""
    for line in fleets.columns([[short(fleets.plain(cell)) for cell in row] for row in rows]):
        click.echo(line)


def short(text: str) -> str:
    """Commits and digests with the eight digits people compare."""
    return _HEX.sub(r"\1", text)


async def places(cluster: Cluster, asked: Asked, namespace: str, *, everything: bool, suspended: bool = False) -> list[At]:
    """What is named, or with `everything` all of the kind (with `suspended` only those that are).

    Raises UsageError when it is neither or both, InputError when there is nothing to do it to.
    """
    from penstock.app import objects, reconcile

    kind = asked.one
    if everything == bool(asked.names):
        raise click.UsageError(f"either names or --all: {kind.human} NAME, or {kind.human} --all")
    names: list[str] = list(dict.fromkeys(asked.names))
    if everything:
        (_, items), *_ = await objects.find(cluster, asked, namespace)
        names = [str(item["metadata"]["name"]) for item in items if not suspended or objects.is_suspended(item)]
    if not names:
        which = "suspended " if suspended else ""
        raise errors.invalid(f"no {which}{kind.kind} objects found in {namespace} namespace", code="NotFound")
    return [reconcile.At(cluster=cluster, kind=kind, namespace=namespace, name=name) for name in names]


async def each(found: Sequence[At], work: Callable[[At], Awaitable[None]]) -> None:
    """The work on every object, one after the other; a failure of one does not spare the others.

    Raises the failure of one, or all of several as a group.
    """
    failures: list[Exception] = []
    for at in found:
        try:
            await work(at)
        except errors.InputError as error:
            failures.append(error)
    if len(failures) == 1:
        raise failures[0]
    if failures:
        raise ExceptionGroup("several objects", failures)
