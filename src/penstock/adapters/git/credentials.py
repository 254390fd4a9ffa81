"""Credentials for one remote, and how the git command gets them. In: a name and password, a token or a key. Out: options.

A password is never in an argument, the environment, a URL or a config file: it sits in an anonymous memory file whose
descriptor git and its helpers inherit, and the helper is bound to the remote's own origin, so a redirect to another host
asks nobody. Only ssh keys (and their passphrases) touch a disk (ssh closes inherited descriptors): 0600 files in a 0700
folder, removed after.
"""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What a remote accepts; everything is optional and never shown by repr."""

    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    """Password or token, for HTTP Basic."""
    bearer: str = field(default="", repr=False)
    """A token for `Authorization: Bearer`; redirects are not followed with it."""
    ssh_key: bytes = field(default=b"", repr=False)
    """A private key in OpenSSH or PEM form."""
    passphrase: str = field(default="", repr=False)
    """Of the private key."""
    known_hosts: bytes = field(default=b"", repr=False)
    """Accepted host keys; without any, the user's own known_hosts is asked, strictly."""
    ca: bytes = field(default=b"", repr=False)
    """PEM certificates trusted instead of the system's."""
    certificate: bytes = field(default=b"", repr=False)
    """PEM client certificate (TLS both ways), with `certificate_key`."""
    certificate_key: bytes = field(default=b"", repr=False)
    proxy: str = field(default="", repr=False)
    """The proxy to go through, with its user name and password in it; the environment's do not count then."""

    def secrets(self) -> tuple[str, ...]:
        """Strings that must not appear in any output."""
        proxy = unquote(urlsplit(self.proxy).password or "")
        return tuple(secret for secret in (self.password, self.bearer, self.passphrase, proxy) if secret)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """How a git process gets credentials: `-c` options, environment and inherited descriptors (none holds a secret)."""

    options: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    descriptors: tuple[int, ...] = ()


@contextmanager
def grant(credentials: Credentials | None, origin: str, scheme: str) -> Iterator[Grant]:
    """Lend credentials for the origin to one git process."""
    options = ["credential.helper=", "core.askPass="]  # never somebody else's helper, never a prompt
    environment: list[tuple[str, str]] = []
    descriptors: list[int] = []
    held = credentials or Credentials()
    with ExitStack() as stack:
        if scheme in ("http", "https"):
            if held.bearer:
                lines = f'[http "{origin}/"]\n\textraHeader = "Authorization: Bearer {_quoted(held.bearer)}"\n'
                descriptors.append(stack.enter_context(_memory(lines.encode())))
                options += [f"include.path=/dev/fd/{descriptors[-1]}", "http.followRedirects=false"]
            elif held.password or held.username:
                answer = f"username={_line(held.username or 'git')}\npassword={_line(held.password)}\n"
                descriptors.append(stack.enter_context(_memory(answer.encode())))
                options.append(f'credential.{origin}.helper=!f() {{ test "$1" = get && cat /dev/fd/{descriptors[-1]}; }}; f')
            if held.proxy:
                lines = f'[http]\n\tproxy = "{_quoted(held.proxy)}"\n'
                descriptors.append(stack.enter_context(_memory(lines.encode())))
                options.append(f"include.path=/dev/fd/{descriptors[-1]}")
            for variable, content in _tls_files(held):
                descriptors.append(stack.enter_context(_memory(content)))
                environment.append((variable, f"/dev/fd/{descriptors[-1]}"))
        if scheme == "ssh":
            environment += stack.enter_context(_ssh(held))
        yield Grant(options=tuple(options), environment=tuple(environment), descriptors=tuple(descriptors))


def _tls_files(held: Credentials) -> list[tuple[str, bytes]]:
    """Git's variables and what the files they name hold."""
    files = (("GIT_SSL_CAINFO", held.ca), ("GIT_SSL_CERT", held.certificate), ("GIT_SSL_KEY", held.certificate_key))
    return [(variable, content) for variable, content in files if content]


@contextmanager
def _memory(content: bytes) -> Iterator[int]:
    """A descriptor of an anonymous file; readers open /dev/fd/N anew and so start at its beginning."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("penstock", 0)
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    try:
        os.write(descriptor, content)
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _ssh(held: Credentials) -> Iterator[list[tuple[str, str]]]:
    """The environment in which git starts an ssh that knows this key and these hosts, and asks nobody anything."""
    command = ["ssh", "-o", "StrictHostKeyChecking=yes", "-o", "ConnectTimeout=15"]
    command += ["-o", "ForwardAgent=no", "-o", "PermitLocalCommand=no", "-o", "ControlPath=none"]
    environment: list[tuple[str, str]] = []
    with tempfile.TemporaryDirectory(prefix="penstock-ssh-") as name:  # mkdtemp: mode 0700
        folder = Path(name)
        if held.ssh_key:
            key = folder / "identity"
            _write_private(key, held.ssh_key if held.ssh_key.endswith(b"\n") else held.ssh_key + b"\n")
            command += ["-F", "none", "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-i", str(key)]
        if held.known_hosts:
            hosts = folder / "known_hosts"
            _write_private(hosts, held.known_hosts)
            command += ["-o", f"UserKnownHostsFile={hosts}", "-o", "GlobalKnownHostsFile=none"]
        if held.ssh_key and held.passphrase:
            environment += _asked(folder, held.passphrase)
            # A batch mode does not even ask for the passphrase; these are all the other questions there are.
            command += ["-o", "NumberOfPasswordPrompts=1", "-o", "PreferredAuthentications=publickey"]
        else:
            command += ["-o", "BatchMode=yes"]
        yield [*environment, ("GIT_SSH_COMMAND", shlex.join(command))]


def _asked(folder: Path, passphrase: str) -> list[tuple[str, str]]:
    """A program that answers with the passphrase: ssh closes the descriptors it inherits, so it stands beside the key."""
    _write_private(folder / "passphrase", passphrase.encode())
    program = folder / "askpass"
    _write_private(program, f"#!/bin/sh\nexec cat {shlex.quote(str(folder / 'passphrase'))}\n".encode(), 0o700)
    return [("SSH_ASKPASS", str(program)), ("SSH_ASKPASS_REQUIRE", "force"), ("DISPLAY", "none")]


def _write_private(path: Path, content: bytes, mode: int = 0o600) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def _line(text: str) -> str:
    """The credential protocol is lines; a newline in a password could forge a field."""
    if "\n" in text or "\0" in text:
        raise ValueError("a user name or password may not hold a newline")
    return text


def _quoted(text: str) -> str:
    return _line(text).replace("\\", "\\\\").replace('"', '\\"')
