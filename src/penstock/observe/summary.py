"""What the health of many objects adds up to.

In: health by object. Out: one verdict, and the sentence Flux puts into HealthCheckFailed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from penstock.model.resource import ResourceId
from penstock.observe.kstatus import Health, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The verdict over a set: Failed if any failed, else the worst of what still moves, Current only if all are."""

    status: Status
    unsettled: tuple[tuple[ResourceId, Health], ...] = ()
    """What is not Current, by id."""

    def sentence(self) -> str:
        """'Deployment/apps/api status: 'InProgress': Available: 0/2', comma separated."""
        shown = []
        for key, health in self.unsettled:
            text = f"{key} status: '{health.status}'"
            shown.append(f"{text}: {health.message}" if health.message else text)
        return ", ".join(shown)


_WORST: tuple[Status, ...] = ("Failed", "Unknown", "NotFound", "Terminating", "InProgress")


def of(found: Mapping[ResourceId, Health]) -> Summary:
    """The summary of a set; an empty set is Current."""
    unsettled = tuple((key, health) for key, health in sorted(found.items()) if health.status != "Current")
    statuses = {health.status for _, health in unsettled}
    return Summary(status=next((status for status in _WORST if status in statuses), "Current"), unsettled=unsettled)
