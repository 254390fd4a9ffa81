"""Cases for the YAML layer alone: one kustomization, many documents of arbitrary content."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from . import odd
from .case import Case
from .writing import Alias, Anchor, Raw, Writer, join

KUSTOMIZATION = b"resources:\n- all.yaml\nsortOptions:\n  order: fifo\n"


def document(rng: random.Random, index: int) -> str:
    """The text of one object with arbitrary fields."""
    writer = Writer(rng)
    value: dict[Any, Any] = {
        "apiVersion": "example.com/v1",
        "kind": rng.choice(("Thing", "Thing", "ConfigMap", "Zoo")),
        "metadata": {"name": f"thing-{index}"},
    }
    for number in range(rng.randint(1, 5)):
        value[f"{odd.key(rng)}" if rng.random() < 0.5 else f"field{number}"] = odd.value(rng)
    if rng.random() < 0.25:
        with_aliases(rng, value)
    if rng.random() < 0.2:
        keys = list(value)
        rng.shuffle(keys)
        anchors = any(isinstance(item, Anchor | Alias) for item in value.values())
        value = value if anchors else {key: value[key] for key in keys}
    return writer.document(value)


def with_aliases(rng: random.Random, value: dict[Any, Any]) -> None:
    """Name one field's value, and use it again below other fields, sometimes as a merge key."""
    content: Any = odd.value(rng, 2)
    if rng.random() < 0.6:
        content = {odd.key(rng): odd.scalar(rng) for _ in range(rng.randint(1, 3))}
    value["anchored"] = Anchor("a1", content)
    if isinstance(content, dict) and content and rng.random() < 0.5:
        merged = {"<<": Alias("a1"), "own": odd.scalar(rng)}
        if rng.random() < 0.4:
            merged = {next(iter(content)): odd.scalar(rng), "<<": Alias("a1")}
        value["merged"] = merged
    else:
        value["again"] = rng.choice((Alias("a1"), [Alias("a1"), Raw("1")], {"x": Alias("a1")}))


def scalar_document(rng: random.Random, index: int) -> str:
    """An object with one plain scalar as a value, a list item and (sometimes) a key."""
    text = odd.number(rng)
    head = f"apiVersion: example.com/v1\nkind: Thing\nmetadata:\n  name: thing-{index}\n"
    out = f"{head}value: {text}\nlist:\n- {text}\nflow: [{text}]\n"
    if rng.random() < 0.1:
        out += f"{text}: key\n"
    return out


def case(rng: random.Random, count: int) -> tuple[Case, list[str]]:
    """A file of many documents, and the documents."""
    make = scalar_document if rng.random() < 0.3 else document
    texts = [make(rng, index) for index in range(count)]
    return of_texts(texts, rng), texts


def of_texts(texts: list[str], rng: random.Random | None = None) -> Case:
    """The case of these documents."""
    data = join(rng, texts) if rng is not None else "---\n".join(texts).encode("utf-8", "surrogatepass")
    return Case(files={"kustomization.yaml": KUSTOMIZATION, "all.yaml": data})


def halves(texts: list[str]) -> Iterator[list[str]]:
    """The documents in two parts."""
    middle = len(texts) // 2
    yield texts[:middle]
    yield texts[middle:]
