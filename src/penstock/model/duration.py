"""Go durations, '1h5m0s', at the edge; timedelta everywhere else."""

from __future__ import annotations

import re
from datetime import timedelta

_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|us|µs|ns|d|h|m|s)")
_LONGEST = 40
"""Digits of one part: more is no number of anything, and takes long to read."""
_SECONDS = {"d": 86_400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


def parse(text: str, *, days: bool = False) -> timedelta:
    """Read '5m', '1h30m', '1.5s', '500ms'; '1d' too where `days` are allowed, which Go has not. Raises ValueError."""
    if text == "0":
        return timedelta(0)
    seconds, position = 0.0, 0
    while position < len(text):
        match = _PART.match(text, position, position + _LONGEST)
        if match is None or (match[2] == "d" and not days):
            raise ValueError(f"not a duration: {text[:_LONGEST]!r}")
        seconds += float(match[1]) * _SECONDS[match[2]]
        position = match.end()
    if not text:
        raise ValueError("an empty duration")
    try:
        return timedelta(seconds=seconds)
    except OverflowError:
        raise ValueError(f"a duration longer than time itself: {text[:40]!r}") from None


def show(duration: timedelta) -> str:
    """As Go prints it: '5m0s', '1h0m0s', '1.5s', '250ms', '0s'."""
    seconds = duration.total_seconds()
    if seconds < 0:
        return "-" + show(-duration)
    if seconds == 0:
        return "0s"
    if seconds < 1:
        return f"{_plain(seconds * 1000)}ms"
    hours, rest = divmod(seconds, 3600)
    minutes, rest = divmod(rest, 60)
    text = f"{_plain(rest)}s"
    if hours or minutes:
        text = f"{int(minutes)}m{text}"
    return f"{int(hours)}h{text}" if hours else text


def _plain(number: float) -> str:
    return f"{number:.6f}".rstrip("0").rstrip(".")
