"""The app's values as views: pure functions, one for each thing that is shown.

In: status, cases, manifests, log entries. Out: views, in the words of `penstock status` and `explain`.
"""

from __future__ import annotations

import hashlib
import statistics
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from penstock.app import environment as environments
from penstock.app import log as logs
from penstock.app import lookout, status
from penstock.model import condition
from penstock.model.pipeline import REMAINDER
from penstock.model.resource import Manifest
from penstock.model.values import EnvName, Missing
from penstock.promote import evidence, gates
from penstock.web import insides, views

_MARKS: Mapping[status.State, views.Mark] = {
    "live": "live",
    "moving": "moving",
    "person": "person",
    "failing": "broken",
    "unknown": "unknown",
    "absent": "absent",
}
_HEALTH: Mapping[str, views.Mark] = {
    "Current": "live",
    "InProgress": "moving",
    "Failed": "broken",
    "Terminating": "moving",
    "NotFound": "broken",
    "Unknown": "unknown",
}
_FIGURES = timedelta(days=30)


def _past(entry: logs.Entry) -> str:
    """Who merged it by hand, and past what."""
    if not entry.merged_by and not entry.bypassed:
        return ""
    past = f" past {', '.join(entry.bypassed)}" if entry.bypassed else ""
    return f"merged by {entry.merged_by or 'hand'}{past}"


def figures(entries: Sequence[logs.Entry], now: datetime, counted: int) -> insides.Figures:
    """What the last days add up to; `counted`: how many entries were read at most."""
    recent = [one for one in entries if now - one.when <= _FIGURES]
    lead = [one.lead_time for one in recent if one.lead_time is not None]
    return insides.Figures(
        days=_FIGURES.days,
        changes=len(recent),
        per_week=f"{len(recent) * 7 / _FIGURES.days:.1f}" if recent else "",
        failed=_failed(recent),
        restored=gates.span(statistics.median_low(restored)) if (restored := _restored(recent, entries)) else "",
        median_lead_time=gates.span(statistics.median_low(lead)) if lead else "",
        bypasses=sum(1 for one in recent if one.kind == "bypass"),
        rollbacks=sum(1 for one in recent if one.kind == "rollback"),
        more=len(recent) == counted,
    )


def _failed(recent: Sequence[logs.Entry]) -> str:
    """DORA's change failure rate, as far as Git tells: rollbacks among what is no rollback itself."""
    back = sum(1 for one in recent if one.kind == "rollback")
    forth = len(recent) - back
    return f"{100 * back / forth:.0f} %" if forth else ""


def _restored(recent: Sequence[logs.Entry], entries: Sequence[logs.Entry]) -> list[timedelta]:
    """For every rollback, how long the change before it was live; entries are newest first."""
    found = []
    for one in recent:
        if one.kind == "rollback":
            before = next((other for other in entries if other.unit == one.unit and other.when < one.when), None)
            if before is not None:
                found.append(one.when - before.when)
    return found


def log_row(entry: logs.Entry) -> insides.LogRow:
    number = entry.pull.lstrip("#")
    return insides.LogRow(
        when=entry.when,
        app=title(entry.unit),
        change=entry.subject,
        author=entry.author,
        commit=entry.commit,
        origin=entry.source or "",
        pull=int(number) if number.isascii() and number.isdigit() else 0,
        approved=", ".join(entry.approved_by),
        detail=_past(entry),
        kind=entry.kind.upper() if entry.kind in ("bypass", "rollback") else "",
        healthy=gates.span(entry.healthy_after) if entry.healthy_after is not None else "",
        lead_time=gates.span(entry.lead_time) if entry.lead_time is not None else "",
    )


def journey(entry: logs.Entry, environment: str) -> views.Journey:
    row = log_row(entry)
    return views.Journey(
        environment=environment,
        when=row.when,
        change=row.change,
        author=row.author,
        commit=row.commit,
        kind=row.kind,
        pull=row.pull,
        lead_time=row.lead_time,
    )


def guards(look: lookout.Look, unit: str | None, environment: str = "") -> tuple[views.Guard, ...]:
    """Freezes and holds in force that concern a unit, or an environment."""
    repository, now = look.survey.repository, look.status.now
    freezes = [
        views.Guard(
            kind="freeze",
            reason=one.reason,
            by=one.by,
            until=one.until,
            environments=one.environments,
            place=one.place.path if one.place else "",
        )
        for one in repository.freezes
        if (one.until is None or one.until > now) and (one.since is None or one.since <= now)
    ]
    holds = [
        views.Guard(
            kind="hold",
            reason=one.reason,
            by=one.by,
            until=one.until,
            environments=one.environments,
            unit=title(one.unit) if one.unit else "",
            place=one.place.path if one.place else "",
        )
        for one in repository.holds
        if (one.until is None or one.until > now) and (unit is None or one.unit in ("", unit))
    ]
    return tuple(one for one in (*freezes, *holds) if not environment or not one.environments or environment in one.environments)


