"""Tells people what happened. In: the report of each promotion pass. Out: messages to sinks, commit statuses.

Nothing here holds anything else up: a report is taken in no time (the newest one counts, since news are told from what is
there, not from what was heard), every sink has a queue and a worker of its own, queues are bounded and what falls out of them
is counted. The facts told last are kept in a file, so that news are neither lost nor repeated when a process ends.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from penstock.controllers.notifying_facts import Gatherer
from penstock.controllers.notifying_statuses import Statuses
from penstock.controllers.promotion import Report
from penstock.controllers.promotion_cases import fault
from penstock.model.errors import PenstockError, RefusedError
from penstock.notify import deciding, pacing, routing
from penstock.notify.facts import Facts, Message
from penstock.ports.clock import Clock
from penstock.ports.sink import Sink

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """What became of the messages to one target."""

    sent: int = 0
    failed: int = 0
    dropped: int = 0
    waiting: int = 0


@dataclass(slots=True)
class _Worker:
    """One sink with its queue."""

    name: str
    sink: Sink
    pace: pacing.Pace
    clock: Clock
    sent: int = 0
    failed: int = 0
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        while True:
            self.wake.clear()
            pause = self.pace.wait(self.clock.monotonic())
            if pause is None:
                await self.wake.wait()
            elif pause > 0:
                await self.clock.sleep(pause)
            else:
                await self._send(self.pace.take(self.clock.monotonic()))

    async def _send(self, message: Message) -> None:
        try:
            await self.sink.send(message)
        except PenstockError as error:
            self._failed(message, hopeless=isinstance(error, RefusedError), after=getattr(error, "retry_after", None) or 0.0)
            _log.warning("notification %s to %s: %s", message.event, self.name, error.what)
        except Exception as error:
            self._failed(message, hopeless=True)
            _log.error("notification %s to %s: %s", message.event, self.name, fault(error))
        else:
            self.sent += 1
            self.pace.sent(message)

    def _failed(self, message: Message, *, hopeless: bool, after: float = 0.0) -> None:
        self.failed += 1
        self.pace.failed(message, self.clock.monotonic(), hopeless=hopeless, retry_after=after)


@dataclass(slots=True, kw_only=True)
class Notifier:
    """Tells about one fleet."""

    gatherer: Gatherer
    sinks: Mapping[str, Sink]
    """By the names that rules use."""
    clock: Clock
    statuses: Statuses | None = None
    from_git: Callable[[str], Sink] | None = None
    """Makes a sink of an https:// address that a rule in Git names; None: such addresses are not used."""
    per_minute: Mapping[str, float] = field(default_factory=dict)
    memory: Path | None = None
    """The file of the facts told last."""
    unknown: int = 0
    """Messages to names that are no target."""
    _report: Report | None = None
    _before: Facts | None = None
    _kept: bool = False
    """Whether the file says what `_before` is."""
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _workers: dict[str, _Worker] = field(default_factory=dict)

    def observe(self, report: Report) -> None:
        """Take a report; returns at once."""
        self._report = report
        self._wake.set()

    def counts(self) -> dict[str, Count]:
        """By target."""
        return {
            name: Count(sent=one.sent, failed=one.failed, dropped=one.pace.dropped, waiting=len(one.pace))
            for name, one in self._workers.items()
        }

    async def run(self) -> None:
        """Until cancelled."""
        self._before = self._remembered()
        async with asyncio.TaskGroup() as group:
            if self.statuses is not None:
                group.create_task(self.statuses.run(), name="commit statuses")
            while True:
                await self._wake.wait()
                self._wake.clear()
                report, self._report = self._report, None
                if report is None:
                    continue
                try:
                    for name in await self._tell(report):
                        worker = self._workers[name]
                        group.create_task(worker.run(), name=f"notify {name}")
                except PenstockError as error:
                    _log.warning("notifications: %s", error.what)
                except Exception as error:
                    _log.error("notifications: %s", fault(error))

    async def _tell(self, report: Report) -> list[str]:
        """Queue what is new in a report; the names of the workers that have to be started."""
        rules = report.survey.repository.notifications
        facts = deciding.settled(self._before, await asyncio.to_thread(self.gatherer.gather, report.survey))
        started = []
        for name, message in routing.route(deciding.news(self._before, facts), rules):
            worker = self._workers.get(name)
            if worker is None:
                if (sink := self._sink(name)) is None:
                    self.unknown += 1
                    _log.warning("notification %s: there is no target %r in the fleet file", message.event, name)
                    continue
                pace = pacing.Pace(per_minute=self.per_minute.get(name, 30.0))
                worker = self._workers[name] = _Worker(name, sink, pace, self.clock)
                started.append(name)
            if worker.pace.add(message, self.clock.monotonic()):
                worker.wake.set()
        if self.statuses is not None:
            self.statuses.wanted([one for one in facts.environments if routing.with_statuses(rules, one.name)])
        self._kept = self._kept and facts == self._before
        self._before = facts
        # Only what everybody was told counts as told: a crash repeats news, it loses none.
        if not self._kept and not any(len(worker.pace) for worker in self._workers.values()):
            self._remember(facts)
            self._kept = True
        return started

    def _sink(self, name: str) -> Sink | None:
        if name.startswith("https://"):
            return self.from_git(name) if self.from_git else None
        return self.sinks.get(name)

    def _remembered(self) -> Facts | None:
        if self.memory is None:
            return None
        try:
            return msgspec.json.decode(self.memory.read_bytes(), type=Facts)
        except (OSError, msgspec.MsgspecError):
            return None

    def _remember(self, facts: Facts) -> None:
        if self.memory is None:
            return
        try:
            self.memory.parent.mkdir(parents=True, exist_ok=True)
            beside = self.memory.with_suffix(".new")
            beside.write_bytes(msgspec.json.encode(facts))
            beside.replace(self.memory)
        except OSError as error:
            _log.warning("notifications: what was told cannot be kept: %s", error.strerror)
