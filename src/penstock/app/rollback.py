"""Take an environment, or one app of it, back to what it was at an earlier commit: by a pull request like any other change.

In: an open world, an environment, an app or all, an earlier revision. Out: the pull request. What was rolled back is not
promoted again until it changes in the source, or a person asks for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from penstock.app.log import found
from penstock.app.promote import known_unit
from penstock.app.status import surveyor
from penstock.controllers.promotion_cases import EMAIL, LABEL, NAME, Survey
from penstock.controllers.promotion_history import History, unit_paths
from penstock.controllers.promotion_survey import Surveyor
from penstock.model import errors
from penstock.model.pipeline import REMAINDER, Environment
from penstock.model.tree import Tree
from penstock.model.values import CommitId, EnvName
from penstock.ports.forge import PullRequest
from penstock.ports.repo import Repo, Signature
from penstock.promote import change, listing, records, text, verdict

if TYPE_CHECKING:
    from penstock.app.world import World

BRANCHES = "penstock/rollback/"
ASKED_BY = "Penstock-Asked-By"
"""The trailer with the person for whom Penstock wrote a commit: their approval of it does not count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RolledBack:
    """What goes back, and the pull request that takes it there."""

    environment: EnvName
    units: tuple[str, ...]
    commit: CommitId
    """What it goes back to."""
    subject: str
    files: dict[str, bytes | None]
    outcome: verdict.Outcome | None
    title: str
    body: str
    message: str
    pull: PullRequest | None = None


async def rollback(
    world: World, environment: str, unit: str | None, *, to: str | None = None, dry_run: bool = False, by: str = ""
) -> RolledBack:
    """Propose it; without `to`, to before the newest change; `by` is recorded. Raises InputError for unknown names and
    revisions, and when there is nothing to take back."""
    looking = surveyor(world)
    survey = await looking.survey()
    target = found(survey.repository, environment)
    if unit is not None:
        known_unit(survey.repository, unit)
    commit = _revision(world.repo, looking.history, survey, target, unit, to)
    before, then = world.repo.tree(survey.tip), world.repo.tree(commit)
    names = (unit,) if unit else _units(target, before, then)
    files = dict(_files(target, names, before, then))
    changed = tuple(name for name in names if any(_belongs(path, target, name) for path in files))
    if not files:
        raise errors.invalid(
            f"{unit or environment} is the same at {commit[:7]}", hint="--to names an earlier revision", code="NothingToDo"
        )
    proposed = _worded(world, looking, survey, target, changed or names, commit, files, by)
    return proposed if dry_run else await _propose(world, survey, proposed, unit)


def _revision(repo: Repo, history: History, survey: Survey, target: Environment, unit: str | None, to: str | None) -> CommitId:
    if to is not None:
        commit = repo.resolve(to)
        if commit is None or not repo.is_ancestor(commit, survey.tip):
            hint = f"penstock log {target.name} shows them"
            raise errors.invalid(f"{to!r} is no earlier revision of the main branch", hint=hint, code="UnknownRevision")
        return commit
    newest = history.newest(unit_paths(target, unit) if unit else target.paths, survey.tip)
    if newest is None or not newest.parents:
        raise errors.invalid(f"{unit or target.name} has no earlier state", code="NothingToDo")
    return newest.parents[0]


def _units(target: Environment, before: Tree, then: Tree) -> tuple[str, ...]:
    """Every app of either time, and the remainder."""
    names: set[str] = set()
    for tree in (before, then):
        for path in target.paths:
            entry = tree.entry(f"{path}/{change.APPS}")
            if entry is not None and entry.kind == "directory":
                inner = f"{path}/{change.APPS}"
                names |= {
                    name for name in tree.names(inner) if (one := tree.entry(f"{inner}/{name}")) and one.kind == "directory"
                }
    return (*sorted(names), REMAINDER)


def _files(target: Environment, names: tuple[str, ...], before: Tree, then: Tree) -> Iterator[tuple[str, bytes | None]]:
    """Files of these units that are not now as they were then, with their content then."""
    whole = REMAINDER in names
    for root in target.paths:
        roots = [root] if whole else [f"{root}/{change.APPS}/{name}" for name in names]
        paths = {path for tree in (before, then) for one in roots for path in _walk(tree, one)}
        for path in sorted(paths):
            if not path.startswith(f"{root}/{change.SYNC_FOLDER}/") and _id(before, path) != _id(then, path):
                yield path, then.read(path) if then.entry(path) else None
        if not whole:
            yield from _listings(root, names, before, then)


def _listings(root: str, names: tuple[str, ...], before: Tree, then: Tree) -> Iterator[tuple[str, bytes | None]]:
    """An app's line comes and goes with the app; the other lines stay as they are now."""
    trees = change.Trees()
    old = {one.path: one for one in trees.listings(then, root)}
    for one in trees.listings(before, root):
        leaving = {
            f"{root}/{change.APPS}/{name}"
            for name in names
            if one.lists(f"{root}/{change.APPS}/{name}") and not _lists(old.get(one.path), f"{root}/{change.APPS}/{name}")
        }
        data = one.without(leaving)
        was = old.get(one.path)
        for name in names:
            directory = f"{root}/{change.APPS}/{name}"
            if was is not None and was.lists(directory) and not one.lists(directory):
                data = _with_line(was, directory, data, one.path)
        if data != one.data:
            yield one.path, data


