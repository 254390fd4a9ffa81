"""`penstock build ks`: what a Kustomization would apply from a folder, as its controller would build it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from penstock.cli import clusters
from penstock.model import errors

if TYPE_CHECKING:
    from penstock.app.live import Built
    from penstock.ports.cluster import Cluster


def given(path: Path | None, name: str) -> Any:
    """The Kustomization of this name from a file. Raises InputError."""
    import yaml

    if path is None:
        return None
    try:
        found = [each for each in yaml.safe_load_all(path.read_text()) if isinstance(each, dict)]
    except OSError as error:
        raise errors.invalid(f"cannot read {path}: {error.strerror}", code="File") from None
    except yaml.YAMLError:
        raise errors.invalid(f"{path} is not YAML", code="Yaml") from None
    for manifest in found:
        if manifest.get("kind") == "Kustomization" and (manifest.get("metadata") or {}).get("name") == name:
            return manifest
    raise errors.invalid(f"{path} has no Kustomization {name!r}", code="NotFound")


@click.command(
    "build-ks",
    epilog="""\b
Examples:
  penstock build-ks dev --path ./clusters/dev --env dev
  penstock build-ks dev --path ./clusters/dev --kustomization-file dev.yaml --dry-run     without a cluster
\b
`penstock build ks dev ...` is the same. Values of Secrets are masked.""",
)
@click.argument("name")
@clusters.options
@click.option("--path", type=click.Path(path_type=Path), required=True, help="The folder with the manifests.")
@click.option("--kustomization-file", "file", type=click.Path(path_type=Path), help="Its manifest, not the cluster's.")
@click.option("--dry-run", is_flag=True, help="Ask no cluster: only with --kustomization-file, and inline variables alone.")
def command(name: str, where: clusters.Where, path: Path, file: Path | None, dry_run: bool) -> None:
    """Print what a Kustomization of a cluster would apply from the files of a folder."""
    from penstock.app import live
    from penstock.yamldoc import emitting

    if dry_run and file is None:
        raise click.UsageError("--dry-run goes with --kustomization-file")
    manifest = given(file, name)

    async def work(cluster: Cluster) -> Built:
        return await live.built(cluster, where.namespace, name, path, given=manifest)

    if dry_run:
        found = asyncio.run(live.built(None, where.namespace, name, path, given=manifest, offline=True))
    else:
        found = clusters.in_cluster(where, work)
    for each in found.desired:
        click.echo("---\n" + emitting.emit(live.shown(each.manifest)), nl=False)
