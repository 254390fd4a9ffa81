"""Values made over before they are written: only some members of a collection, aliases spelled out.

In: nodes. Out: nodes whose text must be written anew (`trimmed`), not copied.
"""

from __future__ import annotations

from collections.abc import Sequence as Items
from dataclasses import replace

from penstock.yamldoc.nodes import Alias, Entry, Mapping, Node, Scalar, Sequence, resolved


def fill(collection: Mapping | Sequence, members: Items[Entry | Node]) -> Mapping | Sequence:
    """The same collection with only these members, to be written instead of copied."""
    if isinstance(collection, Mapping):
        entries = [member for member in members if isinstance(member, Entry)]
        return replace(collection, entries=entries, keys=_by_key(entries), merged=None, trimmed=True, canon=0)
    return replace(collection, items=[member for member in members if not isinstance(member, Entry)], trimmed=True, canon=0)


def spelled_out(node: Node) -> Node:
    """The value with every alias replaced by what it stands for, in flow style there, unless that would be endless."""
    if isinstance(node, Alias):
        return _inline(resolved(node)) if _weight(node, {}) <= _MOST else node
    if isinstance(node, Mapping):
        entries = [Entry(entry.key, spelled_out(entry.value)) for entry in node.entries]
        same = all(made.value is entry.value for made, entry in zip(entries, node.entries, strict=True))
        return node if same else replace(node, entries=entries, keys=_by_key(entries), merged=None, trimmed=True, canon=0)
    if isinstance(node, Sequence):
        items = [spelled_out(item) for item in node.items]
        same = all(made is item for made, item in zip(items, node.items, strict=True))
        return node if same else replace(node, items=items, trimmed=True, canon=0)
    return node


_MOST = 2000
"""Values larger than this, their own aliases spelled out, stay aliases."""


def _weight(node: Node, known: dict[int, int]) -> int:
    """How many nodes a value has with every alias spelled out."""
    node = resolved(node)
    if id(node) not in known:
        parts: list[Node] = []
        if isinstance(node, Mapping):
            parts = [entry.value for entry in node.entries]
        elif isinstance(node, Sequence):
            parts = node.items
        known[id(node)] = 1 + sum(_weight(part, known) for part in parts)
    return known[id(node)]


def _inline(node: Scalar | Mapping | Sequence) -> Node:
    """A value to be written away from where it stands: without its anchor, in flow style."""
    if isinstance(node, Scalar):
        return replace(node, start=node.content, anchor=None)
    if isinstance(node, Mapping):
        entries = [Entry(entry.key, _inline(resolved(entry.value))) for entry in node.entries]
        return replace(
            node, entries=entries, keys=_by_key(entries), merged=None, flow=True, trimmed=True, start=node.content, anchor=None
        )
    items = [_inline(resolved(item)) for item in node.items]
    return replace(node, items=items, flow=True, trimmed=True, start=node.content, anchor=None)


def _by_key(entries: list[Entry]) -> dict[str, Entry]:
    return {entry.key.value: entry for entry in entries if isinstance(entry.key, Scalar)}


def last_leaf(node: Node) -> Node:
    """The value at the end of a block collection."""
    while isinstance(node, Mapping | Sequence) and not node.flow and (node.entries if isinstance(node, Mapping) else node.items):
        node = node.entries[-1].value if isinstance(node, Mapping) else node.items[-1]
    return node
