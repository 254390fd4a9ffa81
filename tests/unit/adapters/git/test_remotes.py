"""A mirror against remotes that hang, lie, redirect, drop answers or go away; and what other processes can see of it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import aiohttp
import pygit2
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from penstock.adapters import git
from penstock.adapters.git import command, exclusive
from penstock.model.errors import RaceError, RefusedError, TransientError
from penstock.model.values import CommitId
from penstock.ports.repo import Signature
from penstock.sandbox import forge as sandbox_forge

AUTHOR = Signature(name="Dev", email="dev@example.com", when=datetime(2026, 3, 2, tzinfo=UTC))
CANARY = "canary0123456789canary"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@contextlib.asynccontextmanager
async def server(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A web server that answers everything with one handler."""
    app = web.Application(client_max_size=1 << 30)
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        yield f"http{'s' if tls else ''}://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def forge(folder: Path) -> AsyncIterator[sandbox_forge.Server]:
    async with sandbox_forge.serve(folder) as running:
        await running.create_repo("fleet", owner="platform")
        yield running


def mirror(url: str, folder: Path, **more: object) -> git.Mirror:
    return git.Mirror(url, folder, **({"credentials": git.Credentials(username="u", password=CANARY)} | more))  # type: ignore[arg-type]


def commit(repo: git.Mirror, content: bytes, *parents: CommitId) -> CommitId:
    return repo.write_commit(parents, {"a": content}, message="m", author=AUTHOR)


