"""Ways into a repository, as a GitRepository's Secrets say, on real transports: sshd, http, https, proxies, a GitHub App."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pygit2
import pytest
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from penstock.adapters import git
from penstock.controllers import repositories
from penstock.controllers.repositories import Mirrors
from penstock.model.errors import RefusedError, RemoteError
from penstock.ports.repo import Signature
from penstock.sandbox import forge as sandbox_forge

AUTHOR = Signature(name="Dev", email="dev@example.com", when=datetime(2026, 3, 2, tzinfo=UTC))
CANARY = "canary0123456789canary"


def keygen(path: Path, passphrase: str = "", kind: str = "ed25519") -> bytes:
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", "x", "-f", str(path)], check=True)
    return path.read_bytes()


class Sshd:
    """A real sshd on the loopback, for this user, with one repository."""

    def __init__(self, binary: Path, folder: Path) -> None:
        self.folder = folder
        folder.chmod(0o700)
        self.host_key = folder / "host"
        keygen(self.host_key)
        self.repository = folder / "fleet.git"
        pygit2.init_repository(str(self.repository), bare=True)
        writer = git.Mirror(str(self.repository), folder / "writer", allow_local=True)
        self.commit = writer.write_commit([], {"a": b"1"}, message="m", author=AUTHOR)
        asyncio.run(writer.push("main", self.commit, expect=None))
        self.binary = binary
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None
        self.authorize()

    def authorize(self, *public: Path) -> None:
        (self.folder / "authorized").write_bytes(b"".join(path.read_bytes() for path in public))
        (self.folder / "authorized").chmod(0o600)

    def start(self) -> None:
        import socket

        for _ in range(10):
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                self.port = free.getsockname()[1]
            config = self.folder / "config"
            config.write_text(
                f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {self.host_key}\nPidFile none\nUsePAM no\n"
                f"AuthorizedKeysFile {self.folder}/authorized\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
                "PermitRootLogin prohibit-password\nStrictModes no\nLogLevel ERROR\n"
            )
            Path("/run/sshd").mkdir(exist_ok=True) if os.geteuid() == 0 else None
            self.process = subprocess.Popen([str(self.binary), "-D", "-e", "-f", str(config)], stderr=subprocess.PIPE)
            for _ in range(200):
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 0.2):
                    return
                if self.process.poll() is not None:
                    break
                time.sleep(0.05)
            self.stop()
        raise AssertionError("sshd does not start")

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait()
            assert self.process.stderr is not None
            self.process.stderr.close()

    @property
    def url(self) -> str:
        user = subprocess.check_output(["id", "-un"], text=True).strip()
        return f"ssh://{user}@127.0.0.1:{self.port}{self.repository}"

    @property
    def known_hosts(self) -> bytes:
        kind, key, *_ = (self.folder / "host.pub").read_text().split()
        return f"[127.0.0.1]:{self.port} {kind} {key}\n".encode()


@pytest.fixture(scope="module")
def sshd(sshd_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    made = Sshd(sshd_binary, tmp_path_factory.mktemp("sshd"))
    made.start()
    yield made
    made.stop()


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
@pytest.mark.parametrize("passphrase", ["", 'it\'s a "pass" phrase'])
async def test_ssh_takes_the_key_of_the_secret_with_or_without_a_passphrase(
    sshd: Sshd, tmp_path: Path, kind: str, passphrase: str
) -> None:
    identity = keygen(tmp_path / "key", passphrase, kind)
    sshd.authorize(tmp_path / "key.pub")
    secret = {"identity": identity, "known_hosts": sshd.known_hosts}
    if passphrase:
        with pytest.raises(RefusedError, match="encrypted but no 'password'"):
            Mirrors(tmp_path / "m").get(sshd.url, secret)
        secret["password"] = passphrase.encode()
    repo = Mirrors(tmp_path / "m").get(sshd.url, secret, ref="refs/heads/main")
    await repo.fetch()
    assert repo.resolve("main") == sshd.commit
    assert repo.tree(sshd.commit).read("a") == b"1"


async def test_ssh_lets_in_nobody_else_and_trusts_no_other_host(sshd: Sshd, tmp_path: Path) -> None:
    good, other = keygen(tmp_path / "good"), keygen(tmp_path / "other")
    locked = keygen(tmp_path / "locked", "right")
    sshd.authorize(tmp_path / "good.pub", tmp_path / "locked.pub")
    stranger = b"[127.0.0.1]:%d %s\n" % (sshd.port, (tmp_path / "other.pub").read_bytes().rsplit(b" ", 1)[0])
    for number, secret in enumerate(
        (
            {"identity": other, "known_hosts": sshd.known_hosts},
            {"identity": good, "known_hosts": stranger},
            {"identity": good, "known_hosts": b"example.com ssh-ed25519 AAAA\n"},
            {"identity": locked, "known_hosts": sshd.known_hosts, "password": CANARY.encode()},
        )
    ):
        with pytest.raises(RefusedError) as refused:
            await Mirrors(tmp_path / f"m{number}").get(sshd.url, secret).fetch()
        assert refused.value.code == "AuthenticationFailed", number
        assert CANARY not in str(refused.value)
    for incomplete in ({}, {"identity": good}, {"known_hosts": sshd.known_hosts}, {"username": b"x", "password": b"y"}):
        with pytest.raises(RefusedError, match="is required"):
            Mirrors(tmp_path / "m").get(sshd.url, incomplete)


class Proxy:
    """A real forward proxy: CONNECT and absolute requests, with a password when it has one."""

    def __init__(self, password: str = "") -> None:
        self.seen: list[str] = []
        self.password = password
        self.url = ""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, ValueError):
            head = await reader.readuntil(b"\r\n\r\n")
            method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
            self.seen.append(f"{method} {target}")
            wanted = "Basic " + base64.b64encode(f"u:{self.password}".encode()).decode()
            if self.password and f"proxy-authorization: {wanted}".lower() not in head.decode().lower():
                writer.write(b"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n\r\n")
            elif method == "CONNECT":
                host, _, port = target.partition(":")
                there, back = await asyncio.open_connection(host, int(port))
                writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
                await asyncio.gather(self.pump(reader, back), self.pump(there, writer))
            else:
                host, _, port = target.split("/")[2].partition(":")
                there, back = await asyncio.open_connection(host, int(port))
                lines = [line for line in head.split(b"\r\n") if not line.lower().startswith((b"proxy-", b"connection"))]
                lines[0] = lines[0].replace(b"http://" + target.split("/")[2].encode(), b"")
                back.write(lines[0] + b"\r\nConnection: close\r\n" + b"\r\n".join(lines[1:]))
                await asyncio.gather(self.pump(reader, back), self.pump(there, writer))
        writer.close()

    @staticmethod
    async def pump(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                to.write(data)
                await to.drain()
            to.close()


@contextlib.asynccontextmanager
async def proxying(password: str = "") -> AsyncIterator[Proxy]:
    made = Proxy(password)
    server = await asyncio.start_server(made.handle, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        server.close()


@contextlib.asynccontextmanager
async def forge(folder: Path) -> AsyncIterator[tuple[sandbox_forge.Server, str]]:
    """A server with one repository, and the commit in it."""
    async with sandbox_forge.serve(folder / "forge") as running:
        await running.create_repo("fleet", owner="platform")
        writer = git.Mirror(running.clone_url("fleet", user="developer"), folder / "writer")
        made = writer.write_commit([], {"a": b"1"}, message="m", author=AUTHOR)
        await writer.push("main", made, expect=None)
        yield running, made


def basic(running: sandbox_forge.Server) -> dict[str, bytes]:
    return {"username": b"developer", "password": running.token("developer").encode()}


async def test_everything_goes_through_the_proxy_of_the_secret_and_its_password_shows_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    async with forge(tmp_path) as (running, commit), proxying(CANARY) as proxy:
        given = {"address": proxy.url.encode(), "username": b"u", "password": CANARY.encode()}
        url = running.clone_url("fleet")
        repo = Mirrors(tmp_path / "m").get(url, basic(running), proxy=given)
        await repo.fetch()
        assert repo.resolve("main") == commit
        assert any(each.startswith(f"GET {running.url}/") for each in proxy.seen)
        wrong = Mirrors(tmp_path / "w").get(url, basic(running), proxy={**given, "password": b"another"})
        with pytest.raises(RefusedError) as refused:
            await wrong.fetch()
        assert refused.value.code == "AuthenticationFailed"
        assert "another" not in str(refused.value)
        assert not [path for path in (tmp_path / "m").rglob("*") if path.is_file() and CANARY.encode() in path.read_bytes()]


async def test_https_is_tunnelled(tmp_path: Path) -> None:
    """What is behind the tunnel is not even TLS: that the proxy was asked to open it is what counts."""
    async with proxying() as proxy:
        repo = Mirrors(tmp_path / "m").get("https://127.0.0.1:1/x.git", {}, proxy={"address": proxy.url.encode()})
        with pytest.raises(RemoteError):
            await repo.fetch()
        assert proxy.seen[0] == "CONNECT 127.0.0.1:1"


@pytest.mark.parametrize("address", ["", "proxy:3128", "ftp://x:1", "http://", "http://a b", "http://x\ny"])
def test_a_proxy_without_an_address_is_refused(tmp_path: Path, address: str) -> None:
    with pytest.raises(RefusedError, match="proxy options") as refused:
        Mirrors(tmp_path).get("https://example.com/x.git", {}, proxy={"address": address.encode(), "password": CANARY.encode()})
    assert CANARY not in str(refused.value)


@pytest.mark.parametrize(
    ("secret", "says"),
    [
        ({"password": b"p"}, "'password' requires 'username'"),
        ({"bearerToken": b"t", "username": b"u", "password": b"p"}, "both 'bearerToken' and"),
        ({"tls.crt": b"c"}, "both 'tls.crt' and 'tls.key'"),
        ({"githubAppID": b"1", "githubAppPrivateKey": b"k"}, "provider is not set to github"),
    ],
)
def test_a_secret_that_does_not_fit_is_refused_without_its_values(tmp_path: Path, secret: dict[str, bytes], says: str) -> None:
    with pytest.raises(RefusedError, match=says):
        Mirrors(tmp_path).get("https://example.com/x.git", secret)


def test_secrets_are_read_in_all_of_fluxs_keys() -> None:
    def read(**secret: bytes) -> git.Credentials | None:
        return repositories.credentials_of(
            "https://example.com/x.git", {key.replace("__", "."): value for key, value in secret.items()}
        )

    assert read() is None
    assert read(ca__crt=b"ca", caFile=b"old").ca == read(caFile=b"ca").ca == b"ca"  # type: ignore[union-attr]
    for held in (read(tls__crt=b"c", tls__key=b"k"), read(certFile=b"c", keyFile=b"k")):
        assert held is not None
        assert (held.certificate, held.certificate_key) == (b"c", b"k")
    assert read(bearerToken=b" t\n").bearer == "t"  # type: ignore[union-attr]


@pytest.mark.row("T12")
def test_nobody_reads_by_url_alone_what_other_credentials_fetched(tmp_path: Path) -> None:
    mirrors, url = Mirrors(tmp_path), "https://example.com/x.git"
    one = mirrors.get(url, {"username": b"a", "password": b"1"})
    assert mirrors.get(url, {"username": b"a", "password": b"1"}) is one
    assert mirrors.get(url, {"username": b"b", "password": b"1"}) is not one
    assert mirrors.get(url, {}) is not one
    assert mirrors.get(url, {"username": b"a", "password": b"1"}, proxy={"address": b"http://p:1"}) is not one


class GitHub:
    """A loopback double of the part of GitHub's API that gives an App its tokens."""

    def __init__(self) -> None:
        self.tokens: list[str] = []
        self.asked: list[str] = []
        self.next = ""
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        self.asked.append(f"{request.method} {request.path}")
        head, claims, _ = request.headers["Authorization"].removeprefix("Bearer ").split(".")
        assert json.loads(base64.urlsafe_b64decode(head + "=="))["alg"] == "RS256"
        assert json.loads(base64.urlsafe_b64decode(claims + "=="))["iss"] == "12"
        if request.path == "/api/v3/app/installations":
            return web.json_response([{"id": 1, "account": {"login": "other"}}, {"id": 67, "account": {"login": "Platform"}}])
        assert request.path == "/api/v3/app/installations/67/access_tokens"
        self.tokens.append(self.next)
        expires = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        return web.json_response({"token": self.next, "expires_at": expires}, status=201)


