"""How fast one identity may ask an API server: so many requests a second, and so many at once before that counts.

In: a rate and a burst. Out: a turn for every request, in the order they asked.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable


class Pace:
    """A bucket of `burst` turns that fills again by `per_second`."""

    def __init__(
        self,
        per_second: float,
        burst: int,
        *,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._step = 1.0 / per_second
        self._burst = max(burst, 1)
        self._now = now
        self._sleep = sleep
        self._full = float("-inf")
        """When the bucket would be full again, if nobody asked any more."""

    async def turn(self) -> None:
        """Wait for one's turn."""
        now = self._now()
        self._full = max(self._full, now) + self._step
        wait = self._full - now - self._burst * self._step
        if wait > 0:
            await self._sleep(wait)
