"""One cluster's controllers: watch GitRepositories and Kustomizations, and keep every one of them reconciled.

In: a cluster, the repositories, a clock. Out: nothing but the state of the cluster. One task per object waits for a reason
to work: its object changed, its source or a dependency moved, one of its objects drifted, somebody poked, or its time
came. A dead API server only makes these tasks wait; managers of other clusters share nothing with it but Git mirrors.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import tempfile
from collections.abc import Collection, Iterator, Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path

from penstock.adapters.cel import Evaluator
from penstock.adapters.forge.webhooks import Event
from penstock.apply import ownership
from penstock.apply.marks import Owner
from penstock.controllers import (
    artifacts,
    building,
    dependencies,
    gitrepository,
    shards,
    specs,
    suspending,
    watching,
)
from penstock.controllers.acting import Sites, UnusableError, kubeconfig_key
from penstock.controllers.actors import Actor, Work
from penstock.controllers.artifacts import Storage
from penstock.controllers.decrypting import Openers
from penstock.controllers.foreign import ForeignSources
from penstock.controllers.gitrepository import GitReconciler, Source, Sources
from penstock.controllers.hooks import Hooks
from penstock.controllers.kustomization import KustomizationReconciler, Result
from penstock.controllers.live import LiveView
from penstock.controllers.metrics import Metrics, Working
from penstock.controllers.options import Options
from penstock.controllers.receiving import Receivers
from penstock.controllers.remotes import Remotes
from penstock.controllers.reporting import Events, Reporter
from penstock.controllers.repositories import Repositories
from penstock.controllers.specs import Key
from penstock.controllers.waiting import first_of
from penstock.controllers.watching import Watcher
from penstock.model import flux
from penstock.model.errors import InputError, PenstockError, RemoteError
from penstock.model.resource import Manifest, ResourceId
from penstock.ports.clock import Clock
from penstock.ports.cluster import ApiResource, Cluster

_log = logging.getLogger(__name__)
_LONGEST_RESTART_SECONDS = 60.0
_RESTART_SECONDS = 1.0
GRACE_SECONDS = 20.0


class Manager:
    """The controllers of one cluster. `run` works until cancelled or `stop`ped."""

    def __init__(
        self, cluster: Cluster, *, repositories: Repositories, clock: Clock, options: Options | None = None, seed: int = 0
    ) -> None:
        self.name = cluster.name
        self.log_as = cluster.name
        """What the log calls the cluster; '' where there is only one."""
        self.clock = clock
        self.options = options or Options()
        self.metrics = Metrics()
        self.stop_requested = asyncio.Event()
        self.ready = asyncio.Event()
        """Set once both kinds are known and everything is being reconciled."""
        self.failure: RemoteError | None = None
        """Why the cluster cannot be reached, None while it can."""
        self._cluster = cluster
        self._repositories = repositories
        self._random = random.Random(seed)  # noqa: S311 - spreads work over time
        self._sources = Sources()
        self._builder = building.Builder(self.options.build)
        self._git_actors: dict[Key, Actor] = {}
        self._actors: dict[Key, Actor] = {}
        self._source_events = Events(cluster, clock, component="source-controller", prefix=flux.SOURCE_GROUP)
        self._events = Events(cluster, clock, component="kustomize-controller", prefix=flux.KUSTOMIZE_GROUP)
        self._undone = ownership.undone_managers(self.options.override_managers)
        self._view = LiveView(cluster, clock, self._touched, self._undone)
        self._remotes = self._new_remotes()
        self._cel = Evaluator()
        self._openers = Openers(cluster, self.options.sops_age_secret)
        self._git_watcher: Watcher | None = None
        self._foreign: ForeignSources | None = None
        self._watcher: Watcher | None = None
        self._git: GitReconciler | None = None
        self._reconciler: KustomizationReconciler | None = None
        self._tasks: asyncio.TaskGroup | None = None
        self._dependants = dependencies.Dependants()
        self._seen: dict[Key, Manifest] = {}
        self._seen_git: dict[Key, Manifest] = {}
        self._shard = shards.parse(self.options.label_selector)
        self._passed: set[Key] = set()
        """Sources that this process has looked at: before that, their artifact in the status is of an earlier process."""

    @property
    def stopping(self) -> bool:
        return self.stop_requested.is_set()

    @property
    def busy(self) -> bool:
        """Whether any object is being worked on or is about to be."""
        return any(actor.busy or actor.poked for actor in (*self._git_actors.values(), *self._actors.values()))

    # what others look at: metrics, health

    @property
    def concurrent(self) -> int:
        return self.options.concurrent

    @property
    def events_dropped(self) -> int:
        return self._events.dropped + self._source_events.dropped

    @property
    def reachable(self) -> bool:
        watchers = [each for each in (self._git_watcher, self._watcher) if each is not None]
        return self.failure is None and all(each.failure is None for each in watchers)

    @property
    def answers(self) -> Mapping[tuple[str, str], int]:
        """Answers of the API server by method and status, as far as the cluster counts them."""
        counted: Mapping[tuple[str, str], int] = getattr(self._cluster, "answers", {})
        return counted

    def known(self) -> Iterator[Manifest]:
        """The objects this manager works on."""
        for watcher, actors in ((self._git_watcher, self._git_actors), (self._watcher, self._actors)):
            if watcher is not None:
                yield from (manifest for key, manifest in watcher.objects.items() if key in actors)

    def working(self) -> Iterator[Working]:
        """The tasks of its objects."""
        now = self.clock.monotonic()
        for actor in (*self._git_actors.values(), *self._actors.values()):
            age = now - actor.busy_since if actor.busy else None
            yield Working(kind=actor.kind, waiting=actor.poked and not actor.busy, busy_seconds=age)

    def stuck(self) -> list[str]:
        """Objects whose pass takes longer than all its timeouts together allow: nothing should ever be here."""
        found, now = [], self.clock.monotonic()
        for watcher, actors in ((self._git_watcher, self._git_actors), (self._watcher, self._actors)):
            for key, actor in actors.items():
                manifest = watcher.objects.get(key, {}) if watcher is not None else {}
                if (
                    actor.busy
                    and now - actor.busy_since > (specs.longest_pass(manifest) + self.options.pass_slack).total_seconds()
                ):
                    found.append(f"{actor.kind}/{key[0]}/{key[1]} has been worked on for {now - actor.busy_since:.0f} s")
        return found

    def poke(self, url: str | None = None) -> int:
        """Fetch now what has this URL (all for None); returns how many GitRepositories that are. Never raises: a push
        may come before anything is known."""
        if self._git_watcher is None:
            return 0
        found = [
            key
            for key, manifest in self._git_watcher.objects.items()
            if url is None or same_repository(url, str((manifest.get("spec") or {}).get("url") or ""))
        ]
        for key in found:
            if key in self._git_actors:
                self._git_actors[key].poke()
        return len(found)

    def poke_source(self, key: Key, event: Event) -> bool:
        """Fetch one GitRepository now, because of a webhook; whether it is one of ours."""
        actor = self._git_actors.get(key)
        if actor is None or self._git is None:
            return False
        self._git.expect(key, event.ref, event.after)
        actor.poke()
        return True

    def reconcile(self, namespace: str, name: str) -> bool:
        """Reconcile one Kustomization now; whether there is one."""
        actor = self._actors.get((namespace, name))
        if actor is not None:
            actor.poke()
        return actor is not None

    def stop(self) -> None:
        """End after the passes that are under way, at most `GRACE_SECONDS`."""
        self.stop_requested.set()
        for actor in (*self._git_actors.values(), *self._actors.values()):
            actor.memory.interrupt.set()

    async def run(self) -> None:
        """Reconcile until stopped. Raises nothing for a cluster that does not answer: it waits."""
        pause = _RESTART_SECONDS
        async with contextlib.AsyncExitStack() as stack:
            storage = await self._storage(stack)
            stack.push_async_callback(self._cel.close)
            while not self.stopping:
                try:
                    await self._until_stopped(storage)
                except _Stopped:
                    return
                except Exception:
                    # a bug in the machinery itself, not in one pass: begin anew from what the cluster says, because
                    # the other clusters' managers live in the same process and must not go down with it
                    _log.exception("%s: starting again in %g s", self.name, pause)
                    self.metrics.failures += 1
                    self._forget()
                    await first_of(self.clock, pause, self.stop_requested)
                    pause = min(pause * 2, _LONGEST_RESTART_SECONDS)

    def _forget(self) -> None:
        """Drop everything remembered: all of it comes back from the cluster and from Git."""
        self.ready.clear()
        self._sources = Sources()
        self._view = LiveView(self._cluster, self.clock, self._touched, self._undone)
        self._remotes = self._new_remotes()
        self._git_watcher = self._watcher = None
        self._dependants = dependencies.Dependants()
        for known in (self._git_actors, self._actors, self._seen, self._seen_git):
            known.clear()

    def _new_remotes(self) -> Remotes:
        return Remotes(self.clock, self._touched, gate=getattr(self._cluster, "gate", None), undone=self._undone)

    async def _storage(self, stack: contextlib.AsyncExitStack) -> Storage | None:
        if not self.options.sources:
            return None
        folder = self.options.artifacts
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="penstock-artifacts-")))
        storage = Storage(folder)
        await stack.enter_async_context(
            artifacts.serve(storage, self.options.artifact_host, self.options.artifact_port, self.options.artifact_advertise)
        )
        return storage

    async def _until_stopped(self, storage: Storage | None) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                self._view.start(tasks)
                self._remotes.start(tasks)
                tasks.create_task(self._stopper(), name=f"{self.name} stop")
                tasks.create_task(self._events.run(), name=f"{self.name} events")
                tasks.create_task(self._source_events.run(), name=f"{self.name} source events")
                await self._watch(storage)
                if self.options.hooks is not None:
                    tasks.create_task(self._receivers(self.options.hooks).run(), name=f"{self.name} receivers")
                self.ready.set()
        except* _Stopped:
            raise _Stopped from None

    async def _stopper(self) -> None:
        """Ends the whole group once asked to stop, and once nothing is in the middle of a pass."""
        await self.stop_requested.wait()
        until = self.clock.monotonic() + GRACE_SECONDS
        while any(actor.busy for actor in (*self._git_actors.values(), *self._actors.values())):
            if self.clock.monotonic() > until:
                break
            await self.clock.sleep(0.05)
        raise _Stopped

    async def _watch(self, storage: Storage | None) -> None:
        tasks = self._tasks
        assert tasks is not None
        git_kind = await self._kind(flux.SOURCE_GROUP, flux.GIT_REPOSITORY)
        kind = await self._kind(flux.KUSTOMIZE_GROUP, flux.KUSTOMIZATION)
        self._foreign = ForeignSources(
            cluster=self._cluster, clock=self.clock, namespace=self.options.namespace, wake=self._wake_users, tasks=tasks
        )
        if storage is not None:
            self._git_watcher = self._new_watcher(git_kind, self._git_changed)
            self._git = GitReconciler(
                cluster=self._cluster,
                resource=git_kind,
                clock=self.clock,
                repositories=self._repositories,
                storage=storage,
                sources=self._sources,
                events=self._source_events,
                known=self._git_watcher.objects.get,
            )
        self._watcher = self._new_watcher(kind, self._changed)
        self._reconciler = KustomizationReconciler(
            cluster=self._cluster,
            resource=kind,
            clock=self.clock,
            sources=self._sources,
            git_repositories=self._git_watcher,
            kustomizations=self._watcher,
            sites=Sites(self._cluster, self._view, self._remotes, self.options.default_service_account),
            cel=self._cel,
            events=self._events,
            builder=self._builder,
            openers=self._openers,
            slots=asyncio.Semaphore(self.options.concurrent),
            claims=self._claimed,
            no_cross_namespace_refs=self.options.no_cross_namespace_refs,
            additive_ready_expr=self.options.additive_ready_expr,
            prune_guard=self.options.prune_guard,
            requeue_dependency=self.options.requeue_dependency,
            undone=self._undone,
            custom_stage=self.options.custom_stage_kinds,
            shard=self._shard,
        )
        if self.options.watch_configs:
            await self._watch_configs(tasks)
        if self._git_watcher is not None:
            tasks.create_task(self._git_watcher.run(), name=f"{self.name} watch GitRepository")
            await self._git_watcher.synced.wait()
        tasks.create_task(self._watcher.run(), name=f"{self.name} watch Kustomization")
        await self._watcher.synced.wait()

    async def _watch_configs(self, tasks: asyncio.TaskGroup) -> None:
        """ConfigMaps and Secrets labelled for it wake the Kustomizations that use them."""
        for kind in ("ConfigMap", "Secret"):
            resource = await self._kind("", kind)
            watcher = Watcher(
                self._cluster,
                resource,
                self.clock,
                partial(self._config_changed, kind),
                namespace=self.options.namespace,
                label_selector=f"{flux.WATCH}=Enabled",
                keep=False,
                metadata_only=True,
            )
            tasks.create_task(watcher.run(), name=f"{self.name} watch {kind}")

    def _receivers(self, hooks: Hooks) -> Receivers:
        return Receivers(
            cluster=self._cluster,
            clock=self.clock,
            hooks=hooks,
            namespace=self.options.namespace,
            label_selector=self.options.label_selector,
            poke=self.poke_source,
        )

    def _new_watcher(self, resource: ApiResource, on_change: watching.OnChange) -> Watcher:
        return Watcher(
            self._cluster,
            resource,
            self.clock,
            on_change,
            namespace=self.options.namespace,
        )

    async def _kind(self, group: str, kind: str) -> ApiResource:
        """The kind, however long the cluster takes to answer or to have it installed."""
        pause = 0.5
        while True:
            try:
                found = await self._cluster.resource(group, kind)
            except RemoteError as error:
                if self.failure is None:
                    _log.warning("%s: %s", self.name, error.what)
                self.failure = error
            else:
                self.failure = None
                if found is not None:
                    return found
            await self.clock.sleep(pause)
            pause = min(pause * 2, 10.0)

    # what wakes whom

    def _of_another_shard(self, manifest: Manifest) -> bool:
        return not self._shard.matches(manifest["metadata"].get("labels"))

    def _git_changed(self, key: Key, manifest: Manifest | None) -> None:
        actor = self._git_actors.get(key)
        if manifest is None or self._of_another_shard(manifest):
            if actor is not None:
                self._git_actors.pop(key).retire()
                self.metrics.forget(flux.GIT_REPOSITORY, key)
            if manifest is None:
                self._wake_users(flux.GIT_REPOSITORY, key)
            else:
                self._source_of_another_shard_changed(key, manifest)
            return
        if actor is None:
            self._git_actors[key] = self._started(key, self._reconcile_git, git=True)
        elif self._asks(manifest, self._seen_git.get(key)):
            actor.poke()
        before = self._seen_git.get(key)
        self._seen_git[key] = manifest
        if before is None or _artifact(before) != _artifact(manifest):
            self._wake_users(flux.GIT_REPOSITORY, key)

    def _source_of_another_shard_changed(self, key: Key, manifest: Manifest) -> None:
        before = self._seen_git.get(key)
        self._seen_git[key] = manifest
        if before is None or _artifact(before) != _artifact(manifest):
            self._wake_users(flux.GIT_REPOSITORY, key)

    def _changed(self, key: Key, manifest: Manifest | None) -> None:
        actor = self._actors.get(key)
        if manifest is None or self._of_another_shard(manifest):
            if actor is not None:
                self._actors.pop(key).retire()
                self.metrics.forget(flux.KUSTOMIZATION, key)
            gone = self._seen.pop(key, None)
            self._dependants.put(key, None)
            if ((gone or {}).get("spec") or {}).get("kubeConfig"):
                self._remotes.keep(self._kubeconfigs())
            if manifest is not None:
                self._wake_dependants(key)
            return
        before = self._seen.get(key)
        self._seen[key] = manifest
        self._dependants.put(key, manifest)
        self._foreign_kind(manifest)
        if actor is None:
            self._actors[key] = self._started(key, self._reconcile_kustomization, git=False)
        elif self._asks(manifest, before):
            actor.poke()
        if before is None or _readiness(before) != _readiness(manifest):
            self._wake_dependants(key)
        elif before["metadata"].get("resourceVersion") != manifest["metadata"].get("resourceVersion"):
            self._wake_dependants(key, held_back=True)

    def _asks(self, manifest: Manifest, before: Manifest | None) -> bool:
        """Whether a change of an object asks for work; what we write ourselves does not."""
        if before is None:
            return True
        now, then = manifest["metadata"], before["metadata"]
        if any(now.get(part) != then.get(part) for part in ("uid", "generation", "deletionTimestamp")):
            return True
        return any(specs.annotations_of(manifest).get(mark) != specs.annotations_of(before).get(mark) for mark in _ASKING)

    def _foreign_kind(self, manifest: Manifest) -> None:
        """Watch the kind of a Kustomization's source, where it is not one of ours."""
        kind = _source_of(manifest)[0]
        ours = kind == flux.GIT_REPOSITORY and self._git_watcher is not None
        if self._foreign is not None and not ours and kind in (flux.GIT_REPOSITORY, *flux.FOREIGN_SOURCES):
            self._foreign.want(kind)

    def _wake_users(self, kind: str, source: Key) -> None:
        for key, actor in self._actors.items():
            manifest = self._seen.get(key)
            if manifest is not None and _source_of(manifest) == (kind, source):
                actor.poke()
        for key, actor in self._git_actors.items():
            manifest = self._seen_git.get(key)
            for each in ((manifest or {}).get("spec") or {}).get("include") or ():
                if (key[0], (each.get("repository") or {}).get("name")) == source:
                    actor.poke()

    def _wake_dependants(self, changed: Key, *, held_back: bool = False) -> None:
        """held_back: only those that wait for an expression of theirs to hold, which any change can bring about."""
        for key in self._dependants.of(changed):
            actor, manifest = self._actors.get(key), self._seen.get(key) or {}
            if actor is None:
                continue
            for each in (manifest.get("spec") or {}).get("dependsOn") or ():
                if (each.get("namespace") or key[0], each.get("name")) != changed:
                    continue
                if not held_back or (each.get("readyExpr") and _waits_for_dependency(manifest)):
                    actor.poke()

    def _config_changed(self, kind: str, key: watching.ObjectKey, manifest: Manifest | None) -> None:
        for user, actor in self._actors.items():
            if user[0] == key[0] and (kind, key[1]) in specs.references(self._seen.get(user) or {}):
                actor.poke()

    def _kubeconfigs(self) -> set[tuple[str, str, str]]:
        found = set()
        for key, manifest in self._seen.items():
            with contextlib.suppress(InputError, UnusableError):
                found.add(kubeconfig_key(specs.kustomization(manifest, lenient=True), key[0]))
        return {each for each in found if each is not None}

    def _touched(self, owner: Owner, id: ResourceId, drifted: bool) -> None:  # noqa: A002
        actor = self._actors.get((owner.namespace, owner.name))
        if actor is None:
            return
        actor.memory.touched.set()
        if drifted:
            self.metrics.drifts += 1
            if actor.memory.fought(id, self.clock.monotonic()):
                self._leave_to_others(actor, id)
            else:
                actor.memory.fights.discard(id)
                actor.poke()
        elif not actor.busy and self._checks_health(actor.key):
            actor.poke()

    def _leave_to_others(self, actor: Actor, id: ResourceId) -> None:  # noqa: A002
        manifest = self._seen.get(actor.key)
        if id in actor.memory.fights or manifest is None:
            return
        actor.memory.fights.add(id)
        text = f"{id} is changed back again and again by somebody else: drift of it is undone at the interval only"
        self._events.emit(manifest, "DriftFight", text, error=True)

    def _checks_health(self, key: Key) -> bool:
        spec = (self._seen.get(key) or {}).get("spec") or {}
        return bool(spec.get("wait") or spec.get("healthChecks"))

    # the work

    async def _claimed(self, owner: Owner, source: Source, ids: Collection[ResourceId]) -> Collection[ResourceId]:
        """What others are about to apply: those on the same source are built at this revision to find out, and keep that
        build for themselves. A build that fails says nothing new, so the one before it counts."""
        wanted: set[ResourceId] = set()
        sought = set(ids)
        own = specs.kustomization(self._seen[(owner.namespace, owner.name)], lenient=True)
        for key, actor in list(self._actors.items()):
            manifest = self._seen.get(key)
            if key == (owner.namespace, owner.name) or manifest is None or manifest["metadata"].get("deletionTimestamp"):
                continue
            spec = specs.kustomization(manifest, lenient=True)
            if (key[0], spec.kube_config) != (owner.namespace, own.kube_config) and (spec.kube_config or own.kube_config):
                # another cluster's objects may have the same names
                continue
            if not spec.suspend and _source_of(manifest) == _source_of(self._seen[(owner.namespace, owner.name)]):
                with contextlib.suppress(PenstockError):
                    variables = await building.variables(self._cluster, spec, key[0])
                    decrypt = await self._openers.opener(spec, key[0], specs.annotations_of(manifest))
                    actor.memory.built = await self._builder.built(source.tree, spec, key, variables, actor.memory.built, decrypt)
            if actor.memory.built is not None:
                wanted |= sought & {each.id for each in actor.memory.built.desired}
        return wanted

    def _started(self, key: Key, work: Work, *, git: bool) -> Actor:
        assert self._tasks is not None
        actor = Actor(self, key, work, git=git)
        self._tasks.create_task(actor.run(), name=f"{self.name} {'/'.join(key)}")
        return actor

    async def tell_of_bug(self, key: Key, git: bool, what: str) -> None:
        """Put a failure that nobody foresaw into the object's status: a silent object looks healthy."""
        watcher, about = (self._git_watcher, self._git) if git else (self._watcher, self._reconciler)
        manifest = watcher.objects.get(key) if watcher is not None else None
        if watcher is None or about is None or manifest is None:
            return
        reporter = Reporter(
            self._cluster, about.resource, manifest, self.clock, manager=flux.SOURCE_MANAGER if git else flux.STATUS_MANAGER
        )
        reporter.mark(flux.READY, "False", flux.RECONCILIATION_FAILED, f"internal error ({what}), see the log of penstock")
        with contextlib.suppress(RemoteError):
            await reporter.write()
            watcher.note(reporter.manifest)

    async def _reconcile_git(self, actor: Actor) -> timedelta | None:
        assert self._git is not None and self._git_watcher is not None
        manifest = self._git_watcher.objects.get(actor.key)
        if manifest is None:
            return None
        if (still := await self._still_suspended(manifest, self._git_watcher, self._source_events)) is not None:
            return still
        with self.metrics.timed(flux.GIT_REPOSITORY, actor.key):
            written, after = await self._git.reconcile(manifest, actor.memory.failures)
        if written is not None:
            self._git_watcher.note(written)
            ready = gitrepository.is_ready(written)
            actor.memory.failures = 0 if ready else actor.memory.failures + 1
        if actor.key not in self._passed:
            self._passed.add(actor.key)
            self._wake_users(flux.GIT_REPOSITORY, actor.key)
        return self._jittered(after)

    async def _reconcile_kustomization(self, actor: Actor) -> timedelta | None:
        assert self._reconciler is not None and self._watcher is not None
        manifest = self._watcher.objects.get(actor.key)
        if manifest is None:
            return None
        if (still := await self._still_suspended(manifest, self._watcher, self._events)) is not None:
            return still
        kind, source = _source_of(manifest)
        deleting = manifest["metadata"].get("deletionTimestamp")
        if kind == flux.GIT_REPOSITORY and source in self._git_actors and source not in self._passed and not deleting:
            # after a restart what was Ready stays so until its source has been looked at, which wakes us
            return None
        with self.metrics.timed(flux.KUSTOMIZATION, actor.key):
            result: Result = await self._reconciler.reconcile(manifest, actor.memory)
        if result.manifest is not None:
            self._watcher.note(result.manifest)
        if not result.failed:
            actor.memory.failures = 0
        return self._jittered(result.after)

    async def _still_suspended(self, manifest: Manifest, watcher: Watcher, events: Events) -> timedelta | None:
        """How long until a suspension that ends by itself ends; when it is over, the object is resumed."""
        left = suspending.left(manifest, self.clock.now())
        if left is None or left > timedelta(0):
            return left
        resumed = await suspending.end(self._cluster, watcher.resource, manifest)
        if resumed is not None:
            events.emit(resumed, "Resumed", "the time it was suspended until has passed")
            watcher.note(resumed)
        return timedelta(0)

    def _jittered(self, after: timedelta | None) -> timedelta | None:
        if after is None or after <= timedelta(seconds=2):
            return after
        spread = self.options.interval_jitter
        return after * self._random.uniform(1 - spread, 1 + spread)


