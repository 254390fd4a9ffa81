"""A whole fleet on this machine: Git server and forge, one cluster for each environment, sync, promotion, web page.

In: a state folder and which clusters to use. Out: a running Sandbox, and a fleet file that every other command finds.
Deleting the folder deletes the fleet; a killed sandbox starts again from it, on the same ports, with what was acknowledged.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import fcntl
import json
import os
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.app import init, memory, persons, world
from penstock.app.memory import Options
from penstock.model import errors
from penstock.model.tree import Tree
from penstock.model.values import EnvName
from penstock.ports.cluster import Cluster

if TYPE_CHECKING:
    from penstock.sandbox.forge import Server

OWNER, REPOSITORY = "platform", "fleet"
DEVELOPER, REVIEWER, BOT = "developer", "reviewer", "penstock"
USERS = (DEVELOPER, REVIEWER, BOT)
_READER = "fleet"
"""The Secret in each cluster that its GitRepository names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """What runs."""

    state: Path
    fleet: world.Fleet
    forge_url: str
    repository_url: str
    kubeconfig: Path
    """One context for each environment, named after it."""
    tokens: Mapping[str, str] = field(repr=False)
    """Login name -> token, also the password for Git."""
    options: Options
    """As they were settled."""
    forge: Server

    def login(self, user: str) -> tuple[str, str]:
        """User name and password for Git and the forge."""
        return user, self.tokens[user]

    def clone_url(self, user: str) -> str:
        """The address `git clone` takes, credentials included."""
        return self.forge.clone_url(REPOSITORY, user=user)

    def sign_in_url(self, user: str) -> str:
        """The link that signs a person in as this user and shows the pull requests."""
        return self.forge.sign_in_url(user, f"/{OWNER}/{REPOSITORY}")


@contextlib.asynccontextmanager
async def servers(state: Path, options: Options) -> AsyncIterator[Sandbox]:
    """Start the Git server, the forge and the clusters, make the repository if there is none, and point the clusters at it.

    Raises InputError when another sandbox runs on this folder, RemoteError when a port is taken or a cluster does not answer.
    """
    from penstock.sandbox import forge

    # Absolute, because kubeconfigs written below it are read from other folders.
    state = state.absolute()
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    with lock(state):
        options = memory.settled(state, options)
        async with contextlib.AsyncExitStack() as stack:
            server = await stack.enter_async_context(forge.serve(state / "forge", port=options.port("forge"), users=USERS))
            accesses = await _clusters(stack, state, options)
            await server.create_repo(REPOSITORY, owner=OWNER, required_approvals=1, push_whitelist=(DEVELOPER,))
            tokens = {user: server.token(user) for user in USERS}
            kubeconfig = _merge_kubeconfigs(state, accesses)
            repository = server.clone_url(REPOSITORY)
            fleet = _write_fleet(state, server.url, repository, tokens[BOT], accesses, kubeconfig)
            servers = {
                f"cluster {name}": access["clusters"][0]["cluster"]["server"]
                for name, access in accesses.items()
                if "clusters" in access
            }
            ports = {name: memory.port_of(url) for name, url in {"forge": server.url, **servers}.items()}
            memory.remember(state, options, {**options.ports, **ports})
            (state / persons.FOLDER).mkdir(mode=0o700, exist_ok=True)
            for user in (DEVELOPER, REVIEWER):
                memory.write_private(state / persons.FOLDER / user, tokens[user] + "\n")
            memory.write_private(state / "clone-url", server.clone_url(REPOSITORY, user=DEVELOPER) + "\n")
            yield Sandbox(
                state=state,
                fleet=fleet,
                forge_url=server.url,
                repository_url=repository,
                kubeconfig=kubeconfig,
                tokens=tokens,
                options=options,
                forge=server,
            )


async def bootstrap(sandbox: Sandbox, opened: world.World) -> None:
    """Fill the repository if it is new, install the definitions in every cluster, and apply the sync objects that the
    repository holds for it.

    Raises RemoteError when the repository has no such branch or a cluster refuses.
    """
    if opened.cluster_problems:
        raise errors.invalid("\n".join(f"{name}: {what}" for name, what in opened.cluster_problems.items()), code="NoCluster")
    if opened.repo.resolve(opened.branch) is None:
        await _first_push(sandbox, sandbox.options)
        await opened.repo.fetch()
    commit = opened.repo.resolve(opened.branch)
    if commit is None:
        raise errors.RefusedError(f"the repository has no branch {opened.branch}", code="NoBranch")
    tree = opened.repo.tree(commit)
    async with asyncio.TaskGroup() as group:
        for environment, cluster in opened.clusters.items():
            group.create_task(_bootstrap_one(sandbox, environment, cluster, tree))


async def _bootstrap_one(sandbox: Sandbox, environment: EnvName, cluster: Cluster, tree: Tree) -> None:
    from penstock import render
    from penstock.controllers import installing

    await installing.install(cluster)
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": _READER, "namespace": "flux-system"},
        "stringData": {"username": BOT, "password": sandbox.tokens[BOT]},
    }
    await _apply(cluster, secret)
    folder = f"clusters/{environment}/flux-system"
    if tree.entry(folder) is None:
        return
    for item in render.build(tree, folder).objects:
        await _apply(cluster, item.manifest)


async def _apply(cluster: Cluster, manifest: dict[str, Any]) -> None:
    group, _, version = str(manifest["apiVersion"]).rpartition("/")
    resource = await cluster.resource(group, str(manifest["kind"]), version)
    if resource is None:
        raise errors.RefusedError(f"{cluster.name} does not serve {manifest['kind']}", code="NoKind")
    await cluster.apply(resource, manifest, field_manager="penstock-bootstrap")


