"""A kustomization file: bytes in, a checked mapping out, every problem with its place and a did-you-mean.

The checks are those of kustomize's decoder: unknown fields and wrong types are errors, field names fit in any case, null
is the same as absent. `Shape`s describe the fields; `checked` walks a value along one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from penstock.model.errors import InputError, Place, Problem
from penstock.model.fieldpath import FieldPath
from penstock.yamldoc import reading, scalars

FILE_NAMES: Final = ("kustomization.yaml", "kustomization.yml", "Kustomization")
KIND, COMPONENT = "Kustomization", "Component"
_VERSIONS = {KIND: "kustomize.config.k8s.io/v1beta1", COMPONENT: "kustomize.config.k8s.io/v1alpha1"}

Shape = Any
"""'str', 'bool', 'int', 'any', a one-item list (a list of that shape), {'*': shape} (any keys) or {field: shape}."""

_TEXTS: Shape = {"*": "str"}
_GVK: Shape = {"group": "str", "version": "str", "kind": "str"}
_RES_ID: Shape = {**_GVK, "name": "str", "namespace": "str"}
SELECTOR: Final[Shape] = {**_RES_ID, "labelSelector": "str", "annotationSelector": "str"}
FIELD_SPEC: Final[Shape] = {**_GVK, "path": "str", "create": "bool"}
_OPTIONS: Shape = {"labels": _TEXTS, "annotations": _TEXTS, "disableNameSuffixHash": "bool", "immutable": "bool"}
GENERATOR: Final[Shape] = {
    "namespace": "str",
    "name": "str",
    "behavior": "str",
    "literals": ["str"],
    "files": ["str"],
    "envs": ["str"],
    "env": "str",
    "options": _OPTIONS,
}
SECRET_GENERATOR: Final[Shape] = {**GENERATOR, "type": "str"}
_META: Shape = {"name": "str", "namespace": "str", "labels": _TEXTS, "annotations": _TEXTS}
_FIELD_OPTIONS: Shape = {"delimiter": "str", "index": "int", "encoding": "str", "create": "bool"}
REPLACEMENT: Final[Shape] = {
    "source": {**_RES_ID, "fieldPath": "str", "options": _FIELD_OPTIONS},
    "targets": [{"select": SELECTOR, "reject": [SELECTOR], "fieldPaths": ["str"], "options": _FIELD_OPTIONS}],
    "sourceValue": "str",
}
PATCH: Final[Shape] = {
    "path": "str",
    "patch": "str",
    "target": SELECTOR,
    "options": {"allowNameChange": "bool", "allowKindChange": "bool"},
}
IMAGE: Final[Shape] = {"name": "str", "newName": "str", "tagSuffix": "str", "newTag": "str", "digest": "str"}
REPLICA: Final[Shape] = {"name": "str", "count": "int"}
SORT_OPTIONS: Final[Shape] = {"order": "str", "legacySortOptions": {"orderFirst": ["str"], "orderLast": ["str"]}}
_LABEL: Shape = {
    "pairs": _TEXTS,
    "includeSelectors": "bool",
    "includeTemplates": "bool",
    "includeVolumeClaimTemplates": "bool",
    "fields": [FIELD_SPEC],
}
_VAR: Shape = {
    "name": "str",
    "objref": {"apiVersion": "str", **_GVK, "name": "str", "namespace": "str"},
    "fieldref": {"fieldPath": "str"},
}
CONFIGURATION: Final[Shape] = {
    "namePrefix": [FIELD_SPEC],
    "nameSuffix": [FIELD_SPEC],
    "namespace": [FIELD_SPEC],
    "commonLabels": [FIELD_SPEC],
    "labels": [FIELD_SPEC],
    "templateLabels": [FIELD_SPEC],
    "volumeClaimTemplateLabels": [FIELD_SPEC],
    "commonAnnotations": [FIELD_SPEC],
    "nameReference": [{**_GVK, "fieldSpecs": [FIELD_SPEC]}],
    "varReference": [FIELD_SPEC],
    "images": [FIELD_SPEC],
    "replicas": [FIELD_SPEC],
}
KUSTOMIZATION: Final[Shape] = {
    "apiVersion": "str",
    "kind": "str",
    "metadata": _META,
    "openapi": _TEXTS,
    "namePrefix": "str",
    "nameSuffix": "str",
    "namespace": "str",
    "commonLabels": _TEXTS,
    "labels": [_LABEL],
    "commonAnnotations": _TEXTS,
    "patchesStrategicMerge": ["str"],
    "patchesJson6902": [PATCH],
    "patches": [PATCH],
    "images": [IMAGE],
    "imageTags": [IMAGE],
    "replacements": [{**REPLACEMENT, "path": "str"}],
    "replicas": [REPLICA],
    "vars": [_VAR],
    "sortOptions": SORT_OPTIONS,
    "resources": ["str"],
    "components": ["str"],
    "crds": ["str"],
    "bases": ["str"],
    "configMapGenerator": [GENERATOR],
    "secretGenerator": [SECRET_GENERATOR],
    "helmGlobals": "any",
    "helmCharts": ["any"],
    "helmChartInflationGenerator": ["any"],
    "generatorOptions": _OPTIONS,
    "configurations": ["str"],
    "generators": ["str"],
    "transformers": ["str"],
    "validators": ["str"],
    "buildMetadata": ["str"],
}
_DEPRECATED: Final = {
    "bases": "resources",
    "commonLabels": "labels",
    "imageTags": "images",
    "patchesJson6902": "patches",
    "patchesStrategicMerge": "patches",
    "vars": "replacements",
}

Mode = Literal["strict", "coerce"]
"""'strict' as JSON decoding of a kustomization; 'coerce' as sigs.k8s.io/yaml does where it knows the wanted type:
numbers and booleans become text, unknown fields are ignored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kustomization:
    """A kustomization file that is well formed; `fields` holds the canonical names, nulls left out."""

    path: str
    fields: Mapping[str, Any]
    document: reading.Document
    component: bool
    warnings: tuple[Problem, ...] = ()

    def place(self, *steps: str | int) -> Place:
        """Where a field stands."""
        return self.document.place(steps)

    def texts(self, name: str) -> list[str]:
        """A list of strings, empty when the field is not there; null items are empty strings."""
        return [item or "" for item in self.fields.get(name) or []]

    def text(self, name: str) -> str:
        found: str = self.fields.get(name) or ""
        return found

    def maps(self, name: str) -> list[dict[str, Any]]:
        """A list of mappings; null items count as empty ones."""
        return [item or {} for item in self.fields.get(name) or []]


