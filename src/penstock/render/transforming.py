"""The transformers that set one thing in many objects: namespace, prefix and suffix, labels, annotations, images, replicas.

Each takes the set of resources and changes it in place. The places come from field specs; per kind they are worked out
once and kept, so a transformer costs one short walk per object.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from penstock.render import fieldspecs, patterns
from penstock.render.fieldspecs import FieldError, FieldSpec
from penstock.render.resources import Gvk, Resource, ResourceSet, SetError, Twins
from penstock.yamldoc import scalars


class TransformError(Exception):
    """A transformer cannot do its work on an object; the message names the object and the field, never a value."""

    def __init__(self, what: str, resource: Resource | None = None, hint: str | None = None) -> None:
        super().__init__(what, resource, hint)
        self.what = what
        self.resource = resource
        self.hint = hint


class Places:
    """Field specs, sorted out by kind once."""

    def __init__(self, specs: Iterable[FieldSpec]) -> None:
        self._specs = tuple(specs)
        self._by_kind: dict[Gvk, tuple[FieldSpec, ...]] = {}

    def of(self, gvk: Gvk) -> tuple[FieldSpec, ...]:
        """The specs that apply to this kind, in order."""
        found = self._by_kind.get(gvk)
        if found is None:
            found = tuple(spec for spec in self._specs if fieldspecs.selected(gvk, spec.gvk))
            self._by_kind[gvk] = found
        return found


def walk(
    resource: Resource, spec: FieldSpec, setter: fieldspecs.Setter, new_leaf: Callable[[], Any] | None, ids: ResourceSet
) -> None:
    """`fieldspecs.walk` with errors that name the object."""
    try:
        fieldspecs.walk(resource.value, spec, setter, new_leaf)
    except FieldError as error:
        shown = ids.ids.current(resource)
        raise TransformError(f"considering field '{spec.path}' of object {shown}: {error}", resource) from None


# -- namespace ---------------------------------------------------------------------------------------------------------

SUBJECT_MODES: Final = ("defaultOnly", "none", "allServiceAccounts")
HELM_MARK: Final = "internal.config.kubernetes.io/helm-generated"
_BINDINGS = ("RoleBinding", "ClusterRoleBinding")


def set_namespace(
    resources: ResourceSet,
    namespace: str,
    specs: Sequence[FieldSpec],
    note: str,
    *,
    unset_only: bool = False,
    subjects: str = "defaultOnly",
) -> None:
    """Put every namespaced object, and the places of `specs`, into a namespace."""
    places = Places(spec for spec in specs if spec.path != "metadata/namespace")
    for resource in resources:
        if resource.texts("annotations").get(HELM_MARK) == "true":
            continue
        resources.ids.store_previous(resource)
        gvk = resource.gvk
        setter = _scalar_setter(resource, namespace, unset_only)
        if not resources.ids.schema.is_cluster_scoped(gvk.api_version, gvk.kind):
            setter(resource.metadata(), "namespace")
        binding = gvk.kind in _BINDINGS
        if binding:
            _set_subjects(resource, setter, subjects)
        for spec in places.of(gvk):
            if spec.path == "metadata/name" and resource.api_version != "v1":
                continue
            if binding and spec.kind in _BINDINGS and spec.path == "subjects/namespace":
                continue
            try:
                walk(resource, spec, setter, str, resources)
            except NotScalarError as error:
                shown = resources.ids.current(resource)
                raise TransformError(
                    f"namespace field specs must target scalar nodes: considering field '{spec.path}' of object {shown}: {error}",
                    resource,
                ) from None
        resource.touched(note)
    resources.changed()
    for first, second in resources.duplicates():
        shown = resources.ids.current(second)
        raise SetError(f"namespace transformation produces ID conflict: {shown}", (first, second))


class NotScalarError(Exception):
    """A map or a list where a scalar has to be set."""


def _scalar_setter(resource: Resource, text: str, unset_only: bool) -> fieldspecs.Setter:
    def setter(container: dict[str, Any], key: str) -> None:
        old = container.get(key)
        if isinstance(old, dict | list):
            if unset_only and not old:
                return
            kind = "MappingNode" if isinstance(old, dict) else "SequenceNode"
            raise NotScalarError(f"wrong node kind: expected ScalarNode but got {kind}")
        if unset_only and old is not None and scalars.text_of(old) != "":
            return
        container[key] = text
        resource.untagged.discard((id(container), key))

    return setter


def _set_subjects(resource: Resource, setter: fieldspecs.Setter, mode: str) -> None:
    subjects = resource.value.get("subjects")
    if mode == "none" or not isinstance(subjects, list):
        return
    for subject in subjects:
        if not isinstance(subject, dict):
            continue
        wanted = subject.get("kind") == "ServiceAccount" if mode == "allServiceAccounts" else subject.get("name") == "default"
        if wanted:
            setter(subject, "namespace")


# -- prefix and suffix -------------------------------------------------------------------------------------------------


def _keeps_its_name(gvk: Gvk) -> bool:
    return (
        gvk.kind == "CustomResourceDefinition"
        or gvk.kind == "Namespace"
        or (gvk.kind == "APIService" and gvk.group == "apiregistration.k8s.io")
    )


def add_affix(resources: ResourceSet, prefix: str, suffix: str, specs: Sequence[FieldSpec], note: str) -> None:
    """Put a prefix or a suffix (one of them is '') around names."""
    places = Places(specs)

    def setter(container: dict[str, Any], key: str) -> None:
        old = container.get(key)
        if isinstance(old, dict | list):
            raise FieldError("wrong node kind: expected ScalarNode")
        holder[0].write_untagged(container, key, f"{prefix}{'' if old is None else scalars.text_of(old)}{suffix}")

    holder: list[Resource] = []
    for resource in resources:
        holder[:] = [resource]
        original = resources.ids.original(resource)
        if _keeps_its_name(original.gvk):
            continue
        touched = False
        for spec in places.of(original.gvk):
            if spec.path == "metadata/name":
                if prefix:
                    resource.prefixes = (*resource.prefixes, *prefix.split(","))
                if suffix:
                    resource.suffixes = (*resource.suffixes, *suffix.split(","))
                resources.ids.store_previous(resource)
            if fieldspecs.selected(resource.gvk, spec.gvk):
                walk(resource, spec, setter, str, resources)
                touched = True
        if touched:
            resource.touched(note)
    resources.changed()


# -- labels and annotations --------------------------------------------------------------------------------------------


def set_texts(resources: ResourceSet, texts: Mapping[str, str], specs: Sequence[FieldSpec], note: str) -> None:
    """Set labels or annotations at all the places."""
    if not texts:
        return
    places = Places(specs)
    pairs = sorted(texts.items())

    def setter(container: dict[str, Any], key: str) -> None:
        target = container[key]
        if target is None:
            return
        if not isinstance(target, dict):
            kind = "SequenceNode" if isinstance(target, list) else "ScalarNode"
            raise FieldError(f"wrong node kind: expected MappingNode but got {kind}")
        for name, text in pairs:
            if name not in target:
                added.append((target, name))
            target[name] = text

    added: list[tuple[dict[str, Any], str]] = []
    for resource in resources:
        added.clear()
        for spec in places.of(resource.gvk):
            walk(resource, spec, setter, dict, resources)
        resource.settle()
        if len(added) > 1:
            resource.twins = (*resource.twins, *_twins(added))
        resource.touched(note)


def _twins(added: list[tuple[dict[str, Any], str]]) -> Iterable[Twins]:
    """What was added in more than one place, by name."""
    by_name: dict[str, list[tuple[dict[str, Any], str]]] = {}
    for target, name in added:
        by_name.setdefault(name, []).append((target, name))
    return [Twins(target[name], found) for name, found in by_name.items() if len(found) > 1 for target, _ in found[:1]]


# -- images ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """One entry of `images`; `name` is an (anchored) regular expression."""

    name: str
    new_name: str = ""
    tag_suffix: str = ""
    new_tag: str = ""
    digest: str = ""
    note: str = ""


_SIMPLE_NAME = re.compile(r"[A-Za-z0-9_./:@-]*\Z")
_TAIL = r"(:[a-zA-Z0-9_.{}-]*)?(@sha256:[a-zA-Z0-9_.{}-]*)?"


def image_matcher(name: str) -> Callable[[str], bool]:
    """Whether an image reference is of this image, in any tag or digest. Raises PatternError."""
    if _SIMPLE_NAME.match(name):
        return _python_matcher(re.compile(name.replace("/", "\\/") + _TAIL + r"\Z"))
    pattern = patterns.compiled(f"^{name}{_TAIL}$")
    return pattern.search


def _python_matcher(pattern: re.Pattern[str]) -> Callable[[str], bool]:
    def matches(text: str) -> bool:
        return pattern.match(text) is not None

    return matches


def split_image(reference: str) -> tuple[str, str, str]:
    """(name, tag, digest) of an image reference; a port of the registry is no tag."""
    slash = reference.find("/")
    slash = max(slash, 0)
    rest = reference[slash:]
    at, colon = rest.find("@"), rest.find(":")
    if at < 0 and colon < 0:
        return reference, "", ""
    if at >= 0 and (at < colon or colon < 0):
        return reference[: slash + at], "", reference[slash + at + 1 :]
    if at >= 0:
        return reference[: slash + colon], reference[slash + colon + 1 : slash + at], reference[slash + at + 1 :]
    return reference[: slash + colon], reference[slash + colon + 1 :], ""


def changed_image(reference: str, image: Image) -> str:
    """The reference with the entry's new name, tag or digest."""
    name, tag, digest = split_image(reference)
    if image.new_name:
        name = image.new_name
    if image.new_tag and image.digest:
        tag, digest = image.new_tag, image.digest
    elif image.new_tag:
        tag, digest = image.new_tag, ""
    elif image.digest:
        tag, digest = "", image.digest
    elif image.tag_suffix:
        tag, digest = tag + image.tag_suffix, ""
    return name + (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")


def set_images(resources: ResourceSet, images: Sequence[Image], specs: Sequence[FieldSpec]) -> None:
    """Apply `images`, one after the other, to every container and the places of `specs`."""
    if not images:
        return
    places = Places(specs)
    table = _Images(images)
    for resource in resources:
        if resource.kind == "CustomResourceDefinition":
            continue
        found: list[tuple[dict[str, Any], str]] = []
        _containers(resource.value, found, resources, resource)
        collect = _collector(found)
        for spec in places.of(resource.gvk):
            walk(resource, spec, collect, None, resources)
        if not found:
            continue
        # a field that is found in two ways is changed twice by each entry, which only a tag suffix shows
        times: dict[tuple[int, str], int] = {}
        for container, key in found:
            times[id(container), key] = times.get((id(container), key), 0) + 1
        touched: set[int] = set()
        for container, key in found:
            count = times.pop((id(container), key), 0)
            if count:
                touched |= _set_image(container, key, count, table, resource, resources)
        for position in sorted(touched):
            resource.touched(images[position].note)


def _set_image(
    container: dict[str, Any], key: str, times: int, table: _Images, resource: Resource, resources: ResourceSet
) -> set[int]:
    """Change one image field; the entries that changed it."""
    old = container[key]
    if isinstance(old, dict | list):
        raise TransformError(f"an image of {resources.ids.current(resource)} is not a string: wrong node kind", resource)
    text = "" if old is None else scalars.text_of(old)
    used: set[int] = set()
    position = -1
    while (position := table.next(text, position)) >= 0:
        image, matches = table.entries[position]
        for _time in range(times):
            if matches(text):
                text = changed_image(text, image)
        used.add(position)
    if used:
        resource.write_untagged(container, key, text)
    return used


class _Images:
    """The entries of `images`, found by the last part of the name they look for."""

    def __init__(self, images: Sequence[Image]) -> None:
        self.entries = [(image, image_matcher(image.name)) for image in images]
        self._patterns: list[int] = []
        self._by_tail: dict[str, list[int]] = {}
        for position, image in enumerate(images):
            tail = image.name.rpartition("/")[2]
            if _SIMPLE_NAME.match(image.name) and "." not in tail:
                self._by_tail.setdefault(tail, []).append(position)
            else:
                self._patterns.append(position)

    def next(self, text: str, after: int) -> int:
        """The first entry behind `after` that fits the reference, -1 when there is none."""
        candidates = list(self._patterns)
        if self._by_tail:
            slash = text.rfind("/")
            ends = [index for index, character in enumerate(text) if character in ":@"]
            for end in (*ends, len(text)):
                tail = text[slash + 1 : end] if end > slash else text[:end].rpartition("/")[2]
                candidates += self._by_tail.get(tail, ())
        fitting = (position for position in candidates if position > after and self.entries[position][1](text))
        return min(fitting, default=-1)


def _collector(found: list[tuple[dict[str, Any], str]]) -> fieldspecs.Setter:
    return lambda container, key: found.append((container, key))


def _containers(node: Any, found: list[tuple[dict[str, Any], str]], resources: ResourceSet, resource: Resource) -> None:
    """Every image field of every list called containers or initContainers, however deep."""
    if type(node) is dict:
        for key, value in node.items():
            if type(value) is dict or type(value) is list:
                _containers(value, found, resources, resource)
                if (key == "containers" or key == "initContainers") and type(value) is list:
                    for item in value:
                        if type(item) is dict:
                            if "image" in item and item["image"] is not None:
                                found.append((item, "image"))
                        elif item is not None:
                            raise TransformError(
                                f"an item of '{key}' in {resources.ids.current(resource)} is not a map: wrong node kind", resource
                            )
    elif type(node) is list:
        for item in node:
            if type(item) is dict or type(item) is list:
                _containers(item, found, resources, resource)


# -- replicas ----------------------------------------------------------------------------------------------------------


def set_replicas(resources: ResourceSet, name: str, count: int, specs: Sequence[FieldSpec], note: str) -> None:
    """Set the replica count of the objects that have, or had, this name. Raises TransformError when none has."""
    named = []
    for resource in resources:
        identities = [identity for identity in resources.ids.all(resource) if identity.name == name]
        if identities:
            named.append((resource, identities))
    found = False

    def setter(container: dict[str, Any], key: str) -> None:
        if isinstance(container.get(key), dict | list):
            raise FieldError("wrong node kind: expected ScalarNode")
        container[key] = count

    for spec in specs:
        for resource, identities in named:
            if any(fieldspecs.selected(identity.gvk, spec.gvk) for identity in identities):
                found = True
                if fieldspecs.selected(resource.gvk, spec.gvk):
                    walk(resource, spec, setter, int, resources)
                    resource.touched(note)
    if not found:
        kinds = " ".join(str(Gvk(*spec.gvk)) for spec in specs)
        raise TransformError(f"resource with name {name} does not match a config with the following GVK [{kinds}]")
