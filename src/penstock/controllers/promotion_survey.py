"""Everything that is known about every promotion of a repository, gathered once; nothing is changed.

In: a repository, a forge, clusters, the time. Out: a `Survey` with one judged `Case` for every unit and step of the
pipeline that has something to promote or something left over.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from penstock import source
from penstock.controllers.promotion_cases import (
    BRANCHES,
    NAME,
    SUPERSEDED,
    Asked,
    Case,
    Forged,
    Planned,
    Survey,
    branch_of,
    fault,
)
from penstock.controllers.promotion_history import History
from penstock.controllers.promotion_judging import Judge
from penstock.controllers.promotion_rendering import Renderer, Seen, look
from penstock.merge.outcome import Choice, Conflict
from penstock.model.errors import PenstockError, RefusedError
from penstock.model.pipeline import Environment, Repository
from penstock.model.values import CommitId, EnvName
from penstock.ports.clock import Clock
from penstock.ports.cluster import Cluster
from penstock.ports.forge import Forge, PullRequest
from penstock.ports.repo import Repo
from penstock.promote import change, deciding, records, text

_PLANS = 4096
_AT_ONCE = 8
"""Questions to the forge at the same time."""
_log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Surveyor:
    """Looks at one repository; remembers only what never changes."""

    repo: Repo
    forge: Forge | None
    """None: Git and clusters only."""
    clusters: Mapping[EnvName, Cluster]
    clock: Clock
    branch: str = "main"
    history: History = field(init=False)
    renderer: Renderer = field(init=False)
    _trees: change.Trees = field(init=False, default_factory=change.Trees)
    _plans: Plans = field(init=False, default_factory=lambda: Plans())

    def __post_init__(self) -> None:
        self.history = History(self.repo)
        self.renderer = Renderer(self.repo)

    @property
    def judge(self) -> Judge:
        return Judge(repo=self.repo, history=self.history, renderer=self.renderer)

    async def survey(self, asked: Sequence[Asked] = (), *, fetch: bool = True) -> Survey:
        """One look. Raises RemoteError when Git or the forge cannot be asked; a cluster that cannot be is told in `seen`."""
        if fetch:
            await self.repo.fetch()
        tip = self.tip()
        repository = await asyncio.to_thread(source.discover, self.repo.tree(tip))
        opened, login, seen = await asyncio.gather(self._pulls(), self._login(), self._look(repository))
        pulls: dict[str, PullRequest] = {}
        for pull in opened:
            if pull.head.startswith(BRANCHES):
                pulls.setdefault(pull.head, pull)
        faults: list[str] = []
        planned = await asyncio.to_thread(self.plan, repository, tip, pulls, asked, faults)
        limit = asyncio.Semaphore(_AT_ONCE)

        async def ask(one: Planned) -> Forged:
            async with limit:
                return await self._ask_forge(one, pulls, tip)

        forged = await asyncio.gather(*map(ask, planned))
        teams = await self._teams(repository)
        others = tuple(pull for pull in opened if not pull.head.startswith(BRANCHES))
        survey = Survey(tip=tip, repository=repository, seen=seen, now=self.clock.now(), login=login, others=others)

        def judge_all() -> tuple[Case, ...]:
            found = []
            for plan, told in zip(planned, forged, strict=True):
                with _fenced(plan.unit, plan.pair, faults):
                    found.append(self.judge.judge(survey, plan, told, teams, asked))
            return tuple(found)

        cases = await asyncio.to_thread(judge_all)
        return replace(survey, cases=cases, faults=tuple(faults))

    def tip(self) -> CommitId:
        """The main branch. Raises RefusedError when there is none."""
        tip = self.repo.resolve(f"refs/heads/{self.branch}") or self.repo.resolve(self.branch)
        if tip is None:
            raise RefusedError(f"the repository has no branch {self.branch}", code="NoBranch")
        return tip

    async def _pulls(self) -> list[PullRequest]:
        """Open pull requests to the main branch."""
        found = await self.forge.pulls(state="open") if self.forge else ()
        return [pull for pull in found if pull.base == self.branch]

    async def _login(self) -> str:
        return await self.forge.whoami() if self.forge else ""

    async def _look(self, repository: Repository) -> dict[EnvName, Seen]:
        environments, now = repository.environments, self.clock.now()
        seen = await asyncio.gather(*(look(env, self.clusters.get(env.name), now) for env in environments))
        return {env.name: one for env, one in zip(environments, seen, strict=True)}

    async def _teams(self, repository: Repository) -> dict[str, Sequence[str]]:
        approvers = {approver for env in repository.environments for approver in env.gates.approvers}
        found: dict[str, Sequence[str]] = {}
        for name in sorted(one.removeprefix("team:") for one in approvers if one.startswith("team:")):
            try:
                found[name] = await self.forge.team_members(name) if self.forge else ()
            except RefusedError:
                found[name] = ()  # No such team: nobody in it can approve, and the gate goes on waiting.
        return found

    # Planning

    def plan(
        self,
        repository: Repository,
        tip: CommitId,
        pulls: Mapping[str, PullRequest],
        asked: Sequence[Asked] = (),
        faults: list[str] | None = None,
    ) -> list[Planned]:
        """Every unit that has something to promote, an open pull request or a branch; `faults` takes what went wrong."""
        tree = self.repo.tree(tip)
        branches = self.repo.branches(BRANCHES)
        planned: list[Planned] = []
        for origin, target in repository.steps():
            bases = self.history.bases(repository, origin, target, tip)
            for unit in change.units(origin, target):
                base = bases(unit)
                base_tree = self.repo.tree(base.commit) if base.commit else None
                pair = change.Pair(
                    source=origin, target=target, base=base_tree, base_commit=base.commit, tree=tree, trees=self._trees
                )
                branch = branch_of(target.name, unit)
                left_over = branch in pulls or branch in branches
                if change.untouched(pair, unit) and not left_over:
                    continue
                with _fenced(unit, pair, faults):
                    one = self._planned(pair, unit, tip, branches.get(branch), asked)
                    if base.rolled_back and self._same(pair, base.rolled_back, one.change):
                        one = replace(one, rolled_back=base.rolled_back)
                    if not one.change.empty or left_over:
                        planned.append(one)
        return planned

    def _same(self, pair: change.Pair, commit: CommitId, found: change.Change) -> bool:
        """Whether the source had at a commit what it has now."""
        try:
            return change.content_of(pair, self.repo.tree(commit), found.unit) == found.content
        except RefusedError:
            return False

    def _planned(
        self, pair: change.Pair, unit: str, tip: CommitId, branch_tip: CommitId | None, asked: Sequence[Asked]
    ) -> Planned:
        newest = self.history.newest(change.touching(pair, unit), tip)
        commit = newest.id if newest else tip
        found = self._plans.plan(pair, unit, commit)
        picked: tuple[records.PickedSide, ...] = ()
        if found.conflicts and (picked := self._picked(found, branch_tip, asked)):
            found = self._plans.plan(pair, unit, commit, [_choice(one) for one in picked])
            if found.empty:
                found = change.recorded(found, pair.tree)
        return Planned(pair=pair, unit=unit, change=found, picked=picked, branch_tip=branch_tip)

    def _picked(
        self, found: change.Change, branch_tip: CommitId | None, asked: Sequence[Asked]
    ) -> tuple[records.PickedSide, ...]:
        """Decisions that still speak of these very values: of the person asking now, else those the branch records."""
        recorded = self._recorded(branch_tip, found) if branch_tip else ()
        picked: dict[str, records.PickedSide] = {}
        for conflict in found.conflicts:
            name, values = str(conflict), values_of(conflict)
            before = next((one for one in recorded if (one.field, one.values) == (name, values)), None)
            if before is not None:
                picked[name] = before
            for choice in (choice for wish in asked if wish.concerns(found) for choice in wish.choices):
                if speaks_of(choice, conflict):
                    side: records.Side = "take" if choice.side == "source" else "keep"
                    picked[name] = records.PickedSide(side=side, values=values, field=name)
        return tuple(picked[name] for name in sorted(picked))

    def _recorded(self, branch_tip: CommitId, found: change.Change) -> tuple[records.PickedSide, ...]:
        try:
            commit = self.repo.commit(branch_tip)
        except RefusedError:
            return ()
        if commit.committer.name != NAME:
            return ()
        promotions = records.parse(commit.message).promotions
        return next((one.picked for one in promotions if (one.unit, one.target) == (found.unit, found.target)), ())

    # The forge

    async def _ask_forge(self, one: Planned, pulls: Mapping[str, PullRequest], tip: CommitId) -> Forged:
        if self.forge is None:
            return Forged()
        branch = branch_of(one.change.target, one.unit)
        pull = pulls.get(branch)
        if pull is not None:
            reviews, statuses = await asyncio.gather(self.forge.reviews(pull.number), self.forge.statuses(pull.head_sha))
            return Forged(pull=pull, reviews=reviews, statuses=statuses)
        if one.change.empty or one.change.conflicts:
            return Forged()
        return Forged(closed=await self._closed(self.forge, branch, one.change, tip))

    async def _closed(self, forge: Forge, branch: str, found: change.Change, tip: CommitId) -> tuple[deciding.Closed, ...]:
        """Pull requests for this very content that are not open any more."""
        result = []
        for pull in await forge.pulls(state="closed", head=branch):
            if pull.head != branch or text.read_marker(pull.body).get("content") != found.content:
                continue
            merged = pull.state == "merged"
            if merged and (pull.merge_sha is None or self._has(pull.merge_sha, tip)):
                continue
            by_us = SUPERSEDED in pull.labels
            by = pull.closed_by or ("" if merged or by_us else (await forge.pull(pull.number)).closed_by)
            result.append(deciding.Closed(number=pull.number, merged=merged, by=by, by_us=by_us))
        return tuple(result)

    def _has(self, commit: CommitId, tip: CommitId) -> bool:
        try:
            return self.repo.is_ancestor(commit, tip)
        except RefusedError:
            return False


@contextlib.contextmanager
def _fenced(unit: str, pair: change.Pair, faults: list[str] | None) -> Iterator[None]:
    """A fault in one unit is told and holds no other unit up; what callers can act on passes."""
    try:
        yield
    except PenstockError:
        raise
    except Exception as error:
        _log.error("promotion of %s from %s to %s: %s", unit, pair.source.name, pair.target.name, fault(error))
        if faults is None:
            raise
        # The kind of fault only: its words may hold values of files.
        faults.append(f"{unit} -> {pair.target.name} cannot be judged ({type(error).__name__}), please report it")


class Plans:
    """Plans by everything that goes into them: what did not change since the last pass is not merged again."""

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], change.Change] = {}

    def plan(self, pair: change.Pair, unit: str, commit: CommitId, choices: Sequence[Choice] = ()) -> change.Change:
        mirrored = replace(pair, source=pair.target, target=pair.source)
        key = (
            *(unit, pair.source.name, pair.target.name, pair.source.paths, pair.target.paths),
            change.content_of(pair, pair.base, unit) if pair.base is not None else None,
            change.content_of(pair, pair.tree, unit),
            change.content_of(mirrored, pair.tree, unit),
            change.listings_of(pair),
            pair.target.differences,
            tuple(choices),
        )
        if (known := self._known.get(key)) is not None:
            return replace(known, commit=commit, base=pair.base_commit)
        if len(self._known) >= _PLANS:
            self._known.clear()
        self._known[key] = found = change.plan(pair, unit, commit, choices)
        return found


def values_of(conflict: Conflict) -> str:
    """A short hash over both values: a decision is one about these values only."""
    return hashlib.sha256(repr((str(conflict.source), str(conflict.target))).encode()).hexdigest()[:12]


def speaks_of(choice: Choice, conflict: Conflict) -> bool:
    """Whether a person's choice names this conflict: by its whole name, or by its field."""
    if choice.path and choice.path != conflict.path and not conflict.path.endswith(f"/{choice.path}"):
        return False
    wanted = f"{choice.document} {choice.field}".strip()
    return wanted in (str(conflict), conflict.field, conflict.label, f"{conflict.document} {conflict.field}", conflict.path)


def _choice(picked: records.PickedSide) -> Choice:
    return Choice(field=picked.field, side="source" if picked.side == "take" else "target")


def steps_into(repository: Repository, target: str) -> tuple[Environment, Environment] | None:
    """The step that leads into an environment; None when nothing is promoted into it."""
    return next((step for step in repository.steps() if step[1].name == target), None)
