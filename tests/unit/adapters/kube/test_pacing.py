"""Requests within a rate, on a clock turned by hand."""

from __future__ import annotations

from penstock.adapters.kube.pacing import Pace


class Time:
    def __init__(self):
        self.now = 0.0

    async def sleep(self, seconds):
        self.now += seconds


async def test_a_burst_goes_at_once_and_the_rest_at_the_rate():
    time = Time()
    pace = Pace(10, 5, now=lambda: time.now, sleep=time.sleep)
    for _ in range(5):
        await pace.turn()
    assert time.now == 0.0
    for _ in range(20):
        await pace.turn()
    assert abs(time.now - 2.0) < 0.01


async def test_after_a_rest_a_burst_is_free_again():
    time = Time()
    pace = Pace(10, 5, now=lambda: time.now, sleep=time.sleep)
    for _ in range(10):
        await pace.turn()
    time.now += 60
    before = time.now
    for _ in range(5):
        await pace.turn()
    assert time.now - before < 0.001
