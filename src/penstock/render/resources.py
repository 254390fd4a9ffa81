"""An object on its way through a build, and the ordered set of them that transformers work on.

A Resource is its value (plain, owned by this build, changed in place) plus what kustomize keeps in internal
annotations: earlier names, prefixes, the hash wish of a generator. Here they are fields, and they cost nothing in the
output.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

from penstock.model.errors import Place
from penstock.model.fieldpath import FieldPath, Keyed
from penstock.render.budget import Budget
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
class Twins:
    """A label or annotation that was new in several places of an object: in kustomize these places hold one node.

    What later writes over one of them (another labels transformer, a merge patch, a replacement) changes them all: a base
    adds `tier` to selector and template as well, an overlay patches metadata.labels.tier, and the selector follows. Only
    what takes the object through JSON (JSON patches) parts them.
    """

    text: Any
    places: list[tuple[dict[str, Any], str]]

    def settle(self) -> None:
        """Let all places follow the one that was written over, if one was."""
        # what was taken away and is written again later is a text of its own
        self.places = [(container, key) for container, key in self.places if key in container]
        changed = [container[key] for container, key in self.places if container[key] is not self.text]
        if not changed or isinstance(changed[-1], dict | list):
            return
        for container, key in self.places:
            container[key] = changed[-1]
        self.text = changed[-1]


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
    twins: tuple[Twins, ...] = ()
    """Texts that one labels transformer put into several places (see Twins)."""
    path: FieldPath = ()
    """Where the object is in its document: items of a List are not at the top."""
    as_json: bool = False
    """Whether it comes from a FooList, whose items kustomize writes as JSON and reads again: braces and quotes all over."""
    untagged: set[tuple[int, Any]] = field(default_factory=set)
    """(id of the container, key) of texts without a tag: written over, they are what they then look like."""
    braced: set[int] = field(default_factory=set)
    """Ids of collections that patches brought between braces."""
    unspelled: list[tuple[Any, Any]] = field(default_factory=list)
    """(container, key) of nulls between braces that nothing spells: kustomize prints them as empty texts."""

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

    def spelled_texts(self, field: str) -> dict[str, str]:
        """`texts` with what the file says for null: kustomize copies the text of a node, whatever it means."""
        metadata = self.value.get("metadata")
        found = metadata.get(field) if type(metadata) is dict else None
        if type(found) is not dict:
            return {}
        return {key: item if type(item) is str else self._spelled(found, field, key) for key, item in found.items()}

    def _spelled(self, container: dict[str, Any], field: str, key: str) -> str:
        if container[key] is not None:
            return scalars.text_of(container[key])
        if self.round_tripped and (id(container), key) not in self.untagged:
            return "null"
        # what is not in the file was written by a replacement, and only an empty text is null then
        return self.own_text(("metadata", field, key)) or ""

    def part_annotations(self) -> None:
        """Annotations are written anew: none of them is one with a text of another place any more."""
        metadata = self.value.get("metadata")
        annotations = metadata.get("annotations") if type(metadata) is dict else None
        for twins in self.twins:
            twins.places = [(container, key) for container, key in twins.places if container is not annotations]

    def rewrite_annotations(self) -> None:
        """kustomize writes all annotations to add one of its own here: numbers and nulls of the file are texts from now on."""
        metadata = self.value.get("metadata")
        if type(metadata) is not dict or type(metadata.get("annotations")) is not dict:
            return
        if any(type(item) is not str for item in metadata["annotations"].values()):
            metadata["annotations"] = self.spelled_texts("annotations")

    def set_name(self, name: str) -> None:
        self.write_untagged(self.metadata(), "name", name)

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
            path=self.path,
            as_json=self.as_json,
        )

    def found_at(self) -> Place | None:
        """Where the object's text starts."""
        if self.place is not None or self.document is None:
            return self.place
        return self.document.place(self.path)

    def is_quoted(self, path: FieldPath) -> bool:
        """Whether the object's own file has quotes around a scalar."""
        document = self.document
        if document is None or (self.round_tripped and not self.as_json):
            return False
        path = (*self.path, *path)
        if self.as_json:
            return document.scalar_text(path) is not None
        return composing.is_quoted(document.source, path, document.value)

    def own_text(self, path: FieldPath) -> str | None:
        """What the object's own file says for a scalar; None when it does not, or when it was written anew since."""
        if self.document is None or self.round_tripped:
            return None
        return self.document.scalar_text((*self.path, *path))

    def in_braces(self, path: FieldPath) -> bool:
        """Whether what is written at a path stands between braces or brackets when kustomize prints the object."""
        present, brought = self._present(path)
        if brought or self.as_json or self.document is None or self.round_tripped:
            return brought or self.as_json
        return composing.in_braces(self.document.source, (*self.path, *present), self.document.value)

    def _present(self, path: FieldPath) -> tuple[FieldPath, bool]:
        """The part of a path that the object has now, and whether a patch brought braces along it."""
        value: Any = self.value
        brought = False
        for position, step in enumerate(path):
            if isinstance(value, dict) and step in value:
                value = value[step]
            elif isinstance(value, list) and isinstance(step, Keyed):
                value = next((item for item in value if _fits(item, step)), None)
            elif isinstance(value, list) and isinstance(step, int) and step < len(value):
                value = value[step]
            else:
                return path[:position], brought
            brought = brought or id(value) in self.braced
        return path, brought

    def write_untagged(self, container: Any, key: Any, text: str) -> None:
        """Write a text as kustomize's setters of scalars do: without a tag, in the quotes that are there."""
        old = container.get(key) if isinstance(container, dict) else container[key]
        if isinstance(old, str):
            self.untagged.add((id(container), key))
            if type(scalars.same_as_written(text)) is str or self.quoted_there(container, key):
                container[key] = text
            else:
                container[key] = scalars.same_as_written(text)
        else:
            container[key] = same_kind_of_scalar(old, text)

    def quoted_there(self, container: Any, key: Any) -> bool:
        """`is_quoted` for a place that is only known by its container."""
        path = _path_to(self.value, container)
        return path is not None and self.is_quoted((*path, key))

    def grew_in_braces(self, container: Any, before: set[int]) -> bool:
        """Whether a container that is there now is, or was put below, one in braces of those `before`."""
        path = _path_to(self.value, container)
        if path is None:
            return False
        value: Any = self.value
        kept = 0
        for step in path:
            value = value[step]
            if id(value) not in before:
                break
            kept += 1
        return kept > 0 and self.in_braces(path[:kept])

    def spell_nulls(self) -> None:
        """Turn nulls that nothing spells into what they are printed as."""
        for container, key in self.unspelled:
            try:
                if container[key] is None:
                    container[key] = ""
            except (KeyError, IndexError):
                continue
        self.unspelled = []

    def settle(self) -> None:
        """To be called after anything that writes scalars in place."""
        for twins in self.twins:
            twins.settle()

    def touched(self, what: str) -> None:
        """Note a transformer, once in a row."""
        if not self.transformers or self.transformers[-1] != what:
            self.transformers = (*self.transformers, what)


