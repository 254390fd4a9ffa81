"""Bytes in, slightly other bytes out: the same random source gives the same mutations."""

from __future__ import annotations

import random

TOKENS = [
    *(
        b"- ",
        b": ",
        b":\n",
        b"\n",
        b"\n\n",
        b"  ",
        b"\t",
        b"#",
        b"'",
        b'"',
        b"|",
        b"|-\n",
        b"|2+\n",
        b">",
        b">-\n",
        b"&a ",
        b"*a",
    ),
    *(
        b"<<: *a\n",
        b"[",
        b"]",
        b"{",
        b"}",
        b",",
        b"?",
        b"? ",
        b"!",
        b"!!str ",
        b"!!binary ",
        b"%",
        b"@",
        b"`",
        b"---\n",
        b"...\n",
    ),
    *(b"\xef\xbb\xbf", b"\xc2\x85", b"\xe2\x80\xa8", b"\xff", b"\x00", b"\r\n", b"\r", b"\xf0\x9f\x98\x80", b"\\n", b"\\u0000"),
    *(b"null", b"~", b"true", b"yes", b"0777", b"0x1F", b"1e3", b"1_000", b".inf", b".nan", b"-0", b"2024-01-01", b"1:30"),
    *(b"99999999999999999999", b"0.1000000000000000055", b"kind", b"metadata", b"name", b"$patch: delete\n", b"..", b"../", b"/"),
    *(b"~1", b"~0", b"/-", b"/0", b"(a+)+$", b"^", b"*", b"[^a]", b"\\d", b"${a}", b"${a:-", b"$${", b"=", b"a=b", b"in (a, b)"),
]


def mutated(source: bytes, others: list[bytes], chance: random.Random) -> bytes:
    """One to eight changes: cut, copy, repeat, insert, swap with another seed, flip a bit."""
    data = bytearray(source)
    for _ in range(chance.randint(1, 8)):
        start = chance.randint(0, len(data))
        end = min(len(data), start + chance.choice((1, 2, 4, 16, 64)))
        match chance.randrange(7):
            case 0:
                del data[start:end]
            case 1:
                data[start:start] = data[start:end]
            case 2:
                data[start:end] = data[start:end] * chance.choice((2, 3, 20))
            case 3 | 4:
                data[start:start] = chance.choice(TOKENS)
            case 5:
                other = chance.choice(others)
                cut = chance.randint(0, len(other))
                data[start:end] = other[cut : cut + chance.choice((4, 16, 64))]
            case 6:
                if start < len(data):
                    data[start] ^= 1 << chance.randrange(8)
    return bytes(data[:50_000])
