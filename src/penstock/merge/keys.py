"""Which field tells the items of a list apart: Kubernetes' and kustomize's merge keys as one compact table.

In: a list's field name and its items on every side. Out: a function from an item to its key, `"set"` for a list of plain
values, `"aligned"` for lists of one item, or None for a list that only has positions.

Facts: the strategic-merge keys and list-map keys of the Kubernetes API, and kustomize's own fields. A key is used only
where every item on every side has it and none repeats; otherwise the list has only positions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from penstock.model.fieldpath import Keyed
from penstock.yamldoc.nodes import Mapping, Node, Scalar, Sequence, effective, resolved, text_of

_NAME = (("name",),)

# Field name -> candidate keys, best first. A field with '?' may be missing; 'a.b' is a field of a field.
KEYS: dict[str, tuple[tuple[str, ...], ...]] = {
    "containers": _NAME,
    "initContainers": _NAME,
    "ephemeralContainers": _NAME,
    "env": _NAME,
    "volumes": _NAME,
    "imagePullSecrets": _NAME,
    "resourceClaims": _NAME,
    "ports": (("containerPort", "protocol?"), ("port", "protocol?")),
    "volumeMounts": (("mountPath",),),
    "volumeDevices": (("devicePath",),),
    "hostAliases": (("ip",),),
    "topologySpreadConstraints": (("topologyKey", "whenUnsatisfiable"),),
    "volumeClaimTemplates": (("metadata.name",),),
    "conditions": (("type",),),
    "ownerReferences": (("uid",),),
    "subjects": (("kind", "namespace?", "name"),),
    "paths": (("path", "pathType?"),),
    "images": _NAME,
    "replicas": _NAME,
    "vars": _NAME,
    "helmCharts": (("name", "releaseName?"),),
    "configMapGenerator": (("name", "namespace?"),),
    "secretGenerator": (("name", "namespace?"),),
    "replacements": (("path",),),
    "dependsOn": (("name", "namespace?"),),
    "healthChecks": (("kind", "name", "namespace?"),),
    "healthCheckExprs": (("apiVersion", "kind"),),
    "substituteFrom": (("kind", "name"),),
    "valuesFrom": (("kind", "name", "valuesKey?"),),
    "parentRefs": (("name", "namespace?", "sectionName?"),),
}

DEFAULTS = {"protocol": "TCP"}

POSITIONAL = frozenset(("args", "command", "tolerations", "envFrom"))
"""Order and repetition mean something here, whatever the items look like."""

SETS = frozenset(("finalizers",))
"""Lists of different plain values, in any kind."""

KUSTOMIZATION_SETS = frozenset(
    (
        "resources",
        "components",
        "bases",
        "crds",
        "configurations",
        "generators",
        "transformers",
        "validators",
        "patchesStrategicMerge",
        "envs",
        "files",
        "literals",
    )
)

ALIGNED = {"Ingress": frozenset(("rules", "tls")), "HTTPRoute": frozenset(("rules",)), "Gateway": frozenset(("servers",))}
"""Lists without a key that mostly hold one item: one against one is the same item."""

ItemKey = tuple[tuple[str, str], ...]
KeyOf = Callable[[Node], ItemKey]


@dataclass(frozen=True, slots=True)
class Keys:
    """How to tell items apart."""

    of: KeyOf
    plain: bool = False
    """The items are plain values and their own key: they come and go, but never change."""


def keys_for(field: str, kind: str, *, kustomization: bool, sides: Iterable[Sequence]) -> Keys | Literal["aligned"] | None:
    """How the items of these lists (the same field on every side that has it) are told apart."""
    lists = list(sides)
    if kind == "List" and field == "items":
        return _usable(Keys(_identity), lists)
    if field in SETS or (kustomization and field in KUSTOMIZATION_SETS):
        return _usable(Keys(_assigned if field in ("literals", "files") else _plain, plain=True), lists)
    if field in POSITIONAL:
        return None
    if field in ("patches", "patchesJson6902") and (found := _usable(Keys(_patch), lists)):
        return found
    for candidate in KEYS.get(field, ()):
        if found := _usable(Keys(_by(candidate)), lists):
            return found
    if field in ALIGNED.get(kind, ()) and all(len(items.items) == 1 for items in lists):
        return "aligned"
    # What no table knows (custom resources, values files): a name that every item has, and none twice, is its key.
    return _usable(Keys(_by(("name",))), lists)


def _usable(keys: Keys, lists: list[Sequence]) -> Keys | None:
    for items in lists:
        seen: set[ItemKey] = set()
        for item in items.items:
            if keys.plain != isinstance(resolved(item), Scalar):
                return None
            key = keys.of(item)
            if not key or key in seen:
                return None
            seen.add(key)
    return keys


def _by(fields: tuple[str, ...]) -> KeyOf:
    def key(item: Node) -> ItemKey:
        item = resolved(item)
        if not isinstance(item, Mapping) or item.opaque:
            return ()
        found: list[tuple[str, str]] = []
        for field in fields:
            name = field.rstrip("?")
            value = text_of(item, *name.split("."))
            if value and value != DEFAULTS.get(name):
                found.append((name, value))
            elif not field.endswith("?"):
                return ()
        return tuple(found)

    return key


def _identity(item: Node) -> ItemKey:
    group = text_of(item, "apiVersion").rpartition("/")[0]
    kind, name, namespace = text_of(item, "kind"), text_of(item, "metadata", "name"), text_of(item, "metadata", "namespace")
    if not kind or not name:
        return ()
    pairs = (("group", group), ("kind", kind), ("namespace", namespace), ("name", name))
    return tuple(pair for pair in pairs if pair[1])


def _patch(item: Node) -> ItemKey:
    """A kustomize patch is its file, or else what it is for."""
    if path := text_of(item, "path"):
        return (("path", path),)
    fields = ("kind", "name", "namespace", "labelSelector", "annotationSelector", "group")
    return tuple((f"target.{field}", value) for field in fields if (value := text_of(item, "target", field)))


def _plain(item: Node) -> ItemKey:
    item = resolved(item)
    return (("value", item.value),) if isinstance(item, Scalar) else ()


def _assigned(item: Node) -> ItemKey:
    """KEY=value: the key is what stands before the '='."""
    item = resolved(item)
    return (("name", item.value.partition("=")[0]),) if isinstance(item, Scalar) else ()


def step(key: ItemKey) -> Keyed:
    """The field path step of an item."""
    return Keyed(key)


def matches(item: Node | None, wanted: Keyed) -> bool:
    """Whether an item is one that a person named by any of its fields; '*' is any value of a field that is there."""
    item = resolved(item) if item is not None else None
    if isinstance(item, Scalar):
        return all(
            name in ("value", "name") and item.value.partition("=")[0] in (value, item.value) for name, value in wanted.keys
        )
    if not isinstance(item, Mapping):
        return False
    fields = effective(item)
    for name, value in wanted.keys:
        if name in DEFAULTS and name not in fields and value == DEFAULTS[name]:
            continue
        found = text_of(item, *name.split("."))
        if found != value and (value != "*" or not found):
            return False
    return True