def _fits(item: Any, step: Keyed) -> bool:
    return isinstance(item, dict) and all(scalars.text_of(item.get(name)) == text for name, text in step.keys)


def _path_to(value: Any, wanted: Any) -> FieldPath | None:
    """The way to a container inside a value."""
    if value is wanted:
        return ()
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, item in steps:
        if isinstance(item, dict | list):
            below = _path_to(item, wanted)
            if below is not None:
                return (step, *below)
    return None


def containers_of(value: Any) -> set[int]:
    """The ids of a value's maps and lists."""
    found: set[int] = set()
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, dict | list):
            found.add(id(item))
            pending += item.values() if isinstance(item, dict) else item
    return found


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

    def __init__(self, schema: Schema, budget: Budget | None = None) -> None:
        self.schema = schema
        self.budget = budget or Budget(None)
        self._kinds: dict[tuple[str, str], tuple[Gvk, bool]] = {}
        self._revision = schema.revision

    def _kind(self, api_version: str, kind: str) -> tuple[Gvk, bool]:
        """(Gvk, whether it is cluster-scoped), worked out once per kind."""
        if self._revision != self.schema.revision:
            self._kinds.clear()
            self._revision = self.schema.revision
        found = gvk_of(api_version, kind), self.schema.is_cluster_scoped(api_version, kind)
        self._kinds[api_version, kind] = found
        return found

    def current(self, resource: Resource) -> ResId:
        """Who the resource is now."""
        value = resource.value
        api_version, kind = value.get("apiVersion", ""), value.get("kind", "")
        if type(api_version) is not str or type(kind) is not str:
            api_version, kind = scalars.text_of(api_version), scalars.text_of(kind)
        known = self._kinds.get((api_version, kind)) if self._revision == self.schema.revision else None
        gvk, clustered = known if known is not None else self._kind(api_version, kind)
        metadata = value.get("metadata")
        if type(metadata) is dict:
            name, namespace = metadata.get("name", ""), metadata.get("namespace", "")
            if type(name) is not str:
                name = "" if name is None else scalars.text_of(name)
            if type(namespace) is not str:
                namespace = "" if namespace is None else scalars.text_of(namespace)
        else:
            name = namespace = ""
        return ResId(gvk, name, namespace, NOT_A_NAMESPACE if clustered else namespace or "default")

    def previous(self, resource: Resource) -> list[ResId]:
        """Who the resource was, oldest first; kustomize forgets whom a replacement had left without a name."""
        if not resource.previous or not resource.previous[0].name:
            return []
        group, version, _kind = resource.gvk
        return [
            ResId(Gvk(group, version, earlier.kind), earlier.name, earlier.namespace, earlier.namespace or "default")
            for earlier in resource.previous
        ]

    def original(self, resource: Resource) -> ResId:
        """Who the resource was in its own file."""
        if not resource.previous or not resource.previous[0].name:
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
        if resource.twins:
            resource.part_annotations()
        resource.previous = (*resource.previous, PreviousId(now.effective_namespace, now.name, now.gvk.kind))


