"""What an unquoted YAML scalar means: text in, plain Python value out, as go-yaml decides it.

Go has two readers and they disagree, so this module has two resolvers. `resolve` is go-yaml v3 as kyaml uses it
for manifests: yes/no/on/off stay strings, 0777 is octal, dates become RFC 3339 text. `resolve_sigs` is go-yaml v2 as
sigs.k8s.io/yaml uses it for kustomization files: there yes/no/on/off are booleans.

Numbers arrive in the form they would have after kustomize's trip through JSON (1.0 is the integer 1, -0.0 is 0), and
a number whose canonical form differs from what the file says keeps the file's text (`text_of`), because prefixes,
replacements and variables copy text, not values.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

INT64_MIN: Final = -(2**63)
INT64_MAX: Final = 2**63 - 1
UINT64_MAX: Final = 2**64 - 1


class IntText(int):
    """An integer that the file spells in another way (0777, 1_000, 1e3, 1.0)."""

    text: str

    def __new__(cls, value: int, text: str) -> IntText:
        self = super().__new__(cls, value)
        self.text = text
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return (IntText, (int(self), self.text))


class FloatText(float):
    """A float that the file spells in another way (1.10, .5)."""

    text: str

    def __new__(cls, value: float, text: str) -> FloatText:
        self = super().__new__(cls, value)
        self.text = text
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return (FloatText, (float(self), self.text))


class Timestamp(str):
    """A date or time: as a string it is RFC 3339, `text` is what the file says."""

    __slots__ = ("text",)
    text: str

    def __new__(cls, value: str, text: str) -> Timestamp:
        self = super().__new__(cls, value)
        self.text = text
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return (Timestamp, (str(self), self.text))


class NotFiniteError(ValueError):
    """.inf and .nan, which JSON (and so Kubernetes) cannot carry."""


_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
# strconv.ParseFloat takes underscores between digits, and only here it gets to see them
_DOT_FLOAT = re.compile(r"\.[0-9]+(?:_[0-9]+)*(?:[eE][-+]?[0-9]+(?:_[0-9]+)*)?\Z")
_INT = re.compile(r"([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]([0-7]+)|(0[0-7]*)|([1-9][0-9]*))\Z")
_NOT_FINITE = frozenset([*(sign + word for sign in ("", "+", "-") for word in (".inf", ".Inf", ".INF")), ".nan", ".NaN", ".NAN"])
_TRUE = frozenset(("true", "True", "TRUE"))
_FALSE = frozenset(("false", "False", "FALSE"))
_NULL = frozenset(("", "~", "null", "Null", "NULL"))
_SIGS_TRUE = _TRUE | frozenset(("y", "Y", "yes", "Yes", "YES", "on", "On", "ON"))
_SIGS_FALSE = _FALSE | frozenset(("n", "N", "no", "No", "NO", "off", "Off", "OFF"))
_BASE_60 = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?\Z")
_STARTS = frozenset("+-.0123456789yYnNtTfFoO~")
_TIMESTAMP = re.compile(
    r"""([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})
        (?:(?:([Tt])([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(?:[.,]([0-9]+))?(Z|[-+][0-9]{2}:[0-9]{2}))
          |(?:\ ([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(?:[.,]([0-9]+))?))?\Z""",
    re.VERBOSE,
)


def resolve(text: str) -> Any:
    """The value of a plain scalar in a manifest (go-yaml v3). Raises NotFiniteError for .inf and .nan."""
    if text in _NULL:
        return None
    first = text[0]
    if first not in _STARTS:
        return text
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    if first in "+-.0123456789":
        return _number_or_text(text)
    return text


def resolve_sigs(text: str) -> Any:
    """The value of a plain scalar in a kustomization file (go-yaml v2). Raises NotFiniteError for .inf and .nan."""
    if text in _NULL:
        return None
    first = text[0]
    if first not in _STARTS:
        return text
    if text in _SIGS_TRUE:
        return True
    if text in _SIGS_FALSE:
        return False
    if first in "+-.0123456789":
        return _number_or_text(text)
    return text


def _number_or_text(text: str) -> Any:
    if text in _NOT_FINITE:
        raise NotFiniteError(text)
    if text[0] == ".":
        return _float(text.replace("_", ""), text) if _DOT_FLOAT.match(text) else text
    if (moment := timestamp(text)) is not None:
        return moment
    plain = text.replace("_", "") if "_" in text else text
    match = _INT.match(plain)
    if match is not None:
        value = _integer(match)
        # strconv has no +N for unsigned numbers, so those above int64 fall through to floats like any other
        if INT64_MIN <= value <= INT64_MAX or (value <= UINT64_MAX and value > 0 and not match[1]):
            return value if str(value) == text else IntText(value, text)
    if _FLOAT.match(plain):
        return _float(plain, text)
    return text


def _integer(match: re.Match[str]) -> int:
    sign, hexadecimal, binary, octal, old_octal, decimal = match.groups()
    if decimal is not None:
        value = int(decimal)
    elif old_octal is not None:
        value = int(old_octal, 8)
    elif hexadecimal is not None:
        value = int(hexadecimal, 16)
    elif binary is not None:
        value = int(binary, 2)
    else:
        value = int(octal, 8)
    return -value if sign == "-" else value


def _float(plain: str, text: str) -> Any:
    value = float(plain)
    if value in (float("inf"), float("-inf")):
        return text  # 1e400: out of range is not a number to Go, so it stays a string
    number = canonical_float(value)
    if isinstance(number, int):
        return IntText(number, text)
    return number if format_float(number) == text else FloatText(number, text)


def loses_digits(value: FloatText) -> bool:
    """Whether the number that a float's text says is not the one that its shortest form says."""
    from decimal import Decimal

    return Decimal(value.text.replace("_", "")) != Decimal(repr(float(value)))


def canonical_float(value: float) -> int | float:
    """The number a float becomes on kustomize's way through JSON text: integral values that fit 64 bits are integers."""
    if value.is_integer() and abs(value) < 1e21:
        from decimal import Decimal

        number = int(Decimal(repr(value)))
        if INT64_MIN <= number <= UINT64_MAX:
            return number
    return value


def timestamp(text: str) -> Timestamp | None:
    """The Timestamp that text is under the four formats go-yaml knows, else None."""
    if len(text) < 8 or text[4] != "-":
        return None
    match = _TIMESTAMP.match(text)
    if match is None:
        return None
    year, month, day = int(match[1]), int(match[2]), int(match[3])
    hour, minute, second = (int(match[i] or match[i + 5] or 0) for i in (5, 6, 7))
    if not (1 <= month <= 12 and 1 <= day <= _days(year, month) and hour < 24 and minute < 60 and second < 60):
        return None
    fraction = (match[8] or match[13] or "")[:9].rstrip("0")
    zone = match[9] or "Z"
    if zone[0] in "+-":
        if int(zone[1:3]) > 24 or int(zone[4:6]) > 60:
            return None
        if zone[1:] == "00:00":
            zone = "Z"
    seconds = f"{second:02d}" + (f".{fraction}" if fraction else "")
    return Timestamp(f"{year:04d}-{month:02d}-{day:02d}T{hour:02d}:{minute:02d}:{seconds}{zone}", text)


def _days(year: int, month: int) -> int:
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month in (4, 6, 9, 11) else 31


def format_float(value: float) -> str:
    """A float as Go prints it with 'g' and the shortest digits: 0.1, 1.5e+06, 1e-07."""
    from decimal import Decimal

    sign, digits, exponent = Decimal(repr(value)).as_tuple()
    assert isinstance(exponent, int)
    text = "".join(map(str, digits)).rstrip("0") or "0"
    point = len(digits) + exponent  # position of the decimal point relative to the first digit
    prefix = "-" if sign else ""
    scientific = point - 1
    if scientific < -4 or scientific >= 6:
        mantissa = text[0] + ("." + text[1:] if len(text) > 1 else "")
        return f"{prefix}{mantissa}e{'-' if scientific < 0 else '+'}{abs(scientific):02d}"
    if point <= 0:
        return f"{prefix}0.{'0' * -point}{text}"
    if point >= len(text):
        return f"{prefix}{text}{'0' * (point - len(text))}"
    return f"{prefix}{text[:point]}.{text[point:]}"


def text_of(value: Any) -> str:
    """What the scalar's text is in the file, as transformers that copy text see it; '' for maps and lists."""
    kind = type(value)
    if kind is str:
        text: str = value
        return text
    if kind is bool:
        return "true" if value else "false"
    if kind is int:
        return str(value)
    if value is None:
        return "null"
    if isinstance(value, IntText | FloatText | Timestamp):
        return value.text
    if kind is float:
        return format_float(value)
    return ""


@lru_cache(maxsize=4096)
def is_string_in_v2(text: str) -> bool:
    """Whether text, written without quotes, would be read back as a string by go-yaml v2: the emitter's question."""
    if not text:
        return False
    if text[0] not in _STARTS:
        return True
    try:
        if type(resolve_sigs(text)) is not str:
            return False
    except NotFiniteError:
        return False
    return _BASE_60.match(text) is None


def same_as_written(text: str) -> Any:
    """What text means when it is written into a manifest without quotes and without a tag."""
    try:
        return resolve(text)
    except NotFiniteError:
        return text
