"""The HTTP face of the cluster: URLs, headers and bodies to verbs, and their answers back.

In: aiohttp requests. Out: JSON, Tables, partial metadata, watch streams, Status errors. Nothing is decided here that the
API's rules decide; those are in `api`.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import msgspec
from aiohttp import web

from penstock.sandbox.cluster import kinds, listing, openapi, scaling, status, watching
from penstock.sandbox.cluster.api import Api, Call, PatchKind
from penstock.sandbox.cluster.kinds import Kind
from penstock.sandbox.cluster.status import ApiError

log = logging.getLogger(__name__)
GIT_VERSION = "v1.37.2+penstock.sandbox"
_MAX_BODY_BYTES = 3 * 1024 * 1024
_NOT_EMULATED = frozenset({"log", "exec", "attach", "portforward", "proxy", "ephemeralcontainers", "binding", "resize", "token"})
_REVIEWS = ("authorization.k8s.io", "authentication.k8s.io")
_REVIEW_KINDS = {
    "selfsubjectaccessreviews": "SelfSubjectAccessReview",
    "subjectaccessreviews": "SubjectAccessReview",
    "localsubjectaccessreviews": "LocalSubjectAccessReview",
    "selfsubjectreviews": "SelfSubjectReview",
}
_PATCHES: Mapping[str, PatchKind] = {
    "application/json-patch+json": "json",
    "application/merge-patch+json": "merge",
    "application/strategic-merge-patch+json": "strategic",
}


@dataclass(slots=True)
class Request:
    """One request, taken apart."""

    web: web.Request
    kind: Kind
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    warnings: list[str] = field(default_factory=list)

    def option(self, name: str, default: str = "") -> str:
        return self.web.query.get(name, default)

    def flag(self, name: str) -> bool:
        return self.option(name).lower() in ("true", "1")

    def call(self, name: str | None = None) -> Call:
        agent = re.split(r"[/ ]", self.web.headers.get("User-Agent", ""), maxsplit=1)[0]
        return Call(
            kind=self.kind,
            namespace=self.namespace,
            name=self.name if name is None else name,
            subresource=self.subresource,
            manager=(self.option("fieldManager") or agent or "unknown")[:128],
            dry_run="All" in self.web.query.getall("dryRun", []),
            field_validation=self.option("fieldValidation") or "Warn",
            warnings=self.warnings,
        )


class Server:
    """Routes requests of one cluster to its Api."""

    def __init__(self, api: Api, *, name: str, token: str, hosts: frozenset[str]) -> None:
        self.api = api
        self.name = name
        self._token = token
        self._hosts = hosts
        self.watches = watching.Hub(api)

    # ---------------------------------------------------------------------------------------------- the door

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Every request comes through here: refuse, route, or answer a Status."""
        try:
            self._admit(request)
            response = await self._route(request)
            if request.method not in ("GET", "HEAD"):
                await self.api.store.durable()
            return response
        except ApiError as error:
            return answer(error.status(), error.code)
        except status.UnknownPathError:
            return web.Response(text="404 page not found\n", status=404)
        except (asyncio.CancelledError, ConnectionResetError):
            raise
        except Exception as error:
            # The one place where a bug of ours becomes an answer instead of a dropped connection.
            log.exception("sandbox %s: %s %s", self.name, request.method, request.path)
            broken = ApiError(500, "InternalError", f"Internal error occurred: {type(error).__name__}")
            return answer(broken.status(), 500)

    def _admit(self, request: web.Request) -> None:
        """Host allow-list (a page in a browser must not reach us by a rebound name), then the bearer token."""
        host = request.headers.get("Host", "").lower().rsplit(":", 1)[0]
        if host not in self._hosts:
            raise ApiError(421, "MisdirectedRequest", "this server answers only to its own loopback names")
        sent = request.headers.get("Authorization", "")
        if not sent and request.path in ("/healthz", "/livez", "/readyz", "/version"):
            return
        if not sent:
            raise ApiError(403, "Forbidden", f'forbidden: User "system:anonymous" cannot get path "{request.path}"', {})
        scheme, _, token = sent.partition(" ")
        if scheme.lower() != "bearer" or not _same_text(token.strip(), self._token):
            raise ApiError(401, "Unauthorized", "Unauthorized")

    async def _route(self, request: web.Request) -> web.StreamResponse:
        parts = [unquote(part) for part in request.rel_url.raw_path.split("/") if part]
        if not parts or parts[0] not in ("api", "apis"):
            return self._special(request, parts)
        if parts[0] == "api":
            if len(parts) == 1:
                return self._discovery(request, core=True)
            group, rest = "", parts[1:]
        else:
            if len(parts) == 1:
                return self._discovery(request, core=False)
            group, rest = parts[1], parts[2:]
            if group not in self.api.registry.group_versions() and group not in _REVIEWS:
                raise status.UnknownPathError
            if not rest:
                body = kinds.api_group(self.api.registry, group)
                return answer({"kind": "APIGroup", "apiVersion": "v1", **body})
        version, rest = rest[0], rest[1:]
        if not rest:
            if not self.api.registry.serves_group(group, version):
                raise status.no_such_path()
            return answer(kinds.api_resource_list(self.api.registry, group, version))
        if virtual := await self._review(request, group, rest):
            return virtual
        return await self._resource(self._parse(request, group, version, rest))

    def _parse(self, request: web.Request, group: str, version: str, rest: list[str]) -> Request:
        namespace = ""
        if rest[0] == "namespaces" and len(rest) > 2 and not (group == "" and rest[2] in ("status", "finalize")):
            namespace, rest = rest[1], rest[2:]
        kind = self.api.registry.find(group, version, rest[0])
        if kind is None or len(rest) > 3:
            if rest[0] in ("pods", "nodes", "services") and len(rest) > 3:
                raise status.not_emulated(f"{rest[0]}/{rest[2]}")
            raise status.no_such_path()
        if bool(namespace) != kind.namespaced and (namespace or len(rest) > 1):
            raise status.no_such_path()
        name = rest[1] if len(rest) > 1 else ""
        subresource = rest[2] if len(rest) > 2 else ""
        if subresource and subresource not in kind.subresources:
            if subresource in _NOT_EMULATED:
                raise status.not_emulated(
                    f"{kind.plural}/{subresource} (nothing runs here, so there is nothing to show or enter)"
                )
            raise status.no_such_path()
        return Request(request, kind, namespace, name, subresource)

    # ---------------------------------------------------------------------------------------------- resources

    async def _resource(self, request: Request) -> web.StreamResponse:
        method = request.web.method
        if request.subresource == "scale":
            return await self._scale(request)
        if request.subresource == "eviction" and method == "POST":
            return await self._delete(request)
        if request.subresource == "finalize" and method == "PUT":
            return self._show(request, self.api.replace(request.call(), await body_of(request.web, request.kind)))
        if method in ("GET", "HEAD"):
            if not request.name:
                if request.flag("watch"):
                    return await self.watches.stream(request)
                return self._list(request)
            return self._show(request, self.api.get(request.call()))
        if method == "POST" and not request.name:
            return self._show(request, self.api.create(request.call(""), await body_of(request.web, request.kind)), 201)
        if method == "PUT" and request.name:
            return self._show(request, self.api.replace(request.call(), await body_of(request.web, request.kind)))
        if method == "PATCH" and request.name:
            return await self._patch(request)
        if method == "DELETE":
            return await (self._delete(request) if request.name else self._delete_collection(request))
        raise ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {})

    async def _patch(self, request: Request) -> web.Response:
        content = request.web.content_type
        call = request.call()
        if content in ("application/apply-patch+yaml", "application/apply-patch+cbor"):
            if not request.option("fieldManager"):
                cause = status.Cause(
                    reason="FieldValueRequired", message="Required value: is required for apply patch", field="fieldManager"
                )
                raise status.invalid("meta.k8s.io", "PatchOptions", "", [cause])
            existed = self.api.store.get(call.kind.key, call.namespace, call.name) is not None
            stored = self.api.apply(call, await body_of(request.web), force=request.flag("force"))
            return self._show(request, stored, 200 if existed else 201)
        kind = _PATCHES.get(content)
        if kind is None and "patch" not in content:
            raise ApiError(415, "UnsupportedMediaType", "415: Unsupported Media Type", {})
        if kind is None or (kind == "strategic" and call.kind.crd is not None):
            accepted = [*_PATCHES, "application/apply-patch+yaml"]
            if call.kind.crd is not None:
                accepted.remove("application/strategic-merge-patch+json")
            listed = ", ".join(accepted)
            words = f"the body of the request was in an unknown format - accepted media types include: {listed}"
            raise ApiError(415, "UnsupportedMediaType", words)
        return self._show(request, self.api.patch(call, kind, await body_of(request.web)))

    async def _delete(self, request: Request) -> web.Response:
        options = await body_of(request.web) if request.web.can_read_body else {}
        if request.subresource == "eviction":
            options = options.get("deleteOptions") or {}
        options = {**options, **({"propagationPolicy": p} if (p := request.option("propagationPolicy")) else {})}
        call = request.call()
        call.dry_run = call.dry_run or "All" in (options.get("dryRun") or [])
        code, body = self.api.delete(call, options)
        return answer(body, code, request.warnings)

    async def _delete_collection(self, request: Request) -> web.Response:
        options = await body_of(request.web) if request.web.can_read_body else {}
        found = listing.select(self.api, request.kind, request.namespace, request.web.query)
        with self.api.store.batch():
            for manifest in found:
                metadata = manifest["metadata"]
                call = request.call(metadata["name"])
                call.namespace = metadata.get("namespace", "")
                self.api.delete(call, options)
        return answer(listing.envelope(request.kind, found, str(self.api.store.revision)))

    async def _scale(self, request: Request) -> web.Response:
        call = request.call()
        live = self.api.get(call)
        if request.web.method == "GET":
            return answer(scaling.scale_of(call.kind, live))
        body = await body_of(request.web)
        if request.web.method == "PATCH":
            kind = _PATCHES.get(request.web.content_type)
            if kind is None:
                raise status.not_emulated("server-side apply of the scale subresource")
            body = scaling.patched(scaling.scale_of(call.kind, live), kind, body)
        elif request.web.method != "PUT":
            raise ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {})
        return answer(scaling.scale_of(call.kind, scaling.set_replicas(self.api, call, live, body)))

    # ---------------------------------------------------------------------------------------------- answers

    def _show(self, request: Request, manifest: dict[str, Any], code: int = 200) -> web.Response:
        view = listing.view_of(request.web.headers.get("Accept", ""))
        return answer(listing.shown(self.api, request.kind, manifest, view, request.web.query), code, request.warnings)

    def _list(self, request: Request) -> web.Response:
        return answer(listing.listed(self.api, request.kind, request.namespace, request.web))

    def _discovery(self, request: web.Request, *, core: bool) -> web.Response:
        accept = request.headers.get("Accept", "")
        if "as=APIGroupDiscoveryList" in accept and "v=v2" in accept:
            body = kinds.aggregated_discovery(self.api.registry, core=core)
            media = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
            return web.Response(body=msgspec.json.encode(body), headers={"Content-Type": media})
        if core:
            return answer({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})
        return answer(kinds.api_group_list(self.api.registry))

    def _special(self, request: web.Request, parts: list[str]) -> web.Response:
        path = "/" + "/".join(parts)
        if parts and parts[0] in ("healthz", "livez", "readyz"):
            return web.Response(text="ok")
        if path == "/version":
            body = {"major": "1", "minor": "37", "gitVersion": GIT_VERSION, "gitCommit": "", "gitTreeState": "clean"}
            return answer(body | {"buildDate": "", "goVersion": "", "compiler": "", "platform": "sandbox"})
        if path == "/openapi/v2":
            return openapi.v2_response(self.api.registry, request)
        if parts[:2] == ["openapi", "v3"]:
            return openapi.v3_response(self.api.registry, request, "/".join(parts[2:]))
        if not parts:
            paths = ["/api", "/apis", "/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/readyz", "/version"]
            return answer({"paths": paths})
        raise status.UnknownPathError

    async def _review(self, request: web.Request, group: str, rest: list[str]) -> web.Response | None:
        """Access reviews: everything is allowed, because roles are stored and not enforced here."""
        if request.method != "POST" or group not in _REVIEWS:
            return None
        # kubectl asks in protobuf; nothing it could ask changes the answer.
        body = {} if "protobuf" in request.content_type else await body_of(request)
        body = {"apiVersion": f"{group}/v1", "kind": _REVIEW_KINDS.get(rest[-1], ""), **body}
        if rest[-1] in ("selfsubjectaccessreviews", "subjectaccessreviews", "localsubjectaccessreviews"):
            return answer({**body, "status": {"allowed": True, "reason": "the sandbox does not enforce RBAC"}}, 201)
        if rest[-1] == "selfsubjectreviews":
            user = {"username": "sandbox-admin", "groups": ["system:masters", "system:authenticated"]}
            return answer({**body, "status": {"userInfo": user}}, 201)
        raise status.not_emulated(rest[-1])


