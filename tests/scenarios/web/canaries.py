"""Secrets that are recognised wherever they turn up, and the places to look for them.

In: a running sandbox fleet. Out: for every place where a secret was put, the sinks it reached: none, in a world that is right.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote


def canary(place: str) -> str:
    """24 characters that occur nowhere else, with some that encodings change."""
    return f"cnry+{place[:4]}/{secrets.token_hex(7)}"[:24].ljust(24, "x")


@dataclass(kw_only=True)
class Canaries:
    """Place -> the secret that was put there."""

    planted: dict[str, str] = field(default_factory=dict)

    def plant(self, place: str, value: str = "") -> str:
        """Make a secret for this place, or take one that is there already."""
        self.planted[place] = value or canary(place)
        return self.planted[place]

    def found(self, text: str | bytes) -> list[str]:
        """The places whose secret is in there, in any of its spellings."""
        shown = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
        flat = re.sub(r"\\?\s+", "", shown)
        reverse = flat[::-1]
        return [
            place
            for place, value in self.planted.items()
            if any(spelling in shown or spelling in flat or spelling in reverse for spelling in spellings(value))
        ]


def spellings(value: str) -> Iterator[str]:
    """As it is, base64 (at every offset), hex, percent-encoded, JSON-escaped, HTML-escaped."""
    data = value.encode()
    yield value
    yield data.hex()
    yield quote(value, safe="")
    yield json.dumps(value)[1:-1]
    yield value.replace("+", "&#43;")
    for offset in range(3):
        encoded = base64.b64encode(b"\0" * offset + data).decode()
        # What stands beside it changes the first and the last characters.
        yield encoded[4 if offset else 0 : -4]


def of_folder(folder: Path, without: Mapping[str, str]) -> Iterator[tuple[str, bytes]]:
    """Every file below a folder but those that hold secrets on purpose: path pattern -> why."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not any(re.fullmatch(pattern, name) for pattern in without):
            yield name, path.read_bytes()
