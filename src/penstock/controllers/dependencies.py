"""Whether the Kustomizations that one depends on let it go on.

In: a spec, its source's revision, the Kustomizations of the cluster. Out: why not, in Flux's words, or None.
"""

from __future__ import annotations

from collections.abc import Mapping

from penstock.controllers import specs
from penstock.controllers.specs import Key, KustomizationSpec
from penstock.model import condition as conditions
from penstock.model import flux
from penstock.model.resource import Manifest


def not_ready(spec: KustomizationSpec, revision: str, known: Mapping[Key, Manifest]) -> str | None:
    """The first dependency that is missing, not ready, or behind on the same source."""
    for dependency in spec.depends_on:
        shown = f"{dependency.namespace}/{dependency.name}"
        found = known.get(dependency.key)
        if found is None:
            return f"dependency '{shown}' not found"
        status = found.get("status") or {}
        current = found["metadata"].get("generation") == status.get("observedGeneration")
        if not current or not conditions.of(found).is_true(flux.READY):
            return f"dependency '{shown}' is not ready"
        theirs = specs.kustomization(found).source
        if theirs == spec.source and status.get("lastAppliedRevision") != revision:
            return f"dependency '{shown}' revision is not up to date"
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
        if any(visit(each.key) for each in specs.kustomization(known[key]).depends_on):
            return True
        path.pop()
        return False

    return (*path, start) if visit(start) else ()
