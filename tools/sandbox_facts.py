"""Writes facts.json and wire.json of src/penstock/sandbox/cluster: the fields of the built-in kinds, from Kubernetes' files.

    tools/sandbox_facts.py <kubernetes source>/api/openapi-spec/v3 <folder of the k8s.io API modules>

The second folder holds api@*, apimachinery@* and apiextensions-apiserver@*: whether a field is a pointer (and so keeps a
zero value) stands only in the Go types.

Only facts are kept: names, types, how lists and maps merge, and defaults the schema itself states. The notation of one
field is explained in `penstock.sandbox.cluster.schema`.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from penstock.sandbox.cluster.kinds import BUILTIN_ROWS

Schema = dict[str, Any]
_SCALARS = {
    "Quantity": "quantity",
    "IntOrString": "intstr",
    "Time": "string",
    "MicroTime": "string",
    "RawExtension": "any",
    "FieldsV1": "any",
    "JSON": "any",
    "JSONSchemaPropsOrArray": "any",
    "JSONSchemaPropsOrBool": "any",
    "JSONSchemaPropsOrStringArray": "any",
}


_OMITTED: set[tuple[str, str]] = set()
"""(type, field) of fields that are left out when they are zero: omitempty, and neither a pointer nor a struct."""

_NULL_TIMES: set[tuple[str, str]] = set()
"""(type, field) of times that are null when they are zero: not a pointer (Go's omitempty leaves structs alone)."""


def read_go_types(modules: Path) -> None:
    """Fill _OMITTED from the types.go files."""
    for name in ("api@v0.37.2", "apimachinery@v0.37.2/pkg/apis/meta", "apiextensions-apiserver@v0.37.2/pkg/apis/apiextensions"):
        for path in sorted((modules / name).glob("**/v*/types*.go")):
            package = ".".join(path.parent.parts[-2:])
            owner = ""
            for line in path.read_text().splitlines():
                if match := re.match(r"type (\w+) struct", line):
                    owner = match[1]
                elif match := re.match(r'\s+\w+\s+(?:metav1\.)?(?:Micro)?Time\s+`json:"(\w+)(?:,omitempty)?["\s]', line):
                    _NULL_TIMES.add((f"{package}.{owner}", match[1]))
                elif (match := re.match(r'\s+\w+\s+(\S+)\s+`json:"([\w$-]+),omitempty', line)) and match[1][0] != "*":
                    _OMITTED.add((f"{package}.{owner}", match[2]))


def main(folder: Path, modules: Path) -> None:
    read_go_types(modules)
    types: dict[str, dict[str, str]] = {}
    roots: dict[str, str] = {}
    for row in BUILTIN_ROWS:
        api_version, kind = row.api_version, row.kind
        name = f"apis__{api_version.replace('/', '__')}" if "/" in api_version else "api__v1"
        schemas = json.loads((folder / f"{name}_openapi.json").read_text())["components"]["schemas"]
        group, _, version = api_version.rpartition("/")
        root = next(
            key
            for key, schema in schemas.items()
            if {"group": group, "version": version, "kind": kind} in schema.get("x-kubernetes-group-version-kind", [])
        )
        roots[f"{api_version}/{kind}"] = short(root)
        collect(root, schemas, types)
    write_wire(modules, types)
    lines = [f"  {json.dumps(name)}: {json.dumps(types[name], separators=(',', ':'))}" for name in sorted(types)]
    head = f'{{"roots": {json.dumps(roots, sort_keys=True)},\n"types": {{\n'
    out = Path(__file__).parents[1] / "src/penstock/sandbox/cluster/facts.json"
    out.write_text(head + ",\n".join(lines) + "\n}}\n")
    print(f"{out}: {len(types)} types, {out.stat().st_size} bytes")


_PROTO_FIELD = re.compile(
    r"\s+(?:optional |repeated )?(?:map<string, (?P<value>[\w.]+)>|(?P<type>[\w.]+)) (?P<name>\w+) = (?P<number>\d+);"
)


def write_wire(modules: Path, types: dict[str, dict[str, str]]) -> None:
    """wire.json: for every type the numbers of its fields in protobuf, which is how kubectl sends what it creates."""
    messages: dict[str, dict[int, tuple[str, str]]] = {}
    for name in ("api@v0.37.2", "apimachinery@v0.37.2/pkg", "apiextensions-apiserver@v0.37.2/pkg"):
        for path in sorted((modules / name).glob("**/generated.proto")):
            package = ".".join(path.parent.parts[-2:])
            owner = ""
            for line in path.read_text().splitlines():
                if match := re.match(r"message (\w+) \{", line):
                    owner = f"{package}.{match[1]}"
                    messages[owner] = {}
                elif match := _PROTO_FIELD.match(line):
                    kind = match["value"] or match["type"]
                    messages[owner][int(match["number"])] = (match["name"], kind)
    wire: dict[str, str] = {}
    for type_name in types:
        _wire_type(type_name, types[type_name], messages, wire)
    lines = [f"{json.dumps(name)}:{json.dumps(wire[name])}" for name in sorted(wire)]
    out = Path(__file__).parents[1] / "src/penstock/sandbox/cluster/wire.json"
    out.write_text("{" + ",\n".join(lines) + "}\n")
    print(f"{out}: {out.stat().st_size} bytes")


def _wire_type(name: str, fields: dict[str, str], messages: dict[str, dict[int, tuple[str, str]]], wire: dict[str, str]) -> None:
    parts = []
    for number, (field_name, kind) in sorted(messages.get(name, {}).items()):
        last = kind.rpartition(".")[2]
        mark = {"bytes": "bytes", "Time": "time", "MicroTime": "microtime", "double": "double"}.get(last, "")
        if field_name in fields:
            parts.append(f"{number} {field_name} {mark}".rstrip())
        elif last[0].isupper():
            # A struct that Go embeds: its fields stand in the parent.
            embedded = short(kind) if "." in kind else f"{name.rpartition('.')[0]}.{kind}"
            parts.append(f"{number} >{embedded}")
            if embedded not in wire:
                wire[embedded] = ""
                _wire_type(embedded, fields, messages, wire)
    wire[name] = "|".join(parts)


def short(name: str) -> str:
    """apps.v1.DeploymentSpec of io.k8s.api.apps.v1.DeploymentSpec."""
    return re.sub(r"^.*\.(\w+\.\w+\.\w+)$", r"\1", name)


def collect(name: str, schemas: dict[str, Schema], types: dict[str, dict[str, str]]) -> None:
    if short(name) in types:
        return
    schema = schemas[name]
    fields: dict[str, str] = {}
    types[short(name)] = fields
    if schema.get("x-kubernetes-map-type") == "atomic":
        fields["*"] = "atomic"
    for field_name, field_schema in schema.get("properties", {}).items():
        text = notation(field_schema, schemas, types)
        if (short(name), field_name) in _NULL_TIMES:
            text = "string = null"
        if (short(name), field_name) in _OMITTED and not text.endswith(" = {}"):
            text += " ~"
        fields[field_name] = text
    if "additionalProperties" in schema:
        fields["*"] = plain(schema["additionalProperties"], schemas, types)


def notation(schema: Schema, schemas: dict[str, Schema], types: dict[str, dict[str, str]]) -> str:
    strategy = schema.get("x-kubernetes-patch-strategy", "")
    prefix = ("+" if "merge" in strategy else "") + ("$" if "retainKeys" in strategy else "")
    text = prefix + plain(schema, schemas, types)
    default = schema.get("default")
    if default == {} and "." in text and ":" not in text:
        text += " = {}"
    elif default is not None and not isinstance(default, (dict, list)):
        text += f" = {json.dumps(default)}"
    return text


def plain(schema: Schema, schemas: dict[str, Schema], types: dict[str, dict[str, str]]) -> str:
    reference = schema.get("$ref") or next((part["$ref"] for part in schema.get("allOf", []) if "$ref" in part), None)
    if reference:
        name = reference.rpartition("/")[2]
        last = name.rpartition(".")[2]
        if last in _SCALARS:
            return _SCALARS[last]
        if schema.get("x-kubernetes-map-type") == "atomic":
            raise ValueError(f"a field makes {name} atomic: not foreseen")
        collect(name, schemas, types)
        return short(name)
    kind = schema.get("type")
    if kind == "array":
        element = plain(schema["items"], schemas, types)
        list_type = schema.get("x-kubernetes-list-type", "atomic")
        keys = ",".join(schema.get("x-kubernetes-list-map-keys", []))
        head = {"atomic": "list", "set": "set", "map": f"list[{keys}]"}[list_type]
        merge_key = schema.get("x-kubernetes-patch-merge-key")
        if merge_key and merge_key != keys:
            head += f"({merge_key})"
        return f"{head}:{element}"
    if kind == "object":
        head = "atomicmap" if schema.get("x-kubernetes-map-type") == "atomic" else "map"
        extra = schema.get("additionalProperties")
        return f"{head}:{plain(extra, schemas, types) if extra else 'any'}"
    if schema.get("x-kubernetes-int-or-string"):
        return "intstr"
    return kind if kind in ("string", "integer", "number", "boolean") else "any"


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
