"""Where a transformer looks: a kind and a path, and the walk along that path through plain values.

A FieldSpec is kustomize's: a path of fields with '/' between them ('\\/' for a slash inside one), lists are entered by
themselves, and `create` makes the missing maps on the way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from penstock.render import tables

Setter = Callable[[dict[str, Any], str], None]
"""Called with the map and the key of the field that was found (or just created)."""


class FieldError(Exception):
    """The object does not have the shape the path needs; the message has no value in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldSpec:
    """One place: '' in group, version or kind means any."""

    group: str = ""
    version: str = ""
    kind: str = ""
    path: str
    create: bool = False

    @property
    def gvk(self) -> tuple[str, str, str]:
        return (self.group, self.version, self.kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class NameReferences:
    """Who refers to objects of one kind by name, and in which fields."""

    group: str = ""
    version: str = ""
    kind: str = ""
    referrers: tuple[FieldSpec, ...] = ()

    @property
    def gvk(self) -> tuple[str, str, str]:
        return (self.group, self.version, self.kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformerConfig:
    """All the places of one kustomization: the defaults, its configurations and what its bases brought."""

    name_prefix: tuple[FieldSpec, ...] = ()
    name_suffix: tuple[FieldSpec, ...] = ()
    namespace: tuple[FieldSpec, ...] = ()
    common_labels: tuple[FieldSpec, ...] = ()
    labels: tuple[FieldSpec, ...] = ()
    template_labels: tuple[FieldSpec, ...] = ()
    volume_claim_template_labels: tuple[FieldSpec, ...] = ()
    common_annotations: tuple[FieldSpec, ...] = ()
    name_reference: tuple[NameReferences, ...] = ()
    var_reference: tuple[FieldSpec, ...] = ()
    images: tuple[FieldSpec, ...] = ()
    replicas: tuple[FieldSpec, ...] = ()


EMPTY_CONFIG = TransformerConfig()
PLAIN_FIELDS = (
    "name_prefix",
    "name_suffix",
    "namespace",
    "common_labels",
    "labels",
    "template_labels",
    "volume_claim_template_labels",
    "common_annotations",
    "var_reference",
    "images",
    "replicas",
)


def selected(gvk: tuple[str, str, str], selector: tuple[str, str, str]) -> bool:
    """Whether a kind fits a selector in which '' is any."""
    group, version, kind = selector
    return (not kind or kind == gvk[2]) and (not group or group == gvk[0]) and (not version or version == gvk[1])


def merge_one(specs: tuple[FieldSpec, ...], new: FieldSpec) -> tuple[FieldSpec, ...]:
    """The list with one more place, unless an equal or wider one is there. Raises FieldError for a contradiction."""
    for spec in specs:
        if spec.path == new.path and selected(spec.gvk, new.gvk):
            if spec.create != new.create:
                raise FieldError(f"conflicting fieldspecs: '{new.path}' is to be created here and not there")
            return specs
    return (*specs, new)


def merge_all(specs: tuple[FieldSpec, ...], more: Iterable[FieldSpec]) -> tuple[FieldSpec, ...]:
    """`merge_one` for every one of `more`."""
    for spec in more:
        specs = merge_one(specs, spec)
    return specs


def merge_references(one: tuple[NameReferences, ...], more: Iterable[NameReferences]) -> tuple[NameReferences, ...]:
    """Two tables of references as one: equal kinds join their referrers."""
    result = list(one)
    for other in more:
        found = False
        for index, mine in enumerate(result):
            if mine.gvk == other.gvk:
                referrers = merge_all(mine.referrers, other.referrers)
                result[index] = NameReferences(group=mine.group, version=mine.version, kind=mine.kind, referrers=referrers)
                found = True
        if not found:
            result.append(other)
    return tuple(result)


def merge_configs(one: TransformerConfig, other: TransformerConfig) -> TransformerConfig:
    """Two configurations as one. Raises FieldError when they contradict each other."""
    if other is EMPTY_CONFIG or other is one:
        return one
    if one is EMPTY_CONFIG and other is default_config():
        return other
    fields: dict[str, Any] = {}
    for name in PLAIN_FIELDS:
        mine, theirs = getattr(one, name), getattr(other, name)
        # merging even into nothing matters: a place for any kind gives way to an equal path for one kind before it
        fields[name] = mine if mine is theirs and mine else sort_specs(merge_all(mine, theirs))
    fields["name_reference"] = (
        one.name_reference
        if one.name_reference is other.name_reference
        else sort_references(merge_references(one.name_reference, other.name_reference))
    )
    return TransformerConfig(**fields)


_RANK = {kind: index - len(tables.ORDER_FIRST) for index, kind in enumerate(tables.ORDER_FIRST)} | {
    kind: 1 + index for index, kind in enumerate(tables.ORDER_LAST)
}


def _order(gvk: tuple[str, str, str]) -> tuple[int, str]:
    group, version, kind = gvk
    return (_RANK.get(kind, 0), f"{group or '~G'}_{version or '~V'}_{kind or '~K'}")


def sort_specs(specs: Iterable[FieldSpec]) -> tuple[FieldSpec, ...]:
    """kustomize's order of places: by kind, special kinds first and last."""
    return tuple(sorted(specs, key=lambda spec: _order(spec.gvk)))


def sort_references(references: Iterable[NameReferences]) -> tuple[NameReferences, ...]:
    """The same order for the kinds that are referred to."""
    return tuple(sorted(references, key=lambda entry: _order(entry.gvk)))


def parse_row(row: str) -> FieldSpec:
    """A row of tables.py as a FieldSpec."""
    group, version, kind, path, *create = row.split(" ")
    parts = ("" if part == "-" else part for part in (group, version, kind))
    return FieldSpec(**dict(zip(("group", "version", "kind"), parts, strict=True)), path=path, create=bool(create))


def _rows(rows: Iterable[str]) -> tuple[FieldSpec, ...]:
    return tuple(parse_row(row) for row in rows)


@lru_cache(maxsize=1)
def default_config() -> TransformerConfig:
    """kustomize's built-in places."""
    references = []
    for referred, rows in tables.NAME_REFERENCE.items():
        group, version, kind = ("" if part == "-" else part for part in referred.split(" "))
        references.append(NameReferences(group=group, version=version, kind=kind, referrers=_rows(rows)))
    return TransformerConfig(
        name_prefix=_rows(tables.NAME_PREFIX),
        name_suffix=_rows(tables.NAME_SUFFIX),
        namespace=_rows(tables.NAMESPACE),
        common_labels=_rows(tables.COMMON_LABELS),
        template_labels=_rows(tables.TEMPLATE_LABELS),
        volume_claim_template_labels=_rows(tables.VOLUME_CLAIM_TEMPLATE_LABELS),
        common_annotations=_rows(tables.COMMON_ANNOTATIONS),
        name_reference=tuple(references),
        var_reference=_rows(tables.VAR_REFERENCE),
        images=_rows(tables.IMAGES),
        replicas=_rows(tables.REPLICAS),
    )


@lru_cache(maxsize=4096)
def split_path(path: str, delimiter: str = "/") -> tuple[str, ...]:
    """The fields of a path; a backslash before the delimiter keeps it."""
    parts = path.split(delimiter)
    if len(parts) > 1 and parts[0] == "":
        parts = parts[1:]
    result = [parts[0]]
    for part in parts[1:]:
        if result[-1].endswith("\\"):
            result[-1] = result[-1][:-1] + delimiter + part
        else:
            result.append(part)
    return tuple(result)


@lru_cache(maxsize=4096)
def split_dotted(path: str) -> tuple[str, ...]:
    """The fields of a path with dots; '[name=a.b]' stays one item selector, '[a.b]' is the field 'a.b'."""
    parts = list(split_path(path, "."))
    result: list[str] = []
    index = 0
    while index < len(parts):
        part = parts[index]
        if part.startswith("[") and not part.endswith("]"):
            bracketed = [part]
            while index < len(parts) - 1:
                index += 1
                bracketed.append(parts[index])
                if parts[index].endswith("]"):
                    break
            joined = ".".join(bracketed)
            result.append(joined if "=" in joined else joined.strip("[]"))
        else:
            result.append(part)
        index += 1
    return tuple(result)


def walk(root: dict[str, Any], spec: FieldSpec, setter: Setter, new_leaf: Callable[[], Any] | None = None) -> None:
    """Call `setter` at every place of the object that the spec names.

    `new_leaf` makes the value of a created last field; without it nothing is ever created. Raises FieldError when a
    scalar stands where the path goes on.
    """
    path = split_path(spec.path)
    create = spec.create and new_leaf is not None
    node = root
    # plain maps on the way need no recursion, and nearly all paths lead through nothing else
    for index in range(len(path) - 1):
        name = path[index]
        below = node.get(name)
        if type(below) is dict:
            node = below
        elif below is None and not create and not name.endswith("[]") and name and name not in node:
            return
        else:
            _descend(node, path, index, setter, new_leaf if create else None, spec.path)
            return
    _descend(node, path, len(path) - 1, setter, new_leaf if create else None, spec.path)


def _descend(node: Any, path: Sequence[str], index: int, setter: Setter, new_leaf: Callable[[], Any] | None, whole: str) -> None:
    kind = type(node)
    if kind is list:
        for item in node:
            _descend(item, path, index, setter, new_leaf, whole)
        return
    if node is None:
        return
    if kind is not dict:
        raise FieldError(f"considering field '{whole}': expected sequence or mapping node")
    name = path[index]
    is_list = name.endswith("[]")
    if is_list:
        name = name[:-2]
    if not name:
        raise FieldError(f"considering field '{whole}': cannot set or create an empty field name")
    last = index + 1 == len(path)
    creating = new_leaf is not None and not is_list
    if name not in node:
        if not creating:
            return
        assert new_leaf is not None
        node[name] = new_leaf() if last else {}
    elif node[name] is None:
        if creating:
            assert new_leaf is not None
            node[name] = new_leaf() if last else {}
        elif is_list:
            node[name] = []
    if last:
        setter(node, name)
    else:
        _descend(node[name], path, index + 1, setter, new_leaf, whole)
