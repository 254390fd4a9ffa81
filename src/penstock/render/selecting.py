"""Selectors: regular expressions over kind, name and namespace, and label selectors, compiled once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from penstock.render import patterns
from penstock.render.resources import Gvk, ResId, Resource, ResourceSet


class SelectorError(Exception):
    """A selector that cannot be read; says which and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """Which objects: every given part is an anchored regular expression, the last two are label selectors."""

    group: str = ""
    version: str = ""
    kind: str = ""
    name: str = ""
    namespace: str = ""
    label_selector: str = ""
    annotation_selector: str = ""

    @property
    def has_id(self) -> bool:
        """Whether anything but labels and annotations is asked for."""
        return bool(self.group or self.version or self.kind or self.name or self.namespace)


def full_match(pattern: str, text: str) -> bool:
    """Whether the whole text fits; an empty pattern fits everything. Raises SelectorError."""
    if not pattern or pattern == text:
        return True
    try:
        return patterns.compiled(pattern).full_match(text)
    except patterns.PatternError as error:
        raise SelectorError(f"not a regular expression: {pattern!r}: {error}") from None


def matches_gvk(selector: Selector, gvk: Gvk) -> bool:
    return (
        full_match(selector.group, gvk.group)
        and full_match(selector.version, gvk.version)
        and full_match(selector.kind, gvk.kind)
    )


def matches_id(selector: Selector, identity: ResId) -> bool:
    """Kind, name and the namespace as written (replacements look at ids this way)."""
    return (
        matches_gvk(selector, identity.gvk)
        and full_match(selector.name, identity.name)
        and full_match(selector.namespace, identity.namespace)
    )


def matches_labels(selector: Selector, resource: Resource) -> bool:
    """Labels and annotations."""
    if selector.label_selector and not label_matches(selector.label_selector, resource.texts("labels")):
        return False
    return not selector.annotation_selector or label_matches(selector.annotation_selector, resource.texts("annotations"))


def check(selector: Selector) -> None:
    """Compile the expressions, so that a mistake shows without any object. Raises SelectorError.

    A mistake in a label selector shows at the first object that is held against it, as in kustomize.
    """
    for pattern in (selector.group, selector.version, selector.kind, selector.name, selector.namespace):
        full_match(pattern, "\0")


LITERAL = re.compile(r"[A-Za-z0-9_-]+\Z")
"""A pattern that only fits itself."""


def select(selector: Selector, resources: ResourceSet) -> list[Resource]:
    """The objects a patch target means: original or current name and namespace, current kind."""
    check(selector)
    ids = resources.ids
    result = []
    for resource in resources.named(selector.name) if LITERAL.match(selector.name) else resources:
        if (selector.kind or selector.group or selector.version) and not matches_gvk(selector, resource.gvk):
            continue
        if selector.name or selector.namespace:
            now, first = ids.current(resource), ids.original(resource)
            if selector.namespace and not (
                full_match(selector.namespace, first.effective_namespace)
                or full_match(selector.namespace, now.effective_namespace)
            ):
                continue
            if selector.name and not (full_match(selector.name, first.name) or full_match(selector.name, now.name)):
                continue
        if not matches_labels(selector, resource):
            continue
        result.append(resource)
    return result


@dataclass(frozen=True, slots=True)
class _Requirement:
    key: str
    operator: str
    values: frozenset[str]

    def matches(self, labels: Mapping[str, str]) -> bool:
        if self.operator == "exists":
            return self.key in labels
        if self.operator == "!":
            return self.key not in labels
        if self.operator in ("=", "in"):
            return self.key in labels and labels[self.key] in self.values
        if self.operator in ("!=", "notin"):
            return self.key not in labels or labels[self.key] not in self.values
        try:
            have, wanted = int(labels[self.key]), int(next(iter(self.values)))
        except (KeyError, ValueError):
            return False
        return have > wanted if self.operator == "gt" else have < wanted


_TOKEN = re.compile(r"\s*(?:(==|!=|=|!|,|\(|\)|<|>)|([^\s=!,()<>]+))")
_KEY = re.compile(r"(?:[A-Za-z0-9](?:[-A-Za-z0-9.]*[A-Za-z0-9])?/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?\Z")
_VALUE = re.compile(r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?)?\Z")


def label_matches(text: str, labels: Mapping[str, str]) -> bool:
    """Whether labels fit a label selector as kubectl writes it. Raises SelectorError."""
    return all(requirement.matches(labels) for requirement in _requirements(text))


@lru_cache(maxsize=256)
def _requirements(text: str) -> tuple[_Requirement, ...]:
    tokens = _tokens(text)
    position = 0
    result: list[_Requirement] = []
    while position < len(tokens):
        requirement, position = _one_requirement(tokens, position, text)
        result.append(requirement)
        if position < len(tokens):
            if tokens[position] != (",", True):
                raise _unreadable(text)
            position += 1
            if position == len(tokens):
                raise _unreadable(text)
    return tuple(result)


def _tokens(text: str) -> list[tuple[str, bool]]:
    """(token, whether it is an operator)."""
    tokens: list[tuple[str, bool]] = []
    position = 0
    stripped = text.rstrip()
    while position < len(stripped):
        match = _TOKEN.match(stripped, position)
        if match is None:
            raise _unreadable(text)
        tokens.append((match[1], True) if match[1] else (match[2], False))
        position = match.end()
    return tokens


def _one_requirement(tokens: list[tuple[str, bool]], position: int, text: str) -> tuple[_Requirement, int]:
    negated = tokens[position] == ("!", True)
    if negated:
        position += 1
    if position >= len(tokens) or tokens[position][1] or not _KEY.match(tokens[position][0]):
        raise _unreadable(text)
    key = tokens[position][0]
    position += 1
    if position >= len(tokens) or tokens[position] == (",", True):
        return _Requirement(key, "!" if negated else "exists", frozenset()), position
    if negated:
        raise _unreadable(text)
    operator, is_symbol = tokens[position]
    position += 1
    if is_symbol and operator in ("=", "==", "!=", "<", ">"):
        value = ""
        if position < len(tokens) and not tokens[position][1]:
            value = tokens[position][0]
            position += 1
        if not _VALUE.match(value):
            raise _unreadable(text)
        name = {"==": "=", "<": "lt", ">": "gt"}.get(operator, operator)
        return _Requirement(key, name, frozenset((value,))), position
    if not is_symbol and operator in ("in", "notin"):
        values, position = _value_list(tokens, position, text)
        return _Requirement(key, operator, values), position
    raise _unreadable(text)


def _value_list(tokens: list[tuple[str, bool]], position: int, text: str) -> tuple[frozenset[str], int]:
    if position >= len(tokens) or tokens[position] != ("(", True):
        raise _unreadable(text)
    position += 1
    values: list[str] = []
    pending = ""
    while position < len(tokens):
        word, is_symbol = tokens[position]
        position += 1
        if not is_symbol:
            if pending or not _VALUE.match(word):
                raise _unreadable(text)
            pending = word
        elif word == ",":
            values.append(pending)
            pending = ""
        elif word == ")":
            values.append(pending)
            return frozenset(values), position
        else:
            break
    raise _unreadable(text)


def _unreadable(text: str) -> SelectorError:
    return SelectorError(f"not a label selector: {text!r}")
