"""Carrying out a plan: validate everything, apply stage by stage, prune what is stale.

In: a `Plan`, a cluster as the identity to act as, the live view. Out: changes by object. Nothing is applied before all of
it passed a dry-run, and all complaints come at once. What can only be checked later (an object of a kind that the same
plan brings) is checked before its own stage.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import hashlib
from collections.abc import Callable, Collection, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from penstock.apply import immutability, marks, ordering, ownership, planning
from penstock.apply.planning import Change, Desired, Plan
from penstock.controllers import sampling
from penstock.controllers.live import LiveView
from penstock.model import flux
from penstock.model.errors import InputError, Place, Problem, RaceError, RefusedError, RemoteError, TransientError
from penstock.model.resource import Manifest, ResourceId
from penstock.model.values import Outcome
from penstock.ports.clock import Clock
from penstock.ports.cluster import ApiResource, Cluster

IN_FLIGHT = 32
"""Requests at once for one Kustomization."""
_ESTABLISHED_SECONDS = 60.0
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_TRIES = 4
_BINDINGS = ("RoleBinding", "ClusterRoleBinding")
WriteAhead = Callable[[], Coroutine[Any, Any, None]]


@dataclass(slots=True)
class Executed:
    """What came of a plan; filled as it goes, so that it is right also when something failed half-way."""

    changes: list[Change] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    transient: RemoteError | None = None
    """A failure that trying again soon may cure."""

    def add(self, id: ResourceId, outcome: Outcome, why: str = "") -> None:  # noqa: A002 - what the house calls it
        self.changes.append(Change(id=id, outcome=outcome, why=why))

    @property
    def skipped(self) -> set[ResourceId]:
        return {change.id for change in self.changes if change.outcome == "skipped"}

    def fail(self) -> None:
        """Raise what was collected."""
        if self.problems:
            raise InputError(sorted(self.problems, key=lambda problem: problem.where or Place(path="")))
        if self.transient is not None:
            raise self.transient


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pending:
    """A validated object: what applying it will do."""

    wanted: Desired
    resource: ApiResource
    outcome: Outcome
    undo: bool = False
    recreate: bool = False


class Executor:
    """Runs the plan of one Kustomization as one identity."""

    def __init__(
        self,
        cluster: Cluster,
        view: LiveView,
        clock: Clock,
        *,
        force: bool,
        manager: str = flux.FIELD_MANAGER,
        sample: bool = False,
        undone: Sequence[tuple[str, str]] = ownership.UNDONE_MANAGERS,
        custom_stage: Collection[tuple[str, str]] = (),
    ) -> None:
        """`sample`: one dry-run may speak for objects alike. Not for an identity whose rights may depend on names."""
        self.done = Executed()
        self._sample = sample
        self._cluster = cluster
        self._view = view
        self._clock = clock
        self._force = force
        self._manager = manager
        self._undone = undone
        self._custom_stage = custom_stage
        self._slots = asyncio.Semaphore(IN_FLIGHT)

    async def run(self, plan: Plan, write_ahead: WriteAhead) -> Executed:
        """Validate, call `write_ahead`, apply. Raises InputError with every complaint, TransientError, RaceError; `done`
        says what had been applied by then."""
        for each in plan.skipped:
            self.done.add(each.id, "skipped", "marked as not to be applied")
        for each in plan.unchanged:
            self.done.add(each.id, "unchanged")
        known, later = await self._sorted(plan)
        ready = await self._validated(known, plan)
        self.done.fail()
        if not ready and not later:
            return self.done
        await write_ahead()
        bindings = [each for each in later if each.id.kind in _BINDINGS]
        for stage in range(ordering.GATES + 1):
            # the definitions are there now: what depends on them can be checked before anything else is applied; a binding
            # only after its role, because the server looks into it (escalation)
            wait_for = {ordering.CLASSES: [each for each in later if each not in bindings], ordering.REST: bindings}
            if checkable := wait_for.get(stage):
                ready += await self._validated(checkable, plan)
                self.done.fail()
            members = [each for each in ready if ordering.stage(each.wanted.id, self._custom_stage) == stage]
            await self._each(members, self._apply)
            self.done.fail()
            if stage == ordering.DEFINITIONS:
                await self._established(members)
        return self.done

    async def look(self, plan: Plan) -> tuple[ResourceId, ...]:
        """Which objects applying would change; nothing is changed. Raises as `run` does."""
        known, later = await self._sorted(plan)
        ready = await self._validated(known, plan)
        self.done.fail()
        return tuple(sorted([each.wanted.id for each in ready] + [each.id for each in later]))

    async def _sorted(self, plan: Plan) -> tuple[list[Desired], list[Desired]]:
        """What can be validated now, and what needs this plan's own definitions (or roles) first."""
        brought = set(_brought_kinds(plan.changed))
        roles = any(each.id.kind in ("Role", "ClusterRole") for each in plan.changed)
        now: list[Desired] = []
        later: list[Desired] = []
        for each in plan.changed:
            binds = each.id.kind in _BINDINGS and roles
            if binds or ((each.id.group, each.id.kind) in brought and await self._resource(each) is None):
                later.append(each)
            else:
                now.append(each)
        return now, later

    async def _resource(self, wanted: Desired) -> ApiResource | None:
        return await self._cluster.resource(wanted.id.group, wanted.id.kind, wanted.version)

    async def _validated(self, members: Sequence[Desired], plan: Plan) -> list[_Pending]:
        coming = await self._coming(plan)
        found: dict[ResourceId, _Pending] = {}

        async def one(wanted: Desired) -> None:
            pending = await self._validate(wanted, coming)
            if pending is not None:
                found[wanted.id] = pending

        groups = await sampling.groups(self._cluster, self._view, members, coming) if self._sample else ()
        spoken_for = {each.id for group in groups for each in group[1:]}
        await self._each([each for each in members if each.id not in spoken_for], one)
        doubtful: list[Desired] = []
        for first, *others in groups:
            said = found.get(first.id)
            if said is not None and said.outcome == "created":
                found |= {each.id: replace(said, wanted=each) for each in others}
            else:
                # every one of them is to be complained about at its own place
                doubtful += others
        await self._each(doubtful, one)
        return sorted(found.values(), key=lambda pending: ordering.key(pending.wanted.id))

    async def _coming(self, plan: Plan) -> set[str]:
        """Namespaces that are not there and that this plan brings."""
        found: set[str] = set()
        for each in plan.changed:
            if each.id.kind == "Namespace" and not each.id.group:
                resource = await self._resource(each)
                # who may not look may not create either: its own dry-run says so, with its file
                with contextlib.suppress(RefusedError):
                    if resource is not None and await self._cluster.get(resource, "", each.id.name) is None:
                        found.add(each.id.name)
        return found

    async def _validate(self, wanted: Desired, coming: set[str]) -> _Pending | None:
        resource = await self._resource(wanted)
        if resource is None:
            self._complain(
                wanted, f'no matches for kind "{wanted.id.kind}" in version "{wanted.manifest["apiVersion"]}"', "NoMatch"
            )
            return None
        if resource.namespaced and not wanted.id.namespace:
            self._complain(wanted, "namespace not specified", "NamespaceMissing", hint="set `namespace:` in the kustomization")
            return None
        if wanted.id.namespace in coming:
            return await self._rehearsed(wanted, resource)
        try:
            shown = await self._cluster.apply(resource, wanted.manifest, field_manager=self._manager, dry_run=True)
        except RefusedError as error:
            return await self._refused(wanted, resource, error)
        return self._judged(wanted, resource, shown)

    def _judged(self, wanted: Desired, resource: ApiResource, shown: Manifest) -> _Pending | None:
        """What a dry-run's result means."""
        metadata = shown["metadata"]
        if not metadata.get("resourceVersion"):
            return _Pending(wanted=wanted, resource=resource, outcome="created")
        if marks.not_applied(shown) or marks.only_created(wanted.manifest):
            self.done.add(wanted.id, "skipped", "marked as not to be applied")
            return None
        managed = metadata.get("managedFields")
        undo = ownership.to_undo(managed, self._manager, self._undone) and not marks.merged(wanted.manifest)
        known = self._view.objects.get(wanted.id)
        fields = ownership.fields_of(managed, self._manager)
        ours = known is not None and not undo and ownership.as_good_as(known.fields, fields, shown)
        if known is not None and ours and not planning.differs(known.manifest, shown):
            self._view.verified[wanted.id] = planning.Verified(desired=wanted.digest, live=known.digest)
            self.done.add(wanted.id, "unchanged")
            return None
        return _Pending(wanted=wanted, resource=resource, outcome="configured", undo=undo)

    async def _refused(self, wanted: Desired, resource: ApiResource, error: RefusedError) -> _Pending | None:
        messages = _complaints(error)
        if immutability.proven(messages) and immutability.may_recreate(wanted.id, wanted.manifest, force=self._force):
            if (why := await self._rehearse(wanted, resource, wanted.id.namespace)) is None:
                return _Pending(wanted=wanted, resource=resource, outcome="configured", recreate=True)
            messages = (why,)
        self._complain(wanted, f"dry-run failed ({error.code}): {'; '.join(messages)}", error.code)
        return None

    async def _rehearsed(self, wanted: Desired, resource: ApiResource) -> _Pending | None:
        """An object whose namespace comes with the same plan: its schema can be checked elsewhere."""
        why = await self._rehearse(wanted, resource, "default")
        if why is not None:
            self._complain(wanted, f"dry-run failed (Invalid): {why}", "Invalid")
            return None
        return _Pending(wanted=wanted, resource=resource, outcome="created")

    async def _rehearse(self, wanted: Desired, resource: ApiResource, namespace: str) -> str | None:
        """Dry-run creating the object under a name that nothing has; the complaint, or None when it would pass."""
        manifest = copy.copy(wanted.manifest)
        name = f"{wanted.id.name[:40].rstrip('.-')}-{hashlib.sha256(wanted.digest.encode()).hexdigest()[:12]}"
        manifest["metadata"] = {**wanted.manifest["metadata"], "name": name}
        if resource.namespaced:
            manifest["metadata"]["namespace"] = namespace
        try:
            await self._cluster.create(resource, manifest, field_manager=self._manager, dry_run=True)
        except RefusedError as error:
            if error.status in (400, 422):
                return "; ".join(_complaints(error)).replace(name, wanted.id.name)
        return None

    async def _apply(self, pending: _Pending) -> None:
        wanted = pending.wanted
        try:
            if pending.recreate:
                await self._delete_for_recreation(wanted, pending.resource)
            if pending.undo:
                await self._take_over(wanted, pending.resource)
            applied = await self._cluster.apply(pending.resource, wanted.manifest, field_manager=self._manager)
        except RefusedError as error:
            self.done.add(wanted.id, "failed")
            self._complain(wanted, f"apply failed ({error.code}): {'; '.join(_complaints(error))}", error.code)
            return
        self._view.note(applied, wanted.digest)
        self.done.add(wanted.id, pending.outcome)

    async def _take_over(self, wanted: Desired, resource: ApiResource) -> None:
        """Make the fields that somebody set by hand ours, so that applying drops those Git does not have."""
        for _ in range(_TRIES):
            found = await self._cluster.get(resource, wanted.id.namespace, wanted.id.name)
            if found is None:
                return
            metadata = found["metadata"]
            patch: list[dict[str, Any]] = [
                {"op": "test", "path": "/metadata/resourceVersion", "value": metadata["resourceVersion"]},
                {
                    "op": "replace",
                    "path": "/metadata/managedFields",
                    "value": ownership.taken_over(metadata.get("managedFields"), self._manager, self._undone),
                },
            ]
            if _LAST_APPLIED in (metadata.get("annotations") or {}):
                pointer = _LAST_APPLIED.replace("~", "~0").replace("/", "~1")
                patch.append({"op": "remove", "path": f"/metadata/annotations/{pointer}"})
            try:
                await self._cluster.patch(
                    resource, wanted.id.namespace, wanted.id.name, patch, kind="json", field_manager=self._manager
                )
            except RaceError:
                continue
            except RefusedError as error:
                if error.status == 422:
                    # the test failed: somebody wrote in between
                    continue
                raise
            return
        raise RaceError(f"{wanted.id} changes faster than it can be taken over")

    async def _delete_for_recreation(self, wanted: Desired, resource: ApiResource) -> None:
        found = await self._cluster.get(resource, wanted.id.namespace, wanted.id.name)
        if found is None:
            return
        uid = found["metadata"]["uid"]
        await self._cluster.delete(resource, wanted.id.namespace, wanted.id.name, uid=uid)
        await self._until(lambda: self._gone(resource, wanted.id, uid), f"{wanted.id} to be deleted")
        self._view.forget(wanted.id)

    async def _gone(self, resource: ApiResource, id: ResourceId, uid: str) -> bool:  # noqa: A002
        found = await self._cluster.get(resource, id.namespace, id.name)
        return found is None or found["metadata"]["uid"] != uid

    async def _established(self, members: Iterable[_Pending]) -> None:
        """Wait for CRDs: their kinds must be served before anything of them is applied."""
        for pending in members:
            if pending.wanted.id.kind != "CustomResourceDefinition":
                continue
            for group, kind, version in _served(pending.wanted.manifest):

                async def served(group: str = group, kind: str = kind, version: str = version) -> bool:
                    return await self._cluster.resource(group, kind, version) is not None

                await self._until(served, f"{pending.wanted.id} to be established")

    async def _until(self, holds: Callable[[], Coroutine[Any, Any, bool]], what: str) -> None:
        started = self._clock.monotonic()
        pause = 0.02
        while not await holds():
            if self._clock.monotonic() - started > _ESTABLISHED_SECONDS:
                raise TransientError(f"timeout waiting for {what}", code="Timeout")
            await self._clock.sleep(pause)
            pause = min(pause * 2, 1.0)

    async def _each[T](self, members: Sequence[T], work: Callable[[T], Coroutine[Any, Any, None]]) -> None:
        """Run `work` on all, a bounded number at once; transient failures are kept for the end, so that what can be
        done is done and every complaint is heard."""

        async def one(member: T) -> None:
            async with self._slots:
                try:
                    await work(member)
                except RemoteError as error:
                    self.done.transient = error

        async with asyncio.TaskGroup() as group:
            for member in members:
                group.create_task(one(member))

    def _complain(self, wanted: Desired, what: str, code: str, hint: str | None = None) -> None:
        self.done.problems.append(Problem(what=f"{wanted.id} {what}", where=wanted.place, code=code, hint=hint))


def _complaints(error: RefusedError) -> tuple[str, ...]:
    """What a refusal says, field by field if it can; never a value (the adapter took them out)."""
    causes = getattr(error, "causes", ())
    if causes and error.status == 422:
        return tuple(f"{cause.field}: {cause.message}" if cause.field else cause.message for cause in causes)
    # the text after 'apply Kind/namespace/name: '
    return (error.what.partition(": ")[2] or error.what,)


def _served(crd: Manifest) -> list[tuple[str, str, str]]:
    spec = crd.get("spec") or {}
    kind = str((spec.get("names") or {}).get("kind") or "")
    return [(str(spec.get("group")), kind, str(each["name"])) for each in spec.get("versions") or () if each.get("served")]


def _brought_kinds(members: Iterable[Desired]) -> Iterable[tuple[str, str]]:
    for each in members:
        if each.id.kind == "CustomResourceDefinition":
            for group, kind, _ in _served(each.manifest):
                yield group, kind
