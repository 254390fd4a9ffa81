"""The verbs of the API: create, replace, patch, apply, delete, on stored objects. No HTTP, no async.

In: a `Call` (who writes what where) and a body as JSON. Out: the object as stored, or an `ApiError`. Every write goes the
same way: authorize the place, shape the object (unknown fields, defaults, schema), keep what clients may not set, check
it, record ownership, store it if anything changed. One process, one thread: no two writes interleave.
"""

from __future__ import annotations

import functools
import ipaddress
import secrets
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from penstock.sandbox.cluster import customs, defaulting, fieldsets, normalizing, ownership, patching, status, validating
from penstock.sandbox.cluster.kinds import Kind, Registry
from penstock.sandbox.cluster.status import ApiError
from penstock.sandbox.cluster.store import Manifest, Store

PatchKind = Literal["json", "merge", "strategic"]
CRD_KEY = "customresourcedefinitions.apiextensions.k8s.io"
_SYSTEM = ("uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink")


@dataclass(slots=True, kw_only=True)
class Call:
    """One request for one object, as the verbs need it."""

    kind: Kind
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    manager: str = "unknown"
    dry_run: bool = False
    field_validation: str = "Warn"
    """Strict, Warn or Ignore, as in the query of the same name."""
    warnings: list[str] = field(default_factory=list)
    """Filled while the call runs; become Warning headers."""


def timestamp() -> str:
    """Now, in RFC 3339 and UTC with whole seconds: how the API writes times."""
    return _second(int(time.time()))


