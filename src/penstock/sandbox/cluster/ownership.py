"""Who owns which field: managedFields, and the server-side apply that lives on them.

In: the live object, what a client sent, and who it is. Out: the object to store, its managedFields updated, or a 409 that
names every conflicting manager and field. Nothing here has side effects; the time of a change is a parameter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from penstock.sandbox.cluster import fieldsets
from penstock.sandbox.cluster.fieldsets import EMPTY, Path, PathSet
from penstock.sandbox.cluster.kinds import Kind
from penstock.sandbox.cluster.schema import Node
from penstock.sandbox.cluster.status import ApiError, Cause

# Identity and bookkeeping belong to no manager (apiserver: managedfields stripmeta).
_UNOWNED: frozenset[Path] = frozenset(
    {
        ("f:apiVersion",),
        ("f:kind",),
        ("f:metadata",),
        *(
            ("f:metadata", f"f:{name}")
            for name in (
                "name",
                "namespace",
                "creationTimestamp",
                "selfLink",
                "uid",
                "clusterName",
                "generation",
                "managedFields",
                "resourceVersion",
            )
        ),
    }
)


@dataclass(frozen=True, slots=True, order=True)
class Owner:
    """One manager entry's identity; the same name may own fields by Apply and by Update."""

    manager: str
    operation: str
    """Apply or Update."""
    api_version: str
    subresource: str = ""

    def __str__(self) -> str:
        through = f' with subresource "{self.subresource}"' if self.subresource else ""
        version = f" using {self.api_version}" if self.operation == "Update" else ""
        return f'"{self.manager}"{through}{version}'


@dataclass(slots=True)
class Managers:
    """The decoded managedFields of one object."""

    sets: dict[Owner, PathSet] = field(default_factory=dict)
    times: dict[Owner, str] = field(default_factory=dict)
    entries: dict[Owner, tuple[PathSet, dict[str, Any]]] = field(default_factory=dict)
    """What was decoded, so that an entry that did not change is not spelled anew."""

    def drop_empty(self) -> None:
        for owner in [owner for owner, paths in self.sets.items() if not paths]:
            del self.sets[owner]


def decode(entries: Any) -> Managers:
    """Managers of a managedFields list; entries that cannot be read are left out."""
    managers = Managers()
    for entry in entries if isinstance(entries, list) else []:
        if not isinstance(entry, Mapping) or not entry.get("operation"):
            continue
        owner = Owner(entry.get("manager", ""), entry["operation"], entry.get("apiVersion", ""), entry.get("subresource", ""))
        managers.sets[owner] = frozenset(fieldsets.from_fields_v1(entry.get("fieldsV1") or {}))
        managers.times[owner] = entry.get("time", "")
        managers.entries[owner] = managers.sets[owner], dict(entry)
    return managers


def encode(managers: Managers) -> list[dict[str, Any]]:
    """The managedFields list: applies first, then by time, name, version, subresource."""

    def order(owner: Owner) -> tuple[Any, ...]:
        return owner.operation, managers.times.get(owner, ""), owner.manager, owner.api_version, owner.subresource

    entries = []
    for owner in sorted(managers.sets, key=order):
        known, before = managers.entries.get(owner, (None, {}))
        if known == managers.sets[owner] and before.get("time", "") == managers.times.get(owner, ""):
            entries.append(before)
            continue
        entry: dict[str, Any] = {
            "manager": owner.manager,
            "operation": owner.operation,
            "apiVersion": owner.api_version,
            "time": managers.times.get(owner, ""),
            "fieldsType": "FieldsV1",
            "fieldsV1": fieldsets.to_fields_v1(managers.sets[owner]),
        }
        if not entry["time"]:
            del entry["time"]
        if owner.subresource:
            entry["subresource"] = owner.subresource
        entries.append(entry)
    return entries


def ignored(kind: Kind, subresource: str) -> tuple[Path, ...]:
    """Path prefixes that a write through this endpoint cannot set, and so cannot own."""
    if subresource == "status":
        if kind.crd is not None:
            return ("f:spec",), ("f:metadata",)
        return (("f:spec",),) if kind.has_status else ()
    return (("f:status",),) if kind.has_status else ()


def _without(paths: PathSet, prefixes: tuple[Path, ...]) -> PathSet:
    if not prefixes:
        return paths - _UNOWNED
    return frozenset(path for path in paths - _UNOWNED if not any(path[: len(p)] == p for p in prefixes))


