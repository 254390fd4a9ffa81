"""`penstock diff ks`: what applying a folder would change in a cluster."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from penstock.cli import build_ks, clusters, fleets
from penstock.model import errors

if TYPE_CHECKING:
    from penstock.app.live import Change, Difference
    from penstock.ports.cluster import Cluster

_COLOURS = {"created": "green", "drifted": "yellow", "deleted": "red"}


@click.command(
    "diff-ks",
    epilog="""\b
Examples:
  penstock diff-ks dev --path ./clusters/dev --env dev
\b
`penstock diff ks dev ...` is the same. Values of Secrets are masked.
Exit codes: 0 no difference; 1 they differ; above 1 an error.""",
)
@click.argument("name")
@clusters.options
@click.option("--path", type=click.Path(path_type=Path), required=True, help="The folder with the manifests.")
@click.option("--kustomization-file", "file", type=click.Path(path_type=Path), help="Its manifest, not the cluster's.")
@fleets.output_option
def command(name: str, where: clusters.Where, path: Path, file: Path | None, output: str) -> int:
    """Compare what a Kustomization would apply from a folder with what runs."""
    from penstock.app import live

    manifest = build_ks.given(file, name)

    async def work(cluster: Cluster) -> list[Difference]:
        return await live.compare(cluster, await live.built(cluster, where.namespace, name, path, given=manifest))

    try:
        found = clusters.in_cluster(where, work)
    except errors.PenstockError as error:
        # 1 says that they differ: whatever went wrong must not look like that
        click.echo(f"{fleets.paint('error:', 'red')} {error}", err=True)
        return max(error.exit_code, 2)
    if output != "table":
        fleets.print_data(found, output)
    else:
        for each in found:
            _show(each)
    return 1 if found else 0


def _show(one: Difference) -> None:
    name = "/".join(part for part in (one.id.kind, one.id.namespace, one.id.name) if part)
    mark = "►" if fleets.fancy() else ">"
    click.echo(fleets.paint(f"{mark} {fleets.plain(name)} {one.state}", _COLOURS[one.state]))
    if not one.changes:
        return
    for change in one.changes:
        click.echo()
        for line in _block(change):
            click.echo(fleets.plain(line))
    click.echo()


def _block(change: Change) -> list[str]:
    sign = "±" if fleets.fancy() else "~"
    above, _, last = change.path.rpartition(".")
    if change.before is None:
        return [above or "(root)", "+ one entry added:", *_lines("+", {last: change.after})]
    if change.after is None:
        return [above or "(root)", "- one entry removed:", *_lines("-", {last: change.before})]
    return [change.path, f"{sign} value change", *_lines("-", change.before), *_lines("+", change.after)]


def _lines(sign: str, value: Any) -> list[str]:
    from penstock.yamldoc import emitting

    text = emitting.emit(value) if isinstance(value, Mapping | list) else str(value)
    return [f"{sign} {line}" for line in text.rstrip("\n").splitlines() or [""]]
