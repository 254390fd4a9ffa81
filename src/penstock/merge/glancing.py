"""Which objects a YAML file holds, at a glance: without reading it where it is written the way nearly all are.

In: a text. Out: the identities of its named objects, or None where only reading it can tell. Whoever merges a whole
environment asks this of every changed file three times over, and the full reader is made for editing.
"""

from __future__ import annotations

import re

from penstock.yamldoc import parsing

Identity = tuple[str, str, str, str]

_KEY = re.compile(r"([A-Za-z][A-Za-z0-9]*):(?:[ ]+(.*))?\Z")
_PLAIN = re.compile(r"([A-Za-z0-9](?:[A-Za-z0-9./_-]*[A-Za-z0-9])?)[ ]*(?:[ ]#.*)?\Z")
_NOTHING = re.compile(r"[ ]*(?:#.*)?\Z")
_WORDS = frozenset(("null", "Null", "NULL"))


def named(text: str) -> list[Identity] | None:
    """The named objects, in their order; None: read it."""
    if "\t" in text or "\r" in text:
        return None
    found: list[Identity] = []
    for piece in parsing.split(text):
        first, _, rest = piece.partition("\n")
        if first.startswith("---"):
            if not _NOTHING.match(first[3:]):
                return None
            piece = rest
        if parsing.comment_only(piece):
            continue
        identity = _identity(piece)
        if identity is None:
            return None
        if identity[1] and identity[3]:
            found.append(identity)
    return found


def _identity(piece: str) -> Identity | None:
    values = {"kind": "", "apiVersion": ""}
    seen: set[str] = set()
    inside: list[str] = []
    key = ""
    for line in piece.split("\n"):
        if not line or line[0] in " -#":
            if key == "metadata" and line.startswith(" "):
                inside.append(line)
            elif key in ("metadata", *values) and line and line[0] != "#":
                return None
            continue
        found = _KEY.match(line)
        if found is None or found[1] in seen:
            return None
        key, value = found[1], found[2] or ""
        seen.add(key)
        # A text in quotes may go on for lines, and look like anything.
        if value.count('"') % 2 or value.count("'") % 2:
            return None
        if key in values:
            plain = _PLAIN.match(value)
            if plain is None or plain[1] in _WORDS:
                return None
            values[key] = plain[1]
        elif key == "metadata" and not _NOTHING.match(value):
            return None
    names = _names(inside)
    if names is None:
        return None
    return (values["apiVersion"].rpartition("/")[0], values["kind"], names["namespace"], names["name"])


def _names(lines: list[str]) -> dict[str, str] | None:
    """Name and namespace of the lines below `metadata:`."""
    found = {"name": "", "namespace": ""}
    depth = -1
    for line in lines:
        text = line.lstrip(" ")
        if not text or text[0] == "#":
            continue
        if line.count('"') % 2 or line.count("'") % 2:
            return None
        indent = len(line) - len(text)
        if depth < 0:
            depth = indent
        if indent < depth:
            return None
        if indent > depth or text[0] == "-":
            continue
        key = _KEY.match(text)
        if key is None:
            return None
        if key[1] in found:
            plain = _PLAIN.match(key[2] or "")
            if found[key[1]] or plain is None or plain[1] in _WORDS:
                return None
            found[key[1]] = plain[1]
    return found
