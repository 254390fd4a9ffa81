"""Freezes and holds put in place, and taken away: one small file below .penstock/ each.

In: an open world, what to keep back, why, for whom. Out: a commit to the main branch, or a pull request where it takes none.
What stands elsewhere (penstock.yaml, a file somebody wrote
by hand) is never touched: it is taken away where it stands.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import msgspec

from penstock import source
from penstock.controllers.promotion_cases import EMAIL, LABEL, NAME
from penstock.model import errors
from penstock.model.values import CommitId
from penstock.ports.forge import PullRequest
from penstock.ports.repo import Signature
from penstock.promote import records, text
from penstock.source import declaring

if TYPE_CHECKING:
    from penstock.app.world import World

Kind = Literal["freeze", "hold"]
_TRIES = 3
BRANCHES = "penstock/mark/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One file to write."""

    path: str
    content: bytes
    title: str
    by: str


def freeze(environment: str, reason: str, by: str) -> Record:
    """Nothing is merged into an environment."""
    spec = {"environments": [environment], "reason": reason, "by": by}
    return Record(
        path=_path("freeze", environment, ""), content=_file("Freeze", spec), title=f"Freeze {environment}: {reason}", by=by
    )


def hold(unit: str, environment: str, reason: str, by: str) -> Record:
    """Nothing of an app is merged into an environment."""
    spec = {"app": unit, "environments": [environment], "reason": reason, "by": by}
    title = f"Hold {records.title_of(unit)} back from {environment}: {reason}"
    return Record(path=_path("hold", environment, unit), content=_file("Hold", spec), title=title, by=by)


async def put(world: World, record: Record) -> PullRequest | None:
    """Commit it; the pull request where the main branch is protected. Raises RaceError, RemoteError."""
    return await _commit(world, record.path, record.content, record.title, record.by)


async def take_away(world: World, kind: Kind, environment: str, unit: str, by: str) -> PullRequest | None:
    """Remove the file that `put` wrote, likewise. Raises RefusedError when there is none."""
    what = f"Thaw {environment}" if kind == "freeze" else f"Release {records.title_of(unit)} for {environment}"
    return await _commit(world, _path(kind, environment, unit), None, what, by)


def _path(kind: Kind, environment: str, unit: str) -> str:
    """A name of its own for everything that can be kept back, readable as long as the names are."""
    names = [environment, unit] if unit else [environment]
    plain = "-".join(re.sub(r"[^a-z0-9.-]+", "-", name.lower()) for name in names)[:60]
    digest = hashlib.sha256("\0".join(names).encode()).hexdigest()[:8]
    return f"{declaring.FOLDER}/{kind}-{plain}-{digest}.yaml"


def _file(kind: str, spec: Mapping[str, object]) -> bytes:
    """YAML whose texts are JSON: whatever a person wrote stays one text."""
    lines = [f"apiVersion: {declaring.API_VERSION}", f"kind: {kind}", "spec:"]
    lines += [f"  {key}: {msgspec.json.encode(value).decode()}" for key, value in spec.items()]
    return ("\n".join(lines) + "\n").encode()


async def _commit(world: World, path: str, content: bytes | None, title: str, by: str) -> PullRequest | None:
    message = f"{text.clean(title)[:200]}\n\nPenstock-Asked-By: {records.one_line(text.clean(by))}\n"
    for _ in range(_TRIES):
        await world.repo.fetch()
        tip = world.repo.resolve(world.branch)
        if tip is None:
            raise errors.RefusedError(f"the repository has no branch {world.branch}", code="NoBranch")
        tree = world.repo.tree(tip)
        if content is None and tree.entry(path) is None:
            raise errors.RefusedError(
                "it is not kept back by the page: it stands in the repository",
                hint="penstock.yaml and .penstock/ have it",
                status=409,
            )
        author = Signature(name=NAME, email=EMAIL, when=world.clock.now())
        made = world.repo.write_commit([tip], {path: content}, message=message, author=author)
        if before := {str(one) for one in source.discover(tree).problems} ^ {
            str(one) for one in source.discover(world.repo.tree(made)).problems
        }:
            raise errors.RefusedError(next(iter(sorted(before))), code="BadRecord", status=422)
        try:
            await world.repo.push(world.branch, made, expect=tip)
        except errors.RaceError:
            continue
        except errors.RefusedError as error:
            if error.code != "PushRefused":
                raise
            return await _propose(world, path, made, title, by)
        await world.repo.fetch()
        return None
    raise errors.RaceError(f"{world.branch} moves all the time", hint="try again", code="Moved")


async def _propose(world: World, path: str, commit: CommitId, title: str, by: str) -> PullRequest:
    branch = f"{BRANCHES}{path.removeprefix(f'{declaring.FOLDER}/').removesuffix('.yaml')}"
    await world.repo.push(branch, commit, expect=world.repo.branches(branch).get(branch))
    return await world.forge.open_pull(
        title=text.clean(title)[:200],
        body=f"Asked for by {text.code(by)} on the web page. It counts once this is merged.\n",
        head=branch,
        base=world.branch,
        draft=False,
        labels=[LABEL],
    )
