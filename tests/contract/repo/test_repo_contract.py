"""The Repo port, one suite on three remotes: a bare repository on disk, the sandbox's smart HTTP, and a real Gitea."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pygit2
import pytest

from penstock.adapters import git
from penstock.model.errors import RaceError, RefusedError, TransientError
from penstock.model.values import CommitId
from penstock.ports.repo import Signature
from penstock.sandbox import forge as sandbox_forge

AUTHOR = Signature(name="Dev Ün", email="dev@example.com", when=datetime(2026, 3, 2, 14, 0, tzinfo=UTC))
_names = iter(range(1_000_000))
SERVED = pytest.mark.parametrize("remote", ["sandbox", "gitea"], indirect=True)
"""Remotes behind a server: a path has no credentials."""


@dataclass
class Remote:
    """An empty remote repository, mirrored any number of times."""

    url: str
    folder: Path
    local: bool

    def mirror(self, name: str = "one", **more: object) -> git.Mirror:
        return git.Mirror(self.url, self.folder / f"{name}.git", allow_local=self.local, **more)  # type: ignore[arg-type]


@pytest.fixture(params=["bare", "sandbox", "gitea"])
async def remote(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Remote]:
    if request.param == "bare":
        pygit2.init_repository(str(tmp_path / "remote.git"), bare=True)
        yield Remote(url=str(tmp_path / "remote.git"), folder=tmp_path, local=True)
    elif request.param == "sandbox":
        async with sandbox_forge.serve(tmp_path / "forge") as server:
            await server.create_repo("fleet", owner="platform")
            yield Remote(url=server.clone_url("platform/fleet", user="developer"), folder=tmp_path, local=False)
    else:
        server = request.getfixturevalue("real_gitea")
        name = await server.create_repo(f"repo-{next(_names)}", owner="platform")
        yield Remote(url=server.clone_url(name, user="developer"), folder=tmp_path, local=False)


def commit(mirror: git.Mirror, files: dict[str, bytes | None], *parents: CommitId, message: str = "change") -> CommitId:
    return mirror.write_commit(parents, files, message=message, author=AUTHOR)


async def test_an_empty_remote_is_no_error(remote: Remote) -> None:
    mirror = remote.mirror()
    await mirror.fetch()
    assert dict(mirror.branches()) == {}
    assert mirror.resolve("main") is None


async def test_what_one_pushes_the_other_fetches(remote: Remote) -> None:
    one, other = remote.mirror("one"), remote.mirror("other")
    made = commit(one, {"clusters/dev/a.yaml": b"a: 1\n", "ünï/🚀.txt": b"\x00\xff"}, message="first ✔\n\nBody\n")
    await one.push("main", made, expect=None)
    await other.fetch()

    assert dict(other.branches()) == {"main": made}
    assert other.resolve("main") == other.resolve("refs/heads/main") == other.resolve(made) == other.resolve(made[:10]) == made
    assert other.resolve("nothing") is None
    found = other.commit(made)
    assert (found.subject, found.message, found.parents) == ("first ✔", "first ✔\n\nBody\n", ())
    assert (found.author, found.committer) == (AUTHOR, AUTHOR)
    tree = other.tree(made)
    assert tree.id == found.tree_id
    assert tree.names("") == ("clusters", "ünï")
    assert tree.read("ünï/🚀.txt") == b"\x00\xff"


async def test_branches_come_move_and_go(remote: Remote) -> None:
    one, other = remote.mirror("one"), remote.mirror("other")
    first = commit(one, {"a": b"1"})
    second = commit(one, {"a": b"2"}, first)
    await one.push("main", first, expect=None)
    await one.push("promote/web", first, expect=None)
    await other.fetch()
    await one.push("main", second, expect=first)
    await one.push("promote/web", None, expect=first)
    await one.push("promote/web/deeper", first, expect=None)  # where a branch was is now a folder of branches
    await other.fetch()
    assert dict(other.branches()) == {"main": second, "promote/web/deeper": first}
    assert dict(other.branches("promote/")) == {"promote/web/deeper": first}


async def test_a_push_loses_to_whoever_was_first(remote: Remote) -> None:
    one, other = remote.mirror("one"), remote.mirror("other")
    first = commit(one, {"a": b"1"})
    await one.push("main", first, expect=None)
    await other.fetch()
    theirs, ours = commit(other, {"a": b"theirs"}, first), commit(one, {"a": b"ours"}, first)
    await other.push("main", theirs, expect=first)

    with pytest.raises(RaceError):
        await one.push("main", ours, expect=first)
    with pytest.raises(RaceError):
        await one.push("main", ours, expect=None)
    with pytest.raises(RaceError):
        await one.push("main", None, expect=first)
    await other.fetch()
    assert dict(other.branches()) == {"main": theirs}


async def test_of_many_pushes_at_once_exactly_one_wins(remote: Remote) -> None:
    one = remote.mirror("one")
    first = commit(one, {"a": b"0"})
    await one.push("main", first, expect=None)
    mirrors = [remote.mirror(f"racer-{number}") for number in range(4)]
    for mirror in mirrors:
        await mirror.fetch()
    made = [commit(mirror, {"a": str(number).encode()}, first) for number, mirror in enumerate(mirrors)]
    results = await asyncio.gather(
        *(mirror.push("main", mine, expect=first) for mirror, mine in zip(mirrors, made, strict=True)), return_exceptions=True
    )
    await one.fetch()
    winners = [mine for mine, result in zip(made, results, strict=True) if result is None]
    assert winners == [one.branches()["main"]]
    assert all(isinstance(result, RaceError | TransientError) for result in results if result is not None)


async def test_pushing_what_is_there_already_is_done(remote: Remote) -> None:
    one = remote.mirror("one")
    first = commit(one, {"a": b"1"})
    await one.push("main", first, expect=None)
    await one.push("main", first, expect=None)
    await one.push("main", first, expect=first)
    await one.push("gone", None, expect=None)


async def test_our_own_branch_can_be_rewritten(remote: Remote) -> None:
    one, other = remote.mirror("one"), remote.mirror("other")
    base = commit(one, {"a": b"1"})
    old, new = commit(one, {"a": b"2"}, base), commit(one, {"a": b"3"}, base)
    await one.push("main", base, expect=None)
    await one.push("promote/web", old, expect=None)
    await other.fetch()
    assert other.rewrites == ()
    await one.push("promote/web", new, expect=old)
    await other.fetch()
    assert [(found.branch, found.old, found.new) for found in other.rewrites] == [("promote/web", old, new)]
    assert other.branches()["promote/web"] == new
    assert other.resolve(f"refs/penstock/keep/{old}") == old, "the old tip is kept for rollback and audit"


async def test_notes_travel_and_a_race_loses_none(remote: Remote) -> None:
    one, other = remote.mirror("one"), remote.mirror("other")
    first = commit(one, {"a": b"1"})
    second = commit(one, {"a": b"2"}, first)
    await one.push("main", second, expect=None)
    await other.fetch()
    assert one.note("penstock/evidence", first) is None

    await one.add_note("penstock/evidence", first, "healthy in dev")
    await other.add_note("penstock/evidence", second, "healthy too")  # has not seen the first note yet
    await one.add_note("penstock/evidence", first, "healthy in dev and staging")
    await one.fetch()
    await other.fetch()
    for mirror in (one, other):
        assert mirror.note("penstock/evidence", first) == "healthy in dev and staging"
        assert mirror.note("penstock/evidence", second) == "healthy too"
        assert mirror.note("penstock/other", first) is None


async def test_the_log_is_by_ancestry_and_by_path(remote: Remote) -> None:
    one = remote.mirror("one")
    files: dict[str, bytes | None] = {"clusters/dev/a": b"1", "clusters/prod/a": b"1", "README": b"x"}
    base = commit(one, files, message="base")
    dev = commit(one, {"clusters/dev/a": b"2"}, base, message="dev")
    late = replace(AUTHOR, when=AUTHOR.when + timedelta(days=3650))  # a clock that is wrong
    readme = one.write_commit([dev], {"README": b"y"}, message="readme", author=late)
    branch = commit(one, {"clusters/prod/a": b"2"}, dev, message="prod")
    merge = one.write_commit([readme, branch], {"clusters/prod/a": b"2"}, message="merge", author=AUTHOR)
    await one.push("main", merge, expect=None)
    reader = remote.mirror("reader")
    await reader.fetch()

    def subjects(**options: object) -> list[str]:
        return [found.subject for found in reader.log(merge, **options)]  # type: ignore[arg-type]

    everything = subjects()
    assert sorted(everything) == ["base", "dev", "merge", "prod", "readme"]
    assert (everything[0], everything[3:]) == ("merge", ["dev", "base"])
    assert subjects(first_parent=True) == ["merge", "readme", "dev", "base"]
    assert subjects(paths=["clusters/dev"]) == ["dev", "base"]
    assert subjects(paths=["clusters/prod"]) == ["merge", "prod", "base"]
    assert subjects(paths=["clusters/prod/a"], first_parent=True) == ["merge", "base"]
    assert subjects(paths=["clusters/none", "README"]) == ["readme", "base"]
    assert reader.is_ancestor(base, merge)
    assert reader.is_ancestor(merge, merge)
    assert not reader.is_ancestor(merge, base)
    assert reader.merge_base(readme, branch) == dev


async def test_histories_without_a_common_ancestor_have_no_merge_base(remote: Remote) -> None:
    one = remote.mirror("one")
    this, that = commit(one, {"a": b"1"}, message="this"), commit(one, {"b": b"1"}, message="that")
    await one.push("this", this, expect=None)
    await one.push("that", that, expect=None)
    reader = remote.mirror("reader")
    await reader.fetch()
    assert reader.merge_base(this, that) is None


async def test_only_named_branches_are_fetched_when_asked(remote: Remote) -> None:
    one = remote.mirror("one")
    first = commit(one, {"a": b"1"})
    second = commit(one, {"b": b"1"})
    await one.push("main", first, expect=None)
    await one.push("other", second, expect=None)
    narrow = remote.mirror("narrow", branches=["main", "not-there"])
    await narrow.fetch()
    assert dict(narrow.branches()) == {"main": first}
    assert narrow.resolve(second) is None
    with pytest.raises(RefusedError):
        narrow.commit(second)


async def test_a_name_that_is_no_branch_is_refused(remote: Remote) -> None:
    one = remote.mirror("one")
    first = commit(one, {"a": b"1"})
    for name in ("", "-x", "a..b", "a b", "--upload-pack=touch /tmp/x", "a\nb", "refs/heads/.."):
        with pytest.raises(RefusedError):
            await one.push(name, first, expect=None)


async def test_a_commit_that_is_not_here_is_refused(remote: Remote) -> None:
    one = remote.mirror("one")
    absent = CommitId("1" * 40)
    for ask in (one.commit, one.tree, lambda name: list(one.log(name)), lambda name: one.is_ancestor(name, name)):
        with pytest.raises(RefusedError):
            ask(absent)
    with pytest.raises(RefusedError):
        await one.push("main", absent, expect=None)


@SERVED
async def test_nothing_of_the_credentials_stays_on_disk(remote: Remote) -> None:
    one = remote.mirror("one")
    await one.push("main", commit(one, {"a": b"1"}), expect=None)
    await one.fetch()
    token = remote.url.split("@")[0].rsplit(":", 1)[1].encode()
    assert len(token) >= 20
    assert token.decode() not in one.url
    for path in (remote.folder / "one.git").rglob("*"):
        assert not path.is_file() or token not in path.read_bytes(), path


@SERVED
async def test_wrong_credentials_are_refused_and_nothing_is_lost(remote: Remote) -> None:
    one = remote.mirror("one")
    made = commit(one, {"a": b"1"})
    await one.push("main", made, expect=None)

    canary = "canary0123456789canary"
    bad = git.Mirror(one.url, remote.folder / "one.git", credentials=git.Credentials(username="developer", password=canary))
    with pytest.raises(RefusedError) as refused:
        await bad.fetch()
    assert refused.value.code == "AuthenticationFailed"
    assert canary not in str(refused.value)
    assert dict(bad.branches()) == {"main": made}
    with pytest.raises(RefusedError):
        await bad.push("main", commit(bad, {"a": b"2"}, made), expect=made)
    with pytest.raises(RefusedError):
        await git.Mirror(one.url, remote.folder / "anonymous.git").fetch()


@SERVED
async def test_a_repository_that_is_not_there_is_refused_and_nothing_is_lost(remote: Remote) -> None:
    one = remote.mirror("one")
    made = commit(one, {"a": b"1"})
    await one.push("main", made, expect=None)
    gone = git.Mirror(remote.url.replace("platform/", "platform/no-"), remote.folder / "one.git")
    with pytest.raises(RefusedError) as refused:
        await gone.fetch()
    assert refused.value.code == "NotFound"
    assert dict(gone.branches()) == {"main": made}
