"""Custom resources: what a CustomResourceDefinition adds to the API, and its schema at work.

In: a stored CRD, and objects of the kinds it defines. Out: the `Kind`s it serves, its status, and objects pruned,
defaulted and checked by its structural schema. CEL rules (x-kubernetes-validations) and conversion webhooks are not in
the sandbox: rules are not evaluated, versions differ by their apiVersion alone.
Source: apiextensions-apiserver (pruning, defaulting, validation; kube-openapi's wording).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from penstock.sandbox.cluster import schema as shapes
from penstock.sandbox.cluster.kinds import Kind
from penstock.sandbox.cluster.status import Cause
from penstock.sandbox.cluster.validating import invalid_value, required, unsupported

Schema = Mapping[str, Any]


def kinds_of(crd: Mapping[str, Any]) -> list[Kind]:
    """One Kind per served version; none while the CRD is being deleted."""
    spec = crd["spec"]
    names = spec["names"]
    served = [version for version in spec["versions"] if version.get("served")]
    storage = next((version["name"] for version in spec["versions"] if version.get("storage")), "")
    preferred = _preferred([version["name"] for version in served])
    kinds = []
    for version in served:
        subresources = tuple(name for name in ("status", "scale") if name in (version.get("subresources") or {}))
        kinds.append(
            Kind(
                group=spec["group"],
                version=version["name"],
                kind=names["kind"],
                plural=names["plural"],
                singular=names.get("singular") or names["kind"].lower(),
                namespaced=spec["scope"] == "Namespaced",
                short_names=tuple(names.get("shortNames") or ()),
                categories=tuple(names.get("categories") or ()),
                subresources=subresources,
                schema=shapes.from_openapi(schema_of(version), root=True),
                crd={**version, "_group": spec["group"], "_storage": storage},
                preferred=version["name"] == preferred,
            )
        )
    return kinds


def _preferred(versions: list[str]) -> str:
    from penstock.sandbox.cluster.kinds import version_order

    return min(versions, key=version_order, default="")


def schema_of(version: Mapping[str, Any]) -> Schema:
    """The openAPIV3Schema of a CRD version."""
    found: Schema = (version.get("schema") or {}).get("openAPIV3Schema") or {}
    return found


def first_status(crd: Mapping[str, Any]) -> dict[str, Any]:
    """The status of a CRD nobody has looked at yet."""
    stored = [version["name"] for version in crd["spec"]["versions"] if version.get("storage")]
    return {"conditions": None, "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": stored}


def status_of(crd: Mapping[str, Any], now: str) -> dict[str, Any]:
    """The status of a CRD whose names were accepted: served at once."""
    spec = crd["spec"]
    stored = list((crd.get("status") or {}).get("storedVersions") or [])
    storage = next((version["name"] for version in spec["versions"] if version.get("storage")), "")
    if storage and storage not in stored:
        stored.append(storage)
    before = {condition["type"]: condition for condition in (crd.get("status") or {}).get("conditions") or ()}
    conditions = [
        {
            "type": "NamesAccepted",
            "status": "True",
            "lastTransitionTime": now,
            "reason": "NoConflicts",
            "message": "no conflicts found",
        },
        {
            "type": "Established",
            "status": "True",
            "lastTransitionTime": now,
            "reason": "InitialNamesAccepted",
            "message": "the initial names have been accepted",
        },
    ]
    conditions = [before.get(condition["type"], condition) for condition in conditions]
    return {"conditions": conditions, "acceptedNames": dict(spec["names"]), "storedVersions": stored}


def definition_problems(crd: Mapping[str, Any]) -> list[Cause]:
    """What is wrong with a CRD itself."""
    spec = crd["spec"]
    causes = []
    names = spec.get("names") or {}
    wanted = f"{names.get('plural', '')}.{spec.get('group', '')}"
    if crd["metadata"].get("name") != wanted:
        causes.append(invalid_value("metadata.name", crd["metadata"].get("name"), 'must be spec.names.plural+"."+spec.group'))
    causes += [required(f"spec.names.{name}") for name in ("kind", "plural") if not names.get(name)]
    causes += [required(f"spec.{name}") for name in ("group", "scope") if not spec.get(name)]
    if spec.get("scope") not in ("Namespaced", "Cluster", "", None):
        causes.append(unsupported("spec.scope", spec["scope"], ["Cluster", "Namespaced"]))
    if names.get("listKind") and names["listKind"] == names.get("kind"):
        causes.append(invalid_value("spec.names.listKind", names["listKind"], "kind and listKind may not be the same"))
    versions = spec.get("versions") or []
    if sum(bool(version.get("storage")) for version in versions) != 1:
        causes.append(invalid_value("spec.versions", [], "must have exactly one version marked as storage version"))
    for index, version in enumerate(versions):
        where = f"spec.versions[{index}].schema.openAPIV3Schema"
        if not schema_of(version):
            causes.append(required(where, "schemas are required"))
        elif schema_of(version).get("type") != "object":
            causes.append(invalid_value(f"{where}.type", schema_of(version).get("type", ""), "must be object at the root"))
        else:
            # One schema for all versions is reported where the API keeps it inside.
            inside = "spec.validation.openAPIV3Schema" if len(versions) == 1 else where
            causes += _structure(schema_of(version), inside)
    return causes


def _structure(schema: Schema, where: str) -> list[Cause]:
    """A structural schema states the type of everything it describes."""
    causes = []
    untyped = schema.get("x-kubernetes-int-or-string") or schema.get("x-kubernetes-preserve-unknown-fields")
    if not schema.get("type") and not untyped:
        causes.append(required(f"{where}.type", "must not be empty for specified object fields"))
    if schema.get("type") == "array" and not schema.get("items"):
        causes.append(required(f"{where}.items", "must be specified"))
    elif not isinstance(schema.get("items", {}), dict):
        causes.append(invalid_value(f"{where}.items", None, "items must be a schema object and not an array"))
    if not isinstance(schema.get("additionalProperties", {}), (dict, bool)):
        causes.append(invalid_value(f"{where}.additionalProperties", None, "must be a schema or a boolean"))
    for name, part in (schema.get("properties") or {}).items():
        if not (where.endswith("openAPIV3Schema") and name in ("metadata", "apiVersion", "kind")):
            causes += _structure(part, f"{where}.properties[{name}]")
    if isinstance(schema.get("items"), Mapping):
        causes += _structure(schema["items"], f"{where}.items")
    if isinstance(schema.get("additionalProperties"), Mapping):
        causes += _structure(schema["additionalProperties"], f"{where}.additionalProperties")
    return causes


# ------------------------------------------------------------------------------------------- objects of the kind


def conform(kind: Kind, manifest: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The object pruned and defaulted by the schema, and the paths that were pruned."""
    assert kind.crd is not None
    unknown: list[str] = []
    schema = schema_of(kind.crd)
    out: dict[str, Any] = _conform(schema, manifest, "", unknown, root=True)
    out["apiVersion"], out["kind"] = kind.api_version, kind.kind
    return out, sorted(unknown)


