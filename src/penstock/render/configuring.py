"""Field specs from files: `configurations`, `crds`, and the OpenAPI document of `openapi`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from penstock.model.errors import InputError, Problem
from penstock.render import fieldspecs, kustomization
from penstock.render.fieldspecs import FieldSpec, NameReferences, TransformerConfig
from penstock.yamldoc import reading

_NAMES = {
    "namePrefix": "name_prefix",
    "nameSuffix": "name_suffix",
    "namespace": "namespace",
    "commonLabels": "common_labels",
    "labels": "labels",
    "templateLabels": "template_labels",
    "volumeClaimTemplateLabels": "volume_claim_template_labels",
    "commonAnnotations": "common_annotations",
    "varReference": "var_reference",
    "images": "images",
    "replicas": "replicas",
}


def field_spec(entry: Mapping[str, Any]) -> FieldSpec:
    """A field spec from its mapping."""
    return FieldSpec(
        group=entry.get("group") or "",
        version=entry.get("version") or "",
        kind=entry.get("kind") or "",
        path=entry.get("path") or "",
        create=bool(entry.get("create")),
    )


def configuration(data: bytes, path: str) -> TransformerConfig:
    """The field specs of a transformer configuration file. Raises InputError."""
    document = reading.load_sigs(data, path)
    if document is None:
        return fieldspecs.EMPTY_CONFIG
    problems: list[Problem] = []
    value = kustomization.checked(document.value, kustomization.CONFIGURATION, document, (), problems, "coerce")
    kustomization.checked(document.value, kustomization.CONFIGURATION, document, (), problems)
    problems = [problem for problem in problems if problem.code == "UnknownField" or "takes a" not in problem.what] or [
        problem for problem in problems if "not a map" in problem.what or "not a list" in problem.what
    ]
    if problems:
        raise InputError(problems)
    fields: dict[str, Any] = {
        ours: fieldspecs.sort_specs(field_spec(entry or {}) for entry in value.get(theirs) or ())
        for theirs, ours in _NAMES.items()
    }
    references = [
        NameReferences(
            group=entry.get("group") or "",
            version=entry.get("version") or "",
            kind=entry.get("kind") or "",
            referrers=tuple(field_spec(spec or {}) for spec in entry.get("fieldSpecs") or ()),
        )
        for entry in value.get("nameReference") or ()
    ]
    return TransformerConfig(**fields, name_reference=fieldspecs.sort_references(references))


def from_crds(data: bytes, path: str) -> TransformerConfig:
    """The field specs that the OpenAPI definitions of custom resources imply. Raises InputError, FieldError."""
    definitions = open_api(data, path)
    config = fieldspecs.EMPTY_CONFIG
    for name, definition in definitions.items():
        properties = _properties(definition)
        if not all(field in properties for field in ("kind", "apiVersion", "metadata")):
            continue
        found = _Found(name.rpartition(".")[2])
        _collect(found, definitions, name, (), 0)
        config = fieldspecs.merge_configs(config, found.config())
    return config


class _Found:
    """What one kind's definition says, while it is being read."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self.annotations: tuple[FieldSpec, ...] = ()
        self.labels: tuple[FieldSpec, ...] = ()
        self.prefixes: tuple[FieldSpec, ...] = ()
        self.references: tuple[NameReferences, ...] = ()

    def spec(self, path: tuple[str, ...]) -> FieldSpec:
        return FieldSpec(kind=self._kind, path="/".join(path))

    def config(self) -> TransformerConfig:
        return TransformerConfig(
            common_annotations=self.annotations,
            common_labels=self.labels,
            name_prefix=self.prefixes,
            name_reference=self.references,
        )


def _properties(definition: Any) -> Mapping[str, Any]:
    schema = definition.get("Schema", definition.get("schema")) if isinstance(definition, Mapping) else None
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    return properties if isinstance(properties, Mapping) else {}


def _collect(found: _Found, definitions: Mapping[str, Any], name: str, path: tuple[str, ...], depth: int) -> None:
    if depth > 32:
        return
    for field, schema in _properties(definitions.get(name)).items():
        if not isinstance(schema, Mapping):
            continue
        here = (*path, field)
        if isinstance(schema.get("x-kubernetes-annotation"), str):
            found.annotations = fieldspecs.merge_one(found.annotations, found.spec(here))
        if isinstance(schema.get("x-kubernetes-label-selector"), str):
            found.labels = fieldspecs.merge_one(found.labels, found.spec(here))
        if isinstance(schema.get("x-kubernetes-identity"), str):
            found.prefixes = fieldspecs.merge_one(found.prefixes, found.spec(here))
        version, kind = schema.get("x-kubernetes-object-ref-api-version"), schema.get("x-kubernetes-object-ref-kind")
        if isinstance(version, str) and isinstance(kind, str):
            key = schema.get("x-kubernetes-object-ref-name-key")
            spec = found.spec((*here, key if isinstance(key, str) else "name"))
            reference = NameReferences(version=version, kind=kind, referrers=(spec,))
            found.references = fieldspecs.merge_references(found.references, (reference,))
        reference_name = schema.get("$ref")
        if isinstance(reference_name, str):
            _collect(found, definitions, reference_name, here, depth + 1)


def open_api(data: bytes, path: str) -> dict[str, Any]:
    """An OpenAPI document, JSON or YAML. Raises InputError."""
    value: Any
    if data[:1] == b"{":
        try:
            value = json.loads(data)
        except (json.JSONDecodeError, UnicodeDecodeError, RecursionError):
            document = reading.load_sigs(data, path, reading.LENIENT)
            value = document.value if document is not None else {}
    else:
        document = reading.load_sigs(data, path, reading.LENIENT)
        value = document.value if document is not None else {}
    if not isinstance(value, dict):
        from penstock.model.errors import invalid

        raise invalid("the file is not an OpenAPI document", path, 1, code="OpenApi")
    return value
