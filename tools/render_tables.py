"""Writes src/penstock/render/tables.py and merge_keys.py from the facts in ../shared/conformance/kustomize.

usage: python tools/render_tables.py        (run it when the facts change; the result is committed)
"""

import json
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
FACTS = PROJECT.parent / "shared" / "conformance" / "kustomize"
TARGET = PROJECT / "src" / "penstock" / "render"


def row(spec):
    """'group version kind path' with '-' for anything; a trailing '+' creates the field where it is missing."""
    parts = [spec.get(name) or "-" for name in ("group", "version", "kind", "path")]
    return " ".join(parts) + (" +" if spec.get("create") else "")


def tables():
    facts = json.loads((FACTS / "defaults.json").read_text())
    specs = facts["fieldspecs_effective_order"]
    lines = [
        '"""Where the transformers look by default, in the order they look; facts of kustomize, not settings.',
        "",
        "Each row is 'group version kind path', '-' for any; a trailing '+' creates the field where it is missing.",
        "Written by tools/render_tables.py.",
        '"""',
        "# ruff: noqa: E501",
        "",
    ]
    for name, rows in specs.items():
        if name == "nameReference":
            continue
        lines.append(f"{constant(name)} = (")
        lines += [f"    {json.dumps(row(spec))}," for spec in rows]
        lines += [")", ""]
    lines.append("NAME_REFERENCE = {")
    for entry in specs["nameReference"]:
        referred = " ".join(entry.get(part) or "-" for part in ("group", "version", "kind"))
        lines.append(f"    {json.dumps(referred)}: (")
        lines += [f"        {json.dumps(row(spec))}," for spec in entry["fieldSpecs"]]
        lines.append("    ),")
    lines += ["}", "", "CLUSTER_SCOPED = frozenset(", "    ("]
    lines += [f"        {json.dumps(kind)}," for kind in facts["cluster_scoped"]]
    lines += ["    )", ")", "", "NAMESPACED = frozenset(", "    ("]
    lines += [f"        {json.dumps(kind)}," for kind, scope in facts["scope"]["by_type"].items() if scope != "Cluster"]
    lines += ["    )", ")", ""]
    order = facts["legacy_sort_order"]
    lines += ["ORDER_FIRST = ("] + [f"    {json.dumps(kind)}," for kind in order["order_first"]] + [")", ""]
    lines += ["ORDER_LAST = ("] + [f"    {json.dumps(kind)}," for kind in order["order_last"]] + [")", ""]
    (TARGET / "tables.py").write_text("\n".join(lines))


def constant(name):
    return "".join("_" + c if c.isupper() else c.upper() for c in name)


def merge_keys():
    facts = json.loads((FACTS / "mergekeys.json").read_text())
    nodes = {}
    kinds = {}

    def intern(node):
        children = {field: intern(child) for field, child in sorted(node["fields"].items())}
        record = (tuple(node["keys"]) if node["keys"] is not None else None, tuple(children.items()))
        return nodes.setdefault(record, len(nodes))

    for kind, paths in facts.items():
        if kind == "_meta" or kind.endswith("List"):
            continue
        root = {"keys": None, "fields": {}}
        for path, entry in paths.items():
            if "merge" not in entry.get("strategy", "").split(",") or path.endswith("matchExpressions[].key"):
                continue
            node = root
            for part in path.replace("[]", ".[]").split("."):
                node = node["fields"].setdefault(part, {"keys": None, "fields": {}})
            node["keys"] = entry.get("list_map_keys") or ([entry["key"]] if entry.get("key") else [])
        kinds[kind.removeprefix("/")] = intern(root)
    lines = [
        '"""Which lists of the built-in kinds merge by key under a strategic merge patch; facts of Kubernetes 1.21.2.',
        "",
        "NODES[n] is (keys or None, {field: n}): None for a field that does not merge, () for a set of scalars; '[]' are the",
        "items of a list, '*' the values of a map. Equal parts of different kinds share a node. KINDS says where a kind starts.",
        "Written by tools/render_tables.py.",
        '"""',
        "",
        "NODES: tuple[tuple[tuple[str, ...] | None, dict[str, int]], ...] = (",
    ]
    for (keys, children), _number in sorted(nodes.items(), key=lambda item: item[1]):
        lines.append(f"    ({keys!r}, {dict(children)!r}),")
    lines += [")", "", "KINDS: dict[str, int] = {"]
    lines += [f"    {kind!r}: {number}," for kind, number in kinds.items()]
    lines += ["}", ""]
    (TARGET / "merge_keys.py").write_text("\n".join(lines))


tables()
merge_keys()
