"""A real Kubernetes API server on loopback: etcd and kube-apiserver as child processes, for the demo and the tests.

No kubelet, no scheduler, no controller manager: objects are stored, validated, defaulted and watched for real, but
nothing runs. `sandbox.workloads` is the stand-in for what a cluster's controllers would report (Deployments available,
Jobs complete), so that the demo tells the same story as on the sandbox.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import shutil
import signal
import socket
import ssl
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penstock.adapters import parts
from penstock.model.errors import RemoteError

_READY_SECONDS = 90.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalApiServer:
    """A running API server."""

    url: str
    token: str
    """Bearer token of a member of system:masters."""
    ca_path: Path
    folder: Path
    audit_log: Path | None = None

    def kubeconfig(self, context: str = "local") -> dict[str, Any]:
        """A kubeconfig of one context."""
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": context,
            "clusters": [{"name": context, "cluster": {"server": self.url, "certificate-authority": str(self.ca_path)}}],
            "users": [{"name": context, "user": {"token": self.token}}],
            "contexts": [{"name": context, "context": {"cluster": context, "user": context}}],
        }


def missing() -> list[str]:
    """The names of the parts that are not on this machine; empty when `run` can start."""
    return [name for name in ("etcd", "kube-apiserver") if parts.find(name) is None]


@contextlib.asynccontextmanager
async def run(folder: Path, *, audit: bool = False) -> AsyncIterator[LocalApiServer]:
    """Start etcd and kube-apiserver with their state below `folder`, and stop them at the end.

    Raises RemoteError when a part is not on the machine or does not come up; the message names its log.
    """
    if absent := missing():
        raise RemoteError(
            f"no {' and no '.join(absent)} on this machine", hint="make parts builds them (needs Go)", code="PartMissing"
        )
    folder.mkdir(parents=True, exist_ok=True)
    etcd_port, peer_port, api_port = _free_ports(3)
    token = _token(folder)
    key = _service_account_key(folder)
    etcd_url = f"http://127.0.0.1:{etcd_port}"
    arguments = [
        f"--etcd-servers={etcd_url}",
        "--bind-address=127.0.0.1",
        f"--secure-port={api_port}",
        f"--cert-dir={folder / 'certs'}",
        f"--service-account-key-file={key}",
        f"--service-account-signing-key-file={key}",
        "--service-account-issuer=https://localhost",
        f"--token-auth-file={folder / 'tokens.csv'}",
        "--authorization-mode=RBAC",
        "--disable-admission-plugins=ServiceAccount",
        "--service-cluster-ip-range=10.0.0.0/16",
        "--enable-priority-and-fairness=true",
        "--v=0",
    ]
    audit_log = None
    if audit:
        audit_log = folder / "audit.log"
        policy = folder / "audit-policy.yaml"
        policy.write_text(
            "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived, ResponseStarted]\n"
            "rules: [{level: Metadata}]\n"
        )
        arguments += [f"--audit-log-path={audit_log}", f"--audit-policy-file={policy}", "--audit-log-mode=blocking"]
    async with contextlib.AsyncExitStack() as stack:
        etcd = await stack.enter_async_context(
            _child(
                folder / "etcd.log",
                _executable("etcd"),
                f"--data-dir={folder / 'etcd'}",
                f"--listen-client-urls={etcd_url}",
                f"--advertise-client-urls={etcd_url}",
                f"--listen-peer-urls=http://127.0.0.1:{peer_port}",
                f"--initial-advertise-peer-urls=http://127.0.0.1:{peer_port}",
                f"--initial-cluster=default=http://127.0.0.1:{peer_port}",
                "--unsafe-no-fsync",
                "--log-level=warn",
            )
        )
        await _until_open(etcd_port, etcd, folder / "etcd.log")
        api = await stack.enter_async_context(_child(folder / "kube-apiserver.log", _executable("kube-apiserver"), *arguments))
        certificate = folder / "certs" / "apiserver.crt"
        server = LocalApiServer(
            url=f"https://127.0.0.1:{api_port}", token=token, ca_path=certificate, folder=folder, audit_log=audit_log
        )
        await _until_ready(server, api, folder / "kube-apiserver.log")
        yield server


def _executable(name: str) -> str:
    path = parts.find(name)
    assert path is not None
    return str(path)


def _token(folder: Path) -> str:
    tokens = folder / "tokens.csv"
    if tokens.exists():
        return tokens.read_text().split(",", 1)[0]
    token = secrets.token_urlsafe(24)
    tokens.touch(mode=0o600)
    tokens.write_text(f"{token},penstock-admin,penstock-admin,system:masters\n")
    return token


def _service_account_key(folder: Path) -> Path:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    path = folder / "service-account.key"
    if not path.exists():
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        path.touch(mode=0o600)
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
            )
        )
    return path


def _free_ports(count: int) -> list[int]:
    """Ports nobody listens on now; another process may still take one before we do, then the start fails and says so."""
    with contextlib.ExitStack() as stack:
        ports = []
        for _ in range(count):
            probe = stack.enter_context(socket.socket())
            probe.bind(("127.0.0.1", 0))
            ports.append(int(probe.getsockname()[1]))
        return ports


@contextlib.asynccontextmanager
async def _child(log: Path, program: str, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A child process that ends with us, even when we are killed."""
    with log.open("ab") as sink:
        process = await asyncio.create_subprocess_exec(
            *_with_parent_death_signal(), program, *arguments, stdin=asyncio.subprocess.DEVNULL, stdout=sink, stderr=sink
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(process.wait(), 10)
            except TimeoutError:
                process.kill()
                await process.wait()


def _with_parent_death_signal() -> list[str]:
    """util-linux's setpriv ties the child's life to ours; without it a SIGKILL of ours leaves the servers running."""
    setpriv = shutil.which("setpriv") if sys.platform == "linux" else None
    return [setpriv, "--pdeathsig", "TERM", "--"] if setpriv else []


async def _until_open(port: int, process: asyncio.subprocess.Process, log: Path) -> None:
    deadline = asyncio.get_running_loop().time() + _READY_SECONDS
    while True:
        _still_running(process, log)
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            if asyncio.get_running_loop().time() > deadline:
                raise RemoteError(f"nothing listens on port {port}", hint=f"see {log}", code="StartTimeout") from None
            await asyncio.sleep(0.05)
        else:
            writer.close()
            await writer.wait_closed()
            return


async def _until_ready(server: LocalApiServer, process: asyncio.subprocess.Process, log: Path) -> None:
    """Wait for /readyz to say ok, and for the namespaces the server makes itself."""
    import aiohttp

    deadline = asyncio.get_running_loop().time() + _READY_SECONDS
    headers = {"Authorization": f"Bearer {server.token}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        for path in ("/readyz", "/api/v1/namespaces/default"):
            while True:
                _still_running(process, log)
                try:
                    context = ssl.create_default_context(cafile=str(server.ca_path))
                    async with session.get(server.url + path, ssl=context) as answer:
                        if answer.status == 200:
                            break
                except (OSError, aiohttp.ClientError):
                    pass
                if asyncio.get_running_loop().time() > deadline:
                    raise RemoteError("kube-apiserver did not become ready", hint=f"see {log}", code="StartTimeout")
                await asyncio.sleep(0.1)


def _still_running(process: asyncio.subprocess.Process, log: Path) -> None:
    if process.returncode is not None:
        raise RemoteError(f"{log.stem} ended with exit code {process.returncode}", hint=f"see {log}", code="StartFailed")
