"""`penstock debug`: what a Kustomization is made with, and what became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from penstock.cli import clusters

if TYPE_CHECKING:
    from penstock.ports.cluster import Cluster


@click.command(
    "debug",
    epilog="""\b
Examples:
  penstock debug ks dev --show-vars       the variables of postBuild as dotenv: values of Secrets too
  penstock debug ks dev --show-status
  penstock debug ks dev --show-history""",
)
@click.argument("what", nargs=-1, required=True, metavar="ks NAME")
@clusters.options
@click.option("--show-vars", is_flag=True, help="Its variables, those from Secrets in clear.")
@click.option("--show-status", is_flag=True, help="Its status.")
@click.option("--show-history", is_flag=True, help="Its last applies.")
def command(what: tuple[str, ...], where: clusters.Where, show_vars: bool, show_status: bool, show_history: bool) -> None:
    """Show a Kustomization's variables, status or history."""
    from penstock.app import live, objects
    from penstock.yamldoc import emitting

    asked = objects.parse(what)
    if asked.kinds != (objects.KUSTOMIZATION,) or len(asked.names) != 1:
        raise click.UsageError("one Kustomization has to be named: penstock debug ks NAME")
    if show_vars + show_status + show_history != 1:
        raise click.UsageError("one of --show-vars, --show-status and --show-history")
    name = asked.names[0]

    async def work(cluster: Cluster) -> Any:
        if show_vars:
            return await live.variables(cluster, where.namespace, name)
        found = await objects.get(cluster, objects.KUSTOMIZATION, where.namespace, name)
        status = found.get("status") or {}
        return status.get("history") or [] if show_history else status

    found = clusters.in_cluster(where, work)
    if show_vars:
        for key, value in sorted(found.items()):
            click.echo(f"{key}={_quoted(value)}")
    else:
        click.echo(emitting.emit(found), nl=False)


def _quoted(value: str) -> str:
    plain = all(character.isalnum() or character in "-_./:@" for character in value)
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$").replace("\n", "\\n")
    return value if plain else f'"{escaped}"'
