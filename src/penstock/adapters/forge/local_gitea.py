"""A real Gitea on loopback, as a child process, for the contract tests and the story told on a real forge.

In: a folder. Out: a LocalGitea with the same few calls as the sandbox forge's Server, so that one test drives both.
SQLite, no ssh, no registration, no mail, nothing fetched; the binary reads its templates from the Go module cache.
"""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import os
import secrets
import shutil
import signal
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from penstock.adapters import parts
from penstock.adapters.forge import rest
from penstock.model.errors import RefusedError, RemoteError, TransientError

_READY_SECONDS = 90.0
_ADMIN = "root-admin"
_WRITERS = "writers"
_BOT = "penstock"
"""Made an owner of every organisation: Gitea shows a team's members only to owners and to the team."""

_SETTINGS = """
RUN_USER = {user}
RUN_MODE = prod
WORK_PATH = {folder}
[server]
HTTP_ADDR = 127.0.0.1
HTTP_PORT = {port}
ROOT_URL = http://127.0.0.1:{port}/
LOCAL_ROOT_URL = http://127.0.0.1:{port}/
STATIC_ROOT_PATH = {static}
DISABLE_SSH = true
OFFLINE_MODE = true
LFS_START_SERVER = false
[database]
DB_TYPE = sqlite3
PATH = {folder}/gitea.db
[repository]
ROOT = {folder}/repositories
DEFAULT_BRANCH = main
[security]
INSTALL_LOCK = true
SECRET_KEY = {secret_key}
INTERNAL_TOKEN = {internal_token}
PASSWORD_HASH_ALGO = pbkdf2
[service]
DISABLE_REGISTRATION = true
[session]
PROVIDER = memory
[oauth2]
JWT_SECRET = {jwt_secret}
[webhook]
ALLOWED_HOST_LIST = loopback
SKIP_TLS_VERIFY = false
[indexer]
REPO_INDEXER_ENABLED = false
ISSUE_INDEXER_TYPE = db
[mailer]
ENABLED = false
[actions]
ENABLED = false
[packages]
ENABLED = false
[other]
SHOW_FOOTER_VERSION = false
[log]
MODE = file
LEVEL = warn
ROOT_PATH = {folder}/log
[cron.update_checker]
ENABLED = false
"""


@dataclass(slots=True, kw_only=True)
class LocalGitea:
    """A running Gitea."""

    url: str
    folder: Path
    tokens: dict[str, str] = field(repr=False, default_factory=dict)
    owners: set[str] = field(default_factory=set)

    def token(self, user: str) -> str:
        """The user's token, for the API and as git password."""
        return self.tokens[user]

    def clone_url(self, repo: str, *, user: str | None = None) -> str:
        """The URL of 'owner/name', with a user's token in it if a user is given."""
        scheme, _, rest_of_it = self.url.partition("://")
        door = f"{quote(user)}:{self.tokens[user]}@" if user else ""
        return f"{scheme}://{door}{rest_of_it}/{repo}.git"

    async def create_repo(
        self,
        name: str,
        *,
        owner: str,
        default_branch: str = "main",
        required_approvals: int = 0,
        push_whitelist: Sequence[str] = (),
    ) -> str:
        """An empty repository all users may write to; rules guard the default branch, as in the sandbox."""
        await self._owner(owner)
        wanted = {"name": name, "default_branch": default_branch, "private": True}
        await self.admin("POST", f"/orgs/{owner}/repos", body=wanted)
        if required_approvals or push_whitelist:
            rules = {
                "rule_name": default_branch,
                "enable_push": True,
                "enable_push_whitelist": bool(push_whitelist),
                "push_whitelist_usernames": list(push_whitelist),
                "required_approvals": required_approvals,
                "dismiss_stale_approvals": True,
            }
            await self.admin("POST", f"/repos/{owner}/{name}/branch_protections", body=rules)
        return f"{owner}/{name}"

    async def set_team(self, org: str, name: str, members: Sequence[str]) -> None:
        """Make a team that may write."""
        await self._owner(org)
        wanted = {
            "name": name,
            "permission": "write",
            "includes_all_repositories": True,
            "units": ["repo.code", "repo.pulls", "repo.issues"],
        }
        answer = await self.admin("POST", f"/orgs/{org}/teams", body=wanted)
        made = rest.decode(answer.body, dict[str, Any])
        for member in members:
            await self.admin("PUT", f"/teams/{made['id']}/members/{member}")

    async def add_user(self, login: str) -> None:
        """A person with a token for everything."""
        password = secrets.token_urlsafe(16)
        wanted = {"username": login, "email": f"{login}@localhost.invalid", "password": password, "must_change_password": False}
        await self.admin("POST", "/admin/users", body=wanted)
        self.tokens[login] = await _make_token(self.folder, login)

    async def admin(self, method: str, path: str, *, body: object = None) -> rest.Answer:
        """One request as the site's admin, in a session of its own: any event loop may call it."""
        async with rest.session() as session:
            return await rest.Rest(session, f"{self.url}/api/v1", self._authorize, "Gitea").request(method, path, body=body)

    async def _authorize(self) -> Mapping[str, str]:
        return {"Authorization": f"token {self.tokens[_ADMIN]}"} if self.tokens else {}

    async def _owner(self, org: str) -> None:
        if org in self.owners:
            return
        self.owners.add(org)
        await self.admin("POST", "/orgs", body={"username": org, "visibility": "private"})
        await self.set_team(org, _WRITERS, [user for user in self.tokens if user not in (_ADMIN, _BOT)])
        teams = rest.decode((await self.admin("GET", f"/orgs/{org}/teams")).body, list[dict[str, Any]])
        owners = next(team["id"] for team in teams if team["name"] == "Owners")
        if _BOT in self.tokens:
            await self.admin("PUT", f"/teams/{owners}/members/{_BOT}")


