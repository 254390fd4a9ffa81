"""Changes to a document's text that touch only the nodes concerned.

In: a target document, and entries of a source document to put into it. Out: the target's text with the changes spliced
in; everything else byte for byte as it was. An Editor collects changes; `result` applies them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from collections.abc import Sequence as Items
from dataclasses import dataclass, replace

from penstock.yamldoc import layout, writing
from penstock.yamldoc.layout import Style, column, line_end, line_start, own_line
from penstock.yamldoc.nodes import Document, Entry, Mapping, Node, Scalar, Sequence
from penstock.yamldoc.writing import Writer


@dataclass(frozen=True, slots=True)
class Keep:
    """The target's own entry or item of this index stays."""

    index: int


@dataclass(frozen=True, slots=True)
class Add:
    """An entry (of a mapping) or item (of a list) of the source comes in."""

    member: Entry | Node
    index: int
    """Its index in the source's collection."""


Plan = Items[Keep | Add]
"""What a collection holds afterwards, in order; entries of the target that it does not name are removed."""

DropsHead = Callable[[int, str], bool]
"""Says whether the comment lines (their text) above the removed entry of this index go with it."""


class Editor:
    """Collects edits of `target`; values that come in are taken from `source`.

    Comments above them come along unless the source had them before (in `base`) already.
    """

    def __init__(self, target: Document, source: Document, base: Document | None = None) -> None:
        self.base = base
        self.target = target
        self.text = target.text
        self.source = source
        self.style = layout.style(target)
        self.writer = Writer(source, self.style, json_only=target.json)
        self.edits: list[tuple[int, int, str]] = []

    def result(self) -> str:
        """The text with all edits applied."""
        return apply(self.text, self.edits)

    def splice(self, start: int, end: int, text: str) -> None:
        """Put `text` in place of this range of the target."""
        if start != end or text:
            self.edits.append((start, end, text))

    # One value -------------------------------------------------------------------------------------------------------

    def replace(self, old: Node, new: Node, *, before: int, at: int, flow: bool, item: bool = False, bare: bool = False) -> None:
        """Put the source's value `new` where the target has `old`.

        `before` is the end of the key (the dash's offset for an item, -1 for the root), `at` the column of the key or
        dash, `flow` whether the place is inside a flow collection, `bare` whether to leave the anchor of `new` behind.
        """
        start = old.content if isinstance(old, Scalar | Mapping | Sequence) and (bare or not _has_properties(new)) else old.start
        if flow or (writing.simple(old) and writing.simple(new)):
            shown = self._inline(old, new, flow=flow, at=at, bare=bare)
            if start == old.end and start and self.text[start - 1] not in " \t\n[{,":
                shown = " " + shown if shown else ""
            if not shown and not flow:
                start = len(self.text[:start].rstrip(" \t"))
            self.splice(start, old.end, shown)
        elif before < 0:
            self.splice(line_start(self.text, start), line_end(self.text, old.end), self._root(new))
        else:
            self._replace_lines(old, new, before=before, at=at, item=item)

    def _inline(self, old: Node, new: Node, *, flow: bool, at: int, bare: bool) -> str:
        raw = self.source.text[new.start : new.end]
        if isinstance(new, Scalar):
            raw = self.source.text[new.content : new.end]
            properties = self.source.text[new.start : new.content].strip() if not bare else ""
            if isinstance(old, Scalar):
                raw = writing.scalar_text(new, raw, old, flow=flow, json_only=self.target.json)
            elif self.target.json:
                raw = self.writer.flow(new)
            else:
                raw = writing.inline_scalar(new, raw, flow=flow)
            return f"{properties} {raw}".strip()
        if bare and isinstance(new, Mapping | Sequence):
            raw = self.source.text[new.content : new.end]
        if flow and isinstance(new, Mapping | Sequence):
            line = line_start(self.text, old.start)
            indent = len(self.text[line : old.start]) - len(self.text[line : old.start].lstrip(" \t"))
            return self.writer.flow(new, indent, self.style.step or 2)
        if isinstance(new, Mapping | Sequence) and (new.trimmed or "\n" in raw):
            return (
                self.writer.flow(new)
                if new.trimmed
                else self.writer.behind(new, at, new.start, column(self.source.text, new.start)).strip()
            )
        return raw

    def _root(self, new: Node) -> str:
        if isinstance(new, Mapping | Sequence) and not new.flow:
            return self.writer.collection(new, 0)
        return self.source.text[new.start : new.end]

    def _replace_lines(self, old: Node, new: Node, *, before: int, at: int, item: bool) -> None:
        """Old or new spans lines of its own: everything behind the ':' or '-' is written anew, the comment there kept."""
        opened = self.text.index("-" if item else ":", before) + 1
        end = line_end(self.text, old.end)
        if writing.simple(old):
            comment = layout.comment_behind(self.text, old.end)
        else:
            match = re.search(r"[ \t]+\#[^\n]*$", self.text[opened : line_end(self.text, opened)])
            comment = match[0] if match else ""
        if item:
            lead = self._lead_of(new)
            body = self.writer.item(new, at, lead)[1:]
        else:
            key_end = self._key_end_of(new)
            body = self.writer.behind(new, at, key_end, column(self.source.text, line_of_key(self.source, new)))
        if comment:
            first, newline, rest = body.partition("\n")
            first = first if "#" in first else first + comment
            body = first + newline + rest
        self.splice(opened, self._swallowed(new, end), body)

    def _swallowed(self, new: Entry | Node, end: int) -> int:
        """Where to go on behind a value that comes in: blank lines below would become part of a `|+` at its end."""
        last = new.value if isinstance(new, Entry) else new
        while (
            isinstance(last, Mapping | Sequence) and not last.flow and (last.entries if isinstance(last, Mapping) else last.items)
        ):
            last = last.entries[-1].value if isinstance(last, Mapping) else last.items[-1]
        if isinstance(last, Scalar) and last.style in ("|", ">"):
            header = self.source.text[last.content : last.end].partition("\n")[0]
            if "+" in header.partition("#")[0]:
                for _ in range(layout.blank_below(self.text, end)):
                    end = line_end(self.text, end + 1)
        return end

    def _lead_of(self, new: Node) -> int:
        text = self.source.text
        if writing.simple(new):
            return -1
        position = new.start
        while position > 0 and text[position] != "-":
            position -= 1
        return position

    def _key_end_of(self, new: Node) -> int:
        """A position at or before the ':' that opens a block value in the source, behind its key."""
        text = self.source.text
        position = new.start
        while position > 0:
            start = line_start(text, position - 1)
            head = text[start:position]
            if head.strip() and not head.lstrip().startswith("#"):
                return start + head.rindex(":") if ":" in head else start
            position = start
        return 0

    # A collection ----------------------------------------------------------------------------------------------------

    def arrange(self, old: Mapping | Sequence, new: Mapping | Sequence, plan: Plan, drops_head: DropsHead) -> None:
        """Make the target's collection hold what `plan` says, the additions taken from the source's collection `new`.

        `drops_head(index, comment)` says whether the comment lines above a removed entry go with it.
        """
        members = layout.ends(old)
        kept = [step.index for step in plan if isinstance(step, Keep)]
        if kept == list(range(len(members))) and len(plan) == len(kept):
            return
        if old.flow:
            self._arrange_flow(old, new, plan)
        elif not plan:
            self._empty(old, drops_head)
        elif kept != sorted(kept) or not kept:
            self._rewrite(old, new, plan, drops_head)
        else:
            self._arrange_block(old, new, plan, drops_head)

    def _arrange_block(self, old: Mapping | Sequence, new: Mapping | Sequence, plan: Plan, drops_head: DropsHead) -> None:
        starts, stops = layout.leads(self.text, old), layout.ends(old)
        kept = {step.index for step in plan if isinstance(step, Keep)}
        run: list[Add] = []
        previous = -1
        for step in [*plan, None]:
            if isinstance(step, Add):
                run.append(step)
                continue
            if run:
                self._insert(old, new, starts, stops, previous, run, next_stays=previous + 1 in kept)
                run = []
            previous = step.index if step is not None else previous
        for index in range(len(starts)):
            if index not in kept:
                self._delete(old, starts, stops, index, kept, drops_head)

    def _insert(
        self,
        old: Mapping | Sequence,
        new: Mapping | Sequence,
        starts: list[int],
        stops: list[int],
        previous: int,
        run: list[Add],
        *,
        next_stays: bool,
    ) -> None:
        at = column(self.text, starts[0])
        if previous < 0:
            self._insert_first(old, new, starts[0], run)
            return
        lines = self._lines(old, new, run, at)
        where = self._foot_end(line_end(self.text, stops[previous]), at)
        gap = layout.blank_below(self.text, where)
        above = next((index for index, line in enumerate(lines) if line), 0)
        below = self._gap_below(new, run[-1].index)
        if next_stays and gap and below is not None and below != gap and above == gap:
            for _ in range(gap):
                where = line_end(self.text, where + 1)
            lines = lines[above:] + [""] * below
        if where == len(self.text):
            self._end_here(old)
        end = self._swallowed(run[-1].member, where) if next_stays else where
        self.splice(where, end, "".join("\n" + line for line in lines))

    def _insert_first(self, old: Mapping | Sequence, new: Mapping | Sequence, lead: int, run: list[Add]) -> None:
        at = column(self.text, lead)
        if not own_line(self.text, lead):
            first, *rest = self._lines(old, new, run, at, heads=False)
            self.splice(lead, lead, "\n".join([first.lstrip(" "), *rest]) + "\n" + " " * at)
            return
        # What stands above the first line of a file is about the file, and what stands above the first entry on both
        # sides is about the section.
        where = line_start(self.text, lead)
        head = layout.head_start(self.text, lead, 0)
        shared = not new.flow and _words(self.text[head:where]) == _words(self._head_of(new, run[0].index))
        if not shared and old is not self.target.root:
            where = head
        lines = self._lines(old, new, run, at)
        while not lines[0]:
            lines.pop(0)
        self.splice(where, where, "".join(line + "\n" for line in lines))

    def _head_of(self, new: Mapping | Sequence, index: int) -> str:
        text = self.source.text
        lead = layout.leads(text, new)[index]
        return text[layout.head_start(text, lead, 0) : line_start(text, lead)] if own_line(text, lead) else ""

    def _foot_end(self, where: int, at: int) -> int:
        """Behind the comment lines below an entry that are indented deeper than it: they belong to it."""
        while where < len(self.text):
            following = line_end(self.text, where + 1)
            line = self.text[where + 1 : following]
            body = line.lstrip(" ")
            if not body.startswith("#") or len(line) - len(body) <= at:
                break
            where = following
        return where

    def _end_here(self, old: Mapping | Sequence) -> None:
        """A text block that the file's end cut off without a newline must not get one when lines follow."""
        last = _last_leaf(old)
        if isinstance(last, Scalar) and last.style in ("|", ">") and not last.value.endswith("\n"):
            header = self.text[last.content : last.end].partition("\n")[0].partition("#")[0]
            if not set("+-") & set(header):
                self.splice(last.content + 1, last.content + 1, "-")

    def _gap_below(self, new: Mapping | Sequence, index: int) -> int | None:
        """Blank lines between the source's entry and its next one; None when it is the last."""
        stops = layout.ends(new)
        if new.flow or index + 1 >= len(stops):
            return None
        return layout.blank_below(self.source.text, line_end(self.source.text, stops[index]))

    def _lines(
        self, old: Mapping | Sequence, new: Mapping | Sequence, run: list[Add], at: int, *, heads: bool = True
    ) -> list[str]:
        """The lines of new entries at column `at`, each under its own comments."""
        text = self.source.text
        leads = [-1] * len(layout.ends(new)) if new.flow else layout.leads(text, new)
        gap = self._dash_gap(old)
        lines: list[str] = []
        for step in run:
            lead = leads[step.index]
            if heads and lead >= 0 and own_line(text, lead):
                floor = layout.ends(new)[step.index - 1] if step.index else new.start
                lines += self._head(
                    lead, line_end(text, floor) + 1 if step.index else 0, at, root=new is self.source.root and not step.index
                )
            if isinstance(step.member, Entry):
                body = self.writer.entry(step.member, at)
            else:
                body = self.writer.item(step.member, at, lead, gap)
            lines += (" " * at + body).split("\n")
        return lines

    def _head(self, lead: int, floor: int, at: int, *, root: bool) -> list[str]:
        """Comment lines directly above a source entry and the blank lines above those, indented for column `at`."""
        text = self.source.text
        start = line_start(text, lead)
        begin = layout.head_start(text, lead, floor) if not root else start
        block = text[begin:start]
        comments = [" " * at + line.strip() for line in block.split("\n")[:-1]]
        if self.base is not None and comments and self.base.text.count(block) >= text.count(block):
            comments = []
        return [""] * layout.blank_above(text, begin, floor) + comments

    def _dash_gap(self, old: Mapping | Sequence) -> int | None:
        if not isinstance(old, Sequence):
            return None
        for index, item in enumerate(old.items):
            lead = layout.dash(self.text, old, index)
            if item.end > item.start and line_start(self.text, item.start) <= lead:
                return item.start - lead - 1
        return None

    def _delete(
        self,
        old: Mapping | Sequence,
        starts: list[int],
        stops: list[int],
        index: int,
        kept: set[int],
        drops_head: DropsHead,
    ) -> None:
        text, lead, stop = self.text, starts[index], line_end(self.text, stops[index])
        if not own_line(text, lead):
            # The first entry shares its line with a dash: what follows moves up to it.
            following = min(position for position in kept)
            between = text[stop + 1 : line_start(text, starts[following])] if following == index + 1 else ""
            where = line_start(text, lead)
            self.splice(
                where,
                where,
                "".join(" " * column(text, lead - 2) + line.strip() + "\n" for line in between.split("\n") if line.strip()),
            )
            self.splice(lead, starts[following], "")
            return
        if not own_line(text, starts[0]) and 0 not in kept and index < min(kept):
            return  # went with the first entry's removal
        floor = line_end(text, stops[index - 1]) + 1 if index else 0
        start = line_start(text, lead)
        head = layout.head_start(text, lead, floor)
        comments = "\n".join(line.strip() for line in text[head:start].split("\n") if line.strip())
        if comments and (index or old is not self.target.root) and drops_head(index, comments):
            start = head
        # Lines in front of everything that stays go with the newline behind them, all others with the one before: so no
        # two removals overlap, and what comes in behind an entry keeps its place when that entry's last line goes.
        if index < min(kept):
            for _ in range(layout.blank_below(text, stop)):
                stop = line_end(text, stop + 1)
            self.splice(start, stop + 1, "")
            return
        blank = layout.blank_above(text, start, floor)
        if blank and (layout.blank_below(text, stop) or stop >= len(text) - 1):
            for _ in range(blank):
                start = line_start(text, start - 1)
        self.splice(max(start - 1, 0), stop, "")

    def _empty(self, old: Mapping | Sequence, drops_head: DropsHead) -> None:
        """Nothing is left of a block collection: it becomes {} or [], with the target's own comments under it."""
        text, brackets = self.text, "{}" if isinstance(old, Mapping) else "[]"
        starts, stops = layout.leads(text, old), layout.ends(old)
        first, stop = starts[0], line_end(text, old.end)
        if not own_line(text, first):
            self.splice(first, stop, brackets)
            return
        start = line_start(text, first)
        header = line_start(text, start - 1) if start else -1
        while header >= 0 and (not text[header:start].strip() or text[header:start].lstrip().startswith("#")):
            start, header = header, (line_start(text, header - 1) if header else -1)
        if old is self.target.root or header < 0:
            start = line_start(text, first)
            self.splice(start, stop, brackets)
            return
        line = text[header : start - 1]
        match = re.search(r"[ \t]*((?:[ \t]\#.*)?\r?)$", line)
        at = header + (match.start() if match else len(line))
        self.splice(at, at, " " + brackets)
        comments: list[str] = []
        for index, lead in enumerate(starts):
            above = text[
                layout.head_start(text, lead, line_end(text, stops[index - 1]) + 1 if index else start) : line_start(text, lead)
            ]
            known = "\n".join(line.strip() for line in above.split("\n") if line.strip())
            if known and not drops_head(index, known):
                comments.append(above.removesuffix("\n"))
        self.splice(start - 1, stop, "".join("\n" + comment for comment in comments))

    def _rewrite(self, old: Mapping | Sequence, new: Mapping | Sequence, plan: Plan, drops_head: DropsHead) -> None:
        """Entries change their order, or all are replaced: the lines are put together again, each entry's own unchanged."""
        text = self.text
        starts, stops = layout.leads(text, old), layout.ends(old)
        at = column(text, starts[0])
        shared = not own_line(text, starts[0])
        begins = [starts[0] if shared else layout.head_start(text, starts[0], 0)]
        begins += [layout.head_start(text, lead, line_end(text, stops[index]) + 1) for index, lead in enumerate(starts[1:])]
        if not shared and old is self.target.root:
            begins[0] = line_start(text, starts[0])
        kept = {step.index for step in plan if isinstance(step, Keep)}
        pieces: list[str] = []
        for index, lead in enumerate(starts):
            comments = text[begins[index] : line_start(text, lead)].removesuffix("\n")
            if index not in kept and comments.strip() and not drops_head(index, _words(comments)):
                pieces.append(comments)
        for step in plan:
            if isinstance(step, Keep):
                begin, end = begins[step.index], line_end(text, stops[step.index])
                inner = [edit for edit in self.edits if begin <= edit[0] and edit[1] <= end]
                self.edits = [edit for edit in self.edits if edit not in inner]
                piece = apply(text[begin:end], [(edit[0] - begin, edit[1] - begin, edit[2]) for edit in inner])
                pieces.append(" " * at + piece if shared and step.index == 0 else piece)
            else:
                lines = self._lines(old, new, [step], at)
                while not lines[0]:
                    lines.pop(0)
                pieces.append("\n".join(lines))
        body = "\n".join(pieces)
        self.splice(begins[0], line_end(text, stops[-1]), body[at:] if shared else body)

    # Flow style ------------------------------------------------------------------------------------------------------

    def _arrange_flow(self, old: Mapping | Sequence, new: Mapping | Sequence, plan: Plan) -> None:
        text = self.text
        stops = layout.ends(old)
        starts = [entry.key.start for entry in old.entries] if isinstance(old, Mapping) else [item.start for item in old.items]
        kept = [step.index for step in plan if isinstance(step, Keep)]
        if not kept or kept != sorted(kept):
            self._rewrite_flow(old, plan, starts, stops)
            return
        several = own_line(text, starts[0])
        indent = column(text, starts[0]) if several else None
        self.writer.pad = "\t" if several and "\t" in text[line_start(text, starts[0]) : starts[0]] else " "
        self._delete_flow(old, starts, stops, kept)
        run: list[str] = []
        previous = -1
        for step in [*plan, None]:
            if isinstance(step, Add):
                run.append(self._flow_member(step, indent))
                continue
            if run:
                self._insert_flow(starts, stops, previous, run, indent, old.end)
                run = []
            previous = step.index if step is not None else previous

    def _flow_member(self, step: Add, indent: int | None) -> str:
        unit = self.style.step or (self._unit(indent) if indent else 2)
        if isinstance(step.member, Entry):
            return self.writer.flow_entry(step.member, indent, unit)
        return self.writer.flow(step.member, indent, unit)

    def _unit(self, indent: int) -> int:
        """The indentation step of a document in flow style over several lines: its root's first entry."""
        root = self.target.root
        members = layout.ends(root) if isinstance(root, Mapping | Sequence) else []
        if isinstance(root, Mapping) and members and own_line(self.text, root.entries[0].key.start):
            return column(self.text, root.entries[0].key.start) or indent
        return indent

    def _insert_flow(
        self, starts: list[int], stops: list[int], previous: int, run: list[str], indent: int | None, end: int
    ) -> None:
        text = self.text
        if indent is None:
            if previous < 0:
                self.splice(starts[0], starts[0], "".join(part + ", " for part in run))
            else:
                self.splice(stops[previous], stops[previous], "".join(", " + part for part in run))
            return
        pad = self.writer.pad * indent
        if previous < 0:
            self.splice(starts[0], starts[0], "".join(f"{part},\n{pad}" for part in run))
        elif previous + 1 < len(starts) and own_line(text, starts[previous + 1]):
            self.splice(starts[previous + 1], starts[previous + 1], "".join(f"{part},\n{pad}" for part in run))
        else:
            comma = _comma(text, stops[previous], end)
            if comma < 0:
                self.splice(stops[previous], stops[previous], ",")
            tail = "," if comma >= 0 else ""
            where = (
                max(line_end(text, stops[previous]), 0)
                if line_end(text, stops[previous]) < end
                else max(stops[previous], comma + 1)
            )
            self.splice(where, where, "\n" + ",\n".join(pad + part for part in run) + tail)

    def _delete_flow(self, old: Mapping | Sequence, starts: list[int], stops: list[int], kept: list[int]) -> None:
        text = self.text
        last = kept[-1]
        for index in range(last):
            if index not in kept:
                self.splice(starts[index], starts[index + 1], "")
        if last == len(starts) - 1:
            return
        comma = _comma(text, stops[-1], old.end)
        if comma >= 0:  # the list ends with a comma of its own: the last one kept keeps its
            first = _comma(text, stops[last], old.end) + 1
            self.splice(first, comma + 1, "")
            return
        first = _comma(text, stops[last], old.end)
        rest = line_end(text, first)
        if rest < starts[last + 1]:
            self.splice(first, first + 1, "")
            self.splice(rest, line_end(text, stops[-1]) if line_end(text, stops[-1]) < old.end else stops[-1], "")
        else:
            self.splice(first, stops[-1], "")

    def _rewrite_flow(self, old: Mapping | Sequence, plan: Plan, starts: list[int], stops: list[int]) -> None:
        text = self.text
        several = bool(starts) and own_line(text, starts[0])
        indent = column(text, starts[0]) if several else None
        pieces: list[str] = []
        for step in plan:
            if isinstance(step, Keep):
                begin, end = starts[step.index], stops[step.index]
                inner = [edit for edit in self.edits if begin <= edit[0] and edit[1] <= end]
                self.edits = [edit for edit in self.edits if edit not in inner]
                pieces.append(apply(text[begin:end], [(edit[0] - begin, edit[1] - begin, edit[2]) for edit in inner]))
            else:
                pieces.append(self._flow_member(step, indent))
        if not starts:
            inside = text[old.content + 1 : old.end - 1]
            self.splice(
                old.content + 1, old.end - 1, ", ".join(pieces) if not inside.strip() else inside.rstrip() + ", ".join(pieces)
            )
            return
        if not pieces:
            self.splice(old.content + 1, old.end - 1, "")
            return
        separator = ",\n" + " " * indent if indent is not None else ", "
        self.splice(starts[0], stops[-1], separator.join(pieces))


