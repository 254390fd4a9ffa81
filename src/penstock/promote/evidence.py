"""Whether a revision ran healthy in an environment, read from the status of the Flux Kustomization that syncs it.

In: the Kustomization as its cluster shows it, the digest that Git renders to at the applied revision, and which commits
hold the content in question. Out: `Evidence`. Works on the status that Penstock writes and on that of real Flux alike.
A stale Ready proves nothing: generation, revision and rendered digest must all be those of the content asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from penstock.model.resource import Manifest
from penstock.model.values import CommitId, EnvName
from penstock.promote.timeline import PASSING, Entry, commit_of, entries_of, remembered
from penstock.promote.timeline import moment as moment

State = Literal["healthy", "waiting", "failed", "unknown"]
"""waiting: not applied or not judged yet; failed: somebody has to act; unknown: the cluster could not be asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known about one unit's content in one environment."""

    environment: EnvName
    state: State
    reason: str
    """One clause, to stand behind 'healthy in dev: '."""
    applied: CommitId | None = None
    """The commit that is live, when one is."""
    since: datetime | None = None
    """Since when this content runs healthy without a break."""
    until: datetime | None = None
    """Until when it did, where it is not seen healthy any more; None: it still does."""
    digest: str = ""
    """Of everything applied to the environment, 'sha256:<hex>'."""
    generation: int = 0
    observed: datetime | None = None
    """When the cluster was asked."""

    def trailer(self) -> str:
        """'dev healthy <from>/<to> sha256:<hex>', for a commit message."""
        if self.state != "healthy" or self.since is None or self.observed is None:
            return ""
        return f"{self.environment} healthy {stamp(self.since)}/{stamp(self.until or self.observed)} {self.digest or 'reported'}"