def title(unit: str) -> str:
    """A unit's name here; that of what belongs to no app is none that an app is likely to have."""
    return "the environment" if unit == REMAINDER else unit


def problems(look: lookout.Look) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*look.problems, *look.status.problems)))


def environment_head(look: lookout.Look, name: EnvName) -> views.Head:
    """An environment as its Kustomization tells, in Flux's words."""
    if name in look.silent:
        return views.Head(name=name, mark="unknown", words="not known", detail=look.silent[name])
    manifest = look.manifests.get(name)
    if manifest is None:
        return views.Head(name=name, mark="person", words="not synced", detail="its Kustomization is not in the cluster")
    status_ = manifest.get("status") or {}
    conditions = condition.of(manifest)
    ready, stalled = conditions.get("Ready"), conditions.get("Stalled")
    applied = evidence.applied_commit(status_)
    shown = views.Commit(id=applied) if applied else None
    if (manifest.get("spec") or {}).get("suspend"):
        return views.Head(name=name, mark="person", words="suspended", commit=shown)
    if ready is None or ready.status == "Unknown":
        reconciling = conditions.get("Reconciling")
        message = reconciling.message if reconciling else ready.message if ready else ""
        return views.Head(name=name, mark="moving", words="reconciling", commit=shown, detail=message)
    since = evidence.moment(ready.since)
    if ready.status == "False" or (stalled is not None and stalled.status == "True"):
        return views.Head(name=name, mark="broken", words=ready.reason, commit=shown, since=since, detail=ready.message)
    return views.Head(name=name, mark="live", words="ready", commit=shown, since=since)


def _commit(id_: str | None, subject: str) -> views.Commit | None:
    return views.Commit(id=id_, subject=subject) if id_ else None


def _waits(waits: Iterable[status.Waiting]) -> tuple[views.Gate, ...]:
    return tuple(
        views.Gate(mark="broken" if one.failed else "person" if one.who == "person" else "moving", text=one.what, until=one.until)
        for one in waits
    )


def board_cell(cell: status.Cell) -> views.Cell:
    pending = cell.pending
    pull = views.PullLink(number=pending.pull) if pending and pending.pull else None
    detail = [cell.problem] if cell.problem else []
    words = cell.health or ("not there" if cell.state == "absent" else "")
    if pending is not None:
        words = f"{words}, {_proposed(pending)}" if cell.state in ("failing", "unknown") and words else _proposed(pending)
        if pending.conflicts or not pending.waits:
            detail.append(pending.reason)
    return views.Cell(
        environment=cell.environment,
        mark=_MARKS[cell.state],
        words=words,
        commit=_commit(cell.commit, cell.subject),
        since=cell.since if pending is None else None,
        pull=pull,
        waits=_waits(pending.waits) if pending and not pending.conflicts else (),
        detail=tuple(detail),
    )


def _proposed(pending: status.Pending) -> str:
    if pending.conflicts:
        count = pending.conflicts
        return f"{count} field{'s' if count > 1 else ''} in conflict"
    if not pending.pull:
        return f"{pending.commit[:7]} waits in {pending.source}"
    return f"PR #{pending.pull} {'draft' if pending.draft else 'open' if pending.waits else 'ready'}"


def gate(one: gates.Verdict) -> views.Gate:
    mark: views.Mark = views.GATE_MARKS[one.state]
    return views.Gate(mark="person" if one.state == "waiting" and one.who == "person" else mark, text=one.text, until=one.until)


def case_mark(case: lookout.Case) -> views.Mark:
    if case.change.conflicts or case.decision.draft:
        return "person"
    if any(one.state == "failed" for one in case.verdicts):
        return "broken"
    return "person" if case.decision.who == "person" else "moving"


def on_its_way(case: lookout.Case) -> views.Pending:
    return views.Pending(
        unit=title(case.unit),
        source=case.source.name,
        target=case.target.name,
        mark=case_mark(case),
        words=case.decision.reason,
        title=case.pull.title if case.pull else "",
        number=case.pull.number if case.pull else 0,
        gates=tuple(gate(one) for one in case.verdicts if one.state == "passed"),
    )


def step(cell: status.Cell, case: lookout.Case | None, look: lookout.Look) -> views.Step:
    shown = board_cell(cell)
    manifest = look.manifests.get(cell.environment)
    proof = ""
    if cell.health == "healthy" and manifest is not None:
        digest = _digest(manifest)
        generation = (manifest.get("metadata") or {}).get("generation")
        proof = f"Kustomization {cell.environment}, digest {digest[:15]}…, generation {generation}" if digest else ""
    return views.Step(
        environment=shown.environment,
        mark=shown.mark,
        words=shown.words,
        commit=shown.commit,
        since=cell.since,
        pull=shown.pull,
        evidence=proof,
        gates=tuple(map(gate, case.verdicts)) if case else (),
        detail=shown.detail,
    )


