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
from collections.abc import Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.model.errors import RefusedError, TransientError
from penstock.model.tree import MemoryTree, Tree

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiohttp import web

_LARGEST_BYTES = 512 * 1024 * 1024
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


class Storage:
    """Archives in one folder, served below `base_url`."""

    def __init__(self, folder: Path, base_url: str = "http://source-controller.flux-system.svc.cluster.local.") -> None:
        self.folder = folder
        self.base_url = base_url.rstrip("/")
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

    def remove(self, namespace: str, name: str) -> None:
        """Remove the archives of a source that is deleted."""
        folder = self.folder / "gitrepository" / namespace / name
        for each in folder.glob("*"):
            each.unlink(missing_ok=True)
        if folder.is_dir():
            folder.rmdir()


@asynccontextmanager
async def serve(storage: Storage, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serve the archives; gives the base URL and puts it into the storage."""
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
        storage.base_url = f"http://{host}:{address[1]}"
        yield storage.base_url
    finally:
        await runner.cleanup()


def archive(tree: Tree) -> bytes:
    """The files of a tree as tar.gz; the same tree gives the same bytes.

    Links that lead to a file of the tree are archived as that file, all others are left out: nobody who unpacks an
    artifact should follow a link of somebody's choosing.
    """
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=3, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w") as tar,
    ):
        for path, content, executable in _files(tree, ""):
            info = tarfile.TarInfo(path)
            info.size = len(content)
            info.mode = 0o700 if executable else 0o600
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def _files(tree: Tree, folder: str) -> Iterator[tuple[str, bytes, bool]]:
    for name in tree.names(folder):
        path = f"{folder}/{name}" if folder else name
        entry = tree.entry(path)
        if entry is None:
            continue
        if entry.kind == "directory":
            yield from _files(tree, path)
        elif entry.kind == "file":
            yield path, tree.read(path), entry.executable
        elif entry.kind == "symlink":
            target = posixpath.normpath(posixpath.join(folder, tree.read(path).decode(errors="replace")))
            found = tree.entry(target) if _inside(target) else None
            if found is not None and found.kind == "file":
                yield path, tree.read(target), found.executable


def unpack(content: bytes) -> MemoryTree:
    """The files of an artifact. Raises RefusedError for an archive that is not one, is too big or leaves its folder."""
    files: dict[str, bytes | str] = {}
    total = 0
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as tar:
            for member in tar:
                path = posixpath.normpath(member.name)
                if not member.isfile() or path == ".":
                    continue
                if not _inside(path):
                    raise RefusedError("the artifact has a path outside its folder", code="ArtifactInvalid")
                total += member.size
                if total > _LARGEST_BYTES:
                    raise RefusedError("the artifact is too big", code="ArtifactInvalid")
                reader = tar.extractfile(member)
                files[path] = reader.read() if reader is not None else b""
    except (tarfile.TarError, EOFError, OSError):
        raise RefusedError("the artifact is not a tar.gz", code="ArtifactInvalid") from None
    return MemoryTree(files)


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
            content = await response.content.read(_LARGEST_BYTES + 1)
            while chunk := await response.content.read(_LARGEST_BYTES + 1 - len(content)):
                content += chunk
    except (aiohttp.ClientError, TimeoutError) as error:
        raise TransientError(f"cannot fetch the artifact ({type(error).__name__})", code="NoAnswer") from None
    if digest != "sha256:" + hashlib.sha256(content).hexdigest():
        raise RefusedError("the artifact's digest is not the announced one", code="ArtifactInvalid")
    return await asyncio.to_thread(unpack, content)


def _inside(path: str) -> bool:
    normal = posixpath.normpath(path)
    return not normal.startswith(("/", "../")) and normal != ".."
