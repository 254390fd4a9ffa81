"""A fleet as a person: the same repository and forge, with that person's token in place of Penstock's.

In: a fleet, a login, a file with a token. Out: the fleet to open. A sandbox keeps the tokens of its people beside its fleet
file; of a real forge a person brings their own.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from penstock.app.world import Fleet
from penstock.model import errors

FOLDER = "people"


def as_person(fleet: Fleet, login: str, token_file: Path | None = None) -> Fleet:
    """Raises InputError when there is no token for this person."""
    path = token_file or fleet.path.parent / FOLDER / login
    if "/" in login or not path.is_file():
        raise errors.invalid(
            f"there is no token of {login} here",
            hint="--token-file names a file with a token of the forge (or PENSTOCK_TOKEN_FILE)",
            code="NoToken",
        )
    repository = replace(fleet.repository, username=login, password_file=path)
    return replace(fleet, repository=repository, forge=replace(fleet.forge, token_file=path))
