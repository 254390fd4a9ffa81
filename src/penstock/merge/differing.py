"""What stays different, and what a value is without its declared differences.

In: values of source and target. Out: kept differences in a Recorder, or values with fields left out.
"""

from __future__ import annotations

from typing import Literal

from penstock.merge import keys, recording
from penstock.merge.recording import Recorder
from penstock.merge.selecting import Selectors, State
from penstock.model.fieldpath import FieldPath, Keyed, Step
from penstock.yamldoc import editing
from penstock.yamldoc.nodes import Alias, Canon, Entry, Mapping, Node, Scalar, Sequence, effective, resolved


class Differences:
    """The differences of one object."""

    def __init__(self, record: Recorder, declared: Selectors, canon: Canon, *, kind: str, kustomization: bool) -> None:
        self.record = record
        self.declared = declared
        self.canon = canon
        self.kind = kind
        self.kustomization = kustomization
        self.known: dict[tuple[int, State, str], Node] = {}

    def keys(self, path: FieldPath, *sides: Sequence) -> keys.Keys | Literal["aligned"] | None:
        """How the items of a list are told apart."""
        field = next((step for step in reversed(path) if isinstance(step, str)), "")
        return keys.keys_for(field, self.kind, kustomization=self.kustomization, sides=sides)

    def is_declared(self, state: State) -> bool:
        """Whether a field in this state is a declared difference."""
        return self.declared.covering(state) >= 0

    # What stays ------------------------------------------------------------------------------------------------------

    def write(self, path: FieldPath, state: State, s: Node | None, t: Node | None, *, masked: bool) -> None:
        """Write down every field in which the target stays different; what both share by an alias, at its anchor."""
        if (self.canon.of(s) if s else 0) == (self.canon.of(t) if t else 0) or (isinstance(s, Alias) and isinstance(t, Alias)):
            return
        rs, rt = (resolved(node) if node is not None else None for node in (s, t))
        if isinstance(rs, Mapping) and isinstance(rt, Mapping) and not (rs.opaque or rt.opaque):
            of_s, of_t = effective(rs), effective(rt)
            for key in dict.fromkeys((*of_t, *of_s)):
                hidden = masked or recording.secret_below(rs, key) or recording.secret_below(rt, key)
                self.write((*path, key), self.declared.down(state, key), of_s.get(key), of_t.get(key), masked=hidden)
            return
        if isinstance(rs, Sequence) and isinstance(rt, Sequence):
            how = self.keys(path, rs, rt)
            if isinstance(how, keys.Keys):
                items_s, items_t = ({how.of(item): item for item in side.items} for side in (rs, rt))
                for item_key in dict.fromkeys((*items_t, *items_s)):
                    self._write_item(path, state, Keyed(item_key), items_s.get(item_key), items_t.get(item_key), masked=masked)
                return
            if how == "aligned":
                self._write_item(path, state, 0, rs.items[0], rt.items[0], masked=masked)
                return
        show = self.record.text
        source, target = show(self.record.source, s, masked=masked), show(self.record.target, t, masked=masked)
        self.record.keep(path, source, target, declared=self.is_declared(state))

    def _write_item(self, path: FieldPath, state: State, step: Step, s: Node | None, t: Node | None, *, masked: bool) -> None:
        self.write((*path, step), self.declared.down(state, step, (s, t)), s, t, masked=masked)

    # Without what is declared ----------------------------------------------------------------------------------------

    def without(self, node: Node, state: State, path: FieldPath = ()) -> Node:
        """The value without the fields that are declared differences."""
        node = resolved(node)
        if not state or isinstance(node, Scalar):
            return node
        key = (id(node), state, next((step for step in reversed(path) if isinstance(step, str)), ""))
        if key not in self.known:
            made = self._entries(node, state, path) if isinstance(node, Mapping) else self._items(node, state, path)
            self.known[key] = made
        return self.known[key]

    def _entries(self, node: Mapping, state: State, path: FieldPath) -> Node:
        if node.opaque:
            return node
        entries: list[Entry] = []
        for key, value in effective(node).items():
            below = self.declared.down(state, key)
            if not self.is_declared(below):
                own = node.keys.get(key)
                name = own.key if own is not None else Scalar(0, 0, 0, key, "")
                entries.append(Entry(name, self.without(value, below, (*path, key))))
        same = len(entries) == len(node.entries) and all(
            made.value is resolved(own.value) for made, own in zip(entries, node.entries, strict=True)
        )
        return node if same else editing.fill(node, entries)

    def _items(self, node: Sequence, state: State, path: FieldPath) -> Node:
        how = self.keys(path, node)
        items: list[Node] = []
        for index, item in enumerate(node.items):
            step: Step = Keyed(how.of(item)) if isinstance(how, keys.Keys) else index
            below = self.declared.down(state, step, (item,))
            if not self.is_declared(below):
                items.append(self.without(item, below, (*path, step)))
        same = len(items) == len(node.items) and all(made is resolved(own) for made, own in zip(items, node.items, strict=True))
        return node if same else editing.fill(node, items)
