"""Validate a repository: what it declares, whether every environment builds, and whether its objects fit together.

In: a tree. Out: every finding, in file order, errors and warnings apart by their severity.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from penstock import source
from penstock.app import build
from penstock.model import errors
from penstock.model.errors import Problem
from penstock.model.pipeline import Environment
from penstock.model.tree import Tree
from penstock.render import references


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
    if not found.environments and not found.problems:
        raise errors.invalid(
            "this is not a multi-environment repository: no clusters/*/kustomization.yaml, no penstock.yaml",
            hint="penstock init writes one",
            code="NoEnvironments",
        )
    problems = list(found.problems)
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
    return [*built.warnings, *references.dangling(built.objects)]


def _in_file_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Each finding once: a base that several environments share would say it several times."""
    nowhere = errors.Place(path="")
    return tuple(sorted(dict.fromkeys(problems), key=lambda problem: (problem.where or nowhere, problem.what)))
