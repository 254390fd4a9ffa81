"""A check on every pull request of people: which rendered values would change in an environment that has an upstream, and
did not run healthy there. Direct edits and shared bases alike, since only what is rendered counts.

In: an open pull request and the survey. Out: a commit status `penstock/guard` on its head, and one comment that names each
value (never shows one). Each environment says whether that is a failure, a remark, or told by the status alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from penstock.controllers.promotion_cases import STATUS_PREFIX, Survey
from penstock.controllers.promotion_history import unit_paths
from penstock.controllers.promotion_judging import Judge
from penstock.model.errors import InputError, RefusedError
from penstock.model.pipeline import REMAINDER, Environment
from penstock.model.rendered import RenderedObject
from penstock.model.tree import Tree
from penstock.model.values import MISSING, CommitId, EnvName
from penstock.ports.forge import CommitStatus, Forge, PullRequest, StatusState
from penstock.ports.repo import Repo, Signature
from penstock.promote import change, evidence, text, verdict

CONTEXT = f"{STATUS_PREFIX}guard"
_MARK = "<!-- penstock guard -->"
_SHOWN = 50
_KEPT = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A value that would change without having run healthy upstream."""

    environment: EnvName
    object: str
    field: str
    """'' for a whole object."""
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarded:
    """What a pull request would do."""

    findings: tuple[Finding, ...] = ()
    blocked: bool = False
    """One of the environments blocks."""
    allowed: frozenset[EnvName] = frozenset()
    """Those of which no comment speaks."""
    problem: str = ""
    """Why it cannot be told; then it is no success either."""


@dataclass(slots=True, kw_only=True)
class Guard:
    """Judges pull requests of one repository; remembers what it found for a head on a main branch."""

    repo: Repo
    forge: Forge
    judge: Judge
    _known: dict[tuple[CommitId, CommitId, str], Guarded] = field(default_factory=dict)

    async def check(self, survey: Survey, pulls: Sequence[PullRequest]) -> None:
        """Judge each and publish what is not published yet."""
        for pull in pulls:
            if pull.author == survey.login:
                continue  # Rollbacks and adoptions that Penstock proposed say themselves what they are.
            key = (survey.tip, pull.head_sha, _health_key(survey))
            if key in self._known:
                continue
            found = await asyncio.to_thread(self.of, survey, pull.head_sha)
            await self._publish(pull, found, survey.login)
            if len(self._known) >= _KEPT:
                self._known.clear()
            self._known[key] = found

    def of(self, survey: Survey, head: CommitId) -> Guarded:
        """What merging a commit would change without upstream evidence."""
        try:
            base = self.repo.merge_base(survey.tip, head)
            if base is None:
                return Guarded(problem="it has no history in common with the main branch")
            files = dict(_changed(self.repo.tree(base), self.repo.tree(head), ""))
            when = self.repo.commit(head).committer.when
            author = Signature(name="guard", email="guard@localhost", when=when)
            merged = self.repo.write_commit([survey.tip], files, message="merged", author=author)
        except RefusedError as error:
            return Guarded(problem=error.what)
        findings: list[Finding] = []
        for origin, target in survey.repository.steps():
            try:
                findings += self._environment(survey, origin, target, merged)
            except InputError as error:
                return Guarded(problem=f"{target.name} does not build: {error.problems[0].what}", blocked=target.guard == "block")
        policies = {env.name: env.guard for env in survey.repository.environments}
        return Guarded(
            findings=tuple(findings),
            blocked=any(policies[one.environment] == "block" for one in findings),
            allowed=frozenset(name for name, policy in policies.items() if policy == "allow"),
        )

    def _environment(self, survey: Survey, origin: Environment, target: Environment, merged: CommitId) -> Iterator[Finding]:
        renderer, seen = self.judge.renderer, survey.seen
        before = renderer.at(survey.tip, target, seen[target.name]).objects
        after = renderer.at(merged, target, seen[target.name]).objects
        changed = set(verdict.changed_ids(before, after))
        if not changed:
            return
        source = renderer.at(survey.tip, origin, seen[origin.name]).objects
        outcome = verdict.compare(
            source=source,
            before=[one for one in before if one.id in changed],
            after=[one for one in after if one.id in changed],
            base=None,
            differences=target.differences,
        )
        units = {f"{one.id.kind}/{one.id.name}": _unit_of(target, one) for one in (*before, *after) if one.id in changed}
        touched = set(outcome.objects_changed) | set(outcome.objects_created) | set(outcome.objects_deleted)
        states: dict[str, evidence.Evidence] = {}
        for row in outcome.rows:
            if row.object not in touched or row.before == row.after:
                continue
            if row.source != row.after:
                what = "is removed" if row.after is MISSING else "gets a value"
                yield Finding(
                    environment=target.name,
                    object=row.object,
                    field=row.field,
                    why=f"{what} that {origin.name} does not have",
                )
                continue
            unit = units.get(row.object, REMAINDER)
            if unit not in states:
                states[unit] = self._evidence(survey, origin, unit)
            if states[unit].state != "healthy":
                why = f"{origin.name} has it, but not healthy: {states[unit].reason}"
                yield Finding(environment=target.name, object=row.object, field=row.field, why=why)

    def _evidence(self, survey: Survey, origin: Environment, unit: str) -> evidence.Evidence:
        tree = self.repo.tree(survey.tip)
        pair = change.Pair(source=origin, target=origin, base=None, base_commit=None, tree=tree)
        return self.judge.evidence(survey, origin, pair, unit)

    async def _publish(self, pull: PullRequest, found: Guarded, login: str) -> None:
        status = CommitStatus(context=CONTEXT, state=_state(found), description=_summary(found)[:140])
        for known in await self.forge.statuses(pull.head_sha):
            if (known.context, known.state, known.description, known.creator) == (
                CONTEXT,
                status.state,
                status.description,
                login,
            ):
                break
        else:
            await self.forge.set_status(pull.head_sha, status)
        ours = next((one for one in await self.forge.comments(pull.number) if one.user == login and _MARK in one.body), None)
        spoken = replace(found, findings=tuple(one for one in found.findings if one.environment not in found.allowed))
        words = _comment(spoken)
        if ours is None and spoken.findings:
            await self.forge.comment(pull.number, words)
        elif ours is not None and ours.body.strip() != words.strip():
            await self.forge.update_comment(ours.id, words)


