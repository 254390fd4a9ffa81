"""What a GitRepository says of itself: conditions, reasons, messages and observed fields, in source-controller's words.

In: what a pass came to. Out: the status, written where it differs, and the events of failures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from penstock.controllers import specs
from penstock.controllers.git_spec import GitRepositorySpec
from penstock.controllers.reporting import Events, Reporter
from penstock.model import flux
from penstock.model.errors import PenstockError, RefusedError

_FAILURES = (flux.FETCH_FAILED, flux.INCLUDE_UNAVAILABLE, flux.STORAGE_FAILED)
_REASONS = {
    reason: reason
    for reason in (
        flux.AUTHENTICATION_FAILED,
        flux.URL_INVALID,
        flux.FEATURE_DISABLED,
        flux.INVALID_PROVIDER,
        flux.EMPTY_REPOSITORY,
    )
} | {"InvalidURL": flux.URL_INVALID, "InvalidKey": flux.AUTHENTICATION_FAILED}
_STALLING = {flux.URL_INVALID, flux.FEATURE_DISABLED, flux.INVALID_PROVIDER}


class GitStatus:
    """The status of one GitRepository during one pass."""

    def __init__(self, reporter: Reporter, events: Events) -> None:
        self._reporter = reporter
        self._events = events
        self.was_failing = any(reporter.conditions.is_true(each) for each in _FAILURES)
        """Whether it was when the pass began."""

    def outdated(self, known: Mapping[str, Any], revision: str, *, included: bool) -> None:
        """There is something newer than what is announced; to be written with the next write."""
        message, reason = f"new upstream revision '{revision}'", "NewRevision"
        if known.get("revision") == revision and included:
            message, reason = "included artifacts differ from last observed includes", "IncludeChange"
        if known:
            self._reporter.mark(flux.ARTIFACT_OUTDATED, "True", reason, message)
        self._reporter.unmark(flux.STALLED)
        self._reporter.mark(flux.RECONCILING, "True", flux.PROGRESSING, f"building artifact: {message}")
        self._reporter.mark(flux.READY, "Unknown", flux.PROGRESSING, f"building artifact: {message}")

    def succeeded(self, revision: str) -> None:
        """All is well at this revision; to be written with the next write."""
        message = f"stored artifact for revision '{revision}'"
        gone = (flux.ARTIFACT_OUTDATED, flux.FETCH_FAILED, flux.STORAGE_FAILED, flux.INCLUDE_UNAVAILABLE)
        self._reporter.unmark(*gone, flux.RECONCILING, flux.STALLED)
        self._reporter.mark(flux.READY, "True", flux.SUCCEEDED, message)
        self._reporter.mark(flux.ARTIFACT_IN_STORAGE, "True", flux.SUCCEEDED, message)

    def observed(self, spec: GitRepositorySpec) -> dict[str, Any]:
        """The fields that say that the object as it is now was looked at."""
        observed: dict[str, Any] = {
            "observedGeneration": self._reporter.generation,
            "sourceVerificationMode": spec.verify_mode,
        }
        if token := specs.requested_at(self._reporter.manifest):
            observed["lastHandledReconcileAt"] = token
        return observed

    def content(self, spec: GitRepositorySpec, included: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """What the artifact was made with, beside the revision."""
        raw = spec.raw
        return {
            "observedIgnore": spec.ignore,
            "observedRecurseSubmodules": True if spec.recurse_submodules else None,
            "observedInclude": raw.get("include") or None,
            "observedSparseCheckout": raw.get("sparseCheckout") or None,
            "includedArtifacts": [dict(each) for each in included] or None,
        }

    def changed(self, content: Mapping[str, Any]) -> bool:
        """Whether the artifact was made with something else; of included artifacts only what they hold counts."""
        status = self._reporter.status

        def held(artifacts: Any) -> list[object]:
            return [(each.get("revision"), each.get("digest")) for each in artifacts or ()]

        if held(content["includedArtifacts"]) != held(status.get("includedArtifacts")):
            return True
        return any(status.get(key) != value for key, value in content.items() if key != "includedArtifacts")

    async def fetch_failed(self, spec: GitRepositorySpec, error: PenstockError) -> None:
        """Say why nothing could be fetched."""
        reason = _REASONS.get(error.code, flux.GIT_FAILED)
        message = error.what
        if reason == flux.GIT_FAILED and not message.startswith("failed to"):
            message = f"failed to checkout and determine revision: {message}"
        missing = isinstance(error, RefusedError) and error.status == 404
        stalled = reason in _STALLING and not (reason == flux.INVALID_PROVIDER and spec.secret)
        await self.failed(flux.FETCH_FAILED, message, reason, stalled=stalled, told="SourceNotFound" if missing else "")

    async def failed(self, type: str, message: str, reason: str, *, stalled: bool = False, told: str = "") -> None:  # noqa: A002
        """Say what failed. The artifact stays: whatever was announced keeps running."""
        before = self._reporter.conditions.get(type)
        changed = before is None or (before.reason, before.message) != (reason, message)
        self._reporter.unmark(*(each for each in _FAILURES if each != type))
        self._reporter.mark(type, "False" if type == flux.SOURCE_VERIFIED else "True", reason, message)
        shown = "HistoryRewritten" if type == flux.HISTORY_REWRITTEN else reason
        self._reporter.mark(flux.READY, "False", shown, message)
        if stalled:
            self._reporter.unmark(flux.RECONCILING)
            self._reporter.mark(flux.STALLED, "True", shown, message)
        else:
            self._reporter.unmark(flux.STALLED)
            self._reporter.mark(flux.RECONCILING, "True", flux.PROGRESSING_WITH_RETRY, message)
        observed: dict[str, Any] = {}
        if token := specs.requested_at(self._reporter.manifest):
            observed["lastHandledReconcileAt"] = token
        if stalled:
            observed["observedGeneration"] = self._reporter.generation
        await self._reporter.write(observed)
        if changed:
            self._events.emit(self._reporter.manifest, told or shown, message, error=True)
