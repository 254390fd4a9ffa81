"""The forge behind one loopback port. In: a state folder. Out: a running Server, closed with its block.

State on disk is all there is: a server killed at any moment and started again on the same folder has every push it
acknowledged, every pull request, review and merge.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from urllib.parse import quote

from aiohttp import web

from penstock.model.errors import RefusedError
from penstock.sandbox.forge import repositories
from penstock.sandbox.forge.access import Access
from penstock.sandbox.forge.api import Api
from penstock.sandbox.forge.hooks import Hooks
from penstock.sandbox.forge.pulls import Happening, Pulls, Refusal
from penstock.sandbox.forge.shapes import Shapes
from penstock.sandbox.forge.smart_http import Push, SmartHttp
from penstock.sandbox.forge.store import Repository, Rules, Store, now

_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$")
_BODY_LIMIT_BYTES = 16 * 1024 * 1024


class Server:
    """A running sandbox forge."""

    def __init__(self, state: Path, store: Store) -> None:
        self._store = store
        self._state = state
        self._listeners: list[Callable[[Push], None]] = []
        self._observers: list[Callable[[Happening], None]] = []
        self.url = ""
        """Root of the pages and of the API (below /api/v1); no final slash, no credentials."""
        self._access = Access(store)
        self._pulls = Pulls(store, self._announce)
        self._shapes = Shapes("", store, self._pulls)
        self._hooks = Hooks(store, self._shapes)
        self._git = SmartHttp(state, self._pulls.judge, self._pulls.pushed)

    def token(self, user: str) -> str:
        """The user's token, for the API, for git (as password) and for signing in. Raises KeyError for a stranger."""
        return self._store.users()[user]

    @property
    def users(self) -> tuple[str, ...]:
        """Login names, in order of creation."""
        return tuple(self._store.users())

    def clone_url(self, repo: str, *, user: str | None = None) -> str:
        """What to give `git clone`; with a user it carries that user's token. `repo` is a name or owner/name."""
        path = self._find(repo).full_name
        if user is None:
            return f"{self.url}/{path}.git"
        scheme, _, rest = self.url.partition("://")
        return f"{scheme}://{quote(user)}:{self.token(user)}@{rest}/{path}.git"

    def sign_in_url(self, user: str, path: str = "/") -> str:
        """A link that signs a person in as this user and goes to `path`."""
        return f"{self.url}/sign-in?token={self.token(user)}&to={quote(path)}"

    def repository_url(self, repo: str) -> str:
        """The repository's page: its pull requests."""
        return f"{self.url}/{self._find(repo).full_name}"

    async def create_repo(
        self,
        name: str,
        *,
        owner: str,
        default_branch: str = "main",
        required_approvals: int = 0,
        push_whitelist: Sequence[str] = (),
    ) -> str:
        """Make an empty repository, or leave the one there is; its full name. Rules guard the default branch."""
        found = self._store.repository(owner, name) or self._make(owner, name, default_branch)
        if required_approvals or push_whitelist:
            rules = Rules(
                required_approvals=required_approvals,
                push_whitelist_usernames=tuple(push_whitelist),
                dismiss_stale_approvals=True,
            )
            self._store.set_rules(found.id, default_branch, rules)
        return found.full_name

    def set_team(self, org: str, name: str, members: Sequence[str]) -> None:
        """Make a team of an owner, or replace its members."""
        self._store.set_team(org, name, members)

    def on_push(self, callback: Callable[[Push], None]) -> None:
        """Call this for every ref that a push or merge moved, before the client is answered; it must not block."""
        self._listeners.append(callback)

    def on_event(self, callback: Callable[[Happening], None]) -> None:
        """Call this for everything a webhook would tell (reviews, statuses, pull requests, pushes); it must not block."""
        self._observers.append(callback)

    def _find(self, repo: str) -> Repository:
        owner, _, name = repo.rpartition("/")
        found = [item for item in self._store.repositories() if item.name == name and owner in ("", item.owner)]
        if len(found) != 1:
            raise RefusedError(f"the sandbox has {'no' if not found else 'more than one'} repository {repo}", code="NotFound")
        return found[0]

    def _make(self, owner: str, name: str, default_branch: str) -> Repository:
        if not (_NAME.match(owner) and _NAME.match(name)) or name.endswith(".git"):
            raise Refusal(422, "names are letters, digits, '-', '_' and '.'")
        if self._store.repository(owner, name):
            raise Refusal(409, "The repository with the same name already exists.")
        made = self._store.insert("repositories", owner=owner, name=name, default_branch=default_branch, created=now())
        found = self._store.repository(owner, name)
        assert found is not None and found.id == made
        repositories.create(found.folder, default_branch)
        return found

    def _announce(self, happening: Happening) -> None:
        self._hooks.announce(happening)
        for observer in self._observers:
            observer(happening)
        if happening.push is not None:
            for listener in self._listeners:
                listener(happening.push)

    # HTTP

    def application(self) -> web.Application:
        from penstock.sandbox.forge.pages import Pages

        app = web.Application(middlewares=[self._access.guard], client_max_size=_BODY_LIMIT_BYTES)
        app.cleanup_ctx.append(self._send_hooks)
        api = Api(self._store, self._pulls, self._shapes, self._access, self._make)
        app.add_routes(api.routes())
        for suffix in (".git", ""):
            path = f"/{{owner}}/{{repo:[^/]+?}}{suffix}"
            app.router.add_get(f"{path}/info/refs", self._advertise)
            app.router.add_post(f"{path}/{{service:git-upload-pack|git-receive-pack}}", self._serve)
        app.add_routes(Pages(self._store, self._pulls, self._access).routes())
        return app

    async def _advertise(self, request: web.Request) -> web.StreamResponse:
        repository, _ = self._git_request(request)
        return await self._git.advertise(request, repository)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        repository, user = self._git_request(request)
        return await self._git.serve(request, repository, request.match_info["service"], user)

    def _git_request(self, request: web.Request) -> tuple[Repository, str]:
        user = self._access.user(request)
        if user is None:
            raise web.HTTPUnauthorized(headers={"WWW-Authenticate": 'Basic realm="penstock sandbox"'}, text="a token is needed\n")
        found = self._store.repository(request.match_info["owner"], request.match_info["repo"])
        if found is None:
            raise web.HTTPNotFound(text="no such repository\n")
        return found, user

    def _listen_at(self, port: int) -> None:
        self.url = self._shapes.url = f"http://127.0.0.1:{port}"
        self._access.listen(port)

    def _recover(self) -> None:
        """Finish what a crash interrupted, before anybody is let in."""
        for repository in self._store.repositories():
            if not (repository.folder / "HEAD").exists():  # it came between the row and the folder
                repositories.create(repository.folder, repository.default_branch)
        self._pulls.recover()

    async def _send_hooks(self, app: web.Application) -> AsyncIterator[None]:
        sending = asyncio.create_task(self._hooks.run())
        yield
        sending.cancel()
        await asyncio.wait([sending])


