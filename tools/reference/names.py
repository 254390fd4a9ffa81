"""Names that stay: conditions and reasons, annotations and labels, commit trailers, refs."""

from __future__ import annotations

import ast
import re

from tools.reference import sources

_MARK = re.compile(r"(?:[a-z0-9-]+\.)+(?:fluxcd\.io|penstock\.dev)/[A-Za-z-]+\Z|penstock\.dev/[A-Za-z-]+\Z")
_TRAILER = re.compile(r"(?<!X-)\bPenstock-[A-Z][A-Za-z]+(?:-[A-Z][A-Za-z]+)*")
_CAMEL = re.compile(r"[A-Z][A-Za-z]+\Z")
_CONDITION_TYPES = (
    "READY",
    "RECONCILING",
    "STALLED",
    "HEALTHY",
    "ARTIFACT_IN_STORAGE",
    "ARTIFACT_OUTDATED",
    "FETCH_FAILED",
    "STORAGE_FAILED",
)


# What Flux's own words mean; the ones that are ours say so themselves in the code.
_FLUX = {
    "Ready": "The last revision is applied and healthy; the message names it.",
    "Reconciling": "Something is being done about it right now.",
    "Stalled": "It will not get better by trying again: somebody has to change something.",
    "Healthy": "The applied objects are healthy, where `wait` or `healthChecks` ask for it.",
    "ArtifactInStorage": "The source's files of its revision are there to be read.",
    "ArtifactOutdated": "The source has a newer revision than the artifact.",
    "FetchFailed": "The source could not be fetched.",
    "StorageOperationFailed": "The artifact could not be stored.",
    "Succeeded": "It worked.",
    "Progressing": "It is under way.",
    "ProgressingWithRetry": "It failed and is tried again.",
    "ReconciliationSucceeded": "Applied, and healthy where that was asked for.",
    "ReconciliationFailed": "Objects could not be applied; the message says which and why.",
    "ArtifactFailed": "The source's artifact cannot be used.",
    "BuildFailed": "The files do not render; the message says file and line.",
    "PruneFailed": "Objects that left the files could not be deleted, or their deletion waits for consent.",
    "HealthCheckFailed": "Something applied did not become healthy.",
    "HealthCheckCanceled": "A newer revision arrived while waiting for health.",
    "DependencyNotReady": "Something in `dependsOn` is not ready.",
    "InvalidCELExpression": "An expression in `healthCheckExprs` cannot be read.",
    "FeatureGateDisabled": "The object asks for something that Penstock does not do.",
    "AccessDenied": "A reference across namespaces is not allowed.",
    "GitOperationFailed": "Git said no, or said nothing.",
    "AuthenticationFailed": "The source's credentials do not work or are not there.",
    "URLInvalid": "The source's address cannot be used.",
    "Unreadable": "The object's own fields cannot be read.",
    "kustomize.toolkit.fluxcd.io/name": "Label: the Kustomization that owns the object.",
    "kustomize.toolkit.fluxcd.io/namespace": "Label: the namespace of the Kustomization that owns the object.",
    "kustomize.toolkit.fluxcd.io/prune": "`disabled`: the object is never deleted by pruning.",
    "kustomize.toolkit.fluxcd.io/reconcile": "`disabled`: the object is left alone.",
    "kustomize.toolkit.fluxcd.io/ssa": "`Merge`, `IfNotPresent`, `Ignore`: how the object is applied.",
    "kustomize.toolkit.fluxcd.io/force": "`enabled`: recreate the object when an immutable field changes.",
    "kustomize.toolkit.fluxcd.io/decrypt": "`disabled`: leave the object encrypted.",
    "kustomize.toolkit.fluxcd.io/substitute": "`disabled`: no variables are substituted in the object.",
    "reconcile.fluxcd.io/requestedAt": "A new value asks for a reconcile now.",
    "reconcile.fluxcd.io/watch": "Label on a ConfigMap or Secret: `Enabled` reconciles whoever refers to it when it changes.",
    "sharding.fluxcd.io/key": "Label: which shard of controllers takes care of the object.",
    "penstock.dev/suspend-reason": "On a suspended object: why.",
    "penstock.dev/suspend-until": "On a suspended object: until when, as a promise (RFC 3339, UTC).",
    "penstock.dev/suspend-by": "On a suspended object: who.",
}


