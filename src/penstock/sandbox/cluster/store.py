"""Where objects live: one table of objects, one rising revision, one change log, in one SQLite file.

In: objects as plain JSON mappings, already validated. Out: the same with their resourceVersion, and a `Change` for
everybody who listens. A write is on disk (WAL, synchronous=FULL) and listeners hear of it when the present turn of the event
loop ends; who acknowledges it awaits `durable()` first, so what was acknowledged survives SIGKILL. Everything is also held in
memory: reads never touch the disk. Stored objects are shared: never change one in place.
"""

from __future__ import annotations

import asyncio
import bisect
import contextlib
import sqlite3
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

Manifest = dict[str, Any]
ChangeKind = Literal["ADDED", "MODIFIED", "DELETED"]
LOG_LENGTH = 20_000
"""Changes a watcher may be behind before it is told to list again (410)."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
    resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (resource, namespace, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS changes (
    revision INTEGER PRIMARY KEY, kind TEXT NOT NULL, resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
    body BLOB NOT NULL, previous BLOB);
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One write: the object after it (before it, for a deletion, with the revision of the deletion)."""

    revision: int
    kind: ChangeKind
    resource: str
    namespace: str
    name: str
    manifest: Manifest
    previous: Manifest | None


class CompactedError(Exception):
    """The revision asked for is older than the change log."""


