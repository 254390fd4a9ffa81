"""One look at everything after the other, for a face that shows what goes on: the same facts as `status`, kept warm.

In: an open world. Out: a `Look`. Whoever does not answer is told in the look and makes nothing else unknown: without the
forge there are still Git and the clusters, without a cluster there is still everything else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

from penstock.app import marking, promote, rollback, rollbacks, status
from penstock.app.world import World
from penstock.controllers.promotion_cases import BRANCHES, Case, Survey
from penstock.controllers.promotion_survey import Surveyor
from penstock.merge.outcome import Choice
from penstock.model import errors
from penstock.model.resource import Manifest
from penstock.model.values import CommitId, EnvName
from penstock.ports.clock import Clock
from penstock.ports.cluster import ApiResource, Cluster, ObjectList
from penstock.ports.forge import CommitStatus, Forge, PullRequest, Review
from penstock.promote import records, text

__all__ = ["Case", "Look", "Lookout", "Promotion"]

CLUSTER_SECONDS = 4.0
"""How long a cluster may take for an answer before it counts as silent."""
FORGE_SECONDS = 6.0
"""The same for the forge."""
GIT_SECONDS = 8.0
"""The same for the Git server."""
ALONE_SECONDS = 15.0
"""How long whoever was silent is not asked again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Everything, at one moment."""

    status: status.Status
    cases: tuple[Case, ...]
    manifests: Mapping[EnvName, Manifest | None]
    """The Kustomization of each environment whose cluster answered; None where it has none."""
    silent: Mapping[EnvName, str]
    """Environments whose cluster did not answer, and what it said."""
    survey: Survey
    """What it was made of."""
    problems: tuple[str, ...] = ()
    """What could not be asked besides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """One pull request of Penstock's: a promotion, or a rollback."""

    pull: PullRequest
    unit: str
    source: str
    target: str
    case: Case | None
    """What is computed about it now; None once it is done, or when something else is proposed by now."""
    record: records.Promotion | None
    """What its commit says; a claim."""
    reviews: tuple[Review, ...]
    statuses: tuple[CommitStatus, ...]
    back: rollbacks.Proposed | None = None
    """Of a rollback: what it takes back."""


