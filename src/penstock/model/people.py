"""People and what they may do: roles, what each role may do, who was given which, and the one question about it.

In: nothing. Out: `Person`, `Grant` and `may`. Whatever is not granted is not allowed: a person without groups, a group
nobody named, an environment that no grant covers are all the same "no".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from penstock.model.errors import Place

Role = Literal["viewer", "developer", "approver", "admin"]
ROLES: tuple[Role, ...] = ("viewer", "developer", "approver", "admin")
"""Each may do what those before it may, and more."""

Action = Literal["look", "decide", "rollback", "comment", "approve", "merge", "close", "hold", "freeze", "sessions"]
NEEDS: Mapping[Action, Role] = {
    "look": "viewer",
    "decide": "developer",
    "rollback": "developer",
    "comment": "developer",
    "approve": "approver",
    "merge": "approver",
    "close": "approver",
    "hold": "approver",
    "freeze": "approver",
    "sessions": "admin",
}
"""The least role for everything that can be done. `comment` is asking for changes; `rollback` only opens a pull request."""

FLEET = ""
"""In place of an environment: what concerns them all; only a grant for every environment covers it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A role for some people in some environments."""

    role: Role
    environments: tuple[str, ...] = ()
    """None named: all of them."""
    users: tuple[str, ...] = ()
    """Login names as the identity provider has them; 'token:NAME' is whoever has that token."""
    groups: tuple[str, ...] = ()
    place: Place | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody who signed in."""

    login: str
    """As the identity provider calls them, or 'token:NAME'."""
    name: str = ""
    email: str = ""
    """Only one that the provider has verified."""
    groups: tuple[str, ...] = ()
    own: tuple[Role, ...] = ()
    """Roles in every environment that came with the way in: the link of a page on one's own machine is an admin's."""

    @property
    def shown(self) -> str:
        return self.name or self.login


def may(person: Person | None, action: Action, environment: str, grants: Iterable[Grant]) -> bool:
    """The one authorisation there is: whether somebody may do something in an environment (`FLEET`: in all of them)."""
    if person is None:
        return False
    least = ROLES.index(NEEDS[action])
    if any(ROLES.index(role) >= least for role in person.own):
        return True
    return any(
        ROLES.index(grant.role) >= least
        and (not grant.environments or (environment != FLEET and environment in grant.environments))
        and _meant(person, grant)
        for grant in grants
    )


def _meant(person: Person, grant: Grant) -> bool:
    """Whether a grant names this person. An empty login or group is nobody's."""
    return bool(person.login and person.login in grant.users) or any(group and group in grant.groups for group in person.groups)
