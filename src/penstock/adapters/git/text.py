"""Text from a remote made safe to show. In: bytes or text of a server, and secrets. Out: one short plain line.

A server's sideband, an error page or a commit message may carry terminal escapes (to rewrite what the reader sees), bidi
controls, or our own credentials echoed back; none of them may reach a log, a terminal or a status condition.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

_ESCAPES = re.compile(
    r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # OSC: titles, hyperlinks, clipboard
    r"|\x1b[PX^_][^\x1b]*(?:\x1b\\)?"  # DCS, SOS, PM, APC
    r"|\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|\x9b[0-?]*[ -/]*[@-~]"  # the same as one C1 character
    r"|\x1b[ -/]*[0-~]?"
)
_USERINFO = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*://)[^/\s@]*@", re.IGNORECASE)
_SPACES = re.compile(r"\s+")


def plain(text: str, *, secrets: Iterable[str] = (), limit: int = 500) -> str:
    """The text on one line: no escapes, no control or bidi characters, no URL userinfo, no secret, cut at `limit`."""
    text = _ESCAPES.sub("", text)
    for secret in sorted((secret for secret in secrets if secret), key=len, reverse=True):
        text = text.replace(secret, "***")
    text = _USERINFO.sub(r"\g<scheme>", text)
    text = _SPACES.sub(" ", text)
    text = "".join(char for char in text if unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co", "Cn"))
    text = text.strip()
    return text if len(text) <= limit else text[: limit - 1] + "…"
