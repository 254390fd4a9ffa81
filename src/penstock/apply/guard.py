"""What may be pruned, and what waits for a person.

In: stale objects as they stand in the cluster, and whose Kustomization asks. Out: one decision per object, and whether
the whole prune is held. A held prune names a digest; consent is given to that digest, so it cannot be used for another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from penstock.apply import marks
from penstock.apply.marks import Owner
from penstock.apply.planning import LiveObject
from penstock.model import flux
from penstock.model.resource import ResourceId

Decision = Literal["delete", "gone", "opted-out", "handed-over", "not-ours", "protected"]
"""What to do with a stale object; everything but 'delete' settles it without a request."""

HELD_KINDS = frozenset({("", "Namespace"), ("apiextensions.k8s.io", "CustomResourceDefinition"), ("", "PersistentVolumeClaim")})
"""What takes data with it when it goes."""
_SMALL = 3
_MANY = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A prune that waits for consent."""

    digest: str
    why: str
    ids: tuple[ResourceId, ...]


def decide(
    id: ResourceId,  # noqa: A002 - what the house calls it
    live: LiveObject | None,
    owner: Owner,
    *,
    own: Collection[ResourceId] = (),
    inhabited: Mapping[str, Collection[Owner]] | None = None,
) -> Decision:
    """What to do with one stale object.

    live: as read now, None when the server said that it is not there. own: what the Kustomization itself lives on (its
    own object, its source, its namespace). inhabited: for a namespace, the owners of objects in it.
    """
    if live is None:
        return "gone"
    if live.owner is not None and live.owner != owner:
        return "handed-over"
    if live.owner is None:
        return "not-ours"
    if marks.not_pruned(live.manifest):
        return "opted-out"
    if id in own or _control_plane(id):
        return "protected"
    if id.kind == "Namespace" and not id.group:
        others = set((inhabited or {}).get(id.name, ())) - {owner}
        if others or id.name == owner.namespace:
            return "protected"
    return "delete"


def hold(deleted: Collection[ResourceId], inventory_size: int, rendered_digest: str) -> Hold | None:
    """Whether this prune has to wait for consent, and why. `inventory_size` is how many objects there were before."""
    ids = tuple(sorted(deleted))
    why = _why_held(ids, inventory_size)
    if not why:
        return None
    return Hold(digest=consent_digest(ids, rendered_digest), why=why, ids=ids)


def consent_digest(ids: Iterable[ResourceId], rendered_digest: str) -> str:
    """What consent is bound to: these objects going, for this build."""
    text = "\n".join([rendered_digest, *(each.inventory_id for each in sorted(ids))])
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def consented(held: Hold, annotations: Mapping[str, str]) -> bool:
    """Whether a person agreed to exactly this prune, or turned the guard off."""
    if annotations.get(flux.PRUNE_GUARD, "").lower() == "disabled":
        return True
    given = annotations.get(flux.PRUNE_CONSENT, "")
    # a prefix is enough for a person to type, as with commit ids; short ones could be guessed into the next prune
    return len(given.removeprefix("sha256:")) >= 12 and held.digest.removeprefix("sha256:").startswith(
        given.removeprefix("sha256:")
    )


def _why_held(ids: tuple[ResourceId, ...], inventory_size: int) -> str:
    if grave := [each for each in ids if (each.group, each.kind) in HELD_KINDS]:
        return f"it would delete {', '.join(str(each) for each in grave[:5])}" + (" and more" if len(grave) > 5 else "")
    if len(ids) >= _SMALL and len(ids) >= inventory_size:
        return f"it would delete everything ({len(ids)} objects)"
    if len(ids) > _MANY and 2 * len(ids) > inventory_size:
        return f"it would delete {len(ids)} of {inventory_size} objects"
    return ""


def _control_plane(id: ResourceId) -> bool:  # noqa: A002 - what the house calls it
    return id.kind == "Namespace" and not id.group and (id.name == "default" or id.name.startswith("kube-"))
