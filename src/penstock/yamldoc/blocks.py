"""Entries of a block collection come, go and change places, by whole lines.

In: a plan. Out: changes in a Draft. What stays keeps its lines; what comes brings the comments above it; what goes takes
the comment above it along when the merge says so.
"""

from __future__ import annotations

import re

from penstock.yamldoc import layout
from penstock.yamldoc.layout import column, line_end, line_start, own_line
from penstock.yamldoc.nodes import Entry, Mapping, Node, Scalar, Sequence
from penstock.yamldoc.shaping import last_leaf
from penstock.yamldoc.splicing import Add, Draft, DropsHead, Keep, Plan


class BlockArranger:
    """Arranges block collections of a draft."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.text = draft.text

    def arrange(self, old: Mapping | Sequence, new: Mapping | Sequence, plan: Plan, drops_head: DropsHead) -> None:
        """Make the target's collection hold what `plan` says."""
        kept = [step.index for step in plan if isinstance(step, Keep)]
        if not plan:
            self._empty(old, drops_head)
        elif kept != sorted(kept) or not kept:
            self._rewrite(old, new, plan, drops_head)
        else:
            self._arrange_block(old, new, plan, drops_head)

    def _arrange_block(self, old: Mapping | Sequence, new: Mapping | Sequence, plan: Plan, drops_head: DropsHead) -> None:
        starts, stops = layout.leads(self.text, old), layout.ends(old)
        kept = {step.index for step in plan if isinstance(step, Keep)}
        followed: set[int] = set()
        run: list[Add] = []
        previous = -1
        for step in [*plan, None]:
            if isinstance(step, Add):
                run.append(step)
                continue
            if run:
                followed.add(previous)
                self._insert(old, new, starts, stops, previous, run, next_stays=previous + 1 in kept)
                run = []
            previous = step.index if step is not None else previous
        for index in range(len(starts)):
            if index not in kept:
                self._delete(old, starts, stops, index, kept, followed, drops_head)

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
        if self._keeps_blank(old, previous):
            while not lines[0]:
                lines.pop(0)
        gap = layout.blank_below(self.text, where)
        above = next((index for index, line in enumerate(lines) if line), 0)
        below = self._gap_below(new, run[-1].index)
        if next_stays and gap and below is not None and below != gap and above == gap:
            for _ in range(gap):
                where = line_end(self.text, where + 1)
            lines = lines[above:] + [""] * below
        if where == len(self.text):
            self._end_here(old)
        end = swallowed(self.draft, run[-1].member, where) if next_stays else where
        self.draft.splice(where, end, "".join("\n" + line for line in lines))

    def _insert_first(self, old: Mapping | Sequence, new: Mapping | Sequence, lead: int, run: list[Add]) -> None:
        at = column(self.text, lead)
        if not own_line(self.text, lead):
            first, *rest = self._lines(old, new, run, at, heads=False)
            self.draft.splice(lead, lead, "\n".join([first.lstrip(" "), *rest]) + "\n" + " " * at)
            return
        # What stands above the first line of a file is about the file, and what stands above the first entry on both
        # sides is about the section.
        where = line_start(self.text, lead)
        head = layout.head_start(self.text, lead, 0)
        shared = not new.flow and _words(self.text[head:where]) == _words(self._head_of(new, run[0].index))
        if not shared and old is not self.draft.target.root:
            where = head
        lines = self._lines(old, new, run, at)
        while not lines[0]:
            lines.pop(0)
        self.draft.splice(where, where, "".join(line + "\n" for line in lines))

    def _head_of(self, new: Mapping | Sequence, index: int) -> str:
        text = self.draft.source.text
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
        last = last_leaf(old)
        if isinstance(last, Scalar) and last.style in ("|", ">") and not last.value.endswith("\n"):
            header = self.text[last.content : last.end].partition("\n")[0].partition("#")[0]
            if not set("+-") & set(header):
                self.draft.splice(last.content + 1, last.content + 1, "-")

    def _gap_below(self, new: Mapping | Sequence, index: int) -> int | None:
        """Blank lines between the source's entry and its next one; None when it is the last."""
        stops = layout.ends(new)
        if new.flow or index + 1 >= len(stops):
            return None
        return layout.blank_below(self.draft.source.text, line_end(self.draft.source.text, stops[index]))

    def _lines(
        self, old: Mapping | Sequence, new: Mapping | Sequence, run: list[Add], at: int, *, heads: bool = True
    ) -> list[str]:
        """The lines of new entries at column `at`, each under its own comments."""
        text = self.draft.source.text
        leads = [-1] * len(layout.ends(new)) if new.flow else layout.leads(text, new)
        gap = self._dash_gap(old)
        lines: list[str] = []
        for step in run:
            lead = leads[step.index]
            if heads and lead >= 0 and own_line(text, lead):
                floor = layout.ends(new)[step.index - 1] if step.index else new.start
                lines += self._head(
                    lead,
                    line_end(text, floor) + 1 if step.index else 0,
                    at,
                    root=new is self.draft.source.root and not step.index,
                )
            if isinstance(step.member, Entry):
                body = self.draft.writer.entry(step.member, at)
            else:
                body = self.draft.writer.item(step.member, at, lead, gap)
            lines += (" " * at + body).split("\n")
        return lines

    def _head(self, lead: int, floor: int, at: int, *, root: bool) -> list[str]:
        """Comment lines directly above a source entry and the blank lines above those, indented for column `at`."""
        text = self.draft.source.text
        start = line_start(text, lead)
        begin = layout.head_start(text, lead, floor) if not root else start
        block = text[begin:start]
        comments = [" " * at + line.strip() for line in block.split("\n")[:-1]]
        if self.draft.base is not None and comments and self.draft.base.text.count(block) >= text.count(block):
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
        followed: set[int],
        drops_head: DropsHead,
    ) -> None:
        text, lead, stop = self.text, starts[index], line_end(self.text, stops[index])
        if not own_line(text, lead):
            # The first entry shares its line with a dash: what follows moves up to it.
            following = min(position for position in kept)
            between = text[stop + 1 : line_start(text, starts[following])] if following == index + 1 else ""
            where = line_start(text, lead)
            self.draft.splice(
                where,
                where,
                "".join(" " * column(text, lead - 2) + line.strip() + "\n" for line in between.split("\n") if line.strip()),
            )
            self.draft.splice(lead, starts[following], "")
            return
        if not own_line(text, starts[0]) and 0 not in kept and index < min(kept):
            return  # went with the first entry's removal
        floor = line_end(text, stops[index - 1]) + 1 if index else 0
        start = line_start(text, lead)
        foot = self._foot_end(stop, column(text, lead))
        if foot > stop and self._gone(text[stop + 1 : foot]):
            stop = foot
        head = layout.head_start(text, lead, floor)
        comments = "\n".join(line.strip() for line in text[head:start].split("\n") if line.strip())
        if comments and (index or old is not self.draft.target.root) and drops_head(index, comments):
            start = head
        # Lines in front of everything that stays go with the newline behind them, all others with the one before: so no
        # two removals overlap, and what comes in behind an entry keeps its place when that entry's last line goes.
        if index < min(kept):
            for _ in range(layout.blank_below(text, stop)):
                stop = line_end(text, stop + 1)
            self.draft.splice(start, stop + 1, "")
            return
        before = max(position for position in kept if position < index)
        if before not in followed and self._keeps_blank(old, before):
            for _ in range(layout.blank_below(text, stop)):
                stop = line_end(text, stop + 1)
        blank = layout.blank_above(text, start, floor)
        if blank and (layout.blank_below(text, stop) or stop >= len(text) - 1):
            for _ in range(blank):
                start = line_start(text, start - 1)
        self.draft.splice(max(start - 1, 0), stop, "")

    def _keeps_blank(self, old: Mapping | Sequence, index: int) -> bool:
        """Whether an entry ends with a `|+`: blank lines that come to stand below it would become part of its value."""
        last = last_leaf(old.entries[index].value if isinstance(old, Mapping) else old.items[index])
        return kept_blank(self.text, last)

    def _gone(self, comments: str) -> bool:
        """Whether these comment lines were in the base and are no longer in the source."""
        if self.draft.base is None:
            return False
        base, source = (_words(document.text).split("\n") for document in (self.draft.base, self.draft.source))
        return all(line in base and line not in source for line in _words(comments).split("\n"))

    def _empty(self, old: Mapping | Sequence, drops_head: DropsHead) -> None:
        """Nothing is left of a block collection: it becomes {} or [], with the target's own comments under it."""
        text, brackets = self.text, "{}" if isinstance(old, Mapping) else "[]"
        starts, stops = layout.leads(text, old), layout.ends(old)
        first, stop = starts[0], line_end(text, old.end)
        if not own_line(text, first):
            self.draft.splice(first, stop, brackets)
            return
        start = line_start(text, first)
        header = line_start(text, start - 1) if start else -1
        while header >= 0 and (not text[header:start].strip() or text[header:start].lstrip().startswith("#")):
            start, header = header, (line_start(text, header - 1) if header else -1)
        if old is self.draft.target.root or header < 0:
            start = line_start(text, first)
            self.draft.splice(start, stop, brackets)
            return
        line = text[header : start - 1]
        match = re.search(r"[ \t]*((?:[ \t]\#.*)?\r?)$", line)
        at = header + (match.start() if match else len(line))
        self.draft.splice(at, at, " " + brackets)
        comments: list[str] = []
        for index, lead in enumerate(starts):
            above = text[
                layout.head_start(text, lead, line_end(text, stops[index - 1]) + 1 if index else start) : line_start(text, lead)
            ]
            known = "\n".join(line.strip() for line in above.split("\n") if line.strip())
            if known and not drops_head(index, known):
                comments.append(above.removesuffix("\n"))
        self.draft.splice(start - 1, stop, "".join("\n" + comment for comment in comments))

    def _rewrite(self, old: Mapping | Sequence, new: Mapping | Sequence, plan: Plan, drops_head: DropsHead) -> None:
        """Entries change their order, or all are replaced: the lines are put together again, each entry's own unchanged."""
        text = self.text
        starts, stops = layout.leads(text, old), layout.ends(old)
        at = column(text, starts[0])
        shared = not own_line(text, starts[0])
        begins = [starts[0] if shared else layout.head_start(text, starts[0], 0)]
        begins += [layout.head_start(text, lead, line_end(text, stops[index]) + 1) for index, lead in enumerate(starts[1:])]
        if not shared and old is self.draft.target.root:
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
                piece = self.draft.piece(begin, end)
                pieces.append(" " * at + piece if shared and step.index == 0 else piece)
            else:
                lines = self._lines(old, new, [step], at)
                while not lines[0]:
                    lines.pop(0)
                pieces.append("\n".join(lines))
        body = "\n".join(pieces)
        self.draft.splice(begins[0], line_end(text, stops[-1]), body[at:] if shared else body)


def _words(comments: str) -> str:
    """Comment lines without their indentation."""
    return "\n".join(line.strip() for line in comments.split("\n") if line.strip())


def swallowed(draft: Draft, new: Entry | Node, end: int) -> int:
    """Where to go on behind a value that comes in: blank lines below would become part of a `|+` at its end."""
    last = new.value if isinstance(new, Entry) else new
    while isinstance(last, Mapping | Sequence) and not last.flow and (last.entries if isinstance(last, Mapping) else last.items):
        last = last.entries[-1].value if isinstance(last, Mapping) else last.items[-1]
    if kept_blank(draft.source.text, last):
        for _ in range(layout.blank_below(draft.text, end)):
            end = line_end(draft.text, end + 1)
    return end


def kept_blank(text: str, node: Node) -> bool:
    """Whether a value is a block whose blank lines at the end count (`|+`)."""
    if not isinstance(node, Scalar) or node.style not in ("|", ">"):
        return False
    return "+" in text[node.content : node.end].partition("\n")[0].partition("#")[0]
