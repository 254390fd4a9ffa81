"""Reconciling a GitRepository: fetch, resolve, verify, put together, archive, announce.

In: the object, the repository behind it. Out: its status as source-controller would write it, and in `Sources` the tree
of the announced revision, which Kustomizations of this process read without unpacking anything.

Whatever fails, the artifact that was announced stays, and what is applied from it keeps running.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from penstock.adapters.git.text import plain
from penstock.controllers import including, references, rewriting, specs, verifying
from penstock.controllers.artifacts import Storage, StorageError
from penstock.controllers.composing import PartialTree, folder_in
from penstock.controllers.git_spec import GitRepositorySpec, git_repository
from penstock.controllers.git_status import GitStatus
from penstock.controllers.ignoring import IgnoringTree
from penstock.controllers.reporting import Events, Reporter
from penstock.controllers.repositories import GitSource, Repositories
from penstock.controllers.rewriting import Rewritten
from penstock.controllers.sources import Source, Sources, decoded
from penstock.controllers.specs import Key
from penstock.controllers.verifying import VerificationError
from penstock.model import condition as conditions
from penstock.model import flux
from penstock.model.errors import InputError, PenstockError, RefusedError, RemoteError, TransientError
from penstock.model.resource import Manifest
from penstock.model.tree import Tree
from penstock.ports.clock import Clock
from penstock.ports.cluster import ApiResource, Cluster

__all__ = ["GitReconciler", "Source", "Sources", "decoded", "is_ready"]

_log = logging.getLogger(__name__)
FIRST_RETRY = timedelta(seconds=1)
DEPENDENCY_RETRY = timedelta(seconds=30)
_EXPECTED_SECONDS = 60.0
_CLOUDS = ("aws", "azure")


class IncludeUnavailableError(PenstockError):
    """An included repository is not there yet; its change wakes this one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Included:
    """One included source, as it is now."""

    artifact: Mapping[str, Any]
    tree: Tree


@dataclass(slots=True, kw_only=True)
class _Expected:
    """A commit that a webhook told of and that the remote may serve later than it tells."""

    ref: str
    commit: str
    until: float
    looks: int = 0


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
    known: Callable[[Key], Manifest | None] = lambda _: None
    """The other GitRepositories of the cluster, for includes."""
    doubted: dict[Key, str] = field(default_factory=dict)
    """Commits older than what is announced that a source was seen to serve once."""
    expected: dict[Key, _Expected] = field(default_factory=dict)
    """What webhooks said that a ref is at."""

    def expect(self, key: Key, ref: str, commit: str) -> None:
        """A webhook says that a ref is at a commit: a hint to look again for a while, should the remote not have it yet."""
        if ref.startswith("refs/") and len(commit) in (40, 64) and commit.strip("0"):
            self.expected[key] = _Expected(ref=ref, commit=commit, until=self.clock.monotonic() + _EXPECTED_SECONDS)

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
        return await _Pass(self, reporter).run(failures)

    async def _finalize(self, reporter: Reporter, finalizers: list[str]) -> None:
        key = specs.key(reporter.manifest)
        self.sources.drop(key)
        await asyncio.to_thread(self.storage.remove, *key)
        if flux.FINALIZER in finalizers:
            await reporter.set_finalizers([each for each in finalizers if each != flux.FINALIZER])