@contextlib.asynccontextmanager
async def github() -> AsyncIterator[GitHub]:
    made = GitHub()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield made
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("which", [{"githubAppInstallationID": b"67"}, {"githubAppInstallationOwner": b"platform"}])
async def test_a_github_app_gets_in_by_a_token_that_is_kept_and_renewed_when_it_is_refused(
    tmp_path: Path, which: dict[str, bytes]
) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    async with forge(tmp_path) as (running, commit), github() as api:
        secret = {"githubAppID": b"12", "githubAppPrivateKey": pem, "githubAppBaseURL": f"{api.url}/api/v3".encode(), **which}
        repo = Mirrors(tmp_path / "m").get(running.clone_url("fleet"), secret, provider="github")
        api.next = "revoked"
        with pytest.raises(RefusedError) as refused:
            await repo.fetch()
        assert refused.value.code == "AuthenticationFailed"
        assert api.tokens == ["revoked", "revoked"], "renewed once, and no more"
        api.next = running.token("developer")
        await repo.fetch()
        assert repo.resolve("main") == commit
        asked = len(api.asked)
        await repo.fetch()
        assert len(api.asked) == asked, "the token is kept"


@pytest.mark.parametrize(
    "secret",
    [
        {},
        {"username": b"u", "password": b"p"},
        {"githubAppID": b"1", "githubAppPrivateKey": b"k"},
        {"githubAppID": b"1", "githubAppPrivateKey": b"k", "githubAppInstallationID": b"1", "githubAppInstallationOwner": b"o"},
    ],
)
def test_a_secret_without_all_of_an_app_is_refused(tmp_path: Path, secret: dict[str, bytes]) -> None:
    with pytest.raises(RefusedError) as refused:
        Mirrors(tmp_path).get("https://github.com/o/r.git", secret, provider="github")
    assert refused.value.code == "InvalidProviderConfiguration"


