"""Objects of one kind kept in memory, as the cluster changes them.

In: a cluster, a kind, a selector. Out: the objects, and a call for every change. An object counts as deleted only when
a watch said so or a complete list did not have it; while the cluster does not answer, what was known stays known.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from penstock.model.errors import RaceError, RefusedError, RemoteError, TransientError
from penstock.model.resource import Manifest
from penstock.ports.clock import Clock
from penstock.ports.cluster import ApiResource, Cluster, WatchExpiredError

_log = logging.getLogger(__name__)

ObjectKey = tuple[str, str]
"""Namespace and name."""
OnChange = Callable[[ObjectKey, Manifest | None], None]
"""Told of an object as it is now, None when it is gone."""

_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0
_RELIST_SECONDS = 3600.0


class Watcher:
    """List, then watch, for ever. `objects` is complete once `synced` is set."""

    def __init__(
        self,
        cluster: Cluster,
        resource: ApiResource,
        clock: Clock,
        on_change: OnChange,
        *,
        namespace: str = "",
        label_selector: str = "",
        keep: bool = True,
        metadata_only: bool = False,
    ) -> None:
        self.resource = resource
        self.objects: dict[ObjectKey, Manifest] = {}
        self.synced = asyncio.Event()
        self.failure: RemoteError | None = None
        """Why the last attempt failed; None while it works."""
        self._cluster = cluster
        self._clock = clock
        self._on_change = on_change
        self._namespace = namespace
        self._selector = label_selector
        self._keep = keep
        self._metadata_only = metadata_only
        self._versions: dict[ObjectKey, str] = {}
        self._tried = asyncio.Event()

    async def ready(self) -> bool:
        """Wait for the first list, or for the first failure of it; whether the objects are complete."""
        await self._tried.wait()
        return self.synced.is_set()

    async def run(self) -> None:
        """Keep up with the cluster until cancelled."""
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                version = await self._relist()
                pause = _FIRST_PAUSE_SECONDS
                await self._follow(version)
            except (RemoteError, WatchExpiredError) as error:
                if isinstance(error, WatchExpiredError):
                    continue
                self.failure = error
                if isinstance(error, RefusedError):
                    # no right to see it, or no such kind any more: what was known is not known any longer
                    self.synced.clear()
                self._tried.set()
                _log.debug("watch of %s: %s", self.resource.kind, error.what)
                await self._clock.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)

    async def _relist(self) -> str:
        found = await self._cluster.list(
            self.resource, self._namespace, label_selector=self._selector, metadata_only=self._metadata_only
        )
        self.failure = None
        seen: set[ObjectKey] = set()
        for manifest in found.items:
            seen.add(_key(manifest))
            self._put(manifest)
        for key in [key for key in self._versions if key not in seen]:
            self._drop(key)
        self.synced.set()
        self._tried.set()
        return found.resource_version

    async def _follow(self, version: str) -> None:
        """Watch, and watch again where it ended, until that moment is too old or a new list is due anyway: the net under
        everything that goes by events."""
        until = self._clock.monotonic() + _RELIST_SECONDS
        while self._clock.monotonic() < until:
            try:
                async for event in self._cluster.watch(
                    self.resource,
                    self._namespace,
                    resource_version=version,
                    label_selector=self._selector,
                    metadata_only=self._metadata_only,
                ):
                    version = event.resource_version or version
                    if event.kind == "DELETED":
                        self._drop(_key(event.object))
                    elif event.kind != "BOOKMARK":
                        self._put(event.object)
            except RaceError:
                raise WatchExpiredError from None
            except TransientError as error:
                self.failure = error
                await self._clock.sleep(_FIRST_PAUSE_SECONDS)
            else:
                self.failure = None

    def _put(self, manifest: Manifest) -> None:
        key = _key(manifest)
        version = str(manifest["metadata"].get("resourceVersion") or "")
        if self._versions.get(key) == version:
            return
        self._versions[key] = version
        if self._keep:
            self.objects[key] = manifest
        self._tell(key, manifest)

    def _drop(self, key: ObjectKey) -> None:
        if self._versions.pop(key, None) is not None:
            self.objects.pop(key, None)
            self._tell(key, None)

    def _tell(self, key: ObjectKey, manifest: Manifest | None) -> None:
        try:
            self._on_change(key, manifest)
        except Exception:
            # one object that nobody can make sense of must not end the watch of all others
            _log.exception("%s %s/%s cannot be understood", self.resource.kind, *key)

    def note(self, manifest: Manifest) -> None:
        """Take an object as a write of ours returned it, ahead of the watch."""
        known = self.objects.get(_key(manifest))
        if known is None or newer(manifest, known):
            self._put(manifest)


def newer(one: Mapping[str, object], other: Mapping[str, object]) -> bool:
    """Whether one state of an object comes after another (resource versions are numbers since KEP-5504)."""
    return version_of(one) > version_of(other)


def version_of(manifest: Mapping[str, object]) -> int:
    """The resource version as a number; 0 when it is none."""
    metadata = manifest.get("metadata")
    text = str(metadata.get("resourceVersion") or "") if isinstance(metadata, Mapping) else ""
    return int(text) if text.isdigit() else 0


def _key(manifest: Manifest) -> ObjectKey:
    metadata = manifest["metadata"]
    return (str(metadata.get("namespace") or ""), str(metadata["name"]))
