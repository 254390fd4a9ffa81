"""The writing half of a mirror: commits, branches, notes. In: a commit and where its ref is believed to be. Out: the ref
moved, or an error that says truly that it was not.

A push moves a ref only from the commit its caller saw, and what happened is read from the remote's ref, never from the words
of an error: a push whose answer was lost counts as done exactly when the ref says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pygit2

from penstock.adapters.git import command, writing
from penstock.adapters.git.credentials import Credentials
from penstock.adapters.git.reading import Reader
from penstock.adapters.git.text import plain
from penstock.model.errors import RaceError, RefusedError, RemoteError, TransientError
from penstock.model.values import CommitId
from penstock.ports.repo import Signature

_CONTENDED = re.compile(
    r"cannot lock ref|failed to (update|lock)|incorrect old value|stale info|fetch first|non-fast-forward", re.I
)
"""Refusals that only say somebody else is at it. They never decide what happened, only that trying again makes sense."""

Outcome = command.Finished | TransientError
"""What became of a push as far as its process knew."""

_NOTE_TRIES = 10


class Writer(Reader):
    """Writes to a remote; how that is reached is for the mirror to say."""

    def __init__(self, folder: Path) -> None:
        self._held: Credentials | None = None
        """What the last process of git was lent."""
        super().__init__(folder)

    @property
    def url(self) -> str:
        """The remote, without credentials."""
        raise NotImplementedError

    def _turn(self) -> AbstractAsyncContextManager[None]:
        raise NotImplementedError

    async def _git_run(self, *arguments: str) -> command.Finished:
        raise NotImplementedError

    async def _remote_refs(self, names: Iterable[str] = ()) -> dict[str, CommitId]:
        raise NotImplementedError

    async def _download(self, refspecs: Iterable[str]) -> None:
        raise NotImplementedError

    def write_commit(
        self,
        parents: Iterable[CommitId],
        changes: Mapping[str, bytes | None],
        *,
        message: str,
        author: Signature,
        executable: Iterable[str] = (),
    ) -> CommitId:
        written = writing.write_commit(self._store, parents, changes, message=message, author=author, executable=executable)
        return CommitId(written)

    async def push(self, branch: str, commit: CommitId | None, *, expect: CommitId | None) -> None:
        async with self._turn():
            await self._push(branch_ref(branch), commit, expect)

    async def add_note(self, ref: str, commit: CommitId, text: str) -> None:
        name = _note_ref(ref)
        async with self._turn():
            for attempt in range(_NOTE_TRIES):
                tip = self._reference(name)
                written = self._write_note(name, tip, commit, text)
                if written is None:
                    return
                try:
                    await self._push(name, written, tip)
                    return
                except RaceError:
                    if attempt == _NOTE_TRIES - 1:
                        raise
                    await self._download_ref(name)

    async def _push(self, name: str, commit: CommitId | None, expect: CommitId | None) -> None:
        if commit is not None:
            self._commit(commit)
        lease = f"--force-with-lease={name}:{expect or ''}"
        spec = f"{commit or ''}:{name}"
        arguments = ("push", "--porcelain", "--no-verify", "--no-follow-tags", lease, "--end-of-options", self.url, spec)
        outcome: Outcome
        try:
            outcome = await self._git_run(*arguments)
        except TransientError as error:
            outcome = error
        if isinstance(outcome, TransientError) or outcome.code != 0:
            await self._settle(name, commit, expect, outcome)
        self._move(name, commit)

    async def _settle(self, name: str, commit: CommitId | None, expect: CommitId | None, outcome: Outcome) -> None:
        """Decide by the remote's ref what a push that did not say yes has done; returns when it is done after all."""
        failure = outcome if isinstance(outcome, TransientError) else self._push_failure(name, outcome)
        if isinstance(failure, RefusedError) and failure.code != "PushRefused":
            raise failure  # not let in, so nothing was asked of the ref
        now = (await self._remote_refs([name])).get(name)
        if now == commit:
            return
        if now == expect:
            raise failure
        if now is None or now in self._git:
            self._move(name, now)
        raise RaceError(
            f"{short_name(name)} was moved by somebody else: it is {now[:12] if now else 'gone'} now", code="RefMoved"
        )

    def _push_failure(self, name: str, finished: command.Finished) -> RemoteError:
        """What to raise if the ref turns out not to have moved at all."""
        told = re.search(rb"^!\t\S*\t\[([^\]]*)\](?: \((.*)\))?$", finished.stdout, re.MULTILINE)
        if told is None:
            return command.classify(finished, f"pushing {short_name(name)}", self._held)
        said = re.findall(r"^remote: ?(.*?)\s*$", finished.stderr, re.MULTILINE)
        said.append((told[2] or told[1]).decode("utf-8", "replace"))
        why = plain("; ".join(line for line in said if line), secrets=self._held.secrets() if self._held else ())
        if _CONTENDED.search(why):
            return RaceError(f"{short_name(name)} is being moved by somebody else: {why}", code="RefMoved")
        if told[1] == b"remote failure":
            return TransientError(f"pushing {short_name(name)}: {why}", code="GitFailed")
        return RefusedError(
            f"the server refused the push of {short_name(name)}: {why}", "ask who protects this branch", code="PushRefused"
        )

    def _move(self, name: str, commit: CommitId | None) -> None:
        """Note in the mirror where the remote's ref is known to be."""
        if commit is not None:
            self._git.references.create(name, pygit2.Oid(hex=commit), force=True)
        elif name in self._git.references:
            self._git.references.delete(name)

    def _write_note(self, name: str, tip: CommitId | None, commit: CommitId, text: str) -> CommitId | None:
        """A commit on top of the notes at `tip` that holds the text; None when it says so already. The ref stays."""
        self._commit(commit)
        if self.note(name.removeprefix("refs/notes/"), commit) == text:
            return None
        draft = "refs/notes/penstock-draft"  # libgit2 writes notes only to a ref; this one never leaves the mirror
        if tip is not None:
            self._git.references.create(draft, pygit2.Oid(hex=tip), force=True)
        author = pygit2.Signature("penstock", "penstock@localhost")
        try:
            self._git.create_note(text, author, author, commit, draft, True)
            return CommitId(str(self._git.references[draft].target))
        finally:
            if draft in self._git.references:
                self._git.references.delete(draft)

    async def _download_ref(self, name: str) -> None:
        if (await self._remote_refs([name])).get(name) is None:
            self._move(name, None)
        else:
            await self._download([f"+{name}:{name}"])


def branch_ref(name: str) -> str:
    if name.startswith("-") or not pygit2.reference_is_valid_name(f"refs/heads/{name}"):
        raise RefusedError(f"{plain(name)!r} is not a branch name", code="InvalidRef")
    return f"refs/heads/{name}"


def _note_ref(ref: str) -> str:
    if not pygit2.reference_is_valid_name(f"refs/notes/{ref}"):
        raise RefusedError(f"{plain(ref)!r} is not a notes ref", code="InvalidRef")
    return f"refs/notes/{ref}"


def short_name(name: str) -> str:
    return name.removeprefix("refs/heads/")
