"""Ask for a reconciliation now, suspend, resume, and wait for the outcome by watch.

In: a cluster, a kind, a name. Out: steps as they happen, told to `tell`, then the revision. Nobody polls.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, cast

from penstock.app import objects
from penstock.app.objects import Kind
from penstock.model import condition as conditions
from penstock.model import errors, flux
from penstock.model.condition import Condition
from penstock.model.resource import Manifest
from penstock.ports.cluster import ApiResource, Cluster, WatchEvent, WatchExpiredError

FIELD_MANAGER = "penstock"
_PAUSE_SECONDS = 1.0
"""Between two attempts to look, when the cluster does not answer."""
_LAST_LOOK_SECONDS = 5.0

Step = Literal["begin", "done", "wait"]
Tell = Callable[[Step, str], None]
Settled = Callable[[Manifest], Condition | None]
"""The Ready condition that ends a wait, once it is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class At:
    """Where an object stands."""

    cluster: Cluster
    kind: Kind
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind.kind} {self.name} in {self.namespace} namespace"


async def reconcile(at: At, *, now: datetime, seconds: float, tell: Tell, with_source: bool = False) -> str:
    """Ask, wait for the answer; the revision. `with_source` has the source fetched first.

    Raises InputError when the object is not there, suspended, not Ready afterwards or not done after `seconds`;
    TransientError when the cluster is silent.
    """
    found = await objects.get(at.cluster, at.kind, at.namespace, at.name)
    _not_suspended(at, found, now)
    if with_source:
        await reconcile(_source_of(at, found), now=now, seconds=seconds, tell=tell)
    token = now.isoformat()
    tell("begin", f"annotating {at}")
    annotated = await _patch(at, {"metadata": {"annotations": {flux.REQUESTED_AT: token}}})
    tell("done", f"{at.kind.kind} annotated")

    def handled(manifest: Manifest) -> Condition | None:
        annotations = manifest["metadata"].get("annotations") or {}
        answer = (manifest.get("status") or {}).get("lastHandledReconcileAt")
        # somebody may have asked once more meanwhile: that answers us too
        return _outcome(manifest) if answer in (token, annotations.get(flux.REQUESTED_AT, token)) else None

    return await _end(at, annotated, handled, seconds, tell)


async def suspend(at: At, *, tell: Tell, reason: str = "", until: datetime | None = None, by: str = "") -> None:
    """Have nothing done about the object any more. What was said of an earlier suspension is replaced.

    Raises InputError when it is not there; RefusedError, TransientError.
    """
    await objects.get(at.cluster, at.kind, at.namespace, at.name)
    tell("begin", f"suspending {at.kind.human} {at.name} in {at.namespace} namespace")
    marks = {
        objects.SUSPEND_REASON: reason or None,
        objects.SUSPEND_UNTIL: conditions.timestamp(until) if until else None,
        objects.SUSPEND_BY: by or None,
    }
    await _patch(at, {"metadata": {"annotations": marks}, "spec": {"suspend": True}})
    tell("done", f"{at.kind.human} suspended")


async def resume(at: At, *, tell: Tell) -> Manifest:
    """End a suspension, and what was said of it; the object then. Raises as `suspend`."""
    await objects.get(at.cluster, at.kind, at.namespace, at.name)
    tell("begin", f"resuming {at.kind.human} {at.name} in {at.namespace} namespace")
    marks = dict.fromkeys((objects.SUSPEND_REASON, objects.SUSPEND_UNTIL, objects.SUSPEND_BY))
    found = await _patch(at, {"metadata": {"annotations": marks}, "spec": {"suspend": False}})
    tell("done", f"{at.kind.human} resumed")
    return found


async def resumed(at: At, since: Manifest, *, seconds: float, tell: Tell) -> str:
    """Wait until a resumed object was reconciled as it now is; the revision. Raises as `reconcile`."""
    return await _end(at, since, _outcome, seconds, tell)


def _not_suspended(at: At, manifest: Manifest, now: datetime) -> None:
    if not objects.is_suspended(manifest):
        return
    said = objects.suspension(manifest)
    raise errors.invalid(
        f"{at} is {said.text(now) if said else 'suspended'}", hint=f"penstock resume {at.kind.human} {at.name}", code="Suspended"
    )


