"""Flux's words, spelled as Flux spells them: groups, kinds, labels, annotations, reasons, condition types.

Source: the APIs kustomize.toolkit.fluxcd.io/v1 and source.toolkit.fluxcd.io/v1.
"""

from __future__ import annotations

from typing import Final

KUSTOMIZE_GROUP: Final = "kustomize.toolkit.fluxcd.io"
SOURCE_GROUP: Final = "source.toolkit.fluxcd.io"
KUSTOMIZATION: Final = "Kustomization"
GIT_REPOSITORY: Final = "GitRepository"

FIELD_MANAGER: Final = "kustomize-controller"
"""Applies objects. Flux's own name, so that a cluster can change hands without any object changing."""
STATUS_MANAGER: Final = "gotk-kustomize-controller"
SOURCE_MANAGER: Final = "gotk-source-controller"
FINALIZER: Final = "finalizers.fluxcd.io"

OWNER_NAME: Final = f"{KUSTOMIZE_GROUP}/name"
OWNER_NAMESPACE: Final = f"{KUSTOMIZE_GROUP}/namespace"
PRUNE: Final = f"{KUSTOMIZE_GROUP}/prune"
RECONCILE: Final = f"{KUSTOMIZE_GROUP}/reconcile"
SSA: Final = f"{KUSTOMIZE_GROUP}/ssa"
FORCE: Final = f"{KUSTOMIZE_GROUP}/force"
DECRYPT: Final = f"{KUSTOMIZE_GROUP}/decrypt"
REQUESTED_AT: Final = "reconcile.fluxcd.io/requestedAt"
WATCH: Final = "reconcile.fluxcd.io/watch"
SHARD: Final = "sharding.fluxcd.io/key"

PRUNE_CONSENT: Final = "penstock.dev/prune-consent"
"""Ours: on a Kustomization, the digest of the held prune that a person agrees to."""
PRUNE_GUARD: Final = "penstock.dev/prune-guard"
"""Ours: 'disabled' on a Kustomization prunes as Flux does, without asking."""
DRIFT: Final = "penstock.dev/drift"
"""Ours: 'report' on a Kustomization tells of drift without undoing it."""
FORCE_PROTECTED: Final = "penstock.dev/force-protected"
"""Ours: 'enabled' on an object of a kind that holds data lets force recreate it."""

READY: Final = "Ready"
RECONCILING: Final = "Reconciling"
STALLED: Final = "Stalled"
HEALTHY: Final = "Healthy"
ARTIFACT_IN_STORAGE: Final = "ArtifactInStorage"
ARTIFACT_OUTDATED: Final = "ArtifactOutdated"
FETCH_FAILED: Final = "FetchFailed"
STORAGE_FAILED: Final = "StorageOperationFailed"

SUCCEEDED: Final = "Succeeded"
PROGRESSING: Final = "Progressing"
PROGRESSING_WITH_RETRY: Final = "ProgressingWithRetry"
RECONCILIATION_SUCCEEDED: Final = "ReconciliationSucceeded"
RECONCILIATION_FAILED: Final = "ReconciliationFailed"
ARTIFACT_FAILED: Final = "ArtifactFailed"
BUILD_FAILED: Final = "BuildFailed"
PRUNE_FAILED: Final = "PruneFailed"
HEALTH_CHECK_FAILED: Final = "HealthCheckFailed"
HEALTH_CHECK_CANCELED: Final = "HealthCheckCanceled"
DEPENDENCY_NOT_READY: Final = "DependencyNotReady"
INVALID_CEL: Final = "InvalidCELExpression"
FEATURE_DISABLED: Final = "FeatureGateDisabled"
ACCESS_DENIED: Final = "AccessDenied"
GIT_FAILED: Final = "GitOperationFailed"
AUTHENTICATION_FAILED: Final = "AuthenticationFailed"
URL_INVALID: Final = "URLInvalid"
"""Values of conditions' reasons."""
