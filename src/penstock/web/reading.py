"""What the pages show, asked through the app.

In: an open world. Out: views. One look serves every page that is open; a page that needs more asks for that alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta

from penstock.app import environment as environments
from penstock.app import log as logs
from penstock.app import lookout
from penstock.app.world import World
from penstock.model import errors
from penstock.model.values import EnvName
from penstock.web import pages, showing, views

_SHARED_SECONDS = 0.5
"""Pages that ask within this time of each other share one look."""
_LOG_ROWS = 200
_LOG_COUNTED = 1000
_LOG_KEPT = timedelta(seconds=10)
"""Notes on commits come without a new commit: this long a log stands for one commit."""


class Reading:
    """The facts of one world's pages."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._lookout = lookout.Lookout(world)
        self._lock = asyncio.Lock()
        self._look: lookout.Look | None = None
        self._looked = float("-inf")
        self._logs: dict[tuple[str, str], tuple[datetime, views.LogPage]] = {}

    @property
    def fleet(self) -> str:
        """What the fleet is called."""
        return self._lookout.name

    async def board(self) -> views.Board:
        """The matrix and what is on its way."""
        look = await self._now()
        found = look.status
        return views.Board(
            fleet=found.name,
            branch=found.branch,
            tip=views.Commit(id=found.head.commit, subject=found.head.subject, author=found.head.author, when=found.head.when),
            heads=tuple(showing.environment_head(look, name) for name in found.environments),
            lines=tuple(
                views.Line(app=showing.title(row.unit), cells=tuple(map(showing.board_cell, row.cells))) for row in found.rows
            ),
            pending=tuple(showing.on_its_way(case) for case in look.cases if not case.change.empty),
            problems=showing.problems(look),
        )

    async def app(self, name: str) -> views.AppPage:
        """One app's path. Raises RefusedError for one that is nowhere."""
        look = await self._now()
        row = next((one for one in look.status.rows if showing.title(one.unit) == name), None)
        if row is None:
            raise errors.RefusedError(f"no environment has an app of the name {name}", code="NotFound", status=404)
        cases = {case.target.name: case for case in look.cases if case.unit == row.unit and not case.change.empty}
        steps = tuple(showing.step(cell, cases.get(cell.environment), look) for cell in row.cells)
        return views.AppPage(
            name=name,
            sentence=showing.sentence(row, look),
            steps=steps,
            next=showing.what_next(cases.values()),
            conflicts=tuple(showing.to_decide(case) for case in cases.values() if case.change.conflicts),
            problems=showing.problems(look),
        )

    async def promotion(self, number: int) -> views.PromotionPage:
        """One pull request of Penstock's. Raises RefusedError for any other."""
        look = await self._now()
        found = await self._lookout.promotion(number, look)
        pull, case = found.pull, found.case
        mark, words = showing.standing(found)
        return views.PromotionPage(
            number=pull.number,
            title=pull.title,
            url=pull.url,
            state=pull.state,
            draft=pull.draft,
            author=pull.author,
            head=pull.head_sha,
            branch=pull.head,
            base=pull.base,
            created=pull.created,
            merged=pull.merged,
            merged_by=pull.merged_by,
            unit=showing.title(found.unit),
            source=found.source,
            target=found.target,
            mark=mark,
            words=words,
            verdict=showing.verdict_sentence(found),
            same=case.outcome.same and not case.change.conflicts if case and case.outcome else None,
            rows=showing.field_rows(case.outcome) if case and case.outcome and not case.change.conflicts else (),
            conflicts=showing.conflict_rows(case) if case else (),
            gates=tuple(map(showing.gate, case.verdicts)) if case else (),
            commits=showing.commits(case) if case else (),
            reviews=tuple(
                views.ReviewRow(user=one.user, state=one.state, commit=one.commit, when=one.when, body=one.body)
                for one in found.reviews
            ),
            statuses=tuple(
                views.StatusRow(context=one.context, state=one.state, description=one.description, creator=one.creator)
                for one in sorted(found.statuses, key=lambda one: one.context)
            ),
            body=pull.body,
            problems=showing.problems(look),
        )

    async def environment(self, name: str) -> views.EnvironmentPage:
        """One environment. Raises RefusedError for one that is not in the pipeline."""
        look = await self._now()
        key = EnvName(name)
        if key not in look.status.environments:
            raise errors.RefusedError(f"there is no environment of the name {name}", code="NotFound", status=404)
        head = showing.environment_head(look, key)
        manifest = look.manifests.get(key)
        if manifest is None:
            words = head.words if key in look.silent else "its Kustomization does not exist in the cluster"
            problems = (look.silent[key],) if key in look.silent else ()
            return views.EnvironmentPage(name=name, mark=head.mark, words=words, problems=problems)
        inside = await environments.inside(self._lookout.cluster(key), manifest, look.status.now)
        return showing.environment_page(head, manifest, inside)

    async def log(self, name: str) -> views.LogPage:
        """What went into an environment, from Git alone. Raises RefusedError for one that is not in the pipeline."""
        look = await self._now()
        key = (name, look.status.head.commit)
        now = self._world.clock.now()
        if key not in self._logs or now - self._logs[key][0] > _LOG_KEPT:
            page = await asyncio.to_thread(self._log, name, now)
            self._logs = {known: one for known, one in self._logs.items() if known[1] == key[1]} | {key: (now, page)}
        return self._logs[key][1]

    def _log(self, name: str, now: datetime) -> views.LogPage:
        try:
            entries = logs.log(self._world.repo, self._world.branch, name, limit=_LOG_COUNTED)
        except errors.InputError as error:
            raise errors.RefusedError(error.problems[0].what, error.problems[0].hint, code="NotFound", status=404) from None
        rows = tuple(map(showing.log_row, entries[:_LOG_ROWS]))
        return views.LogPage(environment=name, rows=rows, figures=showing.figures(entries, now, _LOG_COUNTED))

    async def decide(self, name: str, target: str, stamp: str, choices: Mapping[str, pages.Side]) -> None:
        """Promote an app with a person's decisions, if its conflicts are still those of `stamp`."""
        look = await self._lookout.look()
        case = next((one for one in look.cases if (showing.title(one.unit), one.target.name) == (name, target)), None)
        if case is None or not case.change.conflicts or showing.to_decide(case).stamp != stamp:
            raise errors.RaceError(
                "the values changed while you looked", hint="look again, then decide", code="StaleConflict", status=409
            )
        if set(choices) != {str(one) for one in case.change.conflicts}:
            raise errors.ConflictError("every field has to be decided, each for one side", code="Undecided")
        await self._lookout.decide(case, choices)

    async def _now(self) -> lookout.Look:
        """A look of this moment, shared by whoever asks at the same time."""
        async with self._lock:
            if self._look is None or self._world.clock.monotonic() - self._looked >= _SHARED_SECONDS:
                self._look = await self._lookout.look()
                self._looked = self._world.clock.monotonic()
            return self._look
