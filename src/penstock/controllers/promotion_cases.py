"""The values of a look at all promotions: what people asked for, what was found, one case per unit and step.

In: nothing. Out: types that surveying fills, the controller acts on, and `status`, `explain` and `promote` show.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from penstock.controllers.promotion_rendering import Seen
from penstock.merge.outcome import Choice
from penstock.model.pipeline import Environment, Repository
from penstock.model.question import Answer
from penstock.model.values import CommitId, EnvName
from penstock.ports.forge import CommitStatus, PullRequest, Review
from penstock.promote import change, deciding, evidence, gates, records, referring, text, verdict

BRANCHES = "penstock/promote/"
SUPERSEDED = "penstock/superseded"
"""The label of pull requests that Penstock closed itself."""
LABEL = "penstock"
NAME, EMAIL = "Penstock", "penstock@localhost"
"""Author and committer of what Penstock writes."""
STATUS_PREFIX = "penstock/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A person's wish: this unit ('' for every one) to this environment, with decisions on conflicting fields."""

    unit: str
    target: EnvName
    choices: tuple[Choice, ...] = ()

    def concerns(self, found: change.Change) -> bool:
        return self.target == found.target and self.unit in ("", found.unit)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One unit at one step of the pipeline."""

    unit: str
    source: Environment
    target: Environment
    change: change.Change
    record: records.Promotion
    commits: tuple[text.Travelling, ...] = ()
    """What people wrote that travels, newest first."""
    evidence: tuple[evidence.Evidence, ...] = ()
    verdicts: tuple[gates.Verdict, ...] = ()
    outcome: verdict.Outcome | None = None
    broken: tuple[referring.Broken, ...] = ()
    """References between the target's objects that it would break."""
    problem: str = ""
    """Why the target would not render."""
    pull: PullRequest | None = None
    statuses: tuple[CommitStatus, ...] = ()
    """Of the pull request's head."""
    branch_tip: CommitId | None = None
    head: CommitId | None = None
    """The commit that would be proposed; in the object database only, unless its branch was pushed."""
    title: str = ""
    body: str = ""
    message: str = ""
    decision: deciding.Decision = field(default_factory=lambda: deciding.Decision(action="none", reason="nothing to promote"))

    @property
    def branch(self) -> str:
        return branch_of(self.target.name, self.unit)


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """One look at everything."""

    tip: CommitId
    repository: Repository
    seen: Mapping[EnvName, Seen]
    now: datetime
    login: str = ""
    """Ours on the forge."""
    cases: tuple[Case, ...] = ()
    others: tuple[PullRequest, ...] = ()
    """Open pull requests to the main branch that are not promotions."""
    faults: tuple[str, ...] = ()
    """Units that could not be planned or judged: bugs of ours, which hold nobody else up."""

    def case(self, target: str, unit: str) -> Case | None:
        return next((one for one in self.cases if one.target.name == target and one.unit == unit), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forged:
    """What the forge says about one case."""

    pull: PullRequest | None = None
    reviews: Sequence[Review] = ()
    statuses: Sequence[CommitStatus] = ()
    closed: tuple[deciding.Closed, ...] = ()
    authors: tuple[str, ...] = ()
    """Logins of who wrote what travels; asked for once somebody approved."""
    answers: Mapping[str, Answer] = field(default_factory=dict)
    """What checks were answered, by their names; asked while a pull request is open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A case before the forge was asked."""

    pair: change.Pair
    unit: str
    change: change.Change
    picked: tuple[records.PickedSide, ...] = ()
    branch_tip: CommitId | None = None
    rolled_back: CommitId | None = None
    """The source commit with this very content that was promoted and is rolled back."""
    held: tuple[records.HeldField, ...] = ()
    """Fields that stay back while the rest goes."""
    newer: int = 0
    """How many later revisions of the source are waiting behind this one."""


def branch_of(target: str, unit: str) -> str:
    """The one branch of a target and unit."""
    return f"{BRANCHES}{target}/{unit}"


def fault(error: BaseException) -> str:
    """A bug of ours for the log: its kind and where it happened, without its words, which may hold values of files."""
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    places = " < ".join(f"{frame.filename.rpartition('/penstock/')[2]}:{frame.lineno} {frame.name}" for frame in reversed(frames))
    return f"{type(error).__name__} at {places}"
