"""A Kubernetes API over HTTP: the `Cluster` port on aiohttp and msgspec.

In: plain manifests and an `Access`. Out: plain manifests, complete lists, watch events; errors of `model.errors`.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Literal
from urllib.parse import quote

import aiohttp
import msgspec
from multidict import CIMultiDict

from penstock.adapters.kube import refusals
from penstock.adapters.kube.discovery import Discovery
from penstock.adapters.kube.kubeconfig import Access
from penstock.adapters.kube.pacing import Pace
from penstock.adapters.kube.transport import Gate, Transport, decode
from penstock.model.errors import RaceError, TransientError
from penstock.model.resource import Manifest
from penstock.ports.cluster import ApiResource, ObjectList, Propagation, WatchEvent, WatchExpiredError

Headers = tuple[tuple[str, str], ...]

_PAGE = 500
_METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
_PATCH_TYPES = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json",
}
# JSON is YAML, so this is what the apply-patch content type carries
_APPLY = "application/apply-patch+yaml"
WATCH_SECONDS = 300
"""How long the server is asked to keep a watch open."""
IDLE_SECONDS = 120.0
"""A watch that says nothing this long (bookmarks come about every minute) is taken for dead."""


class HttpCluster:
    """One cluster as one identity; `acting_as` gives another identity over the same connections."""

    def __init__(
        self,
        access: Access,
        *,
        gate: Gate | None = None,
        pace: Pace | None = None,
        _transport: Transport | None = None,
        _identity: Headers | None = None,
    ) -> None:
        """gate: asked before every write, also by the clusters that `acting_as` gives."""
        self.name = access.name
        self.access = access
        self._transport = _transport if _transport is not None else Transport(access, gate, pace)
        self._identity = _identity if _identity is not None else _impersonation(access)
        self._discovery = Discovery(self._discover, time.monotonic)

    async def __aenter__(self) -> HttpCluster:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections, also those lent to `acting_as` clusters."""
        await self._transport.close()

    @property
    def requests(self) -> Mapping[str, int]:
        """Requests sent so far by verb, retries included."""
        return self._transport.counts

    @property
    def answers(self) -> Mapping[tuple[str, str], int]:
        """Answers so far by method and status."""
        return self._transport.answers

    @property
    def gate(self) -> Gate | None:
        """What is asked before every write; a cluster reached on behalf of this one asks the same."""
        return self._transport.gate

    def acting_as(self, user: str, groups: Sequence[str] = ()) -> HttpCluster:
        """The same cluster as another user; a service account's own groups come by themselves.

        Raises ValueError for a user that is empty or padded: such a call would run as ourselves.
        """
        if not user or user != user.strip():
            raise ValueError(f"not a user that can be impersonated: {user!r}")
        identity = (("Impersonate-User", user), *(("Impersonate-Group", group) for group in groups))
        return HttpCluster(self.access, _transport=self._transport, _identity=identity)

    async def version(self) -> str:
        answer = await self._get("get", "/version", {}, "read the version")
        return str(answer.get("gitVersion") or "")

    async def resource(self, group: str, kind: str, version: str | None = None) -> ApiResource | None:
        return await self._discovery.resource(group, kind, version)

    async def kinds(self) -> Sequence[ApiResource]:
        """Every kind the server serves, in its preferred version."""
        return await self._discovery.kinds()

    def forget_kinds(self) -> None:
        """Ask for the served kinds again next time."""
        self._discovery.forget()

    async def get(self, resource: ApiResource, namespace: str, name: str) -> Manifest | None:
        doing = _doing("get", resource, namespace, name)
        status, content = await self._send("get", "GET", _path(resource, namespace, name), doing=doing, repeatable=True)
        return None if status == 404 and _absent(content) else _written(status, content, doing)

    async def list(
        self,
        resource: ApiResource,
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        metadata_only: bool = False,
    ) -> ObjectList:
        params = {"limit": str(_PAGE), **_selectors(label_selector, field_selector)}
        doing = _doing("list", resource, namespace, "")
        for last_try in (False, True):
            try:
                return await self._pages(resource, namespace, params, metadata_only, doing)
            except RaceError as error:
                # the continue token expired: the pages read so far are another moment's, so all are read again,
                # and the last time in one piece
                if error.status != 410:
                    raise
                if last_try:
                    raise TransientError(error.what, code="Expired", status=410) from None
                params.pop("limit")
        raise AssertionError("unreachable")

    async def _pages(
        self, resource: ApiResource, namespace: str, params: Mapping[str, str], metadata_only: bool, doing: str
    ) -> ObjectList:
        headers = {"Accept": _METADATA_LIST} if metadata_only else {}
        items: list[Manifest] = []
        token = ""
        while True:
            asked = {**params, "continue": token} if token else params
            status, content = await self._send(
                "list", "GET", _path(resource, namespace), params=asked, headers=headers, doing=doing, repeatable=True
            )
            if status >= 400:
                raise refusals.error(status, refusals.read(status, content), doing)
            page = decode(content)
            for item in page.get("items") or ():
                # items of a typed list do not repeat their kind; those of a metadata list all say PartialObjectMetadata
                item["apiVersion"], item["kind"] = resource.api_version, resource.kind
                items.append(item)
            metadata = page.get("metadata") or {}
            token = metadata.get("continue") or ""
            if not token:
                return ObjectList(items=items, resource_version=str(metadata.get("resourceVersion") or ""))

    async def watch(
        self,
        resource: ApiResource,
        namespace: str = "",
        *,
        resource_version: str,
        label_selector: str = "",
        field_selector: str = "",
        metadata_only: bool = False,
    ) -> AsyncIterator[WatchEvent]:
        params = {
            "watch": "1",
            "resourceVersion": resource_version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(WATCH_SECONDS),
            **_selectors(label_selector, field_selector),
        }
        headers = self._sent({"Accept": _METADATA} if metadata_only else {})
        doing = _doing("watch", resource, namespace, "")
        try:
            path = _path(resource, namespace)
            async with self._transport.stream(path, params, headers, idle_seconds=IDLE_SECONDS) as response:
                if response.status == 410:
                    raise WatchExpiredError(doing)
                if response.status >= 400:
                    raise refusals.error(response.status, refusals.read(response.status, await response.read()), doing)
                async for line in _lines(response):
                    yield _event(line, resource, doing)
        except TimeoutError:
            # silent for too long: end it, the caller watches again from where it was
            return
        except (aiohttp.ClientError, ConnectionError) as error:
            raise TransientError(f"{doing}: the connection broke ({type(error).__name__})", code="NoAnswer") from None

    async def create(
        self, resource: ApiResource, manifest: Manifest, *, field_manager: str = "", dry_run: bool = False
    ) -> Manifest:
        metadata = manifest.get("metadata") or {}
        namespace, name = str(metadata.get("namespace") or ""), str(metadata.get("name") or metadata.get("generateName") or "")
        doing = _doing("create", resource, namespace, name)
        status, content = await self._send(
            "create",
            "POST",
            _path(resource, namespace),
            params=_write_params(field_manager, dry_run),
            body=msgspec.json.encode(manifest),
            content_type="application/json",
            doing=doing,
            repeatable=dry_run,
        )
        return _written(status, content, doing)

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
        metadata = manifest["metadata"]
        namespace, name = str(metadata.get("namespace") or ""), str(metadata["name"])
        doing = _doing("apply", resource, namespace, name)
        params = _write_params(field_manager, dry_run)
        params["force"] = "true" if force else "false"
        status, content = await self._send(
            "patch",
            "PATCH",
            _path(resource, namespace, name, subresource),
            params=params,
            body=msgspec.json.encode(manifest),
            content_type=_APPLY,
            doing=doing,
            # applying the same fields twice is applying them once, unless a resourceVersion makes it conditional
            repeatable="resourceVersion" not in metadata,
        )
        if not dry_run and resource.kind == "CustomResourceDefinition":
            self.forget_kinds()
        return _written(status, content, doing)

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
        doing = _doing("patch", resource, namespace, name)
        status, content = await self._send(
            "patch",
            "PATCH",
            _path(resource, namespace, name, subresource),
            params=_write_params(field_manager, False),
            body=msgspec.json.encode(body),
            content_type=_PATCH_TYPES[kind],
            doing=doing,
            repeatable=False,
        )
        return None if status == 404 and _absent(content) else _written(status, content, doing)

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
        options: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
        preconditions = {key: value for key, value in (("uid", uid), ("resourceVersion", resource_version)) if value}
        if preconditions:
            options["preconditions"] = preconditions
        if dry_run:
            options["dryRun"] = ["All"]
        doing = _doing("delete", resource, namespace, name)
        status, content = await self._send(
            "delete?dryRun" if dry_run else "delete",
            "DELETE",
            _path(resource, namespace, name),
            body=msgspec.json.encode(options),
            content_type="application/json",
            doing=doing,
            # only this very object can be hit, so a second time hits nothing
            repeatable=bool(uid) or dry_run,
        )
        if status == 404 and _absent(content):
            return False
        _written(status, content, doing)
        return True

    async def log(self, namespace: str, name: str, *, container: str = "", lines: int = 100) -> str:
        """The last lines of a pod's log."""
        params = {"tailLines": str(lines), **({"container": container} if container else {})}
        path = f"/api/v1/namespaces/{quote(namespace, safe='')}/pods/{quote(name, safe='')}/log"
        doing = f"read the log of pods/{namespace}/{name}"
        status, content = await self._send("get", "GET", path, params=params, doing=doing, repeatable=True)
        if status >= 400:
            raise refusals.error(status, refusals.read(status, content), doing)
        return content.decode(errors="replace")

    async def _discover(self, path: str, accept: str) -> Any:
        return await self._get("discovery", path, {"Accept": f"{accept},application/json"}, f"read {path}")

    async def _get(self, verb: str, path: str, headers: Mapping[str, str], doing: str) -> Any:
        status, content = await self._send(verb, "GET", path, headers=headers, doing=doing, repeatable=True)
        if status >= 400:
            raise refusals.error(status, refusals.read(status, content), doing)
        return decode(content)

    def _sent(self, headers: Mapping[str, str]) -> CIMultiDict[str]:
        sent = CIMultiDict(self._identity)
        sent.update(headers)
        return sent

    async def _send(
        self,
        verb: str,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = "",
        doing: str,
        repeatable: bool,
    ) -> tuple[int, bytes]:
        sent = self._sent(headers or {})
        if content_type:
            sent["Content-Type"] = content_type
        if params and "dryRun" in params:
            verb += "?dryRun"
        return await self._transport.request(
            verb, method, path, params=params, body=body, headers=sent, doing=doing, repeatable=repeatable
        )


