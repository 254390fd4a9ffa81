"""The outside world of one fleet: its repository, its forge and its clusters, opened from a fleet file.

In: a fleet file, written by `penstock up` or by hand for `penstock run`. Out: a World of ports. Example:

    apiVersion: penstock.dev/v1alpha1
    kind: Fleet
    repository:
      url: https://git.example.com/platform/fleet.git
      branch: main
      username: penstock
      passwordFile: secrets/git-token
    forge:
      kind: gitea              # gitea (Forgejo too), github or gitlab
      url: https://git.example.com
      repository: platform/fleet
      tokenFile: secrets/forge-token
    clusters:
    - environment: dev
      kubeconfig: ~/.kube/config
      context: dev

Relative file names are looked up beside the fleet file. Secrets stand in files of their own, never in the fleet file.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from penstock.app import notifications, people
from penstock.model import errors
from penstock.model.values import EnvName
from penstock.ports.clock import Clock
from penstock.ports.cluster import Cluster
from penstock.ports.forge import Forge
from penstock.ports.outbound import Outbound
from penstock.ports.repo import Repo

FILE_NAME = "fleet.yaml"
SANDBOX_FOLDER = Path(".penstock/sandbox")
"""Where `penstock up` and `penstock demo` keep their state, below the folder they are started in."""

ForgeKind = Literal["gitea", "github", "gitlab"]
_FORGES: tuple[ForgeKind, ...] = ("gitea", "github", "gitlab")


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryAt:
    """Where the repository is and how to get in."""

    url: str
    branch: str = "main"
    username: str = ""
    password_file: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgeAt:
    """Which forge, which repository on it, and how to get in."""

    kind: ForgeKind
    url: str
    repository: str
    token_file: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterAt:
    """The cluster of one environment: a context of a kubeconfig."""

    environment: EnvName
    kubeconfig: Path | None
    context: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhooksAt:
    """Where the forge's webhooks come in."""

    listen: str
    """host:port."""
    secret_file: Path
    path: str = "/hook"


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialAt:
    """A secret that checks may send, and the one host it goes to."""

    name: str
    host: str
    header: str
    value_file: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """A fleet file, read."""

    path: Path
    repository: RepositoryAt
    forge: ForgeAt
    clusters: tuple[ClusterAt, ...]
    webhooks: WebhooksAt | None = None
    web: people.WebAt = field(default_factory=people.WebAt)
    """The web page: where it is, who signs in how."""
    notifications: notifications.Notifications = field(default_factory=notifications.Notifications)
    allow: tuple[str, ...] = ()
    """Networks and host names that checks may ask although they are not public."""
    credentials: tuple[CredentialAt, ...] = ()

    @property
    def cache(self) -> Path:
        """The folder of mirrors: it can be deleted at any time."""
        return self.path.parent / "cache"


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A fleet's outside, as ports. Every verb of the app takes one."""

    fleet: Fleet
    repo: Repo
    forge: Forge
    clusters: Mapping[EnvName, Cluster]
    clock: Clock
    branch: str = "main"
    outbound: Outbound | None = None
    """Asks what the gates' checks ask."""
    cluster_problems: Mapping[EnvName, str] = field(default_factory=dict)
    """Environments whose cluster could not even be addressed (no such context): what was wrong."""


def find(folder: Path) -> Path | None:
    """The fleet file of the sandbox started in this folder or one above it, else a fleet.yaml standing there."""
    for parent in (folder, *folder.parents):
        for candidate in (parent / SANDBOX_FOLDER / FILE_NAME, parent / FILE_NAME):
            if candidate.is_file():
                return candidate
    return None


def read(path: Path) -> Fleet:
    """Read a fleet file. Raises InputError with every problem in it."""
    import yaml

    try:
        content = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise errors.invalid(f"{path} does not exist", hint="penstock up writes one", code="NoFleet") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise errors.invalid(str(error.problem), str(path), line, code="Yaml") from None
    reader = Reader(path)
    fleet = reader.fleet(content)
    if reader.problems:
        raise errors.InputError(reader.problems)
    return fleet


