"""Generated names, taken back to what people wrote. In: rendered objects. Out: the same, without hash suffixes.

kustomize names a generated ConfigMap or Secret after a hash of its content (`web-config-7k2m9f8dcb`), and every reference to
it likewise. Where two environments are compared, such a name differs whenever any value does, which says nothing of its own:
the same object would look deleted and created, and each reference changed to something that no other environment has.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from penstock.model.rendered import RenderedObject
from penstock.model.resource import ResourceId

_HASHED = re.compile(r"(.+)-[2456789bcdfghkmt]{10}")
"""kustomize's hash: ten letters and digits without vowels and look-alikes (api/hasher, encode)."""
_GENERATED = (("", "ConfigMap"), ("", "Secret"))


def written_names(objects: Sequence[RenderedObject]) -> list[RenderedObject]:
    """The objects under the names that generators were given, references included.

    A name stays as it is where two objects would get the same one, and where a merge of generators (`behavior: merge`) or a
    person chose a name that only looks like a hash and nothing tells them apart: then both sides show it alike anyway.
    """
    plain = {one.id: match[1] for one in objects if (match := _match(one.id))}
    taken = Counter((one.id.group, one.id.kind, one.id.namespace, plain.get(one.id, one.id.name)) for one in objects)
    names = {key: name for key, name in plain.items() if taken[(key.group, key.kind, key.namespace, name)] == 1}
    if not names:
        return list(objects)
    words = {key.name: name for key, name in names.items()}
    result = []
    for one in objects:
        manifest = _renamed(one.manifest, words)
        key = replace(one.id, name=names[one.id]) if one.id in names else one.id
        result.append(one if manifest is one.manifest and key is one.id else replace(one, id=key, manifest=manifest))
    return result


def _match(key: ResourceId) -> re.Match[str] | None:
    return _HASHED.fullmatch(key.name) if (key.group, key.kind) in _GENERATED else None


def _renamed(value: Any, words: Mapping[str, str]) -> Any:
    """A value in which every text that is one of these names is another; the very same value where none is."""
    if isinstance(value, str):
        return words.get(value, value)
    if isinstance(value, dict):
        items = {key: _renamed(child, words) for key, child in value.items()}
        return items if any(items[key] is not child for key, child in value.items()) else value
    if isinstance(value, list):
        children = [_renamed(child, words) for child in value]
        return children if any(new is not old for new, old in zip(children, value, strict=True)) else value
    return value
