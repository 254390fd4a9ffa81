"""The cluster's own controllers: what makes stored workloads look alive, and what takes things away.

In: changes of the store. Out: writes through the same API, made by the managers a real cluster would name. One task runs
them all, one key at a time: a change marks its object (and whoever owns it) as due; a rollout delay marks a pod as due
later. Restarting the server looks at everything once, so nothing waits for an event that was missed.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import logging
from datetime import UTC, datetime, timedelta
from types import TracebackType

from penstock.sandbox.cluster.api import Api
from penstock.sandbox.cluster.controllers import garbage, workloads
from penstock.sandbox.cluster.status import ApiError
from penstock.sandbox.cluster.store import Change

EVENT_HOURS = 1
_SWEEP_SECONDS = 300.0
log = logging.getLogger(__name__)
Key = tuple[str, str, str]
"""Resource, namespace, name."""


class Controllers:
    """Runs every controller while its context is open."""

    def __init__(self, api: Api, *, rollout_seconds: float | None) -> None:
        """Without `rollout_seconds` only garbage collection and namespaces are looked after."""
        self._api = api
        self._garbage = garbage.Garbage(api)
        self._workloads = (
            None
            if rollout_seconds is None
            else workloads.Workloads(api, rollout_seconds=rollout_seconds, owned=self._garbage.dependents, later=self.later)
        )
        self._due: dict[Key, None] = {}
        self._timers: list[tuple[float, Key]] = []
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._stop_listening = api.store.listen(self._heard)

    async def __aenter__(self) -> Controllers:
        for resource in self._api.store.resources():
            for manifest in self._api.store.objects(resource):
                self._garbage.adopt(resource, manifest)
                self._mark((resource, manifest["metadata"].get("namespace", ""), manifest["metadata"]["name"]))
        self._task = asyncio.get_running_loop().create_task(self._run(), name="sandbox controllers")
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop_listening()
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    # ---------------------------------------------------------------------------------------------- the queue

    def _heard(self, change: Change) -> None:
        self._garbage.heard(change)
        self._mark((change.resource, change.namespace, change.name))
        for key in self._garbage.concerned(change):
            self._mark(key)
        if self._workloads is not None:
            for key in self._workloads.concerned(change):
                self._mark(key)

    def _mark(self, key: Key) -> None:
        self._due[key] = None
        self._wake.set()

    def later(self, seconds: float, key: Key) -> None:
        """Look at a key again after a while."""
        heapq.heappush(self._timers, (asyncio.get_running_loop().time() + seconds, key))
        self._wake.set()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        sweep = loop.time()
        while True:
            if loop.time() >= sweep:
                sweep = loop.time() + _SWEEP_SECONDS
                with self._api.store.batch():
                    self._garbage.expire_events((datetime.now(UTC) - timedelta(hours=EVENT_HOURS)).strftime("%Y-%m-%dT%H:%M:%SZ"))
            while self._timers and self._timers[0][0] <= loop.time():
                self._mark(heapq.heappop(self._timers)[1])
            if self._due:
                self._work()
                # Requests come first: give the loop a turn between rounds.
                await asyncio.sleep(0)
                continue
            self._wake.clear()
            timeout = min([sweep, *(moment for moment, _ in self._timers[:1])]) - loop.time()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), timeout)

    def _work(self) -> None:
        """One round over a handful of due keys, written to disk together."""
        batch = list(self._due)[:50]
        for key in batch:
            del self._due[key]
        with self._api.store.batch():
            for key in batch:
                try:
                    self._garbage.reconcile(*key)
                    if self._workloads is not None:
                        self._workloads.reconcile(*key)
                except ApiError as error:
                    # For example a quota, or a namespace that is going: the next change brings us back.
                    log.info("sandbox controllers: %s %s/%s: %s", *key, error.message)
                except Exception:
                    log.exception("sandbox controllers: %s %s/%s", *key)
