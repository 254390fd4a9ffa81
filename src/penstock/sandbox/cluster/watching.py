"""Watches: changes as they happen, to everybody who asked for them.

In: the store's changes. Out: one stream of JSON events per watcher, with bookmarks. An object that starts or stops
matching a watcher's selectors is ADDED or DELETED for it. A watcher that falls too far behind, or asks for a revision
older than the change log, is told 410 and lists again.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from penstock.sandbox.cluster import listing, status, tables
from penstock.sandbox.cluster.api import Api
from penstock.sandbox.cluster.selectors import Predicate
from penstock.sandbox.cluster.store import Change, CompactedError, Manifest

if TYPE_CHECKING:
    from penstock.sandbox.cluster.http import Request

log = logging.getLogger(__name__)
BOOKMARK_SECONDS = 30.0
_QUEUE_LENGTH = 10_000
_CLOSE = None


class _Watcher:
    """One open watch: what it wants, and what it has not been sent yet."""

    def __init__(self, request: Request, matches: Predicate, view: listing.View) -> None:
        self.resource = request.kind.key
        self.kind = request.kind
        self.namespace = request.namespace
        self.matches = matches
        self.view = view
        self.include_object = request.option("includeObject") or "Metadata"
        self.headed = False
        self.heard = 0
        """The revision up to which the backlog has told everything; the store tells changes only when they are on disk."""
        self.queue: asyncio.Queue[bytes | None] = asyncio.Queue(_QUEUE_LENGTH)

    def offer(self, change: Change) -> None:
        """Queue a change if it concerns this watcher; close it when it cannot keep up."""
        if (
            change.revision <= self.heard
            or change.resource != self.resource
            or (self.namespace and change.namespace != self.namespace)
        ):
            return
        try:
            for line in self.lines(change):
                self.queue.put_nowait(line)
        except asyncio.QueueFull:
            self.close()

    def close(self) -> None:
        """End the stream, dropping what was not sent."""
        while not self.queue.empty():
            self.queue.get_nowait()
        self.queue.put_nowait(_CLOSE)

    def lines(self, change: Change) -> Iterator[bytes]:
        now = change.kind != "DELETED" and self.matches(change.manifest)
        before = change.previous is not None and self.matches(change.previous)
        if now:
            yield self.event("MODIFIED" if before else "ADDED", change.manifest)
        elif before:
            gone = change.manifest
            if change.kind != "DELETED":
                # It left the selection: the watcher gets its last matching state, at the revision of the change.
                assert change.previous is not None
                metadata = {**change.previous["metadata"], "resourceVersion": str(change.revision)}
                gone = {**change.previous, "metadata": metadata}
            yield self.event("DELETED", gone)

    def event(self, kind: str, manifest: Manifest) -> bytes:
        shown: Any = {**manifest, "apiVersion": self.kind.api_version, "kind": self.kind.kind}
        if self.view == "metadata":
            shown = listing.partial(shown)
        elif self.view == "table":
            version = manifest["metadata"]["resourceVersion"]
            shown = tables.table(self.kind, [shown], self.include_object, version, headed=not self.headed)
            self.headed = True
        return msgspec.json.encode({"type": kind, "object": shown}) + b"\n"

    def bookmark(self, revision: int, *, initial_end: bool = False) -> bytes:
        metadata: dict[str, Any] = {"resourceVersion": str(revision)}
        if initial_end:
            metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
        body: Manifest = {"kind": self.kind.kind, "apiVersion": self.kind.api_version, "metadata": metadata}
        if self.view == "metadata":
            body |= {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}
        if self.view == "table":
            body = tables.table(self.kind, [], self.include_object, str(revision), headed=False)
        return msgspec.json.encode({"type": "BOOKMARK", "object": body}) + b"\n"


class Hub:
    """All open watches of one cluster."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._watchers: set[_Watcher] = set()
        api.store.listen(self._tell)

    def _tell(self, change: Change) -> None:
        for watcher in self._watchers:
            try:
                watcher.offer(change)
            except Exception:
                # One stream that cannot show an object must not keep the others from hearing of it.
                log.exception("sandbox watch: %s %s/%s", change.resource, change.namespace, change.name)
                watcher.close()

    def close(self) -> None:
        """End every stream: the server is going down."""
        for watcher in self._watchers:
            watcher.close()

    def __len__(self) -> int:
        """How many watches are open."""
        return len(self._watchers)

    async def stream(self, request: Request) -> web.StreamResponse:
        """Answer one watch request until its time is over, the client leaves, or the server stops."""
        view = listing.view_of(request.web.headers.get("Accept", ""))
        watcher = _Watcher(request, listing.matcher(request.kind, request.web.query), view)
        backlog = list(self._backlog(request, watcher))
        # From here to the registration nothing awaits: no change can fall between the backlog and the queue.
        watcher.heard = self._api.store.revision
        self._watchers.add(watcher)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.enable_chunked_encoding()
        try:
            await response.prepare(request.web)
            for start in range(0, len(backlog), 100):
                await response.write(b"".join(backlog[start : start + 100]))
            await self._pump(request, watcher, response)
        except ConnectionResetError:
            pass
        finally:
            self._watchers.discard(watcher)
        return response

    async def _pump(self, request: Request, watcher: _Watcher, response: web.StreamResponse) -> None:
        loop = asyncio.get_running_loop()
        wanted = float(request.option("timeoutSeconds") or 0) or random.uniform(1800, 3600)  # noqa: S311 - spreads reconnects
        deadline = loop.time() + wanted
        while (left := deadline - loop.time()) > 0:
            try:
                line = await asyncio.wait_for(watcher.queue.get(), min(left, BOOKMARK_SECONDS))
            except TimeoutError:
                if request.web.transport is None or request.web.transport.is_closing():
                    # The client left without a word; nothing we write would tell us, because we write nothing.
                    return
                if request.flag("allowWatchBookmarks"):
                    await response.write(watcher.bookmark(self._api.store.revision))
                continue
            lines = []
            while line is not _CLOSE:
                lines.append(line)
                if watcher.queue.empty():
                    break
                line = watcher.queue.get_nowait()
            if lines:
                await response.write(b"".join(lines))
            if line is _CLOSE:
                return
        if request.flag("allowWatchBookmarks"):
            await response.write(watcher.bookmark(self._api.store.revision))

    def _backlog(self, request: Request, watcher: _Watcher) -> Iterator[bytes]:
        """What the watcher has to hear first: the present state, or the changes since its revision."""
        store = self._api.store
        sent = request.option("resourceVersion")
        initial = request.option("sendInitialEvents")
        if sent and not sent.isdigit():
            words = f'resourceVersion: Invalid value: "{sent}": strconv.ParseUint: parsing "{sent}": invalid syntax'
            raise status.ApiError(500, "", words)
        revision = int(sent or 0)
        if revision > store.revision:
            raise listing.too_large(revision, self._api)
        if initial == "true" or (not revision and initial != "false"):
            for manifest in store.objects(watcher.resource, watcher.namespace):
                if watcher.matches(manifest):
                    yield watcher.event("ADDED", manifest)
            if initial == "true" and request.flag("allowWatchBookmarks"):
                yield watcher.bookmark(store.revision, initial_end=True)
            return
        if initial == "false" and not revision:
            return
        try:
            changes = store.since(revision)
        except CompactedError:
            # On an open stream the real server sends this as an ERROR event, with HTTP 200.
            error = listing.too_old(revision, self._api)
            yield msgspec.json.encode({"type": "ERROR", "object": error.status()}) + b"\n"
            watcher.queue.put_nowait(_CLOSE)
            return
        for change in changes:
            if change.resource == watcher.resource and watcher.namespace in ("", change.namespace):
                yield from watcher.lines(change)
