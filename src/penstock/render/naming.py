"""Content hashes in names, and the references that have to follow when a name changes.

kustomize looks at every pair of objects for references. Here the objects are indexed by the names they used to have, and
the places where a kind can refer to something are one tree per kind, walked once per object.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, Final

from penstock.render import fieldspecs
from penstock.render.fieldspecs import FieldSpec, NameReferences
from penstock.render.resources import NOT_A_NAMESPACE, Gvk, ResId, Resource, ResourceSet
from penstock.render.transforming import TransformError
from penstock.yamldoc import scalars

_ENCODING: Final = str.maketrans("013ae", "ghkmt")
_HTML: Final = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def go_json(value: Any) -> str:
    """JSON text as Go writes it: sorted keys, no blanks, <, > and & escaped."""
    text = json.dumps(_plain(value), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    for character, escape in _HTML.items():
        if character in text:
            text = text.replace(character, escape)
    return text


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, bool) or value is None or type(value) is str:
        return value
    if isinstance(value, int):
        return int(value)
    return float(value) if isinstance(value, float) else str(value)


def content_hash(value: dict[str, Any]) -> str:
    """The ten characters kustomize appends to a generated ConfigMap or Secret."""
    kind = scalars.text_of(value.get("kind"))
    if kind == "Secret":
        content = {"kind": kind, "type": _hashed(value, "type"), "name": "", "data": _hashed(value, "data")}
        extra = "stringData"
    else:
        content = {"kind": "ConfigMap", "name": "", "data": _hashed(value, "data")}
        extra = "binaryData"
    if isinstance(value.get(extra), dict):
        content[extra] = value[extra]
    digest = hashlib.sha256(go_json(content).encode(errors="replace")).hexdigest()
    return digest[:10].translate(_ENCODING)


def _hashed(value: dict[str, Any], field: str) -> Any:
    found = value.get(field, "")
    return found if isinstance(found, dict) else scalars.text_of(found)


def add_hashes(resources: ResourceSet) -> None:
    """Append the content hash to the names of generated objects that want one."""
    hashed = False
    for resource in resources:
        if resource.needs_hash:
            suffix = content_hash(resource.value)
            resources.ids.store_previous(resource)
            resource.set_name(f"{resource.name}-{suffix}")
            hashed = True
    if hashed:
        resources.changed()


class _Node:
    """A step of the tree of places."""

    __slots__ = ("children", "targets")

    def __init__(self) -> None:
        self.children: dict[str, _Node] = {}
        self.targets: list[tuple[tuple[str, str, str], FieldSpec]] = []


def _tree(references: tuple[NameReferences, ...], gvk: Gvk) -> _Node:
    """Where an object of this kind refers to others."""
    root = _Node()
    for entry in references:
        for spec in entry.referrers:
            if not fieldspecs.selected(gvk, spec.gvk):
                continue
            node = root
            for step in fieldspecs.split_path(spec.path):
                node = node.children.setdefault(step, _Node())
            node.targets.append((entry.gvk, spec))
    return root


@lru_cache(maxsize=256)
def _built_in_tree(gvk: Gvk) -> _Node:
    return _tree(fieldspecs.default_config().name_reference, gvk)


def fix_references(resources: ResourceSet, references: Iterable[NameReferences]) -> None:
    """Write the present names of renamed objects where others refer to them by an earlier name.

    Raises TransformError when a name could mean several objects.
    """
    if not any(resource.previous for resource in resources):
        _check_role_bindings(resources)
        return
    _References(resources, tuple(references)).run()


def _check_role_bindings(resources: ResourceSet) -> None:
    for resource in resources:
        if resource.kind == "RoleBinding":
            _account_namespaces(resource, resources.ids.current(resource))


def _account_namespaces(resource: Resource, identity: ResId) -> set[str]:
    """The namespaces of the service accounts that a RoleBinding names."""
    result: set[str] = set()
    subjects = resource.value.get("subjects")
    for subject in subjects if isinstance(subjects, list) else ():
        if isinstance(subject, dict) and "namespace" in subject and subject.get("kind") == "ServiceAccount":
            namespace = subject["namespace"]
            if not isinstance(namespace, str):
                raise TransformError(f'Invalid Input: namespace is blank for resource "{identity}"', resource)
            result.add(namespace)
    return result


class _References:
    """One pass over all references."""

    def __init__(self, resources: ResourceSet, references: tuple[NameReferences, ...]) -> None:
        self._resources = resources
        self._references = references
        self._trees: dict[Gvk, _Node] = {}
        self._current: dict[int, ResId] = {}
        self._previous: dict[int, list[ResId]] = {}
        self._by_old_name: dict[str, list[Resource]] = {}
        self._original_namespaces: dict[str, set[str]] = {}

    def run(self) -> None:
        ids = self._resources.ids
        for resource in self._resources:
            current = self._current[id(resource)] = ids.current(resource)
            previous = self._previous[id(resource)] = ids.previous(resource)
            original = previous[0] if previous else current
            self._original_namespaces.setdefault(current.effective_namespace, set()).add(original.effective_namespace)
            for name in {identity.name for identity in previous}:
                self._by_old_name.setdefault(name, []).append(resource)
        for resource in self._resources:
            self._fix(resource)

    def _fix(self, resource: Resource) -> None:
        previous = self._previous[id(resource)]
        gvk = previous[0].gvk if previous else self._current[id(resource)].gvk
        tree = self._trees.get(gvk)
        if tree is None:
            built_in = self._references is fieldspecs.default_config().name_reference
            tree = self._trees[gvk] = _built_in_tree(gvk) if built_in else _tree(self._references, gvk)
        if not tree.children:
            return
        accounts: set[str] = set()
        if resource.kind == "RoleBinding":
            accounts = _account_namespaces(resource, self._current[id(resource)])
        self._walk(resource.value, tree, resource, accounts)

    def _walk(self, value: Any, node: _Node, resource: Resource, accounts: set[str]) -> None:
        kind = type(value)
        if kind is list:
            for item in value:
                self._walk(item, node, resource, accounts)
            return
        if value is None:
            return
        if kind is not dict:
            path = next(iter(_paths(node)), "")
            shown = self._current[id(resource)]
            raise TransformError(
                f"updating name reference in '{path}' field of '{shown}': expected sequence or mapping node", resource
            )
        for step, child in node.children.items():
            field = step[:-2] if step.endswith("[]") else step
            if field not in value:
                continue
            for target, spec in child.targets:
                self._set(value, field, target, spec, resource, accounts)
            if child.children:
                found = value[field]
                if found is not None:
                    self._walk(found, child, resource, accounts)

    def _set(
        self, container: Any, key: Any, target: tuple[str, str, str], spec: FieldSpec, resource: Resource, accounts: set[str]
    ) -> None:
        value = container[key]
        if value is None:
            return
        if isinstance(value, dict):
            self._set_mapping(value, target, spec, resource, accounts)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                if isinstance(item, list):
                    self._fail(resource, spec, "a list inside a list cannot be a reference")
                self._set(value, index, target, spec, resource, accounts)
        else:
            text = scalars.text_of(value)
            candidates = self._by_old_name.get(text)
            if candidates is None:
                return
            referral = self._select(candidates, target, spec, resource, accounts, mapping=False)
            if referral is not None and referral.name != text:
                resource.write_untagged(container, key, referral.name)

    def _set_mapping(
        self, value: dict[str, Any], target: tuple[str, str, str], spec: FieldSpec, resource: Resource, accounts: set[str]
    ) -> None:
        if "name" not in value:
            self._fail(resource, spec, "path config error; no 'name' field in node")
        old = scalars.text_of(value["name"]) if value["name"] is not None else ""
        candidates = self._by_old_name.get(old)
        if candidates is None:
            return
        namespace = scalars.text_of(value["namespace"]) if "namespace" in value else None
        if namespace is not None:
            candidates = self._in_namespace(candidates, namespace, resource, accounts)
        referral = self._select(candidates, target, spec, resource, accounts, mapping=True)
        if referral is None or (referral.name == old and referral.namespace == ""):
            return
        resource.write_untagged(value, "name", referral.name)
        if referral.namespace:
            value["namespace"] = referral.namespace

    def _in_namespace(self, candidates: list[Resource], namespace: str, resource: Resource, accounts: set[str]) -> list[Resource]:
        """Those from this namespace originally, if any object in reach was; else those in it now."""
        if namespace == NOT_A_NAMESPACE:
            return []
        reachable = self._reachable_namespaces(resource, accounts)
        spaces = self._original_namespaces
        anybody = any(namespace in spaces.get(space, ()) for space in (spaces if reachable is None else reachable))
        result = []
        for candidate in candidates:
            previous = self._previous[id(candidate)]
            identity = previous[0] if anybody and previous else self._current[id(candidate)]
            if identity.effective_namespace == namespace:
                result.append(candidate)
        return result

    def _reachable_namespaces(self, resource: Resource, accounts: set[str]) -> set[str] | None:
        """Effective namespaces whose objects a resource may refer to; None is all of them."""
        own = self._current[id(resource)].effective_namespace
        return None if own == NOT_A_NAMESPACE else {own, NOT_A_NAMESPACE, *(name or "default" for name in accounts)}

    def _select(
        self,
        candidates: list[Resource],
        target: tuple[str, str, str],
        spec: FieldSpec,
        resource: Resource,
        accounts: set[str],
        *,
        mapping: bool,
    ) -> Resource | None:
        mine = self._current[id(resource)]
        fits = self._sieves(target, spec, resource, mine, accounts)
        left = [candidate for candidate in candidates if fits(candidate)]
        if len(left) <= 1:
            return left[0] if left else None
        left = [candidate for candidate in left if _same_affixes(candidate, resource, allow_empty=True)]
        if len(left) > 1:
            left = [candidate for candidate in left if _same_affixes(candidate, resource, allow_empty=False)]
        if len(left) <= 1:
            return left[0] if left else None
        first = left[0]
        whole = spec.path
        if all(other.name == first.name and (not mapping or other.namespace == first.namespace) for other in left):
            return first
        names = ", ".join(str(self._current[id(candidate)]) for candidate in left)
        raise TransformError(
            f"updating name reference in '{whole}' field of '{mine}': considering field '{whole}' of object {mine}: "
            f"found multiple possible referrals: {names}",
            resource,
        )

    def _sieves(
        self, target: tuple[str, str, str], spec: FieldSpec, resource: Resource, mine: ResId, accounts: set[str]
    ) -> Callable[[Resource], bool]:
        role = _role_reference(resource) if spec.path.endswith("roleRef/name") else None
        clustered = mine.effective_namespace == NOT_A_NAMESPACE

        def fits(candidate: Resource) -> bool:
            previous = self._previous[id(candidate)]
            if not any(fieldspecs.selected(identity.gvk, target) for identity in previous):
                return False
            if role is not None and not any(fieldspecs.selected(identity.gvk, role) for identity in previous):
                return False
            current = self._current[id(candidate)]
            if clustered or current.effective_namespace == NOT_A_NAMESPACE:
                return True
            if current.effective_namespace == mine.effective_namespace:
                return True
            return candidate.kind == "ServiceAccount" and candidate.namespace in accounts

        return fits

    def _fail(self, resource: Resource, spec: FieldSpec, why: str) -> None:
        shown = self._current[id(resource)]
        raise TransformError(f"updating name reference in '{spec.path}' field of '{shown}': {why}", resource)


def _paths(node: _Node) -> Iterable[str]:
    for _target, spec in node.targets:
        yield spec.path
    for child in node.children.values():
        yield from _paths(child)


def _role_reference(resource: Resource) -> tuple[str, str, str] | None:
    role = resource.value.get("roleRef")
    if not isinstance(role, dict) or "apiGroup" not in role or "kind" not in role:
        return None
    return (scalars.text_of(role["apiGroup"]), "", scalars.text_of(role["kind"]))


def _same_affixes(one: Resource, other: Resource, *, allow_empty: bool) -> bool:
    prefixes = (allow_empty and not (one.prefixes and other.prefixes)) or _same_ending(one.prefixes, other.prefixes)
    suffixes = (allow_empty and not (one.suffixes and other.suffixes)) or _same_ending(one.suffixes, other.suffixes)
    return prefixes and suffixes


def _same_ending(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether the shorter list is the end of the longer one; an empty one only fits an empty one."""
    if len(one) > len(other):
        one, other = other, one
    if not one:
        return not other
    return other[-len(one) :] == one
