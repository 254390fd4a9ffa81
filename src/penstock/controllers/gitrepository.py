"""Reconciling a GitRepository: fetch, resolve, archive, announce.

In: the object, the repository behind it. Out: its status as source-controller would write it, and in `Sources` the tree
of the announced revision, which Kustomizations of this process read without unpacking anything.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from penstock.controllers import artifacts, references, specs
from penstock.controllers.artifacts import Storage
from penstock.controllers.ignoring import IgnoringTree
from penstock.controllers.reporting import Events, Reporter
from penstock.controllers.repositories import Repositories
from penstock.controllers.specs import GitRepositorySpec, Key
from penstock.model import condition as conditions
from penstock.model import flux
from penstock.model.errors import InputError, PenstockError, RefusedError, RemoteError, TransientError
from penstock.model.resource import Manifest
from penstock.model.tree import Tree
from penstock.ports.clock import Clock
from penstock.ports.cluster import ApiResource, Cluster
from penstock.ports.repo import Repo

_log = logging.getLogger(__name__)
FIRST_RETRY = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What a Kustomization builds from."""

    revision: str
    digest: str
    tree: Tree


class Sources:
    """The trees of this cluster's sources, by namespace and name."""

    def __init__(self) -> None:
        self._known: dict[Key, Source] = {}

    def get(self, key: Key, revision: str) -> Source | None:
        """The source at exactly this revision."""
        found = self._known.get(key)
        return found if found is not None and found.revision == revision else None

    def put(self, key: Key, source: Source) -> None:
        self._known[key] = source

    def drop(self, key: Key) -> None:
        self._known.pop(key, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class GitReconciler:
    """What reconciling GitRepositories needs."""

    cluster: Cluster
    resource: ApiResource
    clock: Clock
    repositories: Repositories
    storage: Storage
    sources: Sources
    events: Events

    async def reconcile(self, manifest: Manifest, failures: int) -> tuple[Manifest | None, timedelta | None]:
        """One pass. `failures` counts the failed ones before it.

        Returns the object as last written (None when it is being deleted) and when to look again (None: when it changes).
        """
        reporter = Reporter(self.cluster, self.resource, manifest, self.clock, manager=flux.SOURCE_MANAGER)
        finalizers = list(manifest["metadata"].get("finalizers") or ())
        if manifest["metadata"].get("deletionTimestamp"):
            await self._finalize(reporter, finalizers)
            return None, None
        if flux.FINALIZER not in finalizers:
            await reporter.set_finalizers([*finalizers, flux.FINALIZER])
        spec = specs.git_repository(manifest)
        if spec.suspend:
            return reporter.manifest, None
        try:
            async with asyncio.timeout(spec.timeout.total_seconds()):
                await self._advance(reporter, spec)
        except TimeoutError:
            error: PenstockError = TransientError(
                f"no answer from the repository within {spec.raw.get('timeout', '60s')}", code="Timeout"
            )
        except (RefusedError, TransientError, InputError) as caught:
            error = caught
        else:
            await self._succeed(reporter, spec)
            return reporter.manifest, spec.interval
        await self._restore(reporter, spec)
        await self._fail(reporter, error)
        return reporter.manifest, min(FIRST_RETRY * 2 ** min(failures, 10), spec.interval)

    async def _advance(self, reporter: Reporter, spec: GitRepositorySpec) -> None:
        """Fetch, and announce what is new."""
        if spec.unsupported:
            raise RefusedError(f"not supported: spec.{', spec.'.join(spec.unsupported)}", code=flux.FEATURE_DISABLED)
        repo = self.repositories.get(spec.url, await self._secret(reporter.manifest, spec))
        await repo.fetch()
        found = references.resolve(repo, spec)
        await self._announce(reporter, spec, repo, found)

    async def _announce(self, reporter: Reporter, spec: GitRepositorySpec, repo: Repo, found: references.Found) -> None:
        key = specs.key(reporter.manifest)
        known: Mapping[str, Any] = reporter.status.get("artifact") or {}
        tree = IgnoringTree(repo.tree(found.commit), spec.ignore)
        same = known.get("revision") == found.revision and reporter.status.get("observedIgnore") == spec.ignore
        if same and self.storage.holds(known):
            self.sources.put(key, Source(revision=found.revision, digest=str(known.get("digest")), tree=tree))
            return
        if not same:
            await self._outdated(reporter, known, found.revision)
        made = await asyncio.to_thread(
            self.storage.store, *key, found.revision, found.commit, tree, conditions.timestamp(self.clock.now())
        )
        # the tree is there before the status says so: who is woken by the status finds it
        self.sources.put(key, Source(revision=found.revision, digest=made.digest, tree=tree))
        self._succeeded(reporter, found.revision)
        await reporter.write({**self._observed(reporter, spec), "artifact": made.manifest()})
        if known.get("digest") != made.digest:
            subject = repo.commit(found.commit).subject
            self.events.emit(
                reporter.manifest,
                "NewArtifact",
                f"stored artifact for commit '{subject}'",
                metadata={"revision": found.revision, "digest": made.digest},
            )

    async def _outdated(self, reporter: Reporter, known: Mapping[str, Any], revision: str) -> None:
        message = f"new upstream revision '{revision}'"
        if known:
            reporter.mark(flux.ARTIFACT_OUTDATED, "True", "NewRevision", message)
        reporter.unmark(flux.STALLED)
        reporter.mark(flux.RECONCILING, "True", flux.PROGRESSING, f"building artifact: {message}")
        reporter.mark(flux.READY, "Unknown", flux.PROGRESSING, f"building artifact: {message}")

    def _succeeded(self, reporter: Reporter, revision: str) -> None:
        message = f"stored artifact for revision '{revision}'"
        reporter.unmark(flux.ARTIFACT_OUTDATED, flux.FETCH_FAILED, flux.STORAGE_FAILED, flux.RECONCILING, flux.STALLED)
        reporter.mark(flux.READY, "True", flux.SUCCEEDED, message)
        reporter.mark(flux.ARTIFACT_IN_STORAGE, "True", flux.SUCCEEDED, message)

    async def _succeed(self, reporter: Reporter, spec: GitRepositorySpec) -> None:
        """The state at rest; nothing is written when it is already so."""
        artifact = reporter.status.get("artifact") or {}
        self._succeeded(reporter, str(artifact.get("revision") or ""))
        await reporter.write(self._observed(reporter, spec))

    def _observed(self, reporter: Reporter, spec: GitRepositorySpec) -> dict[str, Any]:
        observed: dict[str, Any] = {"observedGeneration": reporter.generation, "observedIgnore": spec.ignore}
        if token := specs.requested_at(reporter.manifest):
            observed["lastHandledReconcileAt"] = token
        return observed

    async def _fail(self, reporter: Reporter, error: PenstockError) -> None:
        """The artifact stays: whatever was announced keeps running (G02)."""
        reason = error.code if error.code in _REASONS else flux.GIT_FAILED
        message = f"failed to checkout and determine revision: {error.what}"
        changed = not reporter.conditions.is_true(flux.FETCH_FAILED)
        reporter.mark(flux.FETCH_FAILED, "True", reason, message)
        reporter.mark(flux.READY, "False", reason, message)
        if reason in _STALLING:
            reporter.unmark(flux.RECONCILING)
            reporter.mark(flux.STALLED, "True", reason, message)
        else:
            reporter.unmark(flux.STALLED)
            reporter.mark(flux.RECONCILING, "True", flux.PROGRESSING_WITH_RETRY, message)
        token = specs.requested_at(reporter.manifest)
        await reporter.write({"lastHandledReconcileAt": token} if token else None)
        if changed:
            self.events.emit(reporter.manifest, reason, message, error=True)

    async def _restore(self, reporter: Reporter, spec: GitRepositorySpec) -> None:
        """After a restart while Git does not answer: what was announced can be built from the mirror on disk."""
        announced = reporter.status.get("artifact") or {}
        key, revision = specs.key(reporter.manifest), str(announced.get("revision") or "")
        if not revision or self.sources.get(key, revision) is not None:
            return
        try:
            repo = self.repositories.get(spec.url, await self._secret(reporter.manifest, spec))
            tree = IgnoringTree(repo.tree(references.commit_of(revision)), reporter.status.get("observedIgnore"))
        except (RemoteError, InputError):
            return
        self.sources.put(key, Source(revision=revision, digest=str(announced.get("digest")), tree=tree))

    async def _secret(self, manifest: Manifest, spec: GitRepositorySpec) -> Mapping[str, bytes]:
        if not spec.secret:
            return {}
        namespace = manifest["metadata"]["namespace"]
        resource = await self.cluster.resource("", "Secret", "v1")
        found = await self.cluster.get(resource, namespace, spec.secret) if resource is not None else None
        if found is None:
            raise RefusedError(f"failed to get secret '{namespace}/{spec.secret}': not found", code=flux.AUTHENTICATION_FAILED)
        return decoded(found)

    async def _finalize(self, reporter: Reporter, finalizers: list[str]) -> None:
        key = specs.key(reporter.manifest)
        self.sources.drop(key)
        await asyncio.to_thread(self.storage.remove, *key)
        if flux.FINALIZER in finalizers:
            await reporter.set_finalizers([each for each in finalizers if each != flux.FINALIZER])


_REASONS = {flux.AUTHENTICATION_FAILED, flux.URL_INVALID, flux.FEATURE_DISABLED}
_STALLING = {flux.URL_INVALID, flux.FEATURE_DISABLED}


def is_ready(manifest: Manifest) -> bool:
    """Whether a source's last pass went well."""
    return conditions.of(manifest).is_true(flux.READY)


def decoded(secret: Manifest) -> Mapping[str, bytes]:
    """The data of a Secret. Raises RefusedError, without the data, when it is not base64."""
    try:
        return {key: base64.b64decode(str(value), validate=True) for key, value in (secret.get("data") or {}).items()}
    except binascii.Error:
        raise RefusedError("the secret's data is not base64", code=flux.AUTHENTICATION_FAILED) from None


async def external(artifact: Mapping[str, Any]) -> Source:
    """A source whose artifact another controller serves."""
    tree = await artifacts.fetch(artifact)
    return Source(revision=str(artifact.get("revision") or ""), digest=str(artifact.get("digest") or ""), tree=tree)
