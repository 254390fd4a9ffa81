"""Plain values in, the YAML text that kustomize would print out, byte for byte.

kustomize prints an object by way of JSON and go-yaml v2: keys in natural order, sequences not indented under their
key, literal blocks for text with line breaks, quotes only where the text would be read as something else.
Lines are folded at spaces once they are past 80 columns. The rules are libyaml's scalar analysis and writing, which
go-yaml v2 carries over; what differs from other printers is named at its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cmp_to_key, lru_cache
from typing import Any, Final

from penstock.model import errors
from penstock.yamldoc import scalars

LONGEST_SIMPLE_KEY: Final = 128
"""Longer keys are written in the '? key' form."""
WIDTH: Final = 80
"""A line that is longer may be broken at its next space."""

_WORD = re.compile(r"[A-Za-z_/][A-Za-z0-9_./-]*(?::[A-Za-z0-9_./-]+)*\Z")
_ORDERED = re.compile(r"[A-Za-z./-]*\Z")
_BAD_START = frozenset("#,[]{}&*!|>'\"%@`")
# Outside these go-yaml v2 sees a special character and falls back to double quotes; tabs and emoji are outside.
_SPECIAL = re.compile("[^\n\x20-\x7e\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd]")
_BREAK = re.compile("[\n\r\x85\u2028\u2029]")
_LINE_BREAKS = "\n\u2028\u2029"
_BREAKING = re.compile("[\n\x85\u2028\u2029]")
_NEXT_LINES = re.compile(" *\x85(?: *\x85)* *")
_ESCAPES = {
    "\x00": "\\0",
    "\x07": "\\a",
    "\x08": "\\b",
    "\t": "\\t",
    "\n": "\\n",
    "\x0b": "\\v",
    "\x0c": "\\f",
    "\r": "\\r",
    "\x1b": "\\e",
    '"': '\\"',
    "\\": "\\\\",
    "\x85": "\\N",
    "\xa0": "\\_",
    "\u2028": "\\L",
    "\u2029": "\\P",
}
_UNPRINTABLE = re.compile("[\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
_ESCAPED = re.compile('[^\x20-\x7e\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd]|["\\\\\u2028\u2029]')


def emit(value: Any) -> str:
    """One document as kustomize prints it, ending with a line break."""
    out: list[str] = []
    if isinstance(value, dict) and value:
        _mapping(value, "", out)
    elif isinstance(value, list) and value:
        _sequence(value, "", out)
    else:
        out.append(_leaf(value, "  ") + "\n")
    return "".join(out)


def emit_all(values: Iterable[Any]) -> bytes:
    """All documents with '---' between them (and none before the first), as UTF-8."""
    return "---\n".join([emit(value) for value in values]).encode()


def _mapping(value: dict[str, Any], pad: str, out: list[str], first: str | None = None) -> None:
    """Append the lines of a mapping; `first` replaces the padding of the first key (after '- ')."""
    lead = pad if first is None else first
    inner = pad + "  "
    append = out.append
    for key, text in _key_order(tuple(value)):
        item = value[key]
        kind = type(item)
        if kind is str:
            if text is None:
                append(_long_key(lead, key, inner))
                append(f" {_text(item, inner, len(pad) + 2)}\n")
            else:
                append(f"{lead}{text} {_text(item, inner, len(pad) + len(text) + 1)}\n")
        elif kind is dict and item:
            if text is None:
                append(_long_key(lead, key, inner))
                _mapping(item, inner, out, " ")
            else:
                append(f"{lead}{text}\n")
                _mapping(item, inner, out)
        elif kind is list and item:
            if text is None:
                append(_long_key(lead, key, inner))
                _sequence(item, inner, out, " ")
            else:
                append(f"{lead}{text}\n")
                _sequence(item, pad, out)
        else:
            append(
                f"{lead}{text} {_leaf(item, inner)}\n"
                if text is not None
                else f"{_long_key(lead, key, inner)} {_leaf(item, inner)}\n"
            )
        lead = pad


def _sequence(value: list[Any], pad: str, out: list[str], first: str | None = None) -> None:
    lead = pad if first is None else first
    inner = pad + "  "
    for item in value:
        kind = type(item)
        if kind is str:
            out.append(f"{lead}- {_text(item, inner, len(pad) + 2)}\n")
        elif kind is dict and item:
            _mapping(item, inner, out, lead + "- ")
        elif kind is list and item:
            _sequence(item, inner, out, lead + "- ")
        else:
            out.append(f"{lead}- {_leaf(item, inner)}\n")
        lead = pad


def _leaf(value: Any, pad: str) -> str:
    """A scalar or an empty collection."""
    if value is None:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float):
        return scalars.format_float(value)
    if isinstance(value, str):
        return _text(str(value), pad, len(pad))
    if isinstance(value, dict):
        return "{}"
    if isinstance(value, list):
        return "[]"
    raise TypeError(f"not a JSON value: {type(value).__name__}")


def _text(text: str, pad: str, column: int) -> str:
    """A string in the style go-yaml v2 picks; `column` is where it starts, `pad` where its further lines do."""
    if len(text) <= 256:
        styled = _short_text(text)
    elif not _BREAKING.search(text):
        styled = _one_line(text)
    else:
        styled = None
    if styled is None:
        if "\x85" in text:
            return _text(_NEXT_LINES.sub(_next_lines, text), pad, column)
        styled = _many_lines(text, pad)
        if styled[0] != '"':
            return styled
    if column + len(styled) > WIDTH and " " in styled:
        return _folded(styled, pad, column)
    return styled


def _folded(styled: str, pad: str, column: int) -> str:
    """The line broken at single spaces wherever it is already past the width."""
    quote = styled[0] if styled[0] in "'\"" else ""
    last = len(styled) - 1 - len(quote)
    first = len(quote)
    out: list[str] = []
    after_space = False
    for position, character in enumerate(styled):
        if character != " ":
            out.append(character)
            column += 1
            after_space = False
            continue
        follows = styled[position + 1 : position + 2]
        breakable = not after_space and column > WIDTH
        if quote:
            breakable = breakable and first < position < last
        if breakable and (follows != " " or quote == '"'):
            out.append("\n" + pad)
            column = len(pad)
            if follows == " ":
                out.append("\\")
                column += 1
        else:
            out.append(" ")
            column += 1
        after_space = True
    return "".join(out)


@lru_cache(maxsize=32768)
def _short_text(text: str) -> str | None:
    """The written form of a string of one line, None when it has several."""
    if _WORD.match(text):
        return text if scalars.is_string_in_v2(text) else f'"{text}"'
    if _BREAKING.search(text):
        return None
    return _one_line(text)


def _next_lines(match: re.Match[str]) -> str:
    """kustomize writes U+0085 raw into JSON, and its YAML reader folds it there like any line break between quotes."""
    return "\n" * (match[0].count("\x85") - 1) or " "


def _one_line(text: str) -> str:
    if not scalars.is_string_in_v2(text):
        return _double(text)
    if _SPECIAL.search(text):
        return _double(text)
    if _plain_allowed(text):
        return text
    return _single(text)


def _plain_allowed(text: str) -> bool:
    """libyaml's block_plain_allowed for a line without special characters."""
    first = text[0]
    if first in _BAD_START or first == " " or text[-1] == " " or text.startswith(("---", "...")):
        return False
    if first in "?:-" and (len(text) == 1 or text[1] == " "):
        return False
    if ":" in text and (text[-1] == ":" or ": " in text):
        return False
    return " #" not in text


