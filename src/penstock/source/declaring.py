"""penstock.yaml and the files under .penstock/: what a person declares about the pipeline.

In: documents. Out: environments as declared, freezes, holds, settled differences; problems are collected in a list that
the caller owns. The same field lists make the published JSON Schema (`schema.json`), which a test compares.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import time
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from penstock.merge import selecting
from penstock.model import people
from penstock.model.errors import Place, Problem
from penstock.model.notification import EVENTS, SEVERITIES, Notification
from penstock.model.pipeline import Difference, Environment, Freeze, Gates, Hold, RequiredStatus, Settled, Window
from penstock.model.values import EnvName
from penstock.source import granting
from penstock.source.document import Document
from penstock.source.reading import Cursor

API_VERSION = "penstock.dev/v1alpha1"
PIPELINE_FILE = "penstock.yaml"
FOLDER = ".penstock"

ROOT_FIELDS = ("apiVersion", "kind", "metadata", "spec")
METADATA_FIELDS = ("name",)
PIPELINE_FIELDS = ("environments", "differences", "gates", "autoPromote", "autoMerge", "freezes", "holds", "access")
ENVIRONMENT_FIELDS = (
    "name",
    "path",
    "paths",
    "cluster",
    "promoteFrom",
    "gates",
    "autoPromote",
    "autoMerge",
    "protected",
    "differences",
)
GATE_FIELDS = ("healthy", "soak", "approvals", "windows", "statuses", "references")
APPROVAL_FIELDS = ("count", "from")
WINDOW_FIELDS = ("days", "from", "to", "timeZone")
STATUS_FIELDS = ("context", "creator")
FREEZE_FIELDS = ("environments", "reason", "by", "since", "until")
HOLD_FIELDS = ("app", "commit", "environments", "reason", "by", "until")
NOTIFICATION_FIELDS = ("events", "environments", "apps", "severity", "to")
SETTLED_FIELDS = ("from", "to", "app", "commit")

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(slots=True)
class Declared:
    """What was read so far; one value while reading, never shared afterwards."""

    name: str = ""
    environments: list[Environment] = field(default_factory=list)
    freezes: list[Freeze] = field(default_factory=list)
    holds: list[Hold] = field(default_factory=list)
    settled: list[Settled] = field(default_factory=list)
    access: list[people.Grant] = field(default_factory=list)
    notifications: list[Notification] = field(default_factory=list)


def pipeline(document: Document, into: Declared, problems: list[Problem]) -> None:
    """One document of penstock.yaml."""
    root = Cursor(document, problems)
    if not _head(root, ("Pipeline", "Freeze", "Hold", "Settled", "Notification")):
        return
    if root.at("kind").value != "Pipeline":
        record(document, into, problems)
        return
    root.fields(ROOT_FIELDS, required=("spec",))
    if root.at("metadata").present:
        root.at("metadata").fields(METADATA_FIELDS)
    into.name = into.name or root.at("metadata", "name").text()
    spec = root.at("spec")
    if not spec.present:
        return
    spec.fields(PIPELINE_FIELDS, required=("environments",))
    if not isinstance(spec.value, dict):
        return
    shared = _differences(spec.at("differences"))
    gates = _gates(spec.at("gates"), Gates())
    promote, merge = spec.at("autoPromote").flag(True), spec.at("autoMerge").flag(True)
    for item in spec.at("environments").items():
        if environment := _environment(item, shared, gates, promote, merge, into.environments):
            into.environments.append(environment)
    into.freezes += [_freeze(item) for item in spec.at("freezes").items()]
    into.holds += [_hold(item) for item in spec.at("holds").items()]
    into.access += granting.grants(spec.at("access"), problems)


def record(document: Document, into: Declared, problems: list[Problem]) -> None:
    """One document of a file under .penstock/: a Freeze, a Hold, a Settled or a Notification."""
    root = Cursor(document, problems)
    if not _head(root, ("Freeze", "Hold", "Settled", "Notification")):
        return
    root.fields(ROOT_FIELDS, required=("spec",))
    spec = root.at("spec")
    match root.at("kind").value:
        case "Freeze":
            into.freezes.append(_freeze(spec))
        case "Hold":
            into.holds.append(_hold(spec))
        case "Notification":
            into.notifications.append(_notification(root))
        case _:
            spec.fields(SETTLED_FIELDS, required=("from", "to", "commit"))
            names = EnvName(spec.at("from").text()), EnvName(spec.at("to").text())
            commit = spec.at("commit").text()
            into.settled.append(
                Settled(source=names[0], target=names[1], unit=spec.at("app").text(), commit=commit, place=spec.place)
            )


def references(declared: Declared, problems: list[Problem]) -> None:
    """Names that point at no environment, and circles in promoteFrom."""
    names = [environment.name for environment in declared.environments]
    named = [
        (f"environment {one.name!r} is promoted from {name!r}, which does not exist", name, one.place)
        for one in declared.environments
        for name in one.promote_from
    ]
    guards: tuple[Freeze | Hold | people.Grant, ...] = (*declared.freezes, *declared.holds, *declared.access)
    named += [
        (f"a {type(one).__name__.lower()} names the environment {name!r}, which does not exist", EnvName(name), one.place)
        for one in guards
        for name in one.environments
    ]
    named += [
        (f"a notification names the environment {name!r}, which does not exist", EnvName(name), rule.place)
        for rule in declared.notifications
        for name in rule.environments
    ]
    problems += [_unknown(what, name, names, place) for what, name, place in named if name not in names]
    if circle := _circle(declared.environments):
        where = next(env.place for env in declared.environments if env.name == circle[0])
        what = "promoteFrom goes in a circle: " + " <- ".join(circle)
        problems.append(Problem(what=what, where=where, code="PromotionCircle"))


def ordered(environments: Sequence[Environment]) -> list[Environment]:
    """Sources before targets, otherwise as declared; a circle (reported elsewhere) stays as declared."""
    left = list(environments)
    known = {environment.name for environment in left}
    result: list[Environment] = []
    done: set[str] = set()
    while left:
        ready = next((env for env in left if all(name in done or name not in known for name in env.promote_from)), left[0])
        left.remove(ready)
        done.add(ready.name)
        result.append(ready)
    return result


def _head(root: Cursor, kinds: Sequence[str]) -> bool:
    """Whether this is a document of ours; the problem says what it should have said."""
    if not isinstance(root.value, dict):
        root.problem("this must be a mapping with apiVersion and kind")
        return False
    version, kind = root.at("apiVersion"), root.at("kind")
    if version.value != API_VERSION:
        version.problem(f"apiVersion must be {API_VERSION}", code="UnknownVersion")
    if kind.value not in kinds:
        near = difflib.get_close_matches(str(kind.value), kinds, n=1)
        kind.problem(
            "unknown kind", f"did you mean {near[0]!r}?" if near else f"kinds here: {', '.join(kinds)}", code="UnknownKind"
        )
        return False
    return True


def _environment(
    item: Cursor, shared: tuple[Difference, ...], gates: Gates, promote: bool, merge: bool, before: Sequence[Environment]
) -> Environment | None:
    item.fields(ENVIRONMENT_FIELDS, required=("name",))
    name = item.at("name").text()
    if not name:
        return None
    if any(environment.name == name for environment in before):
        item.at("name").problem(f"environment {name!r} is declared twice", code="DuplicateEnvironment")
        return None
    if item.at("path").present and item.at("paths").present:
        item.problem("'path' and 'paths' are both given", "paths: [...] holds all of them", key="path")
    listed = item.at("paths").texts()
    paths = listed or (item.at("path").text(f"clusters/{name}"),)
    return Environment(
        name=EnvName(name),
        paths=tuple(_clean(path, item) for path in paths),
        cluster=item.at("cluster").text(name),
        promote_from=tuple(EnvName(text) for text in item.at("promoteFrom").texts()),
        gates=_gates(item.at("gates"), gates),
        auto_promote=item.at("autoPromote").flag(promote),
        auto_merge=item.at("autoMerge").flag(merge),
        protected=item.at("protected").flag(False),
        differences=shared + _differences(item.at("differences")),
        place=item.at("name").place,
    )


def _clean(path: str, item: Cursor) -> str:
    """The path relative to the root of the repository, without './' before and '/' behind."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if path.startswith("/") or ".." in parts or not parts:
        item.problem(f"path {path!r} must lead to a directory inside the repository", code="BadPath")
    return "/".join(part for part in parts if part != "..")