async def test_a_server_that_hangs_costs_no_more_than_the_timeout(tmp_path: Path) -> None:
    async def hang(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(60)
        return web.Response()

    async with server(hang) as url:
        started = asyncio.get_running_loop().time()
        with pytest.raises(TransientError) as failed:
            await mirror(f"{url}/a/b.git", tmp_path / "m", timeout=0.5).fetch()
        assert failed.value.code == "Timeout"
        assert asyncio.get_running_loop().time() - started < 5


async def test_a_cancelled_fetch_leaves_no_process(tmp_path: Path) -> None:
    reached = asyncio.Event()

    async def hang(request: web.Request) -> web.StreamResponse:
        reached.set()
        await asyncio.sleep(60)
        return web.Response()

    async with server(hang) as url:
        task = asyncio.create_task(mirror(f"{url}/a/b.git", tmp_path / "m").fetch())
        async with asyncio.timeout(10):
            await reached.wait()
        children = git_processes(url)
        assert children
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(5):
            while git_processes(url):  # noqa: ASYNC110 - other processes end
                await asyncio.sleep(0.02)


def git_processes(url: str) -> list[str]:
    """Command lines of running processes that name the URL."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if url in line:
                found.append(line)
    return found


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (200, RefusedError, "NotGit"),
        (401, RefusedError, "AuthenticationFailed"),
        (403, RefusedError, "AuthenticationFailed"),
        (404, RefusedError, "NotFound"),
        (429, TransientError, "Unreachable"),
        (500, TransientError, "Unreachable"),
        (503, TransientError, "Unreachable"),
    ],
)
async def test_answers_that_are_not_git_are_told_apart(tmp_path: Path, status: int, kind: type[Exception], code: str) -> None:
    async def page(request: web.Request) -> web.StreamResponse:
        headers = {"WWW-Authenticate": "Basic realm=x"} if status == 401 else {}
        return web.Response(
            status=status, text="<html>\nmaintenance \x1b[31m</html>\n", content_type="text/html", headers=headers
        )

    async with server(page) as url:
        with pytest.raises(kind) as failed:
            await mirror(f"{url}/a/b.git", tmp_path / "m").fetch()
        assert failed.value.code == code  # type: ignore[attr-defined]
        assert CANARY not in str(failed.value)
        assert "\x1b" not in str(failed.value)


async def test_a_page_without_line_breaks_is_not_taken_for_an_empty_repository(tmp_path: Path) -> None:
    """git itself would: and a fetch would then prune every branch."""

    async def page(request: web.Request) -> web.StreamResponse:
        return web.Response(text="<html>back soon</html>", content_type="text/html")

    async with forge(tmp_path / "forge") as running, server(page) as url:
        direct = git.Mirror(running.clone_url("fleet", user="developer"), tmp_path / "m")
        made = commit(direct, b"1")
        await direct.push("main", made, expect=None)
        through = mirror(f"{url}/platform/fleet.git", tmp_path / "m")
        with pytest.raises(RefusedError) as refused:
            await through.fetch()
        assert refused.value.code == "NotGit"
        assert through.branches()["main"] == made


async def test_credentials_never_go_to_the_host_of_a_redirect(tmp_path: Path) -> None:
    for held in (git.Credentials(username="u", password=CANARY), git.Credentials(bearer=CANARY)):
        thief_saw: list[str] = []

        async def thief(request: web.Request) -> web.StreamResponse:
            thief_saw.append(request.headers.get("Authorization", ""))  # noqa: B023
            return web.Response(status=401, headers={"WWW-Authenticate": "Basic realm=x"})

        async with server(thief) as elsewhere:

            async def away(request: web.Request) -> web.StreamResponse:
                return web.Response(status=302, headers={"Location": f"{elsewhere}{request.path_qs}"})

            async with server(away) as url:
                with pytest.raises((RefusedError, TransientError)):
                    await mirror(f"{url}/a/b.git", tmp_path / "m", credentials=held).fetch()
        assert all(header == "" for header in thief_saw), thief_saw


async def test_a_bearer_token_gets_in(tmp_path: Path) -> None:
    async with forge(tmp_path / "forge") as running:
        held = git.Credentials(bearer=running.token("developer"))
        repo = git.Mirror(running.clone_url("fleet"), tmp_path / "m", credentials=held)
        made = commit(repo, b"1")
        await repo.push("main", made, expect=None)
        await repo.fetch()
        assert repo.branches()["main"] == made


async def test_credentials_are_asked_for_each_time(tmp_path: Path) -> None:
    asked = 0

    async def current() -> git.Credentials:
        nonlocal asked
        asked += 1
        return git.Credentials(username="developer", password=token if asked > 1 else "expired")

    async with forge(tmp_path / "forge") as running:
        token = running.token("developer")
        repo = git.Mirror(running.clone_url("fleet"), tmp_path / "m", credentials=current)
        with pytest.raises(RefusedError):
            await repo.fetch()
        await repo.fetch()
        assert asked > 1


async def test_no_process_shows_the_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A git that writes down its arguments and environment before it becomes the real one."""
    real = next(f"{folder}/git" for folder in os.environ["PATH"].split(":") if Path(f"{folder}/git").exists())
    spy = tmp_path / "bin"
    spy.mkdir()
    (spy / "git").write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >> {tmp_path}/seen\nenv >> {tmp_path}/seen\nexec {real} "$@"\n')
    (spy / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{spy}:{os.environ['PATH']}")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")  # a person's environment does not leak in
    async with forge(tmp_path / "forge") as running:
        repo = git.Mirror(running.clone_url("fleet", user="developer"), tmp_path / "m")
        await repo.push("main", commit(repo, b"1"), expect=None)
        await repo.fetch()
        seen = (tmp_path / "seen").read_text()
        assert running.url in seen
        assert running.token("developer") not in seen
        assert "GIT_CONFIG_COUNT" not in seen


async def test_an_answer_lost_after_a_push_is_settled_by_the_ref(tmp_path: Path) -> None:
    async with forge(tmp_path / "forge") as running, aiohttp.ClientSession(auto_decompress=False) as client:
        lost = 0

        async def proxy(request: web.Request) -> web.StreamResponse:
            nonlocal lost
            headers = {name: value for name, value in request.headers.items() if name.lower() not in ("host", "content-length")}
            headers.pop("Content-Encoding", None)
            url = f"{running.url}{request.path_qs}"
            async with client.request(request.method, url, headers=headers, data=await request.read()) as answer:
                body = await answer.read()
                if request.path.endswith("git-receive-pack") and answer.status == 200 and request.method == "POST":
                    lost += 1
                    begun = web.StreamResponse(headers={"Content-Type": answer.headers["Content-Type"]})
                    await begun.prepare(request)
                    assert request.transport is not None
                    request.transport.abort()
                    return begun
                kept = {
                    name: value for name, value in answer.headers.items() if name.lower() in ("content-type", "www-authenticate")
                }
                return web.Response(status=answer.status, body=body, headers=kept)

        async with server(proxy) as url:
            held = git.Credentials(username="developer", password=running.token("developer"))
            repo = git.Mirror(f"{url}/platform/fleet.git", tmp_path / "m", credentials=held)
            made = commit(repo, b"1")
            await repo.push("main", made, expect=None)
            assert lost == 1, "the push was made once, its answer was lost, and it was not made again"
            assert repo.branches()["main"] == made
        direct = git.Mirror(running.clone_url("fleet", user="developer"), tmp_path / "direct")
        await direct.fetch()
        assert [found.id for found in direct.log(made)] == [made]


async def test_a_remote_that_goes_away_loses_nothing_and_heals(tmp_path: Path) -> None:
    pygit2.init_repository(str(tmp_path / "remote.git"), bare=True)
    repo = git.Mirror(str(tmp_path / "remote.git"), tmp_path / "m", allow_local=True)
    made = commit(repo, b"1")
    await repo.push("main", made, expect=None)
    (tmp_path / "remote.git").rename(tmp_path / "away.git")
    with pytest.raises(RefusedError) as gone:
        await repo.fetch()
    assert gone.value.code == "NotFound"
    assert repo.branches()["main"] == made
    (tmp_path / "away.git").rename(tmp_path / "remote.git")
    later = commit(repo, b"2", made)
    await repo.push("main", later, expect=made)
    await repo.fetch()
    assert repo.branches()["main"] == later


async def test_what_a_server_refuses_is_said_in_its_own_plain_words(tmp_path: Path) -> None:
    pygit2.init_repository(str(tmp_path / "remote.git"), bare=True)
    hook = tmp_path / "remote.git" / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nprintf '\\033[31mGH013: main is protected\\033[0m\\n' >&2\nexit 1\n")
    hook.chmod(0o755)
    repo = git.Mirror(str(tmp_path / "remote.git"), tmp_path / "m", allow_local=True)
    with pytest.raises(RefusedError) as refused:
        await repo.push("main", commit(repo, b"1"), expect=None)
    assert refused.value.code == "PushRefused"
    assert "GH013: main is protected" in str(refused.value)
    assert "\x1b" not in str(refused.value)
    assert dict(repo.branches()) == {}


async def test_forged_objects_are_not_taken_over(tmp_path: Path) -> None:
    """A tree with a name that climbs out: git's own check refuses the whole fetch."""
    remote = pygit2.init_repository(str(tmp_path / "remote.git"), bare=True)
    blob = remote.create_blob(b"x")
    tree = remote.odb.write(2, b"100644 ..\0" + bytes.fromhex(str(blob)))
    who = pygit2.Signature("x", "x@x", 1, 0)
    made = remote.create_commit("refs/heads/main", who, who, "m", tree, [])
    repo = git.Mirror(str(tmp_path / "remote.git"), tmp_path / "m", allow_local=True)
    with pytest.raises(RefusedError) as refused:
        await repo.fetch()
    assert refused.value.code == "CorruptObjects"
    assert dict(repo.branches()) == {}
    assert repo.resolve(str(made)) is None


async def test_an_unchanged_remote_is_only_looked_at(tmp_path: Path) -> None:
    posts = 0
    async with forge(tmp_path / "forge") as running:
        repo = git.Mirror(running.clone_url("fleet", user="developer"), tmp_path / "m")
        await repo.push("main", commit(repo, b"1"), expect=None)
        await repo.fetch()
        objects = sorted((tmp_path / "m").rglob("*"))
        stamps = [path.stat().st_mtime_ns for path in objects if path.is_file()]
        for _ in range(3):
            await repo.fetch()
        posts = sum(1 for path in objects if path.is_file())
        assert [path.stat().st_mtime_ns for path in objects if path.is_file()] == stamps
        assert posts > 0


async def test_hooks_and_config_of_the_mirror_folder_do_not_run(tmp_path: Path) -> None:
    pygit2.init_repository(str(tmp_path / "remote.git"), bare=True)
    repo = git.Mirror(str(tmp_path / "remote.git"), tmp_path / "m", allow_local=True)
    for name in ("pre-push", "reference-transaction", "post-checkout"):
        hook = tmp_path / "m" / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran-{name}\n")
        hook.chmod(0o755)
    await repo.push("main", commit(repo, b"1"), expect=None)
    await repo.fetch()
    assert list(tmp_path.glob("ran-*")) == []


async def test_locks_of_a_killed_git_do_not_stay_for_ever(tmp_path: Path) -> None:
    pygit2.init_repository(str(tmp_path / "remote.git"), bare=True)
    repo = git.Mirror(str(tmp_path / "remote.git"), tmp_path / "m", allow_local=True)
    made = commit(repo, b"1")
    await repo.push("main", made, expect=None)
    for name in ("refs/heads/main.lock", "packed-refs.lock", "shallow.lock", "config.lock"):
        (tmp_path / "m" / name).touch()
    later = git.Mirror(str(tmp_path / "remote.git"), tmp_path / "other", allow_local=True)
    await later.fetch()
    second = commit(later, b"2", made)
    await later.push("main", second, expect=made)
    await repo.fetch()
    assert repo.branches()["main"] == second


async def test_two_mirrors_of_one_folder_take_turns(tmp_path: Path) -> None:
    pygit2.init_repository(str(tmp_path / "remote.git"), bare=True)
    mirrors = [git.Mirror(str(tmp_path / "remote.git"), tmp_path / "m", allow_local=True) for _ in range(4)]

    async def work(number: int, repo: git.Mirror) -> None:
        for step in range(4):
            name = f"b-{number}-{step}"
            await repo.push(name, commit(repo, name.encode()), expect=None)
            await repo.fetch()

    async with asyncio.TaskGroup() as group:
        for number, repo in enumerate(mirrors):
            group.create_task(work(number, repo))
    await mirrors[0].fetch()
    assert len(mirrors[0].branches()) == 16


async def test_a_turn_that_never_comes_is_transient(tmp_path: Path) -> None:
    pygit2.init_repository(str(tmp_path / "remote.git"), bare=True)
    repo = git.Mirror(str(tmp_path / "remote.git"), tmp_path / "m", allow_local=True, timeout=0.1)
    async with exclusive.turn(tmp_path / "m", 1):
        with pytest.raises(TransientError) as busy:
            await repo.fetch()
    assert busy.value.code == "MirrorBusy"
    await git.Mirror(str(tmp_path / "remote.git"), tmp_path / "m", allow_local=True).fetch()


@pytest.mark.parametrize("damage", ["truncated object", "missing object", "broken ref", "no config", "garbage pack"])
async def test_a_damaged_mirror_is_put_aside_and_made_anew(tmp_path: Path, damage: str) -> None:
    pygit2.init_repository(str(tmp_path / "remote.git"), bare=True)
    repo = git.Mirror(str(tmp_path / "remote.git"), tmp_path / "m", allow_local=True)
    made = commit(repo, b"1")
    await repo.push("main", made, expect=None)
    blob = next(entry.id for entry in [repo.tree(made).entry("a")] if entry)
    loose = tmp_path / "m" / "objects" / blob[:2] / blob[2:]
    loose.chmod(0o644)
    if damage == "truncated object":
        loose.write_bytes(b"")
    elif damage == "missing object":
        loose.unlink()
    elif damage == "broken ref":
        (tmp_path / "m" / "refs" / "heads" / "main").write_text("1" * 40 + "\n")
    elif damage == "no config":
        (tmp_path / "m" / "HEAD").write_text("nonsense\n")
    else:
        loose.unlink()
        (tmp_path / "m" / "objects" / "pack" / "pack-x.idx").write_bytes(b"garbage")

    again = git.Mirror(str(tmp_path / "remote.git"), tmp_path / "m", allow_local=True)
    with contextlib.suppress(RefusedError):  # reading finds it, or not yet
        again.tree(made).read("a")
    await again.fetch()
    assert again.branches()["main"] == made
    assert again.tree(made).read("a") == b"1"


async def test_a_remote_crowded_with_other_refs_is_not_listed_in_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penstock.adapters.git.mirror._CROWD", 50)
    remote = pygit2.init_repository(str(tmp_path / "remote.git"), bare=True)
    repo = git.Mirror(str(tmp_path / "remote.git"), tmp_path / "m", allow_local=True)
    made = commit(repo, b"1")
    await repo.push("main", made, expect=None)
    for number in range(60):
        remote.references.create(f"refs/pull/{number}/head", made)
    asked: list[tuple[str, ...]] = []
    plain_run = command.run

    async def watched(arguments: tuple[str, ...], **more: Any) -> command.Finished:
        asked.append(arguments)
        return await plain_run(arguments, **more)

    monkeypatch.setattr(command, "run", watched)
    await repo.fetch()
    assert "--heads" not in asked[0]
    asked.clear()
    other = git.Mirror(str(tmp_path / "remote.git"), tmp_path / "other", allow_local=True)
    await other.fetch()
    await other.add_note("penstock/evidence", made, "healthy")
    asked.clear()
    await repo.fetch()
    assert all("--heads" in one for one in asked if one[0] == "ls-remote")
    assert repo.note("penstock/evidence", made) == "healthy", "notes come all the same"
    later = commit(other, b"2", made)
    await other.push("main", later, expect=made)
    await repo.fetch()
    assert repo.branches() == {"main": later}
    assert all(not name.startswith("refs/pull") for name in repo._git.listall_references())


def pem_pair(name: str, issuer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None = None) -> Any:
    """A certificate and its key, signed by the issuer or by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(
        subject_name=subject,
        issuer_name=issuer[0].subject if issuer else subject,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now - timedelta(hours=1),
        not_valid_after=now + timedelta(hours=1),
    )
    builder = builder.add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
    return builder.sign(issuer[1] if issuer else key, hashes.SHA256()), key


def pem(thing: Any) -> bytes:
    if isinstance(thing, x509.Certificate):
        return thing.public_bytes(serialization.Encoding.PEM)
    return bytes(thing.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))


async def test_tls_takes_our_certificates_and_shows_ours(tmp_path: Path) -> None:
    authority = pem_pair("authority")
    theirs, ours = pem_pair("server", authority), pem_pair("client", authority)
    for name, content in (("ca", authority[0]), ("crt", theirs[0]), ("key", theirs[1])):
        (tmp_path / name).write_bytes(pem(content))
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(tmp_path / "ca"))
    tls.load_cert_chain(tmp_path / "crt", tmp_path / "key")
    tls.verify_mode = ssl.CERT_REQUIRED
    tls.verify_flags &= ~ssl.VERIFY_X509_STRICT  # our little authority leaves out what nobody here reads

    async with forge(tmp_path / "forge") as running, aiohttp.ClientSession(auto_decompress=False) as client:

        async def proxy(request: web.Request) -> web.StreamResponse:
            headers = {
                name: value
                for name, value in request.headers.items()
                if name in ("Authorization", "Content-Type", "Git-Protocol")
            }
            url, data = f"{running.url}{request.path_qs}", await request.read()
            async with client.request(request.method, url, headers=headers, data=data) as answer:
                kept = {name: value for name, value in answer.headers.items() if name in ("Content-Type", "WWW-Authenticate")}
                return web.Response(status=answer.status, body=await answer.read(), headers=kept)

        async with server(proxy, tls) as url:
            held = git.Credentials(
                username="developer", password=running.token("developer"),
                ca=pem(authority[0]), certificate=pem(ours[0]), certificate_key=pem(ours[1]),
            )  # fmt: skip
            repo = mirror(f"{url}/platform/fleet.git", tmp_path / "m", credentials=held)
            made = commit(repo, b"1")
            await repo.push("main", made, expect=None)
            await repo.fetch()
            assert repo.branches()["main"] == made

            stranger = mirror(f"{url}/platform/fleet.git", tmp_path / "m", credentials=replace(held, ca=b""))
            with pytest.raises(RefusedError) as refused:
                await stranger.fetch()
            assert refused.value.code == "CertificateRefused"
            nobody = mirror(
                f"{url}/platform/fleet.git", tmp_path / "m", credentials=replace(held, certificate=b"", certificate_key=b"")
            )
            with pytest.raises((RefusedError, TransientError)):
                await nobody.fetch()


async def test_ssh_is_strict_and_leaves_no_key_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An ssh that writes down how it was called and then runs the command here."""
    pygit2.init_repository(str(tmp_path / "remote.git"), bare=True)
    spy = tmp_path / "bin"
    spy.mkdir()
    (spy / "ssh").write_text(
        "#!/bin/sh\n"
        f'[ "$1" = -G ] && exit 0\nprintf \'%s\\n\' "$@" >> {tmp_path}/seen\n'
        'for word; do case "$last" in -i) stat -c "%a %n" "$word" >> '
        f'{tmp_path}/seen; cat "$word" >> {tmp_path}/seen;; esac; last="$word"; done\n'
        'exec sh -c "$last"\n'
    )
    (spy / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{spy}:{os.environ['PATH']}")
    held = git.Credentials(ssh_key=b"-----BEGIN CANARY-----", known_hosts=b"host ssh-ed25519 AAAA\n")
    repo = git.Mirror(f"ssh://git@git.example.com:2222{tmp_path}/remote.git", tmp_path / "m", credentials=held)
    made = commit(repo, b"1")
    await repo.push("main", made, expect=None)
    await repo.fetch()
    assert repo.branches()["main"] == made

    seen = (tmp_path / "seen").read_text()
    for wanted in ("BatchMode=yes", "StrictHostKeyChecking=yes", "IdentitiesOnly=yes", "git@git.example.com", "2222", "CANARY"):
        assert wanted in seen, wanted
    key = next(line.split(" ", 1) for line in seen.splitlines() if line.endswith("/identity") and line[0].isdigit())
    assert key[0] == "600"
    assert not Path(key[1]).exists()


async def test_only_tips_that_no_branch_has_are_kept(tmp_path: Path) -> None:
    pygit2.init_repository(str(tmp_path / "remote.git"), bare=True)
    writer = git.Mirror(str(tmp_path / "remote.git"), tmp_path / "w", allow_local=True)
    reader = git.Mirror(str(tmp_path / "remote.git"), tmp_path / "r", allow_local=True)
    base = commit(writer, b"1")
    merged, squashed = commit(writer, b"2", base), commit(writer, b"3", base)
    for name, tip in (("main", base), ("promote/merged", merged), ("promote/squashed", squashed)):
        await writer.push(name, tip, expect=None)
    await reader.fetch()
    await writer.push("main", writer.write_commit([base, merged], {"a": b"2"}, message="merge", author=AUTHOR), expect=base)
    await writer.push("promote/merged", None, expect=merged)
    await writer.push("promote/squashed", None, expect=squashed)
    await reader.fetch()
    assert {found.branch for found in reader.rewrites} == {"promote/merged", "promote/squashed"}
    assert reader.resolve(f"refs/penstock/keep/{squashed}") == squashed
    assert reader.resolve(f"refs/penstock/keep/{merged}") is None


async def test_a_ref_that_somebody_holds_is_a_race_and_not_a_refusal(tmp_path: Path) -> None:
    pygit2.init_repository(str(tmp_path / "remote.git"), bare=True)
    repo = git.Mirror(str(tmp_path / "remote.git"), tmp_path / "m", allow_local=True)
    first = commit(repo, b"1")
    await repo.push("main", first, expect=None)
    lock = tmp_path / "remote.git" / "refs" / "heads" / "main.lock"
    lock.touch()
    second = commit(repo, b"2", first)
    with pytest.raises(RaceError) as race:
        await repo.push("main", second, expect=first)
    assert race.value.code == "RefMoved"
    lock.unlink()
    await repo.push("main", second, expect=first)
    assert repo.branches()["main"] == second