def _lists(one: listing.Listing | None, directory: str) -> bool:
    return one is not None and one.lists(directory)


def _with_line(was: listing.Listing, directory: str, now: bytes, path: str) -> bytes:
    from penstock import merge

    return merge.three_way(was.without({directory}), was.data, now, path=path).result or now


def _walk(tree: Tree, path: str) -> Iterator[str]:
    entry = tree.entry(path)
    if entry is None:
        return
    if entry.kind != "directory":
        yield path
        return
    for name in tree.names(path):
        yield from _walk(tree, f"{path}/{name}")


def _id(tree: Tree, path: str) -> str:
    entry = tree.entry(path)
    return entry.id if entry else ""


def _belongs(path: str, target: Environment, unit: str) -> bool:
    if unit != REMAINDER:
        return path.startswith(tuple(f"{one}/" for one in unit_paths(target, unit)))
    return not any(path.startswith(f"{root}/{change.APPS}/") and path.count("/") > root.count("/") + 2 for root in target.paths)


def _worded(
    world: World,
    looking: Surveyor,
    survey: Survey,
    target: Environment,
    units: tuple[str, ...],
    commit: CommitId,
    files: dict[str, bytes | None],
    by: str,
) -> RolledBack:
    subject = world.repo.commit(commit).subject
    names = ", ".join(records.title_of(unit) for unit in units)
    title = f"Roll back {names} in {target.name} to {commit[:7]} ({text.clean(subject)})"[:200]
    trailers = "".join(records.Rollback(unit=unit, target=target.name, commit=commit).trailer() for unit in units)
    asked = f"{ASKED_BY}: {records.one_line(text.clean(by))}\n" if by else ""
    message = f"{title}\n\n{trailers}{asked}"
    author = Signature(name=NAME, email=EMAIL, when=world.repo.commit(survey.tip).committer.when)
    head = world.repo.write_commit([survey.tip], files, message=message, author=author)
    outcome = outcome_of(looking, survey, target, commit, head)
    return RolledBack(
        environment=target.name,
        units=units,
        commit=commit,
        subject=subject,
        files=files,
        outcome=outcome,
        title=title,
        body=_body(target, units, commit, outcome, by),
        message=message,
    )


def outcome_of(
    looking: Surveyor, survey: Survey, target: Environment, commit: CommitId, head: CommitId
) -> verdict.Outcome | None:
    """What changes among the rendered objects; None when one of the sides does not render."""
    seen = survey.seen[target.name]
    try:
        sides = [looking.renderer.at(one, target, seen).objects for one in (commit, survey.tip, head)]
    except errors.InputError:
        return None
    wanted = set(verdict.changed_ids(sides[1], sides[2]))
    then, before, after = ([one for one in side if one.id in wanted] for side in sides)
    return verdict.compare(source=then, before=before, after=after, base=None, differences=())


def _body(target: Environment, units: tuple[str, ...], commit: CommitId, outcome: verdict.Outcome | None, by: str) -> str:
    names = ", ".join(text.code(records.title_of(unit)) for unit in units)
    lines = [f"**Takes {names} in {target.name} back to what it was at {commit[:7]}.**", ""]
    if by:
        lines += [f"Asked for by {text.code(by)} on the web page.", ""]
    if outcome is None:
        lines.append("One of the sides does not render, so nothing can be said about the objects.")
    else:
        lines += [f"| | at {commit[:7]} | {target.name} now | {target.name} after |", "|---|---|---|---|"]
        lines += [
            f"| {text.clean(row.object)} {text.code(row.field, 160) if row.field else ''} | {text.code(row.source)} "
            f"| {text.code(row.before)} | **{text.code(row.after)}** |"
            for row in outcome.rows[:100]
        ]
    lines += ["", "Until it changes in the source, or somebody asks for it, this is not promoted again.", ""]
    return "\n".join(lines)


async def _propose(world: World, survey: Survey, proposed: RolledBack, unit: str | None) -> RolledBack:
    branch = f"{BRANCHES}{proposed.environment}/{unit or REMAINDER}"
    author = Signature(name=NAME, email=EMAIL, when=world.repo.commit(survey.tip).committer.when)
    head = world.repo.write_commit([survey.tip], proposed.files, message=proposed.message, author=author)
    before = world.repo.branches(branch).get(branch)
    if before != head:
        await world.repo.push(branch, head, expect=before)
    pull = await world.forge.open_pull(
        title=proposed.title, body=proposed.body, head=branch, base=world.branch, draft=False, labels=[LABEL]
    )
    return replace(proposed, pull=pull)
