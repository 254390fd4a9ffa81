"""One planned promotion judged: evidence, verdict over rendered objects, gates, words, decision. Reads only.

In: a plan, what the forge says about it, what the clusters show. Out: a complete `Case`. Everything that lets a change go is
computed here from Git objects and cluster state; what trailers, labels or texts claim is not believed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from penstock.controllers.promotion_cases import EMAIL, NAME, Asked, Case, Forged, Planned, Survey
from penstock.controllers.promotion_history import History, unit_paths
from penstock.controllers.promotion_rendering import Renderer, Seen
from penstock.model.errors import InputError, RefusedError
from penstock.model.pipeline import REMAINDER, Environment
from penstock.model.tree import Tree
from penstock.model.values import CommitId
from penstock.ports.forge import PullRequest, Review
from penstock.ports.repo import Commit, Repo, Signature
from penstock.promote import change, deciding, evidence, gates, records, referring, text, verdict

_ATTENTION = ("names-source", "ciphertext")
"""Notes of the merge that a person should read before the pull request is ready."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """Judges cases of one repository."""

    repo: Repo
    history: History
    renderer: Renderer

    def judge(
        self, survey: Survey, planned: Planned, forged: Forged, teams: Mapping[str, Sequence[str]], asked: Sequence[Asked]
    ) -> Case:
        """A case complete with gates, verdict, texts and the decision."""
        found = planned.change
        case = Case(
            unit=planned.unit,
            source=planned.pair.source,
            target=planned.pair.target,
            change=found,
            pull=forged.pull,
            statuses=tuple(forged.statuses),
            branch_tip=planned.branch_tip,
            record=records.Promotion(
                unit=planned.unit,
                source=found.source,
                commit=found.commit,
                target=found.target,
                base=found.base,
                digest=found.digest,
                picked=planned.picked,
                held=planned.held,
            ),
        )
        wishes = [one for one in asked if one.concerns(found)]
        if not found.empty:
            case = self._proposed(survey, case, planned.pair)
            case = replace(case, verdicts=gates.judge(self._situation(survey, case, forged, teams)))
        proposal = self._proposal(survey, case, planned.newer)
        case = replace(case, body=text.body(proposal))
        state = deciding.State(
            change=found,
            problem=case.problem,
            verdicts=case.verdicts,
            pull=self._standing(case, forged.pull, proposal) if forged.pull else None,
            closed=forged.closed,
            branch=planned.branch_tip,
            wanted=case.target.auto_promote or bool(wishes),
            asked=bool(wishes),
            auto_merge=case.target.auto_merge,
            rolled_back=planned.rolled_back,
            attention=tuple(note.text for note in found.notes if note.kind in _ATTENTION),
        )
        return replace(case, decision=deciding.decide(state))

    def _proposed(self, survey: Survey, case: Case, pair: change.Pair) -> Case:
        """With the commits, the commit to propose, its verdict and the evidence."""
        found = case.change
        end = found.commit if pair.origin is not None else survey.tip
        commits = self.history.travelling(pair.source, case.unit, pair.since or found.base, end, survey.repository)
        case = replace(
            case,
            commits=commits,
            title=text.title(found, commits),
            message=text.message(found, commits, case.record),
            evidence=self._all_evidence(survey, pair, found),
        )
        if found.conflicts:
            return case
        case = replace(case, head=self._write(survey.tip, found, case.message))
        return self._with_outcome(survey, case, pair)

    def _write(self, parent: CommitId, found: change.Change, message: str) -> CommitId:
        """The commit to propose: the same input gives the same commit, whoever writes it and however often."""
        when = self.repo.commit(found.commit).committer.when
        author = Signature(name=NAME, email=EMAIL, when=when)
        return self.repo.write_commit([parent], found.files, message=message, author=author)

    # Evidence

    def _all_evidence(self, survey: Survey, pair: change.Pair, found: change.Change) -> tuple[evidence.Evidence, ...]:
        """From every environment the target is promoted from."""
        environments = (survey.repository.environment(name) for name in pair.target.promote_from)
        return tuple(self.evidence(survey, one, pair, found.unit) for one in environments if one is not None)

    def evidence(self, survey: Survey, environment: Environment, pair: change.Pair, unit: str) -> evidence.Evidence:
        """Whether an environment runs what the main branch has there for a unit, and healthy; of an earlier revision of the
        pair's source, whether it did."""
        seen = survey.seen.get(environment.name, Seen(problem=f"no cluster is known for {environment.name}"))
        if seen.problem:
            return evidence.unreachable(environment.name, seen.problem)
        here = replace(pair, source=environment)
        older = pair.origin is not None and environment.name == pair.source.name
        wanted = change.content_of(here, pair.source_tree if older else pair.tree, unit)

        def holds(commit: CommitId) -> bool:
            tree = self._tree(commit)
            return tree is not None and change.content_of(here, tree, unit) == wanted

        digest = self._digest_of(environment, seen)
        if older:
            newest = self.evidence(survey, environment, replace(here, origin=None), unit)
            if not _may_prove(environment, seen):
                return newest
            return evidence.read_past(
                environment.name,
                seen.past if seen.reported is None else seen.reported,
                holds_content=holds,
                proven=lambda commit, found: seen.reported is not None or (found != "" and found == digest(commit)),
                healthy_now=newest.state == "healthy",
                now=survey.now,
            )
        if seen.reported is not None:
            spec = environment.kustomization.spec if environment.kustomization else {}
            return evidence.read_reported(environment.name, seen.reported, spec=spec, holds_content=holds, now=survey.now)
        return evidence.read(
            environment.name,
            seen.manifest,
            holds_content=holds,
            rendered_digest=digest,
            own_health=self._health_of(environment, seen, unit),
            past=seen.past,
            now=survey.now,
        )

    def _digest_of(self, environment: Environment, seen: Seen) -> Callable[[CommitId], str | None]:
        def digest(commit: CommitId) -> str | None:
            try:
                return self.renderer.at(commit, environment, seen).digest
            except (InputError, RefusedError):
                return None

        return digest

    def _health_of(self, environment: Environment, seen: Seen, unit: str) -> Callable[[CommitId], str | None] | None:
        """What is not healthy among a unit's own objects."""
        health = seen.health
        if health is None:
            return None

        def sick(commit: CommitId) -> str | None:
            try:
                rendered = self.renderer.at(commit, environment, seen).objects
            except (InputError, RefusedError):
                return None
            own = verdict.of_unit(rendered, *_directories(environment, unit))
            for one in own:
                found = health.get(one.id)
                if found is None or found.status != "Current":
                    why = f"{found.status}: {found.message}" if found else "is not there"
                    return f"{one.id.kind}/{one.id.name} {why} ({one.origin.place})"
            return ""

        return sick

    def sick(self, survey: Survey, environment: Environment, unit: str, commit: CommitId) -> str | None:
        """What is not healthy among a unit's own objects as a commit has them; '' when all are, None when it is not known."""
        judged = self._health_of(environment, survey.seen.get(environment.name, Seen()), unit)
        return judged(commit) if judged else None

    def _tree(self, commit: CommitId) -> Tree | None:
        try:
            return self.repo.tree(commit)
        except RefusedError:
            return None

    # Verdict

    def _with_outcome(self, survey: Survey, case: Case, pair: change.Pair) -> Case:
        """With the verdict over rendered objects, or why there is none."""
        assert case.head is not None
        here, there = (survey.seen.get(one.name, Seen()) for one in (case.source, case.target))
        try:
            after = self.renderer.at(case.head, case.target, there).objects
            origin = case.change.commit if pair.origin is not None else survey.tip
            source = self.renderer.at(origin, case.source, here).objects
            base = self.renderer.at(pair.base_commit, case.source, here).objects if pair.base_commit else None
        except InputError as error:
            return replace(case, problem=str(error.problems[0]).split("\n", 1)[0] if error.problems else "it does not build")
        try:
            before = self.renderer.at(survey.tip, case.target, there).objects
        except InputError:
            before = ()  # The target does not build as it is: all it will have is new to its cluster's next sync.
        changed = verdict.changed_ids(before, after)
        outcome = verdict.compare(
            source=verdict.of_unit(source, *_directories(case.source, case.unit), also=changed),
            before=verdict.of_unit(before, *_directories(case.target, case.unit), also=changed),
            after=verdict.of_unit(after, *_directories(case.target, case.unit), also=changed),
            base=base,
            differences=case.target.differences,
            picked=[one.field for one in case.record.picked if one.side == "keep"],
        )
        words = verdict.sentence(outcome, case.source.name, case.change.commit)
        broken = referring.broken_by(before, after)
        return replace(case, outcome=outcome, broken=broken, record=replace(case.record, verdict=words))

    def _proposal(self, survey: Survey, case: Case, newer: int) -> text.Proposal:
        tree = self.repo.tree(survey.tip)
        return text.Proposal(
            change=case.change,
            commits=case.commits,
            outcome=case.outcome,
            problem=case.problem,
            broken=case.broken,
            verdicts=case.verdicts,
            evidence=case.evidence,
            before={path: _read(tree, path) for path in case.change.files},
            auto_merge=case.target.auto_merge,
            newer=newer,
        )

    # The pull request that is open

    def _standing(self, case: Case, pull: PullRequest, proposal: text.Proposal) -> deciding.Pull:
        """How the open pull request stands to what would be proposed now."""
        facts = text.read_marker(pull.body)
        head = self._commit(pull.head_sha)
        ours = head is not None and head.committer.name == NAME and len(head.parents) == 1
        current = head is not None and ours and head.message == case.message and self._same_content(head, case)
        return deciding.Pull(
            number=pull.number,
            head=pull.head_sha,
            draft=pull.draft,
            current=current,
            told=facts.get("state") == text.state_of(proposal) and pull.title == case.title,
            # An object that is not here yet may be anybody's; the next fetch tells.
            ours=ours,
            drafted_for=facts.get("drafted", ""),
        )

    def _commit(self, commit: CommitId) -> Commit | None:
        try:
            return self.repo.commit(commit)
        except RefusedError:
            return None

    def _same_content(self, head: Commit, case: Case) -> bool:
        """Whether a commit writes exactly what would be written now: the whole tree is compared, not what it claims."""
        if len(head.parents) != 1 or case.change.conflicts:
            return False
        try:
            again = self._write(head.parents[0], case.change, case.message)
            return self.repo.commit(again).tree_id == head.tree_id
        except RefusedError:
            return False

    # Gates

    def _situation(self, survey: Survey, case: Case, forged: Forged, teams: Mapping[str, Sequence[str]]) -> gates.Situation:
        newest: dict[str, Review] = {}
        for review in sorted(forged.reviews, key=lambda one: one.when):
            if review.state != "commented":
                newest[review.user] = review
        approvals = [
            gates.Approval(user=review.user, when=review.when)
            for review in newest.values()
            if review.state == "approved" and self._approves(review.commit, case, forged.pull)
        ]
        return gates.Situation(
            unit=case.unit,
            target=case.target,
            commit=case.change.commit,
            commits=tuple(CommitId(one.commit) for one in case.commits),
            evidence=case.evidence,
            approvals=tuple(approvals),
            rejections=tuple(review.user for review in newest.values() if review.state == "changes_requested"),
            author=forged.pull.author if forged.pull else survey.login,
            change_authors=forged.authors,
            answers=forged.answers,
            teams=teams,
            statuses=tuple(gates.Status(context=one.context, state=one.state, creator=one.creator) for one in forged.statuses),
            odd="" if case.outcome is None else verdict.oddity(case.outcome),
            broken=tuple(map(str, case.broken)),
            freezes=survey.repository.freezes,
            holds=survey.repository.holds,
            now=survey.now,
        )

    def _approves(self, reviewed: CommitId, case: Case, pull: PullRequest | None) -> bool:
        """Whether an approval given at a commit is one of what would be merged: the same head, or the same content."""
        head = self._commit(reviewed)
        return pull is not None and head is not None and self._same_content(head, case)


def _may_prove(environment: Environment, seen: Seen) -> bool:
    """Whether the past of its Kustomization says anything: one that is suspended or checks no health proves nothing."""
    written = environment.kustomization.spec if environment.kustomization else {}
    spec = written if seen.reported is not None else (seen.manifest or {}).get("spec") or {}
    return not spec.get("suspend") and evidence.checks_health(spec)


def _directories(environment: Environment, unit: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(directories of a unit, directories below them that are not its own)."""
    if unit != REMAINDER:
        return unit_paths(environment, unit), ()
    apps = [f"{path}/{change.APPS}/{one.name}" for path in environment.paths for one in environment.units if one.kind == "app"]
    return environment.paths, (*apps, *(f"{path}/{change.SYNC_FOLDER}" for path in environment.paths))


def _read(tree: Tree, path: str) -> bytes | None:
    entry = tree.entry(path)
    return tree.read(path) if entry and entry.kind == "file" else None