def _impersonation(access: Access) -> Headers:
    headers: list[tuple[str, str]] = []
    if access.impersonate_user:
        headers.append(("Impersonate-User", access.impersonate_user))
    headers += [("Impersonate-Group", group) for group in access.impersonate_groups]
    if access.impersonate_uid:
        headers.append(("Impersonate-Uid", access.impersonate_uid))
    headers += [
        (f"Impersonate-Extra-{quote(key, safe='')}", value) for key, values in access.impersonate_extra for value in values
    ]
    return tuple(headers)


def _path(resource: ApiResource, namespace: str, name: str = "", subresource: str = "") -> str:
    path = f"/apis/{resource.group}/{resource.version}" if resource.group else f"/api/{resource.version}"
    if resource.namespaced and namespace:
        path += f"/namespaces/{quote(namespace, safe='')}"
    path += f"/{resource.plural}"
    if name:
        # names such as RBAC's 'system:node' hold characters that URLs allow; '/' and '..' must never reach the path
        path += f"/{quote(name, safe=':')}"
    return f"{path}/{subresource}" if subresource else path


def _doing(verb: str, resource: ApiResource, namespace: str, name: str) -> str:
    return f"{verb} " + "/".join(part for part in (resource.kind, namespace, name) if part)


def _selectors(labels: str, fields: str) -> dict[str, str]:
    return {key: value for key, value in (("labelSelector", labels), ("fieldSelector", fields)) if value}


