"""Where spans go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from penstock.promote.tracing import Span


class Tracer(Protocol):
    """Takes spans that are over; returns at once and never raises: what cannot be told is dropped and counted."""

    def export(self, spans: Sequence[Span]) -> None:
        """Take these."""
