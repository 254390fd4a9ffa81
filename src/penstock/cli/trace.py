"""`penstock trace`: where an object, a field or a file's content comes from and what changes it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from penstock.cli import fleets, options

if TYPE_CHECKING:
    from penstock.app.trace import Found
    from penstock.render.tracing import Change


@click.command(
    "trace",
    epilog="""\b
Examples:
  penstock trace Deployment/web                      its file, and every step that changes it, in each environment
  penstock trace Deployment/web spec.replicas        the line that decides this field
  penstock trace clusters/prod/kustomization.yaml    what this file changes
  penstock trace Service/web --in clusters/dev -o json""",
)
@click.argument("what", metavar="FILE|OBJECT")
@click.argument("field", required=False)
@options.repository_option
@click.option("--in", "where", metavar="ENV|PATH", help="Only there, instead of in every environment.")
@options.output_option
def command(what: str, field: str | None, folder: Path, where: str | None, output: str) -> None:
    """Show where an object or a field comes from."""
    from penstock.adapters.files import DirectoryTree
    from penstock.app import trace
    from penstock.model import fieldpath

    tree = DirectoryTree(folder)
    path = what.removeprefix("./")
    entry = tree.entry(path)
    if entry is not None and entry.kind == "file":
        if field:
            raise click.UsageError("a field can be asked for of an object, not of a file")
        found = trace.file(tree, path, where)
    else:
        try:
            steps = fieldpath.parse(field.removeprefix(".")) if field else ()
        except ValueError as error:
            raise click.UsageError(str(error)) from None
        found = trace.objects(tree, what, steps, where)
    if output != "table":
        fleets.print_data([_as_json(one) for one in found], output)
        return
    for index, one in enumerate(found):
        if index:
            click.echo()
        _show(one)


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
