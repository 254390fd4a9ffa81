"""Replacements: a value is read from one object and written into others.

What is written keeps the target's type, as in kustomize: text over an integer has to be an integer. A path may go on
inside a string that holds JSON or YAML.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from penstock.model.errors import InputError
from penstock.model.values import MISSING
from penstock.render import fieldspecs, paths, selecting, structured
from penstock.render.paths import Kind, PathError, Spot
from penstock.render.resources import ResId, Resource, ResourceSet, containers_of
from penstock.render.selecting import Selector
from penstock.render.transforming import TransformError
from penstock.yamldoc import composing, scalars

DEFAULT_PATH = "metadata.name"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to cut a value out of a text, or into one."""

    delimiter: str = ""
    index: int = 0
    create: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where to write."""

    select: Selector | None
    reject: tuple[Selector, ...] = ()
    field_paths: tuple[str, ...] = (DEFAULT_PATH,)
    options: Options | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Replacement:
    """One entry of `replacements`."""

    source: Selector | None
    source_path: str = DEFAULT_PATH
    source_options: Options | None = None
    source_value: str | None = None
    targets: tuple[Target, ...] | None = None
    note: str = ""


def parse(entry: Mapping[str, Any], note: str) -> Replacement:
    """An entry, already checked for its shape."""
    source = entry.get("source")
    targets = entry.get("targets")
    return Replacement(
        source=_selector(source) if source is not None else None,
        source_path=(source or {}).get("fieldPath") or DEFAULT_PATH,
        source_options=_options((source or {}).get("options")),
        source_value=entry.get("sourceValue"),
        targets=None if targets is None else tuple(_target(target or {}) for target in targets),
        note=note,
    )


def _target(entry: Mapping[str, Any]) -> Target:
    select = entry.get("select")
    return Target(
        select=_selector(select) if select is not None else None,
        reject=tuple(_selector(reject or {}) for reject in entry.get("reject") or ()),
        field_paths=tuple(entry.get("fieldPaths") or ()) or (DEFAULT_PATH,),
        options=_options(entry.get("options")),
    )


def _options(entry: Mapping[str, Any] | None) -> Options | None:
    if entry is None:
        return None
    return Options(delimiter=entry.get("delimiter") or "", index=entry.get("index") or 0, create=bool(entry.get("create")))


def _selector(entry: Mapping[str, Any]) -> Selector:
    return parse_selector(entry)


def parse_selector(entry: Mapping[str, Any]) -> Selector:
    """A selector of patches and replacements from its mapping."""
    return Selector(
        group=entry.get("group") or "",
        version=entry.get("version") or "",
        kind=entry.get("kind") or "",
        name=entry.get("name") or "",
        namespace=entry.get("namespace") or "",
        label_selector=entry.get("labelSelector") or "",
        annotation_selector=entry.get("annotationSelector") or "",
    )


def apply(resources: ResourceSet, replacements: Sequence[Replacement]) -> None:
    """Carry out replacements in order. Raises TransformError and SelectorError."""
    for replacement in replacements:
        if (replacement.source is None and replacement.source_value is None) or replacement.targets is None:
            raise TransformError("replacements must specify a source and at least one target")
        resources.ids.budget.check()
        source = _source_of(resources, replacement)
        for target in replacement.targets:
            _apply_target(resources, source, target, replacement.note)


def _source_of(resources: ResourceSet, replacement: Replacement) -> Spot:
    """The place that is copied from. It is read for each field: one that was written before may be the source itself."""
    if replacement.source is None:
        assert replacement.source_value is not None
        return Spot([_Raw(replacement.source_value)], 0)
    if replacement.source_value is not None:
        raise TransformError("value and resource selectors are mutually exclusive")
    source = _source(resources, replacement)
    path = replacement.source_path
    shown = resources.ids.current(source)
    try:
        spot = paths.lookup_spot(source.value, fieldspecs.split_dotted(path))
    except PathError as error:
        raise TransformError(f"error looking up replacement source: {error}", source) from None
    value = MISSING if spot is None else spot.value
    if spot is None or value is None or value in ({}, []):
        raise TransformError(f"fieldPath `{path}` is missing for replacement source {shown}", source)
    options = replacement.source_options
    if options is None or not options.delimiter:
        return spot
    if isinstance(value, dict | list):
        raise TransformError("delimiter option can only be used with scalar nodes", source)
    parts = scalars.text_of(value).split(options.delimiter)
    if not 0 <= options.index < len(parts):
        raise TransformError(f"options.index {options.index} is out of bounds for the value of `{path}` in {shown}", source)
    return Spot([_Raw(parts[options.index])], 0)


class _Raw(str):
    """Text without a type of its own: written where nothing is, it becomes what it looks like."""

    __slots__ = ()


def _source(resources: ResourceSet, replacement: Replacement) -> Resource:
    selector = replacement.source
    assert selector is not None
    found = [
        resource
        for resource in (resources.named(selector.name) if selector.name else resources)
        if any(_is_selected(identity, selector) for identity in resources.ids.all(resource))
    ]
    shown = f"{_shown(selector)}:{replacement.source_path}"
    if not found:
        raise TransformError(f"nothing selected by {shown}")
    if len(found) > 1:
        raise TransformError(f"multiple matches for selector {shown}", found[1])
    return found[0]


def _shown(selector: Selector) -> str:
    kind = f"{selector.kind or '[noKind]'}.{selector.version or '[noVer]'}.{selector.group or '[noGrp]'}"
    return f"{kind}/{selector.name or '[noName]'}.{selector.namespace or '[noNs]'}"


def _is_selected(identity: ResId, selector: Selector) -> bool:
    """Exact matches, not patterns: this is how a source is chosen."""
    if selector.name and selector.name != identity.name:
        return False
    if selector.namespace and selector.namespace != (identity.namespace or "default"):
        return False  # as written: here kustomize does not ask whether the kind lives in a namespace
    return fieldspecs.selected(identity.gvk, (selector.group, selector.version, selector.kind))


def _apply_target(resources: ResourceSet, source: Spot, target: Target, note: str) -> None:
    if target.select is None:
        raise TransformError("target must specify resources to select")
    selecting.check(target.select)
    for reject in target.reject:
        selecting.check(reject)
    literal = selecting.LITERAL.match(target.select.name)
    for resource in resources.named(target.select.name) if literal else list(resources):
        if _is_target(resources, resource, target):
            _write(resources, resource, source, target)
            resource.settle()
            resource.touched(note)
            resources.renamed = True
            resources.changed((resource,))


def _is_target(resources: ResourceSet, resource: Resource, target: Target) -> bool:
    assert target.select is not None
    if not selecting.matches_labels(target.select, resource):
        return False
    for reject in target.reject:
        if (reject.label_selector or reject.annotation_selector) and selecting.matches_labels(reject, resource):
            return False
    identities = resources.ids.all(resource)
    for reject in target.reject:
        if reject.has_id and any(selecting.matches_id(reject, identity) for identity in identities):
            return False
    return any(selecting.matches_id(target.select, identity) for identity in identities)


def _kind_of(value: Any) -> Kind:
    if isinstance(value, dict):
        return "map"
    return "list" if isinstance(value, list) else "scalar"


def _write(resources: ResourceSet, resource: Resource, source: Spot, target: Target) -> None:
    options = target.options
    for path in target.field_paths:
        create: Kind = _kind_of(source.value) if options is not None and options.create else ""
        steps = fieldspecs.split_dotted(path)
        if _write_structured(resource, source.value, steps, create):
            continue
        verb = "find or create" if create else "find"
        holder = {"": resource.value}
        before = containers_of(resource.value) if create and source.value == "" else set()
        try:
            spots = paths.find(Spot(holder, ""), steps, create)
        except PathError as error:
            shown = resources.ids.current(resource)
            raise TransformError(f'unable to {verb} field "{path}" in replacement target: {error} ({shown})', resource) from None
        if not spots:
            shown = resources.ids.current(resource)
            raise TransformError(f'unable to {verb} field "{path}" in replacement target ({shown})', resource)
        for spot in spots:
            try:
                _set(resource, spot, source.value, options, created=bool(create))
                if spot.value is None and resource.grew_in_braces(spot.container, before):
                    resource.unspelled.append((spot.container, spot.key))
            except ValueError as error:
                shown = resources.ids.current(resource)
                raise TransformError(f'field "{path}" of {shown}: {error}', resource) from None


def _set(resource: Resource, spot: Spot, value: Any, options: Options | None, *, created: bool) -> None:
    old = spot.value
    if options is not None and options.delimiter:
        if isinstance(old, dict | list):
            raise ValueError("delimiter option can only be used with scalar nodes")
        text = scalars.text_of(value) if not isinstance(value, _Raw) else str(value)
        parts = ("" if old is None else scalars.text_of(old)).split(options.delimiter)
        if options.index < 0:
            parts.insert(0, text)
        elif options.index >= len(parts):
            parts.append(text)
        else:
            parts[options.index] = text
        value = _Raw(options.delimiter.join(parts))
    if isinstance(old, dict | list):
        spot.value = scalars.same_as_written(str(value)) if isinstance(value, _Raw) else composing.copied(value)
        return
    if isinstance(value, dict | list):
        spot.value = ""  # kustomize copies the text of the node, and a map or a list has none
        return
    text = str(value) if isinstance(value, _Raw) else scalars.text_of(value)
    loose = (created and old == "") or (
        (id(spot.container), spot.key) in resource.untagged and not resource.quoted_there(spot.container, spot.key)
    )
    if created and old == "":
        resource.untagged.add((id(spot.container), spot.key))
    spot.value = scalars.same_as_written(text) if loose else typed_as(old, text)


def typed_as(old: Any, text: str) -> Any:
    """Text written over a scalar that keeps its type. Raises ValueError when the text is not of that type."""
    if isinstance(old, str):
        return text
    new = scalars.same_as_written(text)
    if isinstance(old, bool):
        if isinstance(new, bool):
            return new
        raise ValueError("the value is not true or false, as the target is")
    if isinstance(old, int | float):
        is_number = isinstance(new, int | float) and not isinstance(new, bool)
        if is_number and (isinstance(old, float) or isinstance(new, int)):
            return new
        raise ValueError("the value is not a number of the kind the target is")
    if new is None:
        return None
    raise ValueError("the target is null and cannot take a value")


def _write_structured(resource: Resource, value: Any, steps: Sequence[str], create: Kind) -> bool:
    """Write inside a string that holds JSON or YAML; False when the path does not lead through one."""
    if len(steps) < 2:
        return False
    for length in range(1, len(steps)):
        try:
            found = paths.find(Spot({"": resource.value}, ""), steps[:length], "") if _is_plain(steps[:length]) else []
        except PathError:
            continue
        if not found or isinstance(found[0].value, dict | list) or found[0].value is None:
            continue
        text = scalars.text_of(found[0].value)
        try:
            changed = structured.changed(text, steps[length:], value, create, typed_as)
        except (structured.StructuredError, InputError, PathError, json.JSONDecodeError):
            return False
        except ValueError as error:
            # kustomize leaves the text as it was and says nothing
            shown = ".".join(steps)
            raise TransformError(
                f"unable to set field \"{shown}\" inside the text of '{steps[length - 1]}': {error}", resource
            ) from None
        found[0].value = changed
        return True
    return False


def _is_plain(steps: Sequence[str]) -> bool:
    return all(step not in ("*", "-") for step in steps)
