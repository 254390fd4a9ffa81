"""The Authorization header of a cluster's requests, kept fresh.

In: an `Access`. Out: header values, from a fixed token, a token file that Kubernetes rotates, a password, or an exec
plugin whose credential is cached until it expires. Secrets stay in memory; errors never show what a plugin printed.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import ssl
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from penstock.adapters.kube.kubeconfig import Access, ExecPlugin
from penstock.model.errors import RefusedError

_TOKEN_FILE_SECONDS = 60.0
_EXPIRY_MARGIN_SECONDS = 30.0
_PLUGIN_SECONDS = 60.0


class Credentials:
    """Gives the Authorization header value, and a client certificate when the plugin brings one."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._lock = asyncio.Lock()
        self._token = access.token
        self._until = 0.0
        self.certificate: tuple[bytes, bytes] | None = (
            (access.certificate, access.key) if access.certificate and access.key else None
        )

    @property
    def refreshable(self) -> bool:
        """Whether asking again after a 401 could bring another answer."""
        return self._access.exec is not None or self._access.token_file is not None

    async def prepare(self) -> None:
        """Bring what a connection needs before it opens (an exec plugin may bring the client certificate)."""
        if self._access.exec is not None:
            await self.authorization()

    async def authorization(self, *, renew: bool = False) -> str | None:
        """The header value, or None when the identity is a certificate or anonymous.

        Raises RefusedError when the token file or the plugin fails: another identity is never tried instead.
        """
        access = self._access
        if access.exec is not None or access.token_file is not None:
            async with self._lock:
                if renew or time.time() >= self._until:
                    await self._renew()
            return f"Bearer {self._token}" if self._token else None
        if self._token:
            return f"Bearer {self._token}"
        if access.username:
            pair = base64.b64encode(f"{access.username}:{access.password}".encode()).decode()
            return f"Basic {pair}"
        return None

    async def _renew(self) -> None:
        if self._access.exec is not None:
            await self._run(self._access.exec)
            return
        assert self._access.token_file is not None
        try:
            self._token = self._access.token_file.read_text().strip()
        except OSError as error:
            raise RefusedError(
                f"cannot read the token file {self._access.token_file}: {error.strerror}", code="Unauthorized", status=401
            ) from None
        self._until = time.time() + _TOKEN_FILE_SECONDS

    async def _run(self, plugin: ExecPlugin) -> None:
        info: dict[str, Any] = {"apiVersion": plugin.api_version, "kind": "ExecCredential", "spec": {"interactive": False}}
        if plugin.provide_cluster_info:
            info["spec"]["cluster"] = {"server": self._access.server}
        environment = {**os.environ, **dict(plugin.env), "KUBERNETES_EXEC_INFO": msgspec.json.encode(info).decode()}
        command = plugin.command
        if "/" in command and not Path(command).is_absolute() and plugin.folder is not None:
            command = str(plugin.folder / command)
        status = msgspec.convert((await _output(command, plugin, environment)).get("status") or {}, dict[str, Any])
        self._token = str(status.get("token") or "")
        certificate, key = status.get("clientCertificateData"), status.get("clientKeyData")
        if certificate and key:
            self.certificate = (str(certificate).encode(), str(key).encode())
        if not self._token and not self.certificate:
            raise RefusedError(f"{plugin.command} gave neither a token nor a certificate", code="Unauthorized", status=401)
        self._until = _expiry(status.get("expirationTimestamp"))


def _expiry(text: object) -> float:
    if not isinstance(text, str):
        return float("inf")
    with contextlib.suppress(ValueError):
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return moment.timestamp() - _EXPIRY_MARGIN_SECONDS
    return 0.0


async def _output(command: str, plugin: ExecPlugin, environment: dict[str, str]) -> dict[str, Any]:
    try:
        process = await asyncio.create_subprocess_exec(
            command,
            *plugin.args,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError as error:
        raise RefusedError(
            f"cannot run the credential plugin {plugin.command}: {error.strerror}",
            hint=plugin.install_hint or None,
            code="Unauthorized",
            status=401,
        ) from None
    try:
        async with asyncio.timeout(_PLUGIN_SECONDS):
            printed, _ = await process.communicate()
    except TimeoutError:
        raise RefusedError(f"the credential plugin {plugin.command} did not answer", code="Unauthorized", status=401) from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise RefusedError(
            f"the credential plugin {plugin.command} failed with exit code {process.returncode}",
            hint="run it by hand to see why",
            code="Unauthorized",
            status=401,
        )
    try:
        answer: dict[str, Any] = msgspec.json.decode(printed, type=dict[str, Any])
    except msgspec.MsgspecError:
        # what it printed may be a credential: never part of the message
        raise RefusedError(
            f"the credential plugin {plugin.command} did not print an ExecCredential", code="Unauthorized", status=401
        ) from None
    return answer


def tls(access: Access, certificate: tuple[bytes, bytes] | None) -> ssl.SSLContext | None:
    """The TLS settings of a connection, None for plain http (a sandbox on loopback)."""
    if access.server.startswith("http://"):
        return None
    context = ssl.create_default_context(cadata=access.ca.decode() if access.ca else None)
    # Python 3.13 turned on RFC 5280 strictness, which refuses many clusters' authorities (no key identifiers) that
    # every other Kubernetes client accepts
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if access.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if certificate is not None:
        _load_certificate(context, *certificate)
    return context


def _load_certificate(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """The ssl module reads key pairs from files only: one that nobody else can read, gone at once."""
    with tempfile.TemporaryDirectory(prefix="penstock-") as folder:
        path = Path(folder) / "pair.pem"
        path.touch(mode=0o600)
        path.write_bytes(certificate + b"\n" + key)
        context.load_cert_chain(path)
