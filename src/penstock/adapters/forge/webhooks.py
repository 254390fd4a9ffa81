"""Is a webhook's request genuine, and what does it tell? In: headers, body and secret. Out: an Event, or None.

Pure functions. A signature is checked over the very bytes received, in constant time, before anything is parsed; no
secret means no webhook is accepted. What a webhook says is only a hint to look: the reader then asks the forge and Git.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import parse_qsl

import msgspec

Flavour = Literal["github", "gitlab", "gitea", "generic", "bitbucket", "harbor", "nexus"]
Kind = Literal["push", "pull_request", "review", "status", "comment", "other"]

_KINDS: Mapping[str, Kind] = {
    "push": "push",
    "pull_request": "pull_request",
    "pull_request_sync": "pull_request",
    "pull_request_label": "pull_request",
    "merge request hook": "pull_request",
    "pull_request_review": "review",
    "pull_request_approved": "review",
    "pull_request_rejected": "review",
    "pull_request_comment": "review",
    "push hook": "push",
    "tag push hook": "push",
    "create": "push",
    "delete": "push",
    "status": "status",
    "check_run": "status",
    "check_suite": "status",
    "pipeline hook": "status",
    "issue_comment": "comment",
    "note hook": "comment",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What a genuine webhook points at."""

    kind: Kind
    repository: str = ""
    """owner/name."""
    ref: str = ""
    """Full ref of a push."""
    after: str = ""
    """Commit the ref is at after a push; all zeros when it is gone."""
    number: int = 0
    """Of the pull request."""
    delivery: str = ""
    """The forge's id of this delivery, '' when it has none; the same one twice is a repetition."""


SIGNING_HEADERS: Mapping[Flavour, tuple[str, ...]] = {
    "github": ("x-hub-signature-256",),
    "gitlab": ("x-gitlab-token",),
    "gitea": ("x-gitea-signature", "x-forgejo-signature"),
    "generic": ("x-signature",),
    "bitbucket": ("x-hub-signature",),
    "harbor": ("authorization",),
    "nexus": ("x-nexus-webhook-signature",),
}
"""What each flavour proves itself by; more than one value of it proves nothing."""
EVENT_HEADERS = ("x-gitea-event", "x-forgejo-event", "x-github-event", "x-gitlab-event", "x-event-key")
_DELIVERY_HEADERS = ("x-gitea-delivery", "x-github-delivery", "x-gitlab-event-uuid", "x-request-id")


def genuine(flavour: Flavour, headers: Mapping[str, str], body: bytes, secret: str) -> bool:
    """Whether the request was made by somebody who knows the secret."""
    if not secret:
        return False
    given = {name.lower(): value for name, value in headers.items()}
    if flavour == "gitlab":
        return _same(given.get("x-gitlab-token", ""), secret)
    if flavour == "gitea":
        signature = given.get("x-gitea-signature") or given.get("x-forgejo-signature") or ""
        return _same(signature, _digest(secret, body, "sha256"))
    if flavour == "harbor":
        return _same(given.get("authorization", ""), secret)
    if flavour == "bitbucket":
        return _same(given.get("x-hub-signature", ""), f"sha256={_digest(secret, body, 'sha256')}")
    if flavour == "nexus":
        return _same(given.get("x-nexus-webhook-signature", ""), _digest(secret, body, "sha1"))
    if flavour == "github":
        return _same(given.get("x-hub-signature-256", ""), f"sha256={_digest(secret, body, 'sha256')}")
    # Flux's generic-hmac: X-Signature: <algorithm>=<hex>
    algorithm, _, signature = given.get("x-signature", "").partition("=")
    return algorithm in ("sha256", "sha512") and _same(signature, _digest(secret, body, algorithm))


def event_name(headers: Mapping[str, str]) -> str:
    """The forge's own name of what happened, '' when it gives none."""
    given = {name.lower(): value for name, value in headers.items()}
    return next((given[name] for name in EVENT_HEADERS if given.get(name)), "")


def parsed(headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    """The payload; forges send it as it is or as a field of a form. Raises ValueError when it is no JSON object."""
    given = {name.lower(): value for name, value in headers.items()}
    if given.get("content-type", "").partition(";")[0].strip().lower() == "application/x-www-form-urlencoded":
        body = dict(parse_qsl(body, max_num_fields=20)).get(b"payload", b"")
    try:
        found = msgspec.json.decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        raise ValueError("not JSON") from None
    if not isinstance(found, dict):
        raise ValueError("not an object")
    return found


def read(headers: Mapping[str, str], body: bytes) -> Event:
    """What the webhook is about; an unknown one is 'other'. Call it only after `genuine`."""
    given = {name.lower(): value for name, value in headers.items()}
    delivery = next((given[name] for name in _DELIVERY_HEADERS if given.get(name)), "")
    kind = _KINDS.get(event_name(headers).lower(), "other")
    try:
        found = parsed(headers, body)
    except ValueError:
        return Event(kind="other", delivery=delivery)
    repository = _text(found, "repository", "full_name") or _text(found, "project", "path_with_namespace")
    number = _number(found)
    return Event(
        kind=kind, repository=repository, ref=_text(found, "ref"), after=_text(found, "after"), number=number, delivery=delivery
    )


def _digest(secret: str, body: bytes, algorithm: str) -> str:
    return hmac.new(secret.encode(), body, getattr(hashlib, algorithm)).hexdigest()


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), expected.encode())


def _text(found: dict[str, Any], *path: str) -> str:
    value: Any = found
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, str) else ""


def _number(found: dict[str, Any]) -> int:
    for holder in (found, found.get("pull_request"), found.get("object_attributes"), found.get("merge_request")):
        if isinstance(holder, dict):
            for key in ("number", "iid"):
                if isinstance(holder.get(key), int) and not isinstance(holder.get(key), bool):
                    return int(holder[key])
    return 0
