"""Conditions of a Kubernetes object, as values.

In: the `status.conditions` list of a manifest. Out: `Conditions`, changed by returning new ones, and the list again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

ConditionStatus = Literal["True", "False", "Unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One condition; `since` is lastTransitionTime as it stands in the object."""

    type: str
    status: ConditionStatus
    reason: str
    message: str = ""
    observed_generation: int = 0
    since: str = ""

    def manifest(self) -> dict[str, Any]:
        """The condition as it stands in an object."""
        shown: dict[str, Any] = {
            "lastTransitionTime": self.since,
            "message": self.message,
            "reason": self.reason,
            "status": self.status,
            "type": self.type,
        }
        if self.observed_generation:
            shown["observedGeneration"] = self.observed_generation
        return shown


@dataclass(frozen=True, slots=True)
class Conditions:
    """The conditions of one object, in their order; types are unique."""

    items: tuple[Condition, ...] = ()

    def __iter__(self) -> Iterator[Condition]:
        return iter(self.items)

    def get(self, type: str) -> Condition | None:  # noqa: A002 - Kubernetes' word
        """The condition of a type."""
        return next((item for item in self.items if item.type == type), None)

    def is_true(self, type: str) -> bool:  # noqa: A002 - Kubernetes' word
        """Whether the condition is there and True."""
        found = self.get(type)
        return found is not None and found.status == "True"

    def is_false(self, type: str) -> bool:  # noqa: A002 - Kubernetes' word
        """Whether the condition is there and False."""
        found = self.get(type)
        return found is not None and found.status == "False"

    def with_(self, condition: Condition, now: datetime) -> Conditions:
        """The conditions with this one set; its `since` stays while status, reason and message stay (Flux's rule)."""
        old = self.get(condition.type)
        same = old is not None and (old.status, old.reason, old.message) == (
            condition.status,
            condition.reason,
            condition.message,
        )
        placed = replace(condition, since=old.since if same and old is not None and old.since else timestamp(now))
        if old is None:
            return Conditions(_sorted((*self.items, placed)))
        return Conditions(tuple(placed if item.type == condition.type else item for item in self.items))

    def without(self, *types: str) -> Conditions:
        """The conditions but these."""
        return Conditions(tuple(item for item in self.items if item.type not in types))

    def manifest(self) -> list[dict[str, Any]]:
        """The list as it stands in an object."""
        return [item.manifest() for item in self.items]


def parse(found: object) -> Conditions:
    """Read `status.conditions`; what is not a condition is left out."""
    if not isinstance(found, list):
        return Conditions()
    return Conditions(tuple(_parsed(found)))


def of(manifest: Mapping[str, Any]) -> Conditions:
    """The conditions of an object."""
    status = manifest.get("status")
    return parse(status.get("conditions") if isinstance(status, Mapping) else None)


def timestamp(moment: datetime) -> str:
    """A moment as Kubernetes writes it: UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _parsed(found: Iterable[object]) -> Iterator[Condition]:
    seen: set[str] = set()
    for item in found:
        if not isinstance(item, Mapping) or not isinstance(item.get("type"), str) or item["type"] in seen:
            continue
        status = item.get("status")
        seen.add(item["type"])
        generation = item.get("observedGeneration")
        yield Condition(
            type=item["type"],
            status=status if status in ("True", "False") else "Unknown",
            reason=str(item.get("reason") or ""),
            message=str(item.get("message") or ""),
            observed_generation=generation if isinstance(generation, int) else 0,
            since=str(item.get("lastTransitionTime") or ""),
        )


_FIRST = ("Stalled", "Reconciling", "Ready", "Healthy")


def _sorted(items: tuple[Condition, ...]) -> tuple[Condition, ...]:
    """What a person looks for first, first."""
    order = {name: index for index, name in enumerate(_FIRST)}
    return tuple(sorted(items, key=lambda item: (order.get(item.type, len(order)), item.type)))
