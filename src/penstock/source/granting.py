"""`spec.access` of penstock.yaml: who may do what on the web page. In: a cursor. Out: grants; problems are collected.

An entry with anything wrong in it grants nothing: a misspelt `environments` must not become all of them.
"""

from __future__ import annotations

from collections.abc import Iterator

from penstock.model import people
from penstock.model.errors import Problem
from penstock.source.reading import Cursor

ACCESS_FIELDS = ("role", "environments", "users", "groups")


def grants(items: Cursor, problems: list[Problem]) -> list[people.Grant]:
    """Every entry that is right in every field."""
    return list(_grants(items, problems))


def _grants(items: Cursor, problems: list[Problem]) -> Iterator[people.Grant]:
    for item in items.items():
        before = len(problems)
        grant = _grant(item)
        if grant is not None and len(problems) == before:
            yield grant


def _grant(item: Cursor) -> people.Grant | None:
    item.fields(ACCESS_FIELDS, required=("role",))
    if not isinstance(item.value, dict):
        return None
    wanted = item.at("role")
    role = next((known for known in people.ROLES if known == wanted.value), None)
    if role is None:
        if wanted.present:
            wanted.problem("unknown role", f"roles are {', '.join(people.ROLES)}", code="UnknownRole")
        return None
    for name in ("environments", "users", "groups"):
        if name in item.value and len(item.at(name).texts()) != _length(item.at(name).value):
            item.at(name).problem("must be a list of names, none of them empty", "leave the field out if it is not meant")
    users, groups = item.at("users").texts(), item.at("groups").texts()
    if not users and not groups:
        item.problem("a role for nobody", "name users or groups", code="MissingField")
    return people.Grant(role=role, environments=item.at("environments").texts(), users=users, groups=groups, place=item.place)


def _length(value: object) -> int:
    """Of a list with something in it; whatever else is no such list and has none."""
    return len(value) if isinstance(value, list) and value else -1
