"""SOPS' values and its message authentication code.

In: 'ENC[AES256_GCM,...]' texts, a data key, the path of a value. Out: typed values. Source: SOPS' file format; AES-256-GCM
with the path as additional data, SHA-512 over all values in file order.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from penstock.yamldoc import scalars

_VALUE = re.compile(r"ENC\[AES256_GCM,data:([^,]*),iv:([^,]+),tag:([^,]+),type:([a-z]+)\]\Z")
_ONLY_ENCRYPTED = bytes.fromhex("8a3fd2ad54ce66527b1034f3d147be0b0b975b3bf44f72c6fdadec8176f27d69")
"""What SOPS begins with when only encrypted values count, so that the two kinds never agree."""


class CipherError(Exception):
    """A value cannot be decrypted; `what` never holds it."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


@dataclass(frozen=True, slots=True)
class Comment:
    """A decrypted comment."""

    text: str


def bound_to(path: tuple[str, ...]) -> str:
    """What the encryption of a value at a path is bound to: it decrypts nowhere else."""
    return ":".join(path) + ":"


def opened(text: str, key: bytes, bound: str) -> Any:
    """The value behind an encrypted text that is bound to this. Raises CipherError."""
    if not text:
        return ""
    match = _VALUE.match(text)
    if match is None:
        raise CipherError("it is not encrypted, and the rules of the file say that it should be")
    try:
        data, nonce, tag = (base64.b64decode(part, validate=True) for part in match.groups()[:3])
        plain = AESGCM(key).decrypt(nonce, data + tag, bound.encode())
    except (binascii.Error, ValueError):
        raise CipherError("it is damaged") from None
    except InvalidTag:
        raise CipherError("it was encrypted with another key, for another place, or changed since") from None
    return _typed(plain, match[4])


def _typed(plain: bytes, kind: str) -> Any:
    try:
        if kind == "bytes":
            return plain
        text = plain.decode()
        match kind:
            case "str":
                return text
            case "int":
                return int(text)
            case "float":
                return float(text)
            case "bool":
                return {"true": True, "false": False}[text.lower()]
            case "time":
                return scalars.timestamp(text) or text
            case "comment":
                return Comment(text)
    except (UnicodeDecodeError, ValueError, KeyError):
        raise CipherError(f"what is in it is no {kind}") from None
    raise CipherError(f"'{kind}' is no type of SOPS")


class Mac:
    """The message authentication code of a file, value by value."""

    def __init__(self, *, only_encrypted: bool) -> None:
        self._hash = hashlib.sha512(_ONLY_ENCRYPTED if only_encrypted else b"")

    def add(self, value: Any) -> None:
        """Count one value, in file order. Comments and nulls do not count."""
        if value is not None and not isinstance(value, Comment):
            self._hash.update(_as_bytes(value))

    def text(self) -> str:
        """The code as SOPS writes it."""
        return self._hash.hexdigest().upper()


def _as_bytes(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, bool):
        return b"True" if value else b"False"
    if isinstance(value, float):
        return plain_float(value).encode()
    if isinstance(value, int):
        return str(int(value)).encode()
    return str(value).encode()


def plain_float(value: float) -> str:
    """A float without an exponent, in the fewest digits that give it back."""
    text = format(Decimal(repr(float(value))), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