def stamp(moment: datetime) -> str:
    """UTC, to the second: 2026-03-02T14:02:11Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def applied_commit(status: Mapping[str, Any]) -> CommitId | None:
    """The commit of lastAppliedRevision, written 'main@sha1:<id>' (or 'sha1:<id>' without a branch)."""
    return commit_of(status.get("lastAppliedRevision"))


def unreachable(environment: EnvName, reason: str) -> Evidence:
    """The cluster did not answer: nothing is known, which is never the same as healthy or empty."""
    return Evidence(environment=environment, state="unknown", reason=reason)


def read(
    environment: EnvName,
    kustomization: Manifest | None,
    *,
    holds_content: Callable[[CommitId], bool],
    rendered_digest: Callable[[CommitId], str | None],
    own_health: Callable[[CommitId], str | None] | None = None,
    past: Sequence[Entry] = (),
    now: datetime,
) -> Evidence:
    """Judge a Kustomization's status.

    `holds_content(commit)`: whether the unit is the same there as in the content asked for.
    `rendered_digest(commit)`: what Git renders to at a commit, None when it does not build or is not known here.
    `own_health(commit)`: what is not healthy among the unit's own objects as a commit renders them, '' when all are, None
    when that is not known. Asked only where everything was applied and the health of something failed: an app is not held
    back by another one's failure.
    `past`: entries of the history that were seen earlier, of which the status keeps only the last few.
    """

    def result(state: State, reason: str, **more: Any) -> Evidence:
        return Evidence(environment=environment, state=state, reason=reason, observed=now, generation=generation, **more)

    generation = 0
    if kustomization is None:
        return result("failed", "its Kustomization does not exist in the cluster")
    generation = int((kustomization.get("metadata") or {}).get("generation") or 0)
    spec, status = kustomization.get("spec") or {}, kustomization.get("status") or {}
    conditions = {str(item.get("type")): item for item in status.get("conditions") or ()}
    applied = applied_commit(status)
    if spec.get("suspend"):
        return result("failed", "its Kustomization is suspended", applied=applied)
    if own_health and (attempted := _applied_but_sick(conditions, status, generation)) and holds_content(attempted):
        entry = next(iter(entries_of(status)), None)
        if entry and entry.commit == attempted and entry.digest and entry.digest == rendered_digest(attempted):
            sick = own_health(attempted)
            if sick == "":
                reason = f"live as {short(attempted)}, while other apps there are not healthy"
                return result("healthy", reason, applied=attempted, digest=entry.digest, since=entry.first)
            if sick:
                return result("failed", sick, applied=attempted, digest=entry.digest)
    if failure := _failure(conditions, status, holds_content):
        return result("failed", failure, applied=applied)
    if applied is None:
        return result("waiting", "nothing was applied yet")
    if not holds_content(applied):
        return result("waiting", f"{short(applied)} is live, which does not hold it yet", applied=applied)
    if waiting := _not_yet(conditions, status, generation):
        return result("waiting", waiting, applied=applied)
    entries = remembered(past, entries_of(status))
    digest = entries[0].digest if entries else ""
    if not digest or entries[0].commit != applied:
        return result("waiting", f"no digest is recorded for {short(applied)}", applied=applied)
    wanted = rendered_digest(applied)
    if wanted is None:
        return result("failed", f"{short(applied)} cannot be rendered here", applied=applied, digest=digest)
    if wanted != digest:
        reason = f"what was applied ({digest[:15]}…) is not what {short(applied)} renders to ({wanted[:15]}…)"
        return result("failed", reason, applied=applied, digest=digest)
    if not checks_health(spec):
        reason = "its Kustomization checks no health (set spec.wait: true)"
        return result("failed", reason, applied=applied, digest=digest)
    since = _since(entries, conditions, holds_content)
    return result("healthy", f"live as {short(applied)}", applied=applied, digest=digest, since=since)


def short(commit: str) -> str:
    return commit[:7]


def _applied_but_sick(conditions: Mapping[str, Mapping[str, Any]], status: Mapping[str, Any], generation: int) -> CommitId | None:
    """The commit that was applied whole and of which something is not healthy."""
    ready = conditions.get("Ready", {})
    failed = ready.get("status") == "False" and ready.get("reason") == "HealthCheckFailed"
    observed = int(status.get("observedGeneration") or 0) == generation
    return commit_of(status.get("lastAttemptedRevision")) if failed and observed else None


def _failure(
    conditions: Mapping[str, Mapping[str, Any]], status: Mapping[str, Any], holds_content: Callable[[CommitId], bool]
) -> str | None:
    """Why somebody has to act, when the content asked for was tried and did not pass."""
    attempted = commit_of(status.get("lastAttemptedRevision")) or applied_commit(status)
    if attempted is None or not holds_content(attempted):
        return None
    for kind in ("Stalled", "Ready"):
        condition = conditions.get(kind, {})
        bad = condition.get("status") == ("True" if kind == "Stalled" else "False")
        if bad and condition.get("reason") not in PASSING:
            return f"{condition.get('reason') or kind} at {short(attempted)}"
    return None


def _not_yet(conditions: Mapping[str, Mapping[str, Any]], status: Mapping[str, Any], generation: int) -> str | None:
    """Why it cannot be judged yet."""
    if int(status.get("observedGeneration") or 0) != generation:
        return "its Kustomization was changed and is not reconciled yet"
    if (attempted := commit_of(status.get("lastAttemptedRevision"))) and attempted != applied_commit(status):
        return f"{short(attempted)} is being applied"
    for kind in ("Ready", "Healthy"):
        condition = conditions.get(kind)
        if condition is None and kind == "Healthy":
            continue  # Written only where health is checked, and an older Flux does not write it at all: Ready tells.
        if condition is None or condition.get("status") != "True":
            return f"{kind} is {(condition or {}).get('status') or 'not written'}"
        if int(condition.get("observedGeneration") or generation) != generation:
            return f"{kind} is of an earlier generation"
    return None


def checks_health(spec: Mapping[str, Any]) -> bool:
    return bool(spec.get("wait") or spec.get("healthChecks"))


def _since(
    entries: Sequence[Entry],
    conditions: Mapping[str, Mapping[str, Any]],
    holds_content: Callable[[CommitId], bool],
) -> datetime | None:
    """Since when the content runs healthy: across later revisions that left this unit alone, but not across a failure
    or other content in between."""
    same = [entry for entry in entries if entry.succeeded and entry.commit and holds_content(entry.commit)]
    other = [entry for entry in entries if entry not in same]
    started = min((entry.first for entry in same), default=None)
    interrupted = max((entry.last for entry in other), default=None)
    if started is None or interrupted is None or interrupted <= started:
        return started
    # An entry of the same content may begin after the break; if none does (entries of one digest are joined by Flux),
    # Ready turned True after it.
    later = [entry.first for entry in same if entry.first >= interrupted]
    ready = moment(conditions.get("Ready", {}).get("lastTransitionTime"))
    return min(later) if later else max(interrupted, ready or interrupted)


def read_reported(
    environment: EnvName,
    reports: Sequence[Entry],
    *,
    spec: Mapping[str, Any],
    holds_content: Callable[[CommitId], bool],
    now: datetime,
) -> Evidence:
    """Judge what Flux reports on commits, newest first, of a cluster that cannot be asked; `spec` is its Kustomization's as
    Git has it. Reports name no digest: that what was applied is what Git renders to is Flux's word."""

    def result(state: State, reason: str, **more: Any) -> Evidence:
        return Evidence(environment=environment, state=state, reason=reason, observed=now, **more)

    if not checks_health(spec):
        return result("failed", "its Kustomization checks no health (set spec.wait: true)")
    if not reports:
        return result("waiting", "its Flux has reported on none of the newest commits")
    newest = reports[0]
    assert newest.commit is not None
    commit = short(newest.commit)
    if not holds_content(newest.commit):
        return result("waiting", f"{commit} is what it reported last, which does not hold it yet", applied=newest.commit)
    if not newest.succeeded:
        state: State = "failed" if newest.failed else "waiting"
        return result(state, f"{'failed' if newest.failed else 'on its way'} at {commit}", applied=newest.commit)
    since = newest.first
    for one in reports[1:]:
        if not (one.succeeded and one.commit and holds_content(one.commit)):
            break
        since = one.first
    return result("healthy", f"reported as {commit}", applied=newest.commit, since=since)


