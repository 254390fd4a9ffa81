"""Source artifacts as Flux serves them: a tar.gz of the files, its digest, and an HTTP server that hands it out.

In: a tree and a revision. Out: the `status.artifact` of a source, and the file under its URL. Archives are cache: they
are made again from Git when they are missing. The other way round, `fetch` reads an artifact that another Flux
controller serves, and believes it only when its digest is right.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import posixpath
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.model.errors import PenstockError, RefusedError, TransientError
from penstock.model.tree import MemoryTree, Tree

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiohttp import web

_LARGEST_BYTES = 512 * 1024 * 1024
_MOST_FILES = 200_000
_LINK_HOPS = 8
_HASHES = ("sha256", "sha384", "sha512")
_KEPT = 2
"""Archives per source: the one announced, and the one before it that somebody may be reading."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """What `status.artifact` says."""

    revision: str
    digest: str
    """'sha256:<hex>' of the archive."""
    path: str
    url: str
    size_bytes: int
    updated: str

    def manifest(self) -> dict[str, Any]:
        """The artifact as it stands in a status."""
        return {
            "digest": self.digest,
            "lastUpdateTime": self.updated,
            "path": self.path,
            "revision": self.revision,
            "size": self.size_bytes,
            "url": self.url,
        }


class StorageError(PenstockError):
    """An artifact cannot be made; `code` is the condition's reason."""


class Storage:
    """Archives in one folder, served below `base_url`."""

    def __init__(self, folder: Path, base_url: str = "http://source-controller.flux-system.svc.cluster.local.") -> None:
        self.folder = folder
        self.base_url = base_url.rstrip("/")
        self._hashed: dict[str, tuple[int, int, str]] = {}
        """Of each archive that was looked at: its time, its size, its digest."""
        folder.mkdir(parents=True, exist_ok=True)

    def store(self, namespace: str, name: str, revision: str, commit: str, tree: Tree, updated: str) -> Artifact:
        """Archive a tree. Slow (it reads every file): call it away from the loop."""
        content = archive(tree)
        path = f"gitrepository/{namespace}/{name}/{commit}.tar.gz"
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_suffix(".part")
        part.write_bytes(content)
        part.replace(target)
        for old in sorted(target.parent.glob("*.tar.gz"), key=lambda each: each.stat().st_mtime, reverse=True)[_KEPT:]:
            old.unlink(missing_ok=True)
        return Artifact(
            revision=revision,
            digest="sha256:" + hashlib.sha256(content).hexdigest(),
            path=path,
            url=f"{self.base_url}/{path}",
            size_bytes=len(content),
            updated=updated,
        )

    def holds(self, artifact: Mapping[str, Any]) -> bool:
        """Whether an announced artifact is here, under this URL, of this size."""
        path = str(artifact.get("path") or "")
        target = self.folder / path
        if not path or not _inside(path) or artifact.get("url") != f"{self.base_url}/{path}":
            return False
        return target.is_file() and target.stat().st_size == artifact.get("size")

    def sound(self, artifact: Mapping[str, Any]) -> bool:
        """Whether an archive that is here has the digest that was announced. Slow the first time: it reads the file."""
        path = str(artifact.get("path") or "")
        target = self.folder / path
        try:
            found = target.stat()
            known = self._hashed.get(path)
            if known is None or known[:2] != (found.st_mtime_ns, found.st_size):
                with target.open("rb") as file:
                    digest = "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
                known = self._hashed[path] = (found.st_mtime_ns, found.st_size, digest)
        except OSError:
            return False
        return known[2] == artifact.get("digest")

    def load(self, artifact: Mapping[str, Any]) -> Tree | None:
        """The files of an announced artifact, None when its archive is not here or not what was announced. Slow."""
        path = str(artifact.get("path") or "")
        if not path or not _inside(path) or not self.sound(artifact):
            return None
        try:
            return unpack((self.folder / path).read_bytes())
        except (OSError, RefusedError):
            return None

    def remove(self, namespace: str, name: str) -> None:
        """Remove the archives of a source that is deleted."""
        folder = self.folder / "gitrepository" / namespace / name
        for each in folder.glob("*"):
            each.unlink(missing_ok=True)
        if folder.is_dir():
            folder.rmdir()


