"""The last text of an object, where a comment stands below it.

kustomize prints an object as YAML, comments included, and reads that again. In front of a comment below the object it
prints an empty line, and a block text at the end that keeps its line breaks (`|+`) takes that line in.
"""

from __future__ import annotations

from typing import Any

from penstock.model.fieldpath import FieldPath
from penstock.render.resources import Resource
from penstock.yamldoc import composing, emitting


def settle(resource: Resource) -> None:
    """Give the last text of an object the line that it takes in, if it does."""
    document = resource.document
    if document is None or resource.round_tripped or resource.path:
        return
    container, key, path = _last(resource.value)
    text = container[key]
    if type(text) is not str or not text.endswith("\n") or text[-2:] not in ("\n", "\n\n") or not emitting.is_block(text):
        return
    above = _line_above_comments(document.source)
    if above is None:
        return
    # annotations are written anew by kustomize, as blocks; elsewhere the file has to say so
    if path[:2] == ("metadata", "annotations") or (
        text.rstrip("\n").rpartition("\n")[2].strip(" ") == above
        and (document.scalar_text(path) or "").rstrip("\n") == text.rstrip("\n")
        and composing.is_block(document.source, path, document.value)
    ):
        container[key] = text + "\n"


def _last(value: dict[str, Any]) -> tuple[Any, Any, FieldPath]:
    """(container, key, path) of the last scalar as kustomize holds the object: annotations end the metadata."""
    container: Any = {"": value}
    key: Any = ""
    path: FieldPath = ()
    while (below := container[key]) and isinstance(below, dict | list):
        container = below
        key = len(below) - 1 if isinstance(below, list) else next(reversed(below))
        if path == ("metadata",) and "annotations" in below:
            key = "annotations"
        elif path == ("metadata", "annotations"):
            key = max(below)
        path = (*path, key)
    return container, key, path


def _line_above_comments(source: bytes | str) -> str | None:
    """The last line of the content, if comments end the source and an empty line parts them from it."""
    lines = (source if isinstance(source, str) else source.decode()).split("\n")
    commented = parted = False
    for line in reversed(lines):
        line = line.strip(" ")
        if line and not line.startswith("#"):
            return line if commented and parted else None
        commented = commented or line != ""
        parted = line == ""
    return None
