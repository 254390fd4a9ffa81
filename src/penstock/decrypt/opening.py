"""Opening the files of a build.

In: the bytes of a file, the name that says what it is, a keyring. Out: plain bytes, or the same bytes when the file is not
encrypted. Raises InputError with the file and line, never with a value.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Final, Literal

from penstock.decrypt import rules as metadata
from penstock.decrypt import sealed
from penstock.decrypt.rules import Compile, Rules
from penstock.decrypt.sealed import Keyring, SealedError
from penstock.decrypt.stores import DotenvFile, IniFile, JsonFile
from penstock.decrypt.yamlstore import Sheet
from penstock.model import flux
from penstock.model.errors import InputError, Place, Problem
from penstock.yamldoc import parsing

Format = Literal["yaml", "json", "dotenv", "ini", "binary"]
LARGEST_BYTES: Final = 5 * 1024 * 1024
"""Flux's limit for an encrypted file."""
_MARKS: Final[tuple[tuple[bytes, Format], ...]] = (
    (b'"mac": "ENC[', "json"),
    (b"sops_mac=ENC[", "dotenv"),
    (b"[sops]", "ini"),
    (b"mac: ENC[", "yaml"),
)


def format_of(name: str) -> Format:
    """What a file of this name is: by its ending, else binary."""
    lowered = name.lower()
    for endings, found in (
        ((".yaml", ".yml"), "yaml"),
        ((".json", ".dockerconfigjson"), "json"),
        ((".env",), "dotenv"),
        ((".ini",), "ini"),
    ):
        if lowered.endswith(endings):
            return found  # type: ignore[return-value]
    return "binary"


def detected(data: bytes) -> Format | None:
    """How a file is encrypted, None when it is not."""
    if b"sops" not in data:
        return None
    return next((found for mark, found in _MARKS if mark in data), None)


class Opener:
    """Opens files with one keyring. Pure but for the keyring: equal bytes and an equal `id` give equal bytes."""

    def __init__(self, keyring: Keyring, compile: Compile, *, check: bool = True) -> None:  # noqa: A002
        """compile: makes patterns that take linear time. check: whether the authentication codes must be right."""
        self.id = f"{keyring.id} {'checked' if check else 'unchecked'}"
        self._keyring = keyring
        self._compile = compile
        self._check = check

    def manifest(self, path: str, data: bytes) -> bytes:
        """A file of objects or patches, its lines where they were."""
        return self._opened(path, data, lambda: self._manifest(data))

    def content(self, path: str, data: bytes, name: str) -> bytes:
        """A file that becomes the content of a Secret under a name, as SOPS writes it."""
        return self._opened(path, data, lambda: self._content(data, format_of(name)))

    def _opened(self, path: str, data: bytes, make: Callable[[], bytes]) -> bytes:
        if detected(data) is None:
            return data
        try:
            if len(data) > LARGEST_BYTES:
                raise SealedError(f"cannot decrypt file with size ({len(data)} bytes) exceeding limit ({LARGEST_BYTES})")
            return make()
        except SealedError as error:
            problem = Problem(what=error.what, where=Place(path=path, line=error.line), hint=error.hint, code="DecryptionFailed")
            raise InputError([problem]) from None

    def _manifest(self, data: bytes) -> bytes:
        text = _text(data)
        if text.lstrip().startswith("{"):
            return self._json(text, binary=False)
        return self._yaml(text, exact=False)

    def _content(self, data: bytes, wanted: Format) -> bytes:
        text = _text(data)
        match detected(data):
            case "json":
                return self._json(text, binary=wanted != "json")
            case "dotenv":
                file: DotenvFile | IniFile = DotenvFile(text)
            case "ini":
                file = IniFile(text)
            case _:
                return self._yaml(text, exact=True)
        rules = self._rules(file.metadata)
        values = sealed.opened(file.leaves, rules, self._keyring.data_key(rules), check=self._check)
        return file.written(values).encode(errors="surrogateescape")

    def _json(self, text: str, *, binary: bool) -> bytes:
        file = JsonFile(text)
        rules = self._rules(file.metadata)
        values = sealed.opened(file.leaves, rules, self._keyring.data_key(rules), check=self._check)
        return file.binary(values) if binary else file.written(values).encode(errors="surrogateescape")

    def _yaml(self, text: str, *, exact: bool) -> bytes:
        """SOPS puts the same metadata into every document of a file, and one code over all of them; documents that were
        encrypted each by itself and put together later have each its own."""
        line = 1
        parts: list[tuple[str, Sheet | None]] = []
        for part in parsing.split(text):
            sheet = None
            if "sops" in part and not parsing.comment_only(part):
                sheet = Sheet(part, line)
                if sheet.metadata is None or sheet.marked(flux.DECRYPT, "disabled"):
                    sheet = None
            parts.append((part, sheet))
            line += part.count("\n")
        result: list[str] = []
        for sheet_mac, group in itertools.groupby(parts, key=lambda each: _mac(each[1])):
            members = list(group)
            if sheet_mac is None:
                result += [part for part, _ in members]
            else:
                result += self._together([sheet for _, sheet in members if sheet is not None], exact=exact)
        return "".join(result).encode(errors="surrogateescape")

    def _together(self, sheets: list[Sheet], *, exact: bool) -> list[str]:
        rules = self._rules(sheets[0].metadata)
        for sheet in sheets:
            sheet.read()
        leaves = [leaf for sheet in sheets for leaf in sheet.leaves]
        values = sealed.opened(leaves, rules, self._keyring.data_key(rules), check=self._check)
        result, start = [], 0
        for sheet in sheets:
            end = start + len(sheet.leaves)
            result.append(sheet.written(values[start:end], exact=exact))
            start = end
        return result

    def _rules(self, found: object) -> Rules:
        if not isinstance(found, dict):
            raise SealedError("it has no sops metadata")
        try:
            return metadata.parse(found, self._compile)
        except ValueError as error:
            raise SealedError(str(error)) from None


def _mac(sheet: Sheet | None) -> str | None:
    if sheet is None:
        return None
    found = sheet.metadata
    return str(found.get("mac")) if isinstance(found, dict) else ""


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise SealedError("it is not UTF-8") from None