async def test_of_one_ref_only_the_tip_is_fetched_and_then_every_step(tmp_path: Path) -> None:
    async with forge(tmp_path) as (running, _):
        writer = git.Mirror(running.clone_url("fleet", user="developer"), tmp_path / "writer")
        await writer.fetch()
        tip = writer.branches()["main"]
        for number in range(20):
            made = writer.write_commit([tip], {"a": b"%d" % number}, message="m", author=AUTHOR)
            await writer.push("main", made, expect=tip)
            tip = made
        await writer.push("other", tip, expect=None)
        repo = Mirrors(tmp_path / "m").get(running.clone_url("fleet"), basic(running), ref="refs/heads/main")
        await repo.fetch()
        assert len(list(repo.log(tip))) == 1
        assert dict(repo.branches()) == {"main": tip}
        assert repo.tree(tip).read("a") == b"19"

        later = writer.write_commit([tip], {"a": b"x"}, message="m", author=AUTHOR)
        last = writer.write_commit([later], {"a": b"y"}, message="m", author=AUTHOR)
        await writer.push("main", last, expect=tip)
        await repo.fetch()
        assert [each.id for each in repo.log(last)] == [last, later, tip]
        assert repo.is_ancestor(tip, last)

        rewritten = writer.write_commit([tip], {"a": b"z"}, message="m", author=AUTHOR)
        await writer.push("main", rewritten, expect=last)
        await repo.fetch()
        assert repo.resolve("main") == rewritten
        assert not repo.is_ancestor(last, rewritten)
        assert repo.resolve(f"refs/penstock/keep/{last}") == last

        other = Mirrors(tmp_path / "m").get(running.clone_url("fleet"), basic(running), ref="refs/heads/other")
        await other.fetch()
        assert other.resolve("other") == tip
        await writer.push("other", None, expect=tip)
        await other.fetch()
        assert other.resolve("other") is None
        assert not await other.is_empty()