@contextlib.contextmanager
def lock(state: Path) -> Iterator[None]:
    """One sandbox for each folder; the lock goes with the process, however it ends."""
    with (state / "lock").open("a+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            handle.seek(0)
            raise errors.invalid(
                f"a sandbox runs on {state} already (process {handle.read().strip() or 'unknown'})",
                hint="stop it, or start another one with --state FOLDER",
                code="SandboxRunning",
            ) from None
        handle.truncate(0)
        handle.write(str(os.getpid()))
        handle.flush()
        yield


async def _clusters(stack: contextlib.AsyncExitStack, state: Path, options: Options) -> dict[str, dict[str, Any]]:
    """Environment -> kubeconfig (as a mapping) of its cluster, started where it is ours."""
    from penstock.adapters.kube import kubeconfig as kubeconfigs

    accesses: dict[str, dict[str, Any]] = {}
    ours = [name for name in options.environments if name not in options.contexts]
    for name, context in options.contexts.items():
        # The user's own file keeps the credentials; reading it here tells early about a context that is not there.
        kubeconfigs.load(options.kubeconfig, context)
        accesses[name] = {"path": str(options.kubeconfig.absolute()) if options.kubeconfig else "", "context": context}
    if options.clusters == "real":
        async with asyncio.TaskGroup() as group:
            started = {name: group.create_task(_start_real(stack, state, name)) for name in ours}
        accesses |= {name: task.result() for name, task in started.items()}
        return {name: accesses[name] for name in options.environments}
    from penstock.sandbox import cluster

    for name in ours:
        server = await stack.enter_async_context(
            cluster.serve(
                state / "clusters" / name,
                name=name,
                port=options.port(f"cluster {name}"),
                rollout_seconds=options.rollout_seconds,
            )
        )
        accesses[name] = server.kubeconfig()
    return {name: accesses[name] for name in options.environments}


async def _start_real(stack: contextlib.AsyncExitStack, state: Path, name: str) -> dict[str, Any]:
    from penstock.adapters.kube import local

    server = await stack.enter_async_context(local.run(state / "clusters" / name))
    return server.kubeconfig(name)


def _merge_kubeconfigs(state: Path, accesses: Mapping[str, dict[str, Any]]) -> Path:
    """One kubeconfig with a context for each cluster of ours, for `kubectl --kubeconfig … --context dev`."""
    merged: dict[str, Any] = {"apiVersion": "v1", "kind": "Config", "clusters": [], "users": [], "contexts": []}
    for name, access in accesses.items():
        if "clusters" not in access:
            continue
        merged["clusters"].append({"name": name, "cluster": access["clusters"][0]["cluster"]})
        merged["users"].append({"name": name, "user": access["users"][0]["user"]})
        merged["contexts"].append({"name": name, "context": {"cluster": name, "user": name, "namespace": "shop"}})
    merged["current-context"] = next((entry["name"] for entry in merged["contexts"]), "")
    path = state / "kubeconfig"
    memory.write_private(path, json.dumps(merged, indent=1))
    return path


def _write_fleet(
    state: Path, forge_url: str, repository_url: str, token: str, accesses: Mapping[str, dict[str, Any]], kubeconfig: Path
) -> world.Fleet:
    memory.write_private(state / "token", token + "\n")
    lines = [
        "# Written by penstock up. Every other command finds the fleet through this file.",
        "apiVersion: penstock.dev/v1alpha1",
        "kind: Fleet",
        "repository:",
        f"  url: {repository_url}",
        "  branch: main",
        f"  username: {BOT}",
        "  passwordFile: token",
        "forge:",
        "  kind: gitea",
        f"  url: {forge_url}",
        f"  repository: {OWNER}/{REPOSITORY}",
        "  tokenFile: token",
        "clusters:",
    ]
    for name, access in accesses.items():
        path, context = (access["path"], access["context"]) if "path" in access else (kubeconfig.name, name)
        lines += [f"- environment: {name}", f"  kubeconfig: {json.dumps(str(path))}", f"  context: {json.dumps(context)}"]
    file = state / world.FILE_NAME
    memory.write_private(file, "\n".join(lines) + "\n")
    return world.read(file)


async def _first_push(sandbox: Sandbox, options: Options) -> None:
    """Fill the empty repository from the scaffold, as the developer, with the ordinary git client."""
    with tempfile.TemporaryDirectory(prefix="penstock-") as folder:
        if options.source:
            await git_command("clone", "--quiet", str(options.source), f"{folder}/fleet")
        else:
            init.repository(Path(folder) / "fleet", environments=options.environments, url=sandbox.repository_url, secret=_READER)
        await git_command(
            "-C",
            f"{folder}/fleet",
            "push",
            "--quiet",
            sandbox.repository_url,
            "HEAD:refs/heads/main",
            login=sandbox.login(DEVELOPER),
        )


async def git_command(*arguments: str, login: tuple[str, str] | None = None) -> str:
    """Run the ordinary git client, as this user and token; what it printed. Raises RemoteError with its last line.

    The token travels in the environment, which other users of the machine cannot read, and not in an argument.
    """
    environment = os.environ | {"GIT_TERMINAL_PROMPT": "0"}
    if login:
        basic = base64.b64encode(":".join(login).encode()).decode()
        environment |= {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "http.extraHeader",
            "GIT_CONFIG_VALUE_0": f"Authorization: Basic {basic}",
        }
    process = await asyncio.create_subprocess_exec(
        "git",
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
    )
    out, problem = await process.communicate()
    if process.returncode != 0:
        last = problem.decode(errors="replace").strip().splitlines()[-1:] or ["no message"]
        raise errors.RemoteError(f"git {arguments[0]}: {last[0]}", code="Git")
    return out.decode(errors="replace")
