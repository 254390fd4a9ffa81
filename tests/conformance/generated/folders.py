"""A directory of a generated tree while it is being filled, and the texts that go everywhere."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from .manifests import Known, Value
from .writing import Writer


@dataclass(slots=True)
class Folder:
    """A directory being filled: its files, its kustomization and the objects that come out of it."""

    path: str
    rng: random.Random
    files: dict[str, bytes | str]
    fields: Value = field(default_factory=dict)
    known: list[Known] = field(default_factory=list)
    generated: list[tuple[str, str]] = field(default_factory=list)
    """(kind, name) of what the generators here and below make."""
    counter: int = 0

    def add(self, name: str, content: bytes | str | Any) -> str:
        """A file with a new name; a value is written as YAML."""
        if not isinstance(content, bytes | str):
            content = Writer(self.rng).document(content)
        if isinstance(content, str):
            content = content.encode("utf-8", "surrogatepass")
        while f"{self.path}/{name}" in self.files:
            self.counter += 1
            stem, dot, ending = name.rpartition(".")
            name = f"{stem or ending}{self.counter}{dot}{ending if stem else ''}"
        self.files[f"{self.path}/{name}"] = content
        return name

    def target(self) -> Known | None:
        """Some object."""
        return self.rng.choice(self.known) if self.known else None


def texts(rng: random.Random, count: int = 2) -> dict[str, Any]:
    keys = ("app", "team", "env", "app.kubernetes.io/part-of", "note", "example.com/owner")
    values = ("web", "platform", "prod", "a", "true", "1", "x y", "")
    return {key: rng.choice(values) for key in rng.sample(keys, rng.randint(1, count))}


def label_texts(rng: random.Random) -> dict[str, Any]:
    return {
        key: rng.choice(("web", "prod", "v2", "true", "1"))
        for key in rng.sample(("app", "team", "env", "tier"), rng.randint(1, 2))
    }


def field_spec(rng: random.Random, path: str) -> Value:
    """A place in some kinds."""
    spec: Value = {
        "path": rng.choice((path, path, f"spec/{path}", "spec/template/" + path, "spec/items[]/x", "spec/extra/labels"))
    }
    if rng.random() < 0.6:
        spec["kind"] = rng.choice(("Widget", "Deployment", "Service", "ConfigMap"))
    if rng.random() < 0.2:
        spec["group"] = rng.choice(("apps", "example.com", ""))
    if rng.random() < 0.1:
        spec["version"] = "v1"
    if rng.random() < 0.5:
        spec["create"] = rng.choice((True, True, False))
    return spec
