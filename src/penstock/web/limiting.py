"""How often somebody may try to guess. In: where an attempt came from. Out: how long they have to wait.

The counters stand in a table of fixed size, at places only this process knows: no flood of addresses pushes a counter out,
and nobody can choose whose counter to share.
"""

from __future__ import annotations

import hashlib
import math
import secrets
from dataclasses import dataclass, field

from penstock.ports.clock import Clock

PLACES = 4096
FREE = 5
"""Wrong attempts without a wait."""
_FIRST_SECONDS = 2.0
_LONGEST_SECONDS = 300.0
_FORGIVEN_SECONDS = 900.0
"""After this long without a wrong attempt a place is as new."""


@dataclass(slots=True, kw_only=True)
class Attempts:
    """Wrong attempts, by where they came from; all of them together have a limit of their own."""

    clock: Clock
    _key: bytes = field(default_factory=lambda: secrets.token_bytes(16))
    _wrong: list[int] = field(default_factory=lambda: [0] * PLACES)
    _last: list[float] = field(default_factory=lambda: [-math.inf] * PLACES)

    def wait_seconds(self, source: str) -> float:
        """How long until the next attempt from there counts; 0 when it may be made now."""
        place = self._place(source)
        over = self._wrong[place] - FREE
        if over < 0:
            return 0.0
        until = self._last[place] + min(_LONGEST_SECONDS, _FIRST_SECONDS * 2.0 ** min(over, 20))
        return max(0.0, until - self.clock.monotonic())

    def wrong(self, source: str) -> None:
        """An attempt was wrong."""
        place, now = self._place(source), self.clock.monotonic()
        if now - self._last[place] > _FORGIVEN_SECONDS:
            self._wrong[place] = 0
        self._wrong[place] += 1
        self._last[place] = now

    def right(self, source: str) -> None:
        """An attempt was right: whoever is there may mistype again."""
        self._wrong[self._place(source)] = 0

    def _place(self, source: str) -> int:
        digest = hashlib.blake2b(source.encode(), key=self._key, digest_size=4).digest()
        return int.from_bytes(digest, "big") % PLACES
