"""Signatures made by the gpg and ssh-keygen of this machine, through git itself: which of them count."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from penstock.adapters.git import signatures
from penstock.adapters.git.signatures import Keyring, SignatureError

NOW = datetime.now(UTC)
pytestmark = pytest.mark.skipif(
    shutil.which("gpg") is None or shutil.which("ssh-keygen") is None, reason="NOT RUN: no gpg or no ssh-keygen"
)


class Signer:
    """A repository and the keys of some people; made once, because keys take time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "gnupg"
        self.home.mkdir(mode=0o700)
        self.repo = folder / "repo"
        self.repo.mkdir()
        self.git("init", "-q", "-b", "main")
        (self.repo / "a").write_text("a\n")
        self.git("add", "a")
        for name, expiry in (("good", "0"), ("other", "0"), ("short", "1d"), ("gone", "0"), ("half", "0")):
            self.gpg("--quick-gen-key", f"{name} <{name}@example.com>", "ed25519", "sign", expiry)
        self.gpg("--quick-gen-key", "rsa <rsa@example.com>", "rsa2048", "sign", "0")
        for kind in ("ed25519", "ecdsa", "rsa"):
            key = folder / f"ssh-{kind}"
            self.run("ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "dev@example.com", "-f", str(key))
        self.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "ssh-stranger"))

    def run(self, *command: str, feed: bytes = b"") -> bytes:
        environment = {
            **os.environ,
            "GNUPGHOME": str(self.home),
            "GIT_CONFIG_GLOBAL": "/dev/null",
            **{
                f"GIT_{role}_{key}": v
                for role in ("AUTHOR", "COMMITTER")
                for key, v in (("NAME", "d"), ("EMAIL", "d@example.com"))
            },
        }
        return subprocess.run(command, cwd=self.repo, env=environment, input=feed, check=True, capture_output=True).stdout

    def git(self, *arguments: str, feed: bytes = b"") -> bytes:
        return self.run("git", *arguments, feed=feed)

    def gpg(self, *arguments: str, feed: bytes = b"") -> bytes:
        return self.run("gpg", "--batch", "--yes", "--pinentry-mode", "loopback", "--passphrase", "", *arguments, feed=feed)

    def public(self, *names: str) -> bytes:
        return self.gpg("--armor", "--export", *[f"{name}@example.com" for name in names])

    def ssh_public(self, kind: str) -> bytes:
        return (self.folder / f"ssh-{kind}.pub").read_bytes()

    def commit(self, *options: str, config: dict[str, str] | None = None) -> str:
        settings = [part for key, value in (config or {}).items() for part in ("-c", f"{key}={value}")]
        self.git(*settings, "commit", "-q", "--allow-empty", "-m", "a change", *options)
        return self.git("rev-parse", "HEAD").decode().strip()

    def pgp_commit(self, name: str) -> str:
        return self.commit(f"-S{name}@example.com")

    def ssh_commit(self, kind: str) -> str:
        return self.commit("-S", config={"gpg.format": "ssh", "user.signingKey": str(self.folder / f"ssh-{kind}")})

    def raw(self, kind: str, name: str) -> bytes:
        return self.git("cat-file", kind, name)

    def who(self, name: str, keys: Keyring, now: datetime = NOW) -> str:
        return signatures.signer(signatures.commit(name, self.raw("commit", name)), keys, now)


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Signer]:
    # gpg's agent has a socket in its home, whose path may not be long
    folder = Path(subprocess.check_output(["mktemp", "-d"], text=True).strip())
    made = Signer(folder)
    yield made
    subprocess.run(["gpgconf", "--kill", "all"], env={**os.environ, "GNUPGHOME": str(made.home)}, check=False)
    shutil.rmtree(folder, ignore_errors=True)


def ring(*values: bytes) -> Keyring:
    return signatures.keyring(values)


@pytest.mark.parametrize("name", ["good", "rsa"])
def test_a_commit_signed_with_a_trusted_pgp_key_names_the_key(signer: Signer, name: str) -> None:
    listed = signer.gpg("--with-colons", "--list-keys", f"{name}@example.com").decode().splitlines()
    key_id = next(line.split(":")[4] for line in listed if line.startswith("pub"))
    assert signer.who(signer.pgp_commit(name), ring(signer.public("other"), signer.public(name))) == key_id


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_a_commit_signed_with_a_trusted_ssh_key_names_the_key(signer: Signer, kind: str) -> None:
    shown = signer.run("ssh-keygen", "-l", "-f", str(signer.folder / f"ssh-{kind}.pub")).decode().split()[1]
    trusted = ring(signer.ssh_public("stranger") + signer.ssh_public(kind), signer.public("good"))
    assert signer.who(signer.ssh_commit(kind), trusted) == shown


