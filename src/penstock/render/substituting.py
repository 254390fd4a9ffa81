"""Flux's postBuild substitution: ${name} and its bash functions in a text, with Flux's strictness.

The dialect is drone/envsubst as Flux forked it: lengths and positions count bytes, '*' in a pattern
matches '/' too, `$${x}` is a literal ${x}, and in strict mode a variable that is not set is an error unless the expression
brings a default.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from penstock.render import patterns

NAME: Final = re.compile(r"[_a-zA-Z][_a-zA-Z0-9]*\Z")
"""What Flux accepts as the name of a variable."""
MAX_NESTING: Final = 50
_DEFAULTS = frozenset(("=", ":=", ":-", ":?", ":+"))


class SubstituteError(ValueError):
    """An expression that cannot be read or a variable that is not set; `position` counts characters from 0."""

    def __init__(self, what: str, position: int) -> None:
        super().__init__(what, position)
        self.what = what
        self.position = position


@dataclass(frozen=True, slots=True)
class _Call:
    """${parameter operator arguments}."""

    parameter: str
    operator: str
    arguments: tuple[str | _Call, ...]
    position: int


def substitute(text: str, variables: Mapping[str, str], *, strict: bool = True) -> str:
    """The text with every expression replaced. Raises SubstituteError."""
    if "$" not in text:
        return text
    return "".join(_value(part, variables, strict) for part in _Parser(text).parse())


def names_in(text: str) -> set[str]:
    """The variables that a text refers to. Raises SubstituteError."""
    found: set[str] = set()
    pending: list[str | _Call] = list(_Parser(text).parse())
    while pending:
        part = pending.pop()
        if isinstance(part, _Call):
            found.add(part.parameter)
            pending += part.arguments
    return found


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0
        self._depth = 0

    def parse(self) -> list[str | _Call]:
        parts: list[str | _Call] = []
        text = self._text
        while self._position < len(text):
            dollar = text.find("$", self._position)
            if dollar < 0:
                parts.append(text[self._position :])
                break
            parts.append(text[self._position : dollar])
            following = text[dollar + 1 : dollar + 2]
            if following == "{":
                self._position = dollar + 2
                parts.append(self._call(dollar))
            elif following == "$":
                parts.append("$")
                self._position = dollar + 2
            else:
                parts.append("$")
                self._position = dollar + 1
        return parts

    def _peek(self) -> str:
        return self._text[self._position : self._position + 1]

    def _fail(self, what: str, position: int) -> SubstituteError:
        return SubstituteError(f"variable substitution failed: {what}", position)

    def _call(self, start: int) -> _Call:
        self._depth += 1
        if self._depth > MAX_NESTING:
            raise self._fail("nested too deeply", start)
        call = self._call_inner(start)
        self._depth -= 1
        return call

    def _call_inner(self, start: int) -> _Call:
        if self._peek() == "#":
            self._position += 1
            name = self._name(start)
            self._close(start)
            return _Call(name, "#", (), start)
        name = self._name(start)
        character = self._peek()
        if character == ":":
            if self._text[self._position + 1 : self._position + 2] in ("=", "-", "?", "+"):
                return self._default(name, 2, start)
            return self._substring(name, start)
        if character == "=":
            return self._default(name, 1, start)
        if character in (",", "^") and character:
            operator = self._operator(",^")
            self._close(start)
            return _Call(name, operator, (), start)
        if character == "/":
            return self._replace(name, start)
        if character in ("#", "%") and character:
            operator = self._operator(character)
            arguments = (self._argument("}", start, escapes=False),)
            self._close(start)
            return _Call(name, operator, arguments, start)
        self._close(start)
        return _Call(name, "", (), start)

    def _name(self, start: int) -> str:
        begin = self._position
        while (character := self._peek()) and (character.isalnum() or character == "_"):
            self._position += 1
        if begin == self._position:
            raise self._fail("unable to parse variable name", start)
        return self._text[begin : self._position]

    def _operator(self, characters: str) -> str:
        begin = self._position
        self._position += 1
        if self._peek() and self._peek() in characters:
            self._position += 1
        return self._text[begin : self._position]

    def _close(self, start: int) -> None:
        if self._peek() != "}":
            raise self._fail("missing closing brace", start)
        self._position += 1

    def _default(self, name: str, length: int, start: int) -> _Call:
        operator = self._text[self._position : self._position + length]
        self._position += length
        arguments: list[str | _Call] = []
        while self._peek() != "}":
            arguments.append(self._argument("}", start, escapes=False))
        self._close(start)
        return _Call(name, operator, tuple(arguments), start)

    def _substring(self, name: str, start: int) -> _Call:
        self._position += 1
        arguments = [self._argument(":}", start, escapes=False)]
        if self._peek() == ":":
            self._position += 1
            arguments.append(self._argument("}", start, escapes=False))
        self._close(start)
        return _Call(name, ":", tuple(arguments), start)

    def _replace(self, name: str, start: int) -> _Call:
        self._position += 1
        operator = "/"
        if self._peek() in ("/", "#", "%") and self._peek():
            operator += self._peek()
            self._position += 1
        arguments = [self._argument("/", start, escapes=True)]
        if self._peek() != "/":
            raise self._fail("bad substitution", start)
        self._position += 1
        if self._peek() != "}":
            arguments.append(self._argument("}", start, escapes=True))
        self._close(start)
        return _Call(name, operator, tuple(arguments), start)

    def _argument(self, stops: str, start: int, *, escapes: bool) -> str | _Call:
        if self._text.startswith("${", self._position):
            position = self._position
            self._position += 2
            return self._call(position)
        out: list[str] = []
        while (character := self._peek()) and character not in stops:
            following = self._text[self._position + 1 : self._position + 2]
            if escapes and ((character == "\\" and following in ("/", "\\")) or (character == "$" and following == "$")):
                out.append(following)
                self._position += 2
                continue
            if character == "$" and following == "{":
                break
            out.append(character)
            self._position += 1
        if not out and not self._text.startswith("${", self._position):
            raise self._fail("unable to parse substitution within function", start)
        return "".join(out)


def _value(part: str | _Call, variables: Mapping[str, str], strict: bool) -> str:
    if isinstance(part, str):
        return part
    arguments = [_value(argument, variables, strict) for argument in part.arguments]
    value = variables.get(part.parameter)
    if value is None:
        if strict and part.operator not in _DEFAULTS:
            raise SubstituteError(
                f'variable substitution failed: variable not set (strict mode): "{part.parameter}"', part.position
            )
        value = ""
    return _apply(part.operator, value, arguments)


def _apply(operator: str, value: str, arguments: list[str]) -> str:
    if operator == "#" and not arguments:
        return str(len(value.encode()))
    if operator in (",", "^"):
        return (value[:1].lower() if operator == "," else value[:1].upper()) + value[1:]
    if operator in (",,", ",^"):
        return value.lower()
    if operator in ("^^", "^,"):
        return value.upper()
    if operator == ":":
        return _substring(value, arguments)
    if operator in ("#", "##", "%", "%%"):
        return _trimmed(value, arguments[0], operator)
    if operator == "/":
        return value.replace(arguments[0], arguments[1] if len(arguments) > 1 else "", 1)
    if operator == "//":
        return value.replace(arguments[0], arguments[1] if len(arguments) > 1 else "")
    if operator in ("/#", "/%"):
        return _replaced_end(value, operator, arguments)
    return value or "".join(arguments)


def _replaced_end(value: str, operator: str, arguments: list[str]) -> str:
    if len(arguments) != 2:
        return value
    old, new = arguments
    if operator == "/#" and value.startswith(old):
        return new + value[len(old) :]
    if operator == "/%" and value.endswith(old):
        return value[: len(value) - len(old)] + new
    return value


def _integer(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[-+]?[0-9]+", text) else None


def _substring(value: str, arguments: list[str]) -> str:
    data = value.encode()
    position = _integer(arguments[0])
    if position is None:
        return value
    if position < 0:
        position = max(len(data) + position, 0)
    if len(arguments) == 1:
        return data[position:].decode(errors="replace")
    length = _integer(arguments[1])
    if length is None:
        return value
    # a negative length counts from the end, as in ${name:1:-1}
    end = len(data) + length if length < 0 else position + length
    return data[position : max(end, position)].decode(errors="replace")


def _trimmed(value: str, pattern: str, operator: str) -> str:
    suffix = operator[0] == "%"
    compiled = _glob(pattern)
    if compiled is None:
        return value
    lengths = range(1, len(value) + 1) if len(operator) == 1 else range(len(value), 0, -1)
    for length in lengths:
        part = value[len(value) - length :] if suffix else value[:length]
        if compiled.full_match(part):
            return value[: len(value) - length] if suffix else value[length:]
    return value


def _glob(pattern: str) -> patterns.Pattern | None:
    """A shell pattern: '*' and '?' match any character, brackets are classes, a backslash quotes."""
    out: list[str] = ["(?s)"]
    position = 0
    while position < len(pattern):
        character = pattern[position]
        position += 1
        if character == "*":
            out.append(".*")
        elif character == "?":
            out.append(".")
        elif character == "[":
            end = pattern.find("]", position + 1)
            if end < 0:
                return None
            body = pattern[position:end].replace("\\", "\\\\")
            out.append("[" + ("^" + body[1:] if body[:1] in ("!", "^") else body) + "]")
            position = end + 1
        else:
            if character == "\\" and position < len(pattern):
                character = pattern[position]
                position += 1
            out.append(re.escape(character) if not character.isalnum() else character)
    try:
        return patterns.compiled("".join(out))
    except patterns.PatternError:
        return None
