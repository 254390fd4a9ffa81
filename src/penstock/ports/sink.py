"""Where a notification goes: a chat, a mailbox, a webhook, a pull request."""

from __future__ import annotations

from typing import Protocol

from penstock.notify.facts import Message


class Sink(Protocol):
    """One target. Delivering twice is allowed, delivering never without an error is not."""

    async def send(self, message: Message) -> None:
        """Deliver. Raises TransientError when trying again may help, RefusedError when it will not."""
