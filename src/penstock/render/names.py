"""Names that an API server would refuse, found before it is asked. In: rendered objects. Out: findings at the object's line.

The rules are the API server's own by kind (apimachinery validation): most names are DNS subdomains (RFC 1123), some are DNS
labels, and those of RBAC objects are path segments.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from penstock.model.errors import Problem
from penstock.model.rendered import RenderedObject

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?\Z")
_LABEL_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?\Z")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\Z")

_SEGMENT_KINDS = {("rbac.authorization.k8s.io", kind) for kind in ("Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding")}
_LABEL_KINDS = {("", "Namespace")}
_LABEL_1035_KINDS = {("", "Service")}


def problems(objects: Iterable[RenderedObject]) -> list[Problem]:
    """Names and namespaces that cannot be, in object order."""
    found = []
    for one in objects:
        written = (one.manifest.get("metadata") or {}).get("name")
        if not isinstance(written, str):
            found.append(_problem(one, f"the name of {one.id.kind} {one.id.name!r} is not text", "put it in quotes"))
        why = _why(one.id.group, one.id.kind, one.id.name)
        if why:
            found.append(_problem(one, f"the name of {one.id.kind} {one.id.name!r} {why}"))
        if one.id.namespace and not (_LABEL.match(one.id.namespace) and len(one.id.namespace) <= 63):
            found.append(_problem(one, f"the namespace {one.id.namespace!r} of {one.id.kind}/{one.id.name} is not a DNS label"))
    return found


_HINT = "lower-case letters, digits and '-', beginning and ending with a letter or digit"


def _problem(one: RenderedObject, what: str, hint: str = _HINT) -> Problem:
    return Problem(what=what, where=one.origin.place, hint=hint, code="BadName")


def _why(group: str, kind: str, name: str) -> str | None:
    if (group, kind) in _SEGMENT_KINDS:
        return "cannot hold '/' or '%', or be '.' or '..'" if "/" in name or "%" in name or name in (".", "..") else None
    if (group, kind) in _LABEL_KINDS | _LABEL_1035_KINDS:
        rule = _LABEL_1035 if (group, kind) in _LABEL_1035_KINDS else _LABEL
        return None if rule.match(name) and len(name) <= 63 else "is not a DNS label of at most 63 characters"
    return None if _SUBDOMAIN.match(name) and len(name) <= 253 else "is not a DNS subdomain of at most 253 characters"
