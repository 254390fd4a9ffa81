"""The promotion controller: brings the open promotion pull requests to what they should be, and merges what is green.

In: a repository, a forge, clusters. Out: branches, pull requests, commit statuses, merges, and a report of each pass.
Every pass looks at everything anew and takes for each case the one step that is next; nothing is remembered between passes,
so a pass after a crash at any point goes on where the crash was. Whoever else writes at the same moment wins: a race ends
the case, and the next pass looks again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from penstock.controllers import journal, promotion_live
from penstock.controllers.promotion_cases import LABEL, STATUS_PREFIX, SUPERSEDED, Asked, Case, Survey, branch_of, fault
from penstock.controllers.promotion_guard import Guard
from penstock.controllers.promotion_merges import Recorder
from penstock.controllers.promotion_rollback import Rollbacks
from penstock.controllers.promotion_survey import Surveyor
from penstock.controllers.watching import Watcher
from penstock.model.errors import InputError, PenstockError, RaceError, RemoteError
from penstock.model.values import CommitId, EnvName
from penstock.ports.clock import Clock
from penstock.ports.cluster import Cluster
from penstock.ports.forge import CommitStatus, Forge, PullRequest, StatusState
from penstock.ports.outbound import Outbound
from penstock.ports.repo import Repo
from penstock.promote import deciding, gates, text, tracing

__all__ = ["Asked", "Case", "Controller", "Done", "Report", "Survey", "Surveyor", "branch_of"]

_log = logging.getLogger(__name__)

_STATES: Mapping[gates.State, StatusState] = {"passed": "success", "waiting": "pending", "failed": "failure"}
_DESCRIPTION = 140
_AGAIN_SECONDS = 0.05
_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """One step that was taken."""

    action: deciding.Action
    unit: str
    target: EnvName
    reason: str
    number: int = 0
    """Of the pull request."""

    def __str__(self) -> str:
        about = f" #{self.number}" if self.number else ""
        return f"{self.action}{about} {self.unit} -> {self.target}: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One pass."""

    survey: Survey
    done: tuple[Done, ...] = ()
    problems: tuple[str, ...] = ()
    bypasses: tuple[str, ...] = ()
    """Merges past red gates that were found and recorded."""
    again: bool = False
    """Something changed, so there may be more to do at once."""
    due: datetime | None = None
    """When a promotion that runs sick now is to be taken back."""


@dataclass(slots=True, kw_only=True)
class _Train:
    """The merges of one pass: each was judged against the main branch at its start, so one may follow another only into
    the same environment and into other files."""

    tip: CommitId
    """Where the main branch has to be for the next merge."""
    target: EnvName | None = None
    files: set[str] = field(default_factory=set)
    stopped: bool = False
    """The main branch is not what was expected of it."""

    def takes(self, case: Case) -> bool:
        return not self.stopped and self.target in (None, case.target.name) and not self.files & set(case.change.files)