def _health_key(survey: Survey) -> str:
    """What the clusters show, as far as evidence depends on it."""
    parts = []
    for name, seen in sorted(survey.seen.items()):
        metadata: Mapping[str, object] = (seen.manifest or {}).get("metadata") or {}
        parts.append(f"{name}={metadata.get('resourceVersion') or seen.problem}")
    return ";".join(parts)


def _changed(before: Tree, after: Tree, path: str) -> Iterator[tuple[str, bytes | None]]:
    """Files that differ between two trees, with their content in the second."""
    names: set[str] = set()
    for tree in (before, after):
        entry = tree.entry(path)
        if entry is not None and entry.kind == "directory":
            names |= set(tree.names(path))
    for name in sorted(names):
        child = f"{path}/{name}" if path else name
        old, new = before.entry(child), after.entry(child)
        if old is not None and new is not None and old.id and (old.id, old.kind) == (new.id, new.kind):
            continue
        if (old is not None and old.kind == "directory") or (new is not None and new.kind == "directory"):
            yield from _changed(before, after, child)
        if new is not None and new.kind == "file":
            yield child, after.read(child)
        elif old is not None and old.kind == "file":
            yield child, None


def _unit_of(environment: Environment, one: RenderedObject) -> str:
    path = one.origin.place.path
    apps = (unit.name for unit in environment.units if unit.kind == "app")
    return next((name for name in apps if path.startswith(tuple(f"{p}/" for p in unit_paths(environment, name)))), REMAINDER)


def _state(found: Guarded) -> StatusState:
    if found.blocked:
        return "failure"
    return "error" if found.problem else "success"


def _summary(found: Guarded) -> str:
    if found.problem:
        return f"cannot be judged: {text.clean(found.problem)}"
    if not found.findings:
        return "every value that would change ran healthy upstream"
    names = ", ".join(dict.fromkeys(str(one.environment) for one in found.findings))
    count = len(found.findings)
    return f"{count} value{'s' if count > 1 else ''} would change in {names} without having run healthy upstream"


def _comment(found: Guarded) -> str:
    lines = [f"**{_summary(found)[:1].upper()}{_summary(found)[1:]}.**", ""]
    if found.findings:
        lines += ["| | | |", "|---|---|---|"]
        for one in found.findings[:_SHOWN]:
            name = f"{text.clean(one.object)} {text.code(one.field, 160) if one.field else ''}".rstrip()
            lines.append(f"| {one.environment} | {name} | {text.clean(one.why)} |")
        if len(found.findings) > _SHOWN:
            lines.append(f"| | and {len(found.findings) - _SHOWN} more | |")
        lines += ["", "Merging it is a bypass of the promotion, and the log will say so."]
    return "\n".join([*lines, "", _MARK])
