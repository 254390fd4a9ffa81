"""Which revision of the source travels: the newest that ran healthy for long enough, so that a source that moves more often
than its soak, or is broken just now, keeps nothing back that is good.

In: a unit's revisions since it was last promoted, the history of the source's cluster, plans. Out: the pair to plan with.

- The newest revision, when it passed, or when none did and none is on its way.
- Else the newest earlier one that passed. Its soak goes on while later revisions run healthy on top of it.
- Else the earliest that is still soaking: it will pass first.
- Never one that holds what the source took back since, that a hold names, or that was rolled back in the target. Never one
  of before the last promotion: nothing goes backwards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from penstock.controllers.promotion_cases import Survey
from penstock.controllers.promotion_history import History
from penstock.controllers.promotion_judging import Judge
from penstock.model.errors import RefusedError
from penstock.model.values import CommitId
from penstock.ports.repo import Commit, Repo
from penstock.promote import change, gates, records

_LOOKED_AT = 20
"""Revisions; a source that is further ahead than this of what passed waits for the newest of them."""
Plan = Callable[[change.Pair, CommitId], change.Change]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """What would travel."""

    pair: change.Pair
    commit: CommitId | None = None
    """The revision of the source; None: its newest."""
    newer: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """Chooses for one repository."""

    repo: Repo
    history: History
    judge: Judge

    def choose(self, survey: Survey, pair: change.Pair, unit: str, base: records.Base, plan: Plan) -> Candidate:
        """The revision to propose; `plan` says what one would change."""
        newest = Candidate(pair=pair)
        if pair.base_commit is None or not pair.target.gates.healthy:
            return newest
        revisions = self.history.revisions(change.touching(pair, unit), pair.base_commit, survey.tip, _LOOKED_AT)
        if len(revisions) < 2:
            return newest
        held = _held(survey, unit, pair)
        first = revisions[0]
        at_tip = self.judge.evidence(survey, pair.source, pair, unit)
        if gates.soaked(at_tip, pair.target.gates, survey.now) and not _within(held, revisions):
            return newest
        soaking: Candidate | None = None
        for number, one in self._earlier(pair, unit, revisions, base, plan, first):
            if _within(held, revisions[number:]):
                continue
            tree = self.repo.tree(one.id)
            found = Candidate(pair=replace(pair, origin=tree), commit=one.id, newer=number)
            seen = self.judge.evidence(survey, pair.source, found.pair, unit)
            if gates.soaked(seen, pair.target.gates, survey.now):
                return found
            if seen.state == "healthy" and seen.until is None:
                soaking = found
        return soaking or newest

    def _earlier(
        self, pair: change.Pair, unit: str, revisions: Sequence[Commit], base: records.Base, plan: Plan, first: Commit
    ) -> list[tuple[int, Commit]]:
        """(how many are newer, revision), without those that must not travel any more."""
        contents = [self._content(pair, unit, one.id) for one in revisions]
        before = [*contents, self._content(pair, unit, pair.base_commit)]
        wanted = _fields(plan(pair, first.id))
        found = []
        for number, one in enumerate(revisions):
            content = contents[number]
            # The source went back to what it was before this revision, or forth to what it was at it (then that one stands
            # for it): in between lies something that was taken back.
            taken_back = set(contents[:number]) & set(before[number:])
            if number == 0 or not content or taken_back or self._is_past(one.id, base.rolled_back):
                continue
            if _fields(plan(replace(pair, origin=self.repo.tree(one.id)), one.id)) <= wanted:
                found.append((number, one))
        return found

    def _content(self, pair: change.Pair, unit: str, commit: CommitId | None) -> str:
        try:
            return change.content_of(pair, self.repo.tree(commit), unit) if commit else ""
        except RefusedError:
            return ""

    def _is_past(self, commit: CommitId, rolled_back: CommitId | None) -> bool:
        try:
            return rolled_back is not None and self.repo.is_ancestor(commit, rolled_back)
        except RefusedError:
            return False


def _held(survey: Survey, unit: str, pair: change.Pair) -> list[str]:
    """Commits, or their beginnings, that must not travel into the target."""
    return [one.commit for one in survey.repository.holds if one.commit and gates.holds(one, unit, pair.target.name, survey.now)]


def _within(held: Sequence[str], revisions: Sequence[Commit]) -> bool:
    return any(one.id.startswith(commit) for one in revisions for commit in held)


def _fields(found: change.Change) -> set[tuple[str, ...]]:
    """What a change touches: fields, and files as a whole. A field that an earlier revision changes and the newest does not
    was taken back."""
    fields = {("field", one.path, str(one.document), str(one.field)) for one in found.fields}
    conflicts = {("field", one.path, str(one.document), str(one.field)) for one in found.conflicts}
    return fields | conflicts | {("file", path) for path in found.files}
