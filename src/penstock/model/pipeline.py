"""What a repository declares: environments in the order of promotion, their units, their gates. Plain values.

In: nothing. Out: the types that `source` fills from a tree and that promotion, sync and the faces read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import Literal

from penstock.model.errors import Place, Problem
from penstock.model.notification import Notification
from penstock.model.people import Grant
from penstock.model.resource import Manifest
from penstock.model.values import EnvName

REMAINDER = "_environment"
"""The unit that is what belongs to no app; its name cannot be an app's on the sides that show it."""

UnitKind = Literal["app", "environment"]
GuardPolicy = Literal["allow", "warn", "block"]
"""allow: the check's status tells, nobody is spoken to; warn: a comment names each value; block: the check fails as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Fields that are each environment's own and never travel."""

    pattern: str
    """As the merge reads it: 'spec.replicas', '#Ingress/web spec.rules[*].host'."""
    place: Place | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """When merging may happen: on these weekdays (0 is Monday), from `start` until `end`, local time of `zone`.

    `end` at or before `start` means the next day.
    """

    days: tuple[int, ...]
    start: time
    end: time
    zone: str
    place: Place | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequiredStatus:
    """A commit status that somebody else sets on the head of the pull request."""

    context: str
    creator: str = ""
    """Only a status by this login counts; '' trusts anybody who may set one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpCheck:
    """An endpoint that has to say yes. `${app}`, `${environment}`, `${source}` and `${commit}` are filled in."""

    name: str
    url: str
    statuses: tuple[int, ...] = ()
    """Empty: any 2xx."""
    contains: str = ""
    """A text its body has to hold."""
    timeout: timedelta = timedelta(seconds=10)
    credential: str = ""
    """The name of a credential of the fleet file."""
    place: Place | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricQuery:
    """A Prometheus query of which every value has to be inside of bounds; both may be given."""

    name: str
    address: str
    query: str
    below: float | None = None
    above: float | None = None
    timeout: timedelta = timedelta(seconds=10)
    credential: str = ""
    place: Place | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gates:
    """What must be green before a change is merged into an environment."""

    healthy: bool = True
    """It ran healthy, at this very digest, in the environment it comes from."""
    soak: timedelta = timedelta(0)
    """For how long it did so."""
    approvals: int = 1
    approvers: tuple[str, ...] = ()
    """Logins, or teams as 'team:name'; empty: anybody but the author of the pull request."""
    by_authors: bool = False
    """Whether who wrote a commit that travels may be among those who approve it."""
    windows: tuple[Window, ...] = ()
    statuses: tuple[RequiredStatus, ...] = ()
    references: bool = True
    """What the rendered objects say of each other still holds afterwards."""
    http: tuple[HttpCheck, ...] = ()
    metrics: tuple[MetricQuery, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """The commit statuses by which an environment's own Flux says how it is."""

    context: str
    """With '*' for what is not known beforehand: 'kustomization/staging/*'."""
    creator: str
    """The login it reports as."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoRollback:
    """What happens by itself when a promotion runs sick here."""

    on_failure: Literal["off", "propose", "merge"] = "off"
    after: timedelta = timedelta(minutes=10)
    """For how long it has to fail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeze:
    """Nothing is merged into these environments (none named: into none at all) until it ends or is taken away."""

    environments: tuple[str, ...]
    reason: str
    by: str = ""
    since: datetime | None = None
    until: datetime | None = None
    place: Place | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """One unit (or every unit, `unit` ''), or one commit, stays back from these environments (none named: from all)."""

    unit: str
    commit: str
    """A commit id, or the start of one, that must not be promoted; '' holds whatever the unit's content is."""
    environments: tuple[str, ...]
    reason: str
    field: str = ""
    """Only this field of it stays back, written as a difference is; the rest goes."""
    by: str = ""
    until: datetime | None = None
    place: Place | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """A person recorded that, as of `commit`, what differs between two environments is meant."""

    source: EnvName
    target: EnvName
    unit: str
    """'' means every unit."""
    commit: str
    place: Place | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FluxObject:
    """A Flux object found in the repository."""

    manifest: Manifest
    place: Place

    @property
    def namespace(self) -> str:
        return str((self.manifest.get("metadata") or {}).get("namespace") or "")

    @property
    def name(self) -> str:
        return str((self.manifest.get("metadata") or {}).get("name") or "")

    @property
    def spec(self) -> Manifest:
        spec = self.manifest.get("spec")
        return spec if isinstance(spec, dict) else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """What moves together: an app's directories, or what is left of an environment."""

    name: str
    kind: UnitKind
    directories: tuple[str, ...]
    """Directories relative to the repository, e.g. ('clusters/dev/apps/web',). For the remainder: the environment's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """One environment: where its files are, which Flux objects sync it, and what guards it."""

    name: EnvName
    paths: tuple[str, ...]
    """Directories of the repository; the path at a position corresponds to the one there in other environments."""
    cluster: str
    """The name of its cluster: a kubeconfig context, or a sandbox cluster."""
    promote_from: tuple[EnvName, ...] = ()
    """Where its configuration comes from: content from the first, and each has to run its own of the unit healthy."""
    gates: Gates = Gates()
    auto_promote: bool = True
    """Pull requests are opened without being asked for."""
    auto_merge: bool = True
    """They are merged once every gate is green."""
    guard: GuardPolicy = "warn"
    """What becomes of a pull request that would give it a value which did not run healthy upstream."""
    rollback: AutoRollback = AutoRollback()
    reported: Reported | None = None
    """Where evidence comes from when its cluster cannot be asked."""
    differences: tuple[Difference, ...] = ()
    kustomization: FluxObject | None = None
    """The Flux Kustomization that syncs it (the one whose path is the environment's first path)."""
    source: FluxObject | None = None
    """The GitRepository it names."""
    units: tuple[Unit, ...] = ()
    """Apps by name, then the remainder."""
    place: Place | None = None
    """Where it is declared; None when it was discovered."""

    @property
    def root(self) -> str:
        """Its first path."""
        return self.paths[0]

    def unit(self, name: str) -> Unit | None:
        return next((unit for unit in self.units if unit.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """What a tree says: environments in the order of promotion, and everything wrong with it."""

    name: str
    environments: tuple[Environment, ...]
    declared: bool
    """Whether there is a penstock.yaml."""
    freezes: tuple[Freeze, ...] = ()
    holds: tuple[Hold, ...] = ()
    settled: tuple[Settled, ...] = ()
    access: tuple[Grant, ...] = ()
    """Who may do what on the web page."""
    notifications: tuple[Notification, ...] = ()
    problems: tuple[Problem, ...] = ()
    by_name: Mapping[str, Environment] = field(default_factory=dict)

    def environment(self, name: str) -> Environment | None:
        return self.by_name.get(name)

    def apps(self) -> tuple[str, ...]:
        """The apps of all environments, by name."""
        return tuple(sorted({unit.name for env in self.environments for unit in env.units if unit.kind == "app"}))

    def steps(self) -> tuple[tuple[Environment, Environment], ...]:
        """Every (source, target) that content travels, in the order of promotion."""
        return tuple(
            (source, target)
            for target in self.environments
            if target.promote_from and (source := self.by_name.get(target.promote_from[0]))
        )