def parse(data: bytes, path: str, leniency: reading.Leniency = reading.STRICT) -> Kustomization:
    """Read a kustomization file. Raises InputError with every problem in it."""
    document = reading.load_sigs(data, path, leniency)
    if document is None:
        raise _one("kustomization.yaml is empty", Place(path=path), "KustomizationEmpty")
    if not isinstance(document.value, dict):
        raise _one("invalid Kustomization: the file is not a map of fields", document.place(), "KustomizationType")
    problems: list[Problem] = []
    fields = checked(document.value, KUSTOMIZATION, document, (), problems)
    if problems:
        raise InputError(problems)
    return from_fields(fields, document)


def from_fields(fields: dict[str, Any], document: reading.Document) -> Kustomization:
    """The checks that come after decoding. Raises InputError."""
    if not any(name not in ("apiVersion", "kind") for name in fields):
        raise _one("kustomization.yaml is empty", document.place(), "KustomizationEmpty")
    kind = fields.get("kind") or KIND
    if kind not in _VERSIONS:
        raise _one(f"kind should be {KIND} or {COMPONENT}", document.place(("kind",)), "KustomizationKind")
    wanted = _VERSIONS[kind]
    if fields.get("apiVersion", wanted) not in (wanted, ""):
        raise _one(f"apiVersion for {kind} should be {wanted}", document.place(("apiVersion",)), "KustomizationVersion")
    fields["resources"] = [*(fields.get("resources") or []), *(fields.pop("bases", None) or [])]
    fields["images"] = [*(fields.get("images") or []), *(fields.pop("imageTags", None) or [])]
    warnings = tuple(
        Problem(
            what=f"'{name}' is deprecated",
            where=document.place((name,)),
            hint=f"use '{new}' instead",
            code="DeprecatedField",
            severity="warning",
        )
        for name, new in _DEPRECATED.items()
        if name in document.value
    )
    return Kustomization(path=document.path, fields=fields, document=document, component=kind == COMPONENT, warnings=warnings)


