"""The task of one object: it waits for a reason to look, works, and says when to look again.

In: pokes, and the work to do. Out: one pass after another, never two at once, a pause that grows with failures, and no
exception: one object's bug must not stop the others.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, Protocol

from penstock.controllers import journal
from penstock.controllers.kustomization import Memory
from penstock.controllers.metrics import CONTROLLERS, Metrics
from penstock.controllers.options import Options
from penstock.controllers.specs import Key
from penstock.controllers.waiting import first_of
from penstock.model import flux
from penstock.model.errors import PenstockError, RaceError, RemoteError
from penstock.ports.clock import Clock

_log = logging.getLogger(__name__)
Work = Callable[["Actor"], Coroutine[Any, Any, timedelta | None]]
"""One pass over an object; returns when to look again."""


class Keeper(Protocol):
    """What an actor needs of the manager that keeps it."""

    name: str
    log_as: str
    clock: Clock
    options: Options
    metrics: Metrics
    stop_requested: asyncio.Event

    @property
    def stopping(self) -> bool: ...
    async def tell_of_bug(self, key: Key, git: bool, what: str) -> None:
        """Put a failure that nobody foresaw into the object's status."""


class Actor:
    """The task of one object: wakes, works, waits."""

    def __init__(self, manager: Keeper, key: Key, work: Work, *, git: bool) -> None:
        self.key = key
        self.git = git
        self.memory = Memory()
        self.failures = 0
        self.busy = False
        self.busy_since = 0.0
        """Monotonic; of the pass under way."""
        self._manager = manager
        self._work = work
        self._wake = asyncio.Event()
        self._wake.set()
        self._gone = False

    @property
    def kind(self) -> str:
        return flux.GIT_REPOSITORY if self.git else flux.KUSTOMIZATION

    @property
    def poked(self) -> bool:
        """Whether there is a reason to look that nobody has looked into."""
        return self._wake.is_set()

    def poke(self) -> None:
        """There is a reason to look."""
        self._manager.metrics.adds[self.kind] += 1
        self._wake.set()
        self.memory.interrupt.set()

    def retire(self) -> None:
        """The object is gone."""
        self._gone = True
        self.poke()

    def over(self) -> bool:
        """Whether there is nothing more to do for this object in this process."""
        return self._gone or self._manager.stopping

    async def run(self) -> None:
        wait: float | None = 0.0
        while not self.over():
            if wait != 0.0:
                await first_of(self._manager.clock, wait, self._wake, self._manager.stop_requested)
            if self.over():
                return
            self._wake.clear()
            self.memory.interrupt.clear()
            self.busy, self.busy_since = True, self._manager.clock.monotonic()
            result = "error"
            try:
                with self._logged():
                    after = await self._work(self)
            except RaceError:
                # somebody wrote in between: what the watch brings next is what to work from
                wait = self._backoff()
            except RemoteError as error:
                _log.warning("%s %s/%s: %s", self._manager.name, *self.key, error.what)
                wait = self._backoff()
            except Exception as error:
                # the one place where everything is caught: one object's bug must not stop the others
                what = error.what if isinstance(error, PenstockError) else type(error).__name__
                _log.exception("%s %s/%s: %s", self._manager.name, *self.key, what)
                await self._manager.tell_of_bug(self.key, self.git, what)
                wait = self._backoff()
            else:
                self.failures = 0
                result = "success" if after is None else "requeue_after"
                wait = None if after is None else after.total_seconds()
            finally:
                self.busy = False
                self._manager.metrics.results[self.kind, result] += 1

    def _logged(self) -> contextlib.AbstractContextManager[str]:
        group = flux.SOURCE_GROUP if self.git else flux.KUSTOMIZE_GROUP
        namespace, name = self.key
        return journal.reconciling(
            controller=CONTROLLERS[self.kind],
            group=group,
            kind=self.kind,
            namespace=namespace,
            name=name,
            cluster=self._manager.log_as,
        )

    def _backoff(self) -> float:
        self.failures += 1
        self._manager.metrics.failures += 1
        self._manager.metrics.retries[self.kind] += 1
        options = self._manager.options
        return min(options.min_retry_delay * 2.0 ** min(self.failures - 1, 10), options.max_retry_delay).total_seconds()
