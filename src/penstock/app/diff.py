"""Compare what two environments, or two revisions of one, render to: object by object, field by field.

In: two trees and the environments in them. Out: rows of what differs, with the lines the objects come from. Values of Secrets
are told apart, never shown.
"""

from __future__ import annotations

from dataclasses import dataclass

from penstock.app import build
from penstock.model.errors import Place
from penstock.model.pipeline import Environment
from penstock.model.rendered import RenderedObject
from penstock.model.tree import Tree
from penstock.model.values import MISSING
from penstock.promote import verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One thing to compare: an environment as a tree has it."""

    label: str
    tree: Tree
    environment: Environment


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One field that differs, or a whole object (`field` '') that only one side has; None: it is not there."""

    object: str
    field: str
    left: str | None
    right: str | None
    declared: Place | None
    """Where it is declared to be different."""
    left_at: Place | None
    right_at: Place | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Everything that differs, in the right side's order of objects, then what only the left side has."""

    left: str
    right: str
    rows: tuple[Row, ...]
    same: int
    """How many objects are the same."""


def compare(left: Side, right: Side) -> Difference:
    """Render both sides and compare. Raises InputError when one does not build."""
    before = build.environment(left.tree, left.environment).objects
    after = build.environment(right.tree, right.environment).objects
    # The fields that name the environment itself (its own sync objects) differ by nature.
    if left.environment.name != right.environment.name:
        before, after = (tuple(one for one in side if not _syncs(one)) for side in (before, after))
    outcome = verdict.compare(source=before, before=after, after=after, base=None, differences=right.environment.differences)
    places = (_places(before), _places(after))
    rows = [
        Row(
            object=row.object,
            field=row.field,
            left=None if row.source is MISSING else row.source,
            right=None if row.after is MISSING else row.after,
            declared=row.difference.place if row.difference else None,
            left_at=places[0].get(row.object),
            right_at=places[1].get(row.object),
        )
        for row in outcome.rows
    ]
    rows += [
        Row(object=name, field="", left=None, right="present", declared=None, left_at=None, right_at=place)
        for name, place in places[1].items()
        if name not in places[0]
    ]
    touched = {row.object for row in rows}
    return Difference(left=left.label, right=right.label, rows=tuple(rows), same=len(places[1].keys() - touched))


def _syncs(one: RenderedObject) -> bool:
    return one.id.group in ("kustomize.toolkit.fluxcd.io", "source.toolkit.fluxcd.io")


def _places(objects: tuple[RenderedObject, ...]) -> dict[str, Place]:
    """Where each object stands, under the name the rows give it."""
    names = [(one.id.kind, one.id.name) for one in objects]
    return {
        f"{one.id.kind}/{one.id.name}" if names.count((one.id.kind, one.id.name)) < 2 else str(one.id): one.origin.place
        for one in objects
    }
