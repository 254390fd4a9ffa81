"""Every field of penstock.yaml and of the files under .penstock/, from the published JSON Schema."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any


def schema() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((resources.files("penstock.source") / "schema.json").read_bytes())
    return loaded


def page() -> str:
    loaded = schema()
    kinds = {variant["properties"]["kind"]["const"]: variant["properties"]["spec"] for variant in loaded["oneOf"]}
    lines = [
        "# Every field of the pipeline's files",
        "",
        "`penstock.yaml` and the files under `.penstock/` hold documents of these kinds, each with `apiVersion:",
        f"{next(iter(loaded['oneOf']))['properties']['apiVersion']['const']}`, `kind`, an optional `metadata.name` and a `spec`.",
        "[The pipeline](pipeline.md) explains them; editors find the same in the JSON Schema `penstock/source/schema.json`.",
        "",
    ]
    used = {spec["$ref"].rpartition("/")[2]: kind for kind, spec in kinds.items() if "$ref" in spec}
    for name in [*used, *(one for one in loaded["$defs"] if one not in used)]:
        definition = loaded["$defs"][name]
        if "properties" not in definition:
            continue
        lines += [f"## {used[name]}" if name in used else f"## {name}", ""]
        if definition.get("description"):
            lines += [definition["description"], ""]
        lines += ["| field | type | |", "|---|---|---|"]
        required = definition.get("required", [])
        for field, shape in definition["properties"].items():
            words = shape.get("description", "") + (" **Required.**" if field in required else "")
            lines.append(f"| `{field}` | {_type(shape)} | {words.strip().replace('|', chr(92) + '|').replace('<', '&lt;')} |")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _type(shape: dict[str, Any]) -> str:
    if "$ref" in shape:
        name = shape["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "oneOf" in shape or "anyOf" in shape:
        return " or ".join(_type(one) for one in shape.get("oneOf") or shape["anyOf"])
    if "enum" in shape:
        return ", ".join(f"`{one if isinstance(one, str) else json.dumps(one)}`" for one in shape["enum"])
    if "const" in shape:
        return f"`{shape['const']}`"
    if shape.get("type") == "array":
        return f"list of {_type(shape['items'])}" if "items" in shape else "list"
    return str(shape.get("type", "anything"))
