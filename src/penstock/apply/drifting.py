"""`spec.ignore`: fields that may drift, because somebody else (an autoscaler, for one) writes them.

In: rules, the desired manifest, the live object. Out: the manifest to apply. A field of ours is sent with the value it has
in the cluster, so that it stays; a field that is not ours any more is not sent, so that we do not take it back. An object
that does not exist yet is created as Git has it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from penstock.apply.ownership import Fields
from penstock.model.resource import Manifest, split_api_version
from penstock.model.values import MISSING


@dataclass(frozen=True, slots=True, kw_only=True)
class IgnoreRule:
    """JSON pointers, and which objects they are about (None: all)."""

    paths: tuple[str, ...]
    target: Mapping[str, str] | None = None


def parse(found: object) -> tuple[IgnoreRule, ...]:
    """Read `spec.ignore`."""
    rules = []
    for each in found if isinstance(found, list) else ():
        target = each.get("target")
        rules.append(IgnoreRule(paths=tuple(map(str, each.get("paths") or ())), target=dict(target) if target else None))
    return tuple(rules)


def adapted(manifest: Manifest, live: Manifest, fields: Fields | None, rules: Sequence[IgnoreRule]) -> Manifest:
    """The manifest to apply over a live object; the given one is not changed, and is returned when no rule is about it."""
    result = manifest
    for rule in rules:
        if rule.target is not None and not selects(rule.target, manifest):
            continue
        for path in rule.paths:
            steps = _steps(path)
            if not steps or _value(manifest, steps) is MISSING:
                continue
            there = _value(live, steps)
            keep = there if there is not MISSING and _held(fields or {}, steps) else MISSING
            result = _with(result, steps, keep)
    return result


def selects(target: Mapping[str, str], manifest: Manifest) -> bool:
    """kustomize's selector: whole-string regular expressions, and label selectors over labels and annotations."""
    group, version = split_api_version(str(manifest.get("apiVersion") or ""))
    metadata = manifest.get("metadata") or {}
    values = {
        "group": group,
        "version": version,
        "kind": str(manifest.get("kind") or ""),
        "name": str(metadata.get("name") or ""),
        "namespace": str(metadata.get("namespace") or ""),
    }
    for key, value in values.items():
        pattern = target.get(key)
        if pattern and not re.fullmatch(pattern, value):
            return False
    return labels_match(target.get("labelSelector") or "", metadata.get("labels") or {}) and labels_match(
        target.get("annotationSelector") or "", metadata.get("annotations") or {}
    )


_TERM = re.compile(
    r"\s*(?P<not>!)?(?P<key>[^\s,=!()]+)\s*(?:(?P<op>==|=|!=)\s*(?P<value>[^\s,()]*)"
    r"|(?P<set>in|notin)\s*\((?P<values>[^)]*)\))?\s*(?:,|\Z)"
)


def labels_match(selector: str, labels: Mapping[str, str]) -> bool:
    """A Kubernetes label selector: 'a=b,c!=d,e in (f,g),h notin (i),j,!k'. One that cannot be read matches nothing."""
    position = 0
    while position < len(selector):
        term = _TERM.match(selector, position)
        if term is None:
            return False
        position = term.end()
        if not _term_matches(term, labels.get(term["key"])):
            return False
    return True


def _term_matches(term: re.Match[str], value: str | None) -> bool:
    if term["set"]:
        listed = {each.strip() for each in term["values"].split(",")}
        return (value in listed) == (term["set"] == "in")
    if term["op"]:
        return (value == term["value"]) == (term["op"] != "!=")
    return (value is None) == bool(term["not"])


def _steps(pointer: str) -> tuple[str, ...]:
    if not pointer.startswith("/"):
        return ()
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in pointer[1:].split("/"))


def _value(found: Any, steps: Sequence[str]) -> Any:
    for step in steps:
        if isinstance(found, Mapping) and step in found:
            found = found[step]
        elif isinstance(found, list) and step.isdigit() and int(step) < len(found):
            found = found[int(step)]
        else:
            return MISSING
    return found


def _held(fields: Fields, steps: Sequence[str]) -> bool:
    """Whether a field is ours: it or a map it is in is held. Below a list that is true as soon as the list is ours,
    because an item cannot be given up by its position."""
    for step in steps:
        if step.isdigit():
            return True
        if f"f:{step}" not in fields:
            return not fields
        fields = fields[f"f:{step}"]
    return True


def _with(value: Any, steps: Sequence[str], new: Any) -> Any:
    """A copy of the way down to a field, with the field replaced, or taken out for MISSING."""
    step, rest = steps[0], steps[1:]
    if isinstance(value, list):
        index = int(step)
        changed = list(value)
        if rest:
            changed[index] = _with(value[index], rest, new)
        elif new is MISSING:
            del changed[index]
        else:
            changed[index] = new
        return changed
    copy = dict(value)
    if rest:
        copy[step] = _with(value[step], rest, new)
    elif new is MISSING:
        del copy[step]
    else:
        copy[step] = new
    return copy