_ASKING = (
    flux.REQUESTED_AT,
    flux.PRUNE_CONSENT,
    flux.PRUNE_GUARD,
    flux.DRIFT,
    flux.SOPS_MAC,
    flux.CLUSTER,
    flux.SUSPEND_UNTIL,
    flux.HISTORY_GUARD,
    flux.HISTORY_CONSENT,
)
"""Annotations whose change asks for work."""


class _Stopped(Exception):  # noqa: N818 - not an error: the way out of a task group
    pass


def same_repository(one: str, other: str) -> bool:
    """Whether two URLs are of one repository, whoever's credentials and whatever spelling."""
    return _bare(one) == _bare(other)


def _bare(url: str) -> str:
    _, separator, rest = url.partition("://")
    if not separator and "@" in url and ":" in url:
        # git@host:path
        rest = url.replace(":", "/", 1)
    host, _, path = rest.partition("/")
    return f"{host.rpartition('@')[2].lower()}/{path.rstrip('/').removesuffix('.git')}"


def _artifact(manifest: Manifest) -> object:
    artifact = (manifest.get("status") or {}).get("artifact") or {}
    return artifact.get("revision"), artifact.get("digest")


def _readiness(manifest: Manifest) -> object:
    status = manifest.get("status") or {}
    ready = [each.get("status") for each in status.get("conditions") or () if each.get("type") == flux.READY]
    return ready, status.get("lastAppliedRevision"), status.get("observedGeneration")


def _waits_for_dependency(manifest: Manifest) -> bool:
    conditions = (manifest.get("status") or {}).get("conditions") or ()
    return any(each.get("type") == flux.READY and each.get("reason") == flux.DEPENDENCY_NOT_READY for each in conditions)


def _source_of(manifest: Manifest) -> tuple[str, Key]:
    """Kind, namespace and name of what a Kustomization builds from."""
    ref = (manifest.get("spec") or {}).get("sourceRef") or {}
    return str(ref.get("kind") or ""), (
        str(ref.get("namespace") or manifest["metadata"].get("namespace") or ""),
        str(ref.get("name") or ""),
    )