def read_past(
    environment: EnvName,
    entries: Sequence[Entry],
    *,
    holds_content: Callable[[CommitId], bool],
    proven: Callable[[CommitId, str], bool],
    healthy_now: bool,
    now: datetime,
) -> Evidence:
    """Judge content that is not the newest any more, by what was seen of it, the newest entry first.

    It ran healthy from when it was first seen so, over later content that ran healthy on top of it, until a failure: what
    came after it still carries it. `proven(commit, digest)`: whether the digest applied is what the commit renders to.
    `healthy_now`: whether what is there now runs healthy; if not, the time since the newest success proves nothing.
    """

    def result(state: State, reason: str, **more: Any) -> Evidence:
        return Evidence(environment=environment, state=state, reason=reason, observed=now, **more)

    own = [one for one in entries if one.succeeded and one.commit and holds_content(one.commit)]
    own = [one for one in own if one.commit and proven(one.commit, one.digest)]
    if not own:
        return result("waiting", "it is not known to have run there")
    # The order decides, not the times: they have whole seconds.
    newest, place = own[0], list(entries).index(own[0])
    later, earlier = entries[:place], entries[place + 1 :]
    before = max((one.last for one in earlier if one not in own), default=newest.first)
    since = min((one.first for one in own if one.first >= before), default=max(newest.first, before))
    ended = min((max(one.first, newest.last) for one in later if one.failed), default=None)
    if ended is None and not healthy_now:
        ended = max(one.last for one in entries if one.succeeded)
    commit = short(newest.commit or "")
    reason = f"ran as {commit}" if ended else f"live as {commit}, later changes on top"
    return result("healthy", reason, applied=newest.commit, digest=newest.digest, since=since, until=ended)
