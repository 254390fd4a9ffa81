"""Which parts a page has, by key, from what is known: one function for each page.

In: `Known` facts. Out: key -> value, in the order of the page. A key is 'macro' or 'macro/name'; the macro of that name in
the page's `*_parts.html` draws it, and a part is sent again exactly when its value is another one.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from penstock.web import views
from penstock.web.feeds import Known, Parts

PAGE_LINES = 500
"""Apps on one page of the board."""

_WORST: tuple[views.Mark, ...] = ("broken", "person", "moving", "unknown", "live", "absent")


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What is wrong with what is shown."""

    problem: str = ""
    asked: datetime | None = None
    """When what is shown was true, if there is a problem with anything newer."""
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tip:
    """Where the main branch is."""

    branch: str
    tip: views.Commit | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """How many apps, and how many of them stand how."""

    apps: int
    marks: tuple[tuple[views.Mark, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """An app's state in one sentence, and what is next."""

    sentence: str
    next: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """Who may decide on a promotion here."""

    number: int
    head: str
    open: bool
    logins: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decide:
    """Conflicts, and whether they can be decided here."""

    app: str
    conflicts: views.Conflicts
    able: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which apps of the board are wanted."""

    query: str = ""
    busy: bool = False
    page: int = 1

    def lines(self, board: views.Board) -> tuple[views.Line, ...]:
        """All that match, of every page."""
        wanted = self.query.strip().lower()
        return tuple(line for line in board.lines if wanted in line.app.lower() and not (self.busy and line.calm))


def notice[T](known: Known[T], problems: tuple[str, ...]) -> Notice:
    return Notice(problem=known.problem, asked=known.asked if known.problem else None, problems=problems)


def board(known: Known[views.Board], choice: Choice, environments: tuple[str, ...]) -> Parts:
    """The board; without any facts its frame, every environment unknown."""
    found = known.value
    if found is None:
        heads = tuple(views.Head(name=name, mark="unknown", words="not known yet") for name in environments)
        empty = Count(apps=0, marks=())
        return {"notice": notice(known, ()), "tip": Tip(branch="", tip=None), "count": empty, "heads": heads}
    lines = choice.lines(found)
    first = (choice.page - 1) * PAGE_LINES
    return {
        "notice": notice(known, found.problems),
        "tip": Tip(branch=found.branch, tip=found.tip),
        "count": _count(lines),
        "heads": found.heads,
        **{f"row/{line.app}": line for line in lines[first : first + PAGE_LINES]},
        **{f"pending/{one.key}": one for one in found.pending},
    }


def _count(lines: tuple[views.Line, ...]) -> Count:
    worst = Counter(min((cell.mark for cell in line.cells), key=_WORST.index, default="absent") for line in lines)
    return Count(apps=len(lines), marks=tuple((mark, worst[mark]) for mark in _WORST if worst[mark] and mark != "absent"))


def app(known: Known[views.AppPage], able: bool) -> Parts:
    """`able`: whether a person may decide conflicts here."""
    found = known.value
    if found is None:
        return {"notice": notice(known, ())}
    return {
        "notice": notice(known, found.problems),
        "sentence": Sentence(sentence=found.sentence, next=found.next),
        **{f"step/{step.environment}": step for step in found.steps},
        **{f"conflict/{one.target}": Decide(app=found.name, conflicts=one, able=able) for one in found.conflicts},
    }


def promotion(known: Known[views.PromotionPage], logins: tuple[str, ...]) -> Parts:
    """`logins`: as whom a decision can be made here; the author is none of them."""
    found = known.value
    if found is None:
        return {"notice": notice(known, ())}
    able = tuple(login for login in logins if login != found.author)
    return {
        "notice": notice(known, found.problems),
        "title": found,
        "verdict": found,
        "act": Act(number=found.number, head=found.head, open=found.state == "open", logins=able),
        "gates": found.gates,
        "people": found,
        "text": found.body,
    }


def environment(known: Known[views.EnvironmentPage]) -> Parts:
    found = known.value
    if found is None:
        return {"notice": notice(known, ())}
    return {
        "notice": notice(known, found.problems),
        "state": found,
        "conditions": found.conditions,
        "objects": found.objects,
        "events": found.events,
        "history": found.history,
    }


def log(known: Known[views.LogPage]) -> Parts:
    found = known.value
    if found is None:
        return {"notice": notice(known, ())}
    return {"notice": notice(known, found.problems), "figures": found.figures, "rows": found.rows}
