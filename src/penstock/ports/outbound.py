"""Other people's servers: asked for one answer at a time, and only those that may be asked."""

from __future__ import annotations

from typing import Protocol

from penstock.model.question import Answer, Question


class Outbound(Protocol):
    """Asks by GET. Never raises: whatever goes wrong is the answer's `problem`."""

    async def ask(self, question: Question) -> Answer:
        """The answer, after redirects within what is allowed."""
