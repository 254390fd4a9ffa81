"""Writing what we found back into an object: its status, its finalizers, and Kubernetes events about it.

In: an object as last seen and the status it should have. Out: the object after the write. A status is written only over
the state it was computed from: when somebody wrote in between, the write is tried again only if they touched nothing that
ours is based on (A01: never overwrite a newer inventory).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from penstock.controllers import journal
from penstock.model import condition as conditions
from penstock.model.condition import Condition
from penstock.model.errors import RaceError, RemoteError
from penstock.model.resource import Manifest
from penstock.ports.clock import Clock
from penstock.ports.cluster import ApiResource, Cluster

_log = logging.getLogger(__name__)
_TRIES = 5
_LONGEST_MESSAGE = 20_000
"""Flux's limit; the API server refuses a status with a condition over 32,768."""
_LONGEST_EVENT = 1024
_EVENT_GROUP = "event.toolkit.fluxcd.io/"


class Reporter:
    """Writes to one object during one reconciliation; `manifest` is the object as of our last write."""

    def __init__(self, cluster: Cluster, resource: ApiResource, manifest: Manifest, clock: Clock, *, manager: str) -> None:
        self.manifest = manifest
        self.conditions = conditions.of(manifest)
        self._cluster = cluster
        self._resource = resource
        self._clock = clock
        self._manager = manager

    @property
    def generation(self) -> int:
        return int(self.manifest["metadata"].get("generation") or 0)

    @property
    def status(self) -> Mapping[str, Any]:
        found = self.manifest.get("status")
        return found if isinstance(found, Mapping) else {}

    def mark(self, type: str, status: conditions.ConditionStatus, reason: str, message: str) -> None:  # noqa: A002
        """Set a condition, to be written with the next `write`."""
        made = Condition(
            type=type, status=status, reason=reason, message=message[:_LONGEST_MESSAGE], observed_generation=self.generation
        )
        self.conditions = self.conditions.with_(made, self._clock.now())

    def unmark(self, *types: str) -> None:
        """Remove conditions, to be written with the next `write`."""
        self.conditions = self.conditions.without(*types)

    async def write(self, changes: Mapping[str, Any] | None = None) -> bool:
        """Write the conditions and these status fields (None removes one) if anything differs; whether it did.

        Raises RaceError when the object changed under us in what the status is based on.
        """
        patch = {key: value for key, value in (changes or {}).items() if self.status.get(key) != value}
        if self.conditions != conditions.of(self.manifest):
            patch["conditions"] = self.conditions.manifest()
        if not patch:
            return False
        for _ in range(_TRIES):
            namespace, name = self.manifest["metadata"]["namespace"], self.manifest["metadata"]["name"]
            version = self.manifest["metadata"]["resourceVersion"]
            try:
                written = await self._cluster.patch(
                    self._resource,
                    namespace,
                    name,
                    {"metadata": {"resourceVersion": version}, "status": patch},
                    kind="merge",
                    subresource="status",
                    field_manager=self._manager,
                )
            except RaceError:
                await self._reread(namespace, name)
                continue
            if written is None:
                raise RaceError(f"{name} is gone", code="Gone")
            self.manifest = written
            return True
        raise RaceError(f"the status of {self.manifest['metadata']['name']} changes faster than it can be written")

    async def set_finalizers(self, finalizers: Sequence[str]) -> None:
        """Replace the finalizers. Raises RaceError when the object changed under us."""
        metadata = self.manifest["metadata"]
        written = await self._cluster.patch(
            self._resource,
            metadata["namespace"],
            metadata["name"],
            {"metadata": {"resourceVersion": metadata["resourceVersion"], "finalizers": list(finalizers)}},
            kind="merge",
            field_manager=self._manager,
        )
        if written is not None:
            self.manifest = written

    async def annotate(self, annotations: Mapping[str, str]) -> None:
        """Set these annotations. Raises RaceError when the object changed under us."""
        metadata = self.manifest["metadata"]
        written = await self._cluster.patch(
            self._resource,
            metadata["namespace"],
            metadata["name"],
            {"metadata": {"resourceVersion": metadata["resourceVersion"], "annotations": dict(annotations)}},
            kind="merge",
            field_manager=self._manager,
        )
        if written is not None:
            self.manifest = written

    async def _reread(self, namespace: str, name: str) -> None:
        found = await self._cluster.get(self._resource, namespace, name)
        if found is None:
            raise RaceError(f"{name} is gone", code="Gone")
        for part in ("uid", "generation", "deletionTimestamp"):
            if found["metadata"].get(part) != self.manifest["metadata"].get(part):
                raise RaceError(f"{name} changed", code="Conflict")
        theirs, ours = found.get("status") or {}, self.status
        if theirs.get("inventory") != ours.get("inventory"):
            raise RaceError(f"the inventory of {name} changed", code="Conflict")
        self.manifest = found


