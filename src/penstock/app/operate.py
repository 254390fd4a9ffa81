"""Sync one cluster for as long as this process lives and leads: what runs in a pod.

In: how to reach the cluster, the manager's options, leadership, addresses. Out: nothing but effects. While another process
leads this one waits; when leadership is lost everything is dropped, since no write gets through any more, and the wait
begins anew. Asked to stop, it finishes the passes under way and lets go of the lease.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.controllers import leadership as leaderships
from penstock.controllers.leadership import Leadership, Timing
from penstock.controllers.manager import GRACE_SECONDS, Manager
from penstock.controllers.options import Options
from penstock.ports.clock import Clock

if TYPE_CHECKING:
    from penstock.adapters.kube.client import HttpCluster
    from penstock.controllers.hooks import Hooks

_log = logging.getLogger(__name__)
RUNTIME_NAMESPACE = "flux-system"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How one process works."""

    kubeconfig: Path | None = None
    context: str | None = None
    options: Options = field(default_factory=Options)
    cache: Path
    """Folder of the Git mirrors: it can be deleted while nothing runs."""
    elect: bool = True
    """Write only while holding the leases."""
    timing: Timing = field(default_factory=Timing)
    identity: str = ""
    metrics: str = ""
    health: str = ""
    receivers: str = ""
    """Addresses; '' is off."""
    requests_per_second: float = 0.0
    """To the API server; 0 is as many as it takes."""
    burst: int = 300


def runtime_namespace() -> str:
    """The namespace this process belongs to: the pod's own."""
    return os.environ.get("RUNTIME_NAMESPACE") or RUNTIME_NAMESPACE


async def operate(settings: Settings, stop: asyncio.Event, started: Callable[[dict[str, str]], None] = lambda _: None) -> None:
    """Work until `stop` is set; `started` hears the URLs of what is served.

    Raises InputError, RefusedError for what is wrong from the start; never for a cluster that does not answer.
    """
    from penstock.adapters import kube
    from penstock.adapters.clock import SystemClock
    from penstock.adapters.kube.pacing import Pace

    clock = SystemClock()
    pace = Pace(settings.requests_per_second, settings.burst) if settings.requests_per_second else None
    async with contextlib.AsyncExitStack() as stack:
        leadership: Leadership | None = None
        if settings.elect:
            # connections of its own: renewing must not queue behind a thousand applies, nor ask its own gate
            of_leases = await stack.enter_async_context(kube.connect(settings.kubeconfig, settings.context))
            leadership = Leadership(
                of_leases,
                clock,
                names=_leases(settings.options),
                namespace=runtime_namespace(),
                identity=settings.identity or leaderships.identity(),
                timing=settings.timing,
            )
        gate = leadership.check if leadership is not None else None
        cluster = await stack.enter_async_context(kube.connect(settings.kubeconfig, settings.context, gate=gate, pace=pace))
        await _Process(settings, cluster, leadership, clock).run(stop, started)


def _leases(options: Options) -> list[str]:
    """Flux's own, so that its controllers and this process exclude each other."""
    names = [leaderships.KUSTOMIZE_LEASE, *([leaderships.SOURCE_LEASE] if options.sources else [])]
    return [leaderships.shard_name(name, options.label_selector) for name in names]


class _Process:
    def __init__(self, settings: Settings, cluster: HttpCluster, leadership: Leadership | None, clock: Clock) -> None:
        from penstock.controllers.metrics import Exposition
        from penstock.controllers.repositories import Mirrors

        self._settings = settings
        self._cluster = cluster
        self._leadership = leadership
        self._clock = clock
        self._exposition = Exposition()
        self._mirrors = Mirrors(settings.cache / "mirrors")
        self._hooks: Hooks | None = None
        self._manager: Manager | None = None

    async def run(self, stop: asyncio.Event, started: Callable[[dict[str, str]], None]) -> None:
        from penstock.controllers import endpoints, hooks

        watched = endpoints.Watched(collectors=(self._exposition,), stuck=self._stuck, unready=self._unready)
        async with contextlib.AsyncExitStack() as stack:
            served = endpoints.serve(watched, metrics=self._settings.metrics, health=self._settings.health)
            urls = await stack.enter_async_context(served)
            if (where := endpoints.address(self._settings.receivers)) is not None:
                self._hooks = hooks.Hooks()
                urls["receivers"] = await stack.enter_async_context(hooks.serve(self._hooks, where[0] or "0.0.0.0", where[1]))  # noqa: S104 - asked for by ':PORT'
            started(urls)
            leadership = self._leadership
            while not stop.is_set():
                self._lead(False)
                if leadership is not None and not await leadership.acquire(stop):
                    break
                self._lead(True)
                await self._work(stop)
            if leadership is not None:
                await leadership.release()

    def _lead(self, leading: bool) -> None:
        self._exposition.leading = dict.fromkeys(_leases(self._settings.options), leading) if self._leadership else {}

    async def _work(self, stop: asyncio.Event) -> None:
        """Sync until asked to stop, or until leadership is lost."""
        options = replace(self._settings.options, hooks=self._hooks)
        manager = Manager(self._cluster, repositories=self._mirrors, clock=self._clock, options=options)
        manager.log_as = ""
        self._manager = manager
        self._exposition.managers = {"": manager}
        async with asyncio.TaskGroup() as group:
            running = group.create_task(manager.run(), name="sync")
            stopping = group.create_task(stop.wait(), name="stop")
            watching = [running, stopping]
            if self._leadership is not None:
                watching.append(group.create_task(self._leadership.keep(), name="renew"))
            await asyncio.wait(watching, return_when=asyncio.FIRST_COMPLETED)
            if stop.is_set():
                _log.info("shutting down")
                manager.stop()
                await asyncio.wait({*watching} - {stopping}, timeout=GRACE_SECONDS + 5, return_when=asyncio.FIRST_COMPLETED)
            for task in watching:
                task.cancel()
        self._manager = None
        self._exposition.managers = {}

    def _stuck(self) -> list[str]:
        return self._manager.stuck() if self._manager is not None else []

    def _unready(self) -> list[str]:
        manager = self._manager
        if manager is None:
            # a standby is as ready as it can be: another process leads
            return []
        if manager.ready.is_set():
            return []
        return [f"not watching yet: {manager.failure.what if manager.failure is not None else 'connecting'}"]
