"""How often a target is told. In: keys and the time. Out: whether to send, wait or leave it.

One value per target. The same news is told once (for a day), bursts go out up to `burst` and then at `per_minute`, a target
that fails is left alone for longer and longer, and what waits is bounded: the oldest is dropped and counted.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field

from penstock.notify.facts import Message

_REMEMBERED_SECONDS = 86_400.0
_REMEMBERED = 4096
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 1.0, 300.0
ATTEMPTS = 12
"""After so many failures in a row a message is given up: with the pauses, about twenty minutes."""


@dataclass(slots=True, kw_only=True)
class Pace:
    """The queue of one target and when it may go on."""

    per_minute: float = 30.0
    burst: int = 10
    capacity: int = 200
    dropped: int = 0
    """Messages that were not told: the queue was full, or the target failed for too long."""
    repeated: int = 0
    """Messages that had been told before."""
    _queue: deque[Message] = field(default_factory=deque)
    _told: OrderedDict[str, float] = field(default_factory=OrderedDict)
    _tokens: float = -1.0
    _filled: float = 0.0
    _failures: int = 0
    _alone_until: float = float("-inf")

    def __len__(self) -> int:
        return len(self._queue)

    def add(self, message: Message, now: float) -> bool:
        """Put it behind the others; whether it is news."""
        self._forget(now)
        if message.key in self._told:
            self.repeated += 1
            return False
        self._told[message.key] = now
        if len(self._queue) >= self.capacity:
            self._queue.popleft()
            self.dropped += 1
        self._queue.append(message)
        return True

    def wait(self, now: float) -> float | None:
        """Seconds until the next may be sent; None when there is none."""
        if not self._queue:
            return None
        self._fill(now)
        until_token = 0.0 if self._tokens >= 1 else (1 - self._tokens) * 60.0 / self.per_minute
        return max(0.0, self._alone_until - now, until_token)

    def take(self, now: float) -> Message:
        """The next one, which stays in the queue until `sent` or `failed`."""
        self._fill(now)
        self._tokens -= 1
        return self._queue[0]

    def sent(self, message: Message) -> None:
        """It arrived."""
        self._failures = 0
        self._remove(message)

    def failed(self, message: Message, now: float, *, hopeless: bool = False, retry_after: float = 0.0) -> None:
        """It did not; `hopeless` when trying again cannot help (a refusal)."""
        self._failures += 1
        pause = min(_FIRST_PAUSE_SECONDS * 2 ** min(self._failures - 1, 16), _LONGEST_PAUSE_SECONDS)
        self._alone_until = now + max(pause, min(retry_after, _LONGEST_PAUSE_SECONDS))
        if hopeless or self._failures >= ATTEMPTS:
            self.dropped += 1
            self._failures = 0
            self._remove(message)

    def _remove(self, message: Message) -> None:
        # It may have been dropped by a newer one meanwhile.
        if self._queue and self._queue[0] is message:
            self._queue.popleft()

    def _fill(self, now: float) -> None:
        if self._tokens < 0:
            self._tokens, self._filled = float(self.burst), now
        self._tokens = min(float(self.burst), self._tokens + max(0.0, now - self._filled) * self.per_minute / 60.0)
        self._filled = now

    def _forget(self, now: float) -> None:
        while self._told and (len(self._told) > _REMEMBERED or next(iter(self._told.values())) < now - _REMEMBERED_SECONDS):
            self._told.popitem(last=False)