def _source_of(at: At, manifest: Manifest) -> At:
    reference = (manifest.get("spec") or {}).get("sourceRef") or {}
    group = str(reference.get("apiVersion") or "").rpartition("/")[0] or flux.SOURCE_GROUP
    kind = objects.of_kind(group, str(reference.get("kind") or ""))
    if kind is None or not kind.source:
        what = f"its source is of the kind {reference['kind']}" if reference.get("kind") else "it has no source of its own"
        raise errors.invalid(f"{at}: {what}, which cannot be asked to fetch", hint="leave out --with-source", code="Source")
    namespace = str(reference.get("namespace") or at.namespace)
    return At(cluster=at.cluster, kind=kind, namespace=namespace, name=str(reference.get("name") or ""))


async def _patch(at: At, body: Mapping[str, Any]) -> Manifest:
    resource = await objects.served(at.cluster, at.kind)
    question = at.cluster.patch(resource, at.namespace, at.name, body, kind="merge", field_manager=FIELD_MANAGER)
    found = await objects.answered(at.cluster, question)
    if found is None:
        raise _gone(at)
    return found


def _outcome(manifest: Manifest) -> Condition | None:
    """Ready, when it speaks of the object as it now is and is no step on the way."""
    ready = conditions.of(manifest).get(flux.READY)
    metadata, status = manifest["metadata"], manifest.get("status") or {}
    if ready is None or ready.status == "Unknown":
        return None
    observed = ready.observed_generation or int(status.get("observedGeneration") or 0)
    if observed < int(metadata.get("generation") or 0) or ready.reason == flux.DEPENDENCY_NOT_READY:
        return None
    return ready


async def _end(at: At, since: Manifest, settled: Settled, seconds: float, tell: Tell) -> str:
    tell("wait", f"waiting for {at.kind.kind} reconciliation")
    manifest = await _wait(at, since, settled, seconds)
    ready = settled(manifest)
    if ready is None or ready.status != "True":
        said = f" ({ready.reason}): {ready.message}" if ready else ""
        raise errors.invalid(f"{at.kind.kind} {at.name} reconciliation failed{said}", code="NotReady")
    revision = at.kind.revision(manifest)
    tell("done", f"{at.kind.did} revision {revision}")
    return revision


async def _wait(at: At, since: Manifest, settled: Settled, seconds: float) -> Manifest:
    """The object once it is settled. Raises InputError after `seconds` or when it is gone, TransientError in silence."""
    resource = await objects.served(at.cluster, at.kind)
    try:
        async with asyncio.timeout(seconds):
            return await _watched(at, resource, since, settled)
    except TimeoutError:
        # One more look tells a cluster that is silent from an object that is not done.
        last = await objects.answered(at.cluster, at.cluster.get(resource, at.namespace, at.name), _LAST_LOOK_SECONDS)
    if last is None:
        raise _gone(at)
    if settled(last) is not None:
        return last
    ready = conditions.of(last).get(flux.READY)
    state = f"Ready is {ready.status} ({ready.reason}): {ready.message}" if ready else "nothing has reconciled it yet"
    hint = None if ready else "is its controller running? penstock run, or penstock up"
    raise errors.invalid(f"timed out after {seconds:g} s waiting for {at}: {state}", hint=hint, code="Timeout")


async def _watched(at: At, resource: ApiResource, since: Manifest, settled: Settled) -> Manifest:
    """Follow the object from `since` until it is settled, through lost connections."""
    manifest: Manifest | None = since
    while True:
        if manifest is None:
            raise _gone(at)
        if settled(manifest) is not None:
            return manifest
        changes = at.cluster.watch(
            resource,
            at.namespace,
            resource_version=str(manifest["metadata"]["resourceVersion"]),
            field_selector=f"metadata.name={at.name}",
        )
        try:
            # closed here: a watch left open would outlive the connections
            async with contextlib.aclosing(cast(AsyncGenerator[WatchEvent], changes)):
                async for change in changes:
                    if change.kind == "DELETED":
                        raise _gone(at)
                    if change.kind != "BOOKMARK" and settled(change.object) is not None:
                        return change.object
        except WatchExpiredError:
            pass
        except errors.TransientError:
            await asyncio.sleep(_PAUSE_SECONDS)
        manifest = await _looked(at, resource)


async def _looked(at: At, resource: ApiResource) -> Manifest | None:
    """The object, asked for until the cluster answers; the caller's deadline ends it."""
    while True:
        try:
            return await at.cluster.get(resource, at.namespace, at.name)
        except errors.TransientError:
            await asyncio.sleep(_PAUSE_SECONDS)


def _gone(at: At) -> errors.InputError:
    return errors.invalid(f"{at} was deleted meanwhile", code="NotFound")
