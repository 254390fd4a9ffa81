"""Freezes and holds: stop the line, or keep something back, by a file in Git that says who, why and until when.

In: an open world and what to write. Out: the commit on the main branch, or the pull request where the branch is protected.
Whoever wants to know later who stopped what reads Git.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from penstock import source
from penstock.app.log import found
from penstock.app.promote import known_unit
from penstock.controllers.promotion_cases import EMAIL, LABEL, NAME
from penstock.controllers.promotion_reverting import ASKED_BY
from penstock.merge import selecting
from penstock.model import errors
from penstock.model.pipeline import REMAINDER, Freeze, Hold, Repository
from penstock.model.tree import Tree
from penstock.model.values import CommitId
from penstock.ports.forge import PullRequest
from penstock.ports.repo import Signature
from penstock.promote import records, text
from penstock.promote.evidence import stamp
from penstock.source.declaring import API_VERSION, FOLDER

if TYPE_CHECKING:
    from penstock.app.world import World

BRANCHES = "penstock/mark/"
_TRIES = 5
_HEAD = f"apiVersion: {API_VERSION}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Who does it: the author of the commit."""

    name: str
    email: str = EMAIL
    on_page: bool = False
    """They asked on the web page: Penstock is the author, and a trailer names them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """What was written."""

    path: str
    """The file written or taken away."""
    content: bytes | None
    subject: str
    commit: CommitId
    pull: PullRequest | None = None
    """Where the main branch takes no direct commits: it counts once this is merged."""


async def freeze(world: World, environment: str, *, reason: str, until: datetime | None, by: Person) -> Marked:
    """Nothing is merged into an environment until it ends or is taken away. Raises InputError for an unknown one."""
    repository, _ = await _read(world)
    name = found(repository, environment).name
    lines = [f"  environments: [{json.dumps(name)}]", *_why(reason, until, by)]
    content = f"{_HEAD}kind: Freeze\nspec:\n" + "".join(f"{line}\n" for line in lines)
    subject = f"Freeze {name}{_until(until)}: {reason}"
    return await _write(world, _path("freeze", name), content.encode(), subject, by)


async def unfreeze(world: World, environment: str, *, by: Person) -> Marked:
    """Take the freeze of an environment away. Raises InputError when there is none, or it stands among other things."""
    repository, tree = await _read(world)
    name = found(repository, environment).name
    mine = [one for one in repository.freezes if name in one.environments or not one.environments]
    path = _own_file(tree, mine, f"{name} is not frozen", single=lambda one: list(one.environments) == [name])
    return await _write(world, path, None, f"Unfreeze {name}", by)


async def hold(
    world: World,
    what: str,
    *,
    environments: Sequence[str],
    reason: str,
    until: datetime | None,
    by: Person,
    field: str = "",
) -> Marked:
    """Keep an app, one field of it, or a commit, back. Raises InputError for what is neither."""
    repository, _ = await _read(world)
    names = [found(repository, one).name for one in environments]
    key, value = _named(world, repository, what)
    lines = [f"  {key}: {json.dumps(value)}"]
    if field:
        _readable(field)
        lines.append(f"  field: {json.dumps(field, ensure_ascii=False)}")
    lines += [f"  environments: [{', '.join(json.dumps(name) for name in names)}]"] if names else []
    content = f"{_HEAD}kind: Hold\nspec:\n" + "".join(f"{line}\n" for line in [*lines, *_why(reason, until, by)])
    shown = value[:10] if key == "commit" else value
    path = _path("hold", *names, shown, *([field] if field else []))
    shown = f"{field} of {shown}" if field else shown
    subject = f"Hold {shown}{' from ' + ', '.join(names) if names else ''}{_until(until)}: {reason}"
    return await _write(world, path, content.encode(), subject, by)


async def release(world: World, what: str, *, by: Person, field: str = "", environment: str = "") -> Marked:
    """Take the hold of an app, one of its fields, or a commit away; with `environment`, the one of that environment alone.

    Raises InputError when there is none, or it stands among other things.
    """
    repository, tree = await _read(world)
    held = [one for one in repository.holds if _speaks_of(one, what) and one.field == field]
    shown = f"{field} of {what}" if field else what
    if environment:
        held = [one for one in held if environment in one.environments or not one.environments]
        shown = f"{shown} for {environment}"

    def single(one: Hold) -> bool:
        return not environment or list(one.environments) == [environment]

    path = _own_file(tree, held, f"{shown} is not held back", single=single)
    return await _write(world, path, None, f"Release {shown}", by)


def _speaks_of(one: Hold, what: str) -> bool:
    if one.commit:
        return len(what) >= 4 and (one.commit.startswith(what) or what.startswith(one.commit))
    return one.unit == what


def _readable(field: str) -> None:
    """Raises InputError for what is no field."""
    try:
        selecting.parse(field)
    except ValueError as error:
        hint = "write it like data.timeout or '#Deployment/web spec.replicas'"
        raise errors.invalid(f"{field!r} is no field: {error}", hint=hint, code="BadField") from None


def _named(world: World, repository: Repository, what: str) -> tuple[str, str]:
    """('app', name) or ('commit', id)."""
    if what in (*repository.apps(), REMAINDER):
        return "app", what
    commit = world.repo.resolve(what) if re.fullmatch(r"[0-9a-f]{4,64}", what) else None
    if commit is None:
        known_unit(repository, what)
        raise AssertionError("unreachable")  # known_unit takes only what apps() has.
    return "commit", commit


def _why(reason: str, until: datetime | None, by: Person) -> list[str]:
    lines = [f"  reason: {json.dumps(reason, ensure_ascii=False)}", f"  by: {json.dumps(by.name, ensure_ascii=False)}"]
    return [*lines, *([f"  until: {json.dumps(stamp(until))}"] if until else [])]


def _until(until: datetime | None) -> str:
    return f" until {stamp(until)}" if until else ""


async def _read(world: World) -> tuple[Repository, Tree]:
    await world.repo.fetch()
    tree = world.repo.tree(_tip(world))
    return source.discover(tree), tree


def _tip(world: World) -> CommitId:
    tip = world.repo.resolve(f"refs/heads/{world.branch}") or world.repo.resolve(world.branch)
    if tip is None:
        raise errors.RefusedError(f"the repository has no branch {world.branch}", code="NoBranch")
    return tip


def _path(kind: str, *names: str) -> str:
    """A name of its own for everything that can be kept back, readable as long as the names are."""
    plain = "-".join(re.sub(r"[^a-z0-9.-]+", "-", name.lower()) for name in names)[:60]
    digest = hashlib.sha256("\0".join(names).encode()).hexdigest()[:8]
    return f"{FOLDER}/{kind}-{plain}-{digest}.yaml"


def _own_file[T: (Freeze, Hold)](tree: Tree, marks: Iterable[T], nothing: str, *, single: Callable[[T], bool]) -> str:
    """The file that holds nothing but this mark. Raises InputError that says where it stands otherwise."""
    marks = list(marks)
    if not marks:
        raise errors.invalid(nothing, hint="penstock status shows what waits for what", code="NothingToDo")
    for one in marks:
        path = one.place.path if one.place else ""
        if path.startswith(f"{FOLDER}/") and _documents(tree.read(path)) == 1 and single(one):
            return path
    where = marks[0].place
    raise errors.invalid(
        "it stands in a file that says more than that",
        *((where.path, where.line) if where else ()),
        hint="edit that file",
        code="SharedFile",
    )


def _documents(content: bytes) -> int:
    return sum(1 for part in re.split(rb"^---", content, flags=re.MULTILINE) if part.strip())


async def _write(world: World, path: str, content: bytes | None, subject: str, by: Person) -> Marked:
    """Commit it to the main branch as this person; where that is refused, propose it."""
    subject = text.clean(subject)[:200]
    message = f"{subject}\n" + (f"\n{ASKED_BY}: {records.one_line(text.clean(by.name))}\n" if by.on_page else "")
    for _ in range(_TRIES):
        tip = _tip(world)
        name, email = (NAME, EMAIL) if by.on_page else (by.name, by.email)
        author = Signature(name=name, email=email, when=world.clock.now())
        commit = world.repo.write_commit([tip], {path: content}, message=message, author=author)
        _check(world, tip, commit)
        try:
            await world.repo.push(world.branch, commit, expect=tip)
        except errors.RaceError:
            await world.repo.fetch()
            continue
        except errors.RefusedError as error:
            if error.code != "PushRefused":
                raise
            pull = await _propose(world, path, commit, subject, by)
            return Marked(path=path, content=content, subject=subject, commit=commit, pull=pull)
        await world.repo.fetch()
        return Marked(path=path, content=content, subject=subject, commit=commit)
    raise errors.RaceError(f"{world.branch} moves too quickly", "try again", code="Moved")


def _check(world: World, before: CommitId, after: CommitId) -> None:
    """Raises InputError for a record that the pipeline could not read, a text of somebody's that reads as something else."""
    known, now = (source.discover(world.repo.tree(commit)).problems for commit in (before, after))
    if new := [problem for problem in now if str(problem) not in {str(one) for one in known}]:
        raise errors.InputError(new)


async def _propose(world: World, path: str, commit: CommitId, subject: str, by: Person) -> PullRequest:
    branch = f"{BRANCHES}{path.removeprefix(f'{FOLDER}/').removesuffix('.yaml')}"
    await world.repo.push(branch, commit, expect=world.repo.branches(branch).get(branch))
    asked = f"Asked for by {text.code(by.name)} on the web page. " if by.on_page else ""
    return await world.forge.open_pull(
        title=subject,
        body=f"{asked}It counts once this is merged.\n",
        head=branch,
        base=world.branch,
        draft=False,
        labels=[LABEL],
    )
