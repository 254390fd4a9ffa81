"""Rollback by itself: a promotion that runs sick in its environment is proposed to go back, or goes back.

In: a survey. Out: pull requests opened, merged or closed. Nothing is remembered between passes, and it cannot go round in
circles: only the newest promotion of a unit is taken back, once, and what a rollback brought is never taken back.

Not where the failure was there before the promotion, where the same content fails upstream too, where the unit was changed
since, or where nobody knows how it ran before: then going back would hide something and mend nothing.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime

from penstock.controllers.promotion_cases import SUPERSEDED, Survey
from penstock.controllers.promotion_history import History
from penstock.controllers.promotion_judging import Judge
from penstock.controllers.promotion_reverting import Reverter, Reverting, branch_of
from penstock.model.errors import RaceError, RefusedError
from penstock.model.pipeline import REMAINDER, Environment
from penstock.model.values import CommitId, EnvName
from penstock.ports.forge import Forge, PullRequest
from penstock.ports.repo import Repo
from penstock.promote import change, deciding, gates, records, text, timeline
from penstock.promote.timeline import Entry

KEY = "rollback-of"
"""In the hidden facts of a pull request: the promotion's commit that it takes back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A promotion that runs sick."""

    target: Environment
    unit: str
    promotion: CommitId
    """The commit that brought it."""
    since: datetime
    sick: str
    """What is not healthy, in one clause."""
    before: CommitId
    """What ran healthy there before."""

    @property
    def due(self) -> datetime:
        return self.since + self.target.rollback.after


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What was done about one."""

    action: deciding.Action
    unit: str
    target: EnvName
    reason: str
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One pass."""

    steps: tuple[Step, ...] = ()
    next: datetime | None = None
    """When one will be due."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollbacks:
    """Takes back in one repository."""

    repo: Repo
    forge: Forge
    history: History
    judge: Judge
    branch: str = "main"

    @property
    def _reverter(self) -> Reverter:
        return Reverter(repo=self.repo, renderer=self.judge.renderer)

    async def check(self, survey: Survey) -> Outcome:
        """Take for each failure the one step that is next. Raises RemoteError when Git or the forge refuse."""
        failures = await asyncio.to_thread(lambda: list(self.failures(survey)))
        due = [one for one in failures if one.due <= survey.now]
        steps = [step for one in due if (step := await self._act(survey, one))]
        steps += await self._withdraw(survey, failures)
        return Outcome(steps=tuple(steps), next=min((one.due for one in failures if one.due > survey.now), default=None))

    def failures(self, survey: Survey) -> list[Failure]:
        """Every promotion that runs sick and may be taken back, due or not."""
        found: list[Failure] = []
        for target in survey.repository.environments:
            seen = survey.seen.get(target.name)
            if target.rollback.on_failure == "off" or seen is None or seen.health is None:
                continue  # Health is looked at one by one only where the environment as a whole is not healthy.
            found += [one for unit in _units(target) if (one := self._failure(survey, target, unit))]
        return found

    def _failure(self, survey: Survey, target: Environment, unit: str) -> Failure | None:
        landed = next((one for one in self.history.landed(target, survey.tip) if _speaks_of(one.record, target, unit)), None)
        promotion = _promotion(landed.record, target, unit) if landed else None
        seen = survey.seen[target.name]
        status = (seen.manifest or {}).get("status") or {}
        attempted = timeline.commit_of(status.get("lastAttemptedRevision"))
        if landed is None or promotion is None or attempted is None or not self._holds(landed.commit, attempted):
            return None
        own = change.Pair(source=target, target=target, base=None, base_commit=None, tree=self.repo.tree(survey.tip))
        contents = {change.content_of(own, self.repo.tree(one), unit) for one in (survey.tip, landed.commit, attempted)}
        if len(contents) != 1:
            return None  # Somebody changed it since: it is theirs to mend.
        sick = self.judge.sick(survey, target, unit, attempted)
        if not sick or self._fails_upstream(survey, promotion, unit):
            return None
        entries = timeline.remembered(seen.past, timeline.entries_of(status))
        failing = _failing_since(entries)
        earlier = [one for one in entries if one.commit and not self._holds(landed.commit, one.commit)]
        if failing is None or not earlier or not earlier[0].succeeded or earlier[0].commit is None:
            return None
        return Failure(target=target, unit=unit, promotion=landed.commit, since=failing, sick=sick, before=earlier[0].commit)

    def _fails_upstream(self, survey: Survey, promotion: records.Promotion, unit: str) -> bool:
        """Whether the environment it came from runs this very content, and sick."""
        origin = survey.repository.environment(promotion.source)
        if origin is None:
            return False
        own = change.Pair(source=origin, target=origin, base=None, base_commit=None, tree=self.repo.tree(survey.tip))
        try:
            promoted = change.content_of(own, self.repo.tree(promotion.commit), unit)
        except RefusedError:
            return False
        same = promoted == change.content_of(own, own.tree, unit)
        return same and self.judge.evidence(survey, origin, own, unit).state == "failed"

    def _holds(self, older: CommitId, newer: CommitId) -> bool:
        try:
            return self.repo.is_ancestor(older, newer)
        except RefusedError:
            return False

    # Acting

    async def _act(self, survey: Survey, one: Failure) -> Step | None:
        branch = branch_of(one.target.name, one.unit)
        opened = next((pull for pull in survey.others if pull.head == branch), None)
        if opened is not None:
            return await self._merge(survey, one, opened)
        for pull in await self.forge.pulls(state="closed", head=branch):
            # A person closed it, or it is merged and Git does not show it yet.
            if pull.head == branch and text.read_marker(pull.body).get(KEY) == one.promotion and SUPERSEDED not in pull.labels:
                return None
        proposed = await asyncio.to_thread(self._composed, survey, one)
        if not proposed.files:
            return None
        made = (await self._reverter.propose(self.forge, self.branch, proposed, one.unit)).pull
        return self._step("open", one, made.number) if made else None

    def _composed(self, survey: Survey, one: Failure) -> Reverting:
        back = self.repo.commit(one.promotion).parents[0]
        for_how_long = gates.span(survey.now - one.since)
        reason = f"{one.sick}, for {for_how_long} since it came with {one.promotion[:7]}; it ran healthy before"
        return self._reverter.compose(survey, one.target, back, (one.unit,), reason=reason, facts={KEY: one.promotion})

    async def _merge(self, survey: Survey, one: Failure, pull: PullRequest) -> Step | None:
        """Merge a rollback of ours exactly as it was written, where the pipeline says so and nothing is frozen."""
        if one.target.rollback.on_failure != "merge" or text.read_marker(pull.body).get(KEY) != one.promotion or pull.draft:
            return None
        if gates.frozen(survey.repository.freezes, one.target.name, survey.now):
            return None
        proposed = await asyncio.to_thread(self._composed, survey, one)
        if not self._is_ours(pull, proposed):
            return None
        await self.repo.fetch()
        if self.repo.resolve(f"refs/heads/{self.branch}") not in (survey.tip, None):
            raise RaceError(f"{self.branch} moved", code="Moved")
        message = proposed.message.partition("\n\n")[2]
        await self.forge.merge_pull(
            pull.number, sha=pull.head_sha, method="squash", title=f"{proposed.title} (#{pull.number})", message=message
        )
        await self.repo.fetch()
        if self.repo.branches(pull.head).get(pull.head) == pull.head_sha:
            await self.repo.push(pull.head, None, expect=pull.head_sha)
        return self._step("merge", one, pull.number)

    def _is_ours(self, pull: PullRequest, proposed: Reverting) -> bool:
        """Whether its head is what would be written now, on whatever it was written."""
        try:
            head = self.repo.commit(pull.head_sha)
            if len(head.parents) != 1 or head.message != proposed.message:
                return False
            again = self._reverter.write(head.parents[0], proposed.files, proposed.message)
            return self.repo.commit(again).tree_id == head.tree_id
        except RefusedError:
            return False

    async def _withdraw(self, survey: Survey, failures: list[Failure]) -> list[Step]:
        """Close what was proposed here and has no reason any more."""
        steps = []
        wanted = {branch_of(one.target.name, one.unit): one.promotion for one in failures}
        for target in survey.repository.environments:
            for unit in _units(target):
                branch = branch_of(target.name, unit)
                pull = next((one for one in survey.others if one.head == branch), None)
                if pull is None or not (promotion := text.read_marker(pull.body).get(KEY)) or wanted.get(branch) == promotion:
                    continue
                own = change.Pair(source=target, target=target, base=None, base_commit=None, tree=self.repo.tree(survey.tip))
                if self.judge.evidence(survey, target, own, unit).state != "healthy":
                    continue  # Not known to be well again: a person may still want it.
                reason = f"{unit} runs healthy in {target.name}"
                await self.forge.update_pull(pull.number, labels=sorted({*pull.labels, SUPERSEDED}))
                await self.forge.comment(pull.number, f"Closed: {text.clean(reason)}.")
                await self.forge.update_pull(pull.number, state="closed")
                if (tip := self.repo.branches(branch).get(branch)) is not None:
                    await self.repo.push(branch, None, expect=tip)
                steps.append(Step(action="close", unit=unit, target=target.name, reason=reason, number=pull.number))
        return steps

    def _step(self, action: deciding.Action, one: Failure, number: int) -> Step:
        return Step(action=action, unit=one.unit, target=one.target.name, reason=one.sick, number=number)


def _units(target: Environment) -> tuple[str, ...]:
    return (*(one.name for one in target.units if one.kind == "app"), REMAINDER)


def _speaks_of(record: records.Record, target: Environment, unit: str) -> bool:
    back = any((one.unit, one.target) == (unit, target.name) for one in record.rollbacks)
    return back or _promotion(record, target, unit) is not None


def _promotion(record: records.Record, target: Environment, unit: str) -> records.Promotion | None:
    """Of a record that is no rollback of the unit too."""
    if any((one.unit, one.target) == (unit, target.name) for one in record.rollbacks):
        return None
    return next((one for one in record.promotions if (one.unit, one.target) == (unit, target.name)), None)


def _failing_since(entries: tuple[Entry, ...]) -> datetime | None:
    """Since when it fails without a success in between; None when the newest did not fail."""
    since: datetime | None = None
    for entry in entries:
        if entry.succeeded:
            break
        if entry.failed:
            since = entry.first if since is None else min(since, entry.first)
    return since
