"""kustomize's own origin and transformer annotations, written only when buildMetadata asks for them."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from penstock.render.resources import Resource
from penstock.yamldoc import emitting, reading

ORIGIN: Final = "config.kubernetes.io/origin"
TRANSFORMATIONS: Final = "alpha.config.kubernetes.io/transformations"


@dataclass(frozen=True, slots=True, kw_only=True)
class OriginNote:
    """Where something is from, relative to the kustomization that is built."""

    path: str = ""
    configured_in: str = ""
    api_version: str = ""
    kind: str = ""
    name: str = ""
    namespace: str = ""

    def append(self, path: str) -> OriginNote:
        """One step further down: a base or a file."""
        return replace(self, path=posixpath.normpath(posixpath.join(self.path, path)))

    def as_map(self) -> dict[str, Any]:
        value: dict[str, Any] = {}
        if self.path:
            value["path"] = self.path
        if self.configured_in:
            value["configuredIn"] = self.configured_in
        by = {
            key: text
            for key, text in (
                ("apiVersion", self.api_version),
                ("kind", self.kind),
                ("name", self.name),
                ("namespace", self.namespace),
            )
            if text
        }
        if by:
            value["configuredBy"] = by
        return value


def builtin(path: str, file_name: str, kind: str) -> OriginNote:
    """The origin of what a field of a kustomization does."""
    return OriginNote(configured_in=posixpath.normpath(posixpath.join(path, file_name)), api_version="builtin", kind=kind)


def _written(value: dict[str, Any], indent: str = "") -> str:
    """In the order of the fields, not sorted: this is how Go prints a struct."""
    lines = []
    for key, item in value.items():
        if isinstance(item, dict):
            lines.append(f"{indent}{key}:\n{_written(item, indent + '  ')}")
        else:
            lines.append(f"{indent}{emitting.emit({key: item})}")
    return "".join(lines)


def set_origin(resource: Resource, note: OriginNote) -> None:
    """Write the origin annotation."""
    _annotations(resource)[ORIGIN] = _written(note.as_map())


def add_origins(resources: Iterable[Resource], note: OriginNote | None) -> None:
    """Write it where there is none yet."""
    if note is None:
        return
    for resource in resources:
        if ORIGIN not in resource.texts("annotations"):
            set_origin(resource, note)


def add_transformation(resources: Iterable[Resource], note: OriginNote | None) -> None:
    """Add a transformer to every object's list; an object without an origin was made by it."""
    if note is None:
        return
    for resource in resources:
        resource.rewrite_annotations()
        annotations = resource.texts("annotations")
        if ORIGIN not in annotations:
            set_origin(resource, note)
            continue
        written = _written(note.as_map(), "  ")
        item = "- " + written[2:]
        _annotations(resource)[TRANSFORMATIONS] = annotations.get(TRANSFORMATIONS, "") + item


def read_origin(resource: Resource) -> OriginNote | None:
    """The origin annotation of a transformer's own configuration, as the origin of what it does."""
    text = resource.texts("annotations").get(ORIGIN)
    if text is None:
        return None
    document = reading.load_sigs(text.encode(), "origin annotation", reading.LENIENT)
    value = document.value if document is not None and isinstance(document.value, dict) else {}
    return OriginNote(
        configured_in=str(value.get("path") or ""),
        api_version=resource.api_version,
        kind=resource.kind,
        name=resource.name,
        namespace=resource.namespace,
    )


def _annotations(resource: Resource) -> dict[str, Any]:
    resource.part_annotations()
    metadata = resource.metadata()
    annotations = metadata.get("annotations")
    if not isinstance(annotations, dict):
        annotations = metadata["annotations"] = {}
    return annotations
