"""`penstock diff`: two environments, or two revisions of one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from penstock.cli import fleets, options

if TYPE_CHECKING:
    from penstock.app import diff


@click.command(
    "diff",
    epilog="""\b
Examples:
  penstock diff dev prod                    what differs between two environments
  penstock diff staging                     what the work tree changes in one, against HEAD
  penstock diff prod --from HEAD~3 --to HEAD
\b
Exit codes: 0 no difference; 1 they differ; 2 wrong usage.""",
)
@click.argument("environments", metavar="ENV [ENV]", nargs=-1, required=True)
@click.option("--from", "older", metavar="REV", help="With one environment: the earlier revision.  [default: HEAD]")
@click.option("--to", "newer", metavar="REV", help="With one environment: the later revision.  [default: the work tree]")
@options.repository_option
@options.output_option
def command(environments: tuple[str, ...], older: str | None, newer: str | None, folder: Path, output: str) -> int:
    """Compare two environments, or two revisions of one, object by object and field by field."""
    from penstock.app import diff

    if len(environments) > 2 or (len(environments) == 2 and (older or newer)):
        raise click.UsageError("diff takes two environments, or one and --from REV --to REV")
    sides = (
        _two_environments(folder, *environments) if len(environments) == 2 else _revisions(folder, environments[0], older, newer)
    )
    found = diff.compare(*sides)
    if output != "table":
        fleets.print_data(_as_json(found), output)
    else:
        _show(found)
    return 1 if found.rows else 0


def _two_environments(folder: Path, left: str, right: str) -> tuple[diff.Side, diff.Side]:
    from penstock.adapters.files import DirectoryTree
    from penstock.app import build, diff

    tree = DirectoryTree(folder)
    return (
        diff.Side(label=left, tree=tree, environment=build.named(tree, left)),
        diff.Side(label=right, tree=tree, environment=build.named(tree, right)),
    )


def _revisions(folder: Path, name: str, older: str | None, newer: str | None) -> tuple[diff.Side, diff.Side]:
    from penstock.adapters import git
    from penstock.app import build, diff
    from penstock.model import errors

    repo = git.LocalRepo(folder)

    def at(revision: str) -> diff.Side:
        commit = repo.resolve(revision)
        if commit is None:
            raise errors.invalid(
                f"there is no revision {revision!r} in {folder}", hint="git log shows them", code="UnknownRevision"
            )
        tree = repo.tree(commit)
        return diff.Side(label=f"{name}@{commit[:7]}", tree=tree, environment=build.named(tree, name))

    if newer is not None:
        return at(older or "HEAD"), at(newer)
    tree = repo.work_tree()
    return at(older or "HEAD"), diff.Side(label=f"{name} (work tree)", tree=tree, environment=build.named(tree, name))


def _show(found: diff.Difference) -> None:
    if not found.rows:
        click.echo(f"{found.left} and {found.right} are the same: {found.same} objects")
        return
    fields = [row for row in found.rows if row.field]
    width = min(76, max((len(row.field) for row in fields), default=0))
    values = min(40, max((len(_value(row.left)) for row in fields), default=0))
    last = ""
    for row in found.rows:
        if row.object != last:
            last = row.object
            places = " | ".join(str(place) for place in dict.fromkeys((row.left_at, row.right_at)) if place)
            click.echo(f"{click.style(row.object, bold=True)}  {click.style(places, dim=True)}")
        if not row.field:
            side, colour = (found.left, "red") if row.right is None else (found.right, "green")
            click.secho(f"  only in {side}", fg=colour)
            continue
        note = click.style(f"   declared in {row.declared}", dim=True) if row.declared else ""
        left = click.style(_value(row.left).ljust(values), fg="red")
        click.echo(f"  {row.field.ljust(width)}  {left}  {click.style(_value(row.right), fg='green')}{note}")
    objects = len({row.object for row in found.rows})
    click.echo(f"\n{found.left} | {found.right}: {objects} objects differ in {len(fields)} fields, {found.same} are the same")


def _value(value: str | None) -> str:
    """One line of it: the whole stands in the JSON output."""
    if value is None:
        return "(absent)"
    first, newline, _ = value.partition("\n")
    return f"{first} ..." if newline or len(first) > 200 else first or '""'


def _as_json(found: diff.Difference) -> dict[str, object]:
    return {
        "left": found.left,
        "right": found.right,
        "same": found.same,
        "differences": [
            {
                "object": row.object,
                "field": row.field,
                "left": row.left,
                "right": row.right,
                "declared": str(row.declared) if row.declared else None,
                "leftAt": str(row.left_at) if row.left_at else None,
                "rightAt": str(row.right_at) if row.right_at else None,
            }
            for row in found.rows
        ],
    }