def _single(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _double(text: str) -> str:
    if text[:1] == "\ufeff":
        # go-yaml looks for the mark at the start of the text instead of at the character, and so escapes all of it
        return '"' + "".join(_ESCAPES.get(character) or _hexadecimal(character) for character in text) + '"'
    return f'"{_ESCAPED.sub(_escape, text)}"' if _ESCAPED.search(text) else f'"{text}"'


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    if _UNPRINTABLE.match(character):
        # kustomize writes it raw into JSON, where its own YAML reader then stumbles over it
        raise errors.invalid(
            f"a text holds the character U+{ord(character):04X}, which cannot be written",
            hint="only printable characters, tabs and line breaks can be part of a manifest",
            code="YamlCharacter",
        )
    return _ESCAPES.get(character) or _hexadecimal(character)


def _hexadecimal(character: str) -> str:
    code = ord(character)
    if code <= 0xFF:
        return f"\\x{code:02X}"
    return f"\\u{code:04X}" if code <= 0xFFFF else f"\\U{code:08X}"


def is_block(text: str) -> bool:
    """Whether a text is printed as a literal block."""
    return "\n" in text and _many_lines(text, "").startswith("|")


def _many_lines(text: str, pad: str) -> str:
    """Text with line breaks: a literal block where its content allows one, else quotes."""
    if _SPECIAL.search(text) or _space_before_break(text):
        return _double(text)
    if "\n" not in text:
        return _unicode_breaks(text, pad)
    if text[-1] == " ":
        return _double(text)
    return _literal(text, pad)


def _space_before_break(text: str) -> bool:
    return any(" " + mark in text for mark in _LINE_BREAKS)


def _literal(text: str, pad: str) -> str:
    hint = "2" if text[0] in " \n\u2028\u2029" else ""
    if text[-1] not in _LINE_BREAKS:
        chomp = "-"
    elif len(text) == 1 or text[-2] in _LINE_BREAKS:
        chomp = "+"
    else:
        chomp = ""
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    body = "\n".join(_padded(line, pad) for line in lines)
    return f"|{hint}{chomp}\n{body}"


def _padded(line: str, pad: str) -> str:
    if "\u2028" not in line and "\u2029" not in line:
        return pad + line if line else ""
    return "".join(part if part in _LINE_BREAKS else pad + part for part in re.split("([\u2028\u2029])", line) if part)


def _unicode_breaks(text: str, pad: str) -> str:
    """Line and paragraph separators without a line feed: single quotes, re-indented after each break."""
    if not scalars.is_string_in_v2(text):
        return _double(text)
    if any(mark + " " in text for mark in "\u2028\u2029"):
        return _double(text)
    parts = [part for part in re.split("([\u2028\u2029])", text.replace("'", "''")) if part]
    out: list[str] = []
    after_break = False
    for part in parts:
        if part in _LINE_BREAKS:
            out.append(part)
            after_break = True
        else:
            out.append(pad + part if after_break else part)
            after_break = False
    return "'" + "".join(out) + "'"


@lru_cache(maxsize=8192)
def _key_order(keys: tuple[str, ...]) -> tuple[tuple[str, str | None], ...]:
    """The keys of a mapping as (key, 'key:') in the order they are printed; the text is None for a '? key' form."""
    for key in keys:
        if not isinstance(key, str):
            raise errors.invalid(
                f"a mapping key is {_kind_of_key(key)}, not a string",
                hint="put the key in quotes",
                code="YamlKeyType",
            )
    plain = [str(key) for key in keys]
    ordered = sorted(plain) if all(_ORDERED.match(key) for key in plain) else sorted(plain, key=cmp_to_key(_natural))
    return tuple((key, _key_text(key)) for key in ordered)


def _kind_of_key(key: object) -> str:
    if key is None:
        return "null"
    if isinstance(key, bool):
        return "a boolean"
    return "a number" if isinstance(key, int | float) else f"a {type(key).__name__}"


def _key_text(key: str) -> str | None:
    if len(key) > 32 and len(key.encode()) > LONGEST_SIMPLE_KEY:
        return None
    if _BREAK.search(key):
        return None
    return _one_line(key) + ":" if not _WORD.match(key) else (_short_text(key) or "") + ":"


def _long_key(lead: str, key: str, pad: str) -> str:
    return f"{lead}? {_text(key, pad, len(pad))}\n{' ' * (len(pad) - 2)}:"


def _natural(one: str, other: str) -> int:
    """go-yaml v2's key order: letters after everything else, runs of digits by their value."""
    if one == other:
        return 0
    for position in range(min(len(one), len(other))):
        left, right = one[position], other[position]
        if left == right:
            continue
        left_letter, right_letter = left.isalpha(), right.isalpha()
        if left_letter and right_letter:
            return -1 if left < right else 1
        if left_letter or right_letter:
            return -1 if right_letter else 1
        return _natural_digits(one, other, position)
    return -1 if len(one) < len(other) else 1


def _natural_digits(one: str, other: str, position: int) -> int:
    left_number = right_number = 0
    if one[position] == "0" or other[position] == "0":
        back = position - 1
        while back >= 0 and one[back].isdecimal():
            if one[back] != "0":
                left_number = right_number = 1
                break
            back -= 1
    left_number, left_end = _digits(one, position, left_number)
    right_number, right_end = _digits(other, position, right_number)
    if left_number != right_number:
        return -1 if left_number < right_number else 1
    if left_end != right_end:
        return -1 if left_end < right_end else 1
    return -1 if one[position] < other[position] else 1


def _digits(text: str, position: int, number: int) -> tuple[int, int]:
    while position < len(text) and text[position].isdecimal():
        number = number * 10 + (ord(text[position]) - 48)
        position += 1
    # Go counts in int64 and wraps around
    return (number + 2**63) % 2**64 - 2**63, position
