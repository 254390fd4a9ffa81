"""Promotions that a person merged: whether the gates were green, recorded for good, and said loudly when they were not.

In: the history of the targets, the forge. Out: a Git note on the merge commit (ref refs/notes/penstock), and for a bypass a
failed commit status and a comment. Every pass looks at the newest merges and does what is missing; a commit that has its
note is done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from penstock.controllers.promotion_cases import STATUS_PREFIX, Survey, branch_of
from penstock.controllers.promotion_history import History
from penstock.model.pipeline import Environment
from penstock.model.values import CommitId
from penstock.ports.forge import CommitStatus, Forge, PullRequest
from penstock.ports.repo import Repo
from penstock.promote import records

NOTES = "penstock"
_LOOKED_AT = 20
_MARK = "<!-- penstock bypass -->"


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge:
    """What a note says about a merge."""

    by: str = ""
    bypassed: tuple[str, ...] = ()
    """Gates that were not green."""

    def text(self) -> str:
        lines = [f"Penstock-Merged-By: {records.one_line(self.by) or 'unknown'}"]
        lines.append(f"Penstock-Bypass: {', '.join(self.bypassed)}" if self.bypassed else "Penstock-Gates: green")
        return "\n".join(lines) + "\n"


def read(note: str | None) -> Merge | None:
    """A note as it was written; None without one."""
    if not note:
        return None
    values = dict(line.split(": ", 1) for line in note.splitlines() if ": " in line)
    bypassed = tuple(part for part in values.get("Penstock-Bypass", "").split(", ") if part)
    return Merge(by=values.get("Penstock-Merged-By", ""), bypassed=bypassed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorder:
    """Records merges of one repository."""

    repo: Repo
    forge: Forge
    history: History

    async def record(self, survey: Survey) -> list[str]:
        """Do what is missing; one line for each bypass that was found."""
        found: list[str] = []
        for _, target in survey.repository.steps():
            for landed in list(self.history.landed(target, survey.tip))[:_LOOKED_AT]:
                for promotion in landed.record.promotions:
                    by_hand = promotion.target == target.name and not promotion.evidence
                    if by_hand and self.repo.note(NOTES, landed.commit) is None:
                        found += await self._one(survey, target, landed.commit, promotion)
        return found

    async def _one(self, survey: Survey, target: Environment, commit: CommitId, promotion: records.Promotion) -> list[str]:
        pull = await self._pull(branch_of(target.name, promotion.unit), commit)
        if pull is None:
            bypassed: tuple[str, ...] = ("pull request",)
        else:
            bypassed = _red(await self.forge.statuses(pull.head_sha), survey.login)
        if bypassed:
            await self._tell(commit, pull, bypassed)
        merge = Merge(by=pull.merged_by if pull else "", bypassed=bypassed)
        await self.repo.add_note(NOTES, commit, merge.text())
        if not bypassed:
            return []
        by = merge.by or "somebody"
        return [f"{by} merged {promotion.unit} into {target.name} ({commit[:7]}) past {', '.join(bypassed)}"]

    async def _pull(self, branch: str, commit: CommitId) -> PullRequest | None:
        """The pull request that this commit merged, or that its side branch is."""
        sides = {commit, *self.repo.commit(commit).parents[1:]}
        for pull in await self.forge.pulls(state="closed", head=branch):
            if pull.state == "merged" and pull.head == branch and (pull.merge_sha in sides or pull.head_sha in sides):
                return pull
        return None

    async def _tell(self, commit: CommitId, pull: PullRequest | None, bypassed: Sequence[str]) -> None:
        words = f"merged past {', '.join(bypassed)}"
        status = CommitStatus(context=f"{STATUS_PREFIX}bypass", state="failure", description=words[:140])
        await self.forge.set_status(commit, status)
        if pull is None:
            return
        if any(_MARK in comment.body for comment in await self.forge.comments(pull.number)):
            return
        who = pull.merged_by or "Somebody"
        await self.forge.comment(pull.number, f"**Bypass:** {who} {words}. It is recorded in the log.\n\n{_MARK}")


def _red(statuses: Sequence[CommitStatus], login: str) -> tuple[str, ...]:
    """Gates that the forge did not show as green, by statuses of our own."""
    ours = [one for one in statuses if one.context.startswith(STATUS_PREFIX) and one.creator == login]
    if not ours:
        return ("every gate",)
    return tuple(sorted(one.context.removeprefix(STATUS_PREFIX) for one in ours if one.state != "success"))
