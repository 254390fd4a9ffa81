"""Random histories of a pipeline against a small model of what promotion promises.

The model knows only values: for each step of the pipeline and app, what the source had at the last promotion. The real side
reads everything from files and commit messages. After each step both must say the same: which fields travel, which conflict,
and what every environment holds; so no hand edit is lost, nothing is taken in silence, and nothing goes backwards.
"""

from __future__ import annotations

import copy
import hashlib
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from penstock import source
from penstock.model.pipeline import Environment, Repository
from penstock.model.tree import MemoryTree
from penstock.model.values import CommitId, EnvName
from penstock.promote import change, records

ENVIRONMENTS = ("dev", "staging", "prod")
STEPS = (("dev", "staging"), ("staging", "prod"))
APPS = ("api", "web")
KEYS = ("a", "b", "c", "d")
NOW = datetime(2026, 3, 2, tzinfo=UTC)
Values = dict[str, str]


@dataclass
class Commit:
    id: CommitId
    files: dict[str, bytes | str]
    message: str
    touched: frozenset[str]
    """Environments."""


@dataclass
class Model:
    """What should be: values by (environment, app), and what the source had at the last promotion by (step, app)."""

    values: dict[tuple[str, str], Values] = field(default_factory=dict)
    bases: dict[tuple[str, str, str], Values] = field(default_factory=dict)
    past: list[tuple[dict[tuple[str, str], Values], dict[tuple[str, str, str], Values]]] = field(default_factory=list)

    def promote(self, origin: str, target: str, app: str) -> set[str]:
        """The fields in conflict; without any, the target has what it should."""
        base, now, here = self.bases[origin, target, app], self.values[origin, app], self.values[target, app]
        wanted, conflicts = dict(here), set()
        for key in KEYS:
            old, new, mine = base.get(key), now.get(key), here.get(key)
            if new == old or mine == new:
                continue
            if mine != old:
                conflicts.add(key)
            elif new is None:
                del wanted[key]
            else:
                wanted[key] = new
        if not conflicts:
            self.values[target, app] = wanted
        return conflicts


