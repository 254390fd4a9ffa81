"""Flux's own objects in one cluster, as its command line speaks of them. Looks only.

In: a cluster and the words of a command line (`ks dev`, `source git fleet`). Out: manifests, rows, totals, clean exports.
"""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from penstock.model import condition as conditions
from penstock.model import errors, flux
from penstock.model.resource import Manifest
from penstock.ports.cluster import ApiResource, Cluster

PATIENCE_SECONDS = 30.0
"""How long a cluster may take to answer one question."""

SUSPEND_REASON: Final = flux.SUSPEND_REASON
SUSPEND_UNTIL: Final = flux.SUSPEND_UNTIL
SUSPEND_BY: Final = flux.SUSPEND_BY

_NOT_EXPORTED = (flux.REQUESTED_AT, "kubectl.kubernetes.io/last-applied-configuration")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of Flux and what its command line calls it."""

    group: str
    kind: str
    human: str
    """As it stands in sentences: 'kustomization', 'source git'."""
    words: tuple[str, ...]
    """What it may be called after the verb; of a source, after `source`."""
    source: bool = False

    @property
    def did(self) -> str:
        """What is done with a revision: 'applied' or 'fetched'."""
        return "fetched" if self.source else "applied"

    def revision(self, manifest: Mapping[str, Any]) -> str:
        """What is live of it; '' before the first success."""
        status = _mapping(manifest.get("status"))
        found = _mapping(status.get("artifact")).get("revision") if self.source else status.get("lastAppliedRevision")
        return str(found or "")


KUSTOMIZATION = Kind(
    group=flux.KUSTOMIZE_GROUP, kind=flux.KUSTOMIZATION, human="kustomization", words=("ks", "kustomization", "kustomizations")
)
GIT_REPOSITORY = Kind(
    group=flux.SOURCE_GROUP,
    kind=flux.GIT_REPOSITORY,
    human="source git",
    words=("git", "gitrepository", "gitrepositories", "gitrepo"),
    source=True,
)
KINDS: Final = (
    GIT_REPOSITORY,
    Kind(
        group=flux.SOURCE_GROUP,
        kind="OCIRepository",
        human="source oci",
        words=("oci", "ocirepository", "ocirepositories"),
        source=True,
    ),
    Kind(group=flux.SOURCE_GROUP, kind="Bucket", human="source bucket", words=("bucket", "buckets"), source=True),
    KUSTOMIZATION,
)
"""In the order they are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a command line names."""

    kinds: tuple[Kind, ...]
    names: tuple[str, ...] = ()

    @property
    def one(self) -> Kind:
        """The kind, of verbs that take exactly one."""
        if len(self.kinds) != 1:
            raise errors.invalid("one kind has to be named", hint="ks NAME, or source git NAME", code="Kind")
        return self.kinds[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspension:
    """Why an object is suspended, as far as somebody said so."""

    reason: str = ""
    until: str = ""
    by: str = ""

    def text(self, now: datetime | None = None) -> str:
        """'suspended by dana until 2026-05-01T11:00:00Z: load test'; with `now`, whether that time has passed."""
        parts = ["suspended"]
        if self.by:
            parts.append(f"by {self.by}")
        if self.until:
            parts.append(f"until {self.until}")
            if now is not None and self._is_over(now):
                parts.append("(over)")
        return " ".join(parts) + (f": {self.reason}" if self.reason else "")

    def _is_over(self, now: datetime) -> bool:
        try:
            until = datetime.fromisoformat(self.until)
        except ValueError:
            # written by hand, for people
            return False
        return (until if until.tzinfo else until.replace(tzinfo=UTC)) <= now


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One object as `get` shows it."""

    kind: str
    namespace: str
    name: str
    revision: str
    suspended: bool
    ready: conditions.ConditionStatus
    message: str
    suspension: Suspension | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """All objects of a kind, counted; `storage_bytes` is of the artifacts, None where there are none."""

    kind: str
    running: int
    failing: int
    suspended: int
    storage_bytes: int | None


def parse(words: Sequence[str]) -> Asked:
    """Read `ks`, `kustomization dev web`, `sources git`, `source git fleet`, `sources all`, `all`. Raises InputError."""
    first, *rest = [words[0].lower(), *words[1:]] if words else [""]
    if first == "all":
        if rest:
            raise errors.invalid("'all' takes no names", code="Kind")
        return Asked(kinds=KINDS)
    if first in ("source", "sources"):
        if not rest:
            raise errors.invalid("which kind of source?", hint="source git", code="Kind")
        if rest[0].lower() == "all":
            return Asked(kinds=tuple(kind for kind in KINDS if kind.source))
        return Asked(kinds=(_called(rest[0], sources=True),), names=tuple(rest[1:]))
    return Asked(kinds=(_called(first, sources=False),), names=tuple(rest))


def _called(word: str, *, sources: bool) -> Kind:
    for kind in KINDS:
        # the full kinds of sources are clear without the word before them
        if word.lower() in kind.words and (kind.source == sources or word.lower() not in ("git", "oci")):
            return kind
    known = [kind.words[0] if sources or not kind.source else kind.words[1] for kind in KINDS if kind.source or not sources]
    near = difflib.get_close_matches(word.lower(), [name for kind in KINDS for name in kind.words], n=1)
    raise errors.invalid(
        f"there is no kind {word!r}",
        hint=f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}{'' if sources else ', all'}",
        code="Kind",
    )


def of_kind(group: str, kind: str) -> Kind | None:
    """The kind of a reference, when it is one of ours."""
    return next((known for known in KINDS if (known.group, known.kind) == (group, kind)), None)


