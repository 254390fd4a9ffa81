"""Which parts a page has, by key, from what is known: one function for each page.

In: `Known` facts. Out: key -> value, in the order of the page. A key is 'macro' or 'macro/name'; the macro of that name in
the page's `*_parts.html` draws it, and a part is sent again exactly when its value is another one.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from penstock.model.people import Action
from penstock.web import insides, views
from penstock.web.feeds import Known, Parts

PAGE_LINES = 100
"""Apps on one page of the board."""
PAGE_FIELDS = 200
"""Fields on one page of a promotion."""
PAGE_CHANGES = 100
"""Changes on one page of the log."""
PAGE_OBJECTS = 500
"""Objects on one page of an environment."""

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
class Viewer:
    """Whoever looks, as far as it changes what is shown. People who may do the same share their feeds."""

    visible: tuple[str, ...]
    """Environments that may be seen."""
    everything: bool = True
    """Whether these are all there are."""
    able: frozenset[tuple[Action, str]] = frozenset()
    """What may be done where."""
    logins: tuple[str, ...] = ()
    """As whom on the forge; only on pages where that matters."""
    names: frozenset[str] = frozenset()
    """Login, name and address in lower case, to tell one's own commits; likewise."""

    def may(self, action: Action, environment: str) -> bool:
        return (action, environment) in self.able


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What can be done about a promotion here, and why not."""

    number: int
    head: str
    open: bool
    logins: tuple[str, ...] = ()
    """As whom on the forge."""
    approve: bool = False
    ask: bool = False
    merge: bool = False
    close: bool = False
    why: str = ""
    """What stands in the way."""
    ready: str = ""
    """Why it cannot be merged by hand now; '' when it can."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decide:
    """Conflicts, and whether they can be decided here."""

    app: str
    conflicts: views.Conflicts
    able: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Steer:
    """What can be done about an app, or a whole environment, besides: roll it back, hold or freeze it."""

    app: str
    environments: tuple[str, ...] = ()
    """Where it can be rolled back."""
    holdable: tuple[str, ...] = ()
    """Where it can be held or frozen, and let go again."""
    revisions: tuple[views.Revision, ...] = ()
    guards: tuple[views.Guard, ...] = ()
    """What holds it now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """One page of the fields that change, by object."""

    groups: tuple[views.ObjectDiff, ...]
    total: int
    first: int
    source: str
    target: str
    number: int

    @property
    def pages(self) -> int:
        return max(1, -(-self.total // PAGE_FIELDS))

    @property
    def page(self) -> int:
        return self.first // PAGE_FIELDS + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which part of a long page is wanted: matching what, only what moves, of which kind and app, which page of it."""

    query: str = ""
    busy: bool = False
    page: int = 1
    kind: str = ""
    days: int = 0

    def lines(self, board: views.Board, viewer: Viewer) -> tuple[views.Line, ...]:
        """All that match and may be seen, of every page."""
        wanted = self.query.strip().lower()
        found = (line for line in board.lines if wanted in line.app.lower())
        if not viewer.everything:
            found = (seen for line in found if (seen := _seen(line, viewer)))
        return tuple(line for line in found if not (self.busy and line.calm))


def _seen(line: views.Line, viewer: Viewer) -> views.Line | None:
    """An app in the environments that may be seen; None when it is in none of them."""
    cells = tuple(cell for cell in line.cells if cell.environment in viewer.visible)
    return views.Line(app=line.app, cells=cells) if any(cell.mark != "absent" for cell in cells) else None


def notice[T](known: Known[T], problems: tuple[str, ...], viewer: Viewer) -> Notice:
    """Problems may name any environment: who may not see all of them sees that there are some."""
    if not viewer.everything:
        problems = ("something could not be asked; whoever may see every environment is told what",) if problems else ()
    return Notice(problem=known.problem, asked=known.asked if known.problem else None, problems=problems)


