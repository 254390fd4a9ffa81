"""What a forge says about promotions: pull requests, reviews, statuses, who wrote what travels. Reads only.

In: plans. Out: one `Forged` for each. Without a forge every answer is empty.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from penstock.controllers.promotion_cases import SUPERSEDED, Forged, Planned, branch_of
from penstock.controllers.promotion_history import History
from penstock.model.errors import RefusedError
from penstock.model.pipeline import Repository
from penstock.model.question import Answer, Question
from penstock.model.values import CommitId
from penstock.ports.clock import Clock
from penstock.ports.forge import Forge, PullRequest
from penstock.ports.outbound import Outbound
from penstock.ports.repo import Repo
from penstock.promote import change, checking, deciding, text

_AT_ONCE = 8
"""Questions at the same time."""
_FRESH_SECONDS = 30.0
_ANSWERS = 1000


@dataclass(slots=True, kw_only=True)
class Asking:
    """Asks for one repository; remembers only who wrote a commit, and what a check said just now."""

    repo: Repo
    forge: Forge | None
    history: History
    clock: Clock
    outbound: Outbound | None = None
    branch: str = "main"
    _answers: dict[Question, tuple[float, Answer]] = field(default_factory=dict)
    _authors: dict[str, str] = field(default_factory=dict)

    async def pulls(self) -> list[PullRequest]:
        """Open pull requests to the main branch."""
        found = await self.forge.pulls(state="open") if self.forge else ()
        return [pull for pull in found if pull.base == self.branch]

    async def login(self) -> str:
        return await self.forge.whoami() if self.forge else ""

    async def teams(self, repository: Repository) -> dict[str, Sequence[str]]:
        """The members of every team that may approve somewhere."""
        approvers = {approver for env in repository.environments for approver in env.gates.approvers}
        found: dict[str, Sequence[str]] = {}
        for name in sorted(one.removeprefix("team:") for one in approvers if one.startswith("team:")):
            try:
                found[name] = await self.forge.team_members(name) if self.forge else ()
            except RefusedError:
                found[name] = ()  # No such team: nobody in it can approve, and the gate goes on waiting.
        return found

    async def about(
        self, planned: Sequence[Planned], pulls: Mapping[str, PullRequest], tip: CommitId, repository: Repository
    ) -> list[Forged]:
        """What the forge says about each plan, in their order; `pulls` are the open ones, by branch."""
        limit = asyncio.Semaphore(_AT_ONCE)

        async def ask(one: Planned) -> Forged:
            async with limit:
                return await self._one(one, pulls, tip, repository)

        return await asyncio.gather(*map(ask, planned))

    async def _one(self, one: Planned, pulls: Mapping[str, PullRequest], tip: CommitId, repository: Repository) -> Forged:
        if self.forge is None:
            return Forged()
        branch = branch_of(one.change.target, one.unit)
        pull = pulls.get(branch)
        if pull is not None:
            reviews, statuses = await asyncio.gather(self.forge.reviews(pull.number), self.forge.statuses(pull.head_sha))
            approved = any(review.state == "approved" for review in reviews)
            authors = await self._wrote(self.forge, one, repository) if approved and not one.change.empty else ()
            answers = await self._checks(one) if not one.change.empty else {}
            return Forged(pull=pull, reviews=reviews, statuses=statuses, authors=authors, answers=answers)
        if one.change.empty or one.change.conflicts:
            return Forged()
        return Forged(closed=await self._closed(self.forge, branch, one.change, tip))

    async def _wrote(self, forge: Forge, one: Planned, repository: Repository) -> tuple[str, ...]:
        """Logins of who wrote the commits that travel.

        Whom the forge does not know by the address is taken for whoever has the name, or the name before the '@', as login:
        an approval too many asked for is a nuisance, one too few a hole.
        """
        commits = await asyncio.to_thread(
            self.history.travelling, one.pair.source, one.unit, one.pair.since or one.change.base, one.change.commit, repository
        )
        found: dict[str, None] = {}
        for commit in commits:
            if login := await self._author(forge, commit.commit):
                found[login] = None
            else:
                found |= dict.fromkeys(name for name in (commit.author, commit.email.partition("@")[0]) if name)
        return tuple(found)

    async def _checks(self, one: Planned) -> dict[str, Answer]:
        """What the servers say that the target's gates ask; nobody is asked more often than every half minute."""
        target = one.pair.target
        about = {"app": one.unit, "environment": target.name, "source": one.pair.source.name, "commit": one.change.commit}
        if self.outbound is None:
            return {}
        asked = dict(checking.questions(target.gates, about))
        # At once: a server that hangs is waited for once, not once for each check.
        answers = await asyncio.gather(*(self._answer(self.outbound, question) for question in asked.values()))
        return dict(zip(asked, answers, strict=True))

    async def _answer(self, outbound: Outbound, question: Question) -> Answer:
        known = self._answers.get(question)
        if known is not None and self.clock.monotonic() - known[0] < _FRESH_SECONDS:
            return known[1]
        answer = await outbound.ask(question)
        if len(self._answers) > _ANSWERS:
            self._answers.clear()
        self._answers[question] = self.clock.monotonic(), answer
        return answer

    async def _author(self, forge: Forge, commit: str) -> str:
        if commit not in self._authors:
            try:
                login = await forge.author(CommitId(commit))
            except RefusedError:
                return ""
            if not login:
                return ""  # Addresses are added to accounts later: asked again.
            self._authors[commit] = login
        return self._authors[commit]

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