@asynccontextmanager
async def serve(
    state: Path,
    *,
    port: int = 0,
    users: Sequence[str] = ("developer", "reviewer", "penstock"),
    teams: Mapping[str, Mapping[str, Sequence[str]]] | None = None,
) -> AsyncIterator[Server]:
    """Run the forge on 127.0.0.1; port 0 takes a free one. `teams` is owner -> team -> members.

    Raises RefusedError(code='PortInUse') when the port is taken, RefusedError(code='StateInUse') when the folder is.
    """
    with _alone(state):
        async with _serve(state, port, users, teams or {}) as server:
            yield server


@contextmanager
def _alone(state: Path) -> Iterator[None]:
    """Two servers on one folder would not know of each other's merges. The lock ends with its process, however that ends."""
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(state / "forge.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            what = f"another process serves the sandbox forge in {state}"
            raise RefusedError(what, "stop it first, or use another folder", code="StateInUse") from None
        yield
    finally:
        os.close(descriptor)


@asynccontextmanager
async def _serve(
    state: Path, port: int, users: Sequence[str], teams: Mapping[str, Mapping[str, Sequence[str]]]
) -> AsyncIterator[Server]:
    store = Store(state)
    try:
        for user in users:
            store.add_user(user)
        for org, named in teams.items():
            for team, members in named.items():
                store.set_team(org, team, members)
        server = Server(state, store)
        server._recover()
        runner = web.AppRunner(server.application(), access_log=None, shutdown_timeout=2)
        await runner.setup()
        try:
            await _listen(runner, port)
            server._listen_at(runner.addresses[0][1])
            yield server
        finally:
            await runner.cleanup()
    finally:
        store.close()


async def _listen(runner: web.AppRunner, port: int) -> None:
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
    except OSError as error:
        raise RefusedError(
            f"port {port} on 127.0.0.1 is not free: {error.strerror}", "choose another port, or 0 for any", code="PortInUse"
        ) from error