@functools.lru_cache(maxsize=4)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Api:
    """One cluster's objects behind the rules of the Kubernetes API."""

    def __init__(self, store: Store, registry: Registry, now: Callable[[], str] = timestamp) -> None:
        self.store = store
        self.registry = registry
        self.now = now
        for crd in store.objects(CRD_KEY):
            self.register(crd)

    def register(self, crd: Mapping[str, Any]) -> None:
        """Serve what a CRD defines, in its present form."""
        self.registry.set_custom(crd["metadata"]["name"], customs.kinds_of(crd))

    # ---------------------------------------------------------------------------------------------- reading

    def get(self, call: Call) -> Manifest:
        found = self.store.get(call.kind.key, call.namespace, call.name)
        if found is None:
            raise status.not_found(call.kind.group, call.kind.plural, call.name)
        return self.versioned(call.kind, found)

    def versioned(self, kind: Kind, manifest: Manifest) -> Manifest:
        """A stored object as one version of its kind shows it."""
        if manifest.get("apiVersion") == kind.api_version and manifest.get("kind") == kind.kind:
            return manifest
        return {**manifest, "apiVersion": kind.api_version, "kind": kind.kind}

    # ---------------------------------------------------------------------------------------------- creating

    def create(self, call: Call, body: Mapping[str, Any], applied: ownership.Applied | None = None) -> Manifest:
        """POST, or the first apply of an object. Raises 409 when it exists."""
        kind = call.kind
        manifest = self._body(call, body)
        metadata = manifest["metadata"]
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = metadata["generateName"][:58] + secrets.token_hex(3)[:5]
        if metadata.get("resourceVersion") and applied is None:
            raise ApiError(500, "", "resourceVersion should not be set on objects to be created")
        self._check_namespace(call, metadata.get("name", ""))
        if (name := metadata.get("name")) and (found := self.store.get(kind.key, call.namespace, name)) is not None:
            error = status.already_exists(kind.group, kind.plural, name)
            if found["metadata"].get("deletionTimestamp"):
                error.message = f"object is being deleted: {error.message}"
            raise error
        for key in (*_SYSTEM, "resourceVersion"):
            metadata.pop(key, None)
        if kind.has_status:
            manifest.pop("status", None)
        shaped = self._shape(call, manifest)
        now = self.now()
        # Ownership comes before what the server itself adds: nobody owns an allocated address.
        if applied is None:
            managed = ownership.after_update(kind, {}, shaped, sent=None, manager=call.manager, now=now)
        else:
            managed = _applied_fields(applied, now)
        if managed:
            shaped["metadata"]["managedFields"] = managed
        else:
            shaped["metadata"].pop("managedFields", None)
        self._fill_new(kind, shaped)
        self._allocate(kind, shaped, None)
        self._validate(kind, shaped, None)
        if kind.key == CRD_KEY:
            shaped["status"] = customs.first_status(shaped)
        if call.dry_run:
            return shaped
        stored = self.store.put(kind.key, shaped)
        if kind.key == CRD_KEY:
            self._establish(kind, stored)
        return stored

    def _establish(self, kind: Kind, crd: Manifest) -> None:
        """Serve what a CRD defines, and say so in its status."""
        self.register(crd)
        name = crd["metadata"]["name"]
        call = Call(kind=kind, name=name, subresource="status", manager="kube-apiserver")
        self._update(call, crd, {**crd, "status": customs.status_of(crd, self.now())})

    def _fill_new(self, kind: Kind, manifest: Manifest) -> None:
        metadata = manifest["metadata"]
        metadata["uid"] = str(uuid.uuid4())
        metadata["creationTimestamp"] = self.now()
        if kind.has_generation:
            metadata["generation"] = 1
        if kind.key == "jobs.batch" and not manifest["spec"].get("manualSelector"):
            _select_own_pods(manifest)
        if kind.key == "namespaces":
            manifest["spec"]["finalizers"] = ["kubernetes"]
        if kind.key in _PROTECTED:
            metadata["finalizers"] = [*metadata.get("finalizers", []), _PROTECTED[kind.key]]
        if kind.key == "persistentvolumes":
            manifest["status"]["lastPhaseTransitionTime"] = self.now()
        if kind.key == "pods":
            defaulting.admit_pod(manifest["spec"])
            manifest["status"] = {"phase": "Pending", "qosClass": _quality(manifest["spec"])}

    def _check_namespace(self, call: Call, name: str) -> None:
        if not call.kind.namespaced:
            return
        namespace = self.store.get("namespaces", "", call.namespace)
        if namespace is None:
            raise status.not_found("", "namespaces", call.namespace)
        if namespace["metadata"].get("deletionTimestamp"):
            why = f"unable to create new content in namespace {call.namespace} because it is being terminated"
            error = status.forbidden(call.kind.group, call.kind.plural, name, why)
            error.details = {
                **(error.details or {}),
                "causes": [
                    {"reason": "NamespaceTerminating", "message": f"namespace {call.namespace} is being terminated"}
                    | {"field": "metadata.namespace"}
                ],
            }
            raise error

    # ---------------------------------------------------------------------------------------------- updating

    def replace(self, call: Call, body: Mapping[str, Any]) -> Manifest:
        """PUT. Raises 404 when there is nothing to replace, 409 when the resourceVersion is not the present one."""
        live = self.get(call)
        manifest = self._body(call, body)
        if call.kind.crd is not None and not manifest["metadata"].get("resourceVersion"):
            why = validating.invalid_value("metadata.resourceVersion", 0, "must be specified for an update")
            raise status.invalid(call.kind.group, call.kind.plural, call.name, [why])
        return self._update(call, live, manifest)

    def patch(self, call: Call, patch_kind: PatchKind, patch: Any) -> Manifest:
        """PATCH with one of the classic patch types."""
        live = self.get(call)
        if patch_kind == "json":
            out = patching.json_patch(live, patch)
        elif not isinstance(patch, Mapping):
            raise status.bad_request("error decoding patch: a patch of this type is an object")
        elif patch_kind == "merge":
            out = patching.merge_patch(live, patch)
        else:
            out = patching.strategic_patch(call.kind.schema, live, patch)
        return self._update(call, live, self._body(call, out))

    def apply(self, call: Call, config: Mapping[str, Any], *, force: bool) -> Manifest:
        """Server-side apply: create or merge, with the fields of this manager recorded."""
        if isinstance(config, Mapping) and (config.get("apiVersion"), config.get("kind")) != (
            call.kind.api_version,
            call.kind.kind,
        ):
            group, _, version = str(config.get("apiVersion") or "").rpartition("/")
            raise status.bad_request(f"invalid object type: {group}/{version}, Kind={config.get('kind') or ''}")
        manifest = self._body(call, config)
        if (config.get("metadata") or {}).get("managedFields"):
            raise status.bad_request("metadata.managedFields must be nil")
        live = self.store.get(call.kind.key, call.namespace, call.name)
        if live is None and call.subresource:
            raise status.not_found(call.kind.group, call.kind.plural, call.name)
        if live is not None:
            live = self.versioned(call.kind, live)
        elif manifest["metadata"].get("uid"):
            raise status.conflict(call.kind.group, call.kind.plural, call.name, _GONE)
        self._check_declared(call, config)
        applied = ownership.apply(
            call.kind, live or {}, manifest, manager=call.manager, force=force, subresource=call.subresource
        )
        if live is None:
            return self.create(call, applied.manifest, applied)
        return self._update(call, live, applied.manifest, applied)

    def _update(self, call: Call, live: Manifest, manifest: Manifest, applied: ownership.Applied | None = None) -> Manifest:
        kind = call.kind
        metadata = manifest["metadata"] = dict(manifest["metadata"])
        self._check_preconditions(call, live, metadata)
        for key in (*_SYSTEM, "generateName", "resourceVersion", "name", "namespace"):
            if key in live["metadata"]:
                metadata[key] = live["metadata"][key]
            else:
                metadata.pop(key, None)
        manifest = self._keep_other_half(call, live, manifest)
        shaped = self._shape(call, manifest)
        now = self.now()
        if applied is None:
            sent = metadata.get("managedFields")
            managed = ownership.after_update(
                kind, live, shaped, sent=sent, manager=call.manager, now=now, subresource=call.subresource
            )
        else:
            managed = _applied_fields(applied, now)
        if managed:
            shaped["metadata"]["managedFields"] = managed
        else:
            shaped["metadata"].pop("managedFields", None)
        self._allocate(kind, shaped, live)
        if (
            call.subresource != "status"
            and kind.has_generation
            and not fieldsets.same(_specification(kind, shaped), _specification(kind, live))
        ):
            shaped["metadata"]["generation"] = live["metadata"].get("generation", 0) + 1
        if kind.key == "daemonsets.apps" and not fieldsets.same(shaped["spec"]["template"], live["spec"]["template"]):
            annotations, key = shaped["metadata"]["annotations"], defaulting.TEMPLATE_GENERATION
            annotations[key] = str(int(live["metadata"]["annotations"][key]) + 1)
        self._validate(kind, shaped, live)
        if fieldsets.same(_timeless(shaped), _timeless(live)):
            return live
        if call.dry_run:
            return shaped
        if shaped["metadata"].get("deletionTimestamp") and not _held(kind, shaped):
            self.store.put(kind.key, shaped)
            return self.store.delete(kind.key, call.namespace, call.name) or shaped
        stored = self.store.put(kind.key, shaped)
        if kind.key == CRD_KEY and not call.subresource:
            self._establish(kind, stored)
        return stored

    def _check_preconditions(self, call: Call, live: Manifest, metadata: Mapping[str, Any]) -> None:
        sent = metadata.get("resourceVersion")
        if sent and sent != live["metadata"]["resourceVersion"]:
            raise status.conflict(call.kind.group, call.kind.plural, call.name, status.STALE)
        if (uid := metadata.get("uid")) and uid != live["metadata"]["uid"]:
            place = "/".join(filter(None, ("/registry", call.kind.plural, call.namespace, call.name)))
            why = (
                f"StorageError: invalid object, Code: 4, Key: {place}, ResourceVersion: 0, AdditionalErrorMsg: Precondition "
                f"failed: UID in precondition: {uid}, UID in object meta: {live['metadata']['uid']}"
            )
            raise status.conflict(call.kind.group, call.kind.plural, call.name, why)

    def _keep_other_half(self, call: Call, live: Manifest, manifest: Manifest) -> Manifest:
        """A status write keeps the specification, any other write keeps the status."""
        if call.subresource == "status":
            metadata = {**live["metadata"], "managedFields": manifest["metadata"].get("managedFields")}
            if call.kind.crd is None:
                for key in ("labels", "annotations", "finalizers"):
                    if manifest["metadata"].get(key):
                        metadata[key] = manifest["metadata"][key]
            kept = {**live, "metadata": metadata}
            kept.pop("status", None)
            return kept | ({"status": manifest["status"]} if "status" in manifest else {})
        if call.kind.has_status:
            manifest = {key: value for key, value in manifest.items() if key != "status"}
            if "status" in live:
                manifest["status"] = live["status"]
        return manifest

    def write_status(self, kind: Kind, live: Manifest, new: Mapping[str, Any], *, manager: str) -> Manifest:
        """Store a status that our own controllers made: of the right shape by construction, so only its owner is noted."""
        if fieldsets.same(live.get("status") or {}, new):
            return live
        shaped = {**live, "status": new}
        managed = ownership.after_status(kind, live, shaped, manager=manager, now=self.now())
        shaped["metadata"] = {**live["metadata"], "managedFields": managed}
        return self.store.put(kind.key, shaped)

    # ---------------------------------------------------------------------------------------------- deleting

    def delete(self, call: Call, options: Mapping[str, Any]) -> tuple[int, Manifest]:
        """DELETE: the object goes at once, or waits for its finalizers. HTTP status and body."""
        live = self.get(call)
        self._check_delete(call, live, options.get("preconditions") or {})
        metadata = live["metadata"]
        propagation = options.get("propagationPolicy") or ("Orphan" if options.get("orphanDependents") else "Background")
        finalizers = [f for f in metadata.get("finalizers") or [] if f not in ("orphan", "foregroundDeletion")]
        if propagation == "Foreground":
            finalizers.append("foregroundDeletion")
        elif propagation == "Orphan":
            finalizers.append("orphan")
        if finalizers or _held(call.kind, live):
            return 200, self._terminate(call, live, finalizers)
        if not call.dry_run:
            self.remove(call.kind, live)
        return 200, self._deleted(call, live)

    def _check_delete(self, call: Call, live: Manifest, preconditions: Mapping[str, Any]) -> None:
        kind, metadata = call.kind, live["metadata"]
        uid, version = preconditions.get("uid"), preconditions.get("resourceVersion")
        if uid and uid != metadata["uid"]:
            why = (
                f"the UID in the precondition ({uid}) does not match the UID in record ({metadata['uid']}). "
                "The object might have been deleted and then recreated"
            )
            raise status.conflict("", kind.kind, call.name, why)
        if version and version != metadata["resourceVersion"]:
            why = (
                f"the ResourceVersion in the precondition ({version}) does not match the ResourceVersion in record "
                f"({metadata['resourceVersion']}). The object might have been modified"
            )
            raise status.conflict("", kind.kind, call.name, why)
        if kind.key == "namespaces" and call.name in ("default", "kube-system", "kube-public"):
            raise status.forbidden("", "namespaces", call.name, "this namespace may not be deleted")

    def _terminate(self, call: Call, live: Manifest, finalizers: Sequence[str]) -> Manifest:
        """Mark for deletion; whoever holds a finalizer finishes it."""
        metadata = dict(live["metadata"])
        if not metadata.get("deletionTimestamp"):
            metadata["deletionTimestamp"] = self.now()
            metadata["deletionGracePeriodSeconds"] = 0
            if metadata.get("generation"):
                metadata["generation"] += 1
        if finalizers:
            metadata["finalizers"] = list(finalizers)
        manifest = {**live, "metadata": metadata}
        if call.kind.key == "namespaces":
            # The namespace controller's business is spec.finalizers, not a deletion grace period.
            metadata.pop("deletionGracePeriodSeconds", None)
            manifest["status"] = {**live.get("status", {}), "phase": "Terminating"}
        if call.dry_run or fieldsets.same(manifest, live):
            return manifest
        return self.store.put(call.kind.key, manifest)

    def remove(self, kind: Kind, live: Manifest) -> Manifest:
        """Take an object out of the store, whatever it says."""
        metadata = live["metadata"]
        if kind.key == CRD_KEY:
            self._remove_instances(live)
            self.registry.set_custom(metadata["name"], [])
        return self.store.delete(kind.key, metadata.get("namespace", ""), metadata["name"]) or live

    def _remove_instances(self, crd: Manifest) -> None:
        key = f"{crd['spec']['names']['plural']}.{crd['spec']['group']}"
        with self.store.batch():
            for manifest in self.store.objects(key):
                self.store.delete(key, manifest["metadata"].get("namespace", ""), manifest["metadata"]["name"])

    def _deleted(self, call: Call, live: Manifest) -> Manifest:
        if call.kind.key in _RETURNS_DELETED:
            return live
        return status.success(call.kind.group, call.kind.plural, call.name, live["metadata"]["uid"])

    # ---------------------------------------------------------------------------------------------- shaping

    def _body(self, call: Call, body: Mapping[str, Any]) -> Manifest:
        """The body as an object of this kind at this place. Raises 400 when it is something else."""
        kind = call.kind
        if not isinstance(body, Mapping):
            raise status.bad_request("the body is not an object")
        if why := _another_kind(kind, body.get("apiVersion") or kind.api_version, body.get("kind") or kind.kind):
            raise status.bad_request(why)
        metadata = body.get("metadata")
        if metadata is not None and not isinstance(metadata, Mapping):
            raise status.bad_request("metadata is not an object")
        metadata = {key: value for key, value in (metadata or {}).items() if value is not None}
        for key in ("name", "generateName", "namespace", "resourceVersion", "uid"):
            if not isinstance(metadata.get(key, ""), str):
                raise status.bad_request(f"metadata.{key} is not a string")
        if call.name and metadata.get("name", call.name) != call.name:
            raise status.bad_request(
                f"the name of the object ({metadata['name']}) does not match the name on the URL ({call.name})"
            )
        if call.name:
            metadata["name"] = call.name
        if kind.namespaced:
            if metadata.get("namespace", call.namespace) != call.namespace:
                raise status.bad_request("the namespace of the provided object does not match the namespace sent on the request")
            metadata["namespace"] = call.namespace
        else:
            metadata.pop("namespace", None)
        return {**body, "apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata}

    def _shape(self, call: Call, manifest: Manifest) -> Manifest:
        """A new object in stored form: known fields only, defaults filled in, the schema obeyed."""
        if call.kind.crd is not None:
            shaped, unknown = customs.conform(call.kind, manifest)
            meta, bad = normalizing.normalize_metadata(call.kind, shaped.get("metadata") or {})
            shaped["metadata"] = meta
            unknown += bad
        else:
            shaped, unknown = normalizing.normalize(call.kind, manifest)
        if unknown and call.field_validation == "Strict":
            listed = ", ".join(f'unknown field "{path}"' for path in unknown)
            raise status.bad_request(
                f'{call.kind.kind} in version "{call.kind.version}" cannot be handled as a {call.kind.kind}: '
                f"strict decoding error: {listed}"
            )
        if unknown and call.field_validation == "Warn":
            call.warnings += [f'unknown field "{path}"' for path in unknown]
        if call.kind.crd is None:
            defaulting.default(call.kind.key, shaped)
        return shaped

    def _check_declared(self, call: Call, config: Mapping[str, Any]) -> None:
        """Server-side apply takes no field the schema does not declare, and no wrong type (structured-merge-diff)."""
        found = fieldsets.mismatches(call.kind.schema, config)
        if found:
            undeclared = [line for line in found if line.endswith(fieldsets.UNDECLARED)]
            found = undeclared or found
            why = found[0] if len(found) == 1 else "errors:\n" + "\n".join(f"  {line}" for line in found)
            raise ownership.untyped(call.kind, config, why)

    def _validate(self, kind: Kind, manifest: Manifest, old: Manifest | None) -> None:
        causes = validating.validate(kind, manifest, old)
        if kind.crd is not None:
            causes += customs.problems(kind, manifest)
        elif kind.key == CRD_KEY:
            causes += customs.definition_problems(manifest)
        if causes:
            raise status.invalid(kind.group, kind.kind, manifest["metadata"].get("name", ""), causes)

    # ---------------------------------------------------------------------------------------------- allocating

    def _allocate(self, kind: Kind, manifest: Manifest, live: Manifest | None) -> None:
        """Addresses and ports of a Service; kept from the live one."""
        if kind.key != "services":
            return
        spec = manifest["spec"]
        before = (live or {}).get("spec", {})
        if spec.get("type") == "ExternalName":
            return
        if not spec.get("clusterIP"):
            spec["clusterIP"] = before.get("clusterIP") or self._free_address()
        spec.setdefault("clusterIPs", [spec["clusterIP"]])
        spec.setdefault("ipFamilies", before.get("ipFamilies") or ["IPv4"])
        spec.setdefault("ipFamilyPolicy", before.get("ipFamilyPolicy") or "SingleStack")
        if spec.get("type") in ("NodePort", "LoadBalancer"):
            ports = {port.get("name", ""): port.get("nodePort") for port in before.get("ports") or ()}
            for port in spec.get("ports") or ():
                if not port.get("nodePort"):
                    port["nodePort"] = ports.get(port.get("name", "")) or self._free_port(manifest)

    def _free_address(self) -> str:
        used = {service["spec"].get("clusterIP") for service in self.store.objects("services")}
        return next(str(ip) for ip in ipaddress.ip_network("10.96.0.0/16").hosts() if str(ip) not in used)

    def _free_port(self, manifest: Manifest) -> int:
        services = [*self.store.objects("services"), manifest]
        used = {port.get("nodePort") for service in services for port in service["spec"].get("ports") or ()}
        return next(port for port in range(30000, 32768) if port not in used)


_GONE = "uid mismatch: the provided object specified uid, and no existing object was found"
_PROTECTED = {"persistentvolumeclaims": "kubernetes.io/pvc-protection", "persistentvolumes": "kubernetes.io/pv-protection"}
_RETURNS_DELETED = frozenset(
    {"pods", "services", "serviceaccounts", "persistentvolumes", "persistentvolumeclaims", "podtemplates", "resourcequotas"}
)


def _another_kind(kind: Kind, api_version: Any, name: Any) -> str | None:
    """Why an object that says it is of this version and kind is not one of ours, in the words of the API."""
    if name == kind.kind:
        if api_version == kind.api_version:
            return None
        return f"the API version in the data ({api_version}) does not match the expected API version ({kind.api_version})"
    version = str(api_version).rpartition("/")[2]
    package = kind.group.partition(".")[0] or "core"
    return (
        f'{name} in version "{version}" cannot be handled as a {kind.kind}: '
        f"converting ({version}.{name}) to ({package}.{kind.kind}): unknown conversion"
    )


def _held(kind: Kind, manifest: Mapping[str, Any]) -> bool:
    """Whether something still has to happen before the object may go."""
    if manifest["metadata"].get("finalizers"):
        return True
    return kind.key == "namespaces" and bool(manifest.get("spec", {}).get("finalizers"))


def _specification(kind: Kind, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What metadata.generation counts: everything but metadata and a status that is its own subresource."""
    found = {}
    if kind.key == "deployments.apps":
        # Deployments alone count changes of their annotations, too; a status write may change those uncounted.
        found["annotations"] = manifest["metadata"].get("annotations")
    skip = {"metadata", "apiVersion", "kind"} | ({"status"} if kind.has_status else set())
    return found | {key: value for key, value in manifest.items() if key not in skip}


def _timeless(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The object without the times of its managedFields: a write that would change only those is none."""
    metadata = dict(manifest["metadata"])
    entries = metadata.get("managedFields")
    if entries:
        metadata["managedFields"] = [{k: v for k, v in entry.items() if k != "time"} for entry in entries]
    return {**manifest, "metadata": metadata}


def _applied_fields(applied: ownership.Applied, now: str) -> list[dict[str, Any]]:
    """managedFields after an apply."""
    if applied.changed:
        applied.managers.times[applied.owner] = now
    for owner in applied.managers.sets:
        if owner.manager == ownership.FIRST:
            applied.managers.times.setdefault(owner, now)
    return ownership.encode(applied.managers)


def _select_own_pods(manifest: Manifest) -> None:
    """A Job selects its pods by its own uid, in the labels the job strategy writes."""
    uid, name = manifest["metadata"]["uid"], manifest["metadata"].get("name", "")
    labels = manifest["spec"]["template"].setdefault("metadata", {}).setdefault("labels", {})
    owned: dict[str, str] = {
        "batch.kubernetes.io/controller-uid": uid,
        "batch.kubernetes.io/job-name": name,
        "controller-uid": uid,
        "job-name": name,
    }
    if manifest["metadata"].get("labels", labels) == labels:
        manifest["metadata"]["labels"] = {**labels, **owned}
    labels |= owned
    manifest["spec"]["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}


def _quality(spec: Mapping[str, Any]) -> str:
    """The quality of service class of a pod, from its requests and limits."""
    resources = [container.get("resources") or {} for container in spec.get("containers") or ()]
    if not any(part.get("requests") or part.get("limits") for part in resources):
        return "BestEffort"
    for part in resources:
        limits = part.get("limits") or {}
        if not {"cpu", "memory"} <= limits.keys() or (part.get("requests") or limits) != limits:
            return "Burstable"
    return "Guaranteed"