class _Pass:
    """One pass: the state that its steps share."""

    def __init__(self, about: GitReconciler, reporter: Reporter) -> None:
        self.about = about
        self.reporter = reporter
        self.key = specs.key(reporter.manifest)
        self.spec: GitRepositorySpec
        self.says = GitStatus(reporter, about.events)
        self.secret: Mapping[str, bytes] = {}
        self.proxy: Mapping[str, bytes] = {}

    @property
    def announced(self) -> Mapping[str, Any]:
        return self.reporter.status.get("artifact") or {}

    async def run(self, failures: int) -> tuple[Manifest | None, timedelta | None]:
        wait = FIRST_RETRY * 2 ** min(failures, 10)
        try:
            self.spec = git_repository(self.reporter.manifest)
        except InputError as error:
            await self.says.failed(flux.FETCH_FAILED, error.what, "InvalidSpec", stalled=True)
            return self.reporter.manifest, None
        if self.spec.suspend:
            return self.reporter.manifest, None
        try:
            async with asyncio.timeout(self.spec.timeout.total_seconds()):
                again = await self._advance()
        except IncludeUnavailableError as error:
            await self._restore()
            await self.says.failed(flux.INCLUDE_UNAVAILABLE, error.what, error.code)
            return self.reporter.manifest, min(DEPENDENCY_RETRY, self.spec.interval)
        except VerificationError as error:
            await self._restore()
            await self.says.failed(flux.SOURCE_VERIFIED, error.what, error.code, stalled=error.stalled)
        except StorageError as error:
            await self._restore()
            await self.says.failed(flux.STORAGE_FAILED, error.what, error.code)
        except rewriting.HeldError as error:
            await self._restore()
            await self.says.failed(flux.HISTORY_REWRITTEN, error.what, "Held", stalled=True)
            return self.reporter.manifest, self.spec.interval
        except TimeoutError:
            await self._restore()
            what = f"no answer from the repository within {self.spec.raw.get('timeout', '60s')}"
            await self.says.fetch_failed(self.spec, TransientError(what, code="Timeout"))
        except (RefusedError, TransientError, InputError) as caught:
            await self._restore()
            await self.says.fetch_failed(self.spec, caught)
        else:
            return self.reporter.manifest, again or self.spec.interval
        return self.reporter.manifest, min(wait, self.spec.interval)

    async def _advance(self) -> timedelta | None:
        """Fetch, and announce what is new; when to look again if that is sooner than the interval."""
        await self._access()
        included = self._included()
        repo = self._open(self.spec.url, self.spec.only_ref)
        await repo.fetch()
        try:
            found = references.resolve(repo, self.spec)
        except RefusedError as error:
            if error.status == 404 and await repo.is_empty():
                raise RefusedError("git repository is empty", code=flux.EMPTY_REPOSITORY) from None
            raise
        self._require_sparse(repo, found)
        if self._waits_for_a_second_look(repo, found):
            return timedelta(seconds=2)
        await self._verify(repo, found)
        rewritten = rewriting.look(repo, self.spec, self.reporter, found)
        await self._announce(repo, found, included, rewritten)
        return self._looks_again(repo)

    def _looks_again(self, repo: GitSource) -> timedelta | None:
        """Soon, while a commit that a webhook told of is not here; it is never believed, only waited for."""
        expected = self.about.expected.get(self.key)
        if expected is None:
            return None
        ours = self.spec.only_ref in ("", expected.ref)
        if not ours or repo.resolve(expected.commit) is not None or self.about.clock.monotonic() > expected.until:
            del self.about.expected[self.key]
            return None
        expected.looks += 1
        return timedelta(seconds=min(0.25 * 2**expected.looks, 8.0))

    # how to get in

    async def _access(self) -> None:
        """Read the secrets. Raises RefusedError for what this build cannot do, or a Secret that is missing."""
        spec = self.spec
        if spec.provider in _CLOUDS:
            if spec.service_account:
                what = (
                    "to use spec.serviceAccountName for provider authentication please enable the "
                    "ObjectLevelWorkloadIdentity feature gate in the controller"
                )
                raise RefusedError(what, code=flux.FEATURE_DISABLED)
            raise RefusedError(f"provider '{spec.provider}' is not supported, use a secretRef", code=flux.INVALID_PROVIDER)
        if spec.provider == "github" and not spec.secret:
            what = "secretRef with github app data must be specified when provider is set to github"
            raise RefusedError(what, code=flux.INVALID_PROVIDER)
        if spec.secret:
            self.secret = await self._secret(spec.secret, flux.AUTHENTICATION_FAILED)
        if spec.proxy_secret:
            self.proxy = await self._secret(spec.proxy_secret, flux.AUTHENTICATION_FAILED)

    async def _secret(self, name: str, reason: str) -> Mapping[str, bytes]:
        namespace = self.key[0]
        resource = await self.about.cluster.resource("", "Secret", "v1")
        found = await self.about.cluster.get(resource, namespace, name) if resource is not None else None
        if found is None:
            raise RefusedError(f"failed to get secret '{namespace}/{name}': not found", code=reason)
        return decoded(found)

    def _open(self, url: str, ref: str = "") -> GitSource:
        return self.about.repositories.get(url, self.secret, proxy=self.proxy, provider=self.spec.provider, ref=ref)

    # what was found

    def _included(self) -> list[_Included]:
        """The included sources. Raises IncludeUnavailableError."""
        including.paths(self.spec.includes)
        found = []
        for each in self.spec.includes:
            key = (self.key[0], each.repository)
            manifest = self.about.known(key)
            if manifest is None:
                what = f"could not get resource for include '{each.repository}': not found"
                raise IncludeUnavailableError(what, code="NotFound")
            artifact = (manifest.get("status") or {}).get("artifact")
            source = self.about.sources.get(key, str((artifact or {}).get("revision") or ""))
            if not artifact or source is None:
                raise IncludeUnavailableError(f"no artifact available for include '{each.repository}'", code="NoArtifact")
            found.append(_Included(artifact=artifact, tree=source.tree))
        self.reporter.unmark(flux.INCLUDE_UNAVAILABLE)
        return found

    def _require_sparse(self, repo: GitSource, found: references.Found) -> None:
        for path in self.spec.sparse:
            try:
                there = repo.tree(found.commit).entry(folder_in(path)) is not None
            except ValueError:
                there = False
            if not there:
                what = f"failed to sparse checkout directories : sparse checkout dir '{path}' does not exist in repository"
                raise RefusedError(what, code=flux.GIT_FAILED)

    def _waits_for_a_second_look(self, repo: GitSource, found: references.Found) -> bool:
        """A step back may be a replica that lags behind: it is believed when it is still so at the next look."""
        if not rewriting.steps_back(repo, self.spec, self.reporter, found) or self.about.doubted.get(self.key) == found.commit:
            self.about.doubted.pop(self.key, None)
            return False
        self.about.doubted[self.key] = found.commit
        _log.info("%s/%s: the remote serves an older commit than before, looking again", *self.key)
        return True

    async def _verify(self, repo: GitSource, found: references.Found) -> None:
        if self.spec.verify_mode is None:
            self.reporter.unmark(flux.SOURCE_VERIFIED)
            return
        try:
            secret = await self._secret(self.spec.verify_secret, flux.VERIFICATION_ERROR)
        except RefusedError as error:
            raise VerificationError(f"PGP public keys secret error: {error.what}", flux.VERIFICATION_ERROR) from None
        message = verifying.verify(repo, self.spec, found, secret, self.about.clock.now())
        self.reporter.mark(flux.SOURCE_VERIFIED, "True", flux.SUCCEEDED, message)

    # what is announced

    async def _announce(
        self, repo: GitSource, found: references.Found, included: list[_Included], rewritten: Rewritten | None
    ) -> None:
        known = self.announced
        same_content = self.says.content(self.spec, [each.artifact for each in included])
        same = known.get("revision") == found.revision and not self.says.changed(same_content)
        if same and await asyncio.to_thread(self._holds, known):
            held = self.about.sources.get(self.key, found.revision)
            if held is None or held.digest != known.get("digest"):
                tree = await self._composed(repo, found, included)
                self.about.sources.put(self.key, Source(revision=found.revision, digest=str(known.get("digest")), tree=tree))
            await self._at_rest(repo, found)
            return
        if not same:
            self.says.outdated(known, found.revision, included=bool(included))
        tree = await self._composed(repo, found, included)
        await self._store(repo, found, tree, same_content, rewritten)

    async def _store(
        self, repo: GitSource, found: references.Found, tree: Tree, content: dict[str, Any], rewritten: Rewritten | None
    ) -> None:
        known, now = self.announced, conditions.timestamp(self.about.clock.now())
        try:
            made = await asyncio.to_thread(self.about.storage.store, *self.key, found.revision, found.commit, tree, now)
        except OSError as error:
            what = f"unable to archive artifact to storage: {error.strerror}"
            raise StorageError(what, code=flux.ARCHIVE_FAILED) from None
        # the tree is there before the status says so: who is woken by the status finds it
        self.about.sources.put(self.key, Source(revision=found.revision, digest=made.digest, tree=tree))
        if rewritten is not None:
            self._tell_of(repo, rewritten)
        elif known.get("revision") != found.revision:
            self.reporter.unmark(flux.HISTORY_REWRITTEN)
        self.says.succeeded(found.revision)
        await self.reporter.write({**self.says.observed(self.spec), **content, "artifact": made.manifest()})
        if known.get("digest") != made.digest:
            self._tell("NewArtifact", repo, found, made.digest)
        elif self.says.was_failing:
            self._tell(flux.SUCCEEDED, repo, found, made.digest)

    def _tell(self, reason: str, repo: GitSource, found: references.Found, digest: str) -> None:
        message = f"stored artifact for commit '{plain(repo.commit(found.commit).subject, limit=200)}'"
        metadata = {"revision": found.revision, "digest": digest}
        self.about.events.emit(self.reporter.manifest, reason, message, metadata=metadata)

    def _tell_of(self, repo: GitSource, rewritten: Rewritten) -> None:
        """The old tip is kept, for rollback and audit."""
        repo.keep(rewritten.old)
        self.reporter.mark(flux.HISTORY_REWRITTEN, "True", rewritten.reason, rewritten.message)
        metadata = {"old": rewritten.old, "new": rewritten.new}
        self.about.events.emit(self.reporter.manifest, rewritten.reason, rewritten.message, error=True, metadata=metadata)

    async def _composed(self, repo: GitSource, found: references.Found, included: list[_Included]) -> Tree:
        tree = repo.tree(found.commit)
        if self.spec.sparse:
            tree = PartialTree(tree, tuple(folder_in(path) for path in self.spec.sparse))
        if self.spec.recurse_submodules:
            tree = await including.with_submodules(tree, self.spec.url, self._open)
        if included:
            others = [(each.tree, str(each.artifact.get("digest") or "")) for each in included]
            tree = including.with_includes(tree, self.spec.includes, others)
        return IgnoringTree(tree, self.spec.ignore)

    def _holds(self, known: Mapping[str, Any]) -> bool:
        """Whether the archive is in the storage, and is still what was announced."""
        if not self.about.storage.holds(known):
            return False
        if self.about.storage.sound(known):
            return True
        what = f"failed to verify integrity of artifact: computed digest doesn't match '{known.get('digest')}'"
        self.about.events.emit(self.reporter.manifest, "ArtifactVerificationFailed", what, error=True)
        return False

    async def _at_rest(self, repo: GitSource, found: references.Found) -> None:
        """The state at rest; nothing is written when it is already so."""
        held = self.reporter.conditions.get(flux.HISTORY_REWRITTEN)
        if held is not None and held.reason == "Held":
            self.reporter.unmark(flux.HISTORY_REWRITTEN)
        self.says.succeeded(found.revision)
        await self.reporter.write(self.says.observed(self.spec))
        _log.debug("%s/%s: artifact up-to-date with remote revision: '%s'", *self.key, found.revision)
        if self.says.was_failing:
            self._tell(flux.SUCCEEDED, repo, found, str(self.announced.get("digest")))

    async def _restore(self) -> None:
        """After a restart while Git does not answer: what was announced can be built from what is on the disk."""
        revision, digest = str(self.announced.get("revision") or ""), str(self.announced.get("digest") or "")
        if not revision or self.about.sources.get(self.key, revision) is not None:
            return
        tree = await asyncio.to_thread(self.about.storage.load, self.announced)
        status = self.reporter.status
        plain = not any(status.get(each) for each in ("observedSparseCheckout", "observedInclude", "observedRecurseSubmodules"))
        if tree is None and plain:
            try:
                repo = self._open(self.spec.url, self.spec.only_ref)
                tree = IgnoringTree(repo.tree(references.commit_of(revision)), status.get("observedIgnore"))
            except (RemoteError, InputError):
                return
        if tree is not None:
            self.about.sources.put(self.key, Source(revision=revision, digest=digest, tree=tree))


def is_ready(manifest: Manifest) -> bool:
    """Whether a source's last pass went well."""
    return conditions.of(manifest).is_true(flux.READY)
