"""What people are told about, taken out of a survey of promotions. In: a survey, the history. Out: `notify` facts.

Environments are told from their Kustomization's own status, so that it makes no difference whether Penstock or Flux syncs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from penstock.controllers import promotion_merges
from penstock.controllers.promotion_cases import Case, Survey
from penstock.controllers.promotion_history import History
from penstock.controllers.promotion_rendering import Seen, sync_name
from penstock.model import condition, flux
from penstock.model.errors import RefusedError
from penstock.model.pipeline import REMAINDER, Environment, Freeze, Hold
from penstock.notify import facts
from penstock.ports.repo import Commit, RepoReader
from penstock.promote import records

_LOOKED_AT = 20
_REVISION = re.compile(r"[:/]([0-9a-f]{40}(?:[0-9a-f]{24})?)$")
_DRIFTED = "Drifted"
_HELD = "prune is held: "
_MOVING = frozenset({flux.PROGRESSING, flux.PROGRESSING_WITH_RETRY, flux.DEPENDENCY_NOT_READY, flux.HEALTH_CHECK_CANCELED})


@dataclass(slots=True, kw_only=True)
class Gatherer:
    """Gathers from one repository; remembers commits, which never change."""

    fleet: str
    repo: RepoReader
    history: History
    _landed: dict[tuple[str, str], tuple[facts.Landed, ...]] = field(default_factory=dict)

    def gather(self, survey: Survey) -> facts.Facts:
        """The facts of one survey."""
        environments = survey.repository.environments
        return facts.Facts(
            fleet=survey.repository.name or self.fleet,
            environments=tuple(environment(one, survey.seen[one.name]) for one in environments if one.name in survey.seen),
            promotions=tuple(_promotion(case) for case in survey.cases if not case.change.empty),
            landed=tuple(one for env in environments if env.promote_from for one in self._newest(env, survey)),
            guards=tuple(_guards(survey)),
        )

    def _newest(self, environment: Environment, survey: Survey) -> Iterator[facts.Landed]:
        for landed in list(self.history.landed(environment, survey.tip))[:_LOOKED_AT]:
            key = environment.name, landed.commit
            if key not in self._landed:
                found = self._one(environment, landed)
                if found is None:
                    continue
                self._landed[key] = found
            yield from self._landed[key]

    def _one(self, environment: Environment, landed: records.Landed) -> tuple[facts.Landed, ...] | None:
        """What a commit was here; None while it is not judged yet, () when it changed nothing here."""
        commit = self.repo.commit(landed.commit)
        found = []
        for promotion in landed.record.promotions:
            if promotion.target != environment.name:
                continue
            note = promotion_merges.read(self.repo.note(promotion_merges.NOTES, landed.commit))
            if note is None and not promotion.evidence:
                return None
            found.append(_merged(environment, commit, promotion, note))
        back = [one.unit for one in landed.record.rollbacks if one.target == environment.name]
        found += [_outside(environment, commit, unit, "rollback") for unit in back]
        if not found and (unit := self._edited(environment, commit)):
            found.append(_outside(environment, commit, unit, "bypass"))
        return tuple(found)

    def _edited(self, environment: Environment, commit: Commit) -> str:
        """The unit that a commit of its own changed in an environment; '' for a record, a first commit, or nothing."""
        if not commit.parents:
            return ""
        try:
            before, after = self.repo.tree(commit.parents[0]), self.repo.tree(commit.id)
        except RefusedError:
            return ""

        def differs(path: str) -> bool:
            sides = before.entry(path), after.entry(path)
            return [one.id if one else None for one in sides[:1]] != [one.id if one else None for one in sides[1:]]

        apps = [unit.name for unit in environment.units if unit.kind == "app" and any(map(differs, unit.directories))]
        if apps:
            return apps[0] if len(apps) == 1 else REMAINDER
        return REMAINDER if any(map(differs, environment.paths)) else ""


def environment(env: Environment, seen: Seen) -> facts.Environment:
    """How an environment is, by its Kustomization."""
    namespace, name = sync_name(env)
    shown = f"{namespace}/{name}"
    if seen.problem:
        return facts.Environment(name=env.name, state="silent", why=seen.problem, object=shown)
    if seen.manifest is None:
        return facts.Environment(name=env.name, state="absent", object=shown)
    status = seen.manifest.get("status") or {}
    conditions = condition.of(seen.manifest)
    ready, drifted = conditions.get(flux.READY), conditions.get(_DRIFTED)
    state: facts.State = "moving"
    revision = str(status.get("lastAttemptedRevision") or status.get("lastAppliedRevision") or "")
    why = held = ""
    if ready is not None and ready.status == "True":
        state, revision = "healthy", str(status.get("lastAppliedRevision") or revision)
    elif ready is not None and ready.status == "False" and ready.reason not in _MOVING:
        if ready.message.startswith(_HELD):
            held = ready.message.removeprefix(_HELD)
        else:
            state, why = "failing", f"{ready.reason}: {ready.message}"
    found = _REVISION.search(revision)
    return facts.Environment(
        name=env.name,
        state=state,
        commit=found[1] if found else "",
        why=why,
        drift=drifted.message.removeprefix("drifted: ") if drifted is not None and drifted.status == "True" else "",
        held=held,
        object=shown,
    )


def _promotion(case: Case) -> facts.Promotion:
    newest = case.commits[0] if case.commits else None
    waits = [one.text for one in case.verdicts if one.state != "passed" and one.who == "person"]
    if case.pull is not None and not waits and case.decision.action == "wait" and case.decision.who == "person":
        waits = [case.decision.reason]
    return facts.Promotion(
        unit=case.unit,
        source=case.source.name,
        target=case.target.name,
        commit=newest.commit if newest else case.change.commit,
        subject=newest.subject if newest else "",
        author=newest.author if newest else "",
        pull=case.pull.number if case.pull else 0,
        url=case.pull.url if case.pull else "",
        conflicts=len(case.change.conflicts),
        waits=tuple(waits),
    )


def _merged(env: Environment, commit: Commit, promotion: records.Promotion, note: promotion_merges.Merge | None) -> facts.Landed:
    number = promotion.pull.removeprefix("#")
    return facts.Landed(
        commit=commit.id,
        environment=env.name,
        unit=promotion.unit,
        kind="bypass" if note is not None and note.bypassed else "promotion",
        source=promotion.source,
        subject=commit.subject,
        author=commit.author.name,
        by=(note.by if note else "") or ", ".join(promotion.approved_by),
        past=note.bypassed if note else (),
        pull=int(number) if number.isdecimal() and len(number) < 10 else 0,
    )


def _outside(env: Environment, commit: Commit, unit: str, kind: facts.Kind) -> facts.Landed:
    author = commit.author.name
    return facts.Landed(
        commit=commit.id, environment=env.name, unit=unit, kind=kind, subject=commit.subject, author=author, by=author
    )


def _guards(survey: Survey) -> Iterator[facts.Guard]:
    now = survey.now
    for freeze in survey.repository.freezes:
        if (freeze.since is None or freeze.since <= now) and (freeze.until is None or now < freeze.until):
            yield _guard(freeze, "freeze", "")
    for hold in survey.repository.holds:
        if hold.until is None or now < hold.until:
            yield _guard(hold, "hold", hold.unit or (hold.commit[:7] if hold.commit else ""))


def _guard(one: Freeze | Hold, kind: str, what: str) -> facts.Guard:
    where = ", ".join(one.environments)
    about = f"{what} in {where}" if what and where else what or where or "everything"
    until: datetime | None = one.until
    return facts.Guard(
        kind="freeze" if kind == "freeze" else "hold",
        about=about,
        reason=one.reason,
        by=one.by,
        until=until.isoformat() if until else "",
        environments=tuple(one.environments),
        unit=one.unit if isinstance(one, Hold) else "",
    )
