"""What the tests of bad inputs share: small trees from texts, and both engines' answers."""

from __future__ import annotations

from collections.abc import Mapping

from generated.case import Case
from generated.judging import Outcome

from penstock import render
from penstock.model.errors import InputError, Problem
from penstock.render.options import Options
from penstock.yamldoc import reading

__all__ = ["KUSTOMIZATION", "Case", "Outcome", "built", "case", "config_map", "problems", "refusal"]

KUSTOMIZATION = "resources:\n- a.yaml\n"


def config_map(name: str = "x", more: str = "") -> str:
    """A ConfigMap."""
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n{more}"


def case(manifest: str | bytes, kustomization: str = KUSTOMIZATION, files: Mapping[str, bytes] | None = None) -> Case:
    """One manifest and its kustomization."""
    content = manifest.encode() if isinstance(manifest, str) else manifest
    return Case(files={"kustomization.yaml": kustomization.encode(), "a.yaml": content, **(files or {})})


def built(one: Case, leniency: reading.Leniency = reading.STRICT) -> bytes:
    """What our engine prints."""
    return render.emit(render.build(one.tree(), one.path, Options(leniency=leniency)))


def problems(one: Case, leniency: reading.Leniency = reading.STRICT) -> tuple[Problem, ...]:
    """What our engine refuses; none when it builds."""
    try:
        render.build(one.tree(), one.path, Options(leniency=leniency))
    except InputError as error:
        return error.problems
    return ()


def refusal(one: Case) -> Problem:
    """The only problem of a case."""
    found = problems(one)
    assert len(found) == 1, f"one problem expected, got {[str(problem) for problem in found]}"
    return found[0]
