"""What the API answers when it refuses: Kubernetes Status objects, as exceptions on the way there.

In: a reason and the words. Out: `ApiError.status()`, the JSON body kubectl and client libraries understand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

NOT_IN_THE_SANDBOX = "not in the sandbox"


class ApiError(Exception):
    """A refusal: HTTP code, Kubernetes reason, message and optional details."""

    def __init__(self, code: int, reason: str, message: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(code, reason, message, details)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details

    def status(self) -> dict[str, Any]:
        body: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            body["reason"] = self.reason
        if self.details is not None:
            body["details"] = dict(self.details)
        body["code"] = self.code
        return body


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One finding about a field."""

    reason: str
    """FieldValueInvalid, FieldValueRequired, FieldValueForbidden, FieldManagerConflict ..."""
    message: str
    field: str

    def as_json(self) -> dict[str, str]:
        return {"reason": self.reason, "message": self.message, "field": self.field}


def not_found(group: str, plural: str, name: str) -> ApiError:
    qualified = f"{plural}.{group}" if group else plural
    details = {"name": name, "group": group, "kind": plural} if group else {"name": name, "kind": plural}
    return ApiError(404, "NotFound", f'{qualified} "{name}" not found', details)


def no_such_path() -> ApiError:
    """What an unknown URL answers."""
    return ApiError(404, "NotFound", "the server could not find the requested resource", {})


class UnknownPathError(Exception):
    """A URL below no API at all, which the real server answers in plain text."""


def not_emulated(what: str) -> ApiError:
    """Something a real cluster does that the sandbox does not."""
    return ApiError(501, "NotImplemented", f"{NOT_IN_THE_SANDBOX}: {what}")


def already_exists(group: str, plural: str, name: str) -> ApiError:
    qualified = f"{plural}.{group}" if group else plural
    details = {"name": name, "group": group, "kind": plural} if group else {"name": name, "kind": plural}
    return ApiError(409, "AlreadyExists", f'{qualified} "{name}" already exists', details)


def conflict(group: str, plural: str, name: str, why: str) -> ApiError:
    qualified = f"{plural}.{group}" if group else plural
    details = {"name": name, "group": group, "kind": plural} if group else {"name": name, "kind": plural}
    return ApiError(409, "Conflict", f'Operation cannot be fulfilled on {qualified} "{name}": {why}', details)


STALE = "the object has been modified; please apply your changes to the latest version and try again"


def invalid(group: str, kind: str, name: str, causes: Sequence[Cause]) -> ApiError:
    """422 with every finding about the fields."""
    qualified = f"{kind}.{group}" if group else kind
    texts = [f"{cause.field}: {cause.message}" for cause in causes]
    joined = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    details: dict[str, Any] = {"name": name, "group": group, "kind": kind, "causes": [cause.as_json() for cause in causes]}
    details = {key: value for key, value in details.items() if value}
    return ApiError(422, "Invalid", f'{qualified} "{name}" is invalid: {joined}', details)


def bad_request(message: str) -> ApiError:
    return ApiError(400, "BadRequest", message)


def forbidden(group: str, plural: str, name: str, why: str) -> ApiError:
    qualified = f"{plural}.{group}" if group else plural
    details = {"name": name, "group": group, "kind": plural} if group else {"name": name, "kind": plural}
    return ApiError(403, "Forbidden", f'{qualified} "{name}" is forbidden: {why}', details)


def expired(message: str) -> ApiError:
    """410: the revision asked for is no longer in the change log."""
    return ApiError(410, "Expired", message)


def success(group: str, plural: str, name: str, uid: str) -> dict[str, Any]:
    """The Status a finished deletion answers."""
    details = {"name": name, "kind": plural, "uid": uid} | ({"group": group} if group else {})
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
