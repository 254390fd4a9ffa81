"""What a repository says: environments in the order of promotion, their paths, units and Flux objects.

In: a tree of files. Out: one frozen `Repository` with every problem found, each with its place.
"""

from __future__ import annotations

from dataclasses import replace

from penstock.model.errors import Place, Problem
from penstock.model.pipeline import Environment, Repository
from penstock.model.tree import Tree
from penstock.source import declaring, discovering, document

__all__ = ["discover"]


def discover(tree: Tree) -> Repository:
    """Read the pipeline from penstock.yaml, or find it from the directories; never raises for what files say."""
    problems: list[Problem] = []
    declared = declaring.Declared()
    has_file = _is_file(tree, declaring.PIPELINE_FILE)
    if has_file:
        _read_pipeline(tree, declared, problems)
    _read_records(tree, declared, problems)
    if not declared.environments:
        declared.environments = discovering.environments(tree, problems)
        if not declared.environments and not problems:
            problems.append(_nothing(has_file))
    declaring.references(declared, problems)
    environments = [_completed(tree, one, problems) for one in declaring.ordered(declared.environments)]
    return Repository(
        name=declared.name,
        environments=tuple(environments),
        declared=has_file,
        freezes=tuple(declared.freezes),
        holds=tuple(declared.holds),
        settled=tuple(declared.settled),
        access=tuple(declared.access),
        notifications=tuple(declared.notifications),
        problems=tuple(sorted(problems, key=_file_order)),
        by_name={environment.name: environment for environment in environments},
    )


def _read_pipeline(tree: Tree, declared: declaring.Declared, problems: list[Problem]) -> None:
    documents, wrong = document.load_all(tree.read(declaring.PIPELINE_FILE), declaring.PIPELINE_FILE)
    problems += wrong
    for one in documents:
        declaring.pipeline(one, declared, problems)


def _read_records(tree: Tree, declared: declaring.Declared, problems: list[Problem]) -> None:
    """The files people and commands add under .penstock/: freezes, holds, settled differences."""
    entry = tree.entry(declaring.FOLDER)
    if entry is None or entry.kind != "directory":
        return
    for name in tree.names(declaring.FOLDER):
        path = f"{declaring.FOLDER}/{name}"
        if not name.endswith((".yaml", ".yml")) or not _is_file(tree, path):
            continue
        documents, wrong = document.load_all(tree.read(path), path)
        problems += wrong
        for one in documents:
            declaring.record(one, declared, problems)


def _completed(tree: Tree, environment: Environment, problems: list[Problem]) -> Environment:
    """The environment with its units and Flux objects."""
    for path in environment.paths:
        entry = tree.entry(path)
        if entry is None or entry.kind != "directory":
            what = f"environment {environment.name!r}: the directory {path} does not exist"
            problems.append(Problem(what=what, where=environment.place, code="NoDirectory"))
        elif discovering.kustomization_file(tree, path) is None and path == environment.root:
            what = f"{path} has no kustomization.yaml: every YAML file below it would be applied"
            problems.append(Problem(what=what, where=Place(path=path), code="NoKustomization", severity="warning"))
    objects = discovering.flux_objects(tree, dict.fromkeys((*environment.paths, f"clusters/{environment.name}")), problems)
    kustomization, source = discovering.syncing(environment, objects, problems)
    return replace(environment, units=discovering.units(tree, environment.paths), kustomization=kustomization, source=source)


def _file_order(problem: Problem) -> tuple[bool, Place]:
    return problem.where is None, problem.where or Place(path="")


def _is_file(tree: Tree, path: str) -> bool:
    entry = tree.entry(path)
    return entry is not None and entry.kind == "file"


def _nothing(has_file: bool) -> Problem:
    if has_file:
        place = Place(path=declaring.PIPELINE_FILE)
        return Problem(what="no environment is declared", where=place, hint="spec.environments lists them", code="NoEnvironments")
    what = "no environment found: there is no clusters/<name>/kustomization.yaml"
    return Problem(what=what, hint="`penstock init DIR` writes a repository to start from", code="NoEnvironments")
