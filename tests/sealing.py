"""A small SOPS encrypter for tests, with age: real encryption, written from the format and not from our reader."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from collections.abc import Callable
from typing import Any

import pyrage
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MODIFIED = "2026-03-02T14:00:00Z"


class AgeKey:
    """An age key pair."""

    def __init__(self) -> None:
        self._identity = pyrage.x25519.Identity.generate()
        self.secret = f"# a comment\n{self._identity}\n"
        self.recipient = self._identity.to_public()

    def metadata(self, data_key: bytes) -> list[dict[str, str]]:
        return [{"recipient": str(self.recipient), "enc": pyrage.encrypt(data_key, [self.recipient], armored=True).decode()}]


def sealed_value(text: str, kind: str, key: bytes, bound: str) -> str:
    nonce = os.urandom(32)
    out = AESGCM(key).encrypt(nonce, text.encode(), bound.encode())
    data, iv, tag = (base64.b64encode(part).decode() for part in (out[:-16], nonce, out[-16:]))
    return f"ENC[AES256_GCM,data:{data},iv:{iv},tag:{tag},type:{kind}]"


def sealed(
    value: dict[str, Any],
    key: AgeKey,
    *,
    chosen: Callable[[tuple[str, ...]], bool] = lambda path: bool(re.search("^(data|stringData)$", path[0])),
    rules: dict[str, Any] | None = None,
    damage_mac: bool = False,
) -> dict[str, Any]:
    """The mapping with the chosen values encrypted, and SOPS' metadata."""
    data_key = os.urandom(32)
    digest = hashlib.sha512()

    def walk(found: Any, path: tuple[str, ...]) -> Any:
        if isinstance(found, dict):
            return {name: walk(item, (*path, name)) for name, item in found.items()}
        if isinstance(found, list):
            return [walk(item, path) for item in found]
        if found is None:
            return None
        kind = {bool: "bool", int: "int", float: "float"}.get(type(found), "str")
        text = str(found)
        digest.update(text.encode())
        return sealed_value(text, kind, data_key, ":".join(path) + ":") if chosen(path) and text else found

    result: dict[str, Any] = walk(value, ())
    code = "0" * 128 if damage_mac else digest.hexdigest().upper()
    result["sops"] = {
        "age": key.metadata(data_key),
        "lastmodified": MODIFIED,
        "mac": sealed_value(code, "str", data_key, MODIFIED),
        **({"encrypted_regex": "^(data|stringData)$"} if rules is None else rules),
        "version": "3.13.3",
    }
    return result


def sealed_secret(name: str, namespace: str, values: dict[str, str], key: AgeKey, **options: Any) -> str:
    """A Secret's manifest, encrypted, as YAML that SOPS could have written."""
    import yaml

    metadata: dict[str, Any] = {"name": name, "namespace": namespace}
    if annotations := options.pop("annotations", None):
        metadata["annotations"] = annotations
    manifest = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": values}
    return yaml.safe_dump(sealed(manifest, key, **options), sort_keys=False, width=10_000)


def sealed_dotenv(values: dict[str, str], key: AgeKey) -> str:
    found = sealed(values, key, chosen=lambda path: True, rules={})
    sops = found.pop("sops")
    lines = [f"{name}={value}" for name, value in found.items()]
    age = sops.pop("age")[0]
    lines += [f"sops_age__list_0__map_{name}={value}".replace("\n", "\\n") for name, value in age.items()]
    lines += [f"sops_{name}={value}" for name, value in sops.items()]
    return "\n".join(lines) + "\n"


def sealed_binary(content: str, key: AgeKey) -> str:
    return json.dumps(sealed({"data": content}, key, chosen=lambda path: True, rules={}), indent="\t") + "\n"
