"""What is known of kinds: whether they live in a namespace, and which of their lists merge by key.

The built-in kinds come from tables; `openapi:` in a kustomization replaces them for the whole build, the first one
that is met winning, as in kustomize.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from penstock.render import merge_keys, tables

BUILT_IN_VERSION = "v1.21.2"
"""The only version kustomize carries, and so the only one `openapi.version` may name."""

_GVK = "x-kubernetes-group-version-kind"


class MergeNode(Protocol):
    """One field of a kind, as far as a strategic merge needs to know it."""

    @property
    def merge_keys(self) -> tuple[str, ...] | None:
        """None: the list is replaced. (): a set of scalars. Else the fields that identify an item."""

    def field(self, name: str) -> MergeNode | None:
        """A field below this one; None when the schema does not have it."""

    def items(self) -> MergeNode | None:
        """The items of a list."""


class _BuiltIn:
    """A node of the tables; fields the tables leave out exist and do not merge."""

    __slots__ = ("_children", "merge_keys")

    def __init__(self, number: int) -> None:
        self.merge_keys, self._children = merge_keys.NODES[number]

    def field(self, name: str) -> MergeNode | None:
        number = self._children.get(name)
        if number is None:
            number = self._children.get("*")
        return _PLAIN if number is None else _BuiltIn(number)

    def items(self) -> MergeNode | None:
        number = self._children.get("[]")
        return _PLAIN if number is None else _BuiltIn(number)


class _Plain:
    """A known field that does not merge and has nothing below it that does."""

    __slots__ = ()
    merge_keys = None

    def field(self, name: str) -> MergeNode | None:
        return self

    def items(self) -> MergeNode | None:
        return self


_PLAIN = _Plain()


class _Custom:
    """A node of an OpenAPI document."""

    __slots__ = ("_built_in", "_definitions", "_schema")

    def __init__(self, schema: Mapping[str, Any], definitions: Mapping[str, Any], *, built_in: bool) -> None:
        self._schema = schema
        self._definitions = definitions
        self._built_in = built_in

    @property
    def merge_keys(self) -> tuple[str, ...] | None:
        strategy = self._schema.get("x-kubernetes-patch-strategy")
        if not isinstance(strategy, str) or "merge" not in strategy.split(","):
            return None
        keys = self._schema.get("x-kubernetes-list-map-keys")
        if isinstance(keys, list):
            return tuple(str(key) for key in keys)
        key = self._schema.get("x-kubernetes-patch-merge-key")
        return (str(key),) if key is not None else ()

    def field(self, name: str) -> MergeNode | None:
        properties = self._schema.get("properties")
        if isinstance(properties, Mapping) and name in properties:
            return self._resolved(properties[name])
        more = self._schema.get("additionalProperties")
        return self._resolved(more) if isinstance(more, Mapping) else None

    def items(self) -> MergeNode | None:
        kind = self._schema.get("type")
        if kind != "array" and kind != ["array"]:
            return None
        items = self._schema.get("items")
        return self._resolved(items) if isinstance(items, Mapping) else None

    def _resolved(self, schema: Any) -> MergeNode | None:
        for _hop in range(64):
            if not isinstance(schema, Mapping):
                return None
            reference = schema.get("$ref")
            if not isinstance(reference, str) or not reference:
                return _Custom(schema, self._definitions, built_in=self._built_in)
            name = reference.rpartition("/")[2]
            if name not in self._definitions:
                return _built_in_definition(name) if self._built_in else None
            schema = self._definitions[name]
        return None


# Where the tables have the definitions that other kinds' schemas refer to most.
_PARTS: Mapping[str, tuple[str, ...]] = {
    "ObjectMeta": ("v1/ConfigMap", "metadata"),
    "DeploymentSpec": ("apps/v1/Deployment", "spec"),
    "PodTemplateSpec": ("apps/v1/Deployment", "spec", "template"),
    "PodSpec": ("apps/v1/Deployment", "spec", "template", "spec"),
    "Container": ("apps/v1/Deployment", "spec", "template", "spec", "containers", "[]"),
    "EphemeralContainer": ("apps/v1/Deployment", "spec", "template", "spec", "ephemeralContainers", "[]"),
    "Volume": ("apps/v1/Deployment", "spec", "template", "spec", "volumes", "[]"),
    "StatefulSetSpec": ("apps/v1/StatefulSet", "spec"),
    "DaemonSetSpec": ("apps/v1/DaemonSet", "spec"),
    "ReplicaSetSpec": ("apps/v1/ReplicaSet", "spec"),
    "JobSpec": ("batch/v1/Job", "spec"),
    "JobTemplateSpec": ("batch/v1/CronJob", "spec", "jobTemplate"),
    "CronJobSpec": ("batch/v1/CronJob", "spec"),
    "ServiceSpec": ("v1/Service", "spec"),
}


def _built_in_definition(name: str) -> MergeNode | None:
    """A definition of Kubernetes itself by its full name, as 'io.k8s.api.core.v1.PodSpec'."""
    if not name.startswith("io.k8s."):
        return None
    short, version = name.rpartition(".")[2], name.split(".")[-2]
    path = _PARTS.get(short)
    if path is None:
        whole = next((kind for kind in merge_keys.KINDS if kind.endswith(f"{version}/{short}")), None)
        return _PLAIN if whole is None else _BuiltIn(merge_keys.KINDS[whole])
    node: MergeNode | None = _BuiltIn(merge_keys.KINDS[path[0]])
    for step in path[1:]:
        node = None if node is None else node.items() if step == "[]" else node.field(step)
    return node


class Schema:
    """The kinds of one build. Not shared between builds: `openapi:` of one tenant never reaches another."""

    def __init__(self) -> None:
        self._custom: Mapping[str, Any] | None = None
        self._version = ""
        self._built_in = "unread"
        """'wanted' once the scope of a kind was asked for, 'read' once a merge asked for fields; see `merge_root`."""
        self._kinds: dict[str, _Custom] | None = None
        self._scopes: dict[str, bool] = {}
        self.revision = 0
        """Goes up whenever an answer may be another one than before."""

    @property
    def is_set(self) -> bool:
        """Whether a kustomization has chosen a schema already; later ones are then ignored."""
        return self._custom is not None or bool(self._version)

    def use_version(self, version: str) -> None:
        """Name the built-in schema explicitly."""
        self._version = version

    def use_document(self, document: Mapping[str, Any]) -> None:
        """Use an OpenAPI document instead of the built-in kinds."""
        self._custom = document
        self._kinds = None
        self.revision += 1

    def is_cluster_scoped(self, api_version: str, kind: str) -> bool:
        """Whether this kind certainly has no namespace; unknown kinds have one."""
        name = f"{api_version}/{kind}"
        if name in tables.CLUSTER_SCOPED:
            return True
        if name in tables.NAMESPACED:
            return False
        if self._custom is None:
            if self._built_in == "unread":
                self._built_in = "wanted"
            return False
        self._load()
        return self._scopes.get(name) is False

    def merge_root(self, api_version: str, kind: str) -> MergeNode | None:
        """The merge keys of a kind, None when nothing is known of it."""
        name = f"{api_version}/{kind}"
        number = merge_keys.KINDS.get(name)
        built_in = None if number is None else _BuiltIn(number)
        if self._custom is None:
            self._built_in = "read"
            return built_in
        self._load()
        assert self._kinds is not None
        # kustomize reads each of the two when it first needs it, and a kind means what was read last
        if self._built_in == "unread" or (self._built_in == "read" and name in self._kinds) or built_in is None:
            return self._kinds.get(name)
        return built_in

    def _load(self) -> None:
        if self._kinds is not None or self._custom is None:
            return
        self._kinds = {}
        definitions = self._custom.get("definitions")
        if isinstance(definitions, Mapping):
            for definition in definitions.values():
                kinds = definition.get(_GVK) if isinstance(definition, Mapping) else None
                for entry in kinds if isinstance(kinds, list) else ():
                    self._kinds[_type_name(entry)] = _Custom(definition, definitions, built_in=self._built_in != "unread")
        self._load_scopes()

    def _load_scopes(self) -> None:
        assert self._custom is not None
        paths = self._custom.get("paths")
        for path, operations in paths.items() if isinstance(paths, Mapping) else ():
            get = operations.get("get") if isinstance(operations, Mapping) else None
            entry = get.get(_GVK) if isinstance(get, Mapping) else None
            if not isinstance(entry, Mapping):
                continue
            if "namespaces/{namespace}" in path:
                self._scopes[_type_name(entry)] = True
            else:
                self._scopes.setdefault(_type_name(entry), False)


def _type_name(entry: Any) -> str:
    if not isinstance(entry, Mapping):
        return ""
    group, version, kind = (str(entry.get(name) or "") for name in ("group", "version", "kind"))
    return f"{group}/{version}/{kind}" if group else f"{version}/{kind}"
