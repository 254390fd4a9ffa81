"""When a window of the week is open, in its own time zone, across changes to and from summer time.

In: a window and a moment. Out: whether it is open, and when it opens next. Local times that do not exist on a day move
forward with the clock; those that exist twice mean the first.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from penstock.model.pipeline import Window

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def is_open(window: Window, now: datetime) -> bool:
    """Whether `now` is inside; the start belongs to the window, the end does not."""
    today = now.astimezone(ZoneInfo(window.zone)).date()
    # A window that passes midnight belongs to the day it began on.
    spans = (_span(window, day) for day in (today - timedelta(days=1), today))
    return any(start <= now < end for start, end in spans if start)


def next_open(window: Window, now: datetime) -> datetime | None:
    """When it opens next after `now` (UTC); None when it has no day."""
    today = now.astimezone(ZoneInfo(window.zone)).date()
    for ahead in range(9):
        start, _ = _span(window, today + timedelta(days=ahead))
        if start and start > now:
            return start
    return None


_NEVER = datetime.min.replace(tzinfo=UTC)


def _span(window: Window, day: date) -> tuple[datetime | None, datetime]:
    """The window that begins on a day, in UTC; (None, …) when none does."""
    if day.weekday() not in window.days:
        return None, _NEVER
    zone = ZoneInfo(window.zone)
    last = day if window.end > window.start else day + timedelta(days=1)
    start = datetime.combine(day, window.start, zone).astimezone(UTC)
    return start, datetime.combine(last, window.end, zone).astimezone(UTC)


def show(window: Window) -> str:
    """'Mon-Fri 09:00-16:00 Europe/Berlin'."""
    return f"{_show_days(window.days)} {window.start:%H:%M}-{window.end:%H:%M} {window.zone}".lstrip()


def _show_days(days: tuple[int, ...]) -> str:
    if days == tuple(range(7)):
        return "daily"
    runs: list[list[int]] = []
    for day in days:
        if runs and day == runs[-1][-1] + 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    return ", ".join(_DAYS[run[0]] if len(run) == 1 else f"{_DAYS[run[0]]}-{_DAYS[run[-1]]}" for run in runs)
