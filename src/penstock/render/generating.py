"""ConfigMaps and Secrets from literals, files and env files.

In: one entry of configMapGenerator or secretGenerator and a function that reads a file of the kustomization. Out: the
object. Nothing is ever taken from the environment of the process.
"""

from __future__ import annotations

import base64
import posixpath
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

MAX_DATA_BYTES: Final = 1024 * 1024
"""What a cluster accepts in one ConfigMap or Secret; more is an error of the build, not of the apply."""
_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}\Z")


class GenerateError(Exception):
    """A generator entry that cannot be made; says which key or source, never a value."""

    def __init__(self, what: str, field: str = "", index: int | None = None) -> None:
        super().__init__(what, field, index)
        self.what = what
        self.field = field
        self.index = index


ReadFile = Callable[[str], bytes]


def config_map(entry: Mapping[str, Any], read: ReadFile, *, checked: bool = True) -> dict[str, Any]:
    """The ConfigMap of an entry. Raises GenerateError, and what `read` raises.

    Keys and sizes that no cluster takes are only refused when `checked`.
    """
    value = _base("ConfigMap", entry)
    pairs = _pairs(entry, read, checked=checked)
    data: dict[str, str] = {}
    binary: dict[str, str] = {}
    for key in sorted(pairs):
        try:
            data[key] = pairs[key].decode()
        except UnicodeDecodeError:
            binary[key] = encoded(pairs[key])
    if data:
        value["data"] = data
    if binary:
        value["binaryData"] = binary
    _options(value, entry)
    return value


def secret(entry: Mapping[str, Any], read: ReadFile, *, checked: bool = True) -> dict[str, Any]:
    """The Secret of an entry, as config_map."""
    value = _base("Secret", entry)
    value["type"] = entry.get("type") or "Opaque"
    pairs = _pairs(entry, read, checked=checked)
    value["data"] = {key: encoded(pairs[key]) for key in sorted(pairs)}
    _options(value, entry)
    return value


def _base(kind: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    name = entry.get("name") or ""
    if not name:
        raise GenerateError(f"a {kind} generator must have a name", "name")
    metadata: dict[str, Any] = {"name": name}
    if entry.get("namespace"):
        metadata["namespace"] = entry["namespace"]
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata}


def _options(value: dict[str, Any], entry: Mapping[str, Any]) -> None:
    options = entry.get("options") or {}
    for field in ("labels", "annotations"):
        if options.get(field):
            value["metadata"][field] = {key: options[field][key] for key in sorted(options[field])}
    if options.get("immutable"):
        value["immutable"] = True


def _pairs(entry: Mapping[str, Any], read: ReadFile, *, checked: bool) -> dict[str, bytes]:
    """key -> content; env files first, then literals, then files, no key twice."""
    pairs: dict[str, bytes] = {}
    name = entry.get("name")
    sources = [*(entry.get("envs") or []), *([entry["env"]] if entry.get("env") else [])]
    for index, source in enumerate(sources):
        for key, content in _env_lines(read(source), source, index):
            _add(pairs, key, content, name, "envs", index, checked=checked)
    for index, source in enumerate(entry.get("literals") or []):
        key, content = _literal(source, index)
        _add(pairs, key, content, name, "literals", index, checked=checked)
    for index, source in enumerate(entry.get("files") or []):
        key, path = file_source(source, index)
        _add(pairs, key, read(path), name, "files", index, checked=checked)
    if checked and sum(map(len, pairs.values())) > MAX_DATA_BYTES:
        raise GenerateError(f"'{name}' is larger than the {MAX_DATA_BYTES} bytes a cluster accepts", "name")
    return pairs


def _add(pairs: dict[str, bytes], key: str, content: bytes, name: Any, field: str, index: int, *, checked: bool) -> None:
    if key in pairs:
        raise GenerateError(f"configmap {name} illegally repeats the key `{key}`", field, index)
    if checked and (not _KEY.match(key) or key in (".", "..")):
        raise GenerateError(f"'{key}' cannot be a key of '{name}': letters, digits, '-', '_' and '.' only", field, index)
    pairs[key] = content


def _env_lines(content: bytes, source: str, index: int) -> list[tuple[str, bytes]]:
    result = []
    lines = content.split(b"\n")
    if lines and lines[-1] == b"":
        lines.pop()
    for number, line in enumerate(lines):
        line = line.removesuffix(b"\r")
        try:
            text = line.decode()
        except UnicodeDecodeError:
            raise GenerateError(f"line {number + 1} of '{source}' has invalid utf8 bytes", "envs", index) from None
        if number == 0:
            text = text.removeprefix("\ufeff")
        text = text.lstrip()
        if not text or text.startswith("#"):
            continue
        key, _separator, value = text.partition("=")
        if key:
            result.append((key, value.encode()))
    return result


def _literal(source: str, index: int) -> tuple[str, bytes]:
    key, separator, value = source.partition("=")
    if not key or not separator:
        raise GenerateError("invalid literal source, expected key=value", "literals", index)
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
        value = value[1:-1]
    return key, value.encode()


def file_source(source: str, index: int | None = None) -> tuple[str, str]:
    """(key, path) of 'path' or 'key=path'."""
    count = source.count("=")
    if count == 0:
        return posixpath.basename(source.rstrip("/")) or source, source
    if count > 1:
        raise GenerateError(f"source '{source}': key name or file path contains '='", "files", index)
    key, _, path = source.partition("=")
    if not key:
        raise GenerateError(f"missing key name for file path '{path}' in source '{source}'", "files", index)
    if not path:
        raise GenerateError(f"missing file path for key name '{key}' in source '{source}'", "files", index)
    return key, path


def encoded(content: bytes) -> str:
    """Base64 as go-yaml lays it out: lines of 70 once it fills one."""
    text = base64.b64encode(content).decode()
    if len(text) < 70:
        return text
    return "".join(text[start : start + 70] + "\n" for start in range(0, len(text), 70))


def merged_options(own: Mapping[str, Any] | None, common: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """An entry's options with generatorOptions below them."""
    if common is None:
        return dict(own) if own is not None else None
    result = dict(own or {})
    for field in ("labels", "annotations"):
        if common.get(field) is not None:
            result[field] = {**common[field], **(result.get(field) or {})}
    for field in ("disableNameSuffixHash", "immutable"):
        if common.get(field):
            result[field] = True
    return result
