"""`penstock build`: print the manifests of an environment, or of any kustomization."""

from __future__ import annotations

import sys
from pathlib import Path

import click


@click.command(
    "build",
    epilog="""\b
Examples:
  penstock build staging                 what is applied to the staging cluster
  penstock build clusters/staging/apps   any kustomization, as kustomize prints it
  penstock build prod -C ../fleet -o prod.yaml""",
)
@click.argument("what", metavar="ENV|PATH", default=".")
@click.option("-C", "--repository", "folder", type=click.Path(path_type=Path), default=Path(), help="The repository.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write to this file.")
def command(what: str, folder: Path, output: Path | None) -> None:
    """Print the manifests of an environment or of any kustomization."""
    from penstock import render
    from penstock.adapters.files import DirectoryTree
    from penstock.app import build

    tree = DirectoryTree(folder)
    entry = tree.entry(what.strip("/")) if what not in (".", "") else tree.entry("")
    path = "" if what == "." else what.strip("/")
    built = render.build(tree, path) if entry else build.environment(tree, build.named(tree, what))
    for warning in built.warnings:
        click.echo(f"{click.style('warning:', fg='yellow')} {warning}", err=True)
    printed = render.emit(built.objects)
    if output:
        output.write_bytes(printed)
    else:
        sys.stdout.buffer.write(printed)