class Lookout:
    """Looks at one world again and again; what never changes is read once."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._git = Patience("the Git server", world.clock, GIT_SECONDS)
        self._forge = cast("Forge", _Forge(world.forge, world.clock))
        self._clusters: dict[EnvName, Cluster] = {
            name: cast("Cluster", _Cluster(cluster, world.clock)) for name, cluster in world.clusters.items()
        }
        self._looking = status.surveyor(replace(world, clusters=self._clusters, forge=self._forge))
        self._blind = _without_forge(self._looking)
        self._before: tuple[object, status.Status] | None = None

    @property
    def name(self) -> str:
        """What the fleet is called, as long as its repository says nothing else."""
        return self._world.fleet.repository.url.rstrip("/").rpartition("/")[2].removesuffix(".git")

    def cluster(self, name: EnvName) -> Cluster:
        """The cluster of an environment, for reading, with as much patience as a look has."""
        return self._clusters[name]

    async def look(self) -> Look:
        """Look now. Raises RemoteError only when there is nothing to look at, not even in the local mirror."""
        looking = self._looking
        problems: list[str] = []
        try:
            await self._git.within(self._world.repo.fetch)
        except errors.RemoteError as error:
            problems.append(f"the Git server cannot be asked ({error.what}): commits may be old")
        try:
            survey = await looking.survey(fetch=False)
        except errors.RemoteError as error:
            looking = self._blind
            survey = await looking.survey(fetch=False)
            problems.append(f"the forge cannot be asked ({error.what}): pull requests are not known")
        found = await asyncio.to_thread(self._status, looking, survey)
        return Look(
            status=found,
            cases=survey.cases,
            manifests={name: seen.manifest for name, seen in survey.seen.items() if not seen.problem},
            silent={
                name: self._world.cluster_problems.get(name, seen.problem) for name, seen in survey.seen.items() if seen.problem
            },
            survey=survey,
            problems=tuple(problems),
        )

    def _status(self, looking: Surveyor, survey: Survey) -> status.Status:
        """The status, anew only when something it is made of is new: it looks at every app in every environment."""
        key = (survey.tip, dict(survey.seen), tuple(map(_shown, survey.cases)))
        if self._before is None or self._before[0] != key:
            self._before = key, status.of(looking, survey, name=self.name)
        return replace(self._before[1], now=survey.now)

    async def promotion(self, number: int, look: Look) -> Promotion:
        """One pull request. Raises RefusedError(code='NotFound') for one that is no promotion."""
        forge = self._forge
        try:
            pull = await forge.pull(number)
        except errors.RefusedError as error:
            if error.status == 404 or error.code == "NotFound":
                raise errors.RefusedError(f"there is no pull request #{number}", code="NotFound", status=404) from None
            raise
        if pull.head.startswith((rollback.BRANCHES, marking.BRANCHES)):
            return await self._asked_for(pull, look)
        if not pull.head.startswith(BRANCHES):
            raise errors.RefusedError(f"#{number} is not a promotion", hint=pull.url, code="NotFound", status=404)
        reviews, statuses = await asyncio.gather(forge.reviews(number), forge.statuses(pull.head_sha))
        target, _, unit = pull.head.removeprefix(BRANCHES).partition("/")
        case = next((one for one in look.cases if one.pull is not None and one.pull.number == number), None)
        record = self._record(pull, unit)
        source = case.source.name if case else record.source if record else text.read_marker(pull.body).get("source", "")
        return Promotion(
            pull=pull,
            unit=unit,
            source=str(source),
            target=target,
            case=case,
            record=record,
            reviews=tuple(reviews),
            statuses=tuple(statuses),
        )

    async def _asked_for(self, pull: PullRequest, look: Look) -> Promotion:
        """A rollback, a freeze, a hold: opened for a person."""
        reviews, statuses = await asyncio.gather(self._forge.reviews(pull.number), self._forge.statuses(pull.head_sha))
        approvers = {one for environment in look.survey.repository.environments for one in environment.gates.approvers}
        teams = {
            team: await self._forge.team_members(team)
            for team in (one.removeprefix("team:") for one in approvers if one.startswith("team:"))
        }
        back = await asyncio.to_thread(rollbacks.read, self._looking, look.survey, pull, reviews, teams)
        return Promotion(
            pull=pull,
            unit=back.unit if back else "",
            source="",
            target=back.target if back else "",
            case=None,
            record=None,
            reviews=tuple(reviews),
            statuses=tuple(statuses),
            back=back,
        )

    def authors(self, commits: Sequence[str]) -> tuple[tuple[str, str], ...]:
        """Names and addresses of the authors of these commits, as far as the commits are known here."""
        found: dict[tuple[str, str], None] = {}
        for one in commits:
            try:
                author = self._world.repo.commit(CommitId(one)).author
            except errors.RefusedError:
                continue
            found[author.name, author.email] = None
        return tuple(found)

    async def decide(self, case: Case, sides: Mapping[str, Literal["take", "keep"]]) -> None:
        """Promote with decisions on its conflicts: field -> take the source's value, or keep the target's.

        Raises ConflictError when something is still to be decided, RemoteError when Git or the forge refuse.
        """
        choices = [Choice(field=field, side="source" if side == "take" else "target") for field, side in sides.items()]
        promoted = await promote.promote(self._world, case.unit, case.target.name, choices=choices)
        if any(one.change.conflicts for one in promoted.cases):
            raise errors.ConflictError("it is not settled by these decisions: look again", code="StillConflicting")

    def _record(self, pull: PullRequest, unit: str) -> records.Promotion | None:
        """What the commit at the head says about this unit, where it is known here."""
        try:
            message = self._world.repo.commit(CommitId(pull.head_sha)).message
        except errors.RefusedError:
            return None
        return next((one for one in records.parse(message).promotions if one.unit == unit), None)


def _shown(case: Case) -> tuple[object, ...]:
    """What the status shows of a case."""
    pull = (case.pull.number, case.pull.url, case.pull.draft) if case.pull else None
    told = status.waiting_of(case.verdicts), case.decision, case.commits, len(case.change.conflicts)
    return case.unit, case.target.name, case.change.content, case.change.digest, pull, *told


def _without_forge(looking: Surveyor) -> Surveyor:
    """The same surveyor without a forge; they share what they read."""
    blind = replace(looking, forge=None)
    blind.history, blind.renderer = looking.history, looking.renderer
    return blind


class Patience:
    """How long somebody is waited for: no answer in time is an answer, and then they are left alone a while.

    Otherwise every look would wait for whoever is silent, and what the others do would be seen late.
    """

    def __init__(self, who: str, clock: Clock, seconds: float) -> None:
        self._who = who
        self._clock = clock
        self._seconds = seconds
        self._alone_until = float("-inf")
        self._said = errors.TransientError(f"{who} did not answer within {seconds:.0f} s", code="NoAnswer")

    async def within[T](self, call: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What the call returns. Raises TransientError, at once where there was no answer just now."""
        if self._clock.monotonic() < self._alone_until:
            raise self._said
        try:
            async with asyncio.timeout(self._seconds):
                return await call()
        except TimeoutError:
            said = errors.TransientError(f"{self._who} did not answer within {self._seconds:.0f} s", code="NoAnswer")
        except errors.TransientError as error:
            said = error
        self._alone_until = self._clock.monotonic() + ALONE_SECONDS
        self._said = errors.TransientError(said.what, said.hint, said.code, said.status)
        raise said from None


