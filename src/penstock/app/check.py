"""Validate a repository: what it declares, whether every environment builds, and whether its objects fit together.

In: a tree. Out: every finding, in file order, errors and warnings apart by their severity.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from penstock import source
from penstock.app import build, flux_schema
from penstock.model import errors
from penstock.model.errors import Problem
from penstock.model.pipeline import Environment
from penstock.model.tree import Tree
from penstock.render import names, references


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was found."""

    environments: tuple[str, ...]
    problems: tuple[Problem, ...]
    """Sorted by file, line and column; each once."""

    @property
    def errors(self) -> int:
        return sum(problem.severity == "error" for problem in self.problems)

    @property
    def warnings(self) -> int:
        return len(self.problems) - self.errors


def repository(tree: Tree) -> Report:
    """Check everything. Raises InputError when there is no environment at all, since then nothing was checked."""
    found = source.discover(tree)
    if not found.environments and not found.declared:
        raise errors.InputError(found.problems)
    problems = list(found.problems)
    problems += flux_schema.problems(tree, (path for environment in found.environments for path in environment.paths))
    for environment in found.environments:
        problems += _environment(tree, environment)
    return Report(
        environments=tuple(str(environment.name) for environment in found.environments), problems=_in_file_order(problems)
    )


def _environment(tree: Tree, environment: Environment) -> list[Problem]:
    try:
        built = build.environment(tree, environment)
    except errors.InputError as error:
        return list(error.problems)
    return [*built.warnings, *names.problems(built.objects), *references.dangling(built.objects)]


def _in_file_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Each finding once, with the first way that led to it: a base that several environments share would say it each time."""
    once: dict[tuple[errors.Place, str], Problem] = {}
    for problem in problems:
        once.setdefault((problem.where or errors.Place(path=""), problem.what), problem)
    return tuple(once[key] for key in sorted(once))
