"""What a promotion does to the rendered objects, field by field, and whether the result is the source's configuration.

In: the objects that source and target render to, before and after. Out: rows and one sentence, computed from rendered
objects only: what the files look like does not matter here. Values of Secrets are told apart, never shown.
"""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from penstock.merge import lines, selecting
from penstock.model.fieldpath import FieldPath, Keyed, Step
from penstock.model.pipeline import Difference
from penstock.model.rendered import RenderedObject
from penstock.model.resource import ResourceId
from penstock.model.values import MISSING, Missing
from penstock.promote import generated

State = Literal["promoted", "kept", "declared", "unexplained", "beside"]
"""promoted: travels now; kept, declared: stays different and is meant to; unexplained: differs though it changed upstream;
beside: changes in the target without being the source's value (an effect to look at)."""

MASK = "***"
_LIST_KEYS = (("name",), ("containerPort", "protocol"), ("port", "protocol"), ("mountPath",), ("devicePath",), ("ip",), ("key",))
_SECRET_FIELDS = ("data", "stringData")

Value = Any
Selectors = Sequence[tuple[Difference, selecting.Selector]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One field, or one whole object (`field` '')."""

    object: str
    """'Deployment/web', with the namespace only where two would be the same without."""
    field: str
    source: str | Missing
    before: str | Missing
    after: str | Missing
    state: State
    difference: Difference | None = None
    """The declaration that keeps it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The table and what it adds up to."""

    rows: tuple[Row, ...]
    same: bool
    """The target becomes the source's configuration, but for differences that are meant."""
    objects_changed: tuple[str, ...] = ()
    objects_created: tuple[str, ...] = ()
    objects_deleted: tuple[str, ...] = ()

    def count(self, state: State) -> int:
        return sum(1 for row in self.rows if row.state == state)


def compare(
    *,
    source: Sequence[RenderedObject],
    before: Sequence[RenderedObject],
    after: Sequence[RenderedObject],
    base: Sequence[RenderedObject] | None,
    differences: Sequence[Difference],
    picked: Sequence[str] = (),
) -> Outcome:
    """The rows of every object given, in the order of `after`, then of `before`.

    `base`: the source's objects at the last promotion, to tell what changed upstream; None when there was none.
    `picked`: fields a person decided to keep.
    """
    sides = _Sides(source, before, after, base)
    selectors = [(difference, parsed) for difference in differences if (parsed := _selector(difference))]
    rows: list[Row] = []
    changed, created, deleted = [], [], []
    for key in sides.ids():
        name = sides.name(key)
        was, now = sides.before.get(key), sides.after.get(key)
        if was is None and now is not None:
            created.append(name)
        elif now is None and was is not None:
            deleted.append(name)
        elif was != now:
            changed.append(name)
        rows += _object_rows(name, key, sides, selectors, picked)
    return Outcome(
        rows=tuple(rows),
        same=not any(row.state in ("unexplained", "beside") for row in rows),
        objects_changed=tuple(changed),
        objects_created=tuple(created),
        objects_deleted=tuple(deleted),
    )


class _Sides:
    """The four renderings, their objects paired."""

    def __init__(
        self,
        source: Sequence[RenderedObject],
        before: Sequence[RenderedObject],
        after: Sequence[RenderedObject],
        base: Sequence[RenderedObject] | None,
    ) -> None:
        source, before, after = (generated.written_names(side) for side in (source, before, after))
        base = generated.written_names(base) if base is not None else None
        self.after = {one.id: one.manifest for one in after}
        self.before = {one.id: one.manifest for one in before}
        targets = list(dict.fromkeys([*self.after, *self.before]))
        self.source = _paired(source, targets)
        self.base = _paired(base, targets) if base is not None else None
        self._names = [(one.kind, one.name) for one in targets]

    def ids(self) -> list[ResourceId]:
        return list(dict.fromkeys([*self.after, *self.before, *self.source]))

    def name(self, key: ResourceId) -> str:
        alone = self._names.count((key.kind, key.name)) < 2
        return f"{key.kind}/{key.name}" if alone else str(key)


def _paired(objects: Sequence[RenderedObject], targets: Sequence[ResourceId]) -> dict[ResourceId, Mapping[str, Any]]:
    """The other environment's objects under the ids they have in the target: namespaces may differ."""
    exact = set(targets)
    loose: dict[tuple[str, str, str], list[ResourceId]] = {}
    for target in targets:
        loose.setdefault((target.group, target.kind, target.name), []).append(target)
    result: dict[ResourceId, Mapping[str, Any]] = {}
    for one in objects:
        candidates = loose.get((one.id.group, one.id.kind, one.id.name), [])
        key = one.id if one.id in exact or len(candidates) != 1 else candidates[0]
        result[key] = one.manifest
    return result


def _object_rows(
    name: str,
    key: ResourceId,
    sides: _Sides,
    selectors: Selectors,
    picked: Sequence[str],
) -> Iterator[Row]:
    source, before, after = sides.source.get(key), sides.before.get(key), sides.after.get(key)
    if after is None or before is None or source is None:
        yield from _whole(name, source is not None, before is not None, after is not None)
        if after is None or (source is None and before is None):
            return
    fields = [flatten(one) if one is not None else {} for one in (source, before, after)]
    base = flatten(sides.base[key]) if sides.base is not None and key in sides.base else None
    for path in dict.fromkeys(path for side in fields for path in side):
        values = [side.get(path, MISSING) for side in fields]
        # Whole objects come and go as one row; beside it, only what is then not as in the source is told.
        seen = values[:1] + values[2:] if before is None else values[1:] if source is None else values
        if all(value == seen[0] for value in seen):
            continue
        row = _row(name, key, path, values, base, selectors, picked)
        if not _secret(key, path) and any(isinstance(value, str) and "\n" in value for value in values):
            yield from _by_line(row, values, base.get(path, MISSING) if base is not None else MISSING)
        else:
            yield row


def _whole(name: str, source: bool, before: bool, after: bool) -> Iterator[Row]:
    def there(present: bool) -> str | Missing:
        return "present" if present else MISSING

    if before and after and not source:
        return  # The target's own object: told only by the fields that change.
    if not before and not after:
        state: State = "kept"
    else:
        state = "promoted" if source == after else "beside"
    yield Row(object=name, field="", source=there(source), before=there(before), after=there(after), state=state)


def _row(
    name: str,
    key: ResourceId,
    path: FieldPath,
    values: Sequence[Value],
    base: Mapping[FieldPath, Value] | None,
    selectors: Selectors,
    picked: Sequence[str],
) -> Row:
    source, before, after = values
    text = selecting.label(path)
    declared = _declared(key, path, selectors)
    state: State
    if source == after:
        state = "promoted"
    elif declared is not None and before == after:
        state = "declared"
    elif before != after and declared is None:
        state = "beside"
    elif any(_same_field(one, key, text) for one in picked):
        state = "kept"
    elif base is not None and base.get(path, MISSING) != source:
        state = "unexplained"
    else:
        state = "kept"
    shown = [_shown(key, path, value, values) for value in values]
    return Row(object=name, field=text, source=shown[0], before=shown[1], after=shown[2], state=state, difference=declared)


def _by_line(row: Row, values: Sequence[Value], base: Value) -> Iterator[Row]:
    """The rows of a text of several lines, which is merged by line: what travels, and what stays different beside it."""
    if not all(isinstance(value, str) for value in values):
        yield row
        return
    source, before, after = (value.split("\n") for value in values)
    merged = lines.merge(base.split("\n"), source, before) if isinstance(base, str) else None
    carried = merged is not None and not merged.clashes and merged.applied(before) == after
    if before != after:
        was, now = _between(before, after)
        state: State = "promoted" if row.state == "promoted" or (carried and row.difference is None) else row.state
        yield replace(row, source=now if state == "promoted" else _between(after, source)[1], before=was, after=now, state=state)
    if source != after and (before == after or carried):
        here, there = _between(after, source)
        state = "declared" if row.difference is not None else "kept" if carried or row.state != "unexplained" else row.state
        yield replace(row, source=there, before=here, after=here, state=state)


def _between(old: Sequence[str], new: Sequence[str]) -> tuple[str, str]:
    """The lines that only one of two texts has."""
    found = lines.hunks(old, new)
    was = [line for hunk in found for line in old[hunk.start : hunk.end]]
    now = [line for hunk in found for line in hunk.lines]
    return "\n".join(was), "\n".join(now)


def _same_field(picked: str, key: ResourceId, text: str) -> bool:
    document, _, field = picked.rpartition(" ")
    return field == text and document in ("", f"#{key.kind}/{key.name}")


def _selector(difference: Difference) -> selecting.Selector | None:
    try:
        return selecting.parse(difference.pattern)
    except ValueError:
        return None  # `check` tells; the merge refuses it.


def _declared(key: ResourceId, path: FieldPath, selectors: Selectors) -> Difference | None:
    document = f"#{key.kind}/{key.name}".lower()
    for difference, one in selectors:
        if fnmatch.fnmatchcase(document, one.document.lower() or "*") and _covers(one.steps, path):
            return difference
    return None


def _covers(wanted: Sequence[Step], path: FieldPath) -> bool:
    """Whether a field, or something around it, is the one named; keys with dots may be named without quotes."""
    if not wanted:
        return True
    if not path:
        return False
    if _is_step(wanted[0], path[0]):
        return _covers(wanted[1:], path[1:])
    name = path[0]
    if not isinstance(name, str) or "." not in name:
        return False
    for used in range(2, len(wanted) + 1):
        if ".".join(str(step) for step in wanted[:used]) == name:
            return _covers(wanted[used:], path[1:])
    return False


def _is_step(wanted: Step, step: Step) -> bool:
    if wanted == selecting.ANY or wanted == step:
        return True
    if not isinstance(wanted, Keyed) or not isinstance(step, Keyed):
        return False
    values = dict(step.keys)
    return all(name in values and value in (selecting.ANY, values[name]) for name, value in wanted.keys)


def _shown(key: ResourceId, path: FieldPath, value: Value, values: Sequence[Value]) -> str | Missing:
    """A value as text; of a Secret and of what is encrypted only which sides are equal."""
    if isinstance(value, Missing):
        return value
    if _secret(key, path) or any(isinstance(one, str) and one.startswith("ENC[") for one in values):
        different = [other for index, other in enumerate(values) if other is not MISSING and other not in values[:index]]
        return MASK if len(different) < 2 else f"{MASK} ({'ABC'[different.index(value)]})"
    if isinstance(value, str):
        return str(value)
    return json.dumps(value, ensure_ascii=False)


def _secret(key: ResourceId, path: FieldPath) -> bool:
    if path and path[0] == "sops":
        # what SOPS says of an encrypted object: texts that nobody can read
        return True
    return key.kind == "Secret" and not key.group and bool(path) and path[0] in _SECRET_FIELDS


def flatten(manifest: Mapping[str, Any]) -> dict[FieldPath, Value]:
    """Every leaf of an object under its path; empty mappings and lists are leaves; items of keyed lists go by their key."""
    return dict(_leaves(manifest, ()))


def _leaves(value: Any, path: FieldPath) -> Iterator[tuple[FieldPath, Value]]:
    if isinstance(value, Mapping) and value:
        for key, child in value.items():
            yield from _leaves(child, (*path, str(key)))
    elif isinstance(value, list) and value:
        keys = _item_keys(value)
        for index, child in enumerate(value):
            yield from _leaves(child, (*path, keys[index] if keys else index))
    else:
        yield path, value


def _item_keys(items: Sequence[Any]) -> list[Keyed] | None:
    """What tells the items apart: the first usual key that all of them have and none shares."""
    if not all(isinstance(item, Mapping) for item in items):
        return None
    for names in _LIST_KEYS:
        if not all(names[0] in item for item in items):
            continue
        keys = [Keyed(tuple((name, str(item[name])) for name in names if name in item)) for item in items]
        if len(set(keys)) == len(keys):
            return keys
    return None


def sentence(outcome: Outcome, source: str, commit: str) -> str:
    """'Same configuration as dev@4be1c02, except 2 declared and 1 kept difference.'"""
    where = f"{source}@{commit[:7]}"
    counts = [(outcome.count("declared"), "declared"), (outcome.count("kept"), "kept")]
    parts = [f"{count} {word}" for count, word in counts if count]
    total = sum(count for count, _ in counts)
    meant = f", except {' and '.join(parts)} difference{'s' if total != 1 else ''}" if parts else ""
    if outcome.same:
        return f"Same configuration as {where}{meant}."
    return f"NOT the configuration of {where}: {oddity(outcome)}{meant.replace(', except', '; besides')}."


def oddity(outcome: Outcome) -> str:
    """'1 not carried over and 2 changed to something else'; '' when the result is the source's configuration."""
    odd = [(outcome.count("unexplained"), "not carried over"), (outcome.count("beside"), "changed to something else")]
    return " and ".join(f"{count} {word}" for count, word in odd if count)


def of_unit(
    objects: Iterable[RenderedObject], directories: Sequence[str], but: Sequence[str] = (), *, also: Iterable[ResourceId] = ()
) -> list[RenderedObject]:
    """The objects written below these directories `but` not below those, and those of `also` wherever they stand."""
    wanted = set(also)
    inside, outside = (tuple(f"{directory}/" for directory in some) for some in (directories, but))

    def belongs(path: str) -> bool:
        return path.startswith(inside) and not path.startswith(outside)

    return [one for one in objects if belongs(one.origin.place.path) or one.id in wanted]


def changed_ids(before: Sequence[RenderedObject], after: Sequence[RenderedObject]) -> list[ResourceId]:
    """Objects that are not the same in two renderings."""
    was = {one.id: one.manifest for one in before}
    now = {one.id: one.manifest for one in after}
    return [key for key in dict.fromkeys([*now, *was]) if was.get(key) != now.get(key)]
