"""What a caller may choose about a build."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

from penstock.render.budget import MAX_CPU_SECONDS, Clock
from penstock.render.loading import Restriction
from penstock.yamldoc.reading import STRICT, Leniency

Reorder = Literal["legacy", "none", "unspecified"]
"""'unspecified' is kustomize's command without --reorder: legacy order unless the kustomization says otherwise."""

MAX_OBJECTS: Final = 20_000
MAX_OUTPUT_BYTES: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Options of a build; the defaults are those of `kustomize build`."""

    reorder: Reorder = "unspecified"
    restriction: Restriction = "rootOnly"
    """'none' lets a kustomization read files outside its folder, but never outside the tree."""
    managed_by: bool = False
    """Label every object app.kubernetes.io/managed-by."""
    leniency: Leniency = field(default=STRICT)
    """What kustomize lets pass and this engine refuses by default."""
    max_objects: int = MAX_OBJECTS
    max_output_bytes: int = MAX_OUTPUT_BYTES
    clock: Clock | None = field(default=None, compare=False)
    """Counts CPU seconds; without it a build may take as long as it likes."""
    max_cpu_seconds: float = MAX_CPU_SECONDS
