"""An object on its way through a build, and the ordered set of them that transformers work on.

A Resource is its value (plain, owned by this build, changed in place) plus what kustomize keeps in internal
annotations: earlier names, prefixes, the hash wish of a generator. Here they are fields, and they cost nothing in the
output.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from penstock.model.errors import Place
from penstock.render.schema import Schema
from penstock.yamldoc import composing, reading, scalars

NOT_A_NAMESPACE = "_non_namespaceable_"
"""The effective namespace of cluster-scoped objects."""
LIST_SUFFIX = "List"


class Gvk(NamedTuple):
    """Group, version and kind; '' for what is not given."""

    group: str
    version: str
    kind: str

    def __str__(self) -> str:
        return f"{self.kind or '[noKind]'}.{self.version or '[noVer]'}.{self.group or '[noGrp]'}"

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version


class ResId(NamedTuple):
    """The identity of a resource at one moment: its kind, name, and the namespace as written."""

    gvk: Gvk
    name: str
    namespace: str
    effective_namespace: str
    """Where it really lives: 'default' when none is written, NOT_A_NAMESPACE for cluster-scoped kinds."""

    @property
    def key(self) -> tuple[Gvk, str, str]:
        """What makes two ids equal."""
        return (self.gvk, self.name, self.effective_namespace)

    def __str__(self) -> str:
        return f"{self.gvk}/{self.name or '[noName]'}.{self.namespace or '[noNs]'}"


class PreviousId(NamedTuple):
    """An earlier identity; the group and version are always the present ones."""

    namespace: str
    name: str
    kind: str


@lru_cache(maxsize=2048)
def split_api_version(api_version: str) -> tuple[str, str]:
    """(group, version), split at the first slash."""
    group, separator, version = api_version.partition("/")
    return (group, version) if separator else ("", api_version)


@lru_cache(maxsize=4096)
def gvk_of(api_version: str, kind: str) -> Gvk:
    """The Gvk of what an object says of itself."""
    return Gvk(*split_api_version(api_version), kind)


@dataclass(slots=True, eq=False)
class Resource:
    """One object of the build."""

    value: dict[str, Any]
    document: reading.Document | None = None
    """Where its first text stands; None for generated objects."""
    place: Place | None = None
    previous: tuple[PreviousId, ...] = ()
    prefixes: tuple[str, ...] = ()
    suffixes: tuple[str, ...] = ()
    needs_hash: bool = False
    behavior: str = ""
    variables: tuple[str, ...] = ()
    transformers: tuple[str, ...] = ()
    round_tripped: bool = False
    """Whether it went through JSON, after which null is always spelled out."""
    dropped: bool = False
    """Deleted by a patch; taken out of the set at the next step."""

    @property
    def kind(self) -> str:
        return scalars.text_of(self.value.get("kind", ""))

    @property
    def api_version(self) -> str:
        return scalars.text_of(self.value.get("apiVersion", ""))

    @property
    def gvk(self) -> Gvk:
        value = self.value
        return gvk_of(scalars.text_of(value.get("apiVersion", "")), scalars.text_of(value.get("kind", "")))

    def meta(self, field: str) -> str:
        """A text of metadata, '' when it is missing, null or empty."""
        metadata = self.value.get("metadata")
        if type(metadata) is not dict:
            return ""
        found = metadata.get(field)
        if type(found) is str:
            return found
        return "" if found is None else scalars.text_of(found)

    @property
    def name(self) -> str:
        return self.meta("name")

    @property
    def namespace(self) -> str:
        return self.meta("namespace")

    def texts(self, field: str) -> dict[str, str]:
        """metadata.labels or metadata.annotations with every value as text."""
        metadata = self.value.get("metadata")
        found = metadata.get(field) if type(metadata) is dict else None
        if type(found) is not dict:
            return {}
        return {key: item if type(item) is str else scalars.text_of(item) for key, item in found.items()}

    def set_name(self, name: str) -> None:
        self.metadata()["name"] = same_kind_of_scalar(self.metadata().get("name"), name)

    def metadata(self) -> dict[str, Any]:
        """metadata, made when it is missing."""
        metadata = self.value.get("metadata")
        if type(metadata) is not dict:
            metadata = self.value["metadata"] = {}
        return metadata

    def copy(self) -> Resource:
        """A copy that shares nothing that changes."""
        return Resource(
            composing.copied(self.value),
            self.document,
            self.place,
            self.previous,
            self.prefixes,
            self.suffixes,
            self.needs_hash,
            self.behavior,
            self.variables,
            self.transformers,
            self.round_tripped,
            self.dropped,
        )

    def touched(self, what: str) -> None:
        """Note a transformer, once in a row."""
        if not self.transformers or self.transformers[-1] != what:
            self.transformers = (*self.transformers, what)


def same_kind_of_scalar(old: Any, text: str) -> Any:
    """Text written over a scalar without a tag: an unquoted number stays one if the new text still is a number."""
    if old is None or type(old) is str or isinstance(old, str):
        return text
    try:
        return scalars.resolve(text)
    except scalars.NotFiniteError:
        return text


class Ids:
    """Works out identities under the schema of one build."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema

    def current(self, resource: Resource) -> ResId:
        """Who the resource is now."""
        value = resource.value
        api_version, kind = value.get("apiVersion", ""), value.get("kind", "")
        if type(api_version) is not str or type(kind) is not str:
            api_version, kind = scalars.text_of(api_version), scalars.text_of(kind)
        namespace = resource.meta("namespace")
        if self.schema.is_cluster_scoped(api_version, kind):
            effective = NOT_A_NAMESPACE
        else:
            effective = namespace or "default"
        return ResId(gvk_of(api_version, kind), resource.meta("name"), namespace, effective)

    def previous(self, resource: Resource) -> list[ResId]:
        """Who the resource was, oldest first."""
        if not resource.previous:
            return []
        group, version, _kind = resource.gvk
        return [
            ResId(Gvk(group, version, earlier.kind), earlier.name, earlier.namespace, earlier.namespace or "default")
            for earlier in resource.previous
        ]

    def original(self, resource: Resource) -> ResId:
        """Who the resource was in its own file."""
        if not resource.previous:
            return self.current(resource)
        group, version, _kind = resource.gvk
        first = resource.previous[0]
        return ResId(Gvk(group, version, first.kind), first.name, first.namespace, first.namespace or "default")

    def all(self, resource: Resource) -> list[ResId]:
        """Earlier identities and the present one."""
        return [*self.previous(resource), self.current(resource)]

    def store_previous(self, resource: Resource) -> None:
        """Remember the present identity before it changes."""
        now = self.current(resource)
        resource.previous = (*resource.previous, PreviousId(now.effective_namespace, now.name, now.gvk.kind))


