"""What rendering gives: objects in apply order, each knowing where it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from penstock.model.errors import Place, Problem
from penstock.model.resource import Manifest, ResourceId


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where an object stands in the repository, and what touched it on the way."""

    place: Place
    """The file and line of the document (for generated objects: of the generator's entry in the kustomization)."""
    transformers: tuple[str, ...] = ()
    """What changed it, in order: 'namespace clusters/dev/kustomization.yaml:4', 'patch clusters/dev/patch.yaml:1' ..."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedObject:
    """One object of a build. The manifest is shared: never change it in place."""

    id: ResourceId
    manifest: Manifest
    origin: Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """A whole build."""

    objects: tuple[RenderedObject, ...]
    digest: str
    """'sha256:<hex>' over the built YAML as it would be printed."""
    inputs: Mapping[str, str] = field(default_factory=dict)
    """Every path that was read or looked for -> its object id then ('' when it was absent). A commit in which none of
    these differ renders to the same bytes."""
    warnings: tuple[Problem, ...] = ()
