"""What a Kubernetes API says when it says no, as errors of ours.

In: an HTTP status and a body (a Status object, or anything a proxy put in its place). Out: the error to raise.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from penstock.model.errors import RaceError, RefusedError, RemoteError, TransientError

_LONGEST = 2000
# answered with 500 by the API server although the manifest is at fault: its fields do not fit the kind's schema
_SCHEMA_MARKS = (
    "failed to create typed patch object",
    "failed to convert patch object",
    "unable to decode",
    "unknown object type",
)
_TRANSIENT_MARKS = ("failed calling webhook", "etcdserver: request timed out", "etcdserver: leader changed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One detail of a refusal: which field, and why."""

    field: str
    reason: str
    message: str


class ApiRefusedError(RefusedError):
    """A refusal with the server's causes: one per field of an invalid object."""

    def __init__(self, what: str, hint: str | None = None, code: str = "Remote", status: int = 0) -> None:
        super().__init__(what, hint, code, status)
        self.causes: tuple[Cause, ...] = ()


def read(status: int, body: bytes) -> dict[str, Any]:
    """The Status object in a body, or one made up from the HTTP status."""
    try:
        answer = msgspec.json.decode(body)
    except msgspec.MsgspecError:
        answer = None
    if isinstance(answer, dict) and answer.get("kind") == "Status":
        return answer
    return {"kind": "Status", "code": status, "reason": "", "message": f"HTTP {status}"}


def error(status: int, answer: Mapping[str, Any], doing: str) -> RemoteError:
    """The error for a Status answer to what we were `doing` ('patch configmaps/app')."""
    reason = str(answer.get("reason") or "")
    message = redact(str(answer.get("message") or f"HTTP {status}"))[:_LONGEST]
    text = f"{doing}: {message}"
    if status == 409:
        return RaceError(text, code=reason or "Conflict", status=status)
    if status == 410:
        return RaceError(text, code=reason or "Expired", status=status)
    if status == 500 and any(mark in message for mark in _SCHEMA_MARKS):
        return ApiRefusedError(text, code="Invalid", status=422)
    if status == 429 or status >= 500:
        return TransientError(text, code=reason or ("TooManyRequests" if status == 429 else "ServerError"), status=status)
    if status == 403 and "being terminated" in message:
        # not a lack of rights: the namespace is going away and may come back (NamespaceTerminating)
        return TransientError(text, code="NamespaceTerminating", status=status)
    if any(mark in message for mark in _TRANSIENT_MARKS):
        return TransientError(text, code=reason or "ServerError", status=status)
    refused = ApiRefusedError(text, code=reason or _reason(status), status=status)
    refused.causes = causes(answer)
    return refused


_VALUE = re.compile(
    r"""(?P<what>(?:Invalid|Duplicate|Unsupported|Forbidden)\ value|Too\ long|Too\ many):\ # how a field error opens
        (?:"(?:[^"\\]|\\.)*"|\{.*?\}(?=:\ |$)|\[.*?\](?=:\ |$)|[^\s:,"{\[]+)(?::\ )?""",
    re.VERBOSE | re.DOTALL,
)
_TYPED = re.compile(r", got &value\.valueUnstructured\{Value:.*?\}(?=$|\n)", re.DOTALL)


def redact(message: str) -> str:
    """The message without the values it quotes: they come from manifests, and a Secret is a manifest."""
    message = _TYPED.sub(", got another type", message)
    return _VALUE.sub(lambda found: f"{found['what']}: ", message)


def causes(answer: Mapping[str, Any]) -> tuple[Cause, ...]:
    """The details of a Status, in the server's order."""
    details = answer.get("details")
    found = details.get("causes") if isinstance(details, Mapping) else None
    if not isinstance(found, list):
        return ()
    return tuple(
        Cause(
            field=str(each.get("field") or ""),
            reason=str(each.get("reason") or ""),
            message=redact(str(each.get("message") or "")),
        )
        for each in found
        if isinstance(each, Mapping)
    )


def retry_after(answer: Mapping[str, Any], header: str | None) -> float | None:
    """Seconds the server asks us to wait."""
    if header and header.isdigit():
        return float(header)
    details = answer.get("details")
    seconds = details.get("retryAfterSeconds") if isinstance(details, Mapping) else None
    return float(seconds) if isinstance(seconds, int) and seconds > 0 else None


def _reason(status: int) -> str:
    return {400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 422: "Invalid"}.get(status, "Refused")
