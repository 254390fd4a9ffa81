"""A rollback as a pull request: what it writes, what that changes among the objects, and the words for it.

In: a survey, an environment, units, the commit to go back to. Out: a `Reverting`, then its pull request.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from penstock.controllers.promotion_cases import EMAIL, LABEL, NAME, Survey
from penstock.controllers.promotion_rendering import Renderer
from penstock.model.errors import InputError
from penstock.model.pipeline import REMAINDER, Environment
from penstock.model.values import CommitId, EnvName
from penstock.ports.forge import Forge, PullRequest
from penstock.ports.repo import Repo, Signature
from penstock.promote import records, reverting, text, verdict

BRANCHES = "penstock/rollback/"
ASKED_BY = "Penstock-Asked-By"
"""The trailer with the person for whom Penstock wrote a commit: their approval of it does not count."""
_ROWS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Reverting:
    """What goes back, and the pull request that takes it there."""

    environment: EnvName
    units: tuple[str, ...]
    commit: CommitId
    """What it goes back to."""
    subject: str
    files: dict[str, bytes | None]
    """Empty: it is the same already."""
    outcome: verdict.Outcome | None
    """None when one of the sides does not render."""
    title: str
    body: str
    message: str
    head: CommitId | None = None
    pull: PullRequest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reverter:
    """Composes rollbacks of one repository."""

    repo: Repo
    renderer: Renderer

    def compose(
        self,
        survey: Survey,
        target: Environment,
        commit: CommitId,
        units: Sequence[str] = (),
        *,
        by: str = "",
        reason: str = "",
        facts: Mapping[str, str] | None = None,
    ) -> Reverting:
        """Everything of it but the pull request; without `units`, of all of the environment.

        `by` is the person who asked for it, `reason` why it is proposed; `facts` are hidden in the text.
        """
        before, then = self.repo.tree(survey.tip), self.repo.tree(commit)
        names = tuple(units) or reverting.units(target, before, then)
        files = dict(reverting.files(target, names, before, then))
        changed = tuple(name for name in names if any(reverting.belongs(path, target, name) for path in files)) or names
        subject = self.repo.commit(commit).subject
        shown = ", ".join(records.title_of(unit) for unit in changed)
        title = f"Roll back {shown} in {target.name} to {commit[:7]} ({text.clean(subject)})"[:200]
        trailers = "".join(records.Rollback(unit=unit, target=target.name, commit=commit).trailer() for unit in changed)
        asked = f"{ASKED_BY}: {records.one_line(text.clean(by))}\n" if by else ""
        message = f"{title}\n\n{trailers}{asked}"
        head = self.write(survey.tip, files, message) if files else None
        outcome = self.outcome(survey, target, commit, head) if head else None
        return Reverting(
            environment=target.name,
            units=changed,
            commit=commit,
            subject=subject,
            files=files,
            outcome=outcome,
            title=title,
            body=_body(target, changed, commit, outcome, by, reason, facts or {}),
            message=message,
            head=head,
        )

    def write(self, parent: CommitId, files: Mapping[str, bytes | None], message: str) -> CommitId:
        """The commit to propose: the same input gives the same commit."""
        author = Signature(name=NAME, email=EMAIL, when=self.repo.commit(parent).committer.when)
        return self.repo.write_commit([parent], files, message=message, author=author)

    async def propose(self, forge: Forge, branch: str, proposed: Reverting, unit: str | None) -> Reverting:
        """Push its branch and open it; one that is open already is that one. `branch` is the main branch."""
        assert proposed.head is not None
        name = branch_of(proposed.environment, unit)
        before = self.repo.branches(name).get(name)
        if before != proposed.head:
            await self.repo.push(name, proposed.head, expect=before)
        pull = await forge.open_pull(
            title=proposed.title, body=proposed.body, head=name, base=branch, draft=False, labels=[LABEL]
        )
        return replace(proposed, pull=pull)

    def outcome(self, survey: Survey, target: Environment, commit: CommitId, head: CommitId) -> verdict.Outcome | None:
        """What changes among the rendered objects; None when one of the sides does not render."""
        seen = survey.seen[target.name]
        try:
            sides = [self.renderer.at(one, target, seen).objects for one in (commit, survey.tip, head)]
        except InputError:
            return None
        wanted = set(verdict.changed_ids(sides[1], sides[2]))
        then, before, after = ([one for one in side if one.id in wanted] for side in sides)
        return verdict.compare(source=then, before=before, after=after, base=None, differences=())


def branch_of(environment: str, unit: str | None) -> str:
    """The one branch of a rollback; None: of the whole environment."""
    return f"{BRANCHES}{environment}/{unit or REMAINDER}"


def _body(
    target: Environment,
    units: Sequence[str],
    commit: CommitId,
    outcome: verdict.Outcome | None,
    by: str,
    reason: str,
    facts: Mapping[str, str],
) -> str:
    names = ", ".join(text.code(records.title_of(unit)) for unit in units)
    lines = [f"**Takes {names} in {target.name} back to what it was at {commit[:7]}.**", ""]
    if by:
        lines += [f"Asked for by {text.code(by)} on the web page.", ""]
    if reason:
        lines += [f"**Why:** {text.clean(reason)}.", ""]
    if outcome is None:
        lines.append("One of the sides does not render, so nothing can be said about the objects.")
    else:
        lines += [f"| | at {commit[:7]} | {target.name} now | {target.name} after |", "|---|---|---|---|"]
        lines += [
            f"| {text.clean(row.object)} {text.code(row.field, 160) if row.field else ''} | {text.code(row.source)} "
            f"| {text.code(row.before)} | **{text.code(row.after)}** |"
            for row in outcome.rows[:_ROWS]
        ]
        if len(outcome.rows) > _ROWS:
            lines.append(f"| and {len(outcome.rows) - _ROWS} more fields | | | |")
    lines += ["", "Until it changes in the source, or somebody asks for it, this is not promoted again.", ""]
    if facts:
        lines += [f"<!-- penstock {json.dumps(dict(facts)).replace('--', '-')} -->", ""]
    return "\n".join(lines)
