"""A user's own clone, read only. In: a folder in or above which `.git` is. Out: history, trees and the work tree.

Nothing is fetched, pushed or written: what a person has on the disk is theirs.
"""

from __future__ import annotations

from pathlib import Path

import pygit2

from penstock.adapters.files import DirectoryTree
from penstock.adapters.git.reading import Reader
from penstock.model.errors import RefusedError
from penstock.model.values import CommitId


class LocalRepo(Reader):
    """The reading half of ports.repo.Repo over a work tree or a bare repository.

    Raises RefusedError(code='NotARepository') when there is none at `folder` or above it.
    """

    def __init__(self, folder: Path) -> None:
        found = pygit2.discover_repository(str(folder))
        if found is None:
            raise RefusedError(f"{folder} is not in a Git repository", "run 'git init' there", code="NotARepository")
        super().__init__(Path(found))

    @property
    def root(self) -> Path | None:
        """The top of the work tree; None for a bare repository."""
        return Path(self._git.workdir) if self._git.workdir else None

    @property
    def head(self) -> CommitId | None:
        """What is checked out; None before the first commit."""
        return self.resolve("HEAD")

    @property
    def branch(self) -> str | None:
        """The short name of the branch that is checked out; None when HEAD is detached."""
        return None if self._git.head_is_detached else str(self._git.lookup_reference("HEAD").target).removeprefix("refs/heads/")

    def work_tree(self) -> DirectoryTree:
        """The files as they are on the disk now, committed or not."""
        if self.root is None:
            raise RefusedError("a bare repository has no work tree", code="NotARepository")
        return DirectoryTree(self.root)

    def remote_url(self, name: str = "origin") -> str | None:
        """The URL of a remote, as configured (it may hold credentials: parse_address takes them out)."""
        try:
            return str(self._git.remotes[name].url)
        except (KeyError, ValueError):
            return None
