"""Hand-made facts in every shape a page can meet, for tests that are about the pages and not about a fleet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from penstock.model.errors import RefusedError
from penstock.model.people import Grant
from penstock.web import acting, insides, views

NOW = datetime(2026, 3, 2, 14, 13, 0, tzinfo=UTC)
SHA = "4be1c02a7f0d4c8e9b1a2c3d4e5f60718293a4b5"
OLD = "9d20f71b6e5d4c3b2a1908f7e6d5c4b3a2918070"


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


def board(**changes: object) -> views.Board:
    """The board of the sketch: one app moving, one waiting for a merge, one failing."""
    raised = views.Commit(id=SHA, subject="raise checkout timeout", author="web-dev", when=ago(minutes=12))
    before = views.Commit(id=OLD, subject="new pricing")
    lines = (
        views.Line(
            app="web",
            cells=(
                views.Cell(environment="dev", mark="live", words="healthy", commit=raised, since=ago(minutes=11)),
                views.Cell(
                    environment="staging",
                    mark="person",
                    words="PR #14 open",
                    commit=before,
                    pull=views.PullLink(number=14),
                    waits=(
                        views.Gate(mark="moving", text="soak 11 min of 30 min", until=NOW + timedelta(minutes=19)),
                        views.Gate(mark="person", text="0 of 1 approval from team web"),
                    ),
                ),
                views.Cell(environment="prod", mark="live", words="healthy", commit=before, since=ago(days=3)),
            ),
        ),
        views.Line(
            app="api",
            cells=(
                views.Cell(environment="dev", mark="live", words="healthy", commit=before, since=ago(hours=2)),
                views.Cell(environment="staging", mark="live", words="healthy", commit=before, since=ago(hours=1)),
                views.Cell(
                    environment="prod", mark="moving", words="PR #13 ready", commit=before, pull=views.PullLink(number=13)
                ),
            ),
        ),
        views.Line(
            app="cron",
            cells=(
                views.Cell(
                    environment="dev",
                    mark="broken",
                    words="failing",
                    commit=raised,
                    since=ago(minutes=11),
                    detail=("Job/cron/report: ImagePullBackOff", "clusters/dev/apps/cron/job.yaml:14"),
                ),
                views.Cell(environment="staging", mark="live", words="healthy", commit=before, since=ago(hours=1)),
                views.Cell(environment="prod", mark="unknown", words="unknown", detail=("its cluster does not answer",)),
            ),
        ),
        views.Line(
            app="quiet",
            cells=(
                views.Cell(environment="dev", mark="live", words="healthy", commit=before, since=ago(days=9)),
                views.Cell(environment="staging", mark="live", words="healthy", commit=before, since=ago(days=8)),
                views.Cell(environment="prod", mark="absent", words="not there"),
            ),
        ),
    )
    facts: dict[str, object] = {
        "fleet": "fleet",
        "branch": "main",
        "tip": raised,
        "heads": (
            views.Head(name="dev", mark="broken", words="HealthCheckFailed", commit=raised, since=ago(minutes=11)),
            views.Head(name="staging", mark="live", words="ready", commit=raised, since=ago(hours=1)),
            views.Head(name="prod", mark="unknown", words="not known", detail="connection refused"),
        ),
        "lines": lines,
        "pending": (
            views.Pending(
                unit="web",
                source="dev",
                target="staging",
                mark="person",
                words="soak 11 min of 30 min; 0 of 1 approval from team web",
                title="Promote web: dev → staging (raise checkout timeout)",
                number=14,
                gates=(views.Gate(mark="live", text="healthy in dev, live as 4be1c02"),),
            ),
            views.Pending(
                unit="api",
                source="staging",
                target="prod",
                mark="moving",
                words="every gate is green",
                title="Promote api: staging → prod (new pricing)",
                number=13,
            ),
            views.Pending(unit="cron", source="dev", target="staging", mark="broken", words="not healthy in dev"),
        ),
    }
    return views.Board(**(facts | changes))  # type: ignore[arg-type]


def promotion(**changes: object) -> views.PromotionPage:
    """The pull request of the sketch."""
    image = "spec.template.spec.containers[name=web].image"
    facts: dict[str, object] = {
        "number": 14,
        "title": "Promote web: dev → staging (raise checkout timeout)",
        "url": "http://127.0.0.1:1/platform/fleet/pulls/14",
        "state": "open",
        "draft": False,
        "author": "penstock",
        "head": SHA,
        "branch": "penstock/promote/staging/web",
        "base": "main",
        "created": ago(minutes=8),
        "unit": "web",
        "source": "dev",
        "target": "staging",
        "mark": "person",
        "words": "0 of 1 approval",
        "verdict": "Same configuration as dev@4be1c02, except 2 declared differences.",
        "same": True,
        "rows": (
            views.FieldRow(
                object="Deployment/web", field=image, source="web:1.5.0", before="web:1.4.2", after="web:1.5.0", state="promoted"
            ),
            views.FieldRow(
                object="ConfigMap/web",
                field="data.checkout_timeout",
                source="20s",
                before="10s",
                after="20s",
                state="promoted",
            ),
            views.FieldRow(
                object="Deployment/web",
                field="spec.replicas",
                source="1",
                before="2",
                after="2",
                state="declared",
                meaning="kept, declared in penstock.yaml:18",
            ),
        ),
        "gates": (
            views.Gate(mark="live", text="healthy in dev, live as 4be1c02"),
            views.Gate(mark="moving", text="soak 11 min of 30 min", until=NOW + timedelta(minutes=19)),
            views.Gate(mark="person", text="0 of 1 approval"),
        ),
        "commits": (views.Commit(id=SHA, subject="raise checkout timeout", author="Dana Developer"),),
        "authors": (("Dana Developer", "dana@shop.example"),),
        "reviews": (
            views.ReviewRow(user="reviewer", state="changes_requested", commit=OLD, when=ago(minutes=6), body="why 20s?"),
        ),
        "statuses": (views.StatusRow(context="penstock/soak", state="pending", description="11 of 30 min"),),
        "body": "**Same configuration as dev@4be1c02**\n\n| a | b |\n",
    }
    return views.PromotionPage(**(facts | changes))  # type: ignore[arg-type]


def long_rows() -> tuple[views.FieldRow, ...]:
    """A value of many lines that changed in the middle, and an object that is new."""
    before = [f"setting.{number} = {number * 7 % 13}" for number in range(1, 41)]
    after = [*before[:19], "setting.20 = 99", "setting.20b = new", *before[21:]]
    return (
        views.FieldRow(
            object="ConfigMap/web",
            field="data.application.properties",
            source="\n".join(after),
            before="\n".join(before),
            after="\n".join(after),
            state="promoted",
        ),
        views.FieldRow(
            object="Service/web-metrics",
            field="",
            source="apiVersion: v1\nkind: Service\nmetadata:\n  name: web-metrics",
            before="–",
            after="apiVersion: v1\nkind: Service\nmetadata:\n  name: web-metrics",
            state="promoted",
        ),
    )


def app(name: str, **changes: object) -> views.AppPage:
    commit = views.Commit(id=SHA, subject="raise checkout timeout")
    page = views.AppPage(
        name=name,
        sentence=f'{name}: 4be1c02 "raise checkout timeout" is live in dev, not yet in staging, not yet in prod.',
        next="one approval on #14",
        steps=(
            views.Step(
                environment="dev",
                mark="live",
                words="healthy",
                commit=commit,
                since=ago(minutes=11),
                evidence="Kustomization dev, digest sha256:1f0c…, generation 9",
            ),
            views.Step(
                environment="staging",
                mark="person",
                words="PR #14 open",
                pull=views.PullLink(number=14),
                gates=(
                    views.Gate(mark="live", text="healthy in dev"),
                    views.Gate(mark="person", text="0 of 1 approval from team web"),
                ),
            ),
            views.Step(environment="prod", mark="live", words="healthy", since=ago(days=3), detail=("after staging",)),
        ),
        conflicts=(conflicts(),),
        path=(
            views.Journey(environment="dev", when=ago(minutes=12), change="raise checkout timeout", author="web-dev", commit=SHA),
            views.Journey(
                environment="prod",
                when=ago(days=3),
                change="new pricing",
                author="web-dev",
                commit=OLD,
                pull=11,
                lead_time="2 h 2 min",
            ),
        ),
        revisions=(
            views.Revision(environment="staging", commit=OLD, subject="new pricing", when=ago(days=3)),
            views.Revision(environment="prod", commit=OLD, subject="new pricing", when=ago(days=9)),
        ),
        guards=(views.Guard(kind="hold", reason="waits for the partner", by="ops", environments=("prod",), unit=name),),
        promoted_into=("staging", "prod"),
    )
    return replace(page, **changes)  # type: ignore[arg-type]


def conflicts() -> views.Conflicts:
    """One field that both sides changed."""
    return views.Conflicts(
        source="dev",
        target="staging",
        stamp="0123456789abcdef",
        rows=(
            views.ConflictRow(
                field="#ConfigMap/web data.checkout_timeout",
                kind="changed-both",
                base="10s",
                source="20s",
                target="60s",
                source_place="clusters/dev/apps/web/config.yaml:9",
                target_place="clusters/staging/apps/web/config.yaml:11",
            ),
        ),
    )


def environment(name: str) -> insides.EnvironmentPage:
    return insides.EnvironmentPage(
        name=name,
        mark="live",
        words="ready",
        kustomization=f"flux-system/{name}",
        path=f"./clusters/{name}",
        interval="5m0s",
        commit=views.Commit(id=SHA, subject="raise checkout timeout"),
        digest="sha256:1f0c22d0b7f9ab7ac1",
        conditions=(
            insides.ConditionRow(
                type="Ready",
                status="True",
                reason="ReconciliationSucceeded",
                message=f"Applied revision: main@sha1:{SHA}",
                since=ago(minutes=11),
            ),
        ),
        objects=(
            insides.ObjectRow(kind="Deployment", group="apps", namespace="shop", name="web", mark="live", health="Current"),
            insides.ObjectRow(
                kind="CronJob",
                group="batch",
                namespace="shop",
                name="report",
                mark="moving",
                health="InProgress",
                message="waiting",
            ),
        ),
        events=(
            insides.EventRow(type="Normal", reason="Progressing", message="Deployment/shop/web configured", when=ago(minutes=11)),
        ),
        history=(
            insides.ReconcileRow(
                digest="sha256:1f0c22d0b7f9ab7ac1",
                status="ReconciliationSucceeded",
                last=ago(minutes=1),
                count=12,
                duration="1.2s",
            ),
        ),
        revisions=(views.Revision(environment=name, commit=OLD, subject="new pricing", when=ago(days=3)),),
        guards=(views.Guard(kind="freeze", reason="the big sale", by="ops", environments=(name,)),),
    )


def log(name: str) -> insides.LogPage:
    return insides.LogPage(
        environment=name,
        figures=insides.Figures(days=30, changes=2, median_lead_time="2 h 2 min", per_week="0.5", bypasses=1),
        rows=(
            insides.LogRow(
                when=ago(minutes=30),
                app="web",
                change="raise checkout timeout",
                author="web-dev",
                commit=SHA,
                origin="staging",
                pull=15,
                approved="reviewer",
                healthy="2 min",
                lead_time="2 h 2 min",
            ),
            insides.LogRow(when=ago(days=3), app="web", change="edit of replicas", author="ops", commit=OLD, kind="BYPASS"),
        ),
    )


class Facts:
    """Facts that a test sets, and what was done about them; an error stands for who does not answer."""

    def __init__(self) -> None:
        self.shown: views.Board | Exception = board()
        self.promoted: views.PromotionPage | Exception = promotion()
        self.granted: Sequence[Grant] = ()
        self.apps: dict[str, views.AppPage] = {}
        """Further pages of apps, by name."""
        self.asked = 0
        self.done: list[tuple[str, ...]] = []
        self.decided: list[tuple[str, str, str, dict[str, acting.Side]]] = []

    async def grants(self) -> Sequence[Grant]:
        return self.granted

    async def board(self) -> views.Board:
        self.asked += 1
        if isinstance(self.shown, Exception):
            raise self.shown
        return self.shown

    async def app(self, name: str) -> views.AppPage:
        if name in self.apps:
            return self.apps[name]
        if isinstance(self.shown, views.Board) and name not in {line.app for line in self.shown.lines}:
            raise RefusedError(f"no environment has an app of the name {name}", code="NotFound")
        return app(name)

    async def promotion(self, number: int) -> views.PromotionPage:
        if isinstance(self.promoted, Exception):
            raise self.promoted
        if number != self.promoted.number:
            raise RefusedError(f"there is no pull request #{number}", code="NotFound")
        return self.promoted

    async def environment(self, name: str) -> insides.EnvironmentPage:
        return environment(name)

    async def log(self, name: str) -> insides.LogPage:
        return log(name)

    async def decide(self, name: str, target: str, stamp: str, choices: Mapping[str, acting.Side], by: str) -> None:
        self.decided.append((name, target, stamp, dict(choices)))
        self.done.append(("decide", name, target, by))

    async def rollback(self, environment: str, app: str, to: str, by: str) -> int:
        self.done.append(("rollback", environment, app, to, by))
        return 14

    async def hold(self, app: str, environment: str, reason: str, by: str) -> int:
        self.done.append(("hold", app, environment, reason, by))
        return 0

    async def release(self, app: str, environment: str, by: str) -> int:
        self.done.append(("release", app, environment, by))
        return 0

    async def freeze(self, environment: str, reason: str, by: str) -> int:
        self.done.append(("freeze", environment, reason, by))
        return 0

    async def thaw(self, environment: str, by: str) -> int:
        self.done.append(("thaw", environment, by))
        return 0

    async def merge_text(self, number: int) -> tuple[str, str]:
        return "Promote web", "why"
