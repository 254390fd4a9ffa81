"""Small shared values: the absent marker and the ids that must not be mixed up."""

from __future__ import annotations

from enum import Enum
from typing import Final, Literal, NewType

CommitId = NewType("CommitId", str)
"""A Git commit, 40 (or 64) lower-case hex digits."""
TreeId = NewType("TreeId", str)
"""A Git tree object."""
BlobId = NewType("BlobId", str)
"""A Git blob object."""
EnvName = NewType("EnvName", str)
"""An environment of the pipeline: dev, staging, prod."""


class Missing(Enum):
    """The type of MISSING: a field that is not there, as opposed to one that is null."""

    MISSING = "missing"

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = Missing.MISSING

Outcome = Literal["created", "configured", "unchanged", "deleted", "skipped", "failed"]
"""What happened to one object; the same words in log, status, CLI and web (flux ssa's vocabulary)."""
