"""Whether the Kustomizations that one depends on let it go on.

In: a Kustomization, its source's revision, the Kustomizations of the cluster. Out: why not, in Flux's words, or None. A
`readyExpr` sees the dependency as `dep` and the Kustomization as `self`, and takes the place of the built-in check.
"""

from __future__ import annotations

from collections.abc import Mapping

from penstock.adapters.cel import Evaluator, ExpressionError
from penstock.controllers import specs
from penstock.controllers.specs import Key, KustomizationSpec
from penstock.model import condition as conditions
from penstock.model import flux
from penstock.model.resource import Manifest

VARIABLES = ("self", "dep")


class Dependants:
    """Who depends on whom: asked at every change of every Kustomization, so it is kept and not looked for."""

    def __init__(self) -> None:
        self._wanted: dict[Key, tuple[Key, ...]] = {}
        self._by_dependency: dict[Key, set[Key]] = {}

    def put(self, key: Key, manifest: Manifest | None) -> None:
        """Take a Kustomization as it is now, None when it is gone."""
        found = ((manifest or {}).get("spec") or {}).get("dependsOn") or ()
        wanted = tuple((str(each.get("namespace") or key[0]), str(each.get("name") or "")) for each in found)
        if wanted == self._wanted.get(key, ()):
            return
        for other in self._wanted.pop(key, ()):
            self._by_dependency[other].discard(key)
            if not self._by_dependency[other]:
                del self._by_dependency[other]
        if wanted:
            self._wanted[key] = wanted
        for other in wanted:
            self._by_dependency.setdefault(other, set()).add(key)

    def of(self, changed: Key) -> list[Key]:
        """Those that depend on this one, in order."""
        return sorted(self._by_dependency.get(changed, ()))


async def check(spec: KustomizationSpec, cel: Evaluator) -> None:
    """Raises ExpressionError for the first readyExpr that is none."""
    for dependency in spec.depends_on:
        if dependency.ready_expr:
            try:
                await cel.check(dependency.ready_expr, VARIABLES)
            except ExpressionError as error:
                raise ExpressionError(f"failed to evaluate dependency {dependency.name}: {error.what}") from None


async def not_ready(
    manifest: Manifest,
    spec: KustomizationSpec,
    revision: str,
    known: Mapping[Key, Manifest],
    cel: Evaluator,
    *,
    additive: bool = False,
) -> str | None:
    """The first dependency that is missing, not ready, or behind on the same source.

    additive: a readyExpr comes on top of the built-in check (Flux's gate AdditiveCELDependencyCheck).
    """
    for dependency in spec.depends_on:
        shown = f"{dependency.namespace}/{dependency.name}"
        found = known.get(dependency.key)
        if found is None:
            return f"dependency '{shown}' not found"
        if dependency.ready_expr:
            try:
                if not await cel.holds(dependency.ready_expr, {"self": manifest, "dep": found}, VARIABLES):
                    return f"dependency '{shown}' is not ready according to readyExpr eval"
            except ExpressionError as error:
                return f"dependency '{shown}': {error.what}"
            if not additive:
                continue
        if (why := _built_in(spec, revision, found)) is not None:
            return f"dependency '{shown}' {why}"
    return None


def _built_in(spec: KustomizationSpec, revision: str, found: Manifest) -> str | None:
    status = found.get("status") or {}
    current = found["metadata"].get("generation") == status.get("observedGeneration")
    if not current or not conditions.of(found).is_true(flux.READY):
        return "is not ready"
    if specs.kustomization(found, lenient=True).source == spec.source and status.get("lastAppliedRevision") != revision:
        return "revision is not up to date"
    return None


def cycle(start: Key, known: Mapping[Key, Manifest]) -> tuple[Key, ...]:
    """A chain of dependsOn that leads from a Kustomization back to itself; empty when there is none."""
    path: list[Key] = []
    seen: set[Key] = set()

    def visit(key: Key) -> bool:
        if key == start and path:
            return True
        if key in seen or key not in known:
            return False
        seen.add(key)
        path.append(key)
        if any(visit(each.key) for each in specs.kustomization(known[key], lenient=True).depends_on):
            return True
        path.pop()
        return False

    return (*path, start) if visit(start) else ()
