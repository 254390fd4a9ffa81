"""One git process: started hardened, bounded in time and output, its failure classified. In: arguments. Out: its stdout.

The environment is built from nothing: no config of the machine or the user, no prompt, no hook, no pager, protocols
limited to what the address allows. What a person's network needs (proxies, certificates, the ssh agent) passes through.
"""

from __future__ import annotations

import asyncio
import os
import re
import resource
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from penstock.adapters.git.address import Address
from penstock.adapters.git.credentials import Credentials, grant
from penstock.adapters.git.text import plain
from penstock.model.errors import RefusedError, RemoteError, TransientError

_PASSED = ("PATH", "HOME", "SSH_AUTH_SOCK", "SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO", "TMPDIR", "TZ")
_PROXIES = ("http_proxy", "https_proxy", "no_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY")
_TIDY_SECONDS = 2.0
"""Between asking git to stop (it removes its lock files then) and making it."""
_STDERR_BYTES, _STDOUT_BYTES = 256 * 1024, 128 * 1024 * 1024
_LEAST_MEMORY_BYTES = 4 * 1024**3
"""Address space, most of it files that are only mapped."""

_OPTIONS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "protocol.version=2",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    "http.lowSpeedLimit=200",
    "http.lowSpeedTime=30",
    "http.followRedirects=initial",
    "transfer.fsckObjects=true",
    # Flaws that honest old histories have and that harm nobody who never checks out:
    *(
        f"{when}.fsck.{flaw}=ignore"
        for when in ("fetch", "receive")
        for flaw in ("zeroPaddedFilemode", "missingSpaceBeforeDate", "badTimezone", "missingEmail", "missingNameBeforeEmail")
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A process that ended."""

    code: int
    stdout: bytes
    stderr: str
    """Decoded, not yet made plain."""


async def run(
    arguments: Sequence[str],
    *,
    folder: Path,
    address: Address,
    credentials: Credentials | None,
    seconds: float,
    environment: Mapping[str, str] = MappingProxyType({}),
    largest_bytes: int = 0,
) -> Finished:
    """Run git in a bare repository against one address. `largest_bytes` limits each file that it writes; 0 is no limit.

    Raises TransientError(code='Timeout') after `seconds`, with the whole process group gone.
    """
    with grant(credentials, address.origin, address.scheme) as lent:
        options = [part for option in (*_OPTIONS, *lent.options) for part in ("-c", option)]
        try:
            process = await asyncio.create_subprocess_exec(
                "git",
                *options,
                f"--git-dir={folder}",
                *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env={**_environment(address, credentials), **dict(lent.environment), **environment},
                pass_fds=lent.descriptors,
                start_new_session=True,
            )
        except FileNotFoundError:
            raise RefusedError("the git command is not installed", "install git 2.30 or newer", code="GitMissing") from None
        _limit(process.pid, largest_bytes)
        return await _collect(process, seconds, f"git {arguments[0]}")


def _limit(process: int, largest_bytes: int) -> None:
    """Let the kernel stop what grows too big, whatever the server says: a pack on the disk, an object in memory.

    What git starts inherits it, and the process that writes the pack is started only once the server has answered.
    """
    if largest_bytes and hasattr(resource, "prlimit"):
        memory = max(_LEAST_MEMORY_BYTES, 2 * largest_bytes)
        with suppress(OSError, ValueError):  # it ended already
            resource.prlimit(process, resource.RLIMIT_FSIZE, (largest_bytes, largest_bytes))
            resource.prlimit(process, resource.RLIMIT_AS, (memory, memory))


async def _collect(process: asyncio.subprocess.Process, seconds: float, name: str) -> Finished:
    assert process.stdout is not None and process.stderr is not None
    try:
        async with asyncio.timeout(seconds):
            stdout, stderr = await asyncio.gather(
                _read(process.stdout, _STDOUT_BYTES, True), _read(process.stderr, _STDERR_BYTES, False)
            )
            code = await process.wait()
    except TimeoutError:
        raise TransientError(f"{name} gave no result in {seconds:g} s", code="Timeout") from None
    finally:
        await _end(process)
    return Finished(code=code, stdout=stdout, stderr=stderr.decode("utf-8", "replace"))


async def _read(stream: asyncio.StreamReader, limit: int, strict: bool) -> bytes:
    """Everything, up to a limit: past it stdout is an error, and the rest of stderr is dropped."""
    kept = bytearray()
    while chunk := await stream.read(65536):
        if len(kept) + len(chunk) > limit and strict:
            raise RefusedError("the server's answer is too large", code="TooLarge")
        kept += chunk[: limit - len(kept)]
    return bytes(kept)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Nothing of the process group outlives the call (git starts helpers that would); it may tidy up for a moment."""
    if process.returncode is None:
        _signal(process, signal.SIGTERM)
        with suppress(TimeoutError):
            await asyncio.shield(asyncio.wait_for(process.wait(), _TIDY_SECONDS))
    _signal(process, signal.SIGKILL)
    if process.returncode is None:
        await asyncio.shield(process.wait())


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _environment(address: Address, credentials: Credentials | None) -> dict[str, str]:
    wanted = _PASSED if credentials is not None and credentials.proxy else (*_PASSED, *_PROXIES)
    passed = {name: os.environ[name] for name in wanted if name in os.environ}
    return {
        **passed,
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "",
        "SSH_ASKPASS": "",
        "GIT_ALLOW_PROTOCOL": "http:https" if address.scheme in ("http", "https") else address.scheme,
        "GIT_PROTOCOL_FROM_USER": "0",
    }


_AUTH = re.compile(
    r"Authentication failed|could not read (Username|Password)|returned error: 40[137]|HTTP code 407|Permission denied|"
    r"Host key verification failed|HTTP Basic: Access denied|terminal prompts disabled",
    re.IGNORECASE,
)
_ABSENT = re.compile(r"returned error: 404|not found|does not appear to be a git repository|does not exist", re.IGNORECASE)
_NOT_GIT = re.compile(
    r"not valid: is this a git repository|invalid content-type|bad line length|protocol error: bad", re.IGNORECASE
)
_CORRUPT = re.compile(r"fsck error|index-pack failed|object corrupt|bad object|bad tree|unpack-objects|inflate:", re.IGNORECASE)
_BROKEN_LINE = re.compile(
    r"early EOF|hung up|unexpected disconnect|RPC failed|Could not resolve|Failed to connect|timed out|reset by peer|"
    r"returned error: (429|5\d\d)|too slow|Empty reply|SSL_ERROR_SYSCALL|Connection refused",
    re.IGNORECASE,
)
_TOO_LARGE = re.compile(r"File too large|died of signal 25|out of memory|Out of memory|mmap failed|Cannot allocate memory")
_CERTIFICATE = re.compile(
    r"certificate (problem|verify|verification)|verification failed|CAfile|certificate rejected", re.IGNORECASE
)
_REDIRECT = re.compile(r"unable to update url base from redirection|returned error: 30\d", re.IGNORECASE)


def classify(finished: Finished, what: str, credentials: Credentials | None) -> RemoteError:
    """The error for a process that failed; for reads, where git's words are all there is to go by."""
    text = finished.stderr
    if _TOO_LARGE.search(text) or finished.code == -signal.SIGXFSZ:
        return RefusedError(f"{what}: more than may be brought at once", "raise the limit of bytes", code="TooLarge")
    said = plain(_telling(text), secrets=credentials.secrets() if credentials else ())
    message = f"{what}: {said}" if said else f"{what}: git ended with {finished.code}"
    status = re.search(r"returned error: (\d{3})", text)
    number = int(status[1]) if status else 0
    if _AUTH.search(text):
        # git hides the status of a challenge it could not answer, so 401 is the one to assume.
        return RefusedError(
            message, "check the credentials of this repository", code="AuthenticationFailed", status=number or 401
        )
    if _CERTIFICATE.search(text):
        hint = "give the certificate authority of this server, or a client certificate it takes"
        return RefusedError(message, hint, code="CertificateRefused")
    if _BROKEN_LINE.search(text):
        return TransientError(message, code="Unreachable", status=number)
    if _REDIRECT.search(text):
        return RefusedError(message, "write the address the server redirects to", code="Redirected", status=number)
    if _NOT_GIT.search(text):
        return RefusedError(message, "the server answered something that is not Git", code="NotGit", status=number)
    if _CORRUPT.search(text):
        return RefusedError(message, "the objects sent were damaged or forged; nothing was taken over", code="CorruptObjects")
    if _ABSENT.search(text):
        return RefusedError(
            message, "check the URL and whether the credentials may see it", code="NotFound", status=number or 404
        )
    return TransientError(message, code="GitFailed", status=number)


def _telling(stderr: str) -> str:
    """The lines that say why: the server's own first, then git's first fatal or error."""
    lines = [line.strip() for line in re.split(r"[\r\n]+", stderr) if line.strip()]
    remote = [line.removeprefix("remote:").strip() for line in lines if line.startswith("remote:")]
    own = [line for line in lines if re.match(r"(fatal|error|ssh):", line)]
    remote = [line for line in remote if line and not re.match(r"(Enumerating|Counting|Compressing|Total|Resolving)", line)]
    return "; ".join([*remote[:3], *own[:1]] or lines[-1:])