async def test_a_fetch_brings_no_more_than_the_limit_and_changes_nothing(tmp_path: Path) -> None:
    async with forge(tmp_path) as (running, commit):
        writer = git.Mirror(running.clone_url("fleet", user="developer"), tmp_path / "writer")
        await writer.fetch()
        repo = Mirrors(tmp_path / "m", largest_bytes=1 << 20).get(running.clone_url("fleet"), basic(running))
        await repo.fetch()
        big = writer.write_commit([commit], {"big": os.urandom(4 << 20)}, message="m", author=AUTHOR)
        await writer.push("main", big, expect=commit)
        with pytest.raises(RefusedError) as refused:
            await repo.fetch()
        assert refused.value.code == "TooLarge"
        assert repo.resolve("main") == commit
        small = writer.write_commit([commit], {"small": b"x"}, message="m", author=AUTHOR)
        await writer.push("main", small, expect=big)
        await repo.fetch()
        assert repo.resolve("main") == small


def test_a_remote_with_a_name_that_is_no_ref_is_refused(tmp_path: Path) -> None:
    for ref in ("main", "HEAD", "refs/heads/--upload-pack=x y", "refs/../x", "-x"):
        with pytest.raises(RefusedError):
            Mirrors(tmp_path).get("https://example.com/x.git", {}, ref=ref)
