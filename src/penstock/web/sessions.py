"""Who is signed in. In: a person who proved who they are. Out: a session, until it ends: by time, by hand, or by a restart.

Sessions live in memory and are found by a random id that only the browser's cookie holds.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from penstock.model.people import Person
from penstock.ports.clock import Clock

SESSION = timedelta(hours=12)
_SESSIONS = 4096
"""More at a time than people; then the one that was begun first ends."""
_OF_ONE = 64
"""The same for one person: nobody's browsers push out somebody else's."""


@dataclass(slots=True, kw_only=True, eq=False)
class Session:
    """One signed-in browser."""

    id: str = field(repr=False)
    csrf: str = field(repr=False)
    person: Person
    began: datetime
    ends: float
    """On the monotonic clock."""
    forge_token: str = field(repr=False, default="")
    """With which the person acts on the forge, where the forge is the identity provider."""
    forge_until: float = float("inf")
    handle: str = field(default_factory=lambda: secrets.token_hex(8))
    """By which an admin ends it: it opens nothing."""
    ended: list[Callable[[], None]] = field(default_factory=list)
    """Called when it ends: open event streams close at once."""


@dataclass(slots=True, kw_only=True)
class Sessions:
    """All of them."""

    clock: Clock
    _all: dict[str, Session] = field(default_factory=dict)

    def begin(self, person: Person, *, forge_token: str = "", forge_seconds: float | None = None) -> Session:
        """A new session, with an id nobody could have known before."""
        for session in list(self._surplus(person)):
            self.end(session)
        now = self.clock.monotonic()
        session = Session(
            id=secrets.token_urlsafe(32),
            csrf=secrets.token_urlsafe(32),
            person=person,
            began=self.clock.now(),
            ends=now + SESSION.total_seconds(),
            forge_token=forge_token,
            forge_until=now + forge_seconds if forge_seconds is not None else float("inf"),
        )
        self._all[session.id] = session
        return session

    def find(self, id_: str) -> Session | None:
        """The session of this id, unless it has ended."""
        found = self._all.get(id_)
        if found is not None and found.ends <= self.clock.monotonic():
            self.end(found)
            return None
        return found

    def living(self) -> tuple[Session, ...]:
        """Those that have not ended, oldest first."""
        now = self.clock.monotonic()
        return tuple(session for session in self._all.values() if session.ends > now)

    def end(self, session: Session) -> None:
        """End it everywhere it is open."""
        self._all.pop(session.id, None)
        session.forge_token = ""
        for call in tuple(session.ended):
            call()

    def _surplus(self, person: Person) -> Iterator[Session]:
        now = self.clock.monotonic()
        living = [session for session in self._all.values() if session.ends > now]
        yield from (session for session in self._all.values() if session.ends <= now)
        mine = [session for session in living if session.person.login == person.login]
        yield from mine[: max(0, len(mine) - _OF_ONE + 1)]
        yield from living[: max(0, len(living) - _SESSIONS + 1)]
