"""Git behind ports.repo.Repo. In: a work tree or a URL. Out: commits and trees by object id, pushes decided by the ref.

`git.LocalRepo(path)` reads a user's own clone, `git.Mirror(url, folder)` keeps a bare mirror of a remote and writes to it,
`git.GitTree` is the files of one commit. Reading and merging is libgit2 in process (no checkout, no hooks, no filters);
only fetch and push start the git command, because it alone speaks every transport and credential rule users have.

Names load on first use, so that importing this package costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penstock.adapters.git.address import Address
    from penstock.adapters.git.credentials import Credentials
    from penstock.adapters.git.local import LocalRepo
    from penstock.adapters.git.mirror import Mirror
    from penstock.adapters.git.tree import GitTree

__all__ = ["Address", "Credentials", "GitTree", "LocalRepo", "Mirror"]

_HOMES = {"Address": "address", "Credentials": "credentials", "GitTree": "tree", "LocalRepo": "local", "Mirror": "mirror"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