class Events:
    """Kubernetes events, sent beside the work: a full queue or a dead API server never holds anything up."""

    def __init__(self, cluster: Cluster, clock: Clock, *, component: str, prefix: str) -> None:
        self.dropped = 0
        self._cluster = cluster
        self._clock = clock
        self._component = component
        self._prefix = prefix
        self._queue: asyncio.Queue[Manifest] = asyncio.Queue(maxsize=5000)

    def emit(
        self, about: Manifest, reason: str, message: str, *, error: bool = False, metadata: Mapping[str, str] | None = None
    ) -> None:
        """Tell something about an object; `metadata` keys get the group's prefix, as Flux's notifications expect."""
        of = about["metadata"]
        now = self._clock.now()
        level = logging.ERROR if error else logging.INFO
        _log.log(level, message, extra=journal.fields(reason=reason, **_logged(about, metadata or {})))
        moment = conditions.timestamp(now)
        event: Manifest = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "name": f"{of['name']}.{int(now.timestamp() * 1e9):x}",
                "namespace": of.get("namespace") or "default",
                "annotations": {
                    # what users attach for notifications: a change request, a commit
                    **{key: value for key, value in _annotations(about).items() if key.startswith(_EVENT_GROUP)},
                    **{f"{self._prefix}/{key}": value for key, value in (metadata or {}).items()},
                },
            },
            "involvedObject": {
                "apiVersion": about["apiVersion"],
                "kind": about["kind"],
                "name": of["name"],
                "namespace": of.get("namespace"),
                "uid": of.get("uid"),
                "resourceVersion": of.get("resourceVersion"),
            },
            "reason": reason,
            "message": message if len(message) <= _LONGEST_EVENT else message[: _LONGEST_EVENT - 4] + " ...",
            "type": "Warning" if error else "Normal",
            "source": {"component": self._component},
            "reportingComponent": self._component,
            "firstTimestamp": moment,
            "lastTimestamp": moment,
            "count": 1,
        }
        try:
            self._queue.put_nowait(event)
        except asyncio.QueueFull:
            self.dropped += 1

    async def run(self) -> None:
        """Send what is queued until cancelled."""
        while True:
            event = await self._queue.get()
            try:
                resource = await self._cluster.resource("", "Event", "v1")
                if resource is not None:
                    await self._cluster.create(resource, event, field_manager=self._component)
            except RemoteError as error:
                self.dropped += 1
                _log.debug("event not sent: %s", error.what)


def _logged(about: Manifest, metadata: Mapping[str, str]) -> dict[str, str]:
    """What a log line says beside its message; outside of a pass, whose object it is."""
    said = {"revision": metadata["revision"]} if metadata.get("revision") else {}
    if journal.current():
        return said
    of = about["metadata"]
    return {**said, "controllerKind": about["kind"], "namespace": str(of.get("namespace") or ""), "name": str(of["name"])}


def _annotations(manifest: Manifest) -> Mapping[str, str]:
    return manifest["metadata"].get("annotations") or {}


def failed_message(error: BaseException) -> str:
    """What a condition says of an error, without its hint's layout."""
    return str(error)[:_LONGEST_MESSAGE]
