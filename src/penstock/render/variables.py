"""Variables (`vars`): $(NAME) in known places replaced by a field of some object. Deprecated upstream, still in use."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from penstock.render import fieldspecs, paths
from penstock.render.fieldspecs import FieldError, FieldSpec
from penstock.render.resources import Gvk, Resource, ResourceSet
from penstock.render.transforming import Places, TransformError, walk
from penstock.yamldoc import scalars


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """One entry of `vars`."""

    name: str
    gvk: Gvk
    object_name: str
    namespace: str = ""
    field_path: str = "metadata.name"

    def __str__(self) -> str:
        return f"{{{self.name} {self.gvk} {{{self.field_path}}}}}"


def parse(entry: Mapping[str, Any]) -> Variable:
    """An entry, already checked for its shape."""
    reference = entry.get("objref") or {}
    group, version = reference.get("group") or "", reference.get("version") or ""
    if reference.get("apiVersion"):
        parts = reference["apiVersion"].split("/")
        if len(parts) == 2:
            group, version = parts
        elif len(parts) == 1:
            version = parts[0]
    return Variable(
        name=entry.get("name") or "",
        gvk=Gvk(group, version, reference.get("kind") or ""),
        object_name=reference.get("name") or "",
        namespace=reference.get("namespace") or "",
        field_path=(entry.get("fieldref") or {}).get("fieldPath") or "metadata.name",
    )


def mark(resources: ResourceSet, variables: Sequence[Variable]) -> None:
    """Tie each variable to the object it means, now, while names are as this kustomization knows them."""
    for variable in variables:
        # a kind named here is never known to be cluster-scoped: with a namespace it fits no cluster-scoped object
        effective = variable.namespace or "default"
        anywhere = not variable.namespace
        found = [
            resource
            for resource in resources
            if any(
                identity.name == variable.object_name
                and identity.gvk == variable.gvk
                and (anywhere or identity.effective_namespace == effective)
                for identity in resources.ids.all(resource)
            )
        ]
        if len(found) > 1:
            raise TransformError(f"found {len(found)} resId matches for var {variable} (unable to disambiguate)", found[1])
        if found:
            found[0].variables = (*found[0].variables, variable.name)


def merged(known: Mapping[str, Variable], more: Sequence[Variable]) -> dict[str, Variable]:
    """Both sets of variables. Raises TransformError when a name is used twice."""
    result = dict(known)
    for variable in more:
        if variable.name in result:
            raise TransformError(f"var '{variable.name}' already encountered")
        result[variable.name] = variable
    return result


def resolve(resources: ResourceSet, variables: Mapping[str, Variable], specs: Sequence[FieldSpec]) -> list[str]:
    """Replace the variables everywhere; the names of those that nothing used. Raises TransformError."""
    if not variables:
        return []
    values = {name: _value(resources, variables[name]) for name in sorted(variables)}
    used: set[str] = set()
    places = Places(specs)

    untagged: set[tuple[int, Any]] = set()

    def setter(container: dict[str, Any], key: str) -> None:
        if (id(container), key) in untagged:
            container[key] = _tagged(container[key])
        found = container[key]
        for step in found if isinstance(found, dict) else ():
            if (id(found), step) in untagged:
                found[step] = _tagged(found[step])
        container[key] = _replaced(found, values, used)

    for resource in resources:
        untagged = resource.untagged
        for spec in places.of(resource.gvk):
            walk(resource, spec, setter, None, resources)
    return [name for name in values if name not in used]


def _value(resources: ResourceSet, variable: Variable) -> Any:
    for resource in resources:
        if variable.name in resource.variables:
            return _field(resource, variable)
    raise TransformError(f"var '{variable}' cannot be mapped to a field in the set of known resources")


def _tagged(value: Any) -> Any:
    """A text that had no tag is a text for good once it was looked through."""
    if value is None:
        return ""
    return value if isinstance(value, str | dict | list) else scalars.text_of(value)


_INDEXED = re.compile(r"(.*)\[(\d+)\]\Z")


def _field(resource: Resource, variable: Variable) -> Any:
    steps: list[str] = []
    for step in fieldspecs.split_dotted(variable.field_path):
        match = _INDEXED.match(step)
        steps += [part for part in (match[1], match[2]) if part] if match else [step]
    try:
        spot = paths.lookup_spot(resource.value, steps)
    except paths.PathError:
        spot = None
    if spot is None:
        raise TransformError(f"field specified in var '{variable}' not found in corresponding resource", resource)
    value = spot.value
    if (id(spot.container), spot.key) in resource.untagged and isinstance(value, bool | int | float):
        return scalars.text_of(value)  # what a transformer wrote has no type yet
    return value


def _replaced(value: Any, values: Mapping[str, Any], used: set[str]) -> Any:
    if type(value) is str:
        return expand(value, values, used)
    if isinstance(value, dict):
        for key, item in value.items():
            if type(item) is str:
                value[key] = expand(item, values, used)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            if not isinstance(item, str):
                raise FieldError("invalid value type expect a string")
            value[index] = expand(item, values, used)
    return value


_REFERENCE = re.compile(r"\$(\$|\(([^)]*)\)|\(|.)?", re.DOTALL)


def expand(text: str, values: Mapping[str, Any], used: set[str]) -> Any:
    """The text with its $(NAME) replaced; '$$' is a dollar. A text that is one reference takes the value's type."""
    if "$" not in text:
        return text
    whole = re.fullmatch(r"\$\(([^)]*)\)", text)
    if whole is not None and whole[1] in values and not isinstance(values[whole[1]], dict | list):
        used.add(whole[1])
        return values[whole[1]]

    def replace(match: re.Match[str]) -> str:
        name = match[2]
        if name is None:
            return "$" if match[1] == "$" else match[0]
        if name not in values or isinstance(values[name], dict | list):
            return match[0]
        used.add(name)
        value = values[name]
        return _go_printed(value)

    return _REFERENCE.sub(replace, text)


def _go_printed(value: Any) -> str:
    if value is None:
        return "<nil>"
    return scalars.text_of(value)
