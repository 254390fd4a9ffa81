"""What a SOPS file holds before it is opened: its metadata, and its values in file order.

In: what a store found. Out: the values that take their place. Everything is decrypted and the authentication code is
compared before any of it is given out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from penstock.decrypt import cipher
from penstock.decrypt.cipher import CipherError, Comment, Mac
from penstock.decrypt.rules import Comments, Path, Rules


class SealedError(Exception):
    """A file cannot be opened; `what` never holds a value of it, `line` counts from 1 (0: unknown)."""

    def __init__(self, what: str, line: int = 0, hint: str | None = None) -> None:
        super().__init__(what, line, hint)
        self.what = what
        self.line = line
        self.hint = hint


class Keyring(Protocol):
    """Somebody's keys."""

    id: str
    """Names the keys without telling them; other keys have another."""

    def data_key(self, rules: Rules) -> bytes:
        """The data key of a file. Raises SealedError when no key of ours opens it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """One value of a file. `comment` is true for a comment, which may be encrypted too."""

    path: Path
    value: Any
    comments: Comments = ()
    comment: bool = False
    line: int = 0


def opened(leaves: Sequence[Leaf], rules: Rules, key: bytes, *, check: bool) -> list[Any]:
    """The plain values, one for each leaf, comments as `Comment`. Raises SealedError.

    check: whether the authentication code must be right.
    """
    mac = Mac(only_encrypted=rules.only_encrypted)
    result: list[Any] = []
    for leaf in leaves:
        encrypted = rules.encrypted(leaf.path, leaf.comments)
        value = _value(leaf, key) if encrypted or leaf.comment else leaf.value
        if not leaf.comment and (encrypted or not rules.only_encrypted):
            mac.add(value)
        result.append(value)
    if check:
        _compare(mac.text(), rules, key)
    return result


def _value(leaf: Leaf, key: bytes) -> Any:
    if leaf.comment:
        try:
            found = cipher.opened(leaf.value, key, cipher.bound_to(leaf.path)) if leaf.value.startswith("ENC[") else leaf.value
        except CipherError:
            # SOPS takes what it cannot decrypt for a comment that never was encrypted
            found = leaf.value
        return found if isinstance(found, Comment) else Comment(str(found))
    if leaf.value is None:
        return None
    shown = ".".join(leaf.path)
    if not isinstance(leaf.value, str):
        raise SealedError(
            f"the value at '{shown}' is not encrypted, and the rules of the file say that it should be",
            leaf.line,
            "encrypt the file again with sops; a file is taken whole or not at all",
        )
    try:
        return cipher.opened(leaf.value, key, cipher.bound_to(leaf.path))
    except CipherError as error:
        raise SealedError(
            f"the value at '{shown}' cannot be decrypted: {error.what}",
            leaf.line,
            "encrypt the file again with sops; a file is taken whole or not at all",
        ) from None


def _compare(computed: str, rules: Rules, key: bytes) -> None:
    hint = "encrypt the file again with sops, and never edit it by hand (or let sops set mac_only_encrypted)"
    try:
        stored = cipher.opened(rules.mac, key, rules.modified)
    except CipherError as error:
        raise SealedError(f"failed to verify sops data integrity: the mac cannot be read: {error.what}", 0, hint) from None
    if stored != computed:
        raise SealedError("failed to verify sops data integrity: the mac is not that of the content", 0, hint)


def as_text(value: Any) -> str:
    """A value where a store holds only texts."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return cipher.plain_float(value)
    if isinstance(value, bytes):
        return value.decode(errors="surrogateescape")
    return str(value)
