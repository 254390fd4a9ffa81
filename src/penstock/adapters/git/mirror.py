"""A bare mirror of a remote repository behind ports.repo.Repo. In: a URL and a folder. Out: fetched refs, pushed commits.

What holds at all times, crash included:
- refs under refs/heads, refs/tags and refs/notes are what the remote had at the last fetch that finished; a failed fetch
  changes none of them (git moves refs only after all objects arrived and passed fsck);
- the old tip of a branch that was rewritten or deleted stays under refs/penstock/keep, for rollback and audit;
- a push moves a ref only from the commit its caller saw (see `pushing`);
- the remote's content is never checked out, and nothing of the remote's choosing (URL, hook, filter, submodule) runs.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import pygit2

from penstock.adapters.git import command, exclusive, pushing
from penstock.adapters.git.address import parse_address
from penstock.adapters.git.credentials import Credentials
from penstock.adapters.git.pushing import Writer
from penstock.adapters.git.text import plain
from penstock.model.errors import RefusedError, TransientError
from penstock.model.values import CommitId

CredentialSource = Credentials | Callable[[], Awaitable[Credentials | None]] | None
"""Fixed credentials, or a function that gives those of the moment (App tokens expire)."""

_WATCHED = ("refs/heads/", "refs/tags/", "refs/notes/")
_KEEP = "refs/penstock/keep/"
_COMPARED = 50
_CROWD = 1000
_CHECK_EVERY_SECONDS = 3600.0
_TIDY_EVERY, _TIDY_SECONDS = 50, 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewrite:
    """A branch whose history was replaced, or that was deleted (`new` is None), since the fetch before."""

    branch: str
    old: CommitId
    new: CommitId | None


class Mirror(Writer):
    """One remote, mirrored in one bare repository; one task at a time fetches or pushes, reading needs no lock.

    `branches` (short names) and `refs` (full ones) limit what is fetched to these, and with `history=False` to their tips:
    what came before the first fetch stays with the remote, what comes after it is brought whole, so that a rewrite is still
    told from a step forward. `timeout` bounds one git process in seconds, `largest_bytes` what a fetch may bring (0: no limit).
    """

    prefixes = ("", "refs/heads/", "refs/tags/")

    def __init__(
        self,
        url: str,
        folder: Path,
        *,
        credentials: CredentialSource = None,
        branches: Iterable[str] = (),
        refs: Iterable[str] = (),
        history: bool = True,
        timeout: float = 60.0,
        largest_bytes: int = 0,
        allow_local: bool = False,
    ) -> None:
        self.address = parse_address(url, allow_local=allow_local)
        self._credentials = credentials if credentials is not None else self.address.credentials
        self._only = (*(pushing.branch_ref(name) for name in branches), *(_full_ref(name) for name in refs))
        self._history = history or not self._only
        self._timeout = timeout
        self._largest_bytes = largest_bytes
        self._folder = folder
        self._lock = asyncio.Lock()
        self._downloads = 0
        self._next_check = 0.0
        self._crowded = False
        """The remote has so many refs of other kinds (refs/pull) that listing them at every look is a burden."""
        self.rewrites: tuple[Rewrite, ...] = ()
        """What the last fetch found rewritten or deleted."""
        if not (folder / "HEAD").exists():
            self._begin()
        try:
            super().__init__(folder)
        except RefusedError:
            self._start_anew()

    @property
    def url(self) -> str:
        """The remote, without credentials."""
        return self.address.url

    async def fetch(self) -> None:
        async with self._turn():
            if self._store.suspect:
                self._store.suspect = False
                if not await self._sound():
                    self._start_anew()
            try:
                await self._fetch_renewed()
            except (RefusedError, TransientError) as error:
                # What failed may be our copy, not the remote: damaged by a full disk or a lost power line.
                if error.code not in ("CorruptObjects", "GitFailed") or not self._may_check() or await self._sound():
                    raise
                self._start_anew()
                await self._fetch()

    async def _fetch_renewed(self) -> None:
        """Fetch; credentials that can be renewed are, once, when they are refused."""
        try:
            await self._fetch()
        except RefusedError as error:
            renew = getattr(self._credentials, "renew", None)
            if error.code != "AuthenticationFailed" or renew is None:
                raise
            renew()
            await self._fetch()

    async def _fetch(self) -> None:
        remote = await self._remote_refs(() if self._history else self._only)
        if remote == self._local_refs():
            self.rewrites = ()
            return
        before = self._heads()
        with self._out_of_the_way(remote):
            await self._download(self._refspecs(remote))
        for name in self._only:
            if name not in remote:
                self._move(name, None)
        self.rewrites = self._keep_rewritten(before)
        await self._tidy()

    async def is_empty(self) -> bool:
        """Whether the remote has no ref at all."""
        finished = await self._git_run("ls-remote", "--refs", "--end-of-options", self.url)
        self._require(finished, f"reading the refs of {self.url}")
        return not finished.stdout

    def keep(self, commit: CommitId) -> None:
        """Keep a commit, whatever becomes of the refs that lead to it."""
        if commit in self._git:
            self._git.references.create(f"{_KEEP}{commit}", pygit2.Oid(hex=commit), force=True)

    async def remote_head(self) -> str | None:
        """The short name of the remote's default branch."""
        finished = await self._git_run("ls-remote", "--symref", "--end-of-options", self.url, "HEAD")
        self._require(finished, "reading the default branch")
        match = re.search(rb"^ref: refs/heads/(\S+)\tHEAD$", finished.stdout, re.MULTILINE)
        return match[1].decode("utf-8", "surrogateescape") if match else None

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """One task of one process at a time fetches into, or pushes from, this folder."""
        async with self._lock, exclusive.turn(self._folder, self._timeout):
            yield

    def _begin(self) -> None:
        """An empty mirror, there whole or not at all."""
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f"{self._folder.name}.", dir=self._folder.parent) as fresh:
            pygit2.init_repository(str(Path(fresh) / "git"), bare=True)
            with suppress(OSError):  # another process was quicker
                (Path(fresh) / "git").rename(self._folder)

    def _start_anew(self) -> None:
        """Put a damaged mirror aside (the newest of them is kept, to be looked at) and begin with an empty one."""
        aside = self._folder.with_name(f"{self._folder.name}.damaged")
        shutil.rmtree(aside, ignore_errors=True)
        self._folder.rename(aside)
        self._begin()
        self._open(self._folder)

    def _may_check(self) -> bool:
        """A check reads everything: one an hour, however often a fetch fails."""
        now = time.monotonic()
        due = now >= self._next_check
        if due:
            self._next_check = now + _CHECK_EVERY_SECONDS
        return due

    async def _sound(self) -> bool:
        """Whether every object is whole and everything our refs lead to is here (slow; only asked on suspicion)."""
        finished = await self._git_run("fsck", "--full", "--no-dangling", "--no-progress", seconds=_TIDY_SECONDS)
        return finished.code == 0

    async def _tidy(self) -> None:
        """Let git pack what many small fetches left, now and then; nothing waits on how it went."""
        self._downloads += 1
        if self._downloads % _TIDY_EVERY == 0:
            with suppress(TransientError):
                await self._git_run("-c", "gc.auto=2000", "gc", "--auto", "--quiet", seconds=_TIDY_SECONDS)

    @contextmanager
    def _out_of_the_way(self, remote: Mapping[str, CommitId]) -> Iterator[None]:
        """Deleted refs that share a path with new ones (a became a/b) are gone before git locks the new ones.

        An atomic fetch cannot do it by itself; when it fails they come back.
        """
        local = self._local_refs()
        folders = {name[:cut] for name in remote for cut in range(len(name)) if name[cut] == "/"}
        moved = {
            name: target
            for name, target in local.items()
            if name not in remote and (name in folders or any(above in remote for above in _above(name)))
        }
        for name in moved:
            self._git.references.delete(name)
        try:
            yield
        except BaseException:
            for name, target in moved.items():
                self._git.references.create(name, pygit2.Oid(hex=target), force=True)
            raise

    async def _download(self, refspecs: Iterable[str]) -> None:
        options = ["--quiet", "--prune", "--no-tags", "--force", "--no-write-fetch-head", "--no-recurse-submodules", "--atomic"]
        if not self._history and not self._local_refs():
            options.append("--depth=1")
        arguments = ("fetch", *options, "--end-of-options", self.url, *refspecs)
        edge = self._edge()
        finished = await self._git_run(*arguments, largest_bytes=self._largest_bytes)
        self._require(finished, f"fetching {self.url}")
        if self._edge() != edge:
            self._open(self._folder)  # libgit2 learns where a history ends only when it opens the repository

    def _edge(self) -> bytes:
        """The commits whose parents stay with the remote."""
        try:
            return (self._folder / "shallow").read_bytes()
        except FileNotFoundError:
            return b""

    async def _remote_refs(self, names: Iterable[str] = ()) -> dict[str, CommitId]:
        """The remote's refs we mirror (or just those named), without objects being moved."""
        wanted = tuple(names)
        few = self._crowded and not any(name.startswith("refs/notes/") for name in wanted)
        asked = ("--heads", "--tags") if few else ()
        patterns = () if self._history else wanted
        finished = await self._git_run("ls-remote", "--refs", *asked, "--end-of-options", self.url, *patterns)
        self._require(finished, f"reading the refs of {self.url}")
        if not finished.stdout and self.address.scheme in ("http", "https"):
            await self._spoke_git()
        found: dict[str, CommitId] = {}
        others = 0
        for line in finished.stdout.splitlines():
            commit, _, name = line.decode("utf-8", "surrogateescape").partition("\t")
            if (name in wanted) if wanted else self._mirrored(name):
                found[name] = CommitId(commit)
            else:
                others += 1
        if not wanted:
            found |= await self._remote_notes() if few else {}
            self._crowded = self._crowded or others > _CROWD
        return found

    async def _remote_notes(self) -> dict[str, CommitId]:
        """The notes of a remote too crowded to list: git lists heads and tags alone, but notes only by fetching them."""
        await self._download(["+refs/notes/*:refs/notes/*"])
        return {name: target for name, target in self._local_refs().items() if name.startswith("refs/notes/")}

    async def _spoke_git(self) -> None:
        """An answer without refs must come from a Git server.

        git takes any page without line breaks (a captive portal, a maintenance note) for a static repository without
        refs, and a fetch of that would prune everything. Only the packet trace tells the two apart.
        """
        finished = await self._git_run("ls-remote", "--end-of-options", self.url, environment={"GIT_TRACE_PACKET": "1"})
        self._require(finished, f"reading the refs of {self.url}")
        if "packet:" not in finished.stderr:
            raise RefusedError(
                f"{self.url} answered something that is not Git", "is the address right?", code="NotGit", status=200
            )

    def _patterns(self) -> tuple[str, ...]:
        if not self._history:
            return self._only
        return (*self._only, *(f"{prefix}*" for prefix in _WATCHED[1 if self._only else 0 :]))

    def _refspecs(self, remote: Mapping[str, CommitId]) -> tuple[str, ...]:
        """A named branch that is gone must not be asked for: git would fail the whole fetch."""
        return tuple(f"+{pattern}:{pattern}" for pattern in self._patterns() if "*" in pattern or pattern in remote)

    def _mirrored(self, name: str) -> bool:
        if not self._history or (self._only and name.startswith("refs/heads/")):
            return name in self._only
        return name.startswith(_WATCHED)

    def _local_refs(self) -> dict[str, CommitId]:
        found: dict[str, CommitId] = {}
        for name in self._names():
            if self._mirrored(name):
                found[name] = CommitId(str(self._git.lookup_reference(name).target))
        return found

    def _heads(self) -> dict[str, CommitId]:
        return {name: target for name, target in self._local_refs().items() if name.startswith("refs/heads/")}

    def _keep_rewritten(self, before: Mapping[str, CommitId]) -> tuple[Rewrite, ...]:
        """Name what was rewritten and keep the old tips, so that no tip that was ever synced is collected."""
        now = self._heads()
        found: list[Rewrite] = []
        for name, old in sorted(before.items()):
            new = now.get(name)
            if new == old or (new is not None and self._git.descendant_of(new, old)):
                continue
            if not self._in_a_branch(old, now):
                self._git.references.create(f"{_KEEP}{old}", pygit2.Oid(hex=old), force=True)
            found.append(Rewrite(branch=pushing.short_name(name), old=old, new=new))
        return tuple(found)

    def _in_a_branch(self, commit: CommitId, heads: Mapping[str, CommitId]) -> bool:
        """Whether some branch has it (a merged promotion's branch is deleted; its tip needs no ref of its own)."""
        tips = set(heads.values())
        return commit in tips or (len(tips) <= _COMPARED and any(self._git.descendant_of(tip, commit) for tip in sorted(tips)))

    async def _git_run(
        self,
        *arguments: str,
        seconds: float = 0.0,
        environment: Mapping[str, str] = MappingProxyType({}),
        largest_bytes: int = 0,
    ) -> command.Finished:
        self._held = await self._credentials() if callable(self._credentials) else self._credentials
        return await command.run(
            arguments,
            folder=self._folder,
            address=self.address,
            credentials=self._held,
            seconds=seconds or self._timeout,
            environment=environment,
            largest_bytes=largest_bytes,
        )

    def _require(self, finished: command.Finished, what: str) -> None:
        if finished.code != 0:
            raise command.classify(finished, what, self._held)


def _above(name: str) -> list[str]:
    """The names a ref would be below: refs/heads/a for refs/heads/a/b."""
    parts = name.split("/")
    return ["/".join(parts[:count]) for count in range(3, len(parts))]


def _full_ref(name: str) -> str:
    if not name.startswith("refs/") or not pygit2.reference_is_valid_name(name):
        raise RefusedError(f"{plain(name)!r} is not the full name of a ref", code="InvalidRef")
    return name