def _write_params(field_manager: str, dry_run: bool) -> dict[str, str]:
    params = {"fieldManager": field_manager} if field_manager else {}
    if dry_run:
        params["dryRun"] = "All"
    return params


def _written(status: int, content: bytes, doing: str) -> Manifest:
    if status >= 400:
        raise refusals.error(status, refusals.read(status, content), doing)
    return _object(content)


def _object(content: bytes) -> Manifest:
    found = decode(content)
    if not isinstance(found, dict):
        raise TransientError("the answer is not an object", code="NoAnswer")
    return found


def _absent(content: bytes) -> bool:
    """Whether a 404 is about the object. One about its kind or path is an error: it says nothing of the object."""
    answer = refusals.read(404, content)
    return answer.get("reason") == "NotFound" and "could not find the requested resource" not in str(answer.get("message"))


async def _lines(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """The lines of a stream, of any length (aiohttp's own reader stops at 64 KiB)."""
    kept: list[bytes] = []
    async for piece in response.content.iter_any():
        start = 0
        while (end := piece.find(b"\n", start)) >= 0:
            kept.append(piece[start:end])
            yield b"".join(kept)
            kept.clear()
            start = end + 1
        if start < len(piece):
            kept.append(piece[start:])


def _event(line: bytes, resource: ApiResource, doing: str) -> WatchEvent:
    event = decode(line)
    kind, found = event.get("type"), event.get("object") or {}
    if kind == "ERROR":
        if found.get("code") == 410:
            raise WatchExpiredError(doing)
        raise refusals.error(int(found.get("code") or 500), found, doing)
    found["apiVersion"], found["kind"] = resource.api_version, resource.kind
    metadata = found.get("metadata") or {}
    return WatchEvent(kind=kind, object=found, resource_version=str(metadata.get("resourceVersion") or ""))