def sentence(row: status.Row, look: lookout.Look) -> str:
    """'web: 4be1c02 "raise checkout timeout" is live in dev, not yet in staging, not yet in prod.'"""
    first = next((cell for cell in row.cells if cell.commit), None)
    if first is None or first.commit is None:
        return f"{title(row.unit)} is not live anywhere."
    behind = {cell.environment for cell in row.cells if cell.pending is not None}
    parts = []
    for cell in row.cells:
        if cell.state == "absent" and cell.pending is None:
            parts.append(f"not in {cell.environment}")
        elif cell.environment in behind or _behind(row, cell, look):
            parts.append(f"not yet in {cell.environment}")
        else:
            parts.append(f"{_MEANS.get(cell.health, 'in')} {cell.environment}")
    return f'{title(row.unit)}: {first.commit[:7]} "{first.subject}" is {", ".join(parts)}.'


_MEANS = {"healthy": "live in", "syncing": "on its way into", "failing": "failing in", "unknown": "perhaps in"}


def _behind(row: status.Row, cell: status.Cell, look: lookout.Look) -> bool:
    """Whether an environment further up still waits for this unit: what is newest cannot be here then."""
    order = list(look.status.environments)
    before = order[: order.index(cell.environment)]
    return any(one.pending is not None for one in row.cells if one.environment in before)


def what_next(cases: Iterable[lookout.Case]) -> str:
    """What the first step that is not done waits for."""
    for case in cases:
        where = f"PR #{case.pull.number} to {case.target.name}" if case.pull else case.target.name
        return f"{where}: {case.decision.reason}"
    return ""


def text_of(value: str | Missing) -> str:
    return "–" if isinstance(value, Missing) else value


def conflict_rows(case: lookout.Case) -> tuple[views.ConflictRow, ...]:
    return tuple(
        views.ConflictRow(
            field=str(one),
            kind=one.kind,
            base=text_of(one.base),
            source=text_of(one.source),
            target=text_of(one.target),
            source_place=str(one.source_place or ""),
            target_place=str(one.target_place or ""),
        )
        for one in case.change.conflicts
    )


def to_decide(case: lookout.Case) -> views.Conflicts:
    rows = conflict_rows(case)
    told = [case.unit, case.change.content, *(f"{row.field}\0{row.source}\0{row.target}" for row in rows)]
    stamp = hashlib.sha256("\1".join(told).encode()).hexdigest()[:24]
    return views.Conflicts(source=case.source.name, target=case.target.name, rows=rows, stamp=stamp)


def environment_page(
    head: views.Head,
    manifest: Manifest,
    inside: environments.Inside,
    revisions: tuple[views.Revision, ...] = (),
    guarded: tuple[views.Guard, ...] = (),
) -> insides.EnvironmentPage:
    spec, status_ = manifest.get("spec") or {}, manifest.get("status") or {}
    metadata = manifest.get("metadata") or {}
    history: Sequence[Mapping[str, object]] = tuple(status_.get("history", ()))
    attempted = str(status_.get("lastAttemptedRevision") or "")
    applied = str(status_.get("lastAppliedRevision") or "")
    return insides.EnvironmentPage(
        name=head.name,
        mark=head.mark,
        words=head.words,
        kustomization=f"{metadata.get('namespace')}/{metadata.get('name')}",
        path=str(spec.get("path") or ""),
        interval=str(spec.get("interval") or ""),
        suspended=bool(spec.get("suspend")),
        commit=head.commit,
        attempted="" if attempted == applied else attempted.rpartition(":")[2][:7],
        digest=_digest(manifest),
        conditions=tuple(
            insides.ConditionRow(
                type=one.type, status=one.status, reason=one.reason, message=one.message, since=evidence.moment(one.since)
            )
            for one in condition.of(manifest)
        ),
        objects=tuple(map(_object, inside.objects)),
        events=tuple(
            insides.EventRow(type=one.type, reason=one.reason, message=one.message, when=one.when, count=one.count)
            for one in inside.events
        ),
        history=tuple(map(_reconcile, history)),
        revisions=revisions,
        guards=guarded,
        problems=inside.problems,
    )


def _digest(manifest: Manifest) -> str:
    """What was reconciled last."""
    newest: Mapping[str, object] = next(iter((manifest.get("status") or {}).get("history") or ()), {})
    return str(newest.get("digest") or "")


def _object(one: environments.Owned) -> insides.ObjectRow:
    health = one.health
    return insides.ObjectRow(
        kind=one.id.kind,
        group=one.id.group,
        namespace=one.id.namespace,
        name=one.id.name,
        mark=_HEALTH[health.status],
        health=health.status if health.status != "Unknown" else "not known",
        message=health.message if health.status != "Current" else "",
    )


def _reconcile(item: Mapping[str, object]) -> insides.ReconcileRow:
    count = item.get("totalReconciliations")
    return insides.ReconcileRow(
        digest=str(item.get("digest") or ""),
        status=str(item.get("lastReconciledStatus") or ""),
        first=evidence.moment(item.get("firstReconciled")),
        last=evidence.moment(item.get("lastReconciled")),
        count=count if isinstance(count, int) else 0,
        duration=str(item.get("lastReconciledDuration") or ""),
    )
