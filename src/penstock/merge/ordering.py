"""Where new members go, and whether a change of order travels. Works on names only.

In: the members' names on each side, in order. Out: the target's order afterwards.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence


def place[Name: Hashable](kept: Sequence[Name], source: Sequence[Name], new: Sequence[Name]) -> list[Name]:
    """The target's members with the new ones behind the neighbour each follows in the source.

    Without a neighbour before it, a member goes before the one it precedes there; without any, to the end.
    """
    stays, comes = set(kept), set(new)
    behind: dict[Name, list[Name]] = {}
    first: list[Name] = []
    first_before: Name | None = None
    anchor: list[Name] | None = None
    for name in source:
        if name in stays:
            anchor = behind.setdefault(name, [])
            first_before = name if first_before is None else first_before
        elif name in comes:
            (first if anchor is None else anchor).append(name)
    order: list[Name] = []
    for name in kept:
        if name == first_before:
            order += first
        order += [name, *behind.get(name, ())]
    return order if first_before is not None else order + first


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
