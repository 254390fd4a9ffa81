"""`penstock init`: write a repository, or add an environment to one."""

from __future__ import annotations

from pathlib import Path

import click

from penstock.app import init


@click.command(
    "init",
    epilog="""\b
Examples:
  penstock init fleet                         three environments, three applications, first commit made
  penstock init fleet --url https://…/fleet.git --environments dev,qa,prod
  cd fleet && penstock init --env qa --like staging --after dev""",
)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=True), default=Path())
@click.option(
    "--environments", default=",".join(init.DEFAULT_ENVIRONMENTS), show_default=True, help="Names in order of promotion."
)
@click.option("--url", default=init.DEFAULT_URL, show_default=True, help="Where clusters will read the repository from.")
@click.option("--branch", default="main", show_default=True, help="The branch that is live.")
@click.option("--env", "name", help="Add this one environment to the repository in FOLDER instead.")
@click.option("--like", help="With --env: the environment to copy.  [default: the last one]")
@click.option("--after", help="With --env: the environment it is promoted from.  [default: that of --like]")
@click.option("--force", is_flag=True, help="Write into a folder that is not empty.")
def command(
    folder: Path, environments: str, url: str, branch: str, name: str | None, like: str | None, after: str | None, force: bool
) -> None:
    """Write a new multi-environment repository, or add an environment to one."""
    if name is None:
        names = [part.strip() for part in environments.split(",") if part.strip()]
        if not names:
            raise click.UsageError("--environments names none")
        _show_repository(init.repository(folder, environments=names, url=url, branch=branch, force=force))
        return
    written = init.environment(folder, name, like=like or _last(folder), after=after, force=force)
    click.echo(f"wrote clusters/{name} ({len(written.files)} files)")
    if written.names_source:
        click.echo("these lines still name the environment it was copied from; change what is not meant:")
        for place in written.names_source:
            click.echo(f"  {place}")
    click.echo(f"next: penstock check {folder}, then commit")


def _last(folder: Path) -> str:
    from penstock import source
    from penstock.adapters.files import DirectoryTree

    names = [environment.name for environment in source.discover(DirectoryTree(folder)).environments]
    return names[-1] if names else "prod"


def _show_repository(written: init.Written) -> None:
    click.echo(f"wrote {len(written.files)} files to {written.folder}")
    for file in written.files:
        if file.count("/") <= 2:
            click.echo(f"  {file}")
    if written.committed:
        click.echo(f"committed {written.committed[:7]}: today's differences between the environments are recorded as meant")
    click.echo(f"next: cd {written.folder} && penstock check && penstock diff dev prod")
