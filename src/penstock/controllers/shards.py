"""Label selectors, as `--watch-label-selector` takes them: which objects this process works on.

In: the selector's text, an object's labels. Out: whether they match. Other shards' objects are still read: a Kustomization
may depend on one, or build from its source.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from penstock.model import errors

_SET = re.compile(r"^\s*(\S+)\s+(in|notin)\s+\(([^)]*)\)\s*$")
_EQUAL = re.compile(r"^\s*([^\s=!]+)\s*(==|=|!=)\s*([^\s=!]*)\s*$")
_NAME = re.compile(r"^[A-Za-z0-9]([A-Za-z0-9_./-]*[A-Za-z0-9])?$")
Requirement = Callable[[Mapping[str, str]], bool]


@dataclass(frozen=True, slots=True)
class Selector:
    """What all of an object's labels have to satisfy."""

    text: str
    requirements: tuple[Requirement, ...]

    def matches(self, labels: Mapping[str, str] | None) -> bool:
        """Whether an object with these labels is meant."""
        return all(requirement(labels or {}) for requirement in self.requirements)


EVERYTHING = Selector("", ())


def parse(text: str) -> Selector:
    """'sharding.fluxcd.io/key=a', '!sharding.fluxcd.io/key', 'tier in (a, b), x!=y'. Raises InputError."""
    parts = [part for part in re.split(r",(?![^(]*\))", text) if part.strip()]
    return Selector(text, tuple(_requirement(part, text) for part in parts))


def _requirement(part: str, text: str) -> Requirement:
    if found := _SET.match(part):
        key, values = _key(found[1], text), {value.strip() for value in found[3].split(",")}
        if found[2] == "in":
            return lambda labels: labels.get(key) in values
        return lambda labels: labels.get(key) not in values
    if found := _EQUAL.match(part):
        key, wanted = _key(found[1], text), found[3]
        if found[2] == "!=":
            return lambda labels: labels.get(key) != wanted
        return lambda labels: labels.get(key) == wanted
    bare = part.strip()
    if bare.startswith("!"):
        key = _key(bare[1:].strip(), text)
        return lambda labels: key not in labels
    key = _key(bare, text)
    return lambda labels: key in labels


def _key(name: str, text: str) -> str:
    if not _NAME.match(name):
        raise errors.invalid(
            f"{text!r} is not a label selector", hint="sharding.fluxcd.io/key=shard1, or !sharding.fluxcd.io/key", code="Selector"
        )
    return name