def _differences(items: Cursor) -> tuple[Difference, ...]:
    found = []
    for item in items.items():
        if text := item.text():
            try:
                selecting.parse(text)
            except ValueError as error:
                item.problem(
                    f"cannot be read as a field: {error}", "write it like spec.replicas or '#Ingress/web spec.rules[*].host'"
                )
                continue
            found.append(Difference(pattern=text, place=item.place))
    return tuple(found)


def _gates(gates: Cursor, default: Gates) -> Gates:
    if not gates.present:
        return default
    gates.fields(GATE_FIELDS)
    approvals = gates.at("approvals")
    count, approvers = default.approvals, default.approvers
    if isinstance(approvals.value, dict):
        approvals.fields(APPROVAL_FIELDS)
        count = approvals.at("count").count(1)
        approvers = approvals.at("from").texts()
    elif approvals.present:
        count = approvals.count(default.approvals)
    windows = gates.at("windows")
    statuses = gates.at("statuses")
    return Gates(
        healthy=gates.at("healthy").flag(default.healthy),
        soak=gates.at("soak").duration(default.soak),
        approvals=count,
        approvers=approvers,
        windows=tuple(_window(item) for item in windows.items()) if windows.present else default.windows,
        statuses=tuple(_status(item) for item in statuses.items()) if statuses.present else default.statuses,
        references=gates.at("references").flag(default.references),
    )


