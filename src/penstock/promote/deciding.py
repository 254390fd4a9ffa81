"""What to do about one unit's promotion now, from everything that is known: one decision, as plain data.

In: a `State`. Out: a `Decision`. There is no memory between passes: whatever happened before (a crash after any step, a
person closing or merging, the source moving on) is seen in the state, so the same state always leads to the same decision.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from penstock.model.values import CommitId
from penstock.promote import gates
from penstock.promote.change import Change

Action = Literal["none", "wait", "open", "update", "close", "merge", "clean"]
"""none: nothing is left to do; wait: for what `reason` says; open: branch and pull request; update: branch, text or draft;
close: the pull request is superseded; merge: at exactly the head that was judged; clean: the branch is left over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pull:
    """A pull request of ours, open now."""

    number: int
    head: CommitId
    draft: bool
    current: bool
    """Its branch holds exactly what would be written now."""
    told: bool
    """Its title and text say what is known now."""
    ours: bool
    """Only we wrote to its branch."""
    drafted_for: str = ""
    """Why we made it a draft, as its text says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """A pull request of ours for the same content that is not open any more."""

    number: int
    merged: bool
    by: str
    """Login of who closed it, '' when the forge does not tell."""
    by_us: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Everything a decision looks at."""

    change: Change
    problem: str = ""
    """Why the target would not render with the change; '' when it does."""
    verdicts: tuple[gates.Verdict, ...] = ()
    pull: Pull | None = None
    closed: Sequence[Closed] = ()
    branch: CommitId | None = None
    """Where the promotion's branch is, when there is one."""
    wanted: bool = True
    """Pull requests are opened by themselves, or a person asked for this one."""
    asked: bool = False
    """A person asked for it now, which reopens what was closed."""
    auto_merge: bool = True
    rolled_back: CommitId | None = None
    """The source commit with this very content that was promoted before and is rolled back."""
    attention: tuple[str, ...] = ()
    """What a person should look at before it is ready: it is opened as a draft."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to do."""

    action: Action
    reason: str
    """One clause for people."""
    draft: bool = False
    push: bool = False
    """The branch has to be written too."""
    who: gates.Who = "nobody"


def decide(state: State) -> Decision:
    """The one next action."""
    if state.change.empty:
        return _nothing(state)
    if state.rolled_back and not state.asked:
        return _rolled_back(state, state.rolled_back)
    if state.change.conflicts or state.problem:
        return _blocked(state)
    if state.pull is not None:
        return _open_already(state, state.pull)
    return _not_open(state)


def _nothing(state: State) -> Decision:
    if state.pull is not None:
        return Decision(action="close", reason=f"{state.change.target} has everything that {state.change.source} has to give")
    if state.branch is not None:
        return Decision(action="clean", reason="its pull request is done")
    return Decision(action="none", reason="nothing to promote")


def _rolled_back(state: State, commit: CommitId) -> Decision:
    """What was rolled back is not proposed again until it changes, or a person asks."""
    reason = f"{state.change.source}@{commit[:7]} was rolled back in {state.change.target}; it stays back until it changes"
    if state.pull is not None:
        return Decision(action="close", reason=reason)
    return Decision(action="clean" if state.branch is not None else "wait", reason=reason, who="person")


def _blocked(state: State) -> Decision:
    count = len(state.change.conflicts)
    if count:
        reason = f"{count} field{'s were' if count > 1 else ' was'} changed on both sides"
    else:
        reason = f"{state.change.target} would not render: {state.problem}"
    pull = state.pull
    if pull is not None and not (pull.told and pull.draft):
        return Decision(action="update", reason=reason, draft=True, who="person")
    return Decision(action="wait", reason=reason, draft=True, who="person")


def _not_open(state: State) -> Decision:
    for closed in state.closed:
        if closed.merged:
            return Decision(action="wait", reason=f"#{closed.number} was merged, Git does not show it yet", who="machine")
        if not closed.by_us and not state.asked:
            by = f" by {closed.by}" if closed.by else ""
            reason = f"#{closed.number} was closed{by}; it stays closed until the change is another one"
            return Decision(action="wait", reason=reason, who="person")
    if not state.wanted:
        return Decision(action="wait", reason="nobody asked for it (autoPromote is off)", who="person")
    before_opening = [one for one in state.verdicts if one.gate in ("healthy", "hold") and one.state != "passed"]
    if before_opening:
        first = before_opening[0]
        return Decision(action="wait", reason=first.text, who=first.who)
    return Decision(action="open", reason="it may be proposed", draft=bool(state.attention), push=True)


def _open_already(state: State, pull: Pull) -> Decision:
    if not pull.ours:
        reason = f"somebody wrote to the branch of #{pull.number}: delete the branch to let Penstock write it again"
        return Decision(action="wait", reason=reason, who="person")
    # A draft we made because of a conflict is ready again once that is gone; one that a person made stays.
    draft = pull.draft and pull.drafted_for != "blocked"
    if not pull.current:
        return Decision(
            action="update", reason=f"{state.change.source} moved on to {state.change.commit[:7]}", draft=draft, push=True
        )
    waiting = [one for one in state.verdicts if one.state != "passed"]
    if not waiting and not pull.draft and state.auto_merge:
        return Decision(action="merge", reason="every gate is green")
    if not pull.told or draft != pull.draft:
        return Decision(action="update", reason="there is news to tell", draft=draft)
    if draft:
        return Decision(action="wait", reason=f"#{pull.number} is a draft", draft=True, who="person")
    if waiting:
        reason = "; ".join(one.text for one in waiting)
        who = next((one.who for one in waiting if one.who == "person"), waiting[0].who)
        return Decision(action="wait", reason=reason, who=who)
    return Decision(action="wait", reason=f"#{pull.number} is ready for a person to merge", who="person")
