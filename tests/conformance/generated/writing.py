"""Values in, YAML text in a random but valid dress out: quotes, block scalars, flow, comments, anchors, indentation.

What the text means is not asserted here; both engines read the same bytes. The writer only has to stay valid YAML nearly
always, and to reach every way in which people write it.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Raw:
    """A scalar written exactly so."""

    text: str


@dataclass(frozen=True, slots=True)
class Anchor:
    """A value with a name."""

    name: str
    value: Any


@dataclass(frozen=True, slots=True)
class Alias:
    """The named value again."""

    name: str


_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./@$(){}+=,;<>*-]*(?:[ :][A-Za-z0-9_./@$()+=-]+)*\Z")
_WORDS = frozenset(("true", "false", "yes", "no", "on", "off", "y", "n", "null"))
_COMMENTS = ("# TODO", "# keep in sync with prod", "#no space", "# key: value", "# ünïcode …", "#", "# - item", "# 'quote")


class Writer:
    """Writes documents with habits drawn once, as one person writes one file."""

    def __init__(self, rng: random.Random, *, plain: bool = False) -> None:
        self.rng = rng
        self.calm = plain or rng.random() < 0.35
        self.indent = rng.choice((2, 2, 2, 2, 4, 3))
        self.indented_lists = rng.random() < 0.4
        self.quotes = rng.choice((0.05, 0.2, 0.5))
        self.flow = 0.0 if self.calm else rng.choice((0.02, 0.06, 0.2))
        self.comments = 0.0 if self.calm else rng.choice((0.0, 0.03, 0.15))

    def document(self, value: Any) -> str:
        """One document, without separators."""
        if isinstance(value, dict) and value:
            text = self._mapping(value, 0)
        elif isinstance(value, list) and value:
            text = self._list(value, 0)
        else:
            text = self._leaf(value, 0) + "\n"
        return text

    def _maybe(self, chance: float) -> bool:
        return chance > 0 and self.rng.random() < chance

    def _comment(self, pad: str) -> str:
        if not self._maybe(self.comments):
            return ""
        if self._maybe(0.2):
            return "\n"
        return f"{pad}{self.rng.choice(_COMMENTS)}\n"

    def _tail(self) -> str:
        return f" {self.rng.choice(_COMMENTS)}" if self._maybe(self.comments * 0.6) else ""

    def _mapping(self, value: dict[Any, Any], depth: int) -> str:
        pad = " " * depth
        out = []
        for key, item in value.items():
            out.append(self._comment(pad))
            out.append(f"{pad}{self._key(key)}:{self._value(item, depth, in_list=False)}")
        return "".join(out)

    def _key(self, key: Any) -> str:
        if isinstance(key, Raw):
            return key.text
        if key == "<<":
            return "<<"
        if self._maybe(0.03 if self.calm else self.quotes * 0.15):
            return self._double(key) if self._maybe(0.5) else self._single(key)
        if _PLAIN.match(key) and ": " not in key and " #" not in key:
            return str(key)
        return self._double(key)

    def _value(self, item: Any, depth: int, *, in_list: bool) -> str:
        """What follows 'key:' or '-', with the line break."""
        anchor = ""
        if isinstance(item, Anchor):
            anchor, item = f" &{item.name}", item.value
        if isinstance(item, dict) and item and not self._maybe(self.flow):
            inner = depth + self.indent
            return f"{anchor}{self._tail()}\n{self._mapping(item, inner)}"
        if isinstance(item, list) and item and not self._maybe(self.flow * 1.5):
            inner = depth + (self.indent if self.indented_lists or in_list else 0)
            return f"{anchor}{self._tail()}\n{self._list(item, inner)}"
        if isinstance(item, str) and "\n" in item and not self._maybe(0.25):
            return f"{anchor} {self._block(item, depth)}"
        text = self._leaf(item, depth)
        # kustomize itself stumbles over a comment behind an empty value that later gets an empty list
        return f"{anchor} {text}{self._tail()}\n" if text or anchor else "\n"

    def _list(self, value: list[Any], depth: int) -> str:
        pad = " " * depth
        out = []
        for item in value:
            out.append(self._comment(pad))
            if isinstance(item, dict) and item and not self._maybe(self.flow):
                body = self._mapping(item, depth + 2)
                stripped = body.lstrip("\n")
                first = stripped.split("\n", 1)[0]
                if first.startswith(" " * (depth + 2)) and not first.strip().startswith("#"):
                    out.append(f"{pad}- {stripped[depth + 2 :]}")
                else:
                    out.append(f"{pad}-\n{body}")
            else:
                out.append(f"{pad}-{self._value(item, depth, in_list=True)}")
        return "".join(out)

    def _block(self, text: str, depth: int) -> str:
        """A literal or folded block; falls back to double quotes where a block cannot say it."""
        if re.search(r"[^\n -~\u00a0-\ud7ff\ue000-\ufefe]", text) or text.startswith("\n"):
            return self._double(text) + "\n"
        style = "|" if ":" in text or self._maybe(0.75) else ">"
        inner = " " * (depth + self.indent)
        hint = str(self.indent) if text[0] == " " else ""
        body = text.rstrip("\n")
        trailing = len(text) - len(body)
        chomp = "-" if trailing == 0 else "" if trailing == 1 else "+"
        if not body:
            return self._double(text) + "\n"
        lines = [inner + line if line else "" for line in body.split("\n")]
        return f"{style}{hint}{chomp}{self._tail()}\n" + "\n".join(lines) + "\n" + "\n" * max(0, trailing - 1)

    def _leaf(self, value: Any, depth: int) -> str:
        """A scalar, an alias, or a flow collection, on one line."""
        if isinstance(value, Raw):
            return value.text
        if isinstance(value, Alias):
            return f"*{value.name}"
        if isinstance(value, Anchor):
            return f"&{value.name} {self._leaf(value.value, depth)}"
        if value is None:
            return self.rng.choice(("", "null", "~", "Null")) if not self.calm else "null"
        if value is True or value is False:
            word = "true" if value else "false"
            return word if self.calm or self._maybe(0.8) else self.rng.choice((word.title(), word.upper()))
        if isinstance(value, int | float):
            return repr(value)
        if isinstance(value, dict):
            return (
                "{" + self._pad(", ".join(f"{self._flow_key(k)}: {self._flow_value(v, depth)}" for k, v in value.items())) + "}"
            )
        if isinstance(value, list):
            return "[" + self._pad(", ".join(self._flow(item, depth) for item in value)) + "]"
        return self._string(value, flow=False)

    def _pad(self, inside: str) -> str:
        return f" {inside} " if inside and self._maybe(0.4) else inside

    def _flow_key(self, key: Any) -> str:
        if isinstance(key, Raw):
            return key.text
        return key if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_./-]*", key) or key == "<<" else self._double(key)

    def _flow_value(self, value: Any, depth: int) -> str:
        """What stands behind a key between braces, where null may be nothing at all."""
        return "" if value is None and self._maybe(0.3) else self._flow(value, depth)

    def _flow(self, value: Any, depth: int) -> str:
        if isinstance(value, str):
            return self._string(value, flow=True)
        if isinstance(value, Raw) and re.search(r"[,\[\]{}#|>]|^:|:$", value.text):
            return self._double(value.text)
        if value is None:
            return "~" if self._maybe(0.2) else "null"
        text = self._leaf(value, depth)
        return f"{text} " if isinstance(value, Alias) else text

    def _string(self, text: str, *, flow: bool) -> str:
        if not self._maybe(self.quotes) and _PLAIN.match(text) and not (flow and re.search(r"[,\[\]{}]", text)):
            clear = ": " not in text and " #" not in text
            if clear and (text.lower() not in _WORDS or self._maybe(0.01)):
                return text
        return self._single(text) if self._maybe(0.5) else self._double(text)

    def _single(self, text: str) -> str:
        if re.search(r"[^ -~\u00a0-\ud7ff\ue000-\ufefe]", text):
            return self._double(text)
        return "'" + text.replace("'", "''") + "'"

    def _double(self, text: str) -> str:
        out = []
        for character in text:
            code = ord(character)
            if character in '"\\':
                out.append("\\" + character)
            elif character == "\n":
                out.append("\\n")
            elif character == "\t":
                out.append("\\t")
            elif code < 0x20 or code == 0x7F:
                out.append(f"\\x{code:02x}")
            elif code > 0x7E and (self._maybe(0.3) or 0x80 <= code < 0xA0 or code in (0x2028, 0x2029, 0xFEFF)):
                out.append(f"\\U{code:08x}" if code > 0xFFFF else f"\\u{code:04x}")
            else:
                out.append(character)
        return '"' + "".join(out) + '"'


def join(rng: random.Random, texts: list[str], *, calm: bool = False) -> bytes:
    """Documents to one file: separators, empty documents, comments around, line endings."""
    out = []
    for index, text in enumerate(texts):
        if index or rng.random() < 0.35:
            separator = "---\n"
            if not calm and rng.random() < 0.06:
                separator = rng.choice(("--- # next\n", "---   \n", "---\n---\n", "---\n# only a comment\n---\n", "---\n\n"))
            out.append(separator)
        out.append(text)
    joined = "".join(out)
    if calm:
        return joined.encode()
    roll = rng.random()
    if roll < 0.03:
        joined = "# a file comment\n" + joined
    elif roll < 0.05:
        joined += "---\n"
    elif roll < 0.07:
        joined = joined.rstrip("\n")
    elif roll < 0.09:
        joined += "\n\n# the end\n"
    data = joined.encode("utf-8", "surrogatepass")
    if rng.random() < 0.025:
        data = data.replace(b"\n", b"\r\n")
    if rng.random() < 0.01:
        data = b"\xef\xbb\xbf" + data
    return data
