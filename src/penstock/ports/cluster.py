"""A Kubernetes API: discovery, read, watch, server-side apply, patch, delete. Objects are plain JSON mappings."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from penstock.model.resource import Manifest

WatchKind = Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]
Propagation = Literal["Background", "Foreground", "Orphan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiResource:
    """One kind as the server serves it in its preferred (or the asked) version."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool
    verbs: frozenset[str] = frozenset()

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectList:
    """A complete list: every page was read, so absence means absence."""

    items: Sequence[Manifest]
    resource_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchEvent:
    """One change; a BOOKMARK carries only the resource version."""

    kind: WatchKind
    object: Manifest
    resource_version: str


class WatchExpiredError(Exception):
    """The resource version is too old (410): list again."""


class Cluster(Protocol):
    """One cluster, as one identity.

    Raises everywhere: RefusedError (401, 403, 404 of a kind, 422; the server's reason in `code`), RaceError (409),
    TransientError (429, 5xx, no answer: the outcome of a write is unknown).
    """

    name: str

    async def version(self) -> str:
        """gitVersion of the server: also the check that it answers and lets us in."""

    async def resource(self, group: str, kind: str, version: str | None = None) -> ApiResource | None:
        """The kind, from cached discovery; a miss refreshes discovery once. None: the server does not serve it.

        Raises TransientError when the answer is unknown (a group's discovery is failing), which is never None.
        """

    async def get(self, resource: ApiResource, namespace: str, name: str) -> Manifest | None:
        """The object, or None when the server says it is not there."""

    async def list(
        self,
        resource: ApiResource,
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        metadata_only: bool = False,
    ) -> ObjectList:
        """All objects (of a namespace, or of all with ''), every page or an error."""

    def watch(
        self,
        resource: ApiResource,
        namespace: str = "",
        *,
        resource_version: str,
        label_selector: str = "",
        field_selector: str = "",
        metadata_only: bool = False,
    ) -> AsyncIterator[WatchEvent]:
        """Changes after `resource_version`; ends when the server ends it. Raises WatchExpiredError."""

    async def create(
        self, resource: ApiResource, manifest: Manifest, *, field_manager: str = "", dry_run: bool = False
    ) -> Manifest:
        """POST. Raises RaceError when it exists."""

    async def apply(
        self,
        resource: ApiResource,
        manifest: Manifest,
        *,
        field_manager: str,
        force: bool = True,
        dry_run: bool = False,
        subresource: str = "",
    ) -> Manifest:
        """Server-side apply; the object afterwards."""

    async def patch(
        self,
        resource: ApiResource,
        namespace: str,
        name: str,
        body: Mapping[str, Any] | Sequence[Any],
        *,
        kind: Literal["merge", "json", "strategic"],
        subresource: str = "",
        field_manager: str = "",
    ) -> Manifest | None:
        """Patch; None when it is gone. A resourceVersion in a merge patch makes it conditional (RaceError)."""

    async def delete(
        self,
        resource: ApiResource,
        namespace: str,
        name: str,
        *,
        uid: str = "",
        resource_version: str = "",
        propagation: Propagation = "Background",
        dry_run: bool = False,
    ) -> bool:
        """Delete with preconditions; False when it was not there. Raises RaceError when a precondition failed."""
