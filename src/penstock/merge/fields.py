"""The three-way merge of one object, field by field.

In: the object as base, source and target, each a parsed document. Out: the target's text with the source's changes since
base spliced in, and findings in a Recorder. The rule for every field: what the source did not change stays as the target
has it; what the target did not change takes the source's change; what both changed differently is a conflict.

Beside the text the merge computes the value that the result must have (a number of `Canon`). The text is read again and
compared with it: an edit that would show in a second place through an alias, or that came out wrong, is refused.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from penstock.merge import keys, lines, ordering, recording
from penstock.merge.differing import Differences
from penstock.merge.outcome import MASK, ConflictKind
from penstock.merge.recording import Recorder
from penstock.merge.selecting import Selectors, State
from penstock.merge.texts import merge_texts
from penstock.model import fieldpath
from penstock.model.fieldpath import FieldPath, Keyed, Step
from penstock.yamldoc import editing, foreseeing, jsontext, layout, nodes, parsing
from penstock.yamldoc.editing import Add, Editor, Keep
from penstock.yamldoc.nodes import Alias, Canon, Document, Entry, Mapping, Node, Scalar, Sequence, effective, resolved

Base = Node | None | Literal["unknown"]
"""A base value; 'unknown' when nothing says what it was: the file was never promoted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """Where the merge stands, and how to write there."""

    path: FieldPath = ()
    declared: State
    chosen: State
    masked: bool = False
    edit: bool = True
    """False below an alias: the value is merged to know what it must become, its anchor is where it is written."""
    before: int = -1
    """In the target: the end of the key, or the dash; -1 at the root."""
    at: int = 0
    flow: bool = False
    item: bool = False
    here: Node | None = None
    """The target's collection around this field, and the source's: what to point at when the field is missing."""
    there: Node | None = None


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of the target's field: it stays (perhaps edited inside), goes, or comes; and its value's number then."""

    action: Literal["keep", "delete", "add"]
    canon: int = 0
    node: Node | None = None


class FieldMerge:
    """One object's merge; run it with `result`."""

    def __init__(
        self,
        recorder: Recorder,
        *,
        declared: Selectors,
        choices: Selectors,
        sides: tuple[str, ...],
        kind: str = "",
        kustomization: bool = False,
        fresh: bool = False,
        canon: Canon | None = None,
        name: str = "",
    ) -> None:
        assert recorder.source is not None
        assert recorder.target is not None
        self.record = recorder
        self.source = recorder.source
        self.target = recorder.target
        self.base = recorder.base
        self.declared = declared
        self.choices = choices
        self.sides = sides
        self.name = name or recorder.path
        self.fresh = fresh
        self.canon = canon or Canon()
        self.editor = Editor(self.target, self.source, self.base)
        self.touched: list[tuple[Spot, Base, Node | None, Node | None]] = []
        self.seen: dict[tuple[int, int, int], Fate | None] = {}
        self.differ = Differences(recorder, declared, self.canon, kind=kind, kustomization=kustomization)
        self.shadow: list[tuple[ConflictKind, FieldPath, Base, Node | None, Node | None, Spot]] = []

    def result(self) -> str:
        """The target's text afterwards; with conflicts in the recorder it is of no use."""
        spot = Spot(
            declared=self.declared.start(self.name, self.record.document),
            chosen=self.choices.start(self.name, self.record.document),
        )
        base: Base = "unknown" if self.fresh else (self.base.root if self.base is not None else None)
        fate = self.value(spot, base, self.source.root, self.target.root)
        if self.record.conflicts:
            return self.target.text
        for kind, path, b, s, t, where in self.shadow:
            self._report(kind, replace(where, path=path), b, s, t)
        if self.record.conflicts:
            return self.target.text
        if not self.editor.edits and fate.canon == self.canon.of_root(self.target):
            return self.target.text
        text = self._checked(fate)
        if text is None:
            self._refuse()
            return self.target.text
        return text

    def _checked(self, fate: Fate) -> str | None:
        """The edited text, if it says what it must."""
        try:
            text = self.editor.result()
            if foreseeing.number(self.target, self.editor.edits, self.canon) == fate.canon:
                return text
            made = (jsontext.parse if self.target.json else parsing.parse)(text)
        except (nodes.UnreadableError, ValueError):
            return None
        if self.canon.of_root(made) != fate.canon or (made.repeated and not self.target.repeated):
            return None
        return text

    def _refuse(self) -> None:
        """Every change of this object becomes a question: the text cannot be made to say it in one place only."""
        for spot, b, s, t in self.touched:
            if not any(known.field == fieldpath.show(spot.path) for known in self.record.conflicts):
                self._report("aliased", spot, b, s, t)

    # One field -------------------------------------------------------------------------------------------------------

    def number(self, node: Base) -> int:
        """A value's number; 0 when the field is missing, -1 when nobody knows."""
        if node is None:
            return 0
        return -1 if isinstance(node, str) else self.canon.of(node)

    def value(self, spot: Spot, b: Base, s: Node | None, t: Node | None) -> Fate:
        """Merge one field."""
        cb, cs, ct = self.number(b), self.number(s), self.number(t)
        if isinstance(t, Alias) and not self._own(spot, b, s, t):
            spot = replace(spot, edit=False)
        if cs == ct:
            return Fate("keep", ct)
        if self.declared.covering(spot.declared) >= 0:
            self.differences(spot, s, t)
            return Fate("keep", ct)
        if cb == cs:
            self.differences(spot, s, t)
            return Fate("keep", ct)
        if self._chosen(spot) == "target":
            self.differences(spot, s, t)
            return Fate("keep", ct)
        if t is not None and s is not None:
            inside = self._inside(spot, b, s, t)
            if inside is not None:
                return inside
        if self._same(spot, cb, ct, b, t) and (s is not None or spot.item or not spot.declared or cb == ct):
            return self._take(spot, b, s, t)
        return self._conflict(spot, b, s, t)

    def _same(self, spot: Spot, cb: int, ct: int, b: Base, t: Node | None) -> bool:
        """Whether the target has the base's value, declared differences aside."""
        if cb == ct:
            return True
        if not spot.declared or b is None or t is None or isinstance(b, str):
            return False
        one, other = (self.differ.without(node, spot.declared, spot.path) for node in (b, t))
        return self.canon.of(one) == self.canon.of(other)

    def _inside(self, spot: Spot, b: Base, s: Node, t: Node) -> Fate | None:
        """Merge what is inside two collections or two texts; None when the values have no common inside."""
        if isinstance(t, Alias) and self._own(spot, b, s, t):
            return None
        if spot.edit or spot.declared or spot.chosen:
            return self._into(spot, b, s, t)
        # Below an alias the same three values may come up again and again.
        key = (id(b), id(resolved(s)), id(resolved(t)))
        if key not in self.seen:
            self.seen[key] = self._into(spot, b, s, t)
        return self.seen[key]

    def _into(self, spot: Spot, b: Base, s: Node, t: Node) -> Fate | None:
        rs, rt = resolved(s), resolved(t)
        rb = b if b is None or isinstance(b, str) else resolved(b)
        if isinstance(rb, Scalar) and nodes.is_null(rb):
            rb = None
        if isinstance(rs, Mapping) and isinstance(rt, Mapping) and (rb is None or isinstance(rb, str | Mapping)):
            if rs.opaque or rt.opaque or (isinstance(rb, Mapping) and rb.opaque) or rs.tag != rt.tag:
                return None
            return Fate("keep", self.mapping(spot, rb, rs, rt))
        if isinstance(rs, Sequence) and isinstance(rt, Sequence) and (rb is None or isinstance(rb, str | Sequence)):
            if rs.tag != rt.tag:
                return None
            return self.sequence(spot, rb, rs, rt)
        if isinstance(rs, Scalar) and isinstance(rt, Scalar) and isinstance(rb, Scalar):
            return self._texts(spot, rb, rs, rt)
        return None

    def _texts(self, spot: Spot, b: Scalar, s: Scalar, t: Scalar) -> Fate | None:
        if not (merged := merge_texts(b, s, t, prefer=self._chosen(spot))):
            return None
        if merged.clashes:
            if any(node.value.count("\n") < 2 and not node.style for node in (b, s, t)):
                return None
            return self._conflict(spot, b, s, t, "lines")
        self.touched.append((spot, b, s, t))
        if spot.edit:
            merged.write(self.editor, s, t, spot)
            before, after = ("\n".join(part) for part in merged.shown)
            masked = spot.masked or self.record.masked
            self.record.change(spot.path, MASK if masked else before, MASK if masked else after, s)
        return Fate("keep", self.canon.string(merged.value))

    def _own(self, spot: Spot, b: Base, s: Node | None, t: Alias) -> bool:
        """Whether an alias of the target gets a value of its own: the source gave it one, or a person asked for it."""
        return _unshared(b, s, t) or self._chosen(spot) == "source"

    def _chosen(self, spot: Spot) -> str:
        """The side a person chose for this field; '' when nobody did."""
        chosen = self.choices.covering(spot.chosen)
        return self.sides[chosen] if chosen >= 0 else ""

    def _take(self, spot: Spot, b: Base, s: Node | None, t: Node | None) -> Fate:
        """The target's field becomes the source's."""
        if s is not None and spot.declared:
            s = self._left_out(spot, s)
        if s is not None and self._chosen(spot) == "source":
            s = editing.spelled_out(s)
        self.touched.append((spot, b, s, t))
        if spot.edit:
            show, masked = self.record.text, spot.masked
            self.record.change(spot.path, show(self.target, t, masked=masked), show(self.source, s, masked=masked), s)
        if s is None:
            return Fate("delete")
        if t is None:
            return Fate("add", self.canon.of(s), s)
        if spot.edit:
            new, bare = _spelled_out(b, s, t)
            bare = bare or self._chosen(spot) == "source"
            self.editor.replace(t, new, before=spot.before, at=spot.at, flow=spot.flow, item=spot.item, bare=bare)
        return Fate("keep", self.canon.of(s))

    def _conflict(self, spot: Spot, b: Base, s: Node | None, t: Node | None, kind: ConflictKind | None = None) -> Fate:
        if isinstance(b, str):
            kind = "never-promoted"
        elif s is None:
            kind = "removed-upstream"
        elif t is None:
            kind = "removed-here"
        kind = kind or "changed-both"
        if self._chosen(spot) == "source":
            return self._take(spot, b, s, t)
        if spot.edit:
            self._report(kind, spot, b, s, t)
        else:
            self.shadow.append((kind, spot.path, b, s, t, spot))
        return Fate("keep", self.number(t))

    def _report(self, kind: ConflictKind, spot: Spot, b: Base, s: Node | None, t: Node | None) -> None:
        show, masked = self.record.text, spot.masked
        values = (
            show(self.base, None if isinstance(b, str) else b, masked=masked),
            show(self.source, s, masked=masked),
            show(self.target, t, masked=masked),
        )
        self.record.conflict(kind, spot.path, values, (s or spot.there, t or spot.here))

    # Mappings --------------------------------------------------------------------------------------------------------

    def mapping(self, spot: Spot, b: Mapping | Literal["unknown"] | None, s: Mapping, t: Mapping) -> int:
        """Merge two mappings key by key; returns the number of the result."""
        of_s, of_t = effective(s), effective(t)
        of_b = effective(b) if isinstance(b, Mapping) else {}
        at = {key: index for index, key in enumerate(s.keys)}
        result: dict[str, int] = {}
        gone: set[str] = set()
        come: dict[str, Add] = {}
        for key in dict.fromkeys((*of_s, *of_b, *of_t)):
            there = of_s.get(key)
            here = of_t.get(key)
            base: Base = "unknown" if b == "unknown" else of_b.get(key)
            if here is not None and there is not None and self.canon.of(there) == self.canon.of(here):
                result[key] = here.canon
                continue
            if base is None and there is None and here is not None:
                self.differences(self._down(spot, key, s, t), None, here)
                result[key] = self.canon.of(here)
                continue
            fate = self._key(spot, key, base, there, here, s, t)
            if fate.action == "delete":
                gone.add(key)
            elif fate.action == "add" and fate.node is not None:
                result[key] = fate.canon
                if key in s.keys and key not in t.keys:
                    come[key] = Add(Entry(s.keys[key].key, fate.node), at[key])
            elif here is not None:
                result[key] = fate.canon
        if spot.edit:
            self._merge_keys(b, s, t, come, gone)
            self._arrange(b if isinstance(b, Mapping) else None, s, t, come, gone, spot)
        return self.canon.mapping(result, t.tag)

    def _key(self, spot: Spot, key: str, b: Base, s: Node | None, t: Node | None, ms: Mapping, mt: Mapping) -> Fate:
        under = self._down(spot, key, ms, mt)
        if t is None or key in mt.keys:
            return self.value(under, b, s, t)
        # The target has this key only through a merge key. An own entry of the source overrides it here as there;
        # everything else is written where the anchor is.
        if key in ms.keys and s is not None and self.number(b) == self.number(t) != self.number(s):
            added = self._take(replace(under, edit=spot.edit), b, s, None)
            return Fate("add", added.canon, added.node)
        return self.value(replace(under, edit=False), b, s, t)

    def _down(self, spot: Spot, key: str, s: Mapping, t: Mapping) -> Spot:
        entry = t.keys.get(key)
        return Spot(
            path=(*spot.path, key),
            declared=self.declared.down(spot.declared, key),
            chosen=self.choices.down(spot.chosen, key),
            masked=spot.masked or recording.secret_below(t, key) or recording.secret_below(s, key),
            edit=spot.edit,
            before=entry.key.end if entry is not None else 0,
            at=layout.column(self.target.text, entry.key.start) if entry is not None and not t.flow else 0,
            flow=t.flow,
            here=t,
            there=s,
        )

    def _merge_keys(
        self, b: Mapping | Literal["unknown"] | None, s: Mapping, t: Mapping, come: dict[str, Add], gone: set[str]
    ) -> None:
        """A merge key itself (`<<: *name`) comes and goes as text: its aliases are names in the document."""
        if "<<" not in s.keys and "<<" not in t.keys:
            return
        spelled = [self._spelling(document, side) for document, side in ((self.base, b), (self.source, s), (self.target, t))]
        if spelled[0] == spelled[1] or spelled[1] == spelled[2] or spelled[0] != spelled[2]:
            return
        if "<<" not in s.keys:
            gone.add("<<")
        elif "<<" not in t.keys:
            come["<<"] = Add(s.keys["<<"], s.entries.index(s.keys["<<"]))
        else:
            old = t.keys["<<"].value
            self.editor.splice(old.start, old.end, spelled[1])

    @staticmethod
    def _spelling(document: Document | None, side: Mapping | Literal["unknown"] | None) -> str:
        if document is None or not isinstance(side, Mapping) or "<<" not in side.keys:
            return ""
        value = side.keys["<<"].value
        return document.text[value.start : value.end]

    def _arrange(self, b: Mapping | None, s: Mapping, t: Mapping, come: dict[str, Add], gone: set[str], spot: Spot) -> None:
        if not come and not gone:
            return
        order = ordering.place([key for key in t.keys if key not in gone], list(s.keys), list(come))
        index = {key: number for number, key in enumerate(t.keys)}
        plan: list[Keep | Add] = [come[key] if key in come else Keep(index[key]) for key in order]
        if not t.entries and not (t.flow and spot.flow) and not s.flow and plan:
            # An empty {} that gets entries takes the source's way of writing them.
            members = [step.member for step in plan if isinstance(step, Add)]
            filled = editing.fill(s, members)
            self.editor.replace(t, filled, before=spot.before, at=spot.at, flow=False, item=spot.item)
            return
        self.editor.arrange(t, s, plan, self._drops_head(b, s, list(t.keys)))

    def _drops_head(self, b: Mapping | None, s: Mapping, names: list[str]) -> editing.DropsHead:
        """The comment above a removed field goes with it when it was the base's and the source removed it too."""

        def drops(index: int, comment: str) -> bool:
            entry = b.keys.get(names[index]) if b is not None and index < len(names) else None
            if entry is None or self.base is None:
                return False
            return self._removed_comment(entry.key.start, comment)

        return drops

    def _removed_comment(self, lead: int, comment: str) -> bool:
        assert self.base is not None
        text = self.base.text
        start = layout.line_start(text, lead)
        head = text[layout.head_start(text, lead, 0) : start]
        known = "\n".join(line.strip() for line in head.split("\n") if line.strip())
        return known == comment and head.strip() not in self.source.text

    # Lists -----------------------------------------------------------------------------------------------------------

    def sequence(self, spot: Spot, b: Sequence | Literal["unknown"] | None, s: Sequence, t: Sequence) -> Fate | None:
        """Merge two lists by their key, or by position; None when only the whole lists can be compared."""
        how = self.differ.keys(spot.path, *(side for side in (b, s, t) if isinstance(side, Sequence)))
        if how == "aligned":
            return self._aligned(spot, b, s, t)
        if how is not None:
            if b == "unknown" and how.plain:
                return None
            return self._keyed(spot, how, b, s, t)
        if b == "unknown" or b is None:
            return None
        if not self._same(spot, self.canon.of(b), self.canon.of(t), b, t) or len(b.items) != len(t.items):
            return self._conflict(spot, b, s, t, "positional-list") if self.canon.of(b) != self.canon.of(t) else None
        return self._positional(spot, b, s, t)

    def _item(self, spot: Spot, step: Step, s: Sequence, t: Sequence, index: int, items: tuple[Base, ...]) -> Spot:
        """The spot of an item; `index` is its place in the target, -1 when it is not there."""
        lead = layout.dash(self.target.text, t, index) if index >= 0 and not t.flow else 0
        present = [item for item in items if item is not None and not isinstance(item, str)]
        return Spot(
            path=(*spot.path, step),
            declared=self.declared.down(spot.declared, step, present) if spot.declared else spot.declared,
            chosen=self.choices.down(spot.chosen, step, present) if spot.chosen else spot.chosen,
            masked=spot.masked,
            edit=spot.edit,
            before=lead,
            at=layout.column(self.target.text, lead),
            flow=t.flow,
            item=True,
            here=t,
            there=s,
        )

    def _aligned(self, spot: Spot, b: Sequence | Literal["unknown"] | None, s: Sequence, t: Sequence) -> Fate:
        base: Base = b.items[0] if isinstance(b, Sequence) else b
        under = self._item(spot, 0, s, t, 0, (base, s.items[0], t.items[0]))
        fate = self.value(under, base, s.items[0], t.items[0])
        return Fate("keep", self.canon.sequence([fate.canon], t.tag))

    def _keyed(self, spot: Spot, how: keys.Keys, b: Sequence | Literal["unknown"] | None, s: Sequence, t: Sequence) -> Fate:
        of_b = {how.of(item): item for item in b.items} if isinstance(b, Sequence) else {}
        of_s = {how.of(item): item for item in s.items}
        of_t = {how.of(item): item for item in t.items}
        at = {key: index for index, key in enumerate(of_t)}
        numbers: dict[keys.ItemKey, int] = {}
        come: dict[keys.ItemKey, Add] = {}
        for position, key in enumerate(dict.fromkeys((*of_s, *of_b, *of_t))):
            base: Base = "unknown" if b == "unknown" else of_b.get(key)
            there, here = of_s.get(key), of_t.get(key)
            if here is not None and there is not None and self.canon.of(there) == self.canon.of(here):
                numbers[key] = here.canon
                continue
            under = self._item(spot, Keyed(key), s, t, at.get(key, -1), (base, there, here))
            fate = self.value(under, base, there, here)
            if fate.action == "add" and fate.node is not None:
                come[key] = Add(fate.node, position)
                numbers[key] = fate.canon
            elif fate.action == "keep" and here is not None:
                numbers[key] = fate.canon
        order = self._order(
            spot, list(of_b), list(of_s), [key for key in of_t if key in numbers], list(come), fresh=b == "unknown"
        )
        if spot.edit and (come or order != list(of_t)):
            self._arrange_list(
                spot, b if isinstance(b, Sequence) else None, s, t, [come[key] if key in come else Keep(at[key]) for key in order]
            )
        return Fate("keep", self.canon.sequence([numbers[key] for key in order], t.tag))

    def _order(
        self,
        spot: Spot,
        b: list[keys.ItemKey],
        s: list[keys.ItemKey],
        t: list[keys.ItemKey],
        come: list[keys.ItemKey],
        *,
        fresh: bool,
    ) -> list[keys.ItemKey]:
        if fresh:
            return ordering.place(t, s, come)
        moved = ordering.reorder(b, s, t)
        if moved is None:
            side = self._chosen(spot)
            if not side:
                self.record.conflict("order", spot.path, _orders(b, s, t), (spot.there, spot.here))
            if side != "source":
                return t
            moved = ordering.reorder(t, s, t) or t
        return ordering.place(moved, s, come)

    def _arrange_list(self, spot: Spot, b: Sequence | None, s: Sequence, t: Sequence, plan: list[Keep | Add]) -> None:
        if not t.items and not (t.flow and spot.flow) and not s.flow and plan:
            members = [step.member for step in plan if isinstance(step, Add)]
            self.editor.replace(t, editing.fill(s, members), before=spot.before, at=spot.at, flow=False, item=spot.item)
            return

        def drops(index: int, comment: str) -> bool:
            if b is None or self.base is None:
                return False
            number = self.canon.of(t.items[index])
            found = next((at for at, item in enumerate(b.items) if self.canon.of(item) == number), -1)
            return found >= 0 and self._removed_comment(layout.dash(self.base.text, b, found), comment) if not b.flow else False

        self.editor.arrange(t, s, plan, drops)

    def _positional(self, spot: Spot, b: Sequence, s: Sequence, t: Sequence) -> Fate:
        """Only the source changed the list (declared differences aside): its changes are made item by item."""
        old, new = ([self.canon.of(item) for item in side.items] for side in (b, s))
        plan: list[Keep | Add] = []
        numbers: list[int] = []
        at_b = at_s = 0
        for start_b, start_s, length in [*lines.matches(old, new), (len(old), len(new), 0)]:
            paired = min(start_b - at_b, start_s - at_s)
            for offset in range(start_s - at_s):
                there = s.items[at_s + offset]
                index = at_b + offset
                if offset < paired:
                    under = self._item(spot, index, s, t, index, (b.items[index], there, t.items[index]))
                    fate = self.value(under, b.items[index], there, t.items[index])
                    plan.append(Keep(index))
                else:
                    under = self._item(spot, at_s + offset, s, t, -1, (there,))
                    fate = self._take(under, None, there, None)
                    plan.append(Add(fate.node or there, at_s + offset))
                numbers.append(fate.canon)
            for index in range(at_b + paired, start_b):
                self._take(self._item(spot, index, s, t, index, (t.items[index],)), None, None, t.items[index])
            for offset in range(length):
                index = start_b + offset
                plan.append(Keep(index))
                numbers.append(self.canon.of(t.items[index]))
                self.differences(
                    self._item(spot, index, s, t, index, (t.items[index],)), s.items[start_s + offset], t.items[index]
                )
            at_b, at_s = start_b + length, start_s + length
        if spot.edit:
            self._arrange_list(spot, b, s, t, plan)
        return Fate("keep", self.canon.sequence(numbers, t.tag))

    # Declared differences and what stayed ----------------------------------------------------------------------------

    def _left_out(self, spot: Spot, s: Node) -> Node:
        """What comes in, without declared differences: those never travel."""
        bare = self.differ.without(s, spot.declared, spot.path)
        if self.canon.of(bare) == self.canon.of(s):
            return s
        text = "comes without its declared differences: they never travel; set them here if needed"
        self.record.note("declared-left-out", text, spot.path, s)
        return bare

    def differences(self, spot: Spot, s: Node | None, t: Node | None) -> None:
        """Write down every field in which the target stays different."""
        if spot.edit:
            self.differ.write(spot.path, spot.declared, s, t, masked=spot.masked)


def _unshared(b: Base, s: Node | None, t: Alias) -> bool:
    """Whether the source put something else where base and target have the same alias."""
    return isinstance(b, Alias) and b.name == t.name and not (isinstance(s, Alias) and s.name == t.name)


def _spelled_out(b: Base, s: Node, t: Node) -> tuple[Node, bool]:
    """What to write where the target spells out a value that base and source share: it, without alias or anchor."""
    if isinstance(s, Alias) and isinstance(b, Alias) and not isinstance(t, Alias):
        return resolved(s), True
    named = isinstance(s, Scalar | Mapping | Sequence) and isinstance(b, Scalar | Mapping | Sequence) and s.anchor == b.anchor
    bare = named and isinstance(t, Scalar | Mapping | Sequence) and t.anchor is None and resolved(s).tag is None
    return s, bare


def _orders(b: list[keys.ItemKey], s: list[keys.ItemKey], t: list[keys.ItemKey]) -> tuple[str, str, str]:
    shown = [", ".join(" ".join(value for _, value in key) for key in side) for side in (b, s, t)]
    return shown[0], shown[1], shown[2]
