"""Did the history of a source's branch or tag change under it? And may the source follow?

In: what was announced and what the ref means now. Out: a finding, or HeldError where a person wants to be asked first.
"""

from __future__ import annotations

from dataclasses import dataclass

from penstock.controllers import references, specs
from penstock.controllers.git_spec import GitRepositorySpec
from penstock.controllers.reporting import Reporter
from penstock.model import flux
from penstock.model.errors import PenstockError, RefusedError
from penstock.model.values import CommitId
from penstock.ports.repo import Repo


class HeldError(PenstockError):
    """The history was rewritten and nobody has agreed to follow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewritten:
    """A ref that no longer leads to what it led to."""

    reason: str
    old: CommitId
    new: CommitId
    message: str


def look(repo: Repo, spec: GitRepositorySpec, reporter: Reporter, found: references.Found) -> Rewritten | None:
    """What happened to the ref since the announced revision, None for a step forward.

    Raises HeldError when the object wants to be asked before it follows, and was not asked yet.
    """
    rewritten = _compared(repo, spec, reporter, found)
    marks = specs.annotations_of(reporter.manifest)
    if rewritten is None or marks.get(flux.HISTORY_GUARD) != "hold" or marks.get(flux.HISTORY_CONSENT) == found.commit:
        return rewritten
    if hasattr(repo, "keep"):
        repo.keep(rewritten.old)
    raise HeldError(f"{rewritten.message}; to follow, annotate this object with {flux.HISTORY_CONSENT}={found.commit}")


def steps_back(repo: Repo, spec: GitRepositorySpec, reporter: Reporter, found: references.Found) -> bool:
    """Whether a branch is at an ancestor of what was announced."""
    old = _before(reporter, found)
    return old is not None and not (spec.commit or found.tag) and _contains(repo, old, found.commit) is True


def _before(reporter: Reporter, found: references.Found) -> CommitId | None:
    """The commit announced before under the same name; None when there is none, or it is the same."""
    announced = str((reporter.status.get("artifact") or {}).get("revision") or "")
    old = references.commit_of(announced)
    if not old or old == found.commit or _name(announced) != _name(found.revision):
        return None
    return old


def _name(revision: str) -> str:
    return revision.rpartition("@")[0]


def _contains(repo: Repo, newer: CommitId, older: CommitId) -> bool | None:
    """Whether a commit has another in its history; None when the mirror does not know both."""
    try:
        return repo.is_ancestor(older, newer)
    except RefusedError:
        return None


def _compared(repo: Repo, spec: GitRepositorySpec, reporter: Reporter, found: references.Found) -> Rewritten | None:
    if spec.commit:
        return None  # a person named the commit
    announced = str((reporter.status.get("artifact") or {}).get("revision") or "")
    if spec.semver and not spec.ref_name and references.older(found.tag, _name(announced)):
        if reporter.status.get("observedGeneration") != reporter.generation:
            return None  # the range was changed
        what = f"tag {_name(announced)} is gone, {found.tag} is the highest version now"
        return Rewritten(reason="TagRemoved", old=references.commit_of(announced), new=found.commit, message=what)
    old = _before(reporter, found)
    if old is None:
        return None
    if found.tag:
        what = f"tag {found.tag} was moved from {old} to {found.commit}"
        return Rewritten(reason="TagMoved", old=old, new=found.commit, message=what)
    if _contains(repo, found.commit, old) is not False:
        return None
    what = f"the history of {_name(found.revision)} was rewritten: {found.commit} does not contain {old}"
    return Rewritten(reason="HistoryRewritten", old=old, new=found.commit, message=what)
