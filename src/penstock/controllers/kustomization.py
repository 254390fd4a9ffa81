"""Reconciling a Kustomization in readable steps: observe, plan, execute, report.

In: the object, its source's tree, the live view. Out: the cluster as Git says, and the object's status, conditions,
inventory, history and events in Flux's words.

What differs from kustomize-controller, each for a reason: nothing is read or written for objects that are as they were
left; the inventory is written before the first apply and narrowed after the last prune, so that a crash orphans nothing;
a grave prune waits for consent; one write of progress instead of four.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol

from penstock.adapters.cel import Evaluator, ExpressionError
from penstock.apply import drifting, ownership, planning
from penstock.apply.guard import Hold
from penstock.apply.marks import Owner
from penstock.apply.planning import Change, LiveObject, Plan
from penstock.controllers import building, dependencies, finalizing, history, pinning, shards, specs, waiting
from penstock.controllers.acting import Site, Sites, UnusableError
from penstock.controllers.building import Builder, Built
from penstock.controllers.decrypting import Openers
from penstock.controllers.executing import Executed, Executor
from penstock.controllers.gitrepository import Source, Sources
from penstock.controllers.pruning import Pruned, Pruner
from penstock.controllers.reporting import Events, Reporter
from penstock.controllers.watching import Watcher
from penstock.model import duration, flux
from penstock.model import inventory as inventories
from penstock.model.errors import InputError, PenstockError, RaceError, RefusedError, TransientError
from penstock.model.resource import Manifest, ResourceId
from penstock.ports.clock import Clock
from penstock.ports.cluster import ApiResource, Cluster

_log = logging.getLogger(__name__)
DEPENDENCY_RETRY = timedelta(seconds=30)
FIRST_RETRY = timedelta(seconds=1)
FIGHT_ROUNDS, FIGHT_SECONDS = 5, 60.0
"""So many changes of one object by others in so short a time are a fight: answering each at once would never end."""
HAND_OVER_RETRY = timedelta(seconds=10)
DRIFTED = "Drifted"
"""Ours: there only while drift is reported instead of undone."""
_ORIGIN = "org.opencontainers.image.revision"
_TERMINAL = "Reconciliation failed terminally due to configuration error"
_LONG = 50
"""So many changed objects take long enough to validate to tell of it first."""
_APPLIED = ("created", "configured", "deleted")


class Claims(Protocol):
    """Knows what the other Kustomizations of the cluster are about to apply."""

    async def __call__(self, owner: Owner, source: Source, ids: Collection[ResourceId]) -> Collection[ResourceId]:
        """Those of `ids` that another Kustomization's build has."""


class NotReadyError(PenstockError):
    """Something this Kustomization needs is not there yet; `code` is the condition's reason."""

    def __init__(self, what: str, code: str, retry: timedelta | None = None) -> None:
        super().__init__(what, None, code)
        self.retry = retry
        """When to look again, None for the usual time of dependencies."""


class StalledError(PenstockError):
    """Nothing changes until a person changes the object; `code` is the condition's reason."""


class FailedError(PenstockError):
    """This revision failed; `code` is the condition's reason."""