def after_update(
    kind: Kind,
    live: Mapping[str, Any],
    new: Mapping[str, Any],
    *,
    sent: Any,
    manager: str,
    now: str,
    subresource: str = "",
) -> list[dict[str, Any]]:
    """managedFields after a create, replace or patch: the writer owns what it changed.

    `new` is what will be stored (defaulted, pruned). `sent` are the managedFields the client sent back: an empty list
    resets ownership, None keeps the live entries. `live` is the empty mapping on create.
    """
    if sent in ([], [{}]):
        return []
    managers = decode(sent)
    if not managers.sets or subresource:
        # Clients that know nothing of managedFields must not erase them.
        managers = decode(live.get("metadata", {}).get("managedFields"))
    if live and not managers.sets:
        return []
    try:
        old_flat = fieldsets.flatten(kind.schema, _comparable(live))
        new_flat = fieldsets.flatten(kind.schema, _comparable(new))
    except fieldsets.SchemaMismatchError:
        return encode(managers)
    change = fieldsets.compare(old_flat, new_flat)
    prefixes = ignored(kind, subresource)
    written = _without(change.added | change.modified, prefixes) - _always_there(kind, new_flat, change.added)
    if subresource == "scale":
        # A Scale says zero by leaving the count out, so nobody owns it then.
        zero = frozenset(path for path in written if new_flat[path] == 0)
        written -= zero
        change = fieldsets.Comparison(added=change.added, modified=change.modified, removed=change.removed | zero)
    owner = Owner(manager, "Update", kind.api_version, subresource)
    before = managers.sets.get(owner, EMPTY)
    for other in managers.sets:
        managers.sets[other] -= change.removed if other == owner else written | change.removed
    managers.sets[owner] = managers.sets.get(owner, EMPTY) | written
    if managers.sets[owner] != before:
        managers.times[owner] = now
    managers.drop_empty()
    return encode(managers)


def after_status(kind: Kind, live: Mapping[str, Any], new: Mapping[str, Any], *, manager: str, now: str) -> list[dict[str, Any]]:
    """managedFields after a write of nothing but the status: only that half is compared."""
    managers = decode(live["metadata"].get("managedFields"))
    old_flat = fieldsets.flatten(kind.schema, {"status": live.get("status") or {}})
    new_flat = fieldsets.flatten(kind.schema, {"status": new["status"]})
    change = fieldsets.compare(old_flat, new_flat)
    written = (change.added | change.modified) - {("f:status",)}
    owner = Owner(manager, "Update", kind.api_version, "status")
    for other in managers.sets:
        managers.sets[other] -= change.removed if other == owner else written | change.removed
    managers.sets[owner] = managers.sets.get(owner, EMPTY) | written
    if managers.sets[owner] != managers.entries.get(owner, (EMPTY, {}))[0]:
        managers.times[owner] = now
    managers.drop_empty()
    return encode(managers)


def _always_there(kind: Kind, flat: Mapping[Path, Any], among: Iterable[Path]) -> set[Path]:
    """Structs a Go value always has, from the root down: they are never 'added' by anybody."""
    found: set[Path] = set()
    if kind.crd is not None:
        return found
    for path in among:
        if flat[path] is not fieldsets.Mark.STRUCT and flat[path] is not fieldsets.Mark.HOLLOW:
            continue
        node = kind.schema
        for element in path:
            child = node.fields.get(element[2:]) if element.startswith("f:") and node.shape == "map" else None
            if child is None or not _in_go(child):
                break
            node = child
        else:
            found.add(path)
    return found


def _in_go(node: Node) -> bool:
    """Whether a Go value has this field even when nobody set it: a plain struct, or a list or map without omitempty."""
    return node.always or (node.shape in ("list", "map") and not node.type and not node.drop_zero)


