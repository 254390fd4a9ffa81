"""What an environment's own Flux reports to the forge, for clusters that nobody here can ask.

In: an environment, the main branch. Out: a `Seen` with the reports on its newest commits. Flux's notification-controller
sets, on the commit that a Kustomization applied, a commit status with the context `kustomization/<name>/<start of the
provider's UID>`: success, failure, or pending. Only what the account set counts that penstock.yaml names, and the forge says
who set a status.

Source: the Flux documentation of git commit status providers.
"""

from __future__ import annotations

import fnmatch
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from penstock.controllers.promotion_rendering import Seen
from penstock.model.errors import RemoteError
from penstock.model.pipeline import Environment, Reported
from penstock.model.values import CommitId
from penstock.ports.forge import CommitStatus, Forge
from penstock.ports.repo import Repo
from penstock.promote.timeline import FAILED, PROGRESSING, SUCCEEDED, Entry

_LOOKED_AT = 30
"""Commits of the main branch: a report on an older one is too old to tell what runs."""
_WANTED = 5
_WORDS = {"success": SUCCEEDED, "pending": PROGRESSING}
_WORST = ("success", "pending", "warning", "failure", "error")


@dataclass(slots=True)
class Reports:
    """Reads reports; remembers those on commits that were reported past, since they do not change any more."""

    repo: Repo
    forge: Forge | None
    _done: dict[tuple[CommitId, Reported], Entry | None] = field(default_factory=dict)

    async def look(self, environment: Environment, tip: CommitId) -> Seen:
        """The newest reports, newest commit first."""
        wanted = environment.reported
        if wanted is None or self.forge is None:
            return Seen(problem=f"no cluster is known for {environment.name}")
        found: list[Entry] = []
        try:
            for commit in itertools.islice(self.repo.log(tip, first_parent=True), _LOOKED_AT):
                entry = await self._at(self.forge, commit.id, wanted, settled=bool(found))
                if entry is not None:
                    found.append(entry)
                if len(found) == _WANTED:
                    break
        except RemoteError as error:
            return Seen(problem=f"the forge does not say how {environment.name} is: {error.what}")
        return Seen(reported=_joined(found))

    async def _at(self, forge: Forge, commit: CommitId, wanted: Reported, *, settled: bool) -> Entry | None:
        key = (commit, wanted)
        if settled and key in self._done:
            return self._done[key]
        entry = _entry(commit, await forge.statuses(commit), wanted)
        if settled:
            self._done[key] = entry
        return entry


def _entry(commit: CommitId, statuses: Sequence[CommitStatus], wanted: Reported) -> Entry | None:
    """The report on one commit; of several (two clusters with one name) the worst, since nobody could tell them apart."""
    matching = [
        one for one in statuses if fnmatch.fnmatchcase(one.context, wanted.context) and one.creator == wanted.creator and one.when
    ]
    if not matching:
        return None
    worst = max(matching, key=lambda one: _WORST.index(one.state))
    when = max(one.when for one in matching if one.when)
    return Entry(digest="", status=_WORDS.get(worst.state, FAILED), commit=commit, first=when, last=when)


def _joined(found: Sequence[Entry]) -> tuple[Entry, ...]:
    """Each went on until the next one began."""
    result: list[Entry] = []
    following: datetime | None = None
    for entry in found:
        last = max(entry.first, following) if following else entry.first
        result.append(Entry(digest="", status=entry.status, commit=entry.commit, first=entry.first, last=last))
        following = entry.first
    return tuple(result)
