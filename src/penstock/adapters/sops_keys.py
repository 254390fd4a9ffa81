"""Keys that open SOPS files: age identities, and PGP keys through gpg.

In: the entries of a Secret (`*.agekey`, `*.asc`). Out: a keyring that unwraps data keys. gpg has a home of its own for each
call, in memory where the system has a place for that, gone afterwards; what it does not open, or without gpg, pysequoia is
tried. Cloud key services are not asked: what only they can open stays closed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from penstock.decrypt.rules import Rules
from penstock.decrypt.sealed import SealedError

_GPG_SECONDS = 30.0
_KEPT = 1024
_KEY_BYTES = 32
_CLOUD = ("kms", "gcp_kms", "hckms", "azure_kv", "hc_vault")


class Keys:
    """The keys of one Secret. `id` names them without telling them."""

    def __init__(self, age: Mapping[str, str], pgp: Mapping[str, bytes]) -> None:
        """age: texts of `.agekey` entries. pgp: armoured secret keys. Raises SealedError for what is no key."""
        text = repr((sorted(age.items()), sorted(pgp.items())))
        self.id = hashlib.sha256(text.encode()).hexdigest()[:32]
        self._age: list[Any] = []
        for name, content in age.items():
            self._age += _identities(name, content)
        self._pgp = dict(pgp)
        self._known: OrderedDict[str, bytes] = OrderedDict()

    def data_key(self, rules: Rules) -> bytes:
        if len(rules.groups) != 1:
            raise SealedError(
                f"cannot get sops data key: it is shared out over {len(rules.groups)} key groups, which is not supported"
            )
        group = rules.groups[0]
        for kind, unwrap in (("age", self._by_age), ("pgp", self._by_pgp)):
            for entry in group.get(kind) or ():
                wrapped = str(entry.get("enc") or "")
                key = self._known.get(wrapped)
                if key is None:
                    key = unwrap(wrapped)
                if key is not None and len(key) == _KEY_BYTES:
                    self._known[wrapped] = key
                    while len(self._known) > _KEPT:
                        self._known.popitem(last=False)
                    return key
        raise SealedError(f"cannot get sops data key: {self._why(group)}", 0, _HINT)

    def _why(self, group: Mapping[str, Any]) -> str:
        cloud = [kind for kind in _CLOUD if group.get(kind)]
        named = [f"age {each.get('recipient')}" for each in group.get("age") or ()]
        named += [f"pgp {each.get('fp')}" for each in group.get("pgp") or ()]
        text = "Error getting data key: 0 successful groups required, got 0"
        if named:
            text += f" (no key here opens {', '.join(named)})"
        if cloud:
            text += f" (encrypted for {', '.join(cloud)}, which is not supported)"
        return text

    def _by_age(self, wrapped: str) -> bytes | None:
        import pyrage

        if not self._age:
            return None
        with contextlib.suppress(pyrage.DecryptError, ValueError):
            return bytes(pyrage.decrypt(wrapped.encode(), self._age))
        return None

    def _by_pgp(self, wrapped: str) -> bytes | None:
        if not self._pgp:
            return None
        if shutil.which("gpg") is not None:
            with _gpg_home() as home:
                for content in self._pgp.values():
                    _gpg(home, ["--import"], content)
                if (found := _gpg(home, ["--decrypt"], wrapped.encode())) is not None:
                    return found
        # each knows kinds of keys that the other does not
        return self._by_sequoia(wrapped)

    def _by_sequoia(self, wrapped: str) -> bytes | None:
        import pysequoia

        for content in self._pgp.values():
            try:
                found = pysequoia.decrypt(wrapped.encode(), pysequoia.Tsk.from_bytes(content).decryptor())
            except Exception:  # noqa: S112 - it raises plain exceptions of its own; the next key may fit
                continue
            return bytes(found.bytes) if found.bytes is not None else None
        return None


_HINT = "put the matching key into the Secret of spec.decryption.secretRef (*.agekey, *.asc)"


def _identities(name: str, content: str) -> Iterator[Any]:
    import pyrage

    for line in content.splitlines():
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if line.upper().startswith("AGE-SECRET-KEY-PQ-"):
            raise SealedError(f"failed to import '{name}': post-quantum age keys are not supported")
        try:
            yield pyrage.x25519.Identity.from_str(line)
        except (pyrage.IdentityError, ValueError):
            raise SealedError(f"failed to import '{name}': malformed age secret key") from None


@contextlib.contextmanager
def _gpg_home() -> Iterator[Path]:
    """A folder for one gpg call. Its agent is ended with it."""
    memory = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
    parent = memory if memory.is_dir() and os.access(memory, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="pst-", dir=parent) as folder:
        home = Path(folder)
        home.chmod(0o700)
        try:
            yield home
        finally:
            if (gpgconf := shutil.which("gpgconf")) is not None:
                _run([gpgconf, "--homedir", folder, "--kill", "all"], home, b"")


def _gpg(home: Path, arguments: list[str], given: bytes) -> bytes | None:
    gpg = shutil.which("gpg") or "gpg"
    options = ["--homedir", str(home), "--batch", "--no-tty", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""]
    options += ["--trust-model", "always", "--no-auto-key-retrieve", "--no-auto-check-trustdb"]
    return _run([gpg, *options, *arguments], home, given)


def _run(command: list[str], home: Path, given: bytes) -> bytes | None:
    environment = {"PATH": os.environ.get("PATH", ""), "GNUPGHOME": str(home), "LC_ALL": "C"}
    try:
        done = subprocess.run(  # noqa: S603 - gpg and gpgconf, found on the path; nothing given is an argument
            command,
            input=given,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_GPG_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
