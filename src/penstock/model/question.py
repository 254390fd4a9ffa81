"""What a gate asks another server, and what came back. Plain values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One GET request."""

    url: str
    timeout: timedelta
    credential: str = ""
    """The name of a credential of the fleet file; '' asks without one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the server said, or why there is nothing it said."""

    status: int = 0
    body: bytes = b""
    """At most as much as is read; cut off behind that."""
    problem: str = ""
    """Why it could not be asked, in one clause; '' when it answered."""
    refused: bool = False
    """It must not be asked: a person has to change something."""
