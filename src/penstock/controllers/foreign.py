"""Sources that other controllers keep: what they announce is watched, from when a Kustomization first names their kind.

In: kinds as they are named. Out: a call for every artifact that is new. A kind whose CRD is not installed is looked for until
it is; a kind that nobody names costs nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from penstock.controllers.specs import Key
from penstock.controllers.watching import Watcher
from penstock.model import flux
from penstock.model.errors import RemoteError
from penstock.model.resource import Manifest
from penstock.ports.clock import Clock
from penstock.ports.cluster import Cluster

ABSENT_SECONDS = 5.0


@dataclass(slots=True, kw_only=True)
class ForeignSources:
    """The sources of one cluster that are not ours."""

    cluster: Cluster
    clock: Clock
    namespace: str
    wake: Callable[[str, Key], None]
    """Told of the kind, namespace and name of a source that announces something new."""
    tasks: asyncio.TaskGroup
    _kinds: set[str] = field(default_factory=set)
    _announced: dict[tuple[str, Key], object] = field(default_factory=dict)

    def want(self, kind: str) -> None:
        """Somebody builds from sources of this kind."""
        if kind not in self._kinds:
            self._kinds.add(kind)
            self.tasks.create_task(self._follow(kind), name=f"{self.cluster.name} sources {kind}")

    async def _follow(self, kind: str) -> None:
        while True:
            try:
                resource = await self.cluster.resource(flux.SOURCE_GROUP, kind)
            except RemoteError:
                resource = None
            if resource is not None:
                break
            await self.clock.sleep(ABSENT_SECONDS)

        def changed(key: Key, manifest: Manifest | None) -> None:
            self._changed(kind, key, manifest)

        await Watcher(self.cluster, resource, self.clock, changed, namespace=self.namespace, keep=False).run()

    def _changed(self, kind: str, key: Key, manifest: Manifest | None) -> None:
        if manifest is None:
            self._announced.pop((kind, key), None)
            self.wake(kind, key)
            return
        artifact = (manifest.get("status") or {}).get("artifact") or {}
        now = (artifact.get("revision"), artifact.get("digest"), artifact.get("url"))
        if self._announced.get((kind, key)) != now:
            self._announced[(kind, key)] = now
            self.wake(kind, key)
