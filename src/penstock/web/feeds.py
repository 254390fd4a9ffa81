"""Facts that several people look at, asked for once and pushed when they change.

In: a function that computes a page's facts. Out: `Known` values, and for everybody who listens the parts that changed.
Nothing is computed while nobody looks, nothing twice at a time, and nothing more often than once a second; whoever is slow
or dead makes facts old or unknown, and never a page fail.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from penstock.model.errors import PenstockError
from penstock.ports.clock import Clock

_log = logging.getLogger(__name__)

PAUSE_SECONDS = 1.0
"""Between two computations, at least."""
DEADLINE_SECONDS = 60.0
"""A computation that takes longer is given up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known[T]:
    """What is known now, and how good that is."""

    value: T | None = None
    """The newest that could be computed; None: nothing yet."""
    asked: datetime | None = None
    """When the value was asked for."""
    problem: str = ""
    """Why there is nothing newer; '' when all is well."""
    refusal: PenstockError | None = None
    """The error behind `problem`, when it is one for people."""
    version: str = ""
    """Another one whenever value or problem change."""


@dataclass(slots=True, kw_only=True, eq=False)
class Fresh[T]:
    """One value, computed on demand by one task at a time, and remembered."""

    compute: Callable[[], Awaitable[T]]
    clock: Clock
    group: asyncio.TaskGroup
    deadline_seconds: float = DEADLINE_SECONDS
    pause_seconds: float = PAUSE_SECONDS
    known: Known[T] = field(default_factory=Known)
    used: float = 0.0
    """When somebody last asked, on the monotonic clock."""
    _task: asyncio.Task[None] | None = None
    _done: float = float("-inf")
    _took: float = 0.0
    _epoch: str = field(default_factory=lambda: secrets.token_hex(4))
    _count: int = 0

    async def get(self, patience_seconds: float) -> Known[T]:
        """The value, not older than the pause if that can be had within `patience_seconds`, else the one of before."""
        self.used = self.clock.monotonic()
        if self._task is None and self.used - self._done < self.pause_seconds:
            return self.known
        task = self._started()
        await asyncio.wait([task], timeout=patience_seconds)
        if not task.done() and self.known.value is None:
            return replace(self.known, problem=self.known.problem or "still asking; this page fills in by itself")
        return self.known

    def forget(self) -> None:
        """What is known is out of date: the next who asks gets it anew."""
        self._done = float("-inf")

    def cancel(self) -> None:
        """Stop computing: nobody wants it any more."""
        if self._task is not None:
            self._task.cancel()

    @property
    def wait_seconds(self) -> float:
        """How long a poller should wait: the pause, and no more time spent asking than half of it."""
        return max(self.pause_seconds, min(self._took, 10.0))

    def _started(self) -> asyncio.Task[None]:
        if self._task is None or self._task.done():
            self._task = self.group.create_task(self._refresh())
        return self._task

    async def _refresh(self) -> None:
        began = self.clock.monotonic()
        asked = self.clock.now()
        problem, refusal = "", None
        value = self.known.value
        try:
            async with asyncio.timeout(self.deadline_seconds):
                value = await self.compute()
        except PenstockError as error:
            problem, refusal = error.what, error
        except TimeoutError:
            problem = f"no answer within {self.deadline_seconds:.0f} s"
        except Exception:
            # The one boundary of a computation: a bug in it must not end the server, nor show its insides.
            _log.exception("a page's facts could not be computed")
            problem = "an internal error; the log of the process that serves this page tells more"
        self._done = self.clock.monotonic()
        self._took = self._done - began
        self._task = None
        self._keep(value, asked if not problem else self.known.asked, problem, refusal)

    def _keep(self, value: T | None, asked: datetime | None, problem: str, refusal: PenstockError | None) -> None:
        old = self.known
        if value == old.value:
            value = old.value  # The same object: comparing what hangs on it stays cheap.
        if not old.version or value is not old.value or problem != old.problem:
            self._count += 1
        version = f"{self._epoch}-{self._count}"
        self.known = Known(value=value, asked=asked, problem=problem, refusal=refusal, version=version)


Parts = Mapping[str, object]
"""Key -> the value drawn there, in the order on the page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """What a browser has to change to show the new state."""

    version: str
    changed: Mapping[str, object]
    gone: tuple[str, ...]
    order: tuple[str, ...]
    """Every key, when one came, went or moved; else ()."""


def difference(old: Parts, new: Parts, version: str) -> Update:
    """From one set of parts to another."""
    changed = {key: part for key, part in new.items() if key not in old or (old[key] is not part and old[key] != part)}
    gone = tuple(key for key in old if key not in new)
    order = tuple(new) if list(old) != list(new) else ()
    return Update(version=version, changed=changed, gone=gone, order=order)


@dataclass(slots=True, kw_only=True, eq=False)
class Listener:
    """One browser with a page open."""

    take: Callable[[Listener], Update | None]
    had: Parts
    version: str
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    ended: bool = False

    def end(self) -> None:
        """It is to be sent away."""
        self.ended = True
        self.woken.set()

    def next(self) -> Update | None:
        """What it does not show yet; None when it is up to date."""
        return self.take(self)


@dataclass(slots=True, kw_only=True, eq=False)
class Feed[T]:
    """One page's facts, and whoever listens to them."""

    fresh: Fresh[T]
    parts: Callable[[Known[T]], Parts]
    _listeners: set[Listener] = field(default_factory=set)
    _poller: asyncio.Task[None] | None = None
    _shown: Parts = field(default_factory=dict)
    _version: str = ""
    _told: str = ""
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def idle(self) -> bool:
        return not self._listeners

    def show(self, known: Known[T]) -> Parts:
        """The parts of what is known, the same objects as long as it is the same."""
        if known.version != self._version or not known.version:
            self._shown, self._version = self.parts(known), known.version
        return self._shown

    def close(self) -> None:
        """Send everybody away and stop computing."""
        for listener in self._listeners:
            listener.end()
        self._listeners.clear()
        self._wake.set()

    def poke(self) -> None:
        """Something was done here: look again now."""
        self.fresh.forget()
        self._wake.set()

    @contextlib.contextmanager
    def listener(self, since: str) -> Iterator[Listener]:
        """Somebody who shows version `since` ('' or one that is not known any more: nothing) and wants what comes."""
        now = self.show(self.fresh.known)
        current = bool(since) and since == self.fresh.known.version
        listener = Listener(take=self._take, had=now if current else {}, version=since if current else "")
        self._listeners.add(listener)
        self._poll()
        try:
            yield listener
        finally:
            self._listeners.discard(listener)

    def _take(self, listener: Listener) -> Update | None:
        known = self.fresh.known
        if not known.version or known.version == listener.version:
            return None
        now = self.show(known)
        update = difference(listener.had, now, known.version)
        listener.had, listener.version = now, known.version
        return update

    def _poll(self) -> None:
        if self._poller is None or self._poller.done():
            self._poller = self.fresh.group.create_task(self._run())

    async def _run(self) -> None:
        """Compute while somebody listens; a poke ends the wait between two looks."""
        while self._listeners:
            self._wake.clear()
            known = await self.fresh.get(patience_seconds=self.fresh.deadline_seconds + 5)
            if known.version != self._told:
                self._told = known.version
                for listener in self._listeners:
                    listener.woken.set()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.fresh.wait_seconds):
                    await self._wake.wait()
