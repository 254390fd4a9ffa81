"""Web addresses as text: what stands in them, and how a value gets into one."""

from __future__ import annotations

import re

_PARTS = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?:(?P<user>[^/?#]*)@)?(?P<host>[^/?#]*)(?P<rest>.*)\Z", re.DOTALL)
_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


def quote(value: str) -> str:
    """A value for a path or a query: everything but letters, digits and -._~ is percent-encoded."""
    return "".join(chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in value.encode())


def problem(address: str) -> str:
    """Why this is no http(s) address to put into a file; '' when it is one."""
    found = _PARTS.match(address)
    if found is None or found["scheme"].lower() not in ("http", "https") or not found["host"]:
        return "not an http(s) address"
    if found["user"] is not None:
        return "an address must not hold a password"
    if "$" in found["host"]:
        return "the host must stand there as it is"
    return ""