def board(known: Known[views.Board], choice: Choice, viewer: Viewer) -> Parts:
    """The board; without any facts its frame, every environment unknown."""
    found = known.value
    if found is None:
        heads = tuple(views.Head(name=name, mark="unknown", words="not known yet") for name in viewer.visible)
        empty = Count(apps=0, marks=())
        return {"notice": notice(known, (), viewer), "tip": Tip(branch="", tip=None), "count": empty, "heads": heads}
    lines = choice.lines(found, viewer)
    first = (choice.page - 1) * PAGE_LINES
    return {
        "notice": notice(known, found.problems, viewer),
        "tip": Tip(branch=found.branch, tip=found.tip if viewer.everything else None),
        "count": _count(lines),
        "heads": tuple(head for head in found.heads if head.name in viewer.visible),
        **{f"row/{line.app}": line for line in lines[first : first + PAGE_LINES]},
        **{f"pending/{one.key}": one for one in found.pending[:PAGE_LINES] if one.target in viewer.visible},
    }


def _count(lines: tuple[views.Line, ...]) -> Count:
    worst = Counter(min((cell.mark for cell in line.cells), key=_WORST.index, default="absent") for line in lines)
    return Count(apps=len(lines), marks=tuple((mark, worst[mark]) for mark in _WORST if worst[mark] and mark != "absent"))


def app(known: Known[views.AppPage], viewer: Viewer) -> Parts:
    found = known.value
    if found is None:
        return {"notice": notice(known, (), viewer)}
    steps = tuple(step for step in found.steps if step.environment in viewer.visible)
    return {
        "notice": notice(known, found.problems, viewer),
        "sentence": Sentence(sentence=found.sentence, next=found.next) if viewer.everything else Sentence(sentence="", next=""),
        **{f"step/{step.environment}": step for step in steps},
        **{
            f"conflict/{one.target}": Decide(app=found.name, conflicts=one, able=viewer.may("decide", one.target))
            for one in found.conflicts
            if one.target in viewer.visible
        },
        "path": tuple(one for one in found.path if one.environment in viewer.visible),
        "steer": Steer(
            app=found.name,
            environments=tuple(name for name in viewer.visible if viewer.may("rollback", name)),
            holdable=tuple(name for name in found.promoted_into if viewer.may("hold", name)),
            revisions=tuple(one for one in found.revisions if viewer.may("rollback", one.environment)),
            guards=_guards(found.guards, viewer),
        ),
    }


def _guards(guards: tuple[views.Guard, ...], viewer: Viewer) -> tuple[views.Guard, ...]:
    """Holds and freezes of what may be seen; one for every environment concerns everybody."""
    return tuple(one for one in guards if not one.environments or set(one.environments) & set(viewer.visible))


def seen_app(page: views.AppPage, viewer: Viewer) -> bool:
    """Whether an app is anywhere that may be seen."""
    return any(step.mark != "absent" or step.gates for step in page.steps if step.environment in viewer.visible)


def promotion(known: Known[views.PromotionPage], choice: Choice, viewer: Viewer) -> Parts:
    found = known.value
    if found is None:
        return {"notice": notice(known, (), viewer)}
    first = (choice.page - 1) * PAGE_FIELDS
    groups = views.by_object(found.rows[first : first + PAGE_FIELDS])
    return {
        "notice": notice(known, found.problems, viewer),
        "title": found,
        "act": act(found, viewer),
        "gates": found.gates,
        "verdict": found,
        "fields": Fields(
            groups=groups,
            total=len(found.rows),
            first=first,
            source=found.source,
            target=found.target,
            number=found.number,
        ),
        "people": found,
        "text": found.body,
    }


