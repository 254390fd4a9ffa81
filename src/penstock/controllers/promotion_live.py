"""What applying a promotion would do to the target's cluster now, asked of the cluster itself by server-side dry-run.

In: the target's objects before and after, its cluster. Out: one sentence for the pull request. CI needs no credentials for it,
and nothing is written. An object the server refuses is named with the server's reason, a Secret without it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from penstock.controllers.promotion_rendering import sync_name
from penstock.model import flux
from penstock.model.errors import RefusedError, RemoteError
from penstock.model.pipeline import Environment
from penstock.model.rendered import RenderedObject
from penstock.model.resource import Manifest, split_api_version
from penstock.ports.cluster import Cluster
from penstock.promote import text, verdict

_AT_ONCE = 8
_MOST = 100
_SERVERS_OWN = ("managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink")

Effect = Literal["created", "configured", "unchanged", "deleted", "failed", "sealed"]
"""sealed: encrypted, so the server cannot be asked; whoever syncs has the keys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """What would happen to each object that the promotion changes."""

    effects: tuple[tuple[str, Effect, str], ...]
    """(object, effect, the server's reason where it refused)."""
    unasked: int
    when: datetime

    def sentence(self, environment: str) -> str:
        """'**Live check:** applying this to staging would change 2 objects and delete none (server-side dry-run at …).'"""
        counts = {
            kind: sum(1 for _, effect, _ in self.effects if effect == kind) for kind in ("configured", "created", "deleted")
        }
        parts = [f"change {_objects(counts['configured'])}"]
        if counts["created"]:
            parts.append(f"create {counts['created']}")
        parts.append(f"delete {counts['deleted'] or 'none'}")
        told = f"**Live check:** applying this to {environment} would {', '.join(parts[:-1])} and {parts[-1]}"
        told += f" (server-side dry-run at {self.when:%H:%M} UTC)."
        if self.unasked:
            told += f" {self.unasked} more were not asked about."
        if sealed := sum(1 for _, effect, _ in self.effects if effect == "sealed"):
            told += f" {_objects(sealed).capitalize()} could not be asked about: encrypted, and opened only where it is applied."
        refused = [f"- ✖ {text.code(name)}: {text.code(why, 200)}" for name, effect, why in self.effects if effect == "failed"]
        return told + ("\n\nThe cluster would refuse:\n\n" + "\n".join(refused) if refused else "")


def _objects(count: int) -> str:
    return f"{count or 'no'} object{'' if count == 1 else 's'}"


async def check(
    cluster: Cluster,
    environment: Environment,
    before: Sequence[RenderedObject],
    after: Sequence[RenderedObject],
    now: datetime,
) -> Live:
    """Ask about every object that differs. Raises TransientError when the cluster does not answer."""
    changed = verdict.changed_ids(before, after)
    kept = {one.id: one for one in after}
    namespaces = {one.id.name for one in after if one.id.kind == "Namespace" and one.id in changed}
    limit = asyncio.Semaphore(_AT_ONCE)

    async def ask(one: RenderedObject | None, name: str) -> tuple[str, Effect, str]:
        if one is None:
            return name, "deleted", ""
        async with limit:
            return await _ask(cluster, environment, one, name, namespaces)

    effects = await asyncio.gather(*(ask(kept.get(key), f"{key.kind}/{key.name}") for key in changed[:_MOST]))
    return Live(effects=tuple(effects), unasked=max(0, len(changed) - _MOST), when=now)


async def _ask(
    cluster: Cluster, environment: Environment, one: RenderedObject, name: str, namespaces: set[str]
) -> tuple[str, Effect, str]:
    namespace, owner = sync_name(environment)
    metadata: dict[str, Any] = dict(one.manifest.get("metadata") or {})
    metadata["labels"] = {**(metadata.get("labels") or {}), flux.OWNER_NAME: owner, flux.OWNER_NAMESPACE: namespace}
    manifest = {**one.manifest, "metadata": metadata}
    if isinstance(one.manifest.get("sops"), Mapping):
        return name, "sealed", ""
    group, version = split_api_version(str(one.manifest.get("apiVersion") or ""))
    resource = await cluster.resource(group, one.id.kind, version)
    if resource is None:
        return name, "failed", f"the cluster does not serve {one.id.kind} in {one.manifest.get('apiVersion')}"
    live = await cluster.get(resource, one.id.namespace, one.id.name)
    if live is None and one.id.namespace in namespaces:
        return name, "created", ""  # Its namespace comes with it, so the server cannot be asked yet.
    try:
        applied = await cluster.apply(resource, manifest, field_manager=flux.FIELD_MANAGER, dry_run=True)
    except RefusedError as error:
        return name, "failed", error.code if one.id.kind == "Secret" else error.what
    if live is None:
        return name, "created", ""
    return name, "unchanged" if _plain(live) == _plain(applied) else "configured", ""


def _plain(manifest: Mapping[str, Any]) -> Manifest:
    """An object without what the server keeps for itself."""
    metadata = {key: value for key, value in (manifest.get("metadata") or {}).items() if key not in _SERVERS_OWN}
    return {**{key: value for key, value in manifest.items() if key != "status"}, "metadata": metadata}


async def words(
    cluster: Cluster | None,
    environment: Environment,
    before: Sequence[RenderedObject],
    after: Sequence[RenderedObject],
    now: datetime,
) -> str:
    """The sentence, or why there is none."""
    if cluster is None:
        return ""
    try:
        return (await check(cluster, environment, before, after, now)).sentence(environment.name)
    except RemoteError as error:
        return f"**Live check:** not done, {text.clean(error.what)}."
