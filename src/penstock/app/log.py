"""What came into an environment, when, from where and who let it: from Git alone.

In: a repository and an environment. Out: entries, newest first. Promotions speak through their trailers; whatever else touched
an environment that is promoted into is a bypass and is called so.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from penstock import source
from penstock.controllers import promotion_merges
from penstock.controllers.promotion_history import History, unit_paths
from penstock.model import errors
from penstock.model.pipeline import REMAINDER, Environment, Repository
from penstock.model.tree import Tree
from penstock.model.values import CommitId, EnvName
from penstock.ports.repo import Commit, RepoReader
from penstock.promote import evidence, records

Kind = Literal["promotion", "direct", "bypass", "rollback"]
"""direct: a commit to an environment that nothing is promoted into; bypass: one to an environment that has an upstream, or
a promotion that was merged without Penstock's gates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One unit that one commit changed."""

    when: datetime
    commit: CommitId
    unit: str
    kind: Kind
    subject: str
    """As the person who made the change wrote it."""
    author: str
    source: EnvName | None = None
    source_commit: CommitId | None = None
    pull: str = ""
    approved_by: tuple[str, ...] = ()
    verdict: str = ""
    evidence: str = ""
    merged_by: str = ""
    """Who merged it by hand."""
    bypassed: tuple[str, ...] = ()
    """Gates that were not green then."""
    healthy_after: timedelta | None = None
    """From landing here to running healthy here, where a later promotion recorded it."""
    lead_time: timedelta | None = None
    """From the person's commit to landing here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """How delivery to an environment goes, over the entries of a log."""

    promotions: int
    since: datetime | None = None
    """When the oldest of them landed."""
    lead_time: timedelta | None = None
    """Half of the changes took less, from the person's commit to landing."""
    failed: int = 0
    """Promotions that were rolled back."""
    time_to_restore: timedelta | None = None
    """Half of those were taken back in less, from landing to the rollback's landing."""
    bypasses: int = 0

    @property
    def failure_rate(self) -> float | None:
        return self.failed / self.promotions if self.promotions else None


def summary(entries: Sequence[Entry]) -> Summary:
    """Of entries newest first, as `log` gives them. A rollback is held against the unit's newest promotion before it."""
    arrived = [one for one in entries if one.source is not None]
    restored: dict[CommitId, timedelta] = {}
    for number, entry in enumerate(entries):
        if entry.kind != "rollback":
            continue
        failed = next((one for one in entries[number + 1 :] if one.unit == entry.unit and one.source is not None), None)
        if failed is not None:
            restored.setdefault(failed.commit, entry.when - failed.when)
    return Summary(
        promotions=len(arrived),
        since=min((one.when for one in arrived), default=None),
        lead_time=_median([one.lead_time for one in arrived if one.lead_time is not None]),
        failed=len(restored),
        time_to_restore=_median(list(restored.values())),
        bypasses=sum(1 for one in entries if one.kind == "bypass"),
    )


