"""Regular expressions as Go has them: RE2 syntax, linear time whatever the pattern.

Python's own engine backtracks, so `(a+)+$` from a repository could hold a build for ever. Here a pattern becomes a set
of states that are followed together, character by character (Thompson's construction, as in RE2).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

MAX_STATES: Final = 20_000
"""A pattern that needs more is refused; Go stops at repeat counts of 1,000."""

Test = Callable[[str], bool]


class PatternError(ValueError):
    """Not a pattern in RE2 syntax."""


@dataclass(slots=True)
class _State:
    """Consumes a character that fits `test` and goes on to `out`; without a test it only branches."""

    test: Test | None
    out: list[int]
    assertion: str = ""


class Pattern:
    """A compiled pattern."""

    def __init__(self, source: str) -> None:
        self._literal: str | None = source if not re.search(r"[\\.+*?()|\[\]{}^$]", source) else None
        self._states: list[_State] = []
        self._start = 0
        if self._literal is None:
            parser = _Parser(source)
            node = parser.parse()
            self._states = parser.states
            accept = self._add(_State(None, [], "accept"))
            for index, slot in node.loose:
                self._states[index].out[slot] = accept
            self._start = node.start

    def _add(self, state: _State) -> int:
        self._states.append(state)
        return len(self._states) - 1

    def full_match(self, text: str) -> bool:
        """Whether the whole text fits."""
        if self._literal is not None:
            return self._literal == text
        return self._run(text, anchored_start=True, anchored_end=True)

    def search(self, text: str) -> bool:
        """Whether some part of the text fits."""
        if self._literal is not None:
            return self._literal in text
        return self._run(text, anchored_start=False, anchored_end=False)

    def _run(self, text: str, *, anchored_start: bool, anchored_end: bool) -> bool:
        current: set[int] = set()
        self._follow(self._start, text, 0, current)
        for position, character in enumerate(text):
            if not anchored_end and self._accepts(current):
                return True
            following: set[int] = set()
            for index in current:
                state = self._states[index]
                if state.test is not None and state.test(character):
                    self._follow(state.out[0], text, position + 1, following)
            if not anchored_start:
                self._follow(self._start, text, position + 1, following)
            current = following
            if not current and anchored_start:
                return False
        return self._accepts(current)

    def _accepts(self, current: set[int]) -> bool:
        return any(self._states[index].assertion == "accept" for index in current)

    def _follow(self, index: int, text: str, position: int, into: set[int]) -> None:
        pending = [index]
        while pending:
            index = pending.pop()
            if index in into:
                continue
            state = self._states[index]
            if state.assertion and state.assertion != "accept" and not _holds(state.assertion, text, position):
                continue
            into.add(index)
            if state.test is None:
                pending.extend(state.out)


def _word(text: str, position: int) -> bool:
    return 0 <= position < len(text) and (text[position].isascii() and (text[position].isalnum() or text[position] == "_"))


def _holds(assertion: str, text: str, position: int) -> bool:
    if assertion == "start":
        return position == 0
    if assertion == "end":
        return position == len(text)
    if assertion == "line start":
        return position == 0 or text[position - 1] == "\n"
    if assertion == "line end":
        return position == len(text) or text[position] == "\n"
    boundary = _word(text, position - 1) != _word(text, position)
    return boundary if assertion == "boundary" else not boundary


@dataclass(slots=True)
class _Fragment:
    start: int
    loose: list[tuple[int, int]]


_CLASSES: Final[dict[str, Test]] = {
    "d": lambda c: c in "0123456789",
    "w": lambda c: c.isascii() and (c.isalnum() or c == "_"),
    "s": lambda c: c in "\t\n\f\r ",
}
_POSIX: Final[dict[str, Test]] = {
    "alnum": lambda c: c.isascii() and c.isalnum(),
    "alpha": lambda c: c.isascii() and c.isalpha(),
    "ascii": lambda c: c.isascii(),
    "blank": lambda c: c in "\t ",
    "cntrl": lambda c: c < " " or c == "\x7f",
    "digit": lambda c: c in "0123456789",
    "graph": lambda c: "!" <= c <= "~",
    "lower": lambda c: "a" <= c <= "z",
    "print": lambda c: " " <= c <= "~",
    "punct": lambda c: c.isascii() and c.isprintable() and not c.isalnum() and c != " ",
    "space": lambda c: c in "\t\n\v\f\r ",
    "upper": lambda c: "A" <= c <= "Z",
    "word": lambda c: c.isascii() and (c.isalnum() or c == "_"),
    "xdigit": lambda c: c in "0123456789abcdefABCDEF",
}
_ESCAPES: Final = {"a": "\a", "f": "\f", "t": "\t", "n": "\n", "r": "\r", "v": "\v"}


class _Parser:
    """Recursive descent over RE2 syntax, building states as it goes."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._position = 0
        self._depth = 0
        self._fold = False
        self._dot_all = False
        self._multi_line = False
        self.states: list[_State] = []

    def parse(self) -> _Fragment:
        fragment = self._alternatives()
        if self._position != len(self._source):
            raise PatternError("unexpected )")
        return fragment

    def _state(self, test: Test | None, out: list[int], assertion: str = "") -> int:
        if len(self.states) >= MAX_STATES:
            raise PatternError("the expression is too large")
        self.states.append(_State(test, out, assertion))
        return len(self.states) - 1

    def _peek(self) -> str:
        return self._source[self._position : self._position + 1]

    def _take(self) -> str:
        character = self._peek()
        self._position += 1
        return character

    def _patch(self, loose: list[tuple[int, int]], target: int) -> None:
        for index, slot in loose:
            self.states[index].out[slot] = target

    def _alternatives(self) -> _Fragment:
        self._depth += 1
        if self._depth > 200:
            raise PatternError("nested too deeply")
        branches = [self._sequence()]
        while self._peek() == "|":
            self._take()
            branches.append(self._sequence())
        self._depth -= 1
        result = branches[0]
        for branch in branches[1:]:
            index = self._state(None, [result.start, branch.start])
            result = _Fragment(index, result.loose + branch.loose)
        return result

    def _sequence(self) -> _Fragment:
        result: _Fragment | None = None
        while self._peek() not in ("", "|", ")"):
            piece = self._repeated()
            if piece is None:
                continue
            if result is None:
                result = piece
            else:
                self._patch(result.loose, piece.start)
                result = _Fragment(result.start, piece.loose)
        return result if result is not None else self._empty()

    def _empty(self, assertion: str = "") -> _Fragment:
        index = self._state(None, [0], assertion)
        return _Fragment(index, [(index, 0)])

    def _repeated(self) -> _Fragment | None:
        start = self._position
        piece = self._atom()
        if piece is None:
            return None
        end = self._position
        while True:
            bounds = self._quantifier()
            if bounds is None:
                return piece
            piece = self._repeat(start, end, *bounds)
            if self._peek() == "?":
                self._take()
            end = self._position

    def _quantifier(self) -> tuple[int, int] | None:
        character = self._peek()
        simple = {"*": (0, -1), "+": (1, -1), "?": (0, 1)}
        if character in simple and character:
            self._take()
            return simple[character]
        match = re.compile(r"\{(\d+)(,(\d*))?\}").match(self._source, self._position)
        if match is None:
            return None
        self._position = match.end()
        low = int(match[1])
        high = low if match[2] is None else -1 if match[3] == "" else int(match[3])
        if low > 1000 or high > 1000 or (high >= 0 and low > high):
            raise PatternError("invalid repeat count")
        return low, high

    def _repeat(self, start: int, end: int, low: int, high: int) -> _Fragment:
        """Parse the piece again for every copy: fragments cannot be shared."""
        after = self._position
        pieces = [self._again(start, end) for _ in range(low)]
        if high < 0:
            body = self._again(start, end)
            split = self._state(None, [body.start, 0])
            self._patch(body.loose, split)
            pieces.append(_Fragment(split, [(split, 1)]))
        else:
            for _ in range(high - low):
                body = self._again(start, end)
                split = self._state(None, [body.start, 0])
                pieces.append(_Fragment(split, [*body.loose, (split, 1)]))
        self._position = after
        if not pieces:
            return self._empty()
        result = pieces[0]
        for piece in pieces[1:]:
            self._patch(result.loose, piece.start)
            result = _Fragment(result.start, piece.loose)
        return result

    def _again(self, start: int, end: int) -> _Fragment:
        source, position = self._source, self._position
        self._source, self._position = source[:end], start
        piece = self._repeated()
        self._source, self._position = source, position
        assert piece is not None
        return piece

    def _atom(self) -> _Fragment | None:
        character = self._take()
        if character == "(":
            return self._group()
        if character == "[":
            return self._single(self._bracket())
        if character == ".":
            return self._single((lambda c: True) if self._dot_all else (lambda c: c != "\n"))
        if character == "^":
            return self._empty("line start" if self._multi_line else "start")
        if character == "$":
            return self._empty("line end" if self._multi_line else "end")
        if character in "*+?":
            raise PatternError(f"missing argument to repetition operator: `{character}`")
        if character == "\\":
            return self._escape()
        return self._literal(character)

    def _literal(self, character: str) -> _Fragment:
        if self._fold:
            folded = character.casefold()
            return self._single(lambda c: c.casefold() == folded)
        return self._single(lambda c: c == character)

    def _single(self, test: Test) -> _Fragment:
        index = self._state(test, [0])
        return _Fragment(index, [(index, 0)])

    def _group(self) -> _Fragment | None:
        saved = (self._fold, self._dot_all, self._multi_line)
        if self._peek() == "?":
            match = re.compile(r"\?(?:P?<([A-Za-z_]\w*)>|([imsU]*(?:-[imsU]+)?)([:)]))").match(self._source, self._position)
            if match is None:
                raise PatternError("invalid or unsupported Perl syntax")
            self._position = match.end()
            if match[3] is not None:
                self._flags(match[2])
                if match[3] == ")":
                    return None
        fragment = self._alternatives()
        if self._take() != ")":
            raise PatternError("missing closing )")
        self._fold, self._dot_all, self._multi_line = saved
        return fragment

    def _flags(self, flags: str) -> None:
        on = True
        for flag in flags:
            if flag == "-":
                on = False
            elif flag == "i":
                self._fold = on
            elif flag == "s":
                self._dot_all = on
            elif flag == "m":
                self._multi_line = on

    def _escape(self) -> _Fragment:
        character = self._take()
        assertion = {"A": "start", "z": "end", "b": "boundary", "B": "no boundary"}.get(character)
        if assertion:
            return self._empty(assertion)
        test = self._class_escape(character)
        if test is not None:
            return self._single(test)
        return self._literal(self._escaped_character(character))

    def _class_escape(self, character: str) -> Test | None:
        lowered = character.lower()
        if lowered not in _CLASSES or not character:
            return None
        test = _CLASSES[lowered]
        return test if character == lowered else lambda c: not test(c)

    def _escaped_character(self, character: str) -> str:
        if character == "x":
            match = re.compile(r"\{([0-9a-fA-F]{1,6})\}|([0-9a-fA-F]{2})").match(self._source, self._position)
            if match is None:
                raise PatternError("invalid escape sequence")
            self._position = match.end()
            return chr(int(match[1] or match[2], 16))
        if character in _ESCAPES and character:
            return _ESCAPES[character]
        if not character or character.isalnum():
            raise PatternError("invalid escape sequence" if character else "trailing backslash at end of expression")
        return character

    def _bracket(self) -> Test:
        negated = self._peek() == "^"
        if negated:
            self._take()
        tests: list[Test] = []
        first = True
        while True:
            character = self._take()
            if not character:
                raise PatternError("missing closing ]")
            if character == "]" and not first:
                break
            first = False
            tests.append(self._bracket_item(character))
        fold = self._fold

        def test(c: str) -> bool:
            hit = any(one(c) for one in tests) or (fold and any(one(c.swapcase()) for one in tests))
            return hit != negated

        return test

    def _bracket_item(self, character: str) -> Test:
        if character == "[" and self._peek() == ":":
            match = re.compile(r":(\^?)(\w+):\]").match(self._source, self._position)
            if match is not None:
                if match[2] not in _POSIX:
                    raise PatternError("invalid character class range")
                self._position = match.end()
                posix = _POSIX[match[2]]
                return (lambda c: not posix(c)) if match[1] else posix
        if character == "\\":
            character = self._take()
            test = self._class_escape(character)
            if test is not None:
                return test
            character = self._escaped_character(character)
        low = high = character
        if self._peek() == "-" and self._source[self._position + 1 : self._position + 2] not in ("]", ""):
            self._take()
            high = self._take()
            if high == "\\":
                high = self._escaped_character(self._take())
            if high < low:
                raise PatternError("invalid character class range")
        return lambda c: low <= c <= high


@lru_cache(maxsize=512)
def compiled(source: str) -> Pattern:
    """A pattern, compiled once. Raises PatternError."""
    if len(source) > 4096:
        raise PatternError("the expression is too large")
    return Pattern(source)