def act(page: views.PromotionPage, viewer: Viewer) -> Act:
    """What whoever looks can do about a pull request."""
    target = page.target
    others = tuple(login for login in viewer.logins if login != page.author)
    why = own_change(page, viewer.names) if viewer.may("approve", target) else ""
    return Act(
        number=page.number,
        head=page.head,
        open=page.state == "open",
        logins=others,
        approve=viewer.may("approve", target) and bool(others) and not why,
        ask=viewer.may("comment", target) and bool(others),
        merge=viewer.may("merge", target) and bool(others) and page.by_hand,
        close=viewer.may("close", target) and bool(others),
        why=why,
        ready=page.not_ready,
    )


def own_change(page: views.PromotionPage, names: frozenset[str]) -> str:
    """Why a person of these names may not approve: they wrote or asked for some of it. '' when they did not."""
    if page.asked_by and page.asked_by.lower() in names:
        return "you asked for this rollback; somebody else has to approve it"
    for name, email in page.authors:
        if (name and name.lower() in names) or (email and email.lower() in names):
            return "you wrote some of this change; somebody else has to approve it"
    return ""


def environment(known: Known[insides.EnvironmentPage], choice: Choice, viewer: Viewer) -> Parts:
    found = known.value
    if found is None:
        return {"notice": notice(known, (), viewer)}
    return {
        "notice": notice(known, found.problems, viewer),
        "state": found,
        "guards": Steer(
            app="",
            environments=(found.name,) if viewer.may("rollback", found.name) else (),
            holdable=(found.name,) if viewer.may("freeze", found.name) else (),
            revisions=found.revisions if viewer.may("rollback", found.name) else (),
            guards=_guards(found.guards, viewer),
        ),
        "conditions": found.conditions,
        "objects": objects(found, choice),
        "events": found.events,
        "history": found.history,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Objects:
    """One page of an environment's objects, by namespace."""

    environment: str
    groups: tuple[tuple[str, tuple[insides.ObjectRow, ...]], ...]
    total: int
    sick: int
    page: int
    query: str

    @property
    def pages(self) -> int:
        return max(1, -(-self.total // PAGE_OBJECTS))


def objects(page: insides.EnvironmentPage, choice: Choice) -> Objects:
    wanted = choice.query.strip().lower()
    rows = [row for row in page.objects if wanted in f"{row.kind}/{row.name} {row.namespace} {row.health}".lower()]
    first = (choice.page - 1) * PAGE_OBJECTS
    groups: dict[str, list[insides.ObjectRow]] = {}
    for row in rows[first : first + PAGE_OBJECTS]:
        groups.setdefault(row.namespace, []).append(row)
    return Objects(
        environment=page.name,
        groups=tuple((name, tuple(found)) for name, found in groups.items()),
        total=len(rows),
        sick=sum(1 for row in page.objects if row.mark not in ("live", "absent")),
        page=choice.page,
        query=choice.query,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """One page of the log, and what was asked for."""

    environment: str
    rows: tuple[insides.LogRow, ...]
    total: int
    choice: Choice

    @property
    def pages(self) -> int:
        return max(1, -(-self.total // PAGE_CHANGES))


def log(known: Known[insides.LogPage], choice: Choice, viewer: Viewer) -> Parts:
    found = known.value
    if found is None:
        return {"notice": notice(known, (), viewer)}
    rows = tuple(row for row in found.rows if _asked_for(row, choice, known.asked))
    first = (choice.page - 1) * PAGE_CHANGES
    return {
        "notice": notice(known, found.problems, viewer),
        "figures": found.figures,
        "rows": Changes(environment=found.environment, rows=rows[first : first + PAGE_CHANGES], total=len(rows), choice=choice),
    }


def _asked_for(row: insides.LogRow, choice: Choice, now: datetime | None) -> bool:
    wanted = choice.query.strip().lower()
    told = f"{row.app} {row.change} {row.author} {row.approved} {row.commit} #{row.pull} {row.origin}".lower()
    if wanted not in told or (choice.kind and (row.kind or "promotion").lower() != choice.kind):
        return False
    return not (choice.days and now and row.when and (now - row.when).days >= choice.days)
