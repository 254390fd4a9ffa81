"""Plans by everything that goes into them: what did not change since the last pass is not merged again.

In: a pair of environments, a unit, decisions. Out: a `Change`, and how a person's decisions speak of its conflicts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from penstock.merge.outcome import Choice, Conflict
from penstock.model.values import CommitId
from penstock.promote import change, records

_PLANS = 4096


class Plans:
    """The memory of plans; safe to throw away."""

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], change.Change] = {}

    def plan(self, pair: change.Pair, unit: str, commit: CommitId, choices: Sequence[Choice] = ()) -> change.Change:
        mirrored = replace(pair, source=pair.target, target=pair.source)
        key = (
            *(unit, pair.source.name, pair.target.name, pair.source.paths, pair.target.paths),
            change.content_of(pair, pair.base, unit) if pair.base is not None else None,
            change.content_of(pair, pair.source_tree, unit),
            change.content_of(mirrored, pair.tree, unit),
            change.listings_of(pair),
            pair.target.differences,
            tuple(choices),
        )
        if (known := self._known.get(key)) is not None:
            return replace(known, commit=commit, base=pair.base_commit)
        if len(self._known) >= _PLANS:
            self._known.clear()
        self._known[key] = found = change.plan(pair, unit, commit, choices)
        return found


def values_of(conflict: Conflict) -> str:
    """A short hash over both values: a decision is one about these values only."""
    return hashlib.sha256(repr((str(conflict.source), str(conflict.target))).encode()).hexdigest()[:12]


def speaks_of(choice: Choice, conflict: Conflict) -> bool:
    """Whether a person's choice names this conflict: by its whole name, or by its field."""
    if choice.path and choice.path != conflict.path and not conflict.path.endswith(f"/{choice.path}"):
        return False
    wanted = f"{choice.document} {choice.field}".strip()
    return wanted in (str(conflict), conflict.field, conflict.label, f"{conflict.document} {conflict.field}", conflict.path)


def choice_of(picked: records.PickedSide) -> Choice:
    return Choice(field=picked.field, side="source" if picked.side == "take" else "target")