def _comparable(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The object without managedFields, which nobody owns and which would only cost time."""
    out = {key: value for key, value in manifest.items() if key not in ("apiVersion", "kind")}
    if "metadata" in out:
        out["metadata"] = {key: value for key, value in out["metadata"].items() if key != "managedFields"}
    return out


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What a server-side apply asks to store."""

    manifest: dict[str, Any]
    managers: Managers
    owner: Owner
    changed: bool
    """Whether the object itself differs from the live one; when it does not, the entry's time stays as it was."""


FIRST = "before-first-apply"


def apply(
    kind: Kind, live: Mapping[str, Any], config: dict[str, Any], *, manager: str, force: bool, subresource: str = ""
) -> Applied:
    """Merge an applied configuration into the live object (empty mapping: there is none yet).

    Raises ApiError 409 with one cause per conflicting field, 400/500 when the configuration does not fit the schema.
    """
    prefixes = ignored(kind, subresource)
    config = {key: value for key, value in config.items() if (f"f:{key}",) not in prefixes or key == "metadata"}
    if "metadata" in config:
        config["metadata"] = {key: value for key, value in config["metadata"].items() if key != "managedFields"}
    schema = kind.schema
    live_body = _comparable(live)
    try:
        config_set = _without(fieldsets.members(fieldsets.flatten(schema, config)), prefixes)
        merged = fieldsets.merge(schema, live_body, {k: v for k, v in config.items() if k not in ("apiVersion", "kind")})
        managers = decode(live.get("metadata", {}).get("managedFields"))
        live_flat = fieldsets.flatten(schema, live_body)
    except fieldsets.SchemaMismatchError as error:
        raise untyped(kind, config, str(error.args[0])) from None
    if live and not managers.sets:
        first = Owner(FIRST, "Update", kind.api_version)
        managers.sets[first] = _without(frozenset(live_flat), prefixes) - _always_there(kind, live_flat, live_flat)
        managers.drop_empty()
    owner = Owner(manager, "Apply", kind.api_version, subresource)
    # A manager applies under one version at a time: its entry of an older version is the last set all the same.
    last = EMPTY
    for other in [o for o in managers.sets if (o.manager, o.operation, o.subresource) == (manager, "Apply", subresource)]:
        last |= managers.sets.pop(other)
        if other != owner:
            managers.times.pop(other, None)
    managers.sets[owner] = config_set
    if last - config_set:
        merged = _prune(kind, merged, last, managers) or {}
    change = fieldsets.compare(live_flat, fieldsets.flatten(schema, merged))
    _settle(managers, owner, change, force=force)
    merged.setdefault("metadata", {})
    return Applied(
        manifest={"apiVersion": kind.api_version, "kind": kind.kind, **merged},
        managers=managers,
        owner=owner,
        changed=not fieldsets.same(merged, live_body),
    )


def _prune(kind: Kind, merged: dict[str, Any], last: PathSet, managers: Managers) -> Any:
    """Take out what this manager applied before, no longer applies, and nobody else owns (SMD: merge/update.go prune)."""
    schema = kind.schema
    last_all = fieldsets.with_structs(schema, last)
    pruned = fieldsets.remove(schema, merged, last_all) or {}
    owned: set[Path] = set()
    for paths in managers.sets.values():
        owned |= paths
    everything = fieldsets.with_structs(schema, fieldsets.members(fieldsets.flatten(schema, merged)))
    rest = fieldsets.with_structs(schema, fieldsets.members(fieldsets.flatten(schema, pruned)))
    pruned = fieldsets.remove(schema, merged, everything - rest - fieldsets.with_structs(schema, owned)) or {}
    rest = fieldsets.with_structs(schema, fieldsets.members(fieldsets.flatten(schema, pruned)))
    return fieldsets.remove(schema, merged, (everything - rest) & last_all)


def _settle(managers: Managers, owner: Owner, change: fieldsets.Comparison, *, force: bool) -> None:
    """Conflicts: fields another manager owns and this apply would change. With force, they change hands."""
    touched = change.added | change.modified
    conflicts = {other: paths & touched for other, paths in managers.sets.items() if other != owner and paths & touched}
    if conflicts and not force:
        raise _conflict(conflicts)
    for other in list(managers.sets):
        if other != owner:
            managers.sets[other] -= conflicts.get(other, EMPTY) | change.removed
    managers.drop_empty()


def _conflict(conflicts: Mapping[Owner, PathSet]) -> ApiError:
    found = [(owner, fieldsets.show(path)) for owner in sorted(conflicts, key=str) for path in sorted(conflicts[owner])]
    causes = [Cause(reason="FieldManagerConflict", message=f"conflict with {owner}", field=path) for owner, path in found]
    count = f"{len(found)} conflict" + ("s" if len(found) > 1 else "")
    if len(found) == 1:
        owner, path = found[0]
        text = f"conflict with {owner}: {path}"
    else:
        lines: list[str] = []
        for owner in sorted(conflicts, key=str):
            lines.append(f"conflicts with {owner}:")
            lines += [f"- {path}" for other, path in found if other == owner]
        text = "\n".join(lines)
    details = {"causes": [cause.as_json() for cause in causes]}
    return ApiError(409, "Conflict", f"Apply failed with {count}: {text}", details)


def untyped(kind: Kind, config: Mapping[str, Any], why: str) -> ApiError:
    """The configuration does not fit the schema; the real server answers 500 without a reason."""
    metadata = config.get("metadata") or {}
    version = f"{kind.group}/{kind.version}"
    where = f"{metadata.get('namespace') or ''}/{metadata.get('name') or ''}; {version}, Kind={kind.kind}"
    return ApiError(500, "", f"failed to create typed patch object ({where}): {why}")
