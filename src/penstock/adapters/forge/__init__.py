"""Forges behind ports.forge.Forge: Gitea and Forgejo (the sandbox too), GitHub, GitLab. In: a URL, a token. Out: pull requests.

    async with forge.connect("gitea", "https://git.example.com", "platform/fleet", token=token) as forge: ...

Each adapter is thin: paths, shapes and words of one forge. What all share, timeouts, retries of reads, pagination and
the classes of errors, is in `rest`; incoming webhooks are checked by `webhooks`, pure functions.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from penstock.ports.forge import Forge

Kind = Literal["gitea", "github", "gitlab"]
TokenSource = str | Callable[[], Awaitable[str]]
"""A fixed token, or a function that gives the one of the moment (App installations)."""


@asynccontextmanager
async def connect(kind: Kind, url: str, repository: str, *, token: TokenSource, ca: bytes = b"") -> AsyncIterator[Forge]:
    """One repository ('owner/name'; on GitLab 'group/sub/name') on the forge at `url`, until the block ends.

    Nothing is asked of the forge yet. Raises RefusedError(code='InvalidURL') for a URL that is not http(s).
    """
    from penstock.adapters.forge import rest

    async with rest.session(ca) as session:
        yield _adapter(kind, session, url, repository, token)


def _adapter(kind: Kind, session: object, url: str, repository: str, token: TokenSource) -> Forge:
    from penstock.adapters.forge import rest

    assert isinstance(session, rest.Session)
    if kind == "github":
        from penstock.adapters.forge.github import GitHub

        return GitHub(session, url, repository, token)
    if kind == "gitlab":
        from penstock.adapters.forge.gitlab import GitLab

        return GitLab(session, url, repository, token)
    from penstock.adapters.forge.gitea import Gitea

    return Gitea(session, url, repository, token)