def _conform(schema: Schema, value: Any, path: str, unknown: list[str], *, root: bool = False) -> Any:
    if isinstance(value, dict):
        return _conform_map(schema, value, path, unknown, root=root or bool(schema.get("x-kubernetes-embedded-resource")))
    if isinstance(value, list):
        items = schema.get("items")
        if not isinstance(items, Mapping):
            return value
        return [_conform(items, item, f"{path}[{i}]", unknown) for i, item in enumerate(value)]
    return value


def _conform_map(schema: Schema, value: Mapping[str, Any], path: str, unknown: list[str], *, root: bool) -> dict[str, Any]:
    properties = schema.get("properties") or {}
    additional = schema.get("additionalProperties")
    keep = bool(schema.get("x-kubernetes-preserve-unknown-fields") or additional is True)
    out: dict[str, Any] = {}
    for key, child in value.items():
        part = properties.get(key)
        below = f"{path}.{key}".lstrip(".")
        if root and key in ("apiVersion", "kind", "metadata"):
            out[key] = child
        elif part is not None:
            if child is None and not part.get("nullable"):
                continue
            out[key] = _conform(part, child, below, unknown)
        elif isinstance(additional, Mapping):
            out[key] = _conform(additional, child, below, unknown)
        elif keep:
            out[key] = child
        else:
            unknown.append(below)
    for key, part in properties.items():
        if key not in out and "default" in part:
            default = json.loads(json.dumps(part["default"]))
            out[key] = _conform(part, default, f"{path}.{key}".lstrip("."), unknown)
    return out