def missing() -> str | None:
    """Why `run` cannot start here; None when it can."""
    if parts.find("gitea") is None:
        return "gitea is not built (make parts builds it, with Go)"
    if _static_root() is None:
        return "gitea's templates are not in the Go module cache (make parts fetches them)"
    return None


@contextlib.asynccontextmanager
async def run(
    folder: Path,
    *,
    users: Sequence[str] = ("developer", "reviewer", "penstock"),
    teams: Mapping[str, Mapping[str, Sequence[str]]] | None = None,
) -> AsyncIterator[LocalGitea]:
    """Start Gitea with its state below `folder`, and stop it at the end.

    Raises RemoteError when it is not on the machine or does not come up; the message names its log.
    """
    if absent := missing():
        raise RemoteError(absent, code="PartMissing")
    port = _free_port()
    _write_settings(folder, port)
    process = await _start(folder, "web")
    try:
        server = LocalGitea(url=f"http://127.0.0.1:{port}", folder=folder)
        await _ready(server, process)
        server.tokens[_ADMIN] = await _makeadmin(folder)
        for user in users:
            await server.add_user(user)
        for org, named in (teams or {}).items():
            for team, members in named.items():
                await server.set_team(org, team, members)
        yield server
    finally:
        await _stop(process)


def _write_settings(folder: Path, port: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    text = _SETTINGS.format(
        user=getpass.getuser(),
        folder=folder,
        port=port,
        static=_static_root(),
        secret_key=secrets.token_hex(32),
        # Gitea wants a JWT here and makes one when it is empty; only its own hooks use it.
        internal_token="",
        jwt_secret=secrets.token_urlsafe(32),
    )
    (folder / "app.ini").write_text(text)


def _static_root() -> Path | None:
    """Where the module's templates and options are."""
    root = os.environ.get("GOMODCACHE") or str(Path(os.environ.get("GOPATH") or Path.home() / "go") / "pkg" / "mod")
    found = Path(root) / "code.gitea.io" / f"gitea@v{parts.VERSIONS['gitea']}"
    return found if (found / "templates").is_dir() else None


async def _start(folder: Path, *arguments: str) -> asyncio.subprocess.Process:
    binary = parts.find("gitea")
    assert binary is not None
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(folder),
        "GITEA_WORK_DIR": str(folder),
        "GITEA_I_AM_BEING_UNSAFE_RUNNING_AS_ROOT": "true",
    }
    # With util-linux's setpriv the server dies with us, even when we are killed.
    setpriv = shutil.which("setpriv")
    tied = [setpriv, "--pdeathsig", "TERM", "--"] if setpriv else []
    return await asyncio.create_subprocess_exec(
        *tied,
        str(binary),
        *arguments,
        "--config",
        str(folder / "app.ini"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE if arguments[0] != "web" else asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE if arguments[0] != "web" else asyncio.subprocess.DEVNULL,
        env=environment,
        cwd=folder,
        start_new_session=True,
    )


async def _gitea(folder: Path, *arguments: str) -> str:
    """Run one of Gitea's commands and return its output."""
    process = await _start(folder, *arguments)
    stdout, stderr = await process.communicate()
    if process.returncode:
        said = stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        raise RemoteError(f"gitea {' '.join(arguments[:3])} failed: {' '.join(said)}", code="PartFailed")
    return stdout.decode()


async def _makeadmin(folder: Path) -> str:
    word = secrets.token_urlsafe(16)
    await _gitea(folder, "admin", "user", "create", "--admin", "--username", _ADMIN, "--password", word,
                 "--email", f"{_ADMIN}@localhost.invalid", "--must-change-password=false")  # fmt: skip
    return await _make_token(folder, _ADMIN)


async def _make_token(folder: Path, login: str) -> str:
    made = await _gitea(folder, "admin", "user", "generate-access-token", "--username", login, "--scopes", "all", "--raw",
                        "--token-name", "penstock")  # fmt: skip
    return _last_line(made)


def _last_line(text: str) -> str:
    """The token; warnings about running as root come before it."""
    return text.strip().splitlines()[-1].strip()


async def _ready(server: LocalGitea, process: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(_READY_SECONDS):
        while True:
            if process.returncode is not None:
                raise RemoteError(f"gitea ended at once; see {server.folder / 'log'}", code="PartFailed")
            with contextlib.suppress(TransientError, RefusedError):
                await server.admin("GET", "/version")
                return
            await asyncio.sleep(0.1)


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(10):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