@dataclass(slots=True, kw_only=True)
class Controller:
    """Promotes in one repository."""

    repo: Repo
    forge: Forge
    clusters: Mapping[EnvName, Cluster]
    clock: Clock
    outbound: Outbound | None = None
    """Asks what the gates' checks ask."""
    branch: str = "main"
    interval: float = 10.0
    """Seconds between looks when nothing calls for one."""
    tell: Callable[[Done], None] | None = None
    """Told of every step."""
    reported: Callable[[Report], None] | None = None
    """Given the report of every pass; it has to return at once."""
    traced: bool = False
    """Whether merges carry the trace of the change on to the next environment."""
    surveyor: Surveyor = field(init=False)
    latest: Report | None = field(init=False, default=None)
    _guard: Guard = field(init=False)
    _wake: asyncio.Event = field(init=False, default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.surveyor = Surveyor(
            repo=self.repo,
            forge=self.forge,
            clusters=self.clusters,
            clock=self.clock,
            outbound=self.outbound,
            branch=self.branch,
        )
        self._guard = Guard(repo=self.repo, forge=self.forge, judge=self.surveyor.judge)

    @property
    def _rollbacks(self) -> Rollbacks:
        surveyor = self.surveyor
        return Rollbacks(repo=self.repo, forge=self.forge, history=surveyor.history, judge=surveyor.judge, branch=self.branch)

    @property
    def _recorder(self) -> Recorder:
        return Recorder(repo=self.repo, forge=self.forge, history=self.surveyor.history)

    def poke(self) -> None:
        """Something changed (a push, a review, a status): look now."""
        self._wake.set()

    async def run(self) -> None:
        """Pass after pass until cancelled: when poked, when a Kustomization changes, when a gate may open, or in a while."""
        async with asyncio.TaskGroup() as group:
            for environment, cluster in self.clusters.items():
                group.create_task(self._watch(environment, cluster))
            await self._loop()

    async def _loop(self) -> None:
        failures = 0
        while True:
            self._wake.clear()
            try:
                report = await self.once()
                failures = 0
                pause = _AGAIN_SECONDS if report.again else self._pause(report)
            except PenstockError as error:
                failures += 1
                pause = min(_FIRST_PAUSE_SECONDS * 2 ** min(failures - 1, 10), _LONGEST_PAUSE_SECONDS)
                _log.warning("promotion: %s", error.what)
            except Exception as error:
                # A bug of ours must not end what keeps the clusters in sync beside us.
                failures += 1
                pause = min(_FIRST_PAUSE_SECONDS * 2 ** min(failures - 1, 10), _LONGEST_PAUSE_SECONDS)
                _log.error("promotion: %s", fault(error))
            await self._sleep(pause)

    def _pause(self, report: Report) -> float:
        """Until the next look: the interval, or earlier when a gate opens earlier."""
        moments = [verdict.until for case in report.survey.cases for verdict in case.verdicts if verdict.until]
        moments += [report.due] if report.due else []
        seconds = [(moment - self.clock.now()).total_seconds() + 0.1 for moment in moments]
        return max(_AGAIN_SECONDS, min([self.interval, *seconds]))

    async def _sleep(self, seconds: float) -> None:
        """Wait that long or until poked; a poke during the last pass counts."""
        waits = {asyncio.ensure_future(self._wake.wait()), asyncio.ensure_future(self.clock.sleep(seconds))}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    async def _watch(self, environment: EnvName, cluster: Cluster) -> None:
        """Wake up whenever a Kustomization of a cluster changes; polling stays as the safety net."""
        while True:
            try:
                resource = await cluster.resource("kustomize.toolkit.fluxcd.io", "Kustomization", "v1")
            except RemoteError as error:
                _log.debug("promotion: %s: %s", environment, error.what)
                resource = None
            if resource is not None:
                await Watcher(cluster, resource, self.clock, lambda *_: self.poke()).run()
            await self.clock.sleep(self.interval)

    async def once(self, asked: Sequence[Asked] = (), *, only_asked: bool = False) -> Report:
        """One pass; with `only_asked`, acting on nothing but what is asked for.

        Raises RemoteError when Git or the forge cannot be asked at all.
        """
        survey = await self.surveyor.survey(asked)
        done: list[Done] = []
        problems: list[str] = []
        bypasses: list[str] = []
        again = False
        train = _Train(tip=survey.tip)
        for case in survey.cases:
            if only_asked and not any(one.concerns(case.change) for one in asked):
                continue
            if case.decision.action == "merge" and not train.takes(case):
                again = True  # The next pass judges this one against what is there then.
                continue
            try:
                if step := await self._act(survey, case, train):
                    done.append(step)
                    _log.info("promotion: %s", step, extra=journal.fields(**self._about(case, step)))
                    again = True
                    if self.tell:
                        self.tell(step)
            except RaceError as error:
                again = True
                _log.info("promotion of %s to %s: %s, looking again", case.unit, case.target.name, error.what)
            except RemoteError as error:
                problems.append(f"{case.unit} -> {case.target.name}: {error.what}")
                _log.warning("promotion of %s to %s: %s", case.unit, case.target.name, error.what)
        due = None
        if not only_asked:
            taken, due = await self._take_back(survey, problems)
            done += taken
            again = again or bool(taken)
        try:
            for bypass in await self._recorder.record(survey):
                _log.warning("promotion: BYPASS: %s", bypass)
                bypasses.append(bypass)
            await self._guard.check(survey, survey.others)
        except RemoteError as error:
            _log.warning("promotion: recording merges and guarding: %s", error.what)
        self.latest = Report(
            survey=survey, done=tuple(done), problems=tuple(problems), bypasses=tuple(bypasses), again=again, due=due
        )
        if self.reported and not only_asked:
            self.reported(self.latest)
        return self.latest

    async def _take_back(self, survey: Survey, problems: list[str]) -> tuple[list[Done], datetime | None]:
        """What automatic rollbacks did, and when the next one is due."""
        try:
            outcome = await self._rollbacks.check(survey)
        except RaceError as error:
            _log.info("rollback: %s, looking again", error.what)
            return [], None
        except RemoteError as error:
            problems.append(f"rollback: {error.what}")
            _log.warning("rollback: %s", error.what)
            return [], None
        done = [
            Done(action=one.action, unit=f"rollback of {one.unit}", target=one.target, reason=one.reason, number=one.number)
            for one in outcome.steps
        ]
        for step in done:
            _log.warning("promotion: %s", step)
            if self.tell:
                self.tell(step)
        return done, outcome.next

    async def _act(self, survey: Survey, case: Case, train: _Train) -> Done | None:
        """Take the one step that was decided; None when there was nothing to do but wait."""
        number = case.pull.number if case.pull else 0
        match case.decision.action:
            case "open":
                number = (await self._open(await self._with_live(survey, case))).number
            case "update":
                await self._update(await self._with_live(survey, case))
            case "close":
                await self._close(case)
            case "merge":
                await self._merge(case, train)
            case "clean":
                await self._delete_branch(case)
            case _:
                await self._publish(case)
                return None
        return Done(
            action=case.decision.action,
            unit=case.unit,
            target=case.target.name,
            reason=case.decision.reason,
            number=number,
        )

    async def _with_live(self, survey: Survey, case: Case) -> Case:
        """With what the target's cluster says to it, where it renders."""
        if case.head is None or case.problem or case.change.conflicts:
            return case
        seen = survey.seen[case.target.name]
        try:
            sides = await asyncio.to_thread(
                lambda head: [self.surveyor.renderer.at(one, case.target, seen).objects for one in (survey.tip, head)], case.head
            )
        except InputError:
            return case
        words = await promotion_live.words(self.clusters.get(case.target.name), case.target, sides[0], sides[1], survey.now)
        return replace(case, body=case.body.replace(text.LIVE, words, 1))

    async def _open(self, case: Case) -> PullRequest:
        await self._push(case)
        return await self.forge.open_pull(
            title=case.title, body=case.body, head=case.branch, base=self.branch, draft=case.decision.draft, labels=[LABEL]
        )

    async def _push(self, case: Case) -> None:
        assert case.head is not None
        if case.branch_tip != case.head:
            await self.repo.push(case.branch, case.head, expect=case.branch_tip)

    async def _update(self, case: Case) -> None:
        """The branch first: a text about content that is not there yet would be a lie, the other way round it is late."""
        assert case.pull is not None
        if case.head is not None and not case.problem and case.decision.push:
            await self._push(case)
        await self.forge.update_pull(case.pull.number, title=case.title, body=case.body, draft=case.decision.draft)
        await self._publish(case)

    async def _close(self, case: Case) -> None:
        assert case.pull is not None
        labels = sorted({*case.pull.labels, SUPERSEDED})
        await self.forge.update_pull(case.pull.number, labels=labels)
        await self.forge.comment(case.pull.number, f"Closed: {text.clean(case.decision.reason)}.")
        await self.forge.update_pull(case.pull.number, state="closed")
        await self._delete_branch(case)

    async def _delete_branch(self, case: Case) -> None:
        if case.branch_tip is not None:
            await self.repo.push(case.branch, None, expect=case.branch_tip)

    async def _merge(self, case: Case, train: _Train) -> None:
        """Merge exactly the head that was judged, against the main branch it was judged against, or that plus what this
        pass merged itself."""
        assert case.pull is not None
        await self.repo.fetch()
        if self.surveyor.tip() != train.tip:
            raise RaceError(f"{self.branch} moved", code="Moved")
        now = await self.forge.pull(case.pull.number)
        if now.state != "open" or now.head_sha != case.pull.head_sha or now.draft:
            raise RaceError(f"#{now.number} changed", code="Moved")
        await self._publish(case)
        approvals = next((one.text for one in case.verdicts if one.gate == "approvals" and one.state == "passed"), "")
        record = replace(
            case.record,
            evidence=next((line for one in case.evidence if (line := one.trailer())), ""),
            pull=f"#{now.number}",
            trace=self._trace(case),
            approved_by=tuple(approvals.removeprefix("approved by ").split(", ")) if approvals else (),
        )
        await self.forge.merge_pull(
            now.number,
            sha=case.pull.head_sha,
            method="squash",
            title=f"{case.title} (#{now.number})",
            message=text.message_body(case.commits, record),
        )
        await self.repo.fetch()
        self._advance(train, case)
        # A forge may delete the branch itself, and a crash here leaves it to the next pass.
        if self.repo.branches(case.branch).get(case.branch) == case.pull.head_sha:
            await self.repo.push(case.branch, None, expect=case.pull.head_sha)

    def _trace(self, case: Case) -> str:
        """The trace of the newest commit that travels: the one its author began, else, where traces are told, its own."""
        found = self._context(case)
        return str(found) if found and (self.traced or found.parent) else ""

    def _context(self, case: Case) -> tracing.Context | None:
        if not case.commits:
            return None
        commit = CommitId(case.commits[0].commit)
        return tracing.context_of(commit, self.repo.commit(commit).message)

    def _about(self, case: Case, step: Done) -> dict[str, str | int]:
        """What joins a log line with the trace, the pull request and the commit it is about."""
        context = self._context(case)
        found: dict[str, str | int] = {"environment": case.target.name, "unit": case.unit, "action": step.action}
        if step.number:
            found["pull"] = step.number
        if context is not None:
            found |= {"traceID": context.trace, "revision": case.commits[0].commit}
        return found

    def _advance(self, train: _Train, case: Case) -> None:
        """Let the next merge of this pass follow if the main branch is now exactly what this one was to make of it."""
        assert case.head is not None
        tip = self.surveyor.tip()
        author = self.repo.commit(case.head).author
        wanted = self.repo.write_commit([train.tip], case.change.files, message="merged", author=author)
        train.stopped = self.repo.commit(tip).tree_id != self.repo.commit(wanted).tree_id
        train.tip = tip
        train.target = case.target.name
        train.files |= set(case.change.files)

    async def _publish(self, case: Case) -> None:
        """Every gate as a commit status of the head, where it is another one than the forge shows."""
        if case.pull is None or case.change.empty:
            return
        known = {status.context: (status.state, status.description) for status in case.statuses}
        for name, verdicts in _by_gate(case.verdicts).items():
            worst = max(verdicts, key=lambda one: ("passed", "waiting", "failed").index(one.state))
            status = CommitStatus(
                context=f"{STATUS_PREFIX}{name}",
                state=_STATES[worst.state],
                description="; ".join(_steady(one) for one in verdicts)[:_DESCRIPTION],
            )
            if known.get(status.context) != (status.state, status.description):
                await self.forge.set_status(case.pull.head_sha, status)


def _by_gate(verdicts: Sequence[gates.Verdict]) -> dict[str, list[gates.Verdict]]:
    found: dict[str, list[gates.Verdict]] = {}
    for verdict in verdicts:
        # A status that others set is theirs to show.
        if not verdict.gate.startswith("status "):
            found.setdefault(verdict.gate, []).append(verdict)
    return found


def _steady(verdict: gates.Verdict) -> str:
    """A description that stays the same while nothing but time passes."""
    if verdict.gate == "soak" and verdict.until:
        return f"until {gates.clock_time(verdict.until)}"
    if verdict.gate == "soak" and verdict.state == "passed":
        return "ran healthy for long enough"
    return text.clean(verdict.text)


def next_moment(survey: Survey) -> datetime | None:
    """When the next gate opens by itself."""
    return min((one.until for case in survey.cases for one in case.verdicts if one.until), default=None)
