"""What Git says about promotions: records that landed, commits that travel, where a unit's content came from.

In: a repository. Out: values of `promote`. Remembers what it read by commit id, which never changes.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from penstock.model.errors import RefusedError
from penstock.model.pipeline import REMAINDER, Environment, Repository
from penstock.model.values import CommitId, EnvName
from penstock.ports.repo import Commit, RepoReader
from penstock.promote import records
from penstock.promote.change import RECORDS
from penstock.promote.text import Travelling

_TRAVELLING = 50
_DEPTH = 16
"""How many environments a change can have come through; more means records that go in a circle."""


class History:
    """The memory of one repository's records; safe to throw away."""

    def __init__(self, repo: RepoReader) -> None:
        self._repo = repo
        self._landed: dict[tuple[str, ...], list[records.Landed]] = {}
        self._tips: dict[tuple[str, ...], CommitId] = {}
        self._newest: dict[tuple[CommitId, tuple[str, ...]], Commit | None] = {}

    def landed(self, environment: Environment, tip: CommitId) -> Sequence[records.Landed]:
        """The main line of an environment's history, newest first: what touched its directories or the records, and what
        that claims."""
        paths = (*environment.paths, RECORDS)
        if self._tips.get(paths) == tip:
            return self._landed[paths]
        known = self._landed.get(paths, [])
        place = {landed.commit: index for index, landed in enumerate(known)}
        found: list[records.Landed] = []
        for commit in self._repo.log(tip, paths=paths, first_parent=True):
            if commit.id in place:
                found += known[place[commit.id] :]
                break
            found.append(records.Landed(commit=commit.id, when=commit.committer.when, record=self.record(commit)))
        self._landed[paths], self._tips[paths] = found, tip
        return found

    def record(self, commit: Commit) -> records.Record:
        """A commit's record; that of a merge without one of its own is its branch's."""
        record = records.parse(commit.message)
        if record or len(commit.parents) != 2:
            return record
        try:
            return records.parse(self._repo.commit(commit.parents[1]).message)
        except RefusedError:
            return record

    def bases(
        self, repository: Repository, source: Environment, target: Environment, tip: CommitId
    ) -> Callable[[str], records.Base]:
        """For each unit what to compare the source with, see `records.base_of`.

        A record that names a commit outside of the main line's past names none: nobody can promote from what is not there.
        """
        settled = [
            records.Settling(source=one.source, target=one.target, unit=one.unit, commit=CommitId(one.commit))
            for one in repository.settled
        ]
        landed = [one for one in self.landed(target, tip) if one.record]

        known: dict[CommitId, bool] = {}

        def base(unit: str) -> records.Base:
            found = records.base_of(unit, source.name, target.name, landed, settled, self._is_ancestor)
            if found.commit is None:
                return found
            if found.commit not in known:
                known[found.commit] = self._is_ancestor(found.commit, tip)
            return found if known[found.commit] else replace(found, commit=None, lost=True)

        return base

    def _is_ancestor(self, older: CommitId, newer: CommitId) -> bool:
        try:
            return self._repo.is_ancestor(older, newer)
        except RefusedError:
            return False

    def newest(self, paths: Iterable[str], tip: CommitId) -> Commit | None:
        """The newest commit of the main line that touched these paths."""
        key = (tip, tuple(paths))
        if key not in self._newest:
            if len(self._newest) > 20_000:
                self._newest.clear()
            self._newest[key] = next(iter(self._repo.log(tip, paths=key[1], first_parent=True)), None)
        return self._newest[key]

    def revisions(self, paths: Iterable[str], base: CommitId, tip: CommitId, limit: int) -> list[Commit]:
        """The commits of the main line after `base` that touched these paths, newest first."""
        found: list[Commit] = []
        for commit in self._repo.log(tip, paths=tuple(paths), first_parent=True):
            if len(found) == limit or self._is_ancestor(commit.id, base):
                break
            found.append(commit)
        return found

    def travelling(
        self, environment: Environment, unit: str, base: CommitId | None, tip: CommitId, repository: Repository
    ) -> tuple[Travelling, ...]:
        """The commits that changed a unit since `base`, newest first, each as the person wrote it: a promotion into this
        environment stands for the commits it brought."""
        found: dict[str, Travelling] = {}
        for one in self._expanded(environment, unit, base, tip, repository, 0):
            found.setdefault(one.commit, one)
        return tuple(found.values())

    def _expanded(
        self,
        environment: Environment,
        unit: str,
        base: CommitId | None,
        tip: CommitId,
        repository: Repository,
        depth: int,
    ) -> Iterator[Travelling]:
        for commit in self._since(unit_paths(environment, unit), base, tip):
            promotion = self._arrived(commit, unit, environment.name)
            source = repository.environment(promotion.source) if promotion else None
            if promotion and source and depth < _DEPTH and self._is_ancestor(promotion.commit, commit.id):
                brought = list(self._expanded(source, unit, promotion.base, promotion.commit, repository, depth + 1))
                if brought:
                    yield from brought
                    continue
            who = commit.author
            yield Travelling(commit=commit.id, subject=commit.subject, author=who.name, email=who.email)

    def _since(self, paths: Sequence[str], base: CommitId | None, tip: CommitId) -> list[Commit]:
        if base is None:
            # Never promoted: the whole past would travel; the newest commit says what it is.
            return list(itertools.islice((one for one in self._repo.log(tip, paths=paths) if len(one.parents) < 2), 1))
        found: list[Commit] = []
        older = 0
        for commit in self._repo.log(tip, paths=paths):
            if commit.id == base or len(found) >= _TRAVELLING or older > _TRAVELLING:
                break
            if self._is_ancestor(commit.id, base):
                older += 1  # Side branches interleave, so one older commit does not end the search.
            elif len(commit.parents) < 2:
                found.append(commit)
        return found

    def _arrived(self, commit: Commit, unit: str, environment: EnvName) -> records.Promotion | None:
        for promotion in self.record(commit).promotions:
            if promotion.target == environment and promotion.unit == unit:
                return promotion
        return None

    def origin(self, environment: Environment, unit: str, tip: CommitId, repository: Repository) -> Commit | None:
        """The commit a person wrote that gave a unit its present content here: promotions are followed to their source.

        None when nothing ever touched it.
        """
        commit = self.newest(unit_paths(environment, unit), tip)
        for _ in range(_DEPTH):
            promotion = self._arrived(commit, unit, environment.name) if commit else None
            source = repository.environment(promotion.source) if promotion else None
            if commit is None or promotion is None or source is None or not self._is_ancestor(promotion.commit, commit.id):
                return commit
            following = self.newest(unit_paths(source, unit), promotion.commit)
            if following is None:
                return commit
            environment, commit = source, following
        return commit


def unit_paths(environment: Environment, unit: str) -> tuple[str, ...]:
    """The directories of a unit in an environment, also of one that is not there (any more)."""
    if unit == REMAINDER:
        return environment.paths
    return tuple(f"{path}/apps/{unit}" for path in environment.paths)
