"""Lists and the ways to look at objects: whole, metadata only, or as a table.

In: a kind, a namespace and the query of a list request. Out: List documents, complete or in pages that all show the
revision the first page showed.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import msgspec
from aiohttp import web

from penstock.sandbox.cluster import selectors, status, tables
from penstock.sandbox.cluster.api import Api
from penstock.sandbox.cluster.kinds import Kind
from penstock.sandbox.cluster.store import CompactedError, Manifest

View = Literal["object", "metadata", "table"]
_TYPE = ("apiVersion", "kind")
Query = Mapping[str, str]


def view_of(accept: str) -> View:
    """How the client wants objects shown, from its Accept header; the first form we know wins."""
    for media in accept.split(","):
        form = media.replace(" ", "")
        if not form.startswith(("application/json", "*/*", "application/*")):
            continue
        if "as=Table" in form:
            return "table"
        if "as=PartialObjectMetadata" in form:
            return "metadata"
        return "object"
    return "object"


def partial(manifest: Manifest) -> Manifest:
    """Only what is common to all objects."""
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": manifest["metadata"]}


def shown(api: Api, kind: Kind, manifest: Manifest, view: View, query: Query) -> Manifest:
    """One object as the client wants to see it."""
    if view == "metadata":
        return partial(manifest)
    if view == "table":
        return tables.table(kind, [manifest], query.get("includeObject") or "Metadata", manifest["metadata"]["resourceVersion"])
    return manifest


def envelope(kind: Kind, items: list[Manifest], revision: str, **metadata: Any) -> Manifest:
    return {
        "kind": f"{kind.kind}List",
        "apiVersion": kind.api_version,
        "metadata": {"resourceVersion": revision, **metadata},
        "items": items,
    }


def matcher(kind: Kind, query: Query) -> selectors.Predicate:
    """The predicate of a request's label and field selectors."""
    by_label = selectors.labels(query.get("labelSelector", ""))
    selectable = frozenset(
        part["jsonPath"].lstrip(".") for part in (kind.crd or {}).get("selectableFields") or () if "jsonPath" in part
    )
    by_field = selectors.fields(query.get("fieldSelector", ""), kind.key, selectable)
    return lambda manifest: by_label(manifest) and by_field(manifest)


def select(api: Api, kind: Kind, namespace: str, query: Query) -> list[Manifest]:
    """Every object that matches, as it is now."""
    matches = matcher(kind, query)
    return [api.versioned(kind, manifest) for manifest in api.store.objects(kind.key, namespace) if matches(manifest)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Page:
    items: list[Manifest]
    revision: int
    continue_token: str = ""
    remaining: int = 0


def listed(api: Api, kind: Kind, namespace: str, request: web.Request) -> Manifest:
    """The answer to a list request."""
    query = request.query
    page = _page(api, kind, namespace, query)
    # Lists of custom resources always show the field.
    metadata: dict[str, Any] = {} if kind.crd is None else {"continue": ""}
    if page.continue_token:
        metadata["continue"] = page.continue_token
        if not query.get("labelSelector") and not query.get("fieldSelector"):
            metadata["remainingItemCount"] = page.remaining
    view = view_of(request.headers.get("Accept", ""))
    if view == "table":
        return tables.table(kind, page.items, query.get("includeObject") or "Metadata", str(page.revision), **metadata)
    if kind.crd is None:
        # The items of a typed list do not repeat the list's kind.
        page = replace(page, items=[{k: v for k, v in item.items() if k not in _TYPE} for item in page.items])
    out = envelope(kind, page.items, str(page.revision), **metadata)
    if view == "metadata":
        items = [partial(item) for item in page.items]
        return {**out, "kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "items": items}
    return out


def _page(api: Api, kind: Kind, namespace: str, query: Query) -> _Page:
    revision, after = _start(api, query)
    try:
        everything = (
            api.store.objects(kind.key, namespace)
            if revision == api.store.revision
            else api.store.objects_at(kind.key, namespace, revision)
        )
    except CompactedError:
        if after:
            raise status.expired(
                "The provided continue parameter is too old to display a consistent list result. You can start a new list "
                "without the continue parameter, or use the continue token in this response to retrieve the remainder of "
                "the results."
            ) from None
        raise too_old(revision, api) from None
    matches = matcher(kind, query)
    items = [api.versioned(kind, manifest) for manifest in everything if _key(manifest) > after and matches(manifest)]
    limit = _number(query.get("limit") or "0", "limit")
    if not limit or len(items) <= limit:
        return _Page(items=items, revision=revision)
    rest = len(items) - limit
    items = items[:limit]
    return _Page(items=items, revision=revision, continue_token=_token(revision, _key(items[-1])), remaining=rest)


def _start(api: Api, query: Query) -> tuple[int, tuple[str, str]]:
    """The revision to show, and the key after which this page begins."""
    sent = query.get("resourceVersion", "")
    match = query.get("resourceVersionMatch", "")
    if token := query.get("continue"):
        if sent and sent != "0":
            raise status.bad_request("specifying resource version is not allowed when using continue")
        return _read_token(token)
    if match and not sent:
        raise _list_options(
            "resourceVersionMatch", "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"
        )
    wanted = _number(sent or "0", "resourceVersion")
    if wanted > api.store.revision:
        raise too_large(wanted, api)
    if match == "Exact":
        if not wanted:
            raise _list_options(
                "resourceVersionMatch", 'Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
            )
        return wanted, ("", "")
    if query.get("limit") and wanted and not match:
        return wanted, ("", "")
    return api.store.revision, ("", "")


def _list_options(name: str, message: str) -> status.ApiError:
    cause = status.Cause(reason="FieldValueForbidden", message=message, field=name)
    return status.invalid("meta.k8s.io", "ListOptions", "", [cause])


def too_large(wanted: int, api: Api) -> status.ApiError:
    """504: the client knows a newer revision than we have."""
    words = f"Timeout: Too large resource version: {wanted}, current: {api.store.revision}"
    causes = [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]
    return status.ApiError(504, "Timeout", words, {"causes": causes, "retryAfterSeconds": 1})


def too_old(wanted: int, api: Api) -> status.ApiError:
    return status.expired(f"too old resource version: {wanted} ({api.store.revision})")


def _number(text: str, what: str) -> int:
    if not text.isdigit():
        raise status.bad_request(f"invalid {what}: {text!r} is not a number")
    return int(text)


def _key(manifest: Manifest) -> tuple[str, str]:
    return manifest["metadata"].get("namespace", ""), manifest["metadata"]["name"]


def _token(revision: int, key: tuple[str, str]) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode([revision, *key])).decode().rstrip("=")


def _read_token(token: str) -> tuple[int, tuple[str, str]]:
    try:
        revision, namespace, name = msgspec.json.decode(
            base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)), type=tuple[int, str, str]
        )
    except (ValueError, msgspec.DecodeError):
        raise status.bad_request("invalid continue token: continue key is not valid") from None
    return revision, (namespace, name)
