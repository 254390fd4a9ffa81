"""`penstock bootstrap`: bring a cluster under its repository in one command."""

from __future__ import annotations

import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from penstock.cli import clusters

if TYPE_CHECKING:
    from penstock.ports.cluster import Cluster

_HOSTS = {"github": "https://github.com", "gitlab": "https://gitlab.com", "gitea": ""}
_TOKENS = {"github": "GITHUB_TOKEN", "gitlab": "GITLAB_TOKEN", "gitea": "GITEA_TOKEN", "git": "GIT_PASSWORD"}


@click.command(
    "bootstrap",
    epilog="""\b
Examples:
  penstock bootstrap github --owner acme --repository fleet --path clusters/prod --image IMAGE
  penstock bootstrap gitea --hostname https://git.example.com --owner platform --repository fleet --path clusters/dev
  penstock bootstrap git --url https://git.example.com/fleet.git --username ci --path clusters/dev
\b
The token is read from GITHUB_TOKEN, GITLAB_TOKEN, GITEA_TOKEN or GIT_PASSWORD, or from --token-file; it becomes the source's
Secret. Running it again changes nothing; with another --image it upgrades.""",
)
@click.argument("kind", type=click.Choice(["git", "github", "gitlab", "gitea"]))
@clusters.options
@click.option("--url", default="", help="With git: the repository, by https.")
@click.option("--hostname", default="", help="With a forge: its address.  [default: the public one]")
@click.option("--owner", default="", help="With a forge: the owner.")
@click.option("--repository", default="", help="With a forge: the repository's name.")
@click.option("--branch", default="main", show_default=True)
@click.option("--path", required=True, help="The folder of the repository that this cluster syncs.")
@click.option("--username", default="git", show_default=True)
@click.option("--token-file", type=click.Path(path_type=Path), help="A file with the token.")
@click.option("--image", help="Install the controller too, from this image; without it one has to run outside.")
@click.option("--interval", default="1m0s", show_default=True, help="How often the source is looked at.")
@clusters.timeout_option
def command(
    kind: str,
    where: clusters.Where,
    url: str,
    hostname: str,
    owner: str,
    repository: str,
    branch: str,
    path: str,
    username: str,
    token_file: Path | None,
    image: str | None,
    interval: str,
    seconds: float,
) -> None:
    """Write what syncs a cluster into its repository, install, let it in, and wait until it is synced."""
    from penstock.app import bootstrapping, incluster, world

    token = world.secret(token_file) if token_file is not None else os.environ.get(_TOKENS[kind], "")
    settings = bootstrapping.Settings(
        url=_url(kind, url, hostname, owner, repository),
        branch=branch,
        path=path.removeprefix("./").strip("/"),
        username=username,
        password=token,
        namespace=where.namespace,
        interval=interval,
        components=incluster.Settings(image=image, namespace=where.namespace) if image else None,
        seconds=seconds,
    )

    async def work(cluster: Cluster) -> None:
        from penstock.adapters import git

        credentials = git.Credentials(username=username, password=token) if token else None
        with tempfile.TemporaryDirectory(prefix="penstock-") as folder:
            repo = git.Mirror(settings.url, Path(folder) / "repository.git", credentials=credentials)
            await bootstrapping.bootstrap(repo, cluster, settings, datetime.now(UTC), clusters.tell)

    clusters.in_cluster(where, work)


def _url(kind: str, url: str, hostname: str, owner: str, repository: str) -> str:
    if kind == "git":
        if not url or owner or repository or hostname:
            raise click.UsageError("bootstrap git takes --url")
        return url
    if url or not owner or not repository:
        raise click.UsageError(f"bootstrap {kind} takes --owner and --repository")
    host = hostname or _HOSTS[kind]
    if not host:
        raise click.UsageError(f"bootstrap {kind} takes --hostname")
    return f"{host if '://' in host else f'https://{host}'}".rstrip("/") + f"/{owner}/{repository}.git"
