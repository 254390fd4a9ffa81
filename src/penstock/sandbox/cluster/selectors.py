"""Label and field selectors of list and watch requests.

In: the selector text of a URL. Out: a predicate on objects. Raises ApiError 400 in Kubernetes' words for text that is not
a selector, and for a field the kind cannot be selected by.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from penstock.sandbox.cluster.status import bad_request

Predicate = Callable[[Mapping[str, Any]], bool]
_SET = re.compile(r"(?P<key>[^\s!=,()<>]+)\s+(?P<op>in|notin)\s*\((?P<values>[^)]*)\)\Z")
_EQUAL = re.compile(r"(?P<key>[^\s!=,()<>]+)\s*(?P<op>==|=|!=|>|<)\s*(?P<value>[^\s!=,()<>]*)\Z")
_EXISTS = re.compile(r"(?P<not>!?)\s*(?P<key>[^\s!=,()<>]+)\Z")

_COMMON = frozenset({"metadata.name", "metadata.namespace"})
# What each kind can be selected by besides name and namespace (the strategies' selectable fields).
_FIELDS: Mapping[str, frozenset[str]] = {
    "pods": frozenset({"spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "status.phase"}),
    "events": frozenset(
        {
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        }
    ),
    "secrets": frozenset({"type"}),
    "namespaces": frozenset({"status.phase"}),
    "nodes": frozenset({"spec.unschedulable"}),
    "replicasets.apps": frozenset({"status.replicas"}),
    "jobs.batch": frozenset({"status.successful"}),
}


def labels(text: str) -> Predicate:
    """A label selector: a=b, a!=b, a in (b,c), a notin (b), a, !a, joined by commas."""
    tests = [_label_test(part.strip()) for part in _split(text)] if text.strip() else []

    def matches(manifest: Mapping[str, Any]) -> bool:
        found = manifest.get("metadata", {}).get("labels") or {}
        return all(test(found) for test in tests)

    return matches


def _split(text: str) -> list[str]:
    """Parts between commas that are not inside parentheses."""
    return re.split(r",(?![^(]*\))", text)


def _label_test(part: str) -> Callable[[Mapping[str, str]], bool]:
    if match := _SET.match(part):
        key, values = match["key"], {value.strip() for value in match["values"].split(",")}
        if match["op"] == "in":
            return lambda found: key in found and found[key] in values
        return lambda found: found.get(key) not in values
    if match := _EQUAL.match(part):
        key, value, op = match["key"], match["value"], match["op"]
        if op == "!=":
            return lambda found: found.get(key) != value
        if op in ("<", ">"):
            return lambda found: _compares(found.get(key, ""), op, value)
        return lambda found: found.get(key) == value
    if match := _EXISTS.match(part):
        key, absent = match["key"], bool(match["not"])
        return lambda found: (key in found) != absent
    raise bad_request(f'unable to parse requirement: found {part!r}, expected: a label selector such as "app=web"')


def _compares(one: str, op: str, other: str) -> bool:
    try:
        return int(one) > int(other) if op == ">" else int(one) < int(other)
    except ValueError:
        return False


def label_query(selector: Mapping[str, Any] | None) -> Predicate:
    """The predicate of a LabelSelector object (matchLabels, matchExpressions); None matches nothing."""
    if selector is None:
        return lambda manifest: False
    parts = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
    for requirement in selector.get("matchExpressions") or []:
        key, operator = requirement["key"], requirement["operator"]
        values = ",".join(requirement.get("values") or [])
        parts.append({"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "Exists": key}.get(operator, f"!{key}"))
    return labels(",".join(parts))


def fields(text: str, resource: str, selectable: frozenset[str] = frozenset()) -> Predicate:
    """A field selector: metadata.name=x, joined by commas; `selectable` are the paths a CRD adds."""
    tests = []
    known = _COMMON | _FIELDS.get(resource, frozenset()) | selectable
    for part in filter(None, (part.strip() for part in text.split(","))):
        match = _EQUAL.match(part)
        if match is None:
            raise bad_request(f"invalid selector: '{text}'; can't understand '{part}'")
        if match["key"] not in known:
            raise bad_request(_unknown_field(match["key"], resource, known))
        tests.append((match["key"].split("."), match["op"] == "!=", match["value"]))

    def matches(manifest: Mapping[str, Any]) -> bool:
        return all((_text(manifest, path) == value) != negated for path, negated, value in tests)

    return matches


def _unknown_field(field: str, resource: str, known: frozenset[str]) -> str:
    if known == _COMMON:
        return f'"{field}" is not a known field selector: only "metadata.name", "metadata.namespace"'
    return f"field label not supported: {field}"


def _text(manifest: Mapping[str, Any], path: list[str]) -> str:
    value: Any = manifest
    for part in path:
        value = value.get(part) if isinstance(value, Mapping) else None
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)