def _says(name: str, doc: str) -> str:
    return _FLUX.get(name) or doc.removeprefix("Ours: ")


def conditions() -> tuple[dict[str, str], dict[str, str]]:
    """(condition types, reasons), each with what the code says about it."""
    types: dict[str, str] = {}
    reasons: dict[str, str] = {}
    for one in sources.constants():
        if one.module == "model.flux" and _CAMEL.match(one.value) and one.name not in ("KUSTOMIZATION", "GIT_REPOSITORY"):
            (types if one.name in _CONDITION_TYPES else reasons)[one.value] = one.doc
    for module in sources.modules():
        if not module.name.startswith(("controllers", "app", "adapters")):
            continue
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call):
                for keyword in node.keywords:
                    if keyword.arg == "reason" and isinstance(keyword.value, ast.Constant):
                        value = str(keyword.value.value)
                        if _CAMEL.match(value):
                            reasons.setdefault(value, "")
    return types, reasons


def conditions_page() -> str:
    types, reasons = conditions()
    lines = [
        "# Conditions, reasons and events",
        "",
        "Penstock writes Flux's own conditions into the status of Flux's own objects, and Kubernetes events with the same",
        "reasons. [Sync](sync.md) says when.",
        "",
        "## Condition types",
        "",
        *(f"- `{name}`: {_says(name, doc)}".rstrip(": ") for name, doc in sorted(types.items())),
        "",
        "## Reasons of conditions and events",
        "",
        *(f"- `{name}`: {_says(name, doc)}".rstrip(": ") for name, doc in sorted(reasons.items())),
    ]
    return "\n".join(lines) + "\n"


def marks() -> dict[str, str]:
    """Annotations and labels that the code reads or writes."""
    found: dict[str, str] = {}
    for one in sources.constants():
        if not one.module.startswith("sandbox") and _MARK.match(one.value) and not one.value.endswith(("/v1alpha1", "/v1")):
            found[one.value] = found.get(one.value) or one.doc
    return found


def trailers() -> set[str]:
    """Lines of commit messages and notes that the code writes or reads."""
    found: set[str] = set()
    for module in sources.modules():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found |= set(_TRAILER.findall(node.value))
    return found


_TRAILERS = {
    "Penstock-Promotion": "What travelled: `<app> <source>@<commit> -> <target>`.",
    "Penstock-Base": "What the source was compared with: `<source>@<commit>` of the promotion before.",
    "Penstock-Digest": "A digest over what travelled; an approval is bound to it.",
    "Penstock-Evidence": "Where, when and at which digest it ran healthy.",
    "Penstock-Verdict": "The one sentence of the pull request about what is the same and what stays different.",
    "Penstock-Choice": "A person's decision on one conflicting field.",
    "Penstock-Held": "A field that stayed back when the rest went, and the commit it is still compared with.",
    "Penstock-Pull": "The pull request.",
    "Penstock-Approved-By": "Who approved, one line each.",
    "Penstock-Asked-By": "Who asked for it on the web page or the command line, where Penstock wrote it in their name.",
    "Penstock-Bypass": "Gates that were not green when somebody merged.",
    "Penstock-Adopt": "Differences that a person recorded as meant.",
    "Penstock-Rollback": "Which app of which environment went back to which commit.",
    "Penstock-Merged-By": "In the note of a merge commit: who merged it.",
    "Penstock-Gates": "In the note of a merge commit: that every gate was green.",
    "Penstock-Trace": "The trace this change belongs to, as a W3C traceparent.",
}


def page() -> str:
    lines = [
        "# Annotations, labels and trailers",
        "",
        "## Annotations and labels",
        "",
        "Flux's own mean what they mean in Flux ([sync](sync.md)); those of `penstock.dev` are ours.",
        "",
        "| name | |",
        "|---|---|",
        *(f"| `{name}` | {_says(name, doc)} |" for name, doc in sorted(marks().items())),
        "",
        "## Trailers in commit messages and notes",
        "",
        "Written so that a squash keeps them. They are claims: gates never believe them, they look at what really ran.",
        "",
        "| name | |",
        "|---|---|",
        *(f"| `{name}` | {_TRAILERS.get(name, '-')} |" for name in sorted(trailers())),
    ]
    return "\n".join(lines) + "\n"
