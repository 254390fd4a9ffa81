"""penstock.yaml and the files under .penstock/: what a person declares about the pipeline.

In: documents. Out: environments as declared, freezes, holds, settled differences; problems are collected in a list that
the caller owns. The same field lists make the published JSON Schema (`schema.json`), which a test compares.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field

from penstock.merge import selecting
from penstock.model import people
from penstock.model.errors import Place, Problem
from penstock.model.notification import EVENTS, SEVERITIES, Notification
from penstock.model.pipeline import AutoRollback, Difference, Environment, Freeze, Gates, GuardPolicy, Hold, Reported, Settled
from penstock.model.values import EnvName
from penstock.source import gating, granting
from penstock.source.document import Document
from penstock.source.reading import Cursor

API_VERSION = "penstock.dev/v1alpha1"
PIPELINE_FILE = "penstock.yaml"
FOLDER = ".penstock"

ROOT_FIELDS = ("apiVersion", "kind", "metadata", "spec")
METADATA_FIELDS = ("name",)
PIPELINE_FIELDS = (
    "environments",
    "differences",
    "gates",
    "autoPromote",
    "autoMerge",
    "rollback",
    "freezes",
    "holds",
    "access",
)
ENVIRONMENT_FIELDS = (
    "name",
    "path",
    "paths",
    "cluster",
    "promoteFrom",
    "gates",
    "autoPromote",
    "autoMerge",
    "rollback",
    "evidence",
    "protected",
    "differences",
)
GUARD_POLICIES: tuple[GuardPolicy, ...] = ("allow", "warn", "block")
EVIDENCE_FIELDS = ("context", "creator")
ROLLBACK_FIELDS = ("onFailure", "after")
FREEZE_FIELDS = ("environments", "reason", "by", "since", "until")
HOLD_FIELDS = ("app", "commit", "field", "environments", "reason", "by", "until")
_FIELD_HINT = "write it like spec.replicas or '#Ingress/web spec.rules[*].host'"
NOTIFICATION_FIELDS = ("events", "environments", "apps", "severity", "to")
SETTLED_FIELDS = ("from", "to", "app", "commit")


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
    gates = gating.read(spec.at("gates"), Gates())
    default = Environment(
        name=EnvName(""),
        paths=(),
        cluster="",
        gates=gates,
        auto_promote=spec.at("autoPromote").flag(True),
        auto_merge=spec.at("autoMerge").flag(True),
        rollback=_rollback(spec.at("rollback"), AutoRollback()),
        differences=shared,
    )
    for item in spec.at("environments").items():
        if environment := _environment(item, default, into.environments):
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


def _environment(item: Cursor, default: Environment, before: Sequence[Environment]) -> Environment | None:
    """One environment; what it does not say is as in `default`."""
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
        gates=gating.read(item.at("gates"), default.gates),
        auto_promote=item.at("autoPromote").flag(default.auto_promote),
        auto_merge=item.at("autoMerge").flag(default.auto_merge),
        guard=_guard(item.at("protected")),
        rollback=_rollback(item.at("rollback"), default.rollback),
        reported=_reported(item.at("evidence"), name),
        differences=default.differences + _differences(item.at("differences")),
        place=item.at("name").place,
    )


def _clean(path: str, item: Cursor) -> str:
    """The path relative to the root of the repository, without './' before and '/' behind."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if path.startswith("/") or ".." in parts or not parts:
        item.problem(f"path {path!r} must lead to a directory inside the repository", code="BadPath")
    return "/".join(part for part in parts if part != "..")


def _differences(items: Cursor) -> tuple[Difference, ...]:
    return tuple(Difference(pattern=text, place=item.place) for item in items.items() if (text := _field(item)))


def _reported(item: Cursor, name: str) -> Reported | None:
    if not item.present:
        return None
    item.fields(EVIDENCE_FIELDS, required=("creator",))
    return Reported(context=item.at("context").text(f"kustomization/{name}/*"), creator=item.at("creator").text())


def _guard(item: Cursor) -> GuardPolicy:
    """true is block and false is warn: what they said before there were three answers."""
    if not item.present or isinstance(item.value, bool):
        return "block" if item.value else "warn"
    known = next((one for one in GUARD_POLICIES if one == item.value), None)
    if known is None:
        item.problem("unknown protected", f"true, false, {', '.join(GUARD_POLICIES[:-1])} or {GUARD_POLICIES[-1]}")
    return known or "warn"


def _rollback(item: Cursor, default: AutoRollback) -> AutoRollback:
    if not item.present:
        return default
    item.fields(ROLLBACK_FIELDS)
    asked = item.at("onFailure")
    # YAML takes off for false.
    wanted = "off" if asked.value is False else asked.text(default.on_failure)
    known = next((one for one in ("off", "propose", "merge") if one == wanted), None)
    if known is None:
        item.at("onFailure").problem(f"unknown onFailure {wanted!r}", "off, propose or merge")
    return AutoRollback(on_failure=known or default.on_failure, after=item.at("after").duration(default.after))


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
        field=_field(item.at("field")),
        reason=item.at("reason").text(),
        by=item.at("by").text(),
        until=item.at("until").instant(),
        place=item.place,
    )


def _field(item: Cursor) -> str:
    """A field as a difference names it; '' (with a problem) for what cannot be read."""
    text = item.text()
    try:
        if text:
            selecting.parse(text)
    except ValueError as error:
        item.problem(f"cannot be read as a field: {error}", _FIELD_HINT)
        return ""
    return text


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
