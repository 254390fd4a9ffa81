"""Artifacts: what others may take from us, and what we take from others."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import os
import tarfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from penstock.controllers import artifacts
from penstock.controllers.artifacts import Storage, StorageError
from penstock.model.errors import RefusedError, TransientError
from penstock.model.tree import MemoryTree

NOW = "2026-03-02T14:00:00Z"


def tar(*members: tuple[tarfile.TarInfo, bytes], **options: object) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", **options) as made:  # type: ignore[call-overload]
        for info, content in members:
            info.size = len(content) if info.isreg() else 0
            made.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def file(name: str, content: bytes = b"x", kind: bytes = tarfile.REGTYPE, link: str = "") -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info, content


@pytest.mark.parametrize(
    "name", ["../x", "a/../../x", "/etc/passwd", "a/..", "..", "a/../b", "a\\..\\b", "./../x", "//x", "a/b/../../../c"]
)
def test_a_path_that_could_leave_its_folder_is_refused(name: str) -> None:
    with pytest.raises(RefusedError) as refused:
        artifacts.unpack(tar(file("good"), file(name)))
    assert refused.value.code == "ArtifactInvalid"


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_what_is_no_file_is_refused(kind: bytes) -> None:
    with pytest.raises(RefusedError, match="no file"):
        artifacts.unpack(tar(file("dev", b"", kind)))


@pytest.mark.parametrize("link", ["/etc/passwd", "../../etc/passwd", "a.yaml", ".", "link"])
@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_links_are_left_out_wherever_they_lead(kind: bytes, link: str) -> None:
    found = artifacts.unpack(tar(file("a.yaml"), file("link", b"", kind, link)))
    assert found.names("") == ("a.yaml",)


def test_a_file_behind_a_link_is_only_a_file() -> None:
    """Nothing is ever written to a disk, so a link that stands for a folder leads nowhere."""
    found = artifacts.unpack(tar(file("link", b"", tarfile.SYMTYPE, "/tmp"), file("link/x", b"inside")))
    assert found.read("link/x") == b"inside"


@pytest.mark.parametrize("names", [("a", "a"), ("a", "a/b"), ("a/b", "a"), ("a", "./a")])
def test_two_things_at_one_path_are_refused(names: tuple[str, str]) -> None:
    with pytest.raises(RefusedError, match="two things"):
        artifacts.unpack(tar(*(file(name) for name in names)))


def test_a_bomb_ends_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifacts, "_LARGEST_BYTES", 1 << 20)
    with pytest.raises(RefusedError, match="too big"):
        artifacts.unpack(tar(file("zeros", b"\0" * (16 << 20))))
    assert artifacts.unpack(gzip.compress(b"\0" * (16 << 20))).names("") == (), "what comes after the end is not read"
    info, _ = file("liar")
    info.size = 1 << 40
    with pytest.raises(RefusedError):
        artifacts.unpack(gzip.compress(info.tobuf() + b"\0" * 4096))
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, 1 << 33
    with pytest.raises(RefusedError):
        artifacts.unpack(gzip.compress(header.tobuf() + b"\0" * (4 << 20)))
    monkeypatch.setattr(artifacts, "_MOST_FILES", 100)
    with pytest.raises(RefusedError, match="too many"):
        artifacts.unpack(tar(*(file(f"f{number}", b"") for number in range(101))))


def test_what_is_cut_short_or_garbage_is_refused() -> None:
    whole = tar(file("a", os.urandom(5000)))
    for content in (b"", b"x", whole[:-20], whole[:100], whole[:50] + b"\0" * 50 + whole[100:], gzip.compress(b"hello" * 1000)):
        with pytest.raises(RefusedError):
            artifacts.unpack(content)


def test_the_archive_is_what_git_has_with_modes_and_links_resolved() -> None:
    tree = MemoryTree(
        {
            "a.yaml": b"a",
            "dir/b.yaml": b"b",
            "link.yaml": "a.yaml",
            "again.yaml": "link.yaml",
            "folder": "dir",
            "up/c.yaml": "../a.yaml",
            "loop": "loop",
            "ring/inside": "../ring",
            "out": "../../etc/passwd",
            "absolute": "/etc/passwd",
            "dangling": "nowhere",
        }
    )
    with tarfile.open(fileobj=io.BytesIO(artifacts.archive(tree)), mode="r:gz") as made:
        found = {member.name: made.extractfile(member).read() for member in made}  # type: ignore[union-attr]
        assert all((member.uid, member.gid, member.uname, member.mtime, member.mode) == (0, 0, "", 0, 0o600) for member in made)
    a, b = b"a", b"b"
    assert found == {
        "a.yaml": a, "again.yaml": a, "dir/b.yaml": b, "folder/b.yaml": b, "link.yaml": a, "up/c.yaml": a,
    }  # fmt: skip


def test_names_of_any_bytes_and_length_survive() -> None:
    deep = "/".join(["d" * 200] * 20)
    files: dict[str, bytes | str] = {"caf\udce9.yaml": b"1", "\N{ROCKET}.yaml": b"2", f"{deep}/x.yaml": b"3", "a b\tc.yaml": b"4"}
    back = artifacts.unpack(artifacts.archive(MemoryTree(files)))
    assert {path: back.read(path) for path in files} == files


def test_a_tree_too_big_for_an_archive_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifacts, "_LARGEST_BYTES", 10)
    with pytest.raises(StorageError):
        artifacts.archive(MemoryTree({"a": b"x" * 11}))


def test_old_archives_go_and_the_same_tree_has_the_same_bytes(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    made = [
        storage.store("ns", "name", f"main@sha1:{number}", str(number) * 40, MemoryTree({"a": b"x"}), NOW) for number in range(5)
    ]
    assert len(list((tmp_path / "gitrepository" / "ns" / "name").iterdir())) == 2
    assert len({each.digest for each in made}) == 1
    assert storage.holds(made[-1].manifest())
    assert storage.sound(made[-1].manifest())
    assert storage.load(made[-1].manifest()).read("a") == b"x"  # type: ignore[union-attr]
    assert not storage.holds(made[0].manifest())
    assert storage.load(made[0].manifest()) is None
    path = tmp_path / made[-1].path
    path.write_bytes(b"x" * path.stat().st_size)
    assert not storage.sound(made[-1].manifest())
    storage.remove("ns", "name")
    assert not path.exists()


async def test_the_archives_are_served_and_nothing_else(tmp_path: Path) -> None:
    storage = Storage(tmp_path / "storage")
    (tmp_path / "secret.tar.gz").write_text("secret")
    (tmp_path / "storage" / "notes.txt").write_text("notes")
    async with artifacts.serve(storage) as url, aiohttp.ClientSession() as client:
        made = storage.store("ns", "name", "main@sha1:1", "1" * 40, MemoryTree({"a": b"x"}), NOW)
        assert made.url == f"{url}/gitrepository/ns/name/{'1' * 40}.tar.gz"
        async with client.get(made.url) as answer:
            content = await answer.read()
            assert "sha256:" + hashlib.sha256(content).hexdigest() == made.digest
            assert len(content) == made.size_bytes
        for path in (
            "/notes.txt",
            "/../secret.tar.gz",
            "/%2e%2e/secret.tar.gz",
            "/gitrepository/..%2f..%2f..%2fsecret.tar.gz",
            "/",
        ):
            async with client.get(aiohttp.client.URL(url + path, encoded=True)) as answer:
                assert answer.status in (400, 404), path
                assert b"secret" not in await answer.read()


@contextlib.asynccontextmanager
async def serving(answer: Callable[[web.Request], web.Response]) -> AsyncIterator[str]:
    app = web.Application()

    async def handle(request: web.Request) -> web.Response:
        return answer(request)

    app.router.add_get("/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/a.tar.gz"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
async def test_an_artifact_with_its_digest_is_taken(algorithm: str) -> None:
    content = tar(file("a.yaml", b"a"))
    async with serving(lambda _: web.Response(body=content)) as url:
        digest = f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"
        assert (await artifacts.fetch({"url": url, "digest": digest})).read("a.yaml") == b"a"


@pytest.mark.parametrize(
    "digest", ["", "sha256:", "sha256:" + "0" * 64, "md5:" + "0" * 32, "sha1:" + "0" * 40, "SHA256:x", "crc32:0"]
)
async def test_an_artifact_with_another_digest_is_refused(digest: str) -> None:
    async with serving(lambda _: web.Response(body=tar(file("a.yaml")))) as url:
        with pytest.raises(RefusedError) as refused:
            await artifacts.fetch({"url": url, "digest": digest})
    assert refused.value.code == "ArtifactInvalid"


async def test_an_artifact_that_is_not_there_yet_is_tried_again_and_a_redirect_is_not_followed() -> None:
    for status in (404, 500, 503):
        async with serving(lambda _, status=status: web.Response(status=status)) as url:  # type: ignore[misc]
            with pytest.raises(TransientError):
                await artifacts.fetch({"url": url, "digest": "sha256:0"})
    async with serving(lambda _: web.Response(status=302, headers={"Location": "http://169.254.169.254/"})) as url:
        with pytest.raises(TransientError):
            await artifacts.fetch({"url": url, "digest": "sha256:0"})
    with pytest.raises(TransientError):
        await artifacts.fetch({"url": url, "digest": "sha256:0"})
    for url in ("", "file:///etc/passwd", "ftp://x/y", "gopher://x"):
        with pytest.raises(RefusedError):
            await artifacts.fetch({"url": url, "digest": "sha256:0"})