def _status(item: Cursor) -> RequiredStatus:
    item.fields(STATUS_FIELDS, required=("context",))
    return RequiredStatus(context=item.at("context").text(), creator=item.at("creator").text())


def _window(item: Cursor) -> Window:
    item.fields(WINDOW_FIELDS, required=("from", "to", "timeZone"))
    zone = item.at("timeZone").text("UTC")
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        item.at("timeZone").problem(f"unknown time zone {zone!r}", "a name like Europe/Berlin or UTC", code="UnknownTimeZone")
        zone = "UTC"
    start, end = _time_of_day(item.at("from")), _time_of_day(item.at("to"))
    return Window(days=_days(item.at("days")), start=start, end=end, zone=zone, place=item.place)


def _time_of_day(item: Cursor) -> time:
    text = item.text("00:00")
    try:
        return time.fromisoformat("00:00" if text == "24:00" else text)
    except ValueError:
        item.problem("not a time of day", "write it like '09:00'")
        return time(0)


def _days(item: Cursor) -> tuple[int, ...]:
    """Weekdays of a list of names and ranges ('Mon-Fri'); absent: every day."""
    texts = (item.text(),) if isinstance(item.value, str) else item.texts()
    if not item.present:
        return tuple(range(7))
    days: set[int] = set()
    for text in texts:
        first, _, last = text.partition("-")
        if first not in _DAYS or (last or first) not in _DAYS:
            item.problem(f"unknown weekday {text!r}", f"names are {', '.join(_DAYS)}, ranges like Mon-Fri")
            continue
        start, end = _DAYS.index(first), _DAYS.index(last or first)
        days |= {day % 7 for day in range(start, end + 1 if end >= start else end + 8)}
    return tuple(sorted(days))


def _freeze(item: Cursor) -> Freeze:
    item.fields(FREEZE_FIELDS, required=("reason",))
    return Freeze(
        environments=item.at("environments").texts(),
        reason=item.at("reason").text(),
        by=item.at("by").text(),
        since=item.at("since").instant(),
        until=item.at("until").instant(),
        place=item.place,
    )


def _hold(item: Cursor) -> Hold:
    item.fields(HOLD_FIELDS, required=("reason",))
    return Hold(
        unit=item.at("app").text(),
        commit=item.at("commit").text(),
        environments=item.at("environments").texts(),
        reason=item.at("reason").text(),
        by=item.at("by").text(),
        until=item.at("until").instant(),
        place=item.place,
    )


def _notification(root: Cursor) -> Notification:
    spec = root.at("spec")
    spec.fields(NOTIFICATION_FIELDS, required=("to",))
    for item in spec.at("events").items():
        text = item.text()
        if text and not any(one == text or (text.endswith(".*") and one.startswith(text[:-1])) for one in EVENTS):
            near = difflib.get_close_matches(text, EVENTS, n=1)
            item.problem(f"unknown event {text!r}", f"did you mean {near[0]!r}?" if near else f"events: {', '.join(EVENTS)}")
    severity = next((one for one in SEVERITIES if one == spec.at("severity").text("info")), None)
    if severity is None:
        spec.at("severity").problem("unknown severity", f"one of {', '.join(SEVERITIES)}")
    for item in spec.at("to").items():
        if "://" in item.text() and not item.text().startswith("https://"):
            item.problem(
                "an address in Git has to be https://", "credentials never stand in Git: name a target of the fleet file"
            )
    return Notification(
        name=root.at("metadata", "name").text(),
        to=spec.at("to").texts(),
        events=spec.at("events").texts(),
        environments=spec.at("environments").texts(),
        apps=spec.at("apps").texts(),
        severity=severity or "info",
        place=spec.place,
    )


def _unknown(what: str, name: str, names: Sequence[str], where: Place | None) -> Problem:
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"environments here: {', '.join(names) or 'none'}"
    return Problem(what=what, where=where, hint=hint, code="UnknownEnvironment")


def _circle(environments: Sequence[Environment]) -> list[str] | None:
    sources = {environment.name: environment.promote_from for environment in environments}
    done: set[str] = set()

    def walk(name: EnvName, trail: list[str]) -> list[str] | None:
        if name in trail:
            return [*trail[trail.index(name) :], name]
        if name in done or name not in sources:
            return None
        for upstream in sources[name]:
            if found := walk(upstream, [*trail, name]):
                return found
        done.add(name)
        return None

    return next((found for env in environments if (found := walk(env.name, []))), None)