def problems(kind: Kind, manifest: Mapping[str, Any]) -> list[Cause]:
    """Where an object breaks the schema of its kind."""
    assert kind.crd is not None
    causes: list[Cause] = []
    schema = schema_of(kind.crd)
    body = {key: value for key, value in manifest.items() if key not in ("apiVersion", "kind", "metadata")}
    _check({**schema, "required": _without_root(schema)}, body, "", causes)
    return causes


def _without_root(schema: Schema) -> list[str]:
    return [name for name in schema.get("required") or [] if name not in ("apiVersion", "kind", "metadata")]


_TYPES: Mapping[str, Callable[[Any], bool]] = {
    "object": lambda v: isinstance(v, Mapping),
    "array": lambda v: isinstance(v, list),
    "string": lambda v: isinstance(v, str),
    "boolean": lambda v: isinstance(v, bool),
    "integer": lambda v: (isinstance(v, int) and not isinstance(v, bool)) or (isinstance(v, float) and v.is_integer()),
    "number": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool),
}


def _type_name(value: Any) -> str:
    return "null" if value is None else next(name for name, test in _TYPES.items() if test(value))


def _check(schema: Schema, value: Any, path: str, causes: list[Cause]) -> None:
    if value is None and schema.get("nullable"):
        return
    if schema.get("x-kubernetes-int-or-string"):
        if not isinstance(value, (int, str)) or isinstance(value, bool):
            causes.append(_type_invalid(path, value, "integer,string"))
        return
    wanted = schema.get("type")
    if wanted and not _TYPES[wanted](value):
        causes.append(_type_invalid(path, value, wanted))
        return
    if "enum" in schema and value not in schema["enum"]:
        supported = ", ".join(json.dumps(item) for item in schema["enum"])
        message = f"Unsupported value: {json.dumps(value)}: supported values: {supported}"
        causes.append(Cause(reason="FieldValueNotSupported", message=message, field=path))
    if isinstance(value, dict):
        _check_map(schema, value, path, causes)
    elif isinstance(value, list):
        _check_list(schema, value, path, causes)
    else:
        _check_scalar(schema, value, path, causes)
    _check_combined(schema, value, path, causes)


def _type_invalid(path: str, value: Any, wanted: str) -> Cause:
    found = _type_name(value)
    cause = invalid_value(path, found, f'{path} in body must be of type {wanted}: "{found}"')
    return replace(cause, reason="FieldValueTypeInvalid")


def _check_map(schema: Schema, value: Mapping[str, Any], path: str, causes: list[Cause]) -> None:
    properties = schema.get("properties") or {}
    additional = schema.get("additionalProperties")
    causes += [required(f"{path}.{name}".lstrip(".")) for name in schema.get("required") or () if name not in value]
    for key, child in value.items():
        part = properties.get(key, additional if isinstance(additional, Mapping) else None)
        if part is not None:
            _check(part, child, f"{path}.{key}".lstrip("."), causes)
    count = len(value)
    if count < schema.get("minProperties", 0):
        why = f"{path} in body should have at least {schema['minProperties']} properties"
        causes.append(invalid_value(path, count, why))
    if "maxProperties" in schema and count > schema["maxProperties"]:
        causes.append(invalid_value(path, count, f"{path} in body must have at most {schema['maxProperties']} properties"))


def _check_list(schema: Schema, value: list[Any], path: str, causes: list[Cause]) -> None:
    items = schema.get("items")
    if isinstance(items, Mapping):
        for index, item in enumerate(value):
            _check(items, item, f"{path}[{index}]", causes)
    if len(value) < schema.get("minItems", 0):
        why = f"{path} in body should have at least {schema['minItems']} items"
        causes.append(invalid_value(path, len(value), why))
    if "maxItems" in schema and len(value) > schema["maxItems"]:
        message = f"Too many: {len(value)}: must have at most {schema['maxItems']} items"
        causes.append(Cause(reason="FieldValueTooMany", message=message, field=path))
    if schema.get("x-kubernetes-list-type") in ("set", "map"):
        _check_unique(schema, value, path, causes)