def line_of_key(document: Document, node: Node) -> int:
    """The offset at which the text of the line that opens a value begins (its key's first character, mostly)."""
    text = document.text
    position = node.start
    while True:
        start = line_start(text, position)
        body = text[start : line_end(text, start)].lstrip(" ")
        if (start < node.start and text[start : node.start].strip() and not body.startswith("#")) or start == 0:
            return line_end(text, start) - len(body)
        position = start - 1


def fill(document: Document, collection: Mapping | Sequence, members: Items[Entry | Node]) -> Mapping | Sequence:
    """The same collection with only these members, to be written instead of copied."""
    if isinstance(collection, Mapping):
        entries = [member for member in members if isinstance(member, Entry)]
        keys = {entry.key.value: entry for entry in entries if isinstance(entry.key, Scalar)}
        return replace(collection, entries=entries, keys=keys, trimmed=True, canon=0)
    return replace(collection, items=[member for member in members if not isinstance(member, Entry)], trimmed=True, canon=0)


def _words(comments: str) -> str:
    """Comment lines without their indentation."""
    return "\n".join(line.strip() for line in comments.split("\n") if line.strip())


def _last_leaf(node: Node) -> Node:
    while isinstance(node, Mapping | Sequence) and not node.flow and (node.entries if isinstance(node, Mapping) else node.items):
        node = node.entries[-1].value if isinstance(node, Mapping) else node.items[-1]
    return node


def _has_properties(node: Node) -> bool:
    return isinstance(node, Scalar | Mapping | Sequence) and (node.anchor is not None or node.tag is not None)


def _comma(text: str, start: int, end: int) -> int:
    """The offset of the ',' between two flow entries, comments skipped; -1 when there is none."""
    while start < end:
        char = text[start]
        if char == ",":
            return start
        if char == "#":
            start = line_end(text, start)
        elif char in "]}":
            return -1
        start += 1
    return -1


def apply(text: str, edits: Items[tuple[int, int, str]]) -> str:
    """The text with each range replaced; insertions at one offset keep their order. Raises ValueError on overlap."""
    parts: list[str] = []
    position = 0
    for start, end, replacement in sorted(edits, key=lambda edit: (edit[0], edit[1] > edit[0])):
        if start < position:
            raise ValueError("edits overlap")
        parts += [text[position:start], replacement]
        position = end
    parts.append(text[position:])
    return "".join(parts)


__all__ = ["Add", "Editor", "Keep", "Plan", "Style", "apply", "fill"]
