"""The order of the output: kustomize's legacy order, or the order of the input."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cmp_to_key, partial

from penstock.render import tables
from penstock.render.resources import Gvk, Ids, ResId, Resource


def legacy(
    resources: list[Resource],
    ids: Ids,
    first: Sequence[str] = tables.ORDER_FIRST,
    last: Sequence[str] = tables.ORDER_LAST,
) -> list[Resource]:
    """Kinds of `first` before and kinds of `last` after all others, then by kind, namespace and name as text."""
    ranks = {kind: index - len(first) for index, kind in enumerate(first)}
    ranks.update({kind: 1 + index for index, kind in enumerate(last)})
    entries: list[tuple[ResId, Resource]] = [(ids.current(resource), resource) for resource in resources]
    ungrouped = [identity for identity, _ in entries if identity.gvk.kind == "Namespace"]
    if len({identity.gvk for identity in ungrouped}) > 1:
        # two kinds of Namespace: the one without a group comes last among them, which no plain key expresses
        entries.sort(key=cmp_to_key(partial(_compare_entries, ranks=ranks)))
    else:
        entries.sort(key=lambda entry: _key(entry[0], ranks))
    return [resource for _identity, resource in entries]


def _gvk_text(gvk: Gvk) -> str:
    return f"{gvk.group or '~G'}_{gvk.version or '~V'}_{gvk.kind or '~K'}"


def _id_text(identity: ResId) -> str:
    return f"{identity.gvk}|{identity.namespace or '~X'}|{identity.name or '~N'}"


def _key(identity: ResId, ranks: dict[str, int]) -> tuple[int, str, str]:
    return (ranks.get(identity.gvk.kind, 0), _gvk_text(identity.gvk), _id_text(identity))


def _compare_entries(one: tuple[ResId, Resource], other: tuple[ResId, Resource], ranks: dict[str, int]) -> int:
    return _compare(one[0], other[0], ranks)


def _compare(one: ResId, other: ResId, ranks: dict[str, int]) -> int:
    left, right = _key(one, ranks), _key(other, ranks)
    if left[0] != right[0]:
        return -1 if left[0] < right[0] else 1
    if left[1] != right[1]:
        less = left[1] < right[1]
        if one.gvk.kind == other.gvk.kind == "Namespace" and (not one.gvk.group or not other.gvk.group):
            less = not less
        return -1 if less else 1
    return (left[2] > right[2]) - (left[2] < right[2])
