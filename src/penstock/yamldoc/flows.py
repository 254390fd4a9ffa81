"""Entries of a flow collection come, go and change places, on one line or over several.

In: a plan. Out: changes in a Draft. Spacing, commas at the end and comments stay.
"""

from __future__ import annotations

from penstock.yamldoc import layout
from penstock.yamldoc.layout import column, line_end, line_start, own_line
from penstock.yamldoc.nodes import Entry, Mapping, Sequence
from penstock.yamldoc.splicing import Add, Draft, Keep, Plan


class FlowArranger:
    """Arranges flow collections of a draft."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.text = draft.text

    def arrange(self, old: Mapping | Sequence, plan: Plan) -> None:
        """Make the target's collection hold what `plan` says."""
        text = self.text
        stops = layout.ends(old)
        starts = [entry.key.start for entry in old.entries] if isinstance(old, Mapping) else [item.start for item in old.items]
        kept = [step.index for step in plan if isinstance(step, Keep)]
        if not kept or kept != sorted(kept):
            self._rewrite_flow(old, plan, starts, stops)
            return
        several = own_line(text, starts[0])
        indent = column(text, starts[0]) if several else None
        self.draft.writer.pad = "\t" if several and "\t" in text[line_start(text, starts[0]) : starts[0]] else " "
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
        unit = self.draft.style.step or (self._unit(indent) if indent else 2)
        if isinstance(step.member, Entry):
            return self.draft.writer.flow_entry(step.member, indent, unit)
        return self.draft.writer.flow(step.member, indent, unit)

    def _unit(self, indent: int) -> int:
        """The indentation step of a document in flow style over several lines: its root's first entry."""
        root = self.draft.target.root
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
                self.draft.splice(starts[0], starts[0], "".join(part + ", " for part in run))
            else:
                self.draft.splice(stops[previous], stops[previous], "".join(", " + part for part in run))
            return
        pad = self.draft.writer.pad * indent
        if previous < 0:
            self.draft.splice(starts[0], starts[0], "".join(f"{part},\n{pad}" for part in run))
        elif previous + 1 < len(starts) and own_line(text, starts[previous + 1]):
            self.draft.splice(starts[previous + 1], starts[previous + 1], "".join(f"{part},\n{pad}" for part in run))
        else:
            comma = _comma(text, stops[previous], end)
            if comma < 0:
                self.draft.splice(stops[previous], stops[previous], ",")
            tail = "," if comma >= 0 else ""
            where = (
                max(line_end(text, stops[previous]), 0)
                if line_end(text, stops[previous]) < end
                else max(stops[previous], comma + 1)
            )
            self.draft.splice(where, where, "\n" + ",\n".join(pad + part for part in run) + tail)

    def _delete_flow(self, old: Mapping | Sequence, starts: list[int], stops: list[int], kept: list[int]) -> None:
        text = self.text
        last = kept[-1]
        for index in range(last):
            if index not in kept:
                self.draft.splice(starts[index], starts[index + 1], "")
        if last == len(starts) - 1:
            return
        comma = _comma(text, stops[-1], old.end)
        if comma >= 0:  # the list ends with a comma of its own: the last one kept keeps its
            first = _comma(text, stops[last], old.end) + 1
            self.draft.splice(first, comma + 1, "")
            return
        first = _comma(text, stops[last], old.end)
        rest = line_end(text, first)
        if rest < starts[last + 1]:
            self.draft.splice(first, first + 1, "")
            self.draft.splice(rest, line_end(text, stops[-1]) if line_end(text, stops[-1]) < old.end else stops[-1], "")
        else:
            self.draft.splice(first, stops[-1], "")

    def _rewrite_flow(self, old: Mapping | Sequence, plan: Plan, starts: list[int], stops: list[int]) -> None:
        text = self.text
        several = bool(starts) and own_line(text, starts[0])
        indent = column(text, starts[0]) if several else None
        pieces: list[str] = []
        for step in plan:
            if isinstance(step, Keep):
                begin, end = starts[step.index], stops[step.index]
                pieces.append(self.draft.piece(begin, end))
            else:
                pieces.append(self._flow_member(step, indent))
        if not starts:
            inside = text[old.content + 1 : old.end - 1]
            self.draft.splice(
                old.content + 1, old.end - 1, ", ".join(pieces) if not inside.strip() else inside.rstrip() + ", ".join(pieces)
            )
            return
        if not pieces:
            self.draft.splice(old.content + 1, old.end - 1, "")
            return
        separator = ",\n" + " " * indent if indent is not None else ", "
        self.draft.splice(starts[0], stops[-1], separator.join(pieces))


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
