"""The lines by which a kustomization lists apps: an app's line travels with the app, the rest with the environment.

In: the bytes of a kustomization file. Out: which directories it lists, and the bytes without some of those lines.
"""

from __future__ import annotations

import posixpath
from collections.abc import Container
from dataclasses import dataclass
from typing import Any

import yaml

_LISTS = ("resources", "components", "bases")
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One item of a list of directories or files."""

    directory: str
    """Relative to the repository, normalised."""
    line: int
    column: int
    end_column: int
    flow: bool
    """Written as [a, b]."""
    alone: bool
    """The only item of its list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What a kustomization file lists."""

    path: str
    data: bytes
    entries: tuple[Entry, ...]
    directories: frozenset[str]
    """What the entries name."""

    def lists(self, directory: str) -> bool:
        return directory in self.directories

    def without(self, directories: Container[str]) -> bytes:
        """The file as if these had never been listed; the other bytes stay."""
        leaving = [entry for entry in self.entries if entry.directory in directories]
        if not leaving:
            return self.data
        lines = self.data.decode("utf-8-sig").splitlines(keepends=True)
        for entry in sorted(leaving, key=lambda one: (one.line, one.column), reverse=True):
            if entry.flow:
                lines[entry.line] = _cut_flow(lines[entry.line], entry)
            else:
                del lines[entry.line]
        return _closed(lines).encode()


def parse(path: str, data: bytes) -> Listing:
    """Read a listing; a file that is not YAML, or not a kustomization, lists nothing (rendering tells what is wrong)."""
    entries: list[Entry] = []
    folder = posixpath.dirname(path)
    try:
        root = yaml.compose(data.decode("utf-8-sig"), Loader=_LOADER)
    except (yaml.YAMLError, UnicodeDecodeError):
        root = None
    for key, value in root.value if isinstance(root, yaml.MappingNode) else ():
        if key.value in _LISTS and isinstance(value, yaml.SequenceNode):
            entries += [
                _entry(item, folder, flow=bool(value.flow_style), alone=len(value.value) == 1)
                for item in value.value
                if isinstance(item, yaml.ScalarNode)
            ]
    return Listing(path=path, data=data, entries=tuple(entries), directories=frozenset(entry.directory for entry in entries))


def _entry(item: yaml.ScalarNode, folder: str, *, flow: bool, alone: bool) -> Entry:
    start, end = item.start_mark, item.end_mark
    return Entry(
        directory=posixpath.normpath(posixpath.join(folder, item.value)),
        line=start.line,
        column=start.column,
        end_column=end.column,
        flow=flow,
        alone=alone,
    )


def _cut_flow(line: str, entry: Entry) -> str:
    """A line of a flow list without one item and the comma that parted it."""
    before, after = line[: entry.column], line[entry.end_column :]
    if after.lstrip().startswith(","):
        return before + after.lstrip()[1:].lstrip(" ")
    if before.rstrip().endswith(","):
        return before.rstrip()[:-1] + after
    return before + after


def _closed(lines: list[str]) -> str:
    """A list that lost all its items is written as empty, so that the file still says it is a list."""
    for number, line in enumerate(lines):
        key = line.split("#", 1)[0].rstrip()
        if line[:1].isspace() or not any(key == f"{name}:" for name in _LISTS):
            continue
        following = next((later for later in lines[number + 1 :] if later.strip() and not later.lstrip().startswith("#")), "")
        if not following.lstrip().startswith("-"):
            lines[number] = line.replace(":", ": []", 1)
    return "".join(lines)