def refused(signer: Signer, name: str, keys: Keyring, says: str, now: datetime = NOW) -> None:
    with pytest.raises(SignatureError, match=says):
        signer.who(name, keys, now)


def test_what_is_not_signed_by_a_trusted_key_is_refused(signer: Signer) -> None:
    """One row for each way in which a signature can fail to count."""
    everybody = ring(signer.public("good"), signer.ssh_public("ed25519"))
    refused(signer, signer.commit(), everybody, "not signed")
    refused(signer, signer.pgp_commit("other"), everybody, "not a trusted key")
    refused(signer, signer.ssh_commit("stranger"), everybody, "not a trusted key")
    refused(signer, signer.pgp_commit("good"), ring(signer.ssh_public("ed25519")), "not a trusted key")
    refused(signer, signer.ssh_commit("ed25519"), ring(signer.public("good")), "not a trusted key")
    refused(signer, signer.pgp_commit("good"), ring(), "not a trusted key")
    refused(signer, signer.pgp_commit("good"), ring(b"-----BEGIN PGP PUBLIC KEY BLOCK-----\ngarbage"), "not a trusted key")
    refused(signer, signer.ssh_commit("ed25519"), ring(b"ssh-ed25519 garbage", b"ssh-ed25519"), "not a trusted key")


def test_a_key_that_is_expired_or_revoked_by_now_signs_nothing_however_old_the_signature(signer: Signer) -> None:
    made = signer.pgp_commit("short")
    trusted = ring(signer.public("short"))
    assert signer.who(made, trusted, NOW)
    refused(signer, made, trusted, "expired", NOW + timedelta(days=2))

    made = signer.pgp_commit("gone")
    assert signer.who(made, ring(signer.public("gone")))
    finger = next(
        line.split(":")[9]
        for line in signer.gpg("--with-colons", "--list-keys", "gone@example.com").decode().splitlines()
        if line.startswith("fpr")
    )
    revocation = (signer.home / "openpgp-revocs.d" / f"{finger}.rev").read_text().replace(":-----BEGIN", "-----BEGIN")
    signer.gpg("--import", feed=revocation.encode())
    refused(signer, made, ring(signer.public("gone")), "revoked")


def test_a_subkey_counts_until_it_is_revoked_or_expires(signer: Signer) -> None:
    listed = signer.gpg("--with-colons", "--list-keys", "half@example.com").decode().splitlines()
    primary = next(line.split(":")[9] for line in listed if line.startswith("fpr"))
    signer.gpg("--quick-add-key", primary, "ed25519", "sign", "1d")
    listed = signer.gpg("--with-colons", "--list-keys", "half@example.com").decode().splitlines()
    subkey = [line.split(":")[9] for line in listed if line.startswith("fpr")][1]
    made = signer.commit(f"-S{subkey}!")
    trusted = ring(signer.public("half"))
    assert signer.who(made, trusted) == primary[-16:]
    refused(signer, made, trusted, "expired", NOW + timedelta(days=2))
    signer.run(
        "gpg", "--batch", "--yes", "--pinentry-mode", "loopback", "--passphrase", "", "--command-fd", "0", "--expert",
        "--edit-key", primary, feed=b"key 1\nrevkey\ny\n0\n\ny\nsave\n",
    )  # fmt: skip
    refused(signer, made, ring(signer.public("half")), "revoked")


def write(signer: Signer, kind: str, raw: bytes) -> str:
    return signer.git("hash-object", "-t", kind, "-w", "--stdin", "--literally", feed=raw).decode().strip()


