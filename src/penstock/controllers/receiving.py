"""Flux's Receivers: objects that say whose webhook makes which objects look again.

In: the Receivers of a cluster (where their CRD is installed) and their tokens. Out: hooks under
/hook/sha256(token + name + namespace), `status.webhookPath`, and pokes: of our own GitRepositories at once, of all other
objects by Flux's annotation.

A Receiver reaches the objects of its own namespace and no others, whatever it names.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from penstock.adapters.forge.webhooks import Event
from penstock.controllers.hooks import Hook, Hooks, Kind
from penstock.controllers.reporting import Reporter
from penstock.controllers.sources import decoded
from penstock.controllers.specs import Key, annotations_of
from penstock.controllers.watching import Watcher
from penstock.model import duration, flux
from penstock.model.errors import RefusedError, RemoteError
from penstock.model.resource import Manifest, split_api_version
from penstock.ports.clock import Clock
from penstock.ports.cluster import ApiResource, Cluster

_log = logging.getLogger(__name__)
_KINDS: Mapping[str, Kind] = {
    "generic": "open",
    "generic-hmac": "generic",
    "github": "github",
    "gitlab": "gitlab",
    "gitea": "gitea",
    "bitbucket": "bitbucket",
    "harbor": "harbor",
    "nexus": "nexus",
    "dockerhub": "open",
    "quay": "open",
    "acr": "open",
}
_GROUPS = {
    flux.KUSTOMIZATION: flux.KUSTOMIZE_GROUP,
    "HelmRelease": "helm.toolkit.fluxcd.io",
    "ImageRepository": "image.toolkit.fluxcd.io",
    "ImagePolicy": "image.toolkit.fluxcd.io",
    "ImageUpdateAutomation": "image.toolkit.fluxcd.io",
}
"""Where a kind is when a reference does not say; the sources for all others."""
_ABSENT_SECONDS = 15.0
_RETRY = timedelta(seconds=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Receivers:
    """The Receivers of one cluster."""

    cluster: Cluster
    clock: Clock
    hooks: Hooks
    namespace: str
    label_selector: str
    poke: Callable[[Key, Event], bool]
    """Makes one of our own GitRepositories look now; False when it is not ours."""
    paths: dict[Key, str] = field(default_factory=dict)
    pending: asyncio.Queue[tuple[Manifest, Event]] = field(default_factory=lambda: asyncio.Queue(maxsize=1000))

    async def run(self) -> None:
        """Keep the hooks as the Receivers say until cancelled."""
        changed: asyncio.Queue[Key] = asyncio.Queue()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._annotate())
                resource = await self._kind()
                watcher = Watcher(
                    self.cluster,
                    resource,
                    self.clock,
                    lambda key, _: changed.put_nowait(key),
                    namespace=self.namespace,
                    label_selector=self.label_selector,
                )
                tasks.create_task(watcher.run())
                await self._follow(watcher, changed)
        finally:
            for path in self.paths.values():
                self.hooks.drop(path)

    async def _kind(self) -> ApiResource:
        """Receivers, as soon as there are any: their CRD may be installed at any time."""
        while True:
            try:
                found = await self.cluster.resource(flux.NOTIFICATION_GROUP, flux.RECEIVER)
            except RemoteError:
                found = None
            if found is not None:
                return found
            await self.clock.sleep(_ABSENT_SECONDS)

    async def _follow(self, watcher: Watcher, changed: asyncio.Queue[Key]) -> None:
        due: dict[Key, float] = {}
        while True:
            now = self.clock.monotonic()
            wait = max(0.0, min(due.values()) - now) if due else None
            try:
                async with asyncio.timeout(wait):
                    key = await changed.get()
            except TimeoutError:
                key = min(due, key=due.__getitem__)
            manifest = watcher.objects.get(key)
            if manifest is None:
                due.pop(key, None)
                self._forget(key)
                continue
            try:
                after = await self._reconcile(watcher, key, manifest)
            except RemoteError as error:
                _log.warning("Receiver %s/%s: %s", *key, error.what)
                after = _RETRY
            due[key] = self.clock.monotonic() + after.total_seconds()

    def _forget(self, key: Key) -> None:
        path = self.paths.pop(key, None)
        if path is not None:
            self.hooks.drop(path)

    async def _reconcile(self, watcher: Watcher, key: Key, manifest: Manifest) -> timedelta:
        spec: Mapping[str, Any] = manifest.get("spec") or {}
        reporter = Reporter(self.cluster, watcher.resource, manifest, self.clock, manager="gotk-notification-controller")
        interval = _interval(spec)
        if manifest["metadata"].get("deletionTimestamp") or spec.get("suspend") is True:
            self._forget(key)
            return interval
        kind = _KINDS.get(str(spec.get("type") or ""))
        problem = _problem(spec, key)
        if kind is None or problem:
            self._forget(key)
            said = problem or f"receiver type '{spec.get('type')}' not supported"
            reason = flux.ACCESS_DENIED if problem else "ReconciliationFailed"
            await self._refuse(reporter, watcher, reason, said, stalled=True)
            return interval
        token = await self._token(manifest)
        if not token:
            self._forget(key)
            name = (spec.get("secretRef") or {}).get("name")
            await self._refuse(
                reporter, watcher, "TokenNotFound", f"unable to read token from secret '{key[0]}/{name}'", stalled=False
            )
            return min(interval, _RETRY)
        path = webhook_path(token, *reversed(key))
        if self.paths.get(key) != path:
            self._forget(key)
        self.paths[key] = path

        async def current() -> str | None:
            try:
                return await self._token(manifest)
            except RemoteError:
                return None

        events = tuple(str(each) for each in spec.get("events") or ())
        hook = Hook(kind=kind, secret=token, deliver=lambda event: self._deliver(manifest, event), events=events, current=current)
        self.hooks.put(path, hook)
        reporter.unmark(flux.RECONCILING, flux.STALLED)
        reporter.mark(flux.READY, "True", flux.SUCCEEDED, f"Receiver initialized for path: {path}")
        await self._write(reporter, watcher, {"webhookPath": path})
        return interval

    async def _refuse(self, reporter: Reporter, watcher: Watcher, reason: str, message: str, *, stalled: bool) -> None:
        reporter.mark(flux.READY, "False", reason, message)
        if stalled:
            reporter.mark(flux.STALLED, "True", reason, message)
        await self._write(reporter, watcher, {"webhookPath": None})

    async def _write(self, reporter: Reporter, watcher: Watcher, fields: dict[str, Any]) -> None:
        if handled := annotations_of(reporter.manifest).get(flux.REQUESTED_AT):
            fields["lastHandledReconcileAt"] = handled
        if await reporter.write({**fields, "observedGeneration": reporter.generation}):
            watcher.note(reporter.manifest)

    async def _token(self, manifest: Manifest) -> str:
        """The token, '' when there is none."""
        namespace = str(manifest["metadata"]["namespace"])
        name = str(((manifest.get("spec") or {}).get("secretRef") or {}).get("name") or "")
        resource = await self.cluster.resource("", "Secret", "v1")
        found = await self.cluster.get(resource, namespace, name) if resource is not None and name else None
        if found is None:
            return ""
        try:
            return decoded(found).get("token", b"").decode(errors="replace")
        except RefusedError:
            return ""

    # what a request does

    def _deliver(self, manifest: Manifest, event: Event) -> None:
        namespace = str(manifest["metadata"]["namespace"])
        left = False
        for each in (manifest.get("spec") or {}).get("resources") or ():
            name = str(each.get("name") or "")
            if each.get("kind") != flux.GIT_REPOSITORY or name == "*" or not self.poke((namespace, name), event):
                left = True
        if left and not self.pending.full():
            self.pending.put_nowait((manifest, event))

    async def _annotate(self) -> None:
        """Poke what is not in this process, one request after the other: a flood becomes one annotation."""
        while True:
            waiting = [await self.pending.get()]
            while not self.pending.empty():
                waiting.append(self.pending.get_nowait())
            for manifest, event in {_id(manifest): (manifest, event) for manifest, event in waiting}.values():
                for each in (manifest.get("spec") or {}).get("resources") or ():
                    try:
                        await self._request(each, str(manifest["metadata"]["namespace"]), event)
                    except RemoteError as error:
                        _log.warning("Receiver %s: %s", _id(manifest), error.what)

    async def _request(self, reference: Mapping[str, Any], namespace: str, event: Event) -> None:
        kind, name = str(reference.get("kind") or ""), str(reference.get("name") or "")
        group, version = split_api_version(str(reference.get("apiVersion") or ""))
        resource = await self.cluster.resource(group or _GROUPS.get(kind, flux.SOURCE_GROUP), kind, version or None)
        if resource is None:
            return
        names = [name]
        if name == "*":
            labels = ",".join(f"{key}={value}" for key, value in sorted((reference.get("matchLabels") or {}).items()))
            if not labels:
                return  # as in Flux: a star needs labels
            found = await self.cluster.list(resource, namespace, label_selector=labels, metadata_only=True)
            names = [str(each["metadata"]["name"]) for each in found.items]
        moment = datetime.now(UTC).isoformat()
        for each in names:
            if kind == flux.GIT_REPOSITORY and self.poke((namespace, each), event):
                continue
            body = {"metadata": {"annotations": {flux.REQUESTED_AT: moment}}}
            await self.cluster.patch(resource, namespace, each, body, kind="merge", field_manager="notification-controller")


def webhook_path(token: str, name: str, namespace: str) -> str:
    """Where Flux has a Receiver listen."""
    return "/hook/" + hashlib.sha256(f"{token}{name}{namespace}".encode()).hexdigest()


def _id(manifest: Manifest) -> str:
    return f"{manifest['metadata']['namespace']}/{manifest['metadata']['name']}"


def _interval(spec: Mapping[str, Any]) -> timedelta:
    try:
        return max(duration.parse(str(spec.get("interval") or "10m")), timedelta(seconds=1))
    except ValueError:
        return timedelta(minutes=10)


def _problem(spec: Mapping[str, Any], key: Key) -> str:
    """Why a Receiver is refused as it stands; '' when it is not."""
    if spec.get("resourceFilter"):
        return "spec.resourceFilter is not supported"
    for each in spec.get("resources") or ():
        if each.get("namespace") not in (None, "", key[0]):
            named = f"{each.get('kind')}/{each.get('namespace')}/{each.get('name')}"
            return f"can't access '{named}', cross-namespace references have been blocked"
    return ""