async def answered[T](cluster: Cluster, question: Awaitable[T], seconds: float = PATIENCE_SECONDS) -> T:
    """The answer of a cluster. Raises TransientError when there is none in time."""
    try:
        async with asyncio.timeout(seconds):
            return await question
    except TimeoutError:
        raise errors.TransientError(f"{cluster.name} did not answer within {seconds:.0f} s", code="NoAnswer") from None


async def served(cluster: Cluster, kind: Kind) -> ApiResource:
    """The kind as the server serves it. Raises InputError when it does not."""
    found = await answered(cluster, cluster.resource(kind.group, kind.kind))
    if found is None:
        raise errors.invalid(
            f"{cluster.name} does not know the kind {kind.kind} ({kind.group})",
            hint="penstock install puts the definitions of Kustomization and GitRepository there",
            code="NotInstalled",
        )
    return found


async def get(cluster: Cluster, kind: Kind, namespace: str, name: str) -> Manifest:
    """One object. Raises InputError when it is not there, with the nearest name."""
    resource = await served(cluster, kind)
    found = await answered(cluster, cluster.get(resource, namespace, name))
    if found is not None:
        return found
    there = await answered(cluster, cluster.list(resource, namespace, metadata_only=True))
    near = difflib.get_close_matches(name, [str(item["metadata"]["name"]) for item in there.items], n=1)
    raise errors.invalid(
        f"{kind.kind} object '{name}' not found in {namespace} namespace",
        hint=f"did you mean {near[0]}?" if near else None,
        code="NotFound",
    )


async def find(cluster: Cluster, asked: Asked, namespace: str, *, labels: str = "") -> list[tuple[Kind, list[Manifest]]]:
    """What is asked for, by kind and sorted; namespace '' is all. Of several kinds, those not served are left out.

    Raises InputError when a name is not there or the one kind is not served; RefusedError, TransientError.
    """
    found = []
    for kind in asked.kinds:
        if len(asked.kinds) > 1 and await answered(cluster, cluster.resource(kind.group, kind.kind)) is None:
            continue
        if asked.names and namespace:
            items = [await get(cluster, kind, namespace, name) for name in dict.fromkeys(asked.names)]
        else:
            resource = await served(cluster, kind)
            listed = await answered(cluster, cluster.list(resource, namespace, label_selector=labels))
            items = [item for item in listed.items if not asked.names or item["metadata"]["name"] in asked.names]
            _all_there(asked, kind, items)
        found.append((kind, sorted(items, key=_place)))
    return found


def _all_there(asked: Asked, kind: Kind, items: Sequence[Manifest]) -> None:
    there = {item["metadata"]["name"] for item in items}
    if absent := [name for name in asked.names if name not in there]:
        raise errors.invalid(f"{kind.kind} object '{absent[0]}' not found in any namespace", code="NotFound")


def row(kind: Kind, manifest: Manifest) -> Row:
    """An object as `get` shows it."""
    metadata = manifest["metadata"]
    ready = conditions.of(manifest).get(flux.READY)
    return Row(
        kind=kind.kind,
        namespace=str(metadata.get("namespace") or ""),
        name=str(metadata["name"]),
        revision=kind.revision(manifest),
        suspended=is_suspended(manifest),
        ready=ready.status if ready else "Unknown",
        message=ready.message if ready else "waiting to be reconciled",
        suspension=suspension(manifest),
    )


def total(kind: Kind, items: Sequence[Manifest]) -> Total:
    """Objects of a kind, counted."""
    sizes = [_mapping(_mapping(item.get("status")).get("artifact")).get("size") for item in items]
    return Total(
        kind=kind.kind,
        running=len(items),
        failing=sum(conditions.of(item).is_false(flux.READY) for item in items),
        suspended=sum(is_suspended(item) for item in items),
        storage_bytes=sum(size for size in sizes if isinstance(size, int)) if kind.source else None,
    )


def exported(manifest: Manifest) -> Manifest:
    """What somebody wrote of an object: no status, nothing the server or a request left in its metadata."""
    known = manifest["metadata"]
    metadata: Manifest = {key: known[key] for key in ("name", "namespace") if known.get(key)}
    if labels := known.get("labels"):
        metadata["labels"] = labels
    if annotations := {key: text for key, text in (known.get("annotations") or {}).items() if key not in _NOT_EXPORTED}:
        metadata["annotations"] = annotations
    return {
        "apiVersion": manifest["apiVersion"],
        "kind": manifest["kind"],
        "metadata": metadata,
        "spec": manifest.get("spec") or {},
    }


def is_suspended(manifest: Manifest) -> bool:
    """Whether nothing is done about the object."""
    return _mapping(manifest.get("spec")).get("suspend") is True


def suspension(manifest: Manifest) -> Suspension | None:
    """Why it is suspended; None when it is not, or nobody said."""
    annotations = manifest["metadata"].get("annotations") or {}
    if not is_suspended(manifest) or not any(mark in annotations for mark in (SUSPEND_REASON, SUSPEND_UNTIL, SUSPEND_BY)):
        return None
    return Suspension(
        reason=str(annotations.get(SUSPEND_REASON) or ""),
        until=str(annotations.get(SUSPEND_UNTIL) or ""),
        by=str(annotations.get(SUSPEND_BY) or ""),
    )


def _place(manifest: Manifest) -> tuple[str, str]:
    metadata = manifest["metadata"]
    return str(metadata.get("namespace") or ""), str(metadata["name"])


def _mapping(found: Any) -> Mapping[str, Any]:
    return found if isinstance(found, Mapping) else {}