class World:
    """The repository, and the model beside it."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.model = Model()
        self.commits: list[Commit] = []
        files: dict[str, bytes | str] = {}
        for env in ENVIRONMENTS:
            files[f"clusters/{env}/kustomization.yaml"] = b"resources:\n- apps\n"
            files[f"clusters/{env}/apps/kustomization.yaml"] = b"resources:\n- api\n- web\n"
            for app in APPS:
                values = {key: chance.choice("123") for key in KEYS}
                self.model.values[env, app] = values
                files[path_of(env, app)] = file_of(env, app, values)
        for origin, target in STEPS:
            for app in APPS:
                self.model.bases[origin, target, app] = dict(self.model.values[origin, app])
        self.commit(files, "start\n\nPenstock-Adopt: dev -> staging\nPenstock-Adopt: staging -> prod\n", ENVIRONMENTS)

    def commit(self, files: dict[str, bytes | str], message: str, touched: tuple[str, ...]) -> None:
        name = hashlib.sha1(f"{len(self.commits)}{message}".encode(), usedforsecurity=False).hexdigest()
        self.commits.append(Commit(CommitId(name), dict(files), message, frozenset(touched)))
        self.model.past.append((copy.deepcopy(self.model.values), copy.deepcopy(self.model.bases)))

    def edit(self, env: str, app: str) -> None:
        """Somebody changes, adds or removes a value by hand."""
        values = self.model.values[env, app]
        key = self.chance.choice(KEYS)
        if key in values and self.chance.random() < 0.2 and len(values) > 1:
            del values[key]
        else:
            values[key] = self.chance.choice("12345")
        self.commit(self.commits[-1].files | {path_of(env, app): file_of(env, app, values)}, f"edit {env} {app}", (env,))

    def repository(self) -> Repository:
        return source.discover(MemoryTree(self.commits[-1].files))

    def pair(self, origin: Environment, target: Environment, app: str) -> change.Pair:
        order = {commit.id: index for index, commit in enumerate(self.commits)}
        history = [
            records.Landed(commit=one.id, when=NOW, record=records.parse(one.message))
            for one in reversed(self.commits)
            if target.name in one.touched
        ]
        base = records.base_of(app, origin.name, target.name, history, (), lambda older, newer: order[older] <= order[newer])
        assert base.commit is not None
        return change.Pair(
            source=origin,
            target=target,
            base=MemoryTree(self.commits[order[base.commit]].files),
            base_commit=base.commit,
            tree=MemoryTree(self.commits[-1].files),
        )

    def promote(self, origin: str, target: str, app: str) -> None:
        found = self.repository()
        pair = self.pair(found.by_name[EnvName(origin)], found.by_name[EnvName(target)], app)
        head = self.commits[-1]
        planned = change.plan(pair, app, head.id)
        conflicts = self.model.promote(origin, target, app)
        assert {one.field.removeprefix("data.") for one in planned.conflicts} == conflicts
        if conflicts or planned.empty:
            assert planned.files == {}
            return
        record = records.Promotion(
            unit=app, source=EnvName(origin), commit=head.id, target=EnvName(target), base=pair.base_commit
        )
        self.model.bases[origin, target, app] = dict(self.model.values[origin, app])
        self.commit(head.files | present(planned), f"promote\n\n{record.trailers()}", (target,))

    def rollback(self, env: str, app: str) -> None:
        """The files of one app as they were at an earlier commit."""
        index = self.chance.randrange(len(self.commits))
        values, bases = self.model.past[index]
        self.model.values[env, app] = dict(values[env, app])
        for origin, target in STEPS:
            if target == env:
                self.model.bases[origin, target, app] = dict(bases[origin, target, app])
        back = {path_of(env, app): self.commits[index].files[path_of(env, app)]}
        trailer = records.Rollback(unit=app, target=EnvName(env), commit=self.commits[index].id).trailer()
        self.commit(self.commits[-1].files | back, f"roll back\n\n{trailer}", (env,))

    def check(self) -> None:
        """Every environment holds what the model says, and each file keeps its comments."""
        for (env, app), values in self.model.values.items():
            content = self.commits[-1].files[path_of(env, app)]
            assert isinstance(content, bytes)
            data = content.decode().partition("\ndata:\n")[2]
            assert dict(line.strip().replace('"', "").split(": ") for line in data.splitlines() if ":" in line) == values
            assert f"# {app} in {env}, by hand" in content.decode()


def present(planned: change.Change) -> dict[str, bytes | str]:
    return {path: data for path, data in planned.files.items() if data is not None}


def path_of(env: str, app: str) -> str:
    return f"clusters/{env}/apps/{app}/config.yaml"


def file_of(env: str, app: str, values: Values) -> bytes:
    lines = "".join(f'  {key}: "{values[key]}"\n' for key in sorted(values))
    head = f"# {app} in {env}, by hand\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {app}\n"
    return f"{head}data:\n{lines}".encode()


@pytest.mark.parametrize("seed", range(25))
def test_every_environment_holds_what_promotion_promises_whatever_happened_before(seed: int) -> None:
    chance = random.Random(seed)
    world = World(chance)
    for _ in range(40):
        draw = chance.random()
        if draw < 0.45:
            world.edit(chance.choices(ENVIRONMENTS, [6, 2, 1])[0], chance.choice(APPS))
        elif draw < 0.88:
            world.promote(*chance.choice(STEPS), chance.choice(APPS))
        else:
            world.rollback(chance.choice(("staging", "prod")), chance.choice(APPS))
        world.check()


@pytest.mark.parametrize("seed", range(10))
def test_promoting_again_without_a_change_in_between_changes_nothing(seed: int) -> None:
    chance = random.Random(1000 + seed)
    world = World(chance)
    for _ in range(15):
        world.edit("dev", chance.choice(APPS))
    for app in APPS:
        world.promote("dev", "staging", app)
        count = len(world.commits)
        world.promote("dev", "staging", app)
        assert len(world.commits) == count
