"""`penstock trace`: where an object, a field or a file's content comes from and what changes it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from penstock.cli import clusters, fleets, options

if TYPE_CHECKING:
    from penstock.app.trace import Found
    from penstock.ports.cluster import Cluster
    from penstock.render.tracing import Change


@click.command(
    "trace",
    epilog="""\b
Examples:
  penstock trace Deployment/web                      its file, and every step that changes it, in each environment
  penstock trace Deployment/web spec.replicas        the line that decides this field
  penstock trace clusters/prod/kustomization.yaml    what this file changes
  penstock trace Service/web --in clusters/dev -o json
  penstock trace deployment web -n apps --env prod   of a cluster: its Kustomization and its source""",
)
@click.argument("what", metavar="FILE|OBJECT")
@click.argument("field", required=False)
@options.repository_option
@click.option("--in", "inside", metavar="ENV|PATH", help="Only there, instead of in every environment.")
@options.output_option
@clusters.options
def command(what: str, field: str | None, folder: Path, inside: str | None, output: str, where: clusters.Where) -> None:
    """Show where an object or a field comes from."""
    if field is not None and what.isalnum() and not (folder / what).exists():
        _of_cluster(what, field, where, output)
        return
    from penstock.adapters.files import DirectoryTree
    from penstock.app import trace
    from penstock.model import fieldpath

    tree = DirectoryTree(folder)
    path = what.removeprefix("./")
    entry = tree.entry(path)
    if entry is not None and entry.kind == "file":
        if field:
            raise click.UsageError("a field can be asked for of an object, not of a file")
        found = trace.file(tree, path, inside)
    else:
        try:
            steps = fieldpath.parse(field.removeprefix(".")) if field else ()
        except ValueError as error:
            raise click.UsageError(str(error)) from None
        found = trace.objects(tree, what, steps, inside)
    if output != "table":
        fleets.print_data([_as_json(one) for one in found], output)
        return
    for index, one in enumerate(found):
        if index:
            click.echo()
        _show(one)


def _of_cluster(kind: str, name: str, where: clusters.Where, output: str) -> None:
    """`trace deployment web`, as flux has it: from an object of a cluster to its Kustomization and its source."""
    from penstock.app import provenance

    async def work(cluster: Cluster) -> list[provenance.Block]:
        return await provenance.trace(cluster, kind, name, where.namespace)

    blocks = clusters.in_cluster(where, work)
    if output != "table":
        fleets.print_data([dict(block.rows) for block in blocks], output)
        return
    width = max(len(title) for block in blocks for title, _ in block.rows) + 2
    for number, block in enumerate(blocks):
        click.echo("---" if number else "")
        for title, text in block.rows:
            click.echo(f"{title + ':':<{width}}{fleets.plain(clusters.short(text))}")


def _show(found: Found) -> None:
    from penstock.model import fieldpath

    identity = found.traced.object.id
    namespace = f" (namespace {identity.namespace})" if identity.namespace else ""
    click.secho(f"{identity.kind}/{identity.name}{namespace} in {found.where}", bold=True)
    if found.field:
        click.echo(f"  {fieldpath.show(found.field)} is decided at {found.place}")
    click.echo(f"  from {found.traced.object.origin.place}")
    for what, place, fields in map(_row, found.changes):
        click.echo(f"  {what} at {place}" if place else f"  {what}")
        for text in fields:
            click.echo(f"      {text}")


def _row(change: Change) -> tuple[str, str, list[str]]:
    from penstock.model import fieldpath

    return (
        change.what,
        str(change.place) if change.place else "",
        [fieldpath.show(path) or "(everything)" for path in change.fields],
    )


def _as_json(found: Found) -> dict[str, object]:
    identity = found.traced.object.id
    return {
        "in": found.where,
        "kind": identity.kind,
        "namespace": identity.namespace or None,
        "name": identity.name,
        "from": str(found.traced.object.origin.place),
        "decidedAt": str(found.place) if found.field else None,
        "changes": [{"what": what, "at": place or None, "fields": fields} for what, place, fields in map(_row, found.changes)],
    }
