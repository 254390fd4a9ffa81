"""Everything that is known about every promotion of a repository, gathered once; nothing is changed.

In: a repository, a forge, clusters, the time. Out: a `Survey` with one judged `Case` for every unit and step of the
pipeline that has something to promote or something left over.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from penstock import source
from penstock.controllers.promotion_asking import Asking
from penstock.controllers.promotion_candidates import Candidate, Candidates
from penstock.controllers.promotion_cases import BRANCHES, NAME, Asked, Case, Planned, Survey, branch_of, fault
from penstock.controllers.promotion_history import History
from penstock.controllers.promotion_judging import Judge
from penstock.controllers.promotion_plans import Plans, choice_of, speaks_of, values_of
from penstock.controllers.promotion_rendering import Renderer, Seen, look
from penstock.controllers.promotion_reported import Reports
from penstock.model.errors import PenstockError, RefusedError
from penstock.model.pipeline import Difference, Environment, Repository
from penstock.model.values import CommitId, EnvName
from penstock.ports.clock import Clock
from penstock.ports.cluster import Cluster
from penstock.ports.forge import Forge, PullRequest
from penstock.ports.outbound import Outbound
from penstock.ports.repo import Repo
from penstock.promote import change, gates, records, timeline

_log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Surveyor:
    """Looks at one repository; remembers only what never changes, and what clusters told about their past."""

    repo: Repo
    forge: Forge | None
    """None: Git and clusters only."""
    clusters: Mapping[EnvName, Cluster]
    clock: Clock
    outbound: Outbound | None = None
    """Asks what checks ask; None: nothing is asked, and those gates wait."""
    branch: str = "main"
    history: History = field(init=False)
    renderer: Renderer = field(init=False)
    _trees: change.Trees = field(init=False, default_factory=change.Trees)
    _plans: Plans = field(init=False, default_factory=Plans)
    _asking: Asking = field(init=False)
    _reports: Reports = field(init=False)
    _past: dict[EnvName, tuple[timeline.Entry, ...]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.history = History(self.repo)
        self.renderer = Renderer(self.repo)
        self._reports = Reports(self.repo, self.forge)
        self._asking = Asking(
            repo=self.repo,
            forge=self.forge,
            history=self.history,
            clock=self.clock,
            outbound=self.outbound,
            branch=self.branch,
        )

    @property
    def judge(self) -> Judge:
        return Judge(repo=self.repo, history=self.history, renderer=self.renderer)

    @property
    def _candidates(self) -> Candidates:
        return Candidates(repo=self.repo, history=self.history, judge=self.judge)

    async def survey(self, asked: Sequence[Asked] = (), *, fetch: bool = True) -> Survey:
        """One look. Raises RemoteError when Git or the forge cannot be asked; a cluster that cannot be is told in `seen`."""
        if fetch:
            await self.repo.fetch()
        tip = self.tip()
        repository = await asyncio.to_thread(source.discover, self.repo.tree(tip))
        asking = self._asking
        opened, login, seen = await asyncio.gather(asking.pulls(), asking.login(), self._look(repository, tip))
        pulls: dict[str, PullRequest] = {}
        for pull in opened:
            if pull.head.startswith(BRANCHES):
                pulls.setdefault(pull.head, pull)
        faults: list[str] = []
        others = tuple(pull for pull in opened if not pull.head.startswith(BRANCHES))
        survey = Survey(tip=tip, repository=repository, seen=seen, now=self.clock.now(), login=login, others=others)
        planned = await asyncio.to_thread(self.plan, repository, tip, pulls, asked, faults, survey)
        forged = await asking.about(planned, pulls, tip, repository)
        teams = await asking.teams(repository)

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

    async def _look(self, repository: Repository, tip: CommitId) -> dict[EnvName, Seen]:
        environments, now = repository.environments, self.clock.now()
        seen = await asyncio.gather(*(self._look_at(env, tip, now) for env in environments))
        return {env.name: self._remembering(env.name, one) for env, one in zip(environments, seen, strict=True)}

    async def _look_at(self, environment: Environment, tip: CommitId, now: datetime) -> Seen:
        if environment.reported is not None and environment.name not in self.clusters:
            return await self._reports.look(environment, tip)
        return await look(environment, self.clusters.get(environment.name), now)

    def _remembering(self, name: EnvName, seen: Seen) -> Seen:
        """With what its history said at earlier looks; a status keeps only the last five entries."""
        status = (seen.manifest or {}).get("status") or {}
        self._past[name] = timeline.remembered(self._past.get(name, ()), timeline.entries_of(status))
        return replace(seen, past=self._past[name])

    # Planning

    def plan(
        self,
        repository: Repository,
        tip: CommitId,
        pulls: Mapping[str, PullRequest],
        asked: Sequence[Asked] = (),
        faults: list[str] | None = None,
        survey: Survey | None = None,
    ) -> list[Planned]:
        """Every unit that has something to promote, an open pull request or a branch; `faults` takes what went wrong.

        With a `survey` of the clusters an earlier revision may travel, see `promotion_candidates`; without: the newest.
        """
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
                pair, held = self._holding(_with_a_person(pair, base), unit, base, repository)
                branch = branch_of(target.name, unit)
                left_over = branch in pulls or branch in branches
                if change.untouched(pair, unit) and not left_over:
                    continue
                with _fenced(unit, pair, faults):
                    found = Candidate(pair=pair)
                    if survey is not None and not change.untouched(pair, unit):
                        found = self._candidates.choose(survey, pair, unit, base, partial(self._plan, unit))
                    one = replace(self._planned(found, unit, tip, branches.get(branch), asked), held=held)
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

    def _holding(
        self, pair: change.Pair, unit: str, base: records.Base, repository: Repository
    ) -> tuple[change.Pair, tuple[records.HeldField, ...]]:
        """With the fields that are held back kept back, and those that were, compared with what they were then."""
        now = self.clock.now()
        holds = [one for one in repository.holds if one.field and gates.holds(one, unit, pair.target.name, now)]
        if pair.base is None or not (holds or base.held):
            return pair, ()
        kept = tuple(Difference(pattern=one.field, place=one.place) for one in holds)
        target = replace(pair.target, differences=(*pair.target.differences, *kept))
        known = {one.pattern: one.commit for one in base.held if self._is_here(one.commit)}
        patterns = dict.fromkeys(one.field for one in holds)
        released = [commit for pattern, commit in known.items() if pattern not in patterns]
        then = [(self.repo.tree(commit), pattern) for pattern, commit in known.items()]
        whole = change.with_held(pair, unit, pair.base, then) if then else pair.base
        assert pair.base_commit is not None
        held = [records.HeldField(commit=known.get(one, pair.base_commit), pattern=one) for one in patterns]
        return replace(pair, target=target, base=whole, since=released[0] if released else None), tuple(held)

    def _is_here(self, commit: CommitId) -> bool:
        try:
            self.repo.commit(commit)
        except RefusedError:
            return False
        return True

    def _plan(self, unit: str, pair: change.Pair, commit: CommitId) -> change.Change:
        return self._plans.plan(pair, unit, commit)

    def _planned(
        self, candidate: Candidate, unit: str, tip: CommitId, branch_tip: CommitId | None, asked: Sequence[Asked]
    ) -> Planned:
        pair = candidate.pair
        newest = None if candidate.commit else self.history.newest(change.touching(pair, unit), tip)
        commit = candidate.commit or (newest.id if newest else tip)
        found = self._plans.plan(pair, unit, commit)
        picked: tuple[records.PickedSide, ...] = ()
        if found.conflicts and (picked := self._picked(found, branch_tip, asked)):
            found = self._plans.plan(pair, unit, commit, [choice_of(one) for one in picked])
            if found.empty:
                found = change.recorded(found, pair.tree)
        return Planned(pair=pair, unit=unit, change=found, picked=picked, branch_tip=branch_tip, newer=candidate.newer)

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


def _with_a_person(pair: change.Pair, base: records.Base) -> change.Pair:
    """Where nothing says any more what was promoted, what is new in the source may be what a person took out of the target
    long ago: one has to approve it, whatever the gates ask for. A history that was replaced looks like one that never was,
    so an environment that blocks asks for a person at the first promotion too."""
    rules = pair.target.gates
    if base.commit is not None or rules.approvals or not (base.lost or pair.target.guard == "block"):
        return pair
    return replace(pair, target=replace(pair.target, gates=replace(rules, approvals=1)))


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


def steps_into(repository: Repository, target: str) -> tuple[Environment, Environment] | None:
    """The step that leads into an environment; None when nothing is promoted into it."""
    return next((step for step in repository.steps() if step[1].name == target), None)
