"""Which objects a Kustomization has put into its cluster: Flux's `status.inventory`, as a value.

In and out: `{"entries": [{"id": "<namespace>_<name>_<group>_<kind>", "v": "<version>"}]}`. An entry that cannot be read
is kept as it is: forgetting an object is the one mistake an inventory must not make.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from penstock.model.resource import ResourceId

LARGEST_BYTES = 1_300_000
"""etcd takes requests of 1.5 MiB, and the rest of the object has to fit too."""


@dataclass(frozen=True, slots=True)
class Inventory:
    """Object ids with the API version they were last applied in."""

    versions: Mapping[ResourceId, str] = field(default_factory=dict)
    unreadable: tuple[tuple[str, str], ...] = ()

    def __contains__(self, key: object) -> bool:
        return key in self.versions

    def __iter__(self) -> Iterator[ResourceId]:
        return iter(self.versions)

    def __len__(self) -> int:
        return len(self.versions)

    def union(self, other: Inventory) -> Inventory:
        """Everything in either; the other's version wins."""
        return Inventory({**self.versions, **other.versions}, _once((*self.unreadable, *other.unreadable)))

    def only(self, ids: Iterable[ResourceId]) -> Inventory:
        """The entries with these ids (and the unreadable ones, which nobody can vouch for)."""
        wanted = set(ids)
        return Inventory({key: version for key, version in self.versions.items() if key in wanted}, self.unreadable)

    @property
    def size_bytes(self) -> int:
        """How much of a status it takes."""
        read = sum(len(key.inventory_id.encode()) + len(version) for key, version in self.versions.items())
        return read + sum(len(text.encode()) + len(version) for text, version in self.unreadable) + 16 * len(self)

    def manifest(self) -> dict[str, Any]:
        """The inventory as it stands in a status, sorted by id."""
        entries = [(key.inventory_id, version) for key, version in self.versions.items()]
        return {"entries": [{"id": text, "v": version} for text, version in sorted((*entries, *self.unreadable))]}


def parse(found: object) -> Inventory:
    """Read `status.inventory`; None is an empty inventory."""
    entries = found.get("entries") if isinstance(found, Mapping) else None
    versions: dict[ResourceId, str] = {}
    unreadable: list[tuple[str, str]] = []
    for entry in entries if isinstance(entries, list) else ():
        text, version = str(entry.get("id") or ""), str(entry.get("v") or "")
        try:
            versions[ResourceId.from_inventory_id(text)] = version
        except ValueError:
            unreadable.append((text, version))
    return Inventory(versions, tuple(unreadable))


def _once(pairs: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple(dict.fromkeys(pairs))