def _check_unique(schema: Schema, value: list[Any], path: str, causes: list[Cause]) -> None:
    keys = schema.get("x-kubernetes-list-map-keys") or ()
    seen: list[Any] = []
    for index, item in enumerate(value):
        identity = {key: item.get(key) for key in keys} if keys and isinstance(item, dict) else item
        if identity in seen:
            shown = json.dumps(identity, separators=(",", ":"))
            causes.append(Cause(reason="FieldValueDuplicate", message=f"Duplicate value: {shown}", field=f"{path}[{index}]"))
        seen.append(identity)


_FORMATS = {
    "date-time": re.compile(r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})\Z"),
    "date": re.compile(r"\d{4}-\d{2}-\d{2}\Z"),
    "uuid": re.compile(r"(?i)[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}\Z"),
}


def _check_scalar(schema: Schema, value: Any, path: str, causes: list[Cause]) -> None:
    if isinstance(value, str):
        # One finding per text: the real server stops at the first.
        if len(value) < schema.get("minLength", 0):
            why = f"{path} in body should be at least {schema['minLength']} chars long"
            causes.append(invalid_value(path, value, why))
        elif "maxLength" in schema and len(value) > schema["maxLength"]:
            message = f"Too long: may not be more than {schema['maxLength']} bytes"
            causes.append(Cause(reason="FieldValueTooLong", message=message, field=path))
        elif "pattern" in schema and not _matches(schema["pattern"], value):
            causes.append(invalid_value(path, value, f"{path} in body should match '{schema['pattern']}'"))
        known = _FORMATS.get(schema.get("format", ""))
        if known is not None and not known.match(value):
            why = f"{path} in body must be of type {schema['format']}: {json.dumps(value)}"
            causes.append(replace(invalid_value(path, value, why), reason="FieldValueTypeInvalid"))
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        if "minimum" in schema and (value < schema["minimum"] or (schema.get("exclusiveMinimum") and value == schema["minimum"])):
            why = f"{path} in body should be greater than or equal to {schema['minimum']}"
            causes.append(invalid_value(path, value, why))
        if "maximum" in schema and (value > schema["maximum"] or (schema.get("exclusiveMaximum") and value == schema["maximum"])):
            causes.append(invalid_value(path, value, f"{path} in body should be less than or equal to {schema['maximum']}"))
        if schema.get("multipleOf") and value % schema["multipleOf"]:
            causes.append(invalid_value(path, value, f"{path} in body should be a multiple of {schema['multipleOf']}"))


def _matches(pattern: str, value: str) -> bool:
    try:
        return re.search(pattern, value) is not None
    except re.error:
        # RE2 syntax Python does not have: the sandbox lets the value through.
        return True


def _check_combined(schema: Schema, value: Any, path: str, causes: list[Cause]) -> None:
    for part in schema.get("allOf") or ():
        _check(part, value, path, causes)
    for word, words in (("anyOf", "at least one schema (anyOf)"), ("oneOf", "one and only one schema (oneOf)")):
        results = [_findings(part, value, path) for part in schema.get(word) or ()]
        passing = sum(not found for found in results)
        if results and passing == 0:
            found_none = ". Found none valid" if word == "oneOf" else ""
            causes.append(invalid_value("<nil>", "", f'"{path}" must validate {words}{found_none}'))
            causes += min(results, key=lambda found: len(list(found)))
        elif word == "oneOf" and passing > 1:
            causes.append(invalid_value("<nil>", "", f'"{path}" must validate {words}. Found {passing} valid alternatives'))
    negated = schema.get("not")
    if negated and not _findings(negated, value, path):
        causes.append(invalid_value("<nil>", "", f'"{path}" must not validate the schema (not)'))


def _findings(schema: Schema, value: Any, path: str) -> list[Cause]:
    found: list[Cause] = []
    _check(schema, value, path, found)
    return found
