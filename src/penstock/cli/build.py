"""`penstock build`: print the manifests of an environment, or of any kustomization."""

from __future__ import annotations

import gc
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from penstock.cli import options as shared

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.model.errors import Problem
    from penstock.model.rendered import Rendered
    from penstock.render import Options

_RESTRICTORS = {"LoadRestrictionsRootOnly": "rootOnly", "LoadRestrictionsNone": "none"}

# kustomize's flags that would start a program or a connection, or only matter to one that is started.
_REFUSED: dict[str, bool] = {
    "--enable-helm": False,
    "--enable-exec": False,
    "--enable-alpha-plugins": False,
    "--network": False,
    "--as-current-user": False,
    "--helm-debug": False,
    "--helm-command": True,
    "--helm-api-versions": True,
    "--helm-kube-version": True,
    "--network-name": True,
    "--mount": True,
    "--env": True,
}


def _refuse(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    if value not in (None, False, ()):
        raise click.UsageError(
            f"{parameter.opts[-1]} is refused: a build starts no program and opens no connection\n"
            "  hint: commit what the plugin or chart gives, or use a Flux HelmRelease"
        )


def _refused_options(command: click.Command) -> click.Command:
    for flag, takes_value in _REFUSED.items():
        names = ["-e", flag] if flag == "--env" else [flag]
        option = click.Option(names, is_flag=not takes_value, hidden=True, expose_value=False, callback=_refuse)
        command.params.append(option)
    return command


@_refused_options
@click.command(
    "build",
    epilog="""\b
Examples:
  penstock build staging                 what is applied to the staging cluster
  penstock build clusters/staging/apps   any kustomization, as kustomize prints it
  penstock build prod -C ../fleet -o prod.yaml
\b
A folder is built as `kustomize build` would, with its flags; those that start plugins, Helm or containers are refused.""",
)
@click.argument("what", metavar="ENV|PATH", default=".")
@shared.repository_option
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write to this file, or to files in this folder.")
@click.option("--reorder", type=click.Choice(["legacy", "none"]), help="Order of the objects, unless sortOptions say.")
@click.option(
    "--load-restrictor",
    type=click.Choice(list(_RESTRICTORS)),
    default="LoadRestrictionsRootOnly",
    help="Whether files outside a kustomization's folder may be read (none outside the repository ever).",
)
@click.option("--enable-managedby-label", "managed_by", is_flag=True, help="Label objects app.kubernetes.io/managed-by.")
@click.option("--lenient", is_flag=True, help="Let pass what kustomize lets pass: duplicate keys, unknown tags ...")
def command(
    what: str,
    folder: Path,
    output: Path | None,
    reorder: str | None,
    load_restrictor: str,
    managed_by: bool,
    lenient: bool,
) -> None:
    """Print the manifests of an environment or of any kustomization."""
    from penstock.render.options import Options
    from penstock.yamldoc import reading

    options = Options(
        reorder="unspecified" if reorder is None else "none" if reorder == "none" else "legacy",
        restriction="none" if _RESTRICTORS[load_restrictor] == "none" else "rootOnly",
        managed_by=managed_by,
        leniency=reading.LENIENT if lenient else reading.STRICT,
        clock=time.process_time,
    )
    collecting = gc.isenabled()
    gc.disable()  # one build and out: nothing lives long enough to be worth collecting
    try:
        _write(what, folder, output, options)
    finally:
        if collecting:
            gc.enable()


def _write(what: str, folder: Path, output: Path | None, options: Options) -> None:
    if output is not None and output.is_dir():
        from penstock.app import build

        built = _built(what, folder, options)
        _show(built.warnings)
        for name, content in build.files(built.objects).items():
            (output / name).write_bytes(content)
        return
    data, warnings = _text(what, folder, options)
    _show(warnings)
    if output is not None:
        output.write_bytes(data)
    else:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


def _show(warnings: Sequence[Problem]) -> None:
    for warning in warnings:
        click.echo(f"{click.style('warning:', fg='yellow')} {warning}", err=True)


def _is_path(what: str, folder: Path) -> bool:
    """Whether this names a folder rather than an environment. Raises InputError for what kustomize would fetch."""
    from penstock.model import errors
    from penstock.render import loading

    if not (folder / what).exists() and loading.is_remote(what):
        raise errors.invalid(
            f"'{loading.shown_url(what)}' is remote, and a build opens no connection",
            hint="clone it, and build the folder",
            code="RemoteBase",
        )
    return "/" in what or what in (".", "..") or (folder / what).exists()


def _text(what: str, folder: Path, options: Options) -> tuple[bytes, Sequence[Problem]]:
    from penstock import render
    from penstock.app import build

    if _is_path(what, folder):
        printed = build.kustomization(folder / what, lambda tree, path: render.printed(tree, path, options))
        return printed.data, printed.warnings
    built = _built(what, folder, options)
    return render.emit(built.objects), built.warnings


def _built(what: str, folder: Path, options: Options) -> Rendered:
    from penstock import render
    from penstock.adapters.files import DirectoryTree
    from penstock.app import build

    if _is_path(what, folder):
        return build.kustomization(folder / what, lambda tree, path: render.build(tree, path, options))
    tree = DirectoryTree(folder)
    return build.environment(tree, build.named(tree, what))
