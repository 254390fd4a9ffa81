"""Leader election by Leases (coordination.k8s.io): who may write, and until when.

In: a cluster of its own connections, the leases' names. Out: `check`, asked before each write. A lease is judged by when
this process saw it change, never by the times written in it, so clocks may differ (client-go does the same). We stop writing
before anybody else may begin: our right ends `renew_deadline` after the last renewal was sent, theirs begins
`lease` after they saw it. A process that was paused finds its right over when it wakes up.

By default the leases are those of Flux's own controllers: Penstock and Flux on one cluster exclude each other.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import secrets
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from penstock.controllers.waiting import first_of
from penstock.model.errors import RaceError, RefusedError, RemoteError, TransientError
from penstock.model.resource import Manifest
from penstock.ports.clock import Clock
from penstock.ports.cluster import ApiResource, Cluster

_log = logging.getLogger(__name__)
GROUP = "coordination.k8s.io"
MANAGER = "penstock"
KUSTOMIZE_LEASE = "kustomize-controller-leader-election"
SOURCE_LEASE = "source-controller-leader-election"
"""The names of Flux's controllers' leases."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long leadership lasts; a standby takes over within `lease` and one `retry`."""

    lease: timedelta = timedelta(seconds=15)
    renew_deadline: timedelta = timedelta(seconds=10)
    retry: timedelta = timedelta(seconds=2)


class NotLeaderError(TransientError):
    """A write that was not sent, because this process may no longer write."""

    def __init__(self) -> None:
        super().__init__("this process is not the leader any more: nothing was written", code="NotLeader")


def identity() -> str:
    """A name for this process: the pod's, and something that no restart repeats."""
    return f"{socket.gethostname()}_{secrets.token_hex(8)}"


def shard_name(base: str, selector: str) -> str:
    """The lease of a shard, named as Flux names it, so that shards do not exclude each other."""
    return f"{base}-{hashlib.sha256(selector.encode()).hexdigest()[:8]}" if selector else base


class Leadership:
    """Holds one or more leases, taken in the order given."""

    def __init__(
        self,
        cluster: Cluster,
        clock: Clock,
        *,
        names: Sequence[str],
        namespace: str,
        identity: str,
        timing: Timing | None = None,
    ) -> None:
        self.identity = identity
        self.holder = ""
        """Who leads, as far as this process knows."""
        self.lost = asyncio.Event()
        self._clock = clock
        self._timing = timing or Timing()
        self._leases = [_Lease(cluster, clock, name, namespace, identity, self._timing) for name in names]

    def check(self) -> None:
        """Called right before each write. Raises NotLeaderError once the right to write is over."""
        if not self.held:
            raise NotLeaderError

    @property
    def held(self) -> bool:
        """Whether this process may write now."""
        return all(lease.held for lease in self._leases)

    async def acquire(self, stop: asyncio.Event) -> bool:
        """Wait until every lease is ours; False when `stop` was set first."""
        told = ""
        while not stop.is_set():
            missing = await self._take()
            if missing is None:
                self.lost.clear()
                self.holder = self.identity
                _log.info("successfully acquired lease %s", ", ".join(lease.name for lease in self._leases))
                return True
            if missing.holder != told:
                told = self.holder = missing.holder
                _log.info("waiting for lease %s, held by %s", missing.name, told or "nobody")
            await first_of(self._clock, missing.pause(), stop)
        return False

    async def _take(self) -> _Lease | None:
        """Renew and take what can be; the first lease that is somebody else's."""
        missing: _Lease | None = None
        for lease in self._leases:
            if missing is not None:
                # not to be taken before the one it comes after, but seen: its time runs from now
                await lease.look()
            elif not await lease.attempt():
                missing = lease
        return missing

    async def keep(self) -> None:
        """Renew for ever; returns, with `lost` set, when the right to write is over."""
        while True:
            await self._clock.sleep(self._timing.retry.total_seconds())
            for lease in self._leases:
                await lease.attempt()
            if not self.held:
                _log.error("leader election lost")
                self.holder = ""
                self.lost.set()
                return

    async def release(self) -> None:
        """Let the next one lead at once. What it cannot tell the cluster expires by itself."""
        for lease in reversed(self._leases):
            await lease.release()


