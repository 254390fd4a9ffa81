"""One sandbox cluster, running: state folder to listening server.

In: a folder (made if it is missing) and a name. Out: a `Server` that says where it listens and how to log in. Token, port
and certificates are kept in the folder, so a restart on the same state is the same cluster to its clients. Everything
runs in the caller's event loop; leaving the context stops it and closes the store.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from aiohttp import web

from penstock.model.errors import RemoteError
from penstock.sandbox.cluster import certificates, http, watching
from penstock.sandbox.cluster.api import Api, Call
from penstock.sandbox.cluster.controllers import Controllers
from penstock.sandbox.cluster.kinds import Registry
from penstock.sandbox.cluster.store import Store

_HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})
_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")


class Server:
    """A running sandbox cluster, and what a client needs to reach it."""

    def __init__(self, *, name: str, port: int, token: str, ca_path: Path, api: Api, watches: watching.Hub) -> None:
        self.name = name
        self.port = port
        self.url = f"https://127.0.0.1:{port}"
        self.token = token
        self.ca_path = ca_path
        self.api = api
        """The API in process: for tests and for faces that want to look without HTTP."""
        self.watches = watches
        """The open watches; `len` counts them."""

    def kubeconfig(self, context: str = "") -> dict[str, Any]:
        """A kubeconfig of one context, named after the cluster."""
        name = context or self.name
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": name,
            "clusters": [{"name": name, "cluster": {"server": self.url, "certificate-authority": str(self.ca_path.resolve())}}],
            "users": [{"name": name, "user": {"token": self.token}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        }

    def write_kubeconfig(self, path: Path, context: str = "") -> Path:
        """Write the kubeconfig where only its owner can read it (JSON is YAML)."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        path.write_text(json.dumps(self.kubeconfig(context), indent=2) + "\n")
        return path


@contextlib.asynccontextmanager
async def serve(
    state: Path, *, name: str, port: int = 0, rollout_seconds: float = 1.0, workloads: bool = True
) -> AsyncIterator[Server]:
    """Run a sandbox cluster on loopback until the context ends.

    `port` 0 takes the port of the last run, or a free one. `rollout_seconds` is how long a pod takes to become ready;
    without `workloads` nobody reports on workloads, as on a bare API server.
    Raises RemoteError when the port is taken, or the state folder is in use by another cluster.
    """
    await asyncio.to_thread(_make_folder, state)
    kept = _Kept(state)
    with _locked(state, name):
        certs = await asyncio.to_thread(certificates.ensure, state)
        store = Store(state / "cluster.db")
        try:
            api = Api(store, Registry())
            _bootstrap(api)
            handler = http.Server(api, name=name, token=kept.token, hosts=_HOSTS)
            runner, listening = await _listen(handler, certs, port, kept.port, name)
            kept.remember_port(listening)
            try:
                async with Controllers(api, rollout_seconds=rollout_seconds if workloads else None):
                    yield Server(name=name, port=listening, token=kept.token, ca_path=certs.ca, api=api, watches=handler.watches)
            finally:
                handler.watches.close()
                await runner.cleanup()
        finally:
            store.close()


def _make_folder(state: Path) -> None:
    state.mkdir(parents=True, exist_ok=True, mode=0o700)


class _Kept:
    """What has to be the same after a restart: token and port, in one small file."""

    def __init__(self, state: Path) -> None:
        self._path = state / "server.json"
        try:
            data = json.loads(self._path.read_text())
        except (OSError, ValueError):
            data = {}
        self.token: str = data.get("token") or secrets.token_urlsafe(24)
        self.port: int = data.get("port") or 0

    def remember_port(self, port: int) -> None:
        self.port = port
        temporary = self._path.with_suffix(".new")
        temporary.unlink(missing_ok=True)
        temporary.touch(mode=0o600)
        temporary.write_text(json.dumps({"token": self.token, "port": port}))
        temporary.replace(self._path)


@contextlib.contextmanager
def _locked(state: Path, name: str) -> Any:
    """Two servers on one state folder would lose each other's writes; the lock goes with the process."""
    import fcntl

    with (state / "lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            what = f"the state of sandbox cluster {name} is in use by another process"
            raise RemoteError(what, hint=f"stop it, or choose another folder than {state}", code="StateInUse") from None
        yield


async def _listen(
    handler: http.Server, certs: certificates.Certificates, port: int, last: int, name: str
) -> tuple[web.AppRunner, int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certs.certificate, certs.key)
    app = web.Application(client_max_size=4 * 1024 * 1024)
    app.router.add_route("*", "/{path:.*}", handler.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    wanted = port or last
    try:
        site = await _bind(runner, wanted, context)
    except OSError as error:
        if port or not last:
            await runner.cleanup()
            hint = "stop what listens there, or choose another port"
            raise RemoteError(
                f"sandbox cluster {name} cannot listen on port {port}: {error.strerror}", hint=hint, code="PortInUse"
            ) from None
        # Somebody took the port of the last run meanwhile: kubeconfigs are written anew at every start.
        site = await _bind(runner, 0, context)
    return runner, _port_of(site)


async def _bind(runner: web.AppRunner, port: int, context: ssl.SSLContext) -> web.TCPSite:
    site = web.TCPSite(runner, "127.0.0.1", port, ssl_context=context)
    await site.start()
    return site


def _port_of(site: web.TCPSite) -> int:
    server = site._server
    assert isinstance(server, asyncio.Server)
    return int(server.sockets[0].getsockname()[1])


def _bootstrap(api: Api) -> None:
    """The namespaces every cluster has, and one node for pods to stand on."""
    namespaces = api.registry.find("", "v1", "namespaces")
    nodes = api.registry.find("", "v1", "nodes")
    assert namespaces is not None
    assert nodes is not None
    with api.store.batch():
        for name in _NAMESPACES:
            if api.store.get("namespaces", "", name) is None:
                api.create(Call(kind=namespaces, manager="kube-apiserver"), {"metadata": {"name": name}})
        if not api.store.objects("nodes"):
            labels = {"kubernetes.io/hostname": "sandbox", "kubernetes.io/os": "linux"}
            node = api.create(Call(kind=nodes, manager="sandbox"), {"metadata": {"name": "sandbox", "labels": labels}})
            ready = {"type": "Ready", "status": "True", "reason": "Sandbox", "message": "nothing runs here"}
            ready |= {"lastHeartbeatTime": api.now(), "lastTransitionTime": api.now()}
            patch = {"status": {"conditions": [ready], "nodeInfo": {"kubeletVersion": http.GIT_VERSION}}}
            call = Call(kind=nodes, name="sandbox", subresource="status", manager="sandbox")
            api.patch(call, "merge", {"metadata": {"resourceVersion": node["metadata"]["resourceVersion"]}, **patch})
