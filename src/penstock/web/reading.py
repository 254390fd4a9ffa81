"""What the pages show, asked through the app.

In: an open world. Out: views. One look serves every page that is open; a page that needs more asks for that alone.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from penstock import source
from penstock.app import environment as environments
from penstock.app import log as logs
from penstock.app import lookout
from penstock.app.world import World
from penstock.controllers.promotion_history import unit_paths
from penstock.model import errors, people
from penstock.model.pipeline import Environment
from penstock.model.values import EnvName
from penstock.web import insides, showing, showing_promotion, views

_SHARED_SECONDS = 0.5
"""Pages that ask within this time of each other share one look."""
_LOG_COUNTED = 1000
_PATH_ROWS = 30
_REVISIONS = 10
_LOG_KEPT = timedelta(seconds=10)
"""Notes on commits come without a new commit: this long a log stands for one commit."""


class Reading:
    """The facts of one world's pages."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.lookout = lookout.Lookout(world)
        self._access: tuple[str, tuple[people.Grant, ...]] = ("", ())
        self._lock = asyncio.Lock()
        self._look: lookout.Look | None = None
        self._looked = float("-inf")
        self._read: dict[tuple[str, str], Sequence[logs.Entry]] = {}
        self._logs: dict[tuple[str, str], tuple[datetime, insides.LogPage]] = {}

    @property
    def fleet(self) -> str:
        """What the fleet is called."""
        return self.lookout.name

    async def grants(self) -> Sequence[people.Grant]:
        """What the base branch says, as last fetched."""
        tip = self._world.repo.resolve(self._world.branch)
        if tip is None:
            return ()
        if self._access[0] != tip:
            found = await asyncio.to_thread(lambda: source.discover(self._world.repo.tree(tip)).access)
            self._access = (tip, found)
        return self._access[1]

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
            path=await asyncio.to_thread(self._path, row.unit, look),
            revisions=await asyncio.to_thread(self._revisions, row.unit, look),
            guards=showing.guards(look, row.unit),
            promoted_into=tuple(env.name for env in look.survey.repository.environments if env.promote_from),
            problems=showing.problems(look),
        )

    def _path(self, unit: str, look: lookout.Look) -> tuple[views.Journey, ...]:
        """Every change of an app that reached an environment, newest first."""
        found = [
            showing.journey(entry, name)
            for name in look.status.environments
            for entry in self._entries(name, look)
            if entry.unit == unit
        ]
        return tuple(sorted(found, key=lambda one: one.when.timestamp() if one.when else 0.0, reverse=True)[:_PATH_ROWS])

    def _revisions(self, unit: str | None, look: lookout.Look) -> tuple[views.Revision, ...]:
        """What an app can go back to in each environment: the commits before its newest changes there."""
        return tuple(
            one for environment in look.survey.repository.environments for one in self._revisions_of(environment, unit, look)
        )

    def _revisions_of(self, environment: Environment, unit: str | None, look: lookout.Look) -> Iterator[views.Revision]:
        """Every commit that changed it but the newest, which is how it is now."""
        paths = unit_paths(environment, unit) if unit else environment.paths
        repo = self._world.repo
        for commit in itertools.islice(repo.log(look.survey.tip, paths=paths, first_parent=True), 1, _REVISIONS + 1):
            yield views.Revision(
                environment=environment.name, commit=commit.id, subject=commit.subject, when=commit.committer.when
            )

    def _entries(self, name: str, look: lookout.Look) -> Sequence[logs.Entry]:
        """An environment's log, read once for each commit."""
        key = (name, look.status.head.commit)
        if key not in self._read:
            self._read = {known: one for known, one in self._read.items() if known[1] == key[1]}
            self._read[key] = logs.log(self._world.repo, self._world.branch, name, limit=_LOG_COUNTED)
        return self._read[key]

    async def promotion(self, number: int) -> views.PromotionPage:
        """One pull request of Penstock's. Raises RefusedError for any other."""
        look = await self._now()
        found = await self.lookout.promotion(number, look)
        commits = found.case.commits if found.case else ()
        authors = await asyncio.to_thread(self.lookout.authors, [one.commit for one in commits])
        return showing_promotion.page(found, authors, showing.problems(look))

    async def environment(self, name: str) -> insides.EnvironmentPage:
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
            return insides.EnvironmentPage(name=name, mark=head.mark, words=words, problems=problems)
        inside = await environments.inside(self.lookout.cluster(key), manifest, look.status.now)
        environment = look.survey.repository.environment(name)
        revisions = await asyncio.to_thread(lambda: tuple(self._revisions_of(environment, None, look)) if environment else ())
        return showing.environment_page(head, manifest, inside, revisions, showing.guards(look, None, name))

    async def log(self, name: str) -> insides.LogPage:
        """What went into an environment, from Git alone. Raises RefusedError for one that is not in the pipeline."""
        look = await self._now()
        key = (name, look.status.head.commit)
        now = self._world.clock.now()
        if key not in self._logs or now - self._logs[key][0] > _LOG_KEPT:
            page = await asyncio.to_thread(self._log, name, now)
            self._logs = {known: one for known, one in self._logs.items() if known[1] == key[1]} | {key: (now, page)}
        return self._logs[key][1]

    def _log(self, name: str, now: datetime) -> insides.LogPage:
        try:
            entries = logs.log(self._world.repo, self._world.branch, name, limit=_LOG_COUNTED)
        except errors.InputError as error:
            raise errors.RefusedError(error.problems[0].what, error.problems[0].hint, code="NotFound", status=404) from None
        rows = tuple(map(showing.log_row, entries))
        return insides.LogPage(environment=name, rows=rows, figures=showing.figures(entries, now, _LOG_COUNTED))

    async def _now(self) -> lookout.Look:
        """A look of this moment, shared by whoever asks at the same time."""
        async with self._lock:
            if self._look is None or self._world.clock.monotonic() - self._looked >= _SHARED_SECONDS:
                self._look = await self.lookout.look()
                self._looked = self._world.clock.monotonic()
            return self._look
