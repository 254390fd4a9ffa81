"""The stages of changes, as spans. In: the report of each promotion pass. Out: spans to a tracer, each once per process.

    change web                       the commit was made ................................ healthy in the last environment
    |- sync dev                      the commit was made ... healthy in dev
    |- promote dev -> staging        the pull request was opened ... merged
    |- sync staging                  merged ... healthy in staging
    `- ...

Nothing is kept: every pass computes the stages that are over from Git and from what the clusters show, and ids are computed
from commits, so a restart loses and doubles nothing that ended within the last hour.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from penstock.controllers.promotion import Report
from penstock.controllers.promotion_cases import Survey, fault
from penstock.controllers.promotion_history import History, unit_paths
from penstock.model import condition, flux
from penstock.model.errors import PenstockError
from penstock.model.pipeline import Environment
from penstock.model.values import CommitId, EnvName
from penstock.ports.repo import Commit, RepoReader
from penstock.ports.tracer import Tracer
from penstock.promote import evidence, records, tracing

_log = logging.getLogger(__name__)
_BACK = timedelta(hours=1)
"""Stages that ended longer before the first look are old news."""
_KNOWN = 20_000


@dataclass(slots=True, kw_only=True)
class Stages:
    """Watches the changes of one repository."""

    repo: RepoReader
    history: History
    tracer: Tracer
    _report: Report | None = None
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _told: set[str] = field(default_factory=set)
    _opened: dict[tuple[EnvName, str], datetime] = field(default_factory=dict)
    _since: datetime | None = None
    _busy: bool = False

    @property
    def idle(self) -> bool:
        """Whether every report was looked at."""
        return self._report is None and not self._busy

    def observe(self, report: Report) -> None:
        """Take a report; returns at once."""
        for case in report.survey.cases:
            if case.pull is not None:
                self._opened[(case.target.name, case.unit)] = case.pull.created
        self._report = report
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            report, self._report = self._report, None
            if report is None:
                continue
            self._busy = True
            try:
                await asyncio.to_thread(self.tell, report.survey)
            except PenstockError as error:
                _log.warning("traces: %s", error.what)
            except Exception as error:
                _log.error("traces: %s", fault(error))
            finally:
                self._busy = False

    def tell(self, survey: Survey) -> None:
        """Hand on the stages that are over and were not told yet."""
        since = self._since = self._since or survey.now - _BACK
        spans = [one for one in self.spans(survey) if one.end >= since and one.id not in self._told]
        if len(self._told) > _KNOWN:
            self._told.clear()
        self._told |= {one.id for one in spans}
        if spans:
            self.tracer.export(spans)

    def spans(self, survey: Survey) -> Iterator[tracing.Span]:
        """Every stage that is over, of the newest change of each unit in each environment."""
        sources = {name for env in survey.repository.environments for name in env.promote_from}
        for environment in survey.repository.environments:
            seen = survey.seen.get(environment.name)
            live = _live(seen.manifest) if seen is not None and seen.manifest else None
            # The remainder is all directories, also those of apps: it has changes of its own only where there are no apps.
            for unit in [one for one in environment.units if one.kind == "app"] or environment.units:
                arrived = self.history.newest(unit_paths(environment, unit.name), survey.tip)
                origin = self.history.origin(environment, unit.name, survey.tip, survey.repository)
                if arrived is None or origin is None:
                    continue
                context = tracing.context_of(origin.id, origin.message)
                yield from self._promoted(context, environment, unit.name, arrived)
                if live is None or not self._in(arrived.id, live[0]):
                    continue
                yield self._synced(context, environment, unit.name, arrived, live)
                if environment.name not in sources and arrived.id != origin.id:
                    yield self._whole(context, unit.name, origin, live[1])

    def _promoted(self, context: tracing.Context, environment: Environment, unit: str, commit: Commit) -> Iterator[tracing.Span]:
        promotion = next(
            (one for one in self.history.record(commit).promotions if (one.unit, one.target) == (unit, environment.name)), None
        )
        if promotion is None:
            return
        end = commit.committer.when
        opened = self._opened.get((environment.name, unit)) or _evident(promotion) or commit.author.when
        yield tracing.Span(
            name=f"promote {promotion.source} -> {environment.name}",
            trace=context.trace,
            id=tracing.stage(context, "promote", environment.name, unit, commit.id),
            parent=context.root,
            start=min(opened, end),
            end=end,
            attributes={
                **_about(environment.name, unit, commit.id),
                "penstock.source": promotion.source,
                "penstock.pull_request": promotion.pull,
                "penstock.approvals": len(promotion.approved_by),
                "penstock.digest": promotion.digest,
            },
        )

    def _synced(
        self, context: tracing.Context, environment: Environment, unit: str, commit: Commit, live: tuple[CommitId, datetime]
    ) -> tracing.Span:
        began = commit.committer.when
        return tracing.Span(
            name=f"sync {environment.name}",
            trace=context.trace,
            id=tracing.stage(context, "sync", environment.name, unit, commit.id),
            parent=context.root,
            start=began,
            end=max(began, live[1]),
            attributes=_about(environment.name, unit, commit.id),
        )

    def _whole(self, context: tracing.Context, unit: str, origin: Commit, end: datetime) -> tracing.Span:
        return tracing.Span(
            name=f"change {records.title_of(unit)}",
            trace=context.trace,
            id=context.root,
            parent=context.parent,
            start=origin.author.when,
            end=max(origin.author.when, end),
            attributes={"penstock.unit": unit, "vcs.ref.head.revision": origin.id},
        )

    def _in(self, commit: CommitId, applied: CommitId) -> bool:
        try:
            return self.repo.is_ancestor(commit, applied)
        except PenstockError:
            return False


def _about(environment: str, unit: str, commit: str) -> dict[str, str | int]:
    return {"penstock.environment": environment, "penstock.unit": unit, "vcs.ref.head.revision": commit}


def _live(manifest: dict[str, Any]) -> tuple[CommitId, datetime] | None:
    """What a Kustomization says it runs healthy, and since when."""
    ready = condition.of(manifest).get(flux.READY)
    applied = evidence.applied_commit(manifest.get("status") or {})
    if ready is None or ready.status != "True" or applied is None:
        return None
    since = evidence.moment(ready.since)
    return (applied, since) if since else None


def _evident(promotion: records.Promotion) -> datetime | None:
    """When it was found to have run healthy upstream: the earliest that a pull request could be open."""
    words = promotion.evidence.split(" ")
    return evidence.moment(words[2].partition("/")[0]) if len(words) > 2 else None