def answer(body: Any, code: int = 200, warnings: list[str] | tuple[()] = ()) -> web.Response:
    """A JSON answer with Warning headers."""
    response = web.Response(body=msgspec.json.encode(body), status=code, content_type="application/json")
    for text in warnings:
        response.headers.add("Warning", f'299 - "{_quotable(text)}"')
    return response


def _quotable(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")


def _same_text(one: str, other: str) -> bool:
    import hmac

    return hmac.compare_digest(one.encode(), other.encode())


async def body_of(request: web.Request, kind: Kind | None = None) -> Any:
    """The body as data: JSON, else YAML; protobuf for the built-in `kind` it is an object of. Raises ApiError 400, 413, 415."""
    raw = await _bounded(request)
    if "protobuf" in request.content_type:
        return _protobuf(raw, kind)
    if not raw.strip():
        if request.method == "DELETE":
            return {}
        raise status.bad_request("couldn't get version/kind; json parse error: unexpected end of JSON input (<empty>)")
    try:
        return msgspec.json.decode(raw)
    except msgspec.DecodeError as error:
        return _yaml(raw, str(error))


async def _bounded(request: web.Request) -> bytes:
    """The raw body, never more than the limit in memory."""
    raw = bytearray()
    async for chunk in request.content.iter_chunked(64 * 1024):
        raw += chunk
        if len(raw) > _MAX_BODY_BYTES:
            raise ApiError(413, "RequestEntityTooLarge", f"Request entity too large: limit is {_MAX_BODY_BYTES}")
    return bytes(raw)


def _protobuf(raw: bytes, kind: Kind | None) -> Any:
    from penstock.sandbox.cluster import protobuf

    if kind is None or kind.crd is not None:
        raise ApiError(415, "UnsupportedMediaType", f"{status.NOT_IN_THE_SANDBOX}: this body as protobuf; send JSON")
    try:
        return protobuf.decode(raw, kind.schema)
    except (ValueError, msgspec.DecodeError) as error:
        raise status.bad_request(f"error decoding the body: {error}") from None


def _yaml(raw: bytes, why: str) -> Any:
    import yaml

    try:
        body = yaml.safe_load(raw)
    except yaml.YAMLError:
        raise status.bad_request(f"error decoding the body: {why}") from None
    if not isinstance(body, (dict, list)):
        raise status.bad_request(f"error decoding the body: {why}")
    return body
