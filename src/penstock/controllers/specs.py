"""The spec of a Kustomization as a typed value, with Flux's defaults filled in (GitRepository: `git_spec`).

In: manifests as the API server shows them (so already validated by their CRDs). Out: frozen values. Raises InputError
for what a CRD cannot check.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from penstock.model import duration, flux
from penstock.model.errors import InputError, Problem
from penstock.model.resource import Manifest, ResourceId, split_api_version

Key = tuple[str, str]
"""Namespace and name of a GitRepository or Kustomization."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRef:
    """Where a Kustomization's files come from."""

    kind: str
    namespace: str
    name: str

    @property
    def key(self) -> Key:
        return (self.namespace, self.name)

    def __str__(self) -> str:
        return f"{self.kind}/{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependency:
    """One entry of dependsOn."""

    namespace: str
    name: str
    ready_expr: str = ""

    @property
    def key(self) -> Key:
        return (self.namespace, self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthExpressions:
    """One entry of healthCheckExprs: how the health of a kind is told, in CEL over the object's own fields."""

    group: str
    kind: str
    current: str
    in_progress: str = ""
    failed: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Substitution:
    """One entry of postBuild.substituteFrom."""

    kind: str
    name: str
    optional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class KustomizationSpec:
    """A Kustomization, as far as syncing needs it; the build reads the rest from `raw`."""

    raw: Mapping[str, Any]
    interval: timedelta
    retry_interval: timedelta
    timeout: timedelta
    source: SourceRef
    path: str
    prune: bool
    deletion_policy: str
    suspend: bool
    force: bool
    wait: bool
    health_checks: tuple[tuple[ResourceId, str], ...]
    """Ids with the API version to read them in."""
    health_expressions: tuple[HealthExpressions, ...]
    depends_on: tuple[Dependency, ...]
    service_account: str
    kube_config: Mapping[str, Any] | None
    decryption: Mapping[str, Any] | None
    substitutions: tuple[Substitution, ...]
    substitute: Mapping[str, str]


def kustomization(manifest: Manifest, *, lenient: bool = False) -> KustomizationSpec:
    """Read a Kustomization. Raises InputError for durations that are none.

    lenient: take such durations for ten minutes: where another object is looked at, or one has to go.
    """
    if lenient:
        manifest = _with_usable_durations(manifest)
    namespace = str(manifest["metadata"].get("namespace") or "")
    spec: Mapping[str, Any] = manifest.get("spec") or {}
    interval = duration_of(spec, "interval", None)
    assert interval is not None
    source = spec.get("sourceRef") or {}
    post_build = spec.get("postBuild") or {}
    return KustomizationSpec(
        raw=spec,
        interval=interval,
        retry_interval=duration_of(spec, "retryInterval", interval) or interval,
        timeout=_timeout(spec, interval),
        source=SourceRef(
            kind=str(source.get("kind") or ""),
            namespace=str(source.get("namespace") or namespace),
            name=str(source.get("name") or ""),
        ),
        path=str(spec.get("path") or ""),
        prune=spec.get("prune") is True,
        deletion_policy=str(spec.get("deletionPolicy") or "MirrorPrune"),
        suspend=spec.get("suspend") is True,
        force=spec.get("force") is True,
        wait=spec.get("wait") is True,
        health_checks=tuple(_reference(each, namespace) for each in spec.get("healthChecks") or ()),
        health_expressions=tuple(_expressions(each) for each in spec.get("healthCheckExprs") or ()),
        depends_on=tuple(
            Dependency(
                namespace=str(each.get("namespace") or namespace),
                name=str(each["name"]),
                ready_expr=str(each.get("readyExpr") or ""),
            )
            for each in spec.get("dependsOn") or ()
        ),
        service_account=str(spec.get("serviceAccountName") or ""),
        kube_config=spec.get("kubeConfig"),
        decryption=spec.get("decryption"),
        substitutions=tuple(
            Substitution(kind=str(each["kind"]), name=str(each["name"]), optional=each.get("optional") is True)
            for each in post_build.get("substituteFrom") or ()
        ),
        substitute={str(key): str(value) for key, value in (post_build.get("substitute") or {}).items()},
    )


def key(manifest: Manifest) -> Key:
    """Namespace and name."""
    metadata = manifest["metadata"]
    return (str(metadata.get("namespace") or ""), str(metadata["name"]))


def references(manifest: Manifest) -> set[tuple[str, str]]:
    """The ConfigMaps and Secrets that a Kustomization uses, by kind and name; all stand in its own namespace."""
    spec = manifest.get("spec") or {}
    found = {(str(each.get("kind")), str(each.get("name"))) for each in (spec.get("postBuild") or {}).get("substituteFrom") or ()}
    for part, reference, kind in (
        ("decryption", "secretRef", "Secret"),
        ("kubeConfig", "secretRef", "Secret"),
        ("kubeConfig", "configMapRef", "ConfigMap"),
    ):
        if named := (spec.get(part) or {}).get(reference):
            found.add((kind, str(named.get("name"))))
    return found


def annotations_of(manifest: Manifest) -> Mapping[str, str]:
    """The annotations, never None."""
    return (manifest.get("metadata") or {}).get("annotations") or {}


def requested_at(manifest: Manifest) -> str:
    """The token of the last request to reconcile."""
    return annotations_of(manifest).get(flux.REQUESTED_AT, "")


_DURATIONS = ("interval", "retryInterval", "timeout")


def _with_usable_durations(manifest: Manifest) -> Manifest:
    spec = dict(manifest.get("spec") or {})
    for name in _DURATIONS:
        try:
            duration_of(spec, name, timedelta(minutes=10))
        except InputError:
            spec[name] = "10m"
    return {**manifest, "spec": {"interval": "10m", **spec}}


def _timeout(spec: Mapping[str, Any], interval: timedelta) -> timedelta:
    """Flux's GetTimeout: the interval less 30 s, never under 30 s."""
    given = duration_of(spec, "timeout", None) if spec.get("timeout") else None
    return (
        max(given if given is not None else interval - timedelta(seconds=30), timedelta(seconds=30)) if given is None else given
    )


def duration_of(spec: Mapping[str, Any], name: str, default: timedelta | None) -> timedelta | None:
    """A field that is a duration. Raises InputError."""
    text = spec.get(name)
    if text is None:
        if default is None and name == "interval":
            raise InputError([Problem(what="spec.interval is required", code="InvalidSpec")])
        return default
    try:
        return duration.parse(str(text))
    except ValueError as error:
        raise InputError([Problem(what=f"spec.{name}: {error}", code="InvalidSpec")]) from None


def _expressions(about: Mapping[str, Any]) -> HealthExpressions:
    text = str(about.get("apiVersion") or "")
    # the version says nothing, so a group alone will do
    group = text.partition("/")[0] if "/" in text or "." in text else ""
    return HealthExpressions(
        group=group,
        kind=str(about.get("kind") or ""),
        current=str(about.get("current") or ""),
        in_progress=str(about.get("inProgress") or ""),
        failed=str(about.get("failed") or ""),
    )


def _reference(about: Mapping[str, Any], namespace: str) -> tuple[ResourceId, str]:
    group, version = split_api_version(str(about.get("apiVersion") or "v1"))
    id = ResourceId(group, str(about["kind"]), str(about.get("namespace") or namespace), str(about["name"]))  # noqa: A001
    return id, version


def longest_pass(manifest: Manifest) -> timedelta:
    """How long a pass over an object may take by its own timeouts: applying and waiting for health each have one."""
    spec = manifest.get("spec") or {}
    try:
        if manifest.get("kind") == flux.KUSTOMIZATION:
            return 3 * kustomization(manifest).timeout
        return 2 * (duration_of(spec, "timeout", None) or timedelta(seconds=60))
    except (InputError, KeyError, AssertionError):
        # what cannot be read is not worked on for long
        return timedelta(0)
