"""Git servers and forges that the contract suites of Repo and Forge run on: the sandbox and a real Gitea, driven alike."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import aiohttp
import pytest

from penstock.adapters import forge as forges
from penstock.adapters import git
from penstock.model.values import CommitId
from penstock.ports.forge import Forge
from penstock.ports.repo import Signature
from penstock.sandbox import forge as sandbox_forge

AUTHOR = Signature(name="Dev", email="dev@example.com", when=datetime(2026, 3, 2, 14, 0, tzinfo=UTC))
_counter = itertools.count(1)


class GitServer(Protocol):
    """What the sandbox's Server and LocalGitea have in common."""

    url: str

    def token(self, user: str) -> str: ...

    def clone_url(self, repo: str, *, user: str | None = None) -> str: ...

    async def create_repo(
        self,
        name: str,
        *,
        owner: str,
        default_branch: str = "main",
        required_approvals: int = 0,
        push_whitelist: Sequence[str] = (),
    ) -> str: ...


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that run on Gitea by parameter are of the real tier too."""
    for item in items:
        params = getattr(getattr(item, "callspec", None), "params", {})
        if "gitea" in (params.get("git_server"), params.get("remote")):
            item.add_marker(pytest.mark.real)
            item.user_properties.append(("real part", "Gitea"))


@pytest.fixture(params=["sandbox", "gitea"])
async def git_server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[GitServer]:
    """Users developer, reviewer, penstock; an owner 'platform' with team 'web' (developer, reviewer)."""
    if request.param == "gitea":
        yield request.getfixturevalue("real_gitea")
        return
    async with sandbox_forge.serve(tmp_path / "forge", teams={"platform": {"web": ["reviewer", "developer"]}}) as server:
        yield server


@dataclass
class Fleet:
    """One fresh repository on a server, with a writing mirror and a forge client per user."""

    server: GitServer
    repo: str
    folder: Path
    stack: AsyncExitStack
    writers: dict[str, git.Mirror] = field(default_factory=dict)

    async def forge(self, user: str = "penstock", token: str | None = None) -> Forge:
        return await self.stack.enter_async_context(
            forges.connect("gitea", self.server.url, self.repo, token=token or self.server.token(user))
        )

    def mirror(self, user: str = "developer", name: str = "") -> git.Mirror:
        return git.Mirror(self.server.clone_url(self.repo, user=user), self.folder / f"mirror-{user}-{name}.git")

    async def push(
        self,
        branch: str,
        files: Mapping[str, bytes | None],
        *,
        base: CommitId | None,
        message: str = "change",
        user: str = "developer",
    ) -> CommitId:
        """Put a commit on a branch, as git would."""
        mirror = self.writers.setdefault(user, self.mirror(user))
        if base is not None and mirror.resolve(base) is None:
            await mirror.fetch()
        made = mirror.write_commit([base] if base else [], files, message=message, author=AUTHOR)
        await mirror.push(branch, made, expect=mirror.branches().get(branch))
        if base is None:
            await self._noticed()
        return made

    async def _noticed(self) -> None:
        """Gitea answers 404 to much about a repository until it has noticed, in the background, that it is not empty."""
        url = f"{self.server.url}/api/v1/repos/{self.repo}"
        async with aiohttp.ClientSession(headers={"Authorization": f"token {self.server.token('developer')}"}) as http:
            async with asyncio.timeout(15):
                while True:
                    async with http.get(url) as answer:
                        if (await answer.json())["empty"] is False:
                            return
                    await asyncio.sleep(0.05)


MakeFleet = Callable[..., AbstractAsyncContextManager[Fleet]]


@pytest.fixture
async def make_fleet(git_server: GitServer, tmp_path: Path) -> AsyncIterator[Callable[..., object]]:
    """Makes repositories: `await make_fleet(required_approvals=1)`."""
    async with AsyncExitStack() as stack:

        async def make(**rules: object) -> Fleet:
            name = f"fleet-{next(_counter)}"
            repo = await git_server.create_repo(name, owner="platform", **rules)  # type: ignore[arg-type]
            return Fleet(server=git_server, repo=repo, folder=tmp_path / name, stack=stack)

        yield make