class SetError(Exception):
    """Two objects with one identity, or none where one has to be; the message names the identity only."""

    def __init__(self, what: str, resources: tuple[Resource, ...] = ()) -> None:
        super().__init__(what, resources)
        self.what = what
        self.resources = resources


Key = tuple[Gvk, str, str]


class _Index:
    """Who is and was whom, by key and by name; kept up to date one resource at a time."""

    def __init__(self, ids: Ids, resources: Iterable[Resource]) -> None:
        self._ids = ids
        self._entries: dict[int, tuple[Key, set[Key], set[str]]] = {}
        self._positions: dict[int, int] = {}
        self.by_any_key: dict[Key, list[Resource]] = {}
        self.by_current_key: dict[Key, list[Resource]] = {}
        self.by_name: dict[str, list[Resource]] = {}
        self.shared: set[Key] = set()
        """Present identities that more than one resource has."""
        for resource in resources:
            self.add(resource)

    def add(self, resource: Resource) -> None:
        """Another resource, after all others."""
        self._positions[id(resource)] = len(self._positions)
        self._enter(resource)

    def update(self, resource: Resource) -> bool:
        """Look at a resource again; whether its identities have changed."""
        old = self._entries.get(id(resource))
        if old is None:
            return False
        current, keys, names = old
        if self._entry(resource) == old:
            return False
        for key in keys:
            self.by_any_key[key].remove(resource)
        for name in names:
            self.by_name[name].remove(resource)
        holders = self.by_current_key[current]
        holders.remove(resource)
        if len(holders) < 2:
            self.shared.discard(current)
        self._enter(resource)
        return True

    def replace(self, old: Resource, new: Resource) -> None:
        """Another resource takes the place and the identities of one."""
        position = self._positions.pop(id(old))
        current, keys, names = self._entries.pop(id(old))
        for table, entries in ((self.by_any_key, keys), (self.by_current_key, (current,)), (self.by_name, names)):
            for entry in entries:
                holders: list[Resource] = table[entry]  # type: ignore[index]
                holders[holders.index(old)] = new
        self._positions[id(new)] = position
        self._entries[id(new)] = (current, keys, names)
        self.update(new)

    def position(self, resource: Resource) -> int:
        return self._positions[id(resource)]

    def in_order(self, resources: Iterable[Resource]) -> list[Resource]:
        return sorted(resources, key=self.position)

    def _entry(self, resource: Resource) -> tuple[Key, set[Key], set[str]]:
        now = self._ids.current(resource)
        keys, names = {now.key}, {now.name}
        for earlier in self._ids.previous(resource):
            keys.add(earlier.key)
            names.add(earlier.name)
        return now.key, keys, names

    def _enter(self, resource: Resource) -> None:
        entry = current, keys, names = self._entry(resource)
        self._entries[id(resource)] = entry
        for key in keys:
            self.by_any_key.setdefault(key, []).append(resource)
        for name in names:
            self.by_name.setdefault(name, []).append(resource)
        holders = self.by_current_key.setdefault(current, [])
        holders.append(resource)
        if len(holders) > 1:
            self.shared.add(current)