class Reader:
    """Collects what is wrong instead of stopping at the first."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problems: list[errors.Problem] = []

    def fleet(self, content: Any) -> Fleet:
        known = {
            *("apiVersion", "kind", "metadata", "repository", "forge", "clusters"),
            *("web", "webhooks", "notifications", "outbound"),
        }
        top = self.mapping(content, "", known)
        if top.get("kind") != "Fleet":
            self.problem("kind", "must be Fleet")
        repository = self.mapping(top.get("repository"), "repository", {"url", "branch", "username", "passwordFile"})
        forge = self.mapping(top.get("forge"), "forge", {"kind", "url", "repository", "tokenFile"})
        kind = self.text(forge, "forge", "kind")
        if kind and kind not in _FORGES:
            self.problem("forge.kind", f"must be one of {', '.join(_FORGES)}")
        clusters = top.get("clusters")
        if not isinstance(clusters, list) or not clusters:
            self.problem("clusters", "must list at least one cluster")
            clusters = []
        return Fleet(
            path=self.path,
            repository=RepositoryAt(
                url=self.text(repository, "repository", "url"),
                branch=self.text(repository, "repository", "branch", "main"),
                username=self.text(repository, "repository", "username", ""),
                password_file=self.file(self.text(repository, "repository", "passwordFile", "")),
            ),
            forge=ForgeAt(
                kind=next((known for known in _FORGES if known == kind), "gitea"),
                url=self.text(forge, "forge", "url"),
                repository=self.text(forge, "forge", "repository"),
                token_file=self.file(self.text(forge, "forge", "tokenFile")) or self.path,
            ),
            clusters=tuple(self.clusters(clusters)),
            webhooks=self.webhooks(top["webhooks"]) if "webhooks" in top else None,
            web=people.read(self, top.get("web")),
            notifications=notifications.parse(top.get("notifications"), self.path.parent, self.path, self.problems),
            **self.outbound(top.get("outbound")),
        )

    def outbound(self, value: Any) -> dict[str, Any]:
        if value is None:
            return {}
        found = self.mapping(value, "outbound", {"allow", "credentials"})
        allow = found.get("allow") or []
        if not isinstance(allow, list) or not all(isinstance(one, str) for one in allow):
            self.problem("outbound.allow", "must list networks and host names")
            allow = []
        entries = found.get("credentials") or []
        if not isinstance(entries, list):
            self.problem("outbound.credentials", "must be a list")
            entries = []
        return {"allow": tuple(allow), "credentials": tuple(self.credentials(entries))}

    def credentials(self, entries: list[Any]) -> Iterator[CredentialAt]:
        for position, entry in enumerate(entries):
            where = f"outbound.credentials[{position}]"
            found = self.mapping(entry, where, {"name", "host", "header", "valueFile"})
            yield CredentialAt(
                name=self.text(found, where, "name"),
                host=self.text(found, where, "host"),
                header=self.text(found, where, "header", "Authorization"),
                value_file=self.file(self.text(found, where, "valueFile")) or self.path,
            )

    def clusters(self, entries: list[Any]) -> Iterator[ClusterAt]:
        for position, entry in enumerate(entries):
            where = f"clusters[{position}]"
            cluster = self.mapping(entry, where, {"environment", "kubeconfig", "context"})
            yield ClusterAt(
                environment=EnvName(self.text(cluster, where, "environment")),
                kubeconfig=self.file(self.text(cluster, where, "kubeconfig", "")),
                context=self.text(cluster, where, "context", "") or None,
            )

    def webhooks(self, value: Any) -> WebhooksAt:
        given = self.mapping(value, "webhooks", {"listen", "path", "secretFile"})
        listen, path = self.text(given, "webhooks", "listen"), self.text(given, "webhooks", "path", "/hook")
        if listen and not listen.rpartition(":")[2].isdigit():
            self.problem("webhooks.listen", "must be host:port")
        if not path.startswith("/"):
            self.problem("webhooks.path", "must start with /")
        file = self.file(self.text(given, "webhooks", "secretFile"))
        return WebhooksAt(listen=listen, secret_file=file or self.path, path=path)

    def mapping(self, value: Any, where: str, known: set[str]) -> dict[str, Any]:
        if not isinstance(value, dict):
            self.problem(where or "the file", "must be a mapping")
            return {}
        for key in value:
            if key not in known:
                self.problem(f"{where}.{key}".lstrip("."), f"is not a field here; known: {', '.join(sorted(known))}")
        return value

    def text(self, mapping: dict[str, Any], where: str, key: str, default: str | None = None) -> str:
        value = mapping.get(key, default)
        if not isinstance(value, str) or (default is None and not value):
            self.problem(f"{where}.{key}".lstrip("."), "must be a text" if key in mapping else "is missing")
            return ""
        return value

    def file(self, name: str) -> Path | None:
        return self.path.parent / Path(name).expanduser() if name else None

    def problem(self, field_name: str, what: str) -> None:
        self.problems.append(errors.Problem(what=f"{field_name} {what}", where=errors.Place(path=str(self.path)), code="Fleet"))


@contextlib.asynccontextmanager
async def open_fleet(fleet: Fleet, *, fetch: bool = True) -> AsyncIterator[World]:
    """Open what a fleet file names. The repository is fetched; clusters are only addressed, since any may be down.

    Raises RemoteError when the repository cannot be reached, InputError when a secret's file is missing.
    """
    from penstock.adapters import clock, git, kube
    from penstock.adapters.forge import connect as connect_forge

    repository = fleet.repository
    password = secret(repository.password_file) if repository.password_file else ""
    credentials = git.Credentials(username=repository.username, password=password) if password else None
    async with contextlib.AsyncExitStack() as stack:
        mirror = git.Mirror(repository.url, fleet.cache / "fleet.git", credentials=credentials)
        if fetch:
            await mirror.fetch()
        forge = await stack.enter_async_context(
            connect_forge(fleet.forge.kind, fleet.forge.url, fleet.forge.repository, token=secret(fleet.forge.token_file))
        )
        clusters: dict[EnvName, Cluster] = {}
        problems: dict[EnvName, str] = {}
        for at in fleet.clusters:
            try:
                cluster = kube.connect(at.kubeconfig, at.context)
            except errors.InputError as error:
                problems[at.environment] = str(error)
                continue
            clusters[at.environment] = await stack.enter_async_context(cluster)
        outbound = await stack.enter_async_context(_outbound(fleet))
        yield World(
            outbound=outbound,
            fleet=fleet,
            repo=mirror,
            forge=forge,
            clusters=clusters,
            clock=clock.SystemClock(),
            branch=repository.branch,
            cluster_problems=problems,
        )


@contextlib.asynccontextmanager
async def _outbound(fleet: Fleet) -> AsyncIterator[Outbound]:
    """Something that asks what this fleet allows. Raises InputError for what `allow` cannot mean."""
    from penstock.adapters import outbound

    credentials = {
        one.name: outbound.Credential(host=one.host, header=one.header, value=secret(one.value_file)) for one in fleet.credentials
    }
    try:
        async with outbound.connect(fleet.allow, credentials) as connected:
            yield connected
    except ValueError as error:
        raise errors.invalid(f"outbound.allow: {error}", str(fleet.path), code="Fleet") from None


def secret(path: Path) -> str:
    """The text of a secret's file, without its final newline."""
    try:
        return path.read_text().rstrip("\n")
    except OSError as error:
        raise errors.invalid(f"cannot read the secret in {path}: {error.strerror}", code="SecretFile") from None
