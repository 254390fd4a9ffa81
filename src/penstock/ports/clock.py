"""Time as a parameter, so that tests turn the clock by hand."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """The time now and the way to wait."""

    def now(self) -> datetime:
        """The wall clock, in UTC, time-zone aware."""

    def monotonic(self) -> float:
        """Seconds that never go backwards."""

    async def sleep(self, seconds: float) -> None:
        """Wait this long on this clock."""