def _median(durations: Sequence[timedelta]) -> timedelta | None:
    return sorted(durations)[len(durations) // 2] if durations else None


def log(repo: RepoReader, branch: str, name: str, *, limit: int = 50) -> tuple[Entry, ...]:
    """The newest entries of an environment. Raises InputError for an unknown one, RefusedError without such a branch."""
    tip = repo.resolve(branch)
    if tip is None:
        raise errors.RefusedError(f"the repository has no branch {branch}", code="NoBranch")
    repository = source.discover(repo.tree(tip))
    environment = found(repository, name)
    history = History(repo)
    healthy = _healthy_since(history, repository, environment, tip)
    entries = _entries(repo, history, repository, environment, tip, healthy)
    return tuple(itertools.islice(entries, limit))


def found(repository: Repository, name: str) -> Environment:
    """The environment of this name. Raises InputError that names those that are there."""
    environment = repository.environment(name)
    if environment is None:
        names = ", ".join(str(env.name) for env in repository.environments)
        hint = f"environments here: {names}" if names else "penstock init writes a repository with environments"
        raise errors.invalid(f"there is no environment {name!r}", hint=hint, code="UnknownEnvironment")
    return environment


def _entries(
    repo: RepoReader,
    history: History,
    repository: Repository,
    environment: Environment,
    tip: CommitId,
    healthy: Mapping[tuple[str, CommitId], datetime],
) -> Iterator[Entry]:
    for landed in history.landed(environment, tip):
        commit = repo.commit(landed.commit)
        arrived = {one.unit: one for one in landed.record.promotions if one.target == environment.name}
        for unit in _units(repo, environment, commit) or tuple(arrived):
            promotion = arrived.get(unit)
            since = healthy.get((unit, commit.id))
            after = max(since - landed.when, timedelta(0)) if since else None
            if promotion is None:
                back = any((one.unit, one.target) == (unit, environment.name) for one in landed.record.rollbacks)
                outside: Kind = "bypass" if environment.promote_from and commit.parents else "direct"
                yield Entry(
                    when=landed.when,
                    commit=commit.id,
                    unit=unit,
                    kind="rollback" if back else outside,
                    subject=commit.subject,
                    author=commit.author.name,
                    healthy_after=after,
                )
            else:
                yield _promoted(repo, history, repository, landed, commit, promotion, after)


def _promoted(
    repo: RepoReader,
    history: History,
    repository: Repository,
    landed: records.Landed,
    commit: Commit,
    promotion: records.Promotion,
    healthy_after: timedelta | None,
) -> Entry:
    origin = repository.environment(promotion.source)
    written = history.origin(origin, promotion.unit, promotion.commit, repository) if origin else None
    # Penstock writes the evidence only when it merges by itself, behind green gates; of a merge by a person a note tells.
    note = promotion_merges.read(repo.note(promotion_merges.NOTES, commit.id))
    gated = bool(promotion.evidence) or (note is not None and not note.bypassed)
    kind: Kind = "promotion" if gated else "bypass"
    return Entry(
        when=landed.when,
        commit=commit.id,
        unit=promotion.unit,
        kind=kind,
        subject=written.subject if written else commit.subject,
        author=written.author.name if written else commit.author.name,
        source=promotion.source,
        source_commit=promotion.commit,
        pull=promotion.pull,
        approved_by=promotion.approved_by,
        verdict=promotion.verdict,
        evidence=promotion.evidence,
        merged_by=note.by if note else "",
        bypassed=note.bypassed if note else (),
        healthy_after=healthy_after,
        lead_time=max(landed.when - written.author.when, timedelta(0)) if written else None,
    )


def _healthy_since(
    history: History, repository: Repository, environment: Environment, tip: CommitId
) -> dict[tuple[str, CommitId], datetime]:
    """(unit, commit of this environment) -> since when it ran healthy, as later promotions out of here recorded."""
    result: dict[tuple[str, CommitId], datetime] = {}
    for target in repository.environments:
        if environment.name not in target.promote_from:
            continue
        for landed in history.landed(target, tip):
            for promotion in landed.record.promotions:
                words = promotion.evidence.split(" ")
                if promotion.source == environment.name and len(words) > 2 and words[0] == environment.name:
                    since = evidence.moment(words[2].partition("/")[0])
                    if since is not None:
                        result[(promotion.unit, promotion.commit)] = since
    return result


def _units(repo: RepoReader, environment: Environment, commit: Commit) -> Sequence[str]:
    """The units that a commit changed in an environment, against its first parent; a first commit is the whole.

    None for a commit that only wrote records.
    """
    if not commit.parents:
        return (REMAINDER,)
    before, after = repo.tree(commit.parents[0]), repo.tree(commit.id)
    apps = sorted({name for tree in (before, after) for path in environment.paths for name in _apps(tree, f"{path}/apps")})
    changed = [app for app in apps if any(_id(before, path) != _id(after, path) for path in unit_paths(environment, app))]
    if not changed and all(_id(before, path) == _id(after, path) for path in environment.paths):
        return ()
    return changed or (REMAINDER,)


def _apps(tree: Tree, path: str) -> list[str]:
    entry = tree.entry(path)
    if entry is None or entry.kind != "directory":
        return []
    return [name for name in tree.names(path) if (child := tree.entry(f"{path}/{name}")) and child.kind == "directory"]


def _id(tree: Tree, path: str) -> str:
    entry = tree.entry(path)
    return entry.id if entry else ""