@pytest.mark.parametrize("who", ["pgp", "ssh"])
@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda raw: raw.replace(b"a change", b"A change"), "does not hold"),
        (lambda raw: raw + b"x", "does not hold"),
        (lambda raw: raw.replace(b"tree ", b"tree " + b"0" * 40 + b"\ntree ", 1), "2 headers 'tree'"),
        (lambda raw: raw.replace(b"author ", b"parent " + b"1" * 40 + b"\nauthor ", 1), "does not hold"),
        (lambda raw: raw.replace(b"\n\n", b"\nencoding latin-1\n\n", 1), "does not hold"),
        (lambda raw: raw.replace(b"d@example.com", b"e@example.com", 1), "does not hold"),
        (lambda raw: raw.replace(b"\n\n", b"\n" + header(raw) + b"\n\n", 1), "more than one signature"),
        (lambda raw: raw.replace(b"\n\n", b"\n" + header(raw).replace(b"gpgsig", b"gpgsig-sha256", 1) + b"\n\n", 1),
         "more than one signature"),
        (lambda raw: raw.replace(b"gpgsig", b"gpgsig-sha256", 1).replace(b"-----BEGIN", b"-----begin", 1), "neither PGP nor SSH"),
        (lambda raw: raw.replace(header(raw), b"gpgsig " + raw.split(b"gpgsig ")[1].split(b"\n")[0] + b"\n AAAA", 1),
         "cannot be read|trusted|neither"),
        (lambda raw: raw.replace(b"author ", b"author\0 ", 1), "NUL"),
    ],
)  # fmt: skip
def test_a_changed_commit_is_refused(signer: Signer, who: str, change: Callable[[bytes], bytes], says: str) -> None:
    name = signer.pgp_commit("good") if who == "pgp" else signer.ssh_commit("ed25519")
    keys = ring(signer.public("good"), signer.ssh_public("ed25519"))
    assert signer.who(name, keys)
    raw = change(signer.raw("commit", name))
    forged = hashlib.sha1(b"commit %d\0" % len(raw) + raw).hexdigest()
    with pytest.raises(SignatureError, match=says):
        signatures.signer(signatures.commit(forged, raw), keys, NOW)


def header(raw: bytes) -> bytes:
    """The gpgsig header as it stands."""
    lines = raw.split(b"\n\n", 1)[0].split(b"\n")
    start = next(index for index, line in enumerate(lines) if line.startswith(b"gpgsig"))
    end = start + 1
    while end < len(lines) and lines[end].startswith(b" "):
        end += 1
    return b"\n".join(lines[start:end])


def test_bytes_that_do_not_have_their_id_are_refused(signer: Signer) -> None:
    name = signer.pgp_commit("good")
    with pytest.raises(SignatureError, match="does not have its id"):
        signatures.commit(name, signer.raw("commit", name) + b" ")


def test_a_block_with_the_signatures_of_two_people_is_refused(signer: Signer) -> None:
    unsigned = signer.raw("commit", signer.commit())
    both = signer.gpg("--armor", "--detach-sign", "-u", "good@example.com", "-u", "other@example.com", feed=unsigned)
    folded = b"gpgsig " + both.strip().replace(b"\n", b"\n ")
    raw = unsigned.replace(b"\n\n", b"\n" + folded + b"\n\n", 1)
    name = write(signer, "commit", raw)
    with pytest.raises(SignatureError, match="more than one"):
        signatures.signer(signatures.commit(name, raw), ring(signer.public("good", "other")), NOW)


def test_a_signature_made_for_something_else_than_git_is_refused(signer: Signer) -> None:
    unsigned = signer.raw("commit", signer.commit())
    made = signer.run("ssh-keygen", "-q", "-Y", "sign", "-n", "file", "-f", str(signer.folder / "ssh-ed25519"), feed=unsigned)
    raw = unsigned.replace(b"\n\n", b"\ngpgsig " + made.strip().replace(b"\n", b"\n ") + b"\n\n", 1)
    name = write(signer, "commit", raw)
    with pytest.raises(SignatureError, match="not made for Git"):
        signatures.signer(signatures.commit(name, raw), ring(signer.ssh_public("ed25519")), NOW)


def test_a_tag_says_what_it_is_of_and_who_signed_it(signer: Signer) -> None:
    commit = signer.commit()
    signer.git("tag", "-u", "good@example.com", "-m", "release\n\n-----BEGIN PGP SIGNATURE-----\nnot really", "v1", commit)
    ssh = ("-c", "gpg.format=ssh", "-c", f"user.signingKey={signer.folder}/ssh-ed25519")
    signer.git(*ssh, "tag", "-s", "-m", "release", "v2", commit)
    signer.git("tag", "-a", "-m", "release", "v3", commit)
    keys = ring(signer.public("good"), signer.ssh_public("ed25519"))
    for name in ("v1", "v2", "v3"):
        object_id = signer.git("rev-parse", name).decode().strip()
        found = signatures.tag(object_id, signer.raw("tag", object_id))
        assert (found.target, found.name) == (commit, name)
        if name == "v3":
            with pytest.raises(SignatureError, match="not signed"):
                signatures.signer(found, keys, NOW)
        else:
            assert signatures.signer(found, keys, NOW)
            with pytest.raises(SignatureError, match="not a trusted key"):
                signatures.signer(found, ring(signer.public("other")), NOW)
