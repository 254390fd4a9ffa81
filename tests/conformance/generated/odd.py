"""Scalars that readers disagree about, and texts that emitters stumble over."""

from __future__ import annotations

import random

from .writing import Raw


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_FIXED = _words("""
    0777 0o17 1_000 0b11 +012 09 12:30:45 yes on n NO Off 1e3 6284e3 1.10 2024-01-01 2024-1-2 2001-12-14t21:59:43.10-05:00
    18446744073709551615 18446744073709551616 -9223372036854775808 -9223372036854775809 1e400 .5 5. -.5 +1 +1.5 0x1F 0xfg
    -0 -0.0 0.0 1.0 100000.0 1000000.0 1e6 1e21 1e-7 0.00001 123456789.125 3.0e5 ~ null Null NULL true True TRUE false y Y
    1__0 _1 1_ 0_7 0x_1 1e 1e+ e3 .e3 . .. -- - 1- 1.2.3 10.0.0.1 1:2 190:20:30 190:20:30.15 0o8 08 007 00 0b2 0B1 0X1f
    0O7 +.5 +0x1 -0x1 -0b11 -0o7 -012 1.5e300 1e308 4.9e-324 1e-400 .1e1 1_0.5_0 1.e5 = 12e03 1e03 0.1e-2 2024-13-01
    2024-02-30 2024-01-01T00:00:00 2024-01-01T00:00:00Z 0001-01-01 9999-12-31 1E5 1E+5 0xFFFFFFFFFFFFFFFF
    0x10000000000000000 0b1_0 99999999999999999999 0.30000000000000004 123456789012345678901234567890
    1.7976931348623157e308 6.02e23 1e15 1e16 1e17 123456.0 1234567.0 0.0001 0.00001234 1.5 15e-1 -1.5 -1e-7
    9007199254740993 9007199254740993.0
""")

_TEXTS = (
    "",
    " ",
    "a b",
    " leading",
    "trailing ",
    "tab\there",
    "colon: inside",
    "colon:",
    ":start",
    "hash #comment",
    "#start",
    "- dash",
    "-",
    "?",
    "? q",
    "*star",
    "&amp",
    "!bang",
    "%percent",
    "@at",
    "`tick`",
    "[a]",
    "{a}",
    "a, b",
    "it's",
    'say "hi"',
    "back\\slash",
    "|",
    ">",
    "---",
    "--- x",
    "...",
    "line one\nline two",
    "line one\nline two\n",
    "keep\n\n",
    "\nfirst empty",
    "  indented\nblock\n",
    "a\n\n\nb\n",
    "trailing space \nline\n",
    "tab\tline\nnext\n",
    "\tstarts with tab\nnext",
    '#!/bin/sh\nset -e\necho "$HOME" # comment\n',
    "key: value\nlist:\n- a\n- b\n",
    "ünï",
    "日本語",
    "emoji 🎉",
    "nb\u00a0sp",
    "zero\u200bwidth",
    "\u2028",
    "a\u2028b",
    "bom\ufeffx",
    "bell\x07",
    "nul\x00",
    "esc\x1b[0m",
    "del\x7f",
    "\x85next",
    "cr\rx",
    "crlf\r\nx\r\n",
    "null",
    "~",
    "true",
    "no",
    "yes",
    "on",
    "1",
    "01",
    "1.0",
    "1e3",
    "0x1F",
    "1_000",
    "12:30",
    "2024-01-01",
    ".inf",
    "<<",
    "=",
    "very " * 30,
    "x" * 130,
    "word " * 40 + "\nsecond\n",
    "$(VAR)",
    "${VAR:-x}",
    "a=b",
    "/path/to",
    "http://x.y/z?q=1#f",
    "100m",
    "1Gi",
    "user@host",
    "a:b:c",
    "🎉",
    "é\n",
    "a \n",
    "\n",
    "\n\n",
    " \n",
    "y",
    "N",
    "-1",
    "+1",
    "0",
    "é: x",
)


def number(rng: random.Random) -> str:
    """A plain scalar that is, or nearly is, a number or a date."""
    roll = rng.random()
    if roll < 0.5:
        return rng.choice(_FIXED)
    digits = "".join(
        rng.choice("0123456789_." if rng.random() < 0.15 else "0123456789")
        for _ in range(rng.choice((1, 2, 3, 5, 9, 17, 20, 25)))
    )
    if roll < 0.6:
        return digits
    if roll < 0.75:
        sign = rng.choice(("", "", "-", "+"))
        tail = "".join(rng.choice("0123456789") for _ in range(rng.choice((0, 1, 2, 6, 17))))
        exponent = rng.choice(("", "", "e3", "E3", "e+2", "e-7", "e21", "e-05", "e", "e300"))
        return f"{sign}{digits}.{tail}{exponent}"
    if roll < 0.85:
        return rng.choice(("0x", "0o", "0b", "0", "0X", "-0x", "+0", "0_")) + rng.choice((digits, digits.replace(".", "")))
    if roll < 0.93:
        return _moment(rng)
    return "".join(rng.choice("0123456789+-._:eExXobnynt ") for _ in range(rng.randint(1, 8))).strip() or "0"


_TIMES = _words("T01:02:03Z t1:2:3+01:00 T01:02:03.5Z T25:00:00Z T01:02:03")


def _moment(rng: random.Random) -> str:
    """A date, perhaps with a time, perhaps one that does not exist."""
    year, month, day = rng.choice((1, 2023, 2024, 9999)), rng.randint(0, 13), rng.randint(0, 32)
    date = f"{year:04d}-{month:0{rng.choice((1, 2))}d}-{day:0{rng.choice((1, 2))}d}"
    return date + rng.choice(("", "", " 01:02:03", " 01:02:03.123456789123", *_TIMES))


def text(rng: random.Random) -> str:
    """A string that needs care when it is printed."""
    roll = rng.random()
    if roll < 0.7:
        return rng.choice(_TEXTS)
    if roll < 0.8:
        return number(rng)
    alphabet = "ab:-#'\"\\ \n\t,[]{}&*!|>%@`?~é日🎉(){}=01." if rng.random() < 0.8 else "a \n:#-"
    return "".join(rng.choice(alphabet) for _ in range(rng.randint(1, 24)))


def scalar(rng: random.Random) -> object:
    """Any leaf."""
    roll = rng.random()
    if roll < 0.35:
        return Raw(number(rng))
    if roll < 0.85:
        return text(rng)
    return rng.choice((None, True, False, 0, 1, 80, 3.5, {}, []))


_KEYS = (
    *_words("a b c d e f name key value items app.kubernetes.io/name example.com/x data config.yaml A Z aa a1 a2 a10 a01"),
    *_words("x-y x_y x.y Key KEY é 日 1 01 1.5 true null yes no on ~"),
    *("with space", "with: colon", "", "very-" * 30 + "long", "#h", "-", "a\nb", "'q'", "<", "a#b", "k" * 128, "k" * 129),
)


def key(rng: random.Random) -> str:
    """A mapping key."""
    return rng.choice(_KEYS[:24]) if rng.random() < 0.8 else rng.choice(_KEYS) or "e"


def value(rng: random.Random, depth: int = 0) -> object:
    """Any value: what a custom resource may hold."""
    roll = rng.random()
    if depth > 3 or roll < 0.55:
        return scalar(rng)
    if roll < 0.8:
        return {key(rng): value(rng, depth + 1) for _ in range(rng.randint(0, 4))}
    return [value(rng, depth + 1) for _ in range(rng.randint(0, 4))]