class _Cluster:
    """The reading half of a cluster, with patience."""

    def __init__(self, cluster: Cluster, clock: Clock) -> None:
        self.name = cluster.name
        self._cluster = cluster
        self._within = Patience(cluster.name, clock, CLUSTER_SECONDS).within

    async def resource(self, group: str, kind: str, version: str | None = None) -> ApiResource | None:
        return await self._within(lambda: self._cluster.resource(group, kind, version))

    async def get(self, resource: ApiResource, namespace: str, name: str) -> Manifest | None:
        return await self._within(lambda: self._cluster.get(resource, namespace, name))

    async def list(
        self,
        resource: ApiResource,
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        metadata_only: bool = False,
    ) -> ObjectList:
        return await self._within(
            lambda: self._cluster.list(
                resource,
                namespace,
                label_selector=label_selector,
                field_selector=field_selector,
                metadata_only=metadata_only,
            )
        )


class _Forge:
    """The reading half of a forge, with patience."""

    def __init__(self, forge: Forge, clock: Clock) -> None:
        self._forge = forge
        self._within = Patience("the forge", clock, FORGE_SECONDS).within

    async def whoami(self) -> str:
        return await self._within(self._forge.whoami)

    async def pulls(self, *, state: Literal["open", "closed", "all"] = "open", head: str = "") -> Sequence[PullRequest]:
        return await self._within(lambda: self._forge.pulls(state=state, head=head))

    async def pull(self, number: int) -> PullRequest:
        return await self._within(lambda: self._forge.pull(number))

    async def reviews(self, number: int) -> Sequence[Review]:
        return await self._within(lambda: self._forge.reviews(number))

    async def statuses(self, sha: CommitId) -> Sequence[CommitStatus]:
        return await self._within(lambda: self._forge.statuses(sha))

    async def team_members(self, team: str) -> Sequence[str]:
        return await self._within(lambda: self._forge.team_members(team))

    async def author(self, sha: CommitId) -> str:
        return await self._within(lambda: self._forge.author(sha))
