"""What one build may cost in CPU time: a clock of the caller's is read while it works, and it stops where there is no more.

In: a clock that counts CPU seconds. Out: nothing, or OverBudgetError. The core has no clock of its own; without one there
is no limit. The longest stretch between two looks is the reading of one file, which its size bounds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeVar

from penstock.model.errors import InputError, Problem

MAX_CPU_SECONDS: Final = 60.0
_EVERY: Final = 64
"""Objects between two looks at the clock."""

Clock = Callable[[], float]
Item = TypeVar("Item")


class OverBudgetError(InputError):
    """The build has used up its CPU time. Never collected with other problems: it ends the build."""


class Budget:
    """The CPU time of one build."""

    def __init__(self, clock: Clock | None, seconds: float = MAX_CPU_SECONDS) -> None:
        self._clock = clock
        self._seconds = seconds
        self._end = clock() + seconds if clock is not None else 0.0

    def check(self) -> None:
        """Raises OverBudgetError when the time is used up."""
        if self._clock is not None and self._clock() > self._end:
            raise OverBudgetError(
                [
                    Problem(
                        what=f"the build takes more than {self._seconds:g} seconds of CPU time",
                        hint="split the kustomization, or give it fewer objects, patches and replacements",
                        code="RenderBudget",
                    )
                ]
            )

    def watched(self, items: Iterable[Item]) -> Iterator[Item]:
        """The same items, with a look at the clock every now and then."""
        if self._clock is None:
            return iter(items)
        return self._watched(items)

    def _watched(self, items: Iterable[Item]) -> Iterator[Item]:
        for position, item in enumerate(items):
            if position % _EVERY == 0:
                self.check()
            yield item
