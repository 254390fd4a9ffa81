"""Leases on a clock turned by hand, over a store that does what an API server does with resource versions."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from penstock.controllers.leadership import Leadership, NotLeaderError
from penstock.model.errors import RaceError, TransientError
from penstock.ports.cluster import ApiResource

LEASES = ApiResource(group="coordination.k8s.io", version="v1", kind="Lease", plural="leases", namespaced=True)


class Clock:
    def __init__(self, offset=timedelta(0)):
        self.time, self.offset = 100.0, offset

    def now(self):
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.time) + self.offset

    def monotonic(self):
        return self.time

    async def sleep(self, seconds):
        self.time += seconds
        await asyncio.sleep(0)


class Store:
    name = "store"

    def __init__(self):
        self.leases, self.down = {}, False
        self.version = 0

    async def resource(self, group, kind, version=None):
        return LEASES

    async def get(self, resource, namespace, name):
        self._up()
        found = self.leases.get(name)
        return found and {"metadata": dict(found["metadata"]), "spec": dict(found["spec"])}

    async def create(self, resource, manifest, *, field_manager=""):
        self._up()
        if manifest["metadata"]["name"] in self.leases:
            raise RaceError("exists")
        return self._put(manifest["metadata"]["name"], manifest["spec"])

    async def patch(self, resource, namespace, name, body, **_):
        self._up()
        known = self.leases[name]
        if body["metadata"]["resourceVersion"] != known["metadata"]["resourceVersion"]:
            raise RaceError("conflict")
        return self._put(name, {**known["spec"], **body["spec"]})

    def _put(self, name, spec):
        self.version += 1
        self.leases[name] = {"metadata": {"name": name, "resourceVersion": str(self.version)}, "spec": dict(spec)}
        return self.leases[name]

    def _up(self):
        if self.down:
            raise TransientError("no answer")


def candidate(store, clock, name, *, leases=("a",)):
    return Leadership(store, clock, names=leases, namespace="flux-system", identity=name)


async def acquired(leadership):
    return await leadership.acquire(asyncio.Event())


async def test_one_holds_and_the_other_may_not_write():
    store, clock = Store(), Clock()
    one, other = candidate(store, clock, "one"), candidate(store, clock, "other")
    assert await acquired(one)
    one.check()
    with pytest.raises(NotLeaderError):
        other.check()


async def test_a_lease_is_judged_by_when_it_was_seen_to_change_and_not_by_the_times_in_it():
    """Ten minutes of skew either way change nothing (the other one's renewTime is far in the past, or to come)."""
    for skew in (timedelta(minutes=-10), timedelta(minutes=10)):
        store, clock = Store(), Clock()
        one = candidate(store, clock, "one")
        assert await acquired(one)
        theirs = Clock(offset=skew)
        other = candidate(store, theirs, "other")
        assert not await other._leases[0].attempt()
        theirs.time += 14.9
        assert not await other._leases[0].attempt(), "before fifteen seconds have passed since it was seen"
        theirs.time += 0.2
        assert await other._leases[0].attempt()


async def test_our_right_ends_before_anybody_else_may_take_it():
    store, clock = Store(), Clock()
    one = candidate(store, clock, "one")
    assert await acquired(one)
    clock.time += 9.9
    one.check()
    clock.time += 0.2
    with pytest.raises(NotLeaderError):
        one.check()


async def test_a_server_that_does_not_answer_ends_leadership():
    store, clock = Store(), Clock()
    one = candidate(store, clock, "one")
    assert await acquired(one)
    store.down = True
    await asyncio.wait_for(one.keep(), 5)
    assert one.lost.is_set() and not one.held


async def test_who_was_paused_does_not_take_back_what_another_has():
    store, clock = Store(), Clock()
    one, other = candidate(store, clock, "one"), candidate(store, clock, "other")
    assert await acquired(one)
    await other._leases[0].attempt()
    clock.time += 15.1
    assert await acquired(other)
    await asyncio.wait_for(one.keep(), 5)
    assert one.lost.is_set() and other.held
    assert store.leases["a"]["spec"]["holderIdentity"] == "other"
    assert store.leases["a"]["spec"]["leaseTransitions"] == 1


async def test_released_it_is_free_at_once():
    store, clock = Store(), Clock()
    one, other = candidate(store, clock, "one"), candidate(store, clock, "other")
    assert await acquired(one)
    await one.release()
    with pytest.raises(NotLeaderError):
        one.check()
    began = clock.time
    assert await acquired(other) and clock.time == began


async def test_the_time_of_every_lease_runs_at_once():
    """Two leases of a leader that died are free after the time of one."""
    store, clock = Store(), Clock()
    one, other = candidate(store, clock, "one", leases=("a", "b")), candidate(store, clock, "other", leases=("a", "b"))
    assert await acquired(one)
    began = clock.time
    assert await acquired(other)
    assert clock.time - began <= 17


async def test_all_leases_are_needed():
    store, clock = Store(), Clock()
    flux = candidate(store, clock, "flux", leases=("b",))
    assert await acquired(flux)
    one = candidate(store, clock, "one", leases=("a", "b"))
    assert await one._take() is one._leases[1]
    with pytest.raises(NotLeaderError):
        one.check()