@asynccontextmanager
async def serve(storage: Storage, host: str | None = "127.0.0.1", port: int = 0, advertise: str = "") -> AsyncIterator[str]:
    """Serve the archives; gives the base URL and puts it into the storage. `advertise`: the host (and port) under which
    others reach it, where that is another than it listens on; `host` None listens on every interface."""
    from aiohttp import web

    async def handle(request: web.Request) -> web.StreamResponse:
        path = request.match_info["path"]
        target = storage.folder / path
        if not _inside(path) or not path.endswith(".tar.gz") or not target.is_file():
            raise web.HTTPNotFound
        return web.FileResponse(target, headers={"Content-Type": "application/gzip"})

    app = web.Application()
    app.router.add_get("/{path:.+}", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        address = runner.addresses[0]
        storage.base_url = f"http://{advertise or f'{host or "127.0.0.1"}:{address[1]}'}"
        yield storage.base_url
    finally:
        await runner.cleanup()


def archive(tree: Tree) -> bytes:
    """The files of a tree as tar.gz; the same tree gives the same bytes. Raises StorageError when it is too big.

    Links that lead to a file or folder of the tree are archived as what they lead to, all others are left out: nobody who
    unpacks an artifact should follow a link of somebody's choosing.
    """
    buffer, total = io.BytesIO(), 0
    with (
        gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=3, mtime=0) as zipped,
        # GNU's form takes names of any bytes and any length, and costs half of what pax headers do
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.GNU_FORMAT) as tar,
    ):
        for count, (path, content, executable) in enumerate(_files(tree, "", "", 0)):
            total += len(content)
            if total > _LARGEST_BYTES or count >= _MOST_FILES:
                raise StorageError("unable to archive artifact to storage: too big", code="ArchiveOperationFailed")
            info = tarfile.TarInfo(path)
            info.size = len(content)
            info.mode = 0o700 if executable else 0o600
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def _files(tree: Tree, folder: str, shown: str, links: int) -> Iterator[tuple[str, bytes, bool]]:
    """The files of a folder, under the path it is shown as; `links` counts the links on the way, so that a ring ends."""
    for name in tree.names(folder):
        path, as_path = _join(folder, name), _join(shown, name)
        hops = links
        while (entry := tree.entry(path)) is not None and entry.kind == "symlink":
            hops += 1
            target = posixpath.normpath(posixpath.join(posixpath.dirname(path), tree.read(path).decode(errors="replace")))
            if hops > _LINK_HOPS or not _inside(target) or target == "." or f"{path}/".startswith(f"{target}/"):
                entry = None
                break
            path = target
        if entry is None:
            continue
        if entry.kind == "directory":
            yield from _files(tree, path, as_path, hops)
        elif entry.kind == "file":
            yield as_path, tree.read(path), entry.executable


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


class _Limited(io.RawIOBase):
    """Reads no more than a limit out of a stream, however much a few bytes of it swell to."""

    def __init__(self, stream: gzip.GzipFile, limit: int) -> None:
        self._stream = stream
        self._left = limit

    def read(self, size: int = -1) -> bytes:
        found = self._stream.read(min(size, self._left + 1) if size >= 0 else self._left + 1)
        self._left -= len(found)
        if self._left < 0:
            raise RefusedError("the artifact is too big", code="ArtifactInvalid")
        return found


def unpack(content: bytes) -> MemoryTree:
    """The files of an artifact; links are left out. Raises RefusedError for an archive that is not one, is too big, holds
    what no repository does, or leaves its folder."""
    files: dict[str, bytes | str] = {}
    folders: set[str] = set()
    try:
        with (
            gzip.GzipFile(fileobj=io.BytesIO(content)) as zipped,
            tarfile.open(fileobj=_Limited(zipped, _LARGEST_BYTES), mode="r|") as tar,
        ):
            for count, member in enumerate(tar):
                if count >= _MOST_FILES:
                    raise RefusedError("the artifact has too many files", code="ArtifactInvalid")
                path = _member_path(member.name)
                if path == "." or member.isdir() or member.issym() or member.islnk():
                    continue
                if not member.isfile():
                    raise RefusedError("the artifact holds something that is no file", code="ArtifactInvalid")
                above = {path[:at] for at in range(len(path)) if path[at] == "/"}
                if path in folders or path in files or above & files.keys():
                    raise RefusedError("the artifact has two things at one path", code="ArtifactInvalid")
                folders |= above
                reader = tar.extractfile(member)
                files[path] = reader.read() if reader is not None else b""
    except (tarfile.TarError, EOFError, OSError, zlib.error, ValueError, OverflowError):
        raise RefusedError("the artifact is not a tar.gz", code="ArtifactInvalid") from None
    return MemoryTree(files)


def _member_path(name: str) -> str:
    if not name or name.startswith("/") or "\\" in name or "\0" in name or ".." in name.split("/"):
        raise RefusedError("the artifact has a path outside its folder", code="ArtifactInvalid")
    return posixpath.normpath(name)


async def fetch(artifact: Mapping[str, Any], *, seconds: float = 60.0) -> Tree:
    """The files of an artifact another controller serves. Raises RefusedError (digest, format), TransientError (404 too:
    a source announces before it stores)."""
    import asyncio

    import aiohttp

    url, digest = str(artifact.get("url") or ""), str(artifact.get("digest") or "")
    if not url.startswith(("http://", "https://")):
        raise RefusedError("the artifact has no usable URL", code="ArtifactInvalid")
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=seconds)) as session,
            session.get(url, allow_redirects=False) as response,
        ):
            if response.status != 200:
                raise TransientError(f"the artifact is not there yet (HTTP {response.status})", code="ArtifactNotFound")
            content = bytearray()
            async for chunk in response.content.iter_chunked(1 << 20):
                content += chunk
                if len(content) > _LARGEST_BYTES:
                    raise RefusedError("the artifact is too big", code="ArtifactInvalid")
    except (aiohttp.ClientError, TimeoutError) as error:
        raise TransientError(f"cannot fetch the artifact ({type(error).__name__})", code="NoAnswer") from None
    algorithm = digest.partition(":")[0]
    if algorithm not in _HASHES or digest != f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}":
        raise RefusedError("the artifact's digest is not the announced one", code="ArtifactInvalid")
    return await asyncio.to_thread(unpack, bytes(content))


def _inside(path: str) -> bool:
    normal = posixpath.normpath(path)
    return not normal.startswith(("/", "../")) and normal != ".."