class Store:
    """All objects of one cluster."""

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=FULL")
        self._database.executescript(_SCHEMA)
        self._objects: dict[str, dict[tuple[str, str], Manifest]] = {}
        self._order: dict[str, list[tuple[str, str]]] = {}
        self._log: deque[Change] = deque()
        self._listeners: list[Callable[[Change], None]] = []
        self._batch = 0
        self._open = False
        self._scheduled = False
        self._committed: asyncio.Future[None] | None = None
        self._pending: list[Change] = []
        self.revision = 1
        self._load()

    def _load(self) -> None:
        for resource, namespace, name, body in self._database.execute("SELECT resource, namespace, name, body FROM objects"):
            self._objects.setdefault(resource, {})[(namespace, name)] = msgspec.json.decode(body)
        for resource, objects in self._objects.items():
            self._order[resource] = sorted(objects)
        for row in self._database.execute("SELECT * FROM changes ORDER BY revision"):
            revision, kind, resource, namespace, name, body, previous = row
            self._log.append(
                Change(
                    revision=revision,
                    kind=kind,
                    resource=resource,
                    namespace=namespace,
                    name=name,
                    manifest=msgspec.json.decode(body),
                    previous=msgspec.json.decode(previous) if previous else None,
                )
            )
        if self._log:
            self.revision = self._log[-1].revision

    def close(self) -> None:
        self._commit()
        self._database.close()

    # ---------------------------------------------------------------------------------------------- reading

    def get(self, resource: str, namespace: str, name: str) -> Manifest | None:
        return self._objects.get(resource, {}).get((namespace, name))

    def objects(self, resource: str, namespace: str = "") -> list[Manifest]:
        """Objects in (namespace, name) order; of every namespace with ''."""
        objects = self._objects.get(resource, {})
        keys = self._order.get(resource, [])
        if namespace:
            first = bisect.bisect_left(keys, (namespace, ""))
            last = bisect.bisect_left(keys, (namespace + "\0", ""))
            keys = keys[first:last]
        return [objects[key] for key in keys]

    def objects_at(self, resource: str, namespace: str, revision: int) -> list[Manifest]:
        """The list as it was at an older revision. Raises CompactedError when the log does not reach back so far."""
        found = {key: value for key, value in self._objects.get(resource, {}).items() if not namespace or key[0] == namespace}
        for change in self.since(revision)[::-1]:
            if change.resource != resource or (namespace and change.namespace != namespace):
                continue
            key = (change.namespace, change.name)
            if change.previous is None:
                found.pop(key, None)
            else:
                found[key] = change.previous
        return [found[key] for key in sorted(found)]

    def resources(self) -> list[str]:
        """Keys of the resources that have objects."""
        return [resource for resource, objects in self._objects.items() if objects]

    def since(self, revision: int) -> list[Change]:
        """Changes after a revision, oldest first. Raises CompactedError when some are no longer known."""
        if revision >= self.revision:
            return []
        if self._log and revision < self._log[0].revision - 1:
            raise CompactedError(self._log[0].revision - 1)
        changes = []
        for change in reversed(self._log):
            if change.revision <= revision:
                break
            changes.append(change)
        return changes[::-1]

    def listen(self, listener: Callable[[Change], None]) -> Callable[[], None]:
        """Call `listener` after every change, in order; the answer stops it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    # ---------------------------------------------------------------------------------------------- writing

    def put(self, resource: str, manifest: Manifest) -> Manifest:
        """Store a new state of an object; its metadata.resourceVersion is set here."""
        metadata = manifest["metadata"]
        namespace, name = metadata.get("namespace", ""), metadata["name"]
        previous = self.get(resource, namespace, name)
        revision = self.revision + 1
        manifest = {**manifest, "metadata": {**metadata, "resourceVersion": str(revision)}}
        self._write(
            Change(
                revision=revision,
                kind="MODIFIED" if previous else "ADDED",
                resource=resource,
                namespace=namespace,
                name=name,
                manifest=manifest,
                previous=previous,
            )
        )
        return manifest

    def delete(self, resource: str, namespace: str, name: str) -> Manifest | None:
        """Remove an object; its last state, with the revision of the deletion."""
        previous = self.get(resource, namespace, name)
        if previous is None:
            return None
        revision = self.revision + 1
        manifest = {**previous, "metadata": {**previous["metadata"], "resourceVersion": str(revision)}}
        self._write(
            Change(
                revision=revision,
                kind="DELETED",
                resource=resource,
                namespace=namespace,
                name=name,
                manifest=manifest,
                previous=previous,
            )
        )
        return manifest

    @contextlib.contextmanager
    def batch(self) -> Iterator[None]:
        """Writes inside reach the disk together, at the end; listeners hear of them then."""
        self._begin()
        self._batch += 1
        try:
            yield
        finally:
            # An exception inside leaves the writes made before it: each of them was valid by itself.
            self._batch -= 1
            self._end()

    async def durable(self) -> None:
        """Return when everything written so far is on disk: only then may it be acknowledged."""
        if self._open:
            if self._committed is None:
                self._committed = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._committed)

    def _write(self, change: Change) -> None:
        self._begin()
        self._record(change)
        self._remember(change)
        self._pending.append(change)
        self._end()

    def _begin(self) -> None:
        if not self._open:
            self._database.execute("BEGIN IMMEDIATE")
            self._open = True

    def _end(self) -> None:
        """Commit now, or with whatever else this turn of the event loop writes: a disk flush costs more than a write."""
        if self._batch:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._commit()
            return
        if not self._scheduled:
            self._scheduled = True
            loop.call_soon(self._commit)

    def _commit(self) -> None:
        self._scheduled = False
        if not self._open or self._batch:
            return
        self._database.execute("COMMIT")
        self._open = False
        if self._committed is not None and not self._committed.done():
            self._committed.set_result(None)
        self._committed = None
        pending, self._pending = self._pending, []
        for change in pending:
            for listener in list(self._listeners):
                listener(change)

    def _record(self, change: Change) -> None:
        body = msgspec.json.encode(change.manifest)
        place = (change.resource, change.namespace, change.name)
        if change.kind == "DELETED":
            self._database.execute("DELETE FROM objects WHERE resource = ? AND namespace = ? AND name = ?", place)
        else:
            self._database.execute("INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?)", (*place, body))
        previous = msgspec.json.encode(change.previous) if change.previous else None
        row = (change.revision, change.kind, *place, body, previous)
        self._database.execute("INSERT INTO changes VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        if len(self._log) > LOG_LENGTH + LOG_LENGTH // 10:
            while len(self._log) > LOG_LENGTH:
                self._log.popleft()
            self._database.execute("DELETE FROM changes WHERE revision < ?", (self._log[0].revision,))

    def _remember(self, change: Change) -> None:
        objects = self._objects.setdefault(change.resource, {})
        order = self._order.setdefault(change.resource, [])
        key = (change.namespace, change.name)
        if change.kind == "DELETED":
            del objects[key]
            order.remove(key)
        else:
            if key not in objects:
                bisect.insort(order, key)
            objects[key] = change.manifest
        self._log.append(change)
        self.revision = change.revision
