"""What has to be done so that a cluster holds what a build says: one value, made before anything is sent.

In: the desired objects, the inventory, and a view of the live ones. Out: a `Plan`: what is as it should be, what must be
looked at, in which stages, what may have to go. Nothing here decides by itself that an object is gone: an object that
the view does not know is looked at (a dry-run, or a read before a prune).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from penstock.apply import drifting, marks, normalizing, ordering, ownership
from penstock.apply.drifting import IgnoreRule
from penstock.apply.marks import Owner
from penstock.model import flux
from penstock.model.errors import Place
from penstock.model.inventory import Inventory
from penstock.model.rendered import Rendered
from penstock.model.resource import Manifest, ResourceId, split_api_version
from penstock.model.values import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """One object as it is to be applied."""

    id: ResourceId
    manifest: Manifest
    """Normalised, with owner labels. Shared: never change it in place."""
    digest: str
    place: Place | None = None
    """Where in the repository it stands."""

    @property
    def version(self) -> str:
        """The API version it is written in, without the group."""
        return split_api_version(self.manifest["apiVersion"])[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveObject:
    """What we remember of an object in the cluster."""

    id: ResourceId
    uid: str
    resource_version: str
    owner: Owner | None
    fields: ownership.Fields | None
    """The fields we hold; None when we hold none."""
    digest: str
    """Fingerprint of those fields and their values."""
    undo: bool
    """Whether somebody's hand-made changes are to be taken over."""
    manifest: Manifest
    """The object, without managedFields."""


def observe(
    manifest: Manifest,
    manager: str = flux.FIELD_MANAGER,
    undone: Sequence[tuple[str, str]] = ownership.UNDONE_MANAGERS,
) -> LiveObject:
    """What to remember of an object as the server shows it. Takes the manifest over: managedFields are removed from it."""
    metadata = manifest.get("metadata") or {}
    managed = metadata.pop("managedFields", None)
    fields = ownership.fields_of(managed, manager)
    return LiveObject(
        id=ResourceId.of(manifest),
        uid=str(metadata.get("uid") or ""),
        resource_version=str(metadata.get("resourceVersion") or ""),
        owner=marks.owner(manifest),
        fields=fields,
        digest=ownership.digest(manifest, fields) if fields is not None else "",
        undo=ownership.to_undo(managed, manager, undone) and not marks.merged(manifest),
        manifest=manifest,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """The server said that applying the manifest of `desired` to an object whose fields of ours are `live` changes
    nothing (or just applied it)."""

    desired: str
    live: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to do, in order."""

    unchanged: tuple[Desired, ...] = ()
    skipped: tuple[Desired, ...] = ()
    """Marked as not to be applied."""
    stages: tuple[tuple[Desired, ...], ...] = ()
    """What differs or is not known, by stage and in order inside it."""
    stale: tuple[ResourceId, ...] = ()
    """In the inventory and no longer desired, in the order of pruning."""
    before: Inventory = field(default_factory=Inventory)
    """The inventory to write before the first apply: everything that is or may come to be in the cluster."""
    desired: Inventory = field(default_factory=Inventory)
    """The inventory once everything is applied and pruned."""

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return not self.stages and not self.stale

    @property
    def changed(self) -> tuple[Desired, ...]:
        """Everything of all stages."""
        return tuple(each for stage in self.stages for each in stage)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Change:
    """What happened to one object."""

    id: ResourceId
    outcome: Outcome
    why: str = ""

    def __str__(self) -> str:
        return f"{self.id} {self.outcome}"


def desired(rendered: Rendered, owner: Owner) -> tuple[Desired, ...]:
    """The objects of a build as they are to be applied for an owner, in order."""
    found = [_desired(each.manifest, owner, each.origin.place) for each in rendered.objects]
    return tuple(sorted(found, key=lambda each: ordering.key(each.id)))


def _desired(manifest: Manifest, owner: Owner, place: Place) -> Desired:
    sent = marks.with_owner(normalizing.normalized(manifest), owner)
    return Desired(id=ResourceId.of(sent), manifest=sent, digest=_digest(sent), place=place)


def plan(
    wanted: Sequence[Desired],
    inventory: Inventory,
    live: Mapping[ResourceId, LiveObject],
    verified: Mapping[ResourceId, Verified] | None = None,
    ignore: Sequence[IgnoreRule] = (),
) -> Plan:
    """The plan.

    wanted: in order. live: the objects we know of; one that is missing here may still exist. verified: what the server
    said before, by object. ignore: fields that may drift.
    """
    unchanged: list[Desired] = []
    skipped: list[Desired] = []
    stages: dict[int, list[Desired]] = {}
    for asked in wanted:
        known = live.get(asked.id)
        each = _adapted(asked, known, ignore)
        if marks.not_applied(each.manifest) or (known is not None and marks.not_applied(known.manifest)):
            skipped.append(each)
        elif known is not None and as_wanted(each, known, (verified or {}).get(each.id)):
            unchanged.append(each)
        elif known is not None and marks.only_created(each.manifest):
            skipped.append(each)
        else:
            stages.setdefault(ordering.stage(each.id), []).append(each)
    desired_inventory = Inventory({each.id: each.version for each in wanted})
    return Plan(
        unchanged=tuple(unchanged),
        skipped=tuple(skipped),
        stages=tuple(tuple(stages[stage]) for stage in sorted(stages)),
        stale=in_prune_order(key for key in inventory if key not in desired_inventory),
        before=inventory.union(desired_inventory),
        desired=Inventory(desired_inventory.versions, inventory.unreadable),
    )


def _adapted(asked: Desired, known: LiveObject | None, rules: Sequence[IgnoreRule]) -> Desired:
    if not rules or known is None:
        return asked
    sent = drifting.adapted(asked.manifest, known.manifest, known.fields, rules)
    return asked if sent is asked.manifest else replace(asked, manifest=sent, digest=_digest(sent))


def _digest(manifest: Manifest) -> str:
    return hashlib.blake2b(msgspec.json.encode(manifest, order="sorted"), digest_size=16).hexdigest()


def as_wanted(wanted: Desired, known: LiveObject, verified: Verified | None) -> bool:
    """Whether applying would certainly change nothing."""
    if known.fields is None or known.undo:
        return False
    if verified is not None and verified == Verified(desired=wanted.digest, live=known.digest):
        return True
    return ownership.matches(wanted.manifest, known.manifest, known.fields)


def in_prune_order(ids: Iterable[ResourceId]) -> tuple[ResourceId, ...]:
    """Last applied, first pruned."""
    return tuple(sorted(ids, key=ordering.key, reverse=True))


def differs(live: Manifest, dry_run: Manifest) -> bool:
    """Whether a dry-run's result is another object than the live one: labels, annotations, and all but metadata and
    status (Flux's rule; managedFields and times do not count)."""
    for where in ("labels", "annotations"):
        if (_metadata(live).get(where) or {}) != (_metadata(dry_run).get(where) or {}):
            return True
    apart = {"metadata", "status"}
    return {key: value for key, value in live.items() if key not in apart} != {
        key: value for key, value in dry_run.items() if key not in apart
    }


def _metadata(manifest: Manifest) -> Manifest:
    found = manifest.get("metadata")
    return found if isinstance(found, dict) else {}