class _Lease:
    def __init__(self, cluster: Cluster, clock: Clock, name: str, namespace: str, identity: str, timing: Timing) -> None:
        self.name = name
        self.holder = ""
        self._cluster = cluster
        self._clock = clock
        self._namespace = namespace
        self._identity = identity
        self._timing = timing
        self._until = float("-inf")
        """Monotonic time at which our right to write ends."""
        self._seen: tuple[object, ...] = ()
        self._expires = float("-inf")
        """Monotonic time at which somebody else's lease counts as abandoned."""

    @property
    def held(self) -> bool:
        return self._clock.monotonic() < self._until

    def pause(self) -> float:
        """Until the next attempt: no later than the moment the lease may be free."""
        retry = self._timing.retry.total_seconds()
        left = self._expires - self._clock.monotonic()
        return min(retry, left) if left > 0 else min(retry, 0.2)

    async def attempt(self) -> bool:
        """Renew or take the lease; whether it is ours. An API server that does not answer is no answer."""
        began = self._clock.monotonic()
        deadline = self._until - began if self._until > began else self._timing.renew_deadline.total_seconds()
        try:
            async with asyncio.timeout(max(deadline, 0.1)):
                ours = await self._attempt()
        except (RemoteError, TimeoutError) as error:
            if isinstance(error, RefusedError):
                _log.warning("lease %s: %s", self.name, error.what)
            return self.held
        if ours:
            # counted from before the request: whoever sees the renewal sees it later than this
            self._until = began + self._timing.renew_deadline.total_seconds()
            self.holder = self._identity
        else:
            self._until = float("-inf")
        return ours

    async def look(self) -> None:
        """See whether it changed, without taking it."""
        with contextlib.suppress(RemoteError, TimeoutError):
            async with asyncio.timeout(self._timing.renew_deadline.total_seconds()):
                found = await self._cluster.get(await self._resource(), self._namespace, self.name)
                if found is not None:
                    self._abandoned(found.get("spec") or {})

    async def _attempt(self) -> bool:
        resource = await self._resource()
        found = await self._cluster.get(resource, self._namespace, self.name)
        if found is None:
            await self._cluster.create(resource, self._manifest({}), field_manager=MANAGER)
            return True
        spec = found.get("spec") or {}
        self.holder = str(spec.get("holderIdentity") or "")
        if self.holder and self.holder != self._identity and not self._abandoned(spec):
            return False
        try:
            written = await self._cluster.patch(
                resource, self._namespace, self.name, self._change(found), kind="merge", field_manager=MANAGER
            )
        except RaceError:
            # somebody was quicker
            return False
        return written is not None

    def _abandoned(self, spec: Manifest) -> bool:
        now = self._clock.monotonic()
        seen = (spec.get("holderIdentity"), spec.get("renewTime"), spec.get("acquireTime"), spec.get("leaseTransitions"))
        if seen != self._seen:
            self._seen = seen
            self._expires = now + float(spec.get("leaseDurationSeconds") or self._timing.lease.total_seconds())
        return now >= self._expires

    def _change(self, found: Manifest) -> Manifest:
        # the resource version makes it conditional: of several that find it free, one gets it
        change = self._manifest(found.get("spec") or {})
        change["metadata"] = {"resourceVersion": found["metadata"]["resourceVersion"]}
        return change

    def _manifest(self, before: Manifest) -> Manifest:
        now = _micro(self._clock.now())
        spec: Manifest = {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": max(1, round(self._timing.lease.total_seconds())),
            "renewTime": now,
        }
        if before.get("holderIdentity") != self._identity:
            spec["acquireTime"] = now
            spec["leaseTransitions"] = int(before.get("leaseTransitions") or 0) + (1 if before else 0)
        return {
            "apiVersion": f"{GROUP}/v1",
            "kind": "Lease",
            "metadata": {"name": self.name, "namespace": self._namespace},
            "spec": spec,
        }

    async def release(self) -> None:
        if self._until == float("-inf"):
            return
        self._until = float("-inf")
        try:
            async with asyncio.timeout(5):
                resource = await self._resource()
                found = await self._cluster.get(resource, self._namespace, self.name)
                if found is None or (found.get("spec") or {}).get("holderIdentity") != self._identity:
                    return
                change = {
                    "metadata": {"resourceVersion": found["metadata"]["resourceVersion"]},
                    "spec": {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": _micro(self._clock.now())},
                }
                await self._cluster.patch(resource, self._namespace, self.name, change, kind="merge", field_manager=MANAGER)
                _log.info("released lease %s", self.name)
        except (RemoteError, TimeoutError) as error:
            _log.warning("lease %s is not released, it expires: %s", self.name, error)

    async def _resource(self) -> ApiResource:
        found = await self._cluster.resource(GROUP, "Lease", "v1")
        if found is None:
            raise TransientError(f"{self._cluster.name} does not serve Leases", code="NoMatch")
        return found


def _micro(moment: datetime) -> str:
    """A time as Kubernetes' MicroTime."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
