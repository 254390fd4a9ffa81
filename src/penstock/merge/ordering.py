"""Where new members go, and whether a change of order travels. Works on names only.

In: the members' names on each side, in order. Out: the target's order afterwards.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence


def place[Name: Hashable](kept: Sequence[Name], source: Sequence[Name], new: Sequence[Name]) -> list[Name]:
    """The target's members with the new ones behind the neighbour each follows in the source.

    Without a neighbour before it, a member goes before the one it precedes there; without any, to the end.
    """
    order = list(kept)
    coming = set(new)
    for index, name in enumerate(source):
        if name not in coming:
            continue
        present = set(order)
        before = next((other for other in reversed(source[:index]) if other in present), None)
        if before is not None:
            order.insert(order.index(before) + 1, name)
            continue
        after = next((other for other in source[index + 1 :] if other in present), None)
        order.insert(order.index(after) if after is not None else len(order), name)
    return order


def reorder[Name: Hashable](base: Sequence[Name], source: Sequence[Name], target: Sequence[Name]) -> list[Name] | None:
    """The target's members in the order the source gave them; None when source and target both changed the order.

    Members that only the target has stay behind the one they follow there.
    """
    common = set(base) & set(source) & set(target)
    in_base, in_source, in_target = ([name for name in side if name in common] for side in (base, source, target))
    if in_source in (in_base, in_target):
        return list(target)
    if in_target != in_base:
        return None
    trains: dict[Name, list[Name]] = {}
    order: list[Name] = []
    train = order
    for name in target:
        if name in common:
            train = trains.setdefault(name, [])
        train.append(name)
    return order + [member for name in in_source for member in trains[name]]