@dataclass(slots=True)
class Memory:
    """What is remembered of one Kustomization between passes; all of it can be lost."""

    built: Built | None = None
    waiting_for: tuple[str, int, str] | None = None
    waiting_since: float = 0.0
    touched: asyncio.Event = field(default_factory=asyncio.Event)
    """The status of one of its objects changed."""
    interrupt: asyncio.Event = field(default_factory=asyncio.Event)
    """There is something newer to do than to wait."""
    failures: int = 0
    touches: dict[ResourceId, deque[float]] = field(default_factory=dict)
    """When others last changed an object back, newest last."""
    fights: set[ResourceId] = field(default_factory=set)
    """Objects that somebody keeps changing back: left to them until the next pass for another reason."""

    def fought(self, id: ResourceId, now: float) -> bool:  # noqa: A002 - what the house calls it
        """Count a change of somebody else's; whether it is one too many."""
        times = self.touches.setdefault(id, deque(maxlen=FIGHT_ROUNDS))
        times.append(now)
        return len(times) == FIGHT_ROUNDS and now - times[0] < FIGHT_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a pass came to."""

    manifest: Manifest | None
    """The object as last written, None when it is being deleted."""
    after: timedelta | None
    """When to look again, None for when something changes."""
    failed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class KustomizationReconciler:
    """What reconciling Kustomizations needs."""

    cluster: Cluster
    resource: ApiResource
    clock: Clock
    sources: Sources
    git_repositories: Watcher | None
    kustomizations: Watcher
    sites: Sites
    cel: Evaluator
    events: Events
    builder: Builder
    openers: Openers
    slots: asyncio.Semaphore
    claims: Claims
    no_cross_namespace_refs: bool = False
    additive_ready_expr: bool = False
    prune_guard: bool = True
    requeue_dependency: timedelta = DEPENDENCY_RETRY
    undone: Sequence[tuple[str, str]] = ownership.UNDONE_MANAGERS
    custom_stage: Collection[tuple[str, str]] = ()
    shard: shards.Selector = shards.EVERYTHING
    """The GitRepositories this process fetches; those of other shards are read as artifacts."""

    async def reconcile(self, manifest: Manifest, memory: Memory) -> Result:
        """One pass over one Kustomization."""
        try:
            specs.kustomization(manifest)
        except InputError as error:
            if not manifest["metadata"].get("deletionTimestamp"):
                return await self._poisoned(manifest, error)
        return await _Pass(self, manifest, memory).run()

    async def _poisoned(self, manifest: Manifest, error: InputError) -> Result:
        """An object whose definition let something pass that is none (an old one, or nobody's): it alone stands still."""
        reporter = Reporter(self.cluster, self.resource, manifest, self.clock, manager=flux.STATUS_MANAGER)
        reporter.unmark(flux.RECONCILING)
        text = f"{_TERMINAL}: {error.what}"
        reporter.mark(flux.READY, "False", flux.RECONCILIATION_FAILED, text)
        reporter.mark(flux.STALLED, "True", flux.RECONCILIATION_FAILED, text)
        if await reporter.write({"observedGeneration": reporter.generation}):
            self.events.emit(reporter.manifest, flux.RECONCILIATION_FAILED, text, error=True)
        return Result(manifest=reporter.manifest, after=None, failed=True)


class _Pass:
    """One pass: the state that its steps share."""

    def __init__(self, about: KustomizationReconciler, manifest: Manifest, memory: Memory) -> None:
        self.about = about
        self.memory = memory
        self.started = about.clock.monotonic()
        self.reporter = Reporter(about.cluster, about.resource, manifest, about.clock, manager=flux.STATUS_MANAGER)
        self.spec = specs.kustomization(manifest, lenient=True)
        self.owner = Owner(str(manifest["metadata"]["name"]), str(manifest["metadata"]["namespace"]))
        self.inventory = inventories.parse(self.reporter.status.get("inventory"))
        before = history.objects_at_last_success(self.reporter.status.get("history"))
        self.owned = len(self.inventory) if before is None else before
        """How many objects there were when all was well: what a failed revision added must not make a prune of all the
        others look partial."""
        self.revision = ""
        self.origin_revision = ""
        """Where the artifact came from itself: for one from OCI, what its metadata says of the commit."""
        self.digest = ""
        self.changes: list[Change] = []
        self.attempted = False

    @property
    def manifest(self) -> Manifest:
        return self.reporter.manifest

    async def run(self) -> Result:
        if self.manifest["metadata"].get("deletionTimestamp"):
            return await self._finalize()
        finalizers = list(self.manifest["metadata"].get("finalizers") or ())
        if flux.FINALIZER not in finalizers:
            await self.reporter.set_finalizers([*finalizers, flux.FINALIZER])
        if self.spec.suspend:
            return Result(manifest=self.manifest, after=None)
        try:
            return await self._reconcile()
        except NotReadyError as error:
            return await self._not_ready(error)
        except StalledError as error:
            return await self._stalled(error)
        except (InputError, FailedError, RefusedError) as error:
            return await self._failed(error, self.spec.retry_interval)
        except RaceError:
            # the object itself changed under us: nothing to tell, begin again from what it is now
            raise
        except TransientError as error:
            wait = min(FIRST_RETRY * 2 ** min(self.memory.failures, 10), self.spec.retry_interval)
            return await self._failed(error, wait)

    async def _reconcile(self) -> Result:
        async with self.about.slots:
            await self._check_spec()
            source = await self._source()
            await self._check_dependencies(source)
            site = await self._site()
            built = await self._build(source, site)
            plan = await self._plan(built, site)
            await self._execute(plan, site)
            pruned = await self._prune(plan, site, source)
        checked = await self._check_health(built, site)
        if checked is None:
            return Result(manifest=self.manifest, after=timedelta(0))
        return await self._succeeded(pruned, checked)

    # observe

    async def _check_spec(self) -> None:
        """What only a change of the object can mend. Raises StalledError."""
        try:
            for index, each in enumerate(self.spec.health_expressions):
                for name, text in (("Current", each.current), ("Failed", each.failed), ("InProgress", each.in_progress)):
                    try:
                        if text:
                            await self.about.cel.check(text)
                    except ExpressionError as error:
                        raise ExpressionError(
                            f"failed to create custom status evaluator for healthchecks[{index}]: "
                            f"failed to parse the expression {name}: {error.what}"
                        ) from None
            await dependencies.check(self.spec, self.about.cel)
        except ExpressionError as error:
            raise StalledError(f"{_TERMINAL}: {error.what}", code=flux.INVALID_CEL) from None
        gate = "please enable the ObjectLevelWorkloadIdentity feature gate in the controller"
        if (self.spec.decryption or {}).get("serviceAccountName"):
            what = f"to use spec.decryption.serviceAccountName for decryption authentication {gate}"
            raise StalledError(what, code=flux.FEATURE_DISABLED)
        if (self.spec.kube_config or {}).get("configMapRef"):
            what = f"to use spec.kubeConfig.configMapRef for workload identity {gate}"
            raise StalledError(what, code=flux.FEATURE_DISABLED)

    async def _site(self) -> Site:
        """Where to apply, and as whom. Raises StalledError, FailedError."""
        try:
            site = await self.about.sites.site(self.spec, self.owner)
            if uid := await pinning.pin(site, specs.annotations_of(self.manifest).get(flux.CLUSTER, "")):
                await self.reporter.annotate({flux.CLUSTER: uid})
            return site
        except UnusableError as error:
            if error.final:
                raise StalledError(error.what, code=flux.RECONCILIATION_FAILED) from None
            raise FailedError(error.what, code=flux.RECONCILIATION_FAILED) from None

    def _refuse_across_namespaces(self, kind: str, namespace: str, name: str) -> None:
        """The same text whether the other is there or not. Raises StalledError."""
        if self.about.no_cross_namespace_refs and namespace != self.owner.namespace:
            what = f"can't access '{kind}/{namespace}/{name}', cross-namespace references have been blocked"
            raise StalledError(what, code=flux.ACCESS_DENIED)

    async def _source(self) -> Source:
        ref = self.spec.source
        self._refuse_across_namespaces(ref.kind, ref.namespace, ref.name)
        found = await self._source_object()
        if found is None:
            raise NotReadyError(f"Source '{ref}' not found", flux.ARTIFACT_FAILED, self.spec.retry_interval)
        artifact = (found.get("status") or {}).get("artifact")
        retry = duration.show(self.about.requeue_dependency)
        if not artifact:
            raise NotReadyError(f"Source artifact not found, retrying in {retry}", flux.ARTIFACT_FAILED)
        self.revision = str(artifact.get("revision") or "")
        self.origin_revision = str((artifact.get("metadata") or {}).get(_ORIGIN) or "")
        ours = self.about.sources.get(ref.key, self.revision) if ref.kind == flux.GIT_REPOSITORY else None
        if ours is not None:
            return ours
        fetched_here = self.about.git_repositories is not None and self.about.shard.matches(found["metadata"].get("labels"))
        if fetched_here and ref.kind == flux.GIT_REPOSITORY:
            # ours to fetch, and not fetched yet: its change will wake us
            raise NotReadyError(f"Source is not ready, artifact not found, retrying in {retry}", flux.ARTIFACT_FAILED)
        return await self.about.sources.external(artifact)

    async def _source_object(self) -> Manifest | None:
        ref = self.spec.source
        if ref.kind == flux.GIT_REPOSITORY and self.about.git_repositories is not None:
            return self.about.git_repositories.objects.get(ref.key)
        resource = await self.about.cluster.resource(flux.SOURCE_GROUP, ref.kind)
        if resource is None:
            return None
        return await self.about.cluster.get(resource, ref.namespace, ref.name)

    async def _check_dependencies(self, source: Source) -> None:
        for each in self.spec.depends_on:
            self._refuse_across_namespaces(flux.KUSTOMIZATION, each.namespace, each.name)
        why = await dependencies.not_ready(
            self.manifest,
            self.spec,
            source.revision,
            self.about.kustomizations.objects,
            self.about.cel,
            additive=self.about.additive_ready_expr,
        )
        if why is not None:
            raise NotReadyError(why, flux.DEPENDENCY_NOT_READY)

    async def _build(self, source: Source, site: Site) -> Built:
        key = (self.owner.namespace, self.owner.name)
        # the variables stand beside the Kustomization: in a remote cluster its account knows nothing of them
        reader = self.about.cluster if site.remote else site.cluster
        try:
            variables = await building.variables(reader, self.spec, self.owner.namespace)
            decrypt = await self.about.openers.opener(self.spec, self.owner.namespace, specs.annotations_of(self.manifest))
            built = await self.about.builder.built(source.tree, self.spec, key, variables, self.memory.built, decrypt)
        except InputError as error:
            if building.lacks_path(error):
                raise FailedError(error.problems[0].what, code=flux.ARTIFACT_FAILED) from None
            self.attempted = True
            raise FailedError(error.what, code=flux.BUILD_FAILED) from None
        self.attempted = True
        self.memory.built = built
        self.digest = built.digest
        return built

    # plan

    async def _plan(self, built: Built, site: Site) -> Plan:
        kinds = sorted(
            {(each.id.group, each.id.kind) for each in built.desired} | {(key.group, key.kind) for key in self.inventory}
        )
        found = [await site.base.resource(group, kind) for group, kind in kinds]
        await site.view.ensure(resource for resource in found if resource is not None)
        plan = planning.plan(
            built.desired,
            self.inventory,
            site.view.objects if site.only_of is None else _only_of(site.only_of, site.view.objects, built),
            site.view.verified,
            drifting.parse(self.spec.raw.get("ignore")),
        )
        if plan.before.size_bytes > inventories.LARGEST_BYTES:
            # the server would refuse it only after objects were applied, and then nothing would remember them
            what = f"the inventory of {len(plan.before)} objects is too big for one object of the API server"
            raise FailedError(f"{what}: split the path between several Kustomizations", code=flux.RECONCILIATION_FAILED)
        return plan

    # execute

    async def _execute(self, plan: Plan, site: Site) -> None:
        if not plan.changed:
            self.changes += [Change(id=each.id, outcome="unchanged") for each in plan.unchanged]
            self.changes += [Change(id=each.id, outcome="skipped") for each in plan.skipped]
            if len(plan.before) != len(self.inventory):
                await self._widen(plan)
            self.reporter.unmark(DRIFTED)
            return
        if self._only_reports(plan):
            await self._report_drift(plan, site)
            return
        self.reporter.unmark(DRIFTED)
        message = f"Detecting drift for revision {self.revision} with a timeout of {self._timeout()}"
        self._mark_progress(message)
        if len(plan.changed) > _LONG:
            await self.reporter.write({"lastAttemptedRevision": self.revision})
        executor = self._executor(site, force=self.spec.force, sample=site.cluster is self.about.cluster)
        try:
            await self._in_time(executor.run(plan, lambda: self._widen(plan)))
        finally:
            self._tell_changes(executor.done)

    def _executor(self, site: Site, *, force: bool, sample: bool = False) -> Executor:
        about = self.about
        return Executor(
            site.cluster,
            site.view,
            about.clock,
            force=force,
            sample=sample,
            undone=about.undone,
            custom_stage=about.custom_stage,
        )

    def _only_reports(self, plan: Plan) -> bool:
        """Whether this is drift of what was applied before, on a Kustomization that is to tell of it only."""
        wanted = specs.annotations_of(self.manifest).get(flux.DRIFT, "").lower() == "report"
        status = self.reporter.status
        known = (status.get("lastAppliedRevision"), status.get("observedGeneration")) == (self.revision, self.reporter.generation)
        return wanted and known and plan.before.manifest() == self.inventory.manifest()

    async def _report_drift(self, plan: Plan, site: Site) -> None:
        found = await self._executor(site, force=False).look(plan)
        if not found:
            self.reporter.unmark(DRIFTED)
            return
        message = "drifted: " + ", ".join(str(each) for each in found)
        known = self.reporter.conditions.get(DRIFTED)
        self.reporter.mark(DRIFTED, "True", "DriftDetected", message)
        if known is None or known.message != message:
            self._event("DriftDetected", message, error=True)

    async def _in_time(self, work: Any) -> None:
        try:
            async with asyncio.timeout(self.spec.timeout.total_seconds()):
                await work
        except TimeoutError:
            raise TransientError(f"apply did not end within {self._timeout()}", code="Timeout") from None

    async def _widen(self, plan: Plan) -> None:
        """Write the inventory ahead: whatever happens from here on, nothing that was applied is forgotten."""
        await self.reporter.write({"inventory": plan.before.manifest(), "lastAttemptedRevision": self.revision})
        self.inventory = plan.before

    def _tell_changes(self, done: Executed) -> None:
        self.changes += done.changes
        lines = [str(change) for change in sorted(done.changes) if change.outcome in _APPLIED]
        if lines:
            self._event(flux.PROGRESSING, "\n".join(lines))

    async def _prune(self, plan: Plan, site: Site, source: Source) -> Pruned | None:
        """Delete what is stale; what could not be deleted stays in the inventory."""
        if not plan.stale:
            self.inventory = plan.desired
            return None
        if not self.spec.prune:
            # kept in the inventory, so that turning prune on finds them
            return None
        await self._progress(f"Pruning for revision {self.revision} with a timeout of {self._timeout()}")
        pruner = Pruner(site.cluster, site.view, self.owner, own=self._own())
        done = await pruner.run(
            plan.stale,
            inventory_size=self.owned,
            digest=self.digest,
            annotations=specs.annotations_of(self.manifest),
            guarded=self.about.prune_guard,
            claimed=await self.about.claims(self.owner, source, plan.stale),
        )
        self.changes += done.changes
        left = self.inventory.only(key for key in plan.stale if key not in done.settled)
        self.inventory = left.union(plan.desired)
        lines = [str(change) for change in sorted(done.changes) if change.outcome in _APPLIED]
        if lines:
            self._event(flux.PROGRESSING, "\n".join(lines))
        for warning in done.warnings:
            self._event(flux.PRUNE_FAILED, warning, error=True)
        if done.failures:
            raise FailedError("delete failed, errors: " + "; ".join(done.failures), code=flux.PRUNE_FAILED)
        if done.held is not None:
            raise FailedError(held_message(done.held), code=flux.PRUNE_FAILED)
        return done

    def _own(self) -> set[ResourceId]:
        """What this Kustomization stands on: pruning it would cut the branch it sits on."""
        source = self.spec.source
        return {
            ResourceId(flux.KUSTOMIZE_GROUP, flux.KUSTOMIZATION, self.owner.namespace, self.owner.name),
            ResourceId(flux.SOURCE_GROUP, source.kind, source.namespace, source.name),
            ResourceId("", "Namespace", "", self.owner.namespace),
            ResourceId("apiextensions.k8s.io", "CustomResourceDefinition", "", f"kustomizations.{flux.KUSTOMIZE_GROUP}"),
            ResourceId("apiextensions.k8s.io", "CustomResourceDefinition", "", f"gitrepositories.{flux.SOURCE_GROUP}"),
        }

    # health

    async def _check_health(self, built: Built, site: Site) -> str | None:
        """Wait for health where it is asked for. Returns a message ('' when nothing is to be checked), None when there is
        something newer to do. Raises FailedError."""
        targets = self._targets(built)
        if not targets:
            self.reporter.unmark(flux.HEALTHY)
            return ""
        check = waiting.HealthCheck(site.cluster, site.view, self.about.clock, targets, cel=self.about.cel, only_of=site.only_of)
        this = (self.revision, self.reporter.generation, self.digest)
        found = await check.look()
        was_healthy = self.reporter.conditions.get(flux.HEALTHY)
        if (
            found.status == "Current"
            and self.memory.waiting_for != this
            and was_healthy is not None
            and was_healthy.status == "True"
        ):
            return was_healthy.message
        if self.memory.waiting_for != this:
            self.memory.waiting_for, self.memory.waiting_since = this, self.about.clock.monotonic()
        if found.status != "Current":
            message = f"Running health checks for revision {self.revision} with a timeout of {self._timeout()}"
            self.reporter.mark(flux.HEALTHY, "Unknown", flux.PROGRESSING, message)
            await self._progress(message)
        since = self.memory.waiting_since
        until = since + self.spec.timeout.total_seconds()
        ended, found = await check.wait(until, self.memory.touched, self.memory.interrupt)
        if ended == "interrupted":
            await self._tell_canceled()
            return None
        self.memory.waiting_for = None
        took = duration.show(timedelta(seconds=round(self.about.clock.monotonic() - since, 3)))
        if ended != "healthy":
            what = "failed early due to stalled resources" if ended == "failed" else "timeout waiting for"
            text = f"health check failed after {took}: {what}: [{found.sentence()}]"
            self.reporter.mark(flux.HEALTHY, "False", flux.HEALTH_CHECK_FAILED, text)
            raise FailedError(text, code=flux.HEALTH_CHECK_FAILED)
        message = f"Health check passed in {took}"
        if was_healthy is None or was_healthy.status != "True" or self._changed():
            self._event(flux.PROGRESSING, message)
        return message

    async def _tell_canceled(self) -> None:
        """Only a new revision cancels the checks of this one; whatever else interrupts the wait begins it again."""
        found = await self._source_object()
        artifact = ((found or {}).get("status") or {}).get("artifact") or {}
        if artifact.get("revision", self.revision) != self.revision:
            text = f"Health checks canceled due to new reconciliation triggered by {self.spec.source}"
            self._event(flux.HEALTH_CHECK_CANCELED, text)

    def _targets(self, built: Built) -> list[waiting.Target]:
        skipped = {change.id for change in self.changes if change.outcome == "skipped"}
        manifests = {each.id: each.manifest for each in built.desired}
        fleeting = waiting.jobs_with_ttl(manifests)
        if self.spec.wait:
            wanted = [(each.id, each.version) for each in built.desired if each.id not in skipped]
        else:
            wanted = list(self.spec.health_checks)
        itself = (flux.KUSTOMIZATION, self.owner.namespace, self.owner.name)
        expressions = {(each.group, each.kind): each for each in self.spec.health_expressions}
        return [
            waiting.Target(
                id=key, version=version, may_vanish=key in fleeting, expressions=expressions.get((key.group, key.kind))
            )
            for key, version in wanted
            # waiting for itself would never end
            if (key.kind, key.namespace, key.name) != itself
        ]

    # report

    def _timeout(self) -> str:
        return duration.show(self.spec.timeout)

    def _changed(self) -> bool:
        return any(change.outcome in _APPLIED for change in self.changes)

    async def _progress(self, message: str) -> None:
        """Tell what is under way."""
        self._mark_progress(message)
        await self.reporter.write({"lastAttemptedRevision": self.revision})

    def _mark_progress(self, message: str) -> None:
        """Progress to be told with the next write (the inventory ahead of the first apply, for one)."""
        self.reporter.unmark(flux.STALLED)
        self.reporter.mark(flux.RECONCILING, "True", flux.PROGRESSING, message)
        self.reporter.mark(flux.READY, "Unknown", flux.PROGRESSING, "Reconciliation in progress")

    async def _succeeded(self, pruned: Pruned | None, health_message: str) -> Result:
        self.memory.failures = 0
        status = self.reporter.status
        news = (
            self._changed()
            or status.get("lastAppliedRevision") != self.revision
            or not self.reporter.conditions.is_true(flux.READY)
        )
        if health_message:
            self.reporter.mark(flux.HEALTHY, "True", flux.SUCCEEDED, health_message)
        self.reporter.unmark(flux.RECONCILING, flux.STALLED)
        self.reporter.mark(flux.READY, "True", flux.RECONCILIATION_SUCCEEDED, f"Applied revision: {self.revision}")
        await self.reporter.write(
            {
                **self._attempt(flux.RECONCILIATION_SUCCEEDED),
                "inventory": self.inventory.manifest(),
                "lastAppliedRevision": self.revision,
                "lastAppliedOriginRevision": self.origin_revision or None,
                "observedGeneration": self.reporter.generation,
            }
        )
        if news:
            took = duration.show(timedelta(seconds=round(self.about.clock.monotonic() - self.started, 3)))
            text = f"Reconciliation finished in {took}, next run in {duration.show(self.spec.interval)}"
            self._event(flux.RECONCILIATION_SUCCEEDED, text, commit_status="update")
        handing_over = pruned is not None and pruned.handing_over
        return Result(manifest=self.manifest, after=HAND_OVER_RETRY if handing_over else self.spec.interval)

    def _attempt(self, outcome: str) -> dict[str, Any]:
        """The status fields that every attempt leaves."""
        left: dict[str, Any] = {}
        if self.attempted:
            left["lastAttemptedRevision"] = self.revision
        if token := specs.requested_at(self.manifest):
            left["lastHandledReconcileAt"] = token
        if self.digest:
            left["history"] = history.upserted(
                self.reporter.status.get("history"),
                digest=self.digest,
                outcome=outcome,
                now=self.about.clock.now(),
                took=timedelta(seconds=self.about.clock.monotonic() - self.started),
                revision=self.revision,
                origin_revision=self.origin_revision,
                objects=len(self.inventory),
            )
        return left

    async def _failed(self, error: PenstockError, wait: timedelta) -> Result:
        """A failure keeps what runs, keeps the inventory as wide as it may be, and says why."""
        self.memory.failures += 1
        reason = error.code if isinstance(error, FailedError) else flux.RECONCILIATION_FAILED
        message = error.what
        known = self.reporter.conditions.get(flux.READY)
        news = known is None or (known.status, known.message) != ("False", message)
        self.reporter.unmark(flux.STALLED)
        self.reporter.mark(flux.READY, "False", reason, message)
        progress = self.reporter.conditions.get(flux.RECONCILING)
        text = progress.message if progress is not None else f"Reconciling revision {self.revision}"
        self.reporter.mark(flux.RECONCILING, "True", flux.PROGRESSING_WITH_RETRY, text)
        await self.reporter.write({**self._attempt(reason), **self._kept_inventory()})
        if news:
            self._event(reason, message, error=True)
        return Result(manifest=self.manifest, after=wait, failed=True)

    def _kept_inventory(self) -> Mapping[str, Any]:
        return {"inventory": self.inventory.manifest()} if len(self.inventory) or self.reporter.status.get("inventory") else {}

    async def _not_ready(self, error: NotReadyError) -> Result:
        known = self.reporter.conditions.get(flux.READY)
        self.reporter.unmark(flux.STALLED)
        self.reporter.mark(flux.READY, "False", error.code, error.what)
        token = specs.requested_at(self.manifest)
        wrote = await self.reporter.write({"lastHandledReconcileAt": token} if token else None)
        if wrote and error.code == flux.DEPENDENCY_NOT_READY and (known is None or known.message != error.what):
            text = f"Dependencies do not meet ready condition, retrying in {duration.show(self.about.requeue_dependency)}"
            self._event(error.code, text)
        return Result(manifest=self.manifest, after=error.retry or self.about.requeue_dependency, failed=True)

    async def _stalled(self, error: StalledError) -> Result:
        self.reporter.unmark(flux.RECONCILING)
        self.reporter.mark(flux.READY, "False", error.code, error.what)
        self.reporter.mark(flux.STALLED, "True", error.code, error.what)
        token = specs.requested_at(self.manifest)
        changes: dict[str, Any] = {"observedGeneration": self.reporter.generation}
        if token:
            changes["lastHandledReconcileAt"] = token
        if await self.reporter.write(changes):
            self._event(error.code, error.what, error=True)
        return Result(manifest=self.manifest, after=None, failed=True)

    async def _finalize(self) -> Result:
        def tell(message: str, error: bool) -> None:
            self._event(flux.PRUNE_FAILED if error else flux.PROGRESSING, message, error=error)

        pruner = await self._pruner_to_finalize(tell) if finalizing.deletes(self.spec, self.inventory) else None
        await finalizing.finalize(self.reporter, self.spec, self.inventory, pruner, self.about.clock, tell)
        return Result(manifest=None, after=None)

    async def _pruner_to_finalize(self, tell: Callable[[str, bool], None]) -> Pruner | None:
        """None when the identity or the cluster that objects were applied with is gone: they are never deleted as
        anybody else, and holding the object back would only hold back its namespace."""
        try:
            if await self.about.sites.account_exists(self.spec, self.owner.namespace):
                site = await self.about.sites.site(self.spec, self.owner)
                await pinning.pin(site, specs.annotations_of(self.manifest).get(flux.CLUSTER, ""))
                return Pruner(site.cluster, site.view, self.owner, own=())
        except UnusableError as error:
            if not (error.final or error.missing):
                raise TransientError(error.what, code=flux.RECONCILIATION_FAILED) from None
        except InputError as error:
            raise TransientError(error.what, code=flux.RECONCILIATION_FAILED) from None
        left = "\n".join(str(each) for each in self.inventory)
        tell(f"unable to prune objects: \n{left}", True)
        return None

    def _event(self, reason: str, message: str, *, error: bool = False, commit_status: str = "") -> None:
        metadata = {"revision": self.revision} if self.revision else {}
        if self.origin_revision:
            metadata["originRevision"] = self.origin_revision
        if commit_status:
            metadata["commit_status"] = commit_status
        self.about.events.emit(self.manifest, reason, message, error=error, metadata=metadata)


def _only_of(owner: Owner, known: Mapping[ResourceId, LiveObject], built: Built) -> dict[ResourceId, LiveObject]:
    """Of the objects of a build, those that are this owner's already."""
    ids = (each.id for each in built.desired)
    return {id: live for id in ids if (live := known.get(id)) is not None and live.owner == owner}  # noqa: A001


def held_message(held: Hold) -> str:
    """What a condition says of a prune that waits for consent, and how to give it."""
    names = ", ".join(str(key) for key in held.ids[:10]) + (" and more" if len(held.ids) > 10 else "")
    consent = f"{flux.PRUNE_CONSENT}={held.digest.removeprefix('sha256:')[:16]}"
    return f"prune is held: {held.why}. To delete {names}, annotate this Kustomization with {consent}"
