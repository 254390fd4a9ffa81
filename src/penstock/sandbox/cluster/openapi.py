"""OpenAPI documents, as far as kubectl reads them: field validation support, explain, patch metadata.

In: the registry. Out: /openapi/v3 (an index and one document per group version) and /openapi/v2. Schemas carry names, types
and merge keys; there are no descriptions in the sandbox.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import web

from penstock.sandbox.cluster import customs, status
from penstock.sandbox.cluster.kinds import Kind, Registry
from penstock.sandbox.cluster.schema import Node

Document = dict[str, Any]


def v3_response(registry: Registry, request: web.Request, path: str) -> web.Response:
    """The index for '', else the document of 'api/v1' or 'apis/<group>/<version>'."""
    if not path:
        paths = {}
        for group, versions in registry.group_versions().items():
            for version in versions:
                place = f"apis/{group}/{version}" if group else f"api/{version}"
                digest = hashlib.sha256(msgspec.json.encode(v3(registry, group, version))).hexdigest()[:32].upper()
                paths[place] = {"serverRelativeURL": f"/openapi/v3/{place}?hash={digest}"}
        return _json({"paths": paths})
    parts = path.split("/")
    group, version = ("", parts[1]) if parts[0] == "api" and len(parts) == 2 else ("/".join(parts[1:-1]), parts[-1])
    if not registry.serves_group(group, version):
        raise status.no_such_path()
    return _json(v3(registry, group, version))


def v2_response(registry: Registry, request: web.Request) -> web.Response:
    """One Swagger document of everything. kubectl asks for protobuf first and takes JSON."""
    if "protobuf" in request.headers.get("Accept", "") and "application/json" not in request.headers.get("Accept", ""):
        raise status.ApiError(406, "NotAcceptable", "not in the sandbox: OpenAPI v2 as protobuf; ask for JSON")
    paths: Document = {}
    definitions: Document = {}
    for kind in registry.all():
        paths |= _paths(kind, "definitions")
        _define(kind, definitions, "definitions")
    return _json({"swagger": "2.0", "info": _INFO, "paths": paths, "definitions": definitions})


_INFO = {"title": "Penstock sandbox cluster", "version": "v1.37.2"}


def v3(registry: Registry, group: str, version: str) -> Document:
    """The OpenAPI v3 document of a group version."""
    paths: Document = {}
    schemas: Document = {}
    for kind in registry.all():
        if (kind.group, kind.version) == (group, version):
            paths |= _paths(kind, "components/schemas")
            _define(kind, schemas, "components/schemas")
    return {"openapi": "3.0.0", "info": _INFO, "paths": paths, "components": {"schemas": schemas}}


def _json(body: Document) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), content_type="application/json")


def _gvk(kind: Kind) -> Document:
    return {"group": kind.group, "version": kind.version, "kind": kind.kind}


def _name(kind: Kind) -> str:
    if kind.crd is None:
        return kind.schema.type
    return ".".join([*reversed(kind.group.split(".")), kind.version, kind.kind])


def _paths(kind: Kind, root: str) -> Document:
    """Enough of the paths to show that reading and field validation are supported."""
    base = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
    place = f"{base}/namespaces/{{namespace}}/{kind.plural}" if kind.namespaced else f"{base}/{kind.plural}"
    parameters = [
        {"name": name, "in": "query", "schema": {"type": "string"}} for name in ("dryRun", "fieldManager", "fieldValidation")
    ]
    answer = {"200": {"description": "OK", "content": {"application/json": {"schema": {"$ref": f"#/{root}/{_name(kind)}"}}}}}

    def operation(action: str, *, write: bool) -> Document:
        return {
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": _gvk(kind),
            "parameters": parameters if write else [],
            "responses": answer,
        }

    return {
        place: {"get": operation("list", write=False), "post": operation("post", write=True)},
        f"{place}/{{name}}": {
            "get": operation("get", write=False),
            "put": operation("put", write=True),
            "patch": operation("patch", write=True),
        },
    }


def _define(kind: Kind, schemas: Document, root: str) -> None:
    if kind.crd is not None:
        body: Document = {**customs.schema_of(kind.crd)}
        body["properties"] = {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"$ref": f"#/{root}/meta.v1.ObjectMeta"},
            **{k: v for k, v in (body.get("properties") or {}).items() if k not in ("apiVersion", "kind", "metadata")},
        }
        _type(kind.schema.fields["metadata"], schemas, root)
    else:
        _type(kind.schema, schemas, root)
        body = schemas[kind.schema.type]
    schemas[_name(kind)] = {**body, "x-kubernetes-group-version-kind": [_gvk(kind)]}


def _type(node: Node, schemas: Document, root: str) -> None:
    if node.type in schemas:
        return
    body: Document = {"type": "object"}
    schemas[node.type] = body
    body["properties"] = {name: _field(child, schemas, root) for name, child in node.fields.items()}
    if node.extra is not None:
        body["additionalProperties"] = _field(node.extra, schemas, root)


_SCALARS: Mapping[str, Document] = {
    "intstr": {"x-kubernetes-int-or-string": True, "type": "string"},
    "quantity": {"type": "string"},
}


def _field(node: Node, schemas: Document, root: str) -> Document:
    if node.shape == "scalar":
        return dict(_SCALARS.get(node.type) or {"type": node.type})
    if node.shape == "any":
        return {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    strategy = ",".join(word for word, used in (("merge", node.patch_merge), ("retainKeys", node.retain_keys)) if used)
    extra: Document = {"x-kubernetes-patch-strategy": strategy} if strategy else {}
    if node.shape == "list":
        assert node.element is not None
        extra |= {"type": "array", "items": _field(node.element, schemas, root)}
        extra["x-kubernetes-list-type"] = "atomic" if node.atomic else "map" if node.keys else "set"
        if node.keys:
            extra["x-kubernetes-list-map-keys"] = list(node.keys)
        if node.merge_key:
            extra["x-kubernetes-patch-merge-key"] = node.merge_key
        return extra
    if node.type:
        _type(node, schemas, root)
        reference: Document = {"$ref": f"#/{root}/{node.type}"}
        return {"allOf": [reference], **extra} if extra else reference
    body: Document = {"type": "object", **extra}
    if node.extra is not None:
        body["additionalProperties"] = _field(node.extra, schemas, root)
    return body