class SetError(Exception):
    """Two objects with one identity, or none where one has to be; the message names the identity only."""

    def __init__(self, what: str, resources: tuple[Resource, ...] = ()) -> None:
        super().__init__(what, resources)
        self.what = what
        self.resources = resources


class ResourceSet:
    """Resources in order, no two with the same current identity."""

    def __init__(self, ids: Ids, resources: Iterable[Resource] = ()) -> None:
        self.ids = ids
        self._list: list[Resource] = []
        self._by_key: dict[tuple[Gvk, str, str], Resource] | None = {}
        for resource in resources:
            self.append(resource)

    def __iter__(self) -> Iterator[Resource]:
        return iter(self._list)

    def __len__(self) -> int:
        return len(self._list)

    @property
    def resources(self) -> list[Resource]:
        """The list itself; call `changed` after changing identities."""
        return self._list

    def changed(self) -> None:
        """Identities may have changed: forget the index, drop what a patch deleted."""
        self._by_key = None
        if any(resource.dropped or not resource.value for resource in self._list):
            self._list = [resource for resource in self._list if not resource.dropped and resource.value]

    def replace_all(self, resources: list[Resource]) -> None:
        """Another order, or a subset."""
        self._list = resources
        self._by_key = None

    def _index(self) -> dict[tuple[Gvk, str, str], Resource]:
        if self._by_key is None:
            current = self.ids.current
            self._by_key = {}
            for resource in self._list:
                self._by_key.setdefault(current(resource).key, resource)
        return self._by_key

    def append(self, resource: Resource) -> None:
        """Add at the end. Raises SetError when the identity is taken."""
        identity = self.ids.current(resource)
        index = self._index()
        if identity.key in index:
            raise SetError(f"may not add resource with an already registered id: {identity}", (index[identity.key], resource))
        index[identity.key] = resource
        self._list.append(resource)

    def extend(self, resources: Iterable[Resource]) -> None:
        """`append` for each."""
        for resource in resources:
            self.append(resource)

    def duplicates(self) -> list[tuple[Resource, Resource]]:
        """Pairs that have come to share an identity."""
        seen: dict[tuple[Gvk, str, str], Resource] = {}
        pairs = []
        for resource in self._list:
            key = self.ids.current(resource).key
            if key in seen:
                pairs.append((seen[key], resource))
            else:
                seen[key] = resource
        return pairs

    def by_any_id(self, matches: Callable[[ResId], bool]) -> list[Resource]:
        """Those whose present or earlier identity fits."""
        return [resource for resource in self._list if any(matches(identity) for identity in self.ids.all(resource))]

    def one_by_any_id(self, identity: ResId) -> Resource:
        """The only resource that is or was this. Raises SetError when there is none or there are several."""
        wanted = identity.key
        found = self.by_any_key().get(wanted, [])
        if len(found) == 1:
            return found[0]
        problem = "multiple matches" if found else "no matches"
        raise SetError(f"{problem} for Id {identity}; failed to find unique target for patch {identity}", tuple(found))

    def by_any_key(self) -> dict[tuple[Gvk, str, str], list[Resource]]:
        """Every identity that some resource has or had -> those resources, in order."""
        table: dict[tuple[Gvk, str, str], list[Resource]] = {}
        for resource in self._list:
            if resource.dropped:
                continue
            keys = {identity.key for identity in self.ids.previous(resource)}
            keys.add(self.ids.current(resource).key)
            for key in keys:
                table.setdefault(key, []).append(resource)
        return table