def checked(
    value: Any, shape: Shape, document: reading.Document, path: FieldPath, problems: list[Problem], mode: Mode = "strict"
) -> Any:
    """The value in the form of its shape; what does not fit goes to `problems`."""
    if value is None or shape == "any":
        return value
    if isinstance(shape, list):
        if not isinstance(value, list):
            return _wrong(value, "a list", document, path, problems)
        return [checked(item, shape[0], document, (*path, index), problems, mode) for index, item in enumerate(value)]
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            return _wrong(value, "a map", document, path, problems)
        if "*" in shape:
            return {
                key: _absent_as_zero(checked(item, shape["*"], document, (*path, key), problems, mode), shape["*"])
                for key, item in value.items()
            }
        return _fields(value, shape, document, path, problems, mode)
    return _scalar(value, shape, document, path, problems, mode)


def _absent_as_zero(value: Any, shape: Shape) -> Any:
    return "" if value is None and shape == "str" else value


def _fields(
    value: dict[str, Any],
    shape: dict[str, Shape],
    document: reading.Document,
    path: FieldPath,
    problems: list[Problem],
    mode: Mode,
) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, item in value.items():
        name = key if key in shape else next((known for known in shape if known.lower() == key.lower()), None)
        if name is None:
            if mode == "strict":
                problems.append(_unknown(key, shape, document, path))
            continue
        found = checked(item, shape[name], document, (*path, key), problems, mode)
        if found is not None:
            result[name] = found
    return result


def _scalar(value: Any, shape: str, document: reading.Document, path: FieldPath, problems: list[Problem], mode: Mode) -> Any:
    if shape == "str":
        if isinstance(value, str):
            return str(value)
        if mode == "coerce" and isinstance(value, bool | int | float):
            return _coerced(value)
        return _wrong(value, "a string", document, path, problems)
    if shape == "bool":
        return value if isinstance(value, bool) else _wrong(value, "true or false", document, path, problems)
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    return _wrong(value, "a whole number", document, path, problems)


def _coerced(value: bool | int | float) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value)) if isinstance(value, int) else scalars.format_float(value)


_WORDS = {dict: "a map", list: "a list", str: "a string", bool: "a boolean"}


def _wrong(value: Any, wanted: str, document: reading.Document, path: FieldPath, problems: list[Problem]) -> Any:
    have = next((word for kind, word in _WORDS.items() if isinstance(value, kind)), "a number")
    hint = "put the value in quotes" if wanted == "a string" and have in ("a number", "a boolean") else None
    field = next((str(step) for step in reversed(path) if isinstance(step, str)), "")
    problems.append(
        Problem(what=f"'{field}' takes {wanted}, not {have}", where=document.place(path), hint=hint, code="KustomizationType")
    )
    return None


def _unknown(key: str, shape: dict[str, Shape], document: reading.Document, path: FieldPath) -> Problem:
    import difflib

    close = difflib.get_close_matches(key, list(shape), n=1, cutoff=0.6)
    if not close:
        close = [name for name in shape if name.lower().startswith(key.lower()[:4])][:1]
    return Problem(
        what=f"unknown field '{key}'",
        where=document.place((*path, key)),
        hint=f"did you mean '{close[0]}'?" if close else None,
        code="UnknownField",
    )


def _one(what: str, where: Place, code: str) -> InputError:
    return InputError([Problem(what=what, where=where, code=code)])
