"""SOPS' other stores: JSON, binary (a JSON envelope), dotenv and INI.

In: the text of a file. Out: its metadata and leaves, and then the plain file as SOPS writes it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from penstock.decrypt import rules as metadata
from penstock.decrypt.cipher import Comment
from penstock.decrypt.sealed import Leaf, SealedError, as_text

Pairs = list[tuple[str, Any]]
_MAX_DEPTH = 200


class _Object(Pairs):
    """A JSON object with its keys in file order."""


class JsonFile:
    """A JSON file."""

    def __init__(self, text: str) -> None:
        """Raises SealedError."""
        try:
            root = json.loads(text, object_pairs_hook=_Object)
        except (ValueError, RecursionError):
            raise SealedError("it is not JSON") from None
        if not isinstance(root, _Object):
            raise SealedError("an encrypted JSON file must be an object")
        self.metadata = _dictionary(dict(root).get("sops"))
        self._root = _Object((key, value) for key, value in root if key != "sops")
        self.leaves: list[Leaf] = []
        self._walk(self._root, (), 0)

    def _walk(self, value: Any, path: tuple[str, ...], depth: int) -> None:
        if depth > _MAX_DEPTH:
            raise SealedError("it is nested too deeply")
        if isinstance(value, _Object):
            for key, item in value:
                self._walk(item, (*path, key), depth + 1)
        elif isinstance(value, list):
            for item in value:
                self._walk(item, path, depth + 1)
        else:
            self.leaves.append(Leaf(path=path, value=value))

    def written(self, values: Sequence[Any]) -> str:
        """The plain file."""
        left = iter(values)
        return _json(self._filled(self._root, left), "") + "\n"

    def _filled(self, value: Any, left: Any) -> Any:
        if isinstance(value, _Object):
            return _Object((key, self._filled(item, left)) for key, item in value)
        if isinstance(value, list):
            found = [self._filled(item, left) for item in value]
            return [item for item in found if not isinstance(item, Comment)]
        return next(left)

    def binary(self, values: Sequence[Any]) -> bytes:
        """What a binary file held. Raises SealedError when this is not one."""
        for leaf, value in zip(self.leaves, values, strict=True):
            if leaf.path == ("data",) and isinstance(value, str | bytes):
                return value if isinstance(value, bytes) else value.encode()
        raise SealedError("error emitting binary store: no binary data found in tree")


def _json(value: Any, pad: str) -> str:
    """JSON as Go indents it, by tabs."""
    inner = pad + "\t"
    if isinstance(value, _Object):
        if not value:
            return "{}"
        members = [f"{inner}{_json_text(key)}: {_json(item, inner)}" for key, item in value]
        return "{\n" + ",\n".join(members) + f"\n{pad}}}"
    if isinstance(value, list):
        return "[\n" + ",\n".join(inner + _json(item, inner) for item in value) + f"\n{pad}]" if value else "[]"
    if isinstance(value, float):
        return json.dumps(int(value)) if value.is_integer() and abs(value) < 1e21 else json.dumps(value)
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    return _json_text(value) if isinstance(value, str) else json.dumps(value)


def _json_text(text: str) -> str:
    shown = json.dumps(text, ensure_ascii=False)
    for character in "<>&\u2028\u2029":
        shown = shown.replace(character, f"\\u{ord(character):04x}")
    return shown


def _dictionary(value: Any) -> Any:
    if isinstance(value, _Object):
        return {key: _dictionary(item) for key, item in value}
    return [_dictionary(item) for item in value] if isinstance(value, list) else value


class DotenvFile:
    """A file of KEY=value lines."""

    def __init__(self, text: str) -> None:
        """Raises SealedError."""
        flat: dict[str, str] = {}
        self._keys: list[str | None] = []
        self.leaves: list[Leaf] = []
        before: list[str] = []
        for number, line in enumerate(text.split("\n"), 1):
            if not line:
                continue
            if line.startswith("#"):
                before.append(line[1:])
                self._keys.append(None)
                self.leaves.append(Leaf(path=(), value=line[1:], comments=(tuple(before),), comment=True, line=number))
                continue
            key, separator, value = line.partition("=")
            if not separator:
                raise SealedError("a line has no '='", number)
            value = value.replace("\\n", "\n")
            if key.startswith("sops_"):
                flat[key.removeprefix("sops_")] = value
                continue
            self._keys.append(key)
            self.leaves.append(Leaf(path=(key,), value=value, comments=(tuple(before),), line=number))
            before.clear()
        self.metadata = metadata.unflattened(flat) if flat else None

    def written(self, values: Sequence[Any]) -> str:
        """The plain file."""
        lines = [
            f"#{value.text}" if key is None else f"{key}={as_text(value).replace(chr(10), chr(92) + 'n')}"
            for key, value in zip(self._keys, values, strict=True)
        ]
        return "".join(line + "\n" for line in lines)


class IniFile:
    """A file of sections with `key = value` lines."""

    def __init__(self, text: str) -> None:
        """Raises SealedError."""
        flat: dict[str, str] = {}
        self.leaves: list[Leaf] = []
        self._lines: list[str] = []
        self._slots: dict[int, tuple[int, str]] = {}
        section = "DEFAULT"
        pending: list[tuple[int, str, str, int]] = []
        """Comments, until it is known which section's they are: place, marks before it, text, line."""
        for number, line in enumerate(text.split("\n"), 1):
            stripped = line.strip()
            header = stripped.startswith("[") and stripped.endswith("]")
            if header:
                section = stripped[1:-1].strip()
            key, separator, value = line.partition("=")
            if section == "sops":
                if separator:
                    flat[key.strip()] = _ini_value(value).replace("\\n", "\n")
                continue
            if stripped[:1] in ("#", ";"):
                words = stripped.lstrip("#; ")
                pending.append((len(self._lines), line[: len(line.rstrip()) - len(words)], words, number))
            elif header or separator:
                texts: list[str] = []
                for place, head, words, at in pending:
                    texts.append(words)
                    self._slots[len(self.leaves)] = (place, head)
                    self.leaves.append(Leaf(path=(section,), value=words, comments=((), tuple(texts)), comment=True, line=at))
                pending.clear()
                if not header:
                    self._slots[len(self.leaves)] = (len(self._lines), f"{key}= " if value.startswith(" ") else f"{key}=")
                    leaf = Leaf(path=(section, key.strip()), value=_ini_value(value), comments=((), tuple(texts)), line=number)
                    self.leaves.append(leaf)
            self._lines.append(line)
        self.metadata = metadata.unflattened(flat) if flat else None

    def written(self, values: Sequence[Any]) -> str:
        """The plain file."""
        lines = list(self._lines)
        for index, value in enumerate(values):
            place, head = self._slots[index]
            lines[place] = head + (value.text if isinstance(value, Comment) else _ini_shown(as_text(value)))
        return "\n".join(lines).rstrip("\n") + "\n"


def _ini_value(text: str) -> str:
    text = text.strip()
    for quote in ('"""', "`", '"', "'"):
        if len(text) >= 2 * len(quote) and text.startswith(quote) and text.endswith(quote):
            return text[len(quote) : -len(quote)]
    return text


def _ini_shown(text: str) -> str:
    if "\n" in text or "`" in text:
        return f'"""{text}"""'
    return f"`{text}`" if any(mark in text for mark in "#;") or text != text.strip() else text