class ResourceSet:
    """Resources in order, no two with the same current identity."""

    def __init__(self, ids: Ids, resources: Iterable[Resource] = ()) -> None:
        self.ids = ids
        self._list: list[Resource] = []
        self.renamed = False
        """Whether a patch or a replacement may have given an object the name of another one."""
        self._by_key: dict[Key, Resource] | None = {}
        self._index: _Index | None = None
        for resource in resources:
            self.append(resource)

    def __iter__(self) -> Iterator[Resource]:
        return self.ids.budget.watched(self._list)

    def __len__(self) -> int:
        return len(self._list)

    @property
    def resources(self) -> list[Resource]:
        """The list itself; call `changed` after changing identities."""
        return self._list

    def changed(self, only: Iterable[Resource] | None = None) -> None:
        """Identities may have changed (of all, or of these `only`): forget the index, drop what a patch deleted."""
        if only is None:
            self._by_key = self._index = None
            if any(resource.dropped or not resource.value for resource in self._list):
                self._list = [resource for resource in self._list if not resource.dropped and resource.value]
            return
        for resource in only:
            if resource.dropped or not resource.value:
                self.changed()
                return
            if self._index is None or self._index.update(resource):
                self._by_key = None

    def replace_all(self, resources: list[Resource]) -> None:
        """Another order, or a subset."""
        self._list = resources
        self._by_key = self._index = None

    def replace(self, old: Resource, new: Resource) -> None:
        """Put a resource in the place of another."""
        index = self._indexed()
        self._list[index.position(old)] = new
        index.replace(old, new)
        self._by_key = None

    def _indexed(self) -> _Index:
        if self._index is None:
            self._index = _Index(self.ids, self._list)
        return self._index

    def _holder(self, key: Key) -> Resource | None:
        """The resource that has this identity now."""
        if self._index is not None:
            return next(iter(self._index.by_current_key.get(key, ())), None)
        if self._by_key is None:
            current = self.ids.current
            self._by_key = {}
            for resource in self._list:
                self._by_key.setdefault(current(resource).key, resource)
        return self._by_key.get(key)

    def append(self, resource: Resource) -> None:
        """Add at the end. Raises SetError when the identity is taken."""
        identity = self.ids.current(resource)
        key = identity.key
        holder = self._holder(key)
        if holder is not None:
            raise SetError(f"may not add resource with an already registered id: {identity}", (holder, resource))
        if self._by_key is not None:
            self._by_key[key] = resource
        if self._index is not None:
            self._index.add(resource)
        self._list.append(resource)

    def extend(self, resources: Iterable[Resource]) -> None:
        """`append` for each."""
        for resource in resources:
            self.append(resource)

    def duplicates(self) -> list[tuple[Resource, Resource]]:
        """Pairs that have come to share an identity."""
        if self._index is not None and not self._index.shared:
            return []
        seen: dict[Key, Resource] = {}
        pairs = []
        for resource in self._list:
            key = self.ids.current(resource).key
            if key in seen:
                pairs.append((seen[key], resource))
            else:
                seen[key] = resource
        return pairs

    def one_by_any_id(self, identity: ResId) -> Resource:
        """The only resource that is or was this. Raises SetError when there is none or there are several."""
        found = self.by_any_id(identity)
        if len(found) == 1:
            return found[0]
        problem = "multiple matches" if found else "no matches"
        raise SetError(f"{problem} for Id {identity}; failed to find unique target for patch {identity}", tuple(found))

    def by_any_id(self, identity: ResId) -> list[Resource]:
        """The resources that are or were this."""
        return [resource for resource in self._indexed().by_any_key.get(identity.key, ()) if not resource.dropped]

    def named(self, name: str) -> list[Resource]:
        """The resources that are, or were, called this, in order."""
        index = self._indexed()
        return index.in_order(index.by_name.get(name, ()))
