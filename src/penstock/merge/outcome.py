"""What a merge says: conflicts, what travelled, what stayed, and what a person should look at. Plain values.

No value of a Secret or of an encrypted file is ever in them: those show as '***'.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from penstock.model.errors import Place
from penstock.model.values import Missing

MASK = "***"
"""Shown in place of a secret value."""

ConflictKind = Literal[
    "changed-both",  # both environments gave the field different values
    "removed-upstream",  # the source removed what the target changed
    "removed-here",  # the target removed what the source changed
    "positional-list",  # a list without keys was touched on both sides
    "order",  # both sides changed the order of a list
    "lines",  # the same lines of a text were changed on both sides
    "never-promoted",  # both have the file and nothing says which differences are meant
    "binary",  # a file that is only known as bytes was changed on both sides
    "ciphertext",  # an encrypted file was changed on both sides
    "aliased",  # the target shares this value between places that the source changed differently
]

Text = str | Missing
"""A value as its file writes it; MISSING where the field is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """A field that a person has to decide."""

    path: str
    """The file in the target environment."""
    document: str = ""
    """'#ConfigMap/web', or '' where the object has no kind or name."""
    field: str = ""
    """The field as text that `fieldpath.parse` reads; '' for a whole object or file."""
    label: str = ""
    """The field as people write it: like `field`, with dotted keys left unquoted."""
    kind: ConflictKind = "changed-both"
    base: Text
    source: Text
    target: Text
    source_place: Place | None = None
    target_place: Place | None = None

    def __str__(self) -> str:
        return " ".join(part for part in (self.document, self.label or self.field) if part) or self.path


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldChange:
    """A field of the target that takes the source's change."""

    path: str
    document: str = ""
    field: str = ""
    label: str = ""
    before: Text
    after: Text
    place: Place | None = None
    """Where the source has it (its file and line)."""

    def __str__(self) -> str:
        return " ".join(part for part in (self.document, self.label or self.field) if part) or self.path


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A field in which the target stays different from the source."""

    path: str
    document: str = ""
    field: str = ""
    label: str = ""
    source: Text
    target: Text
    declared: bool = False
    """It is a declared difference; otherwise it was different at the last promotion, or was changed here."""

    def __str__(self) -> str:
        return " ".join(part for part in (self.document, self.label or self.field) if part) or self.path


NoteKind = Literal[
    "new-file",
    "deleted-file",
    "moved",
    "new-object",
    "deleted-object",
    "names-source",  # a value that comes in names the source environment
    "ciphertext",  # an encrypted file travelled as it is
    "declared-in-new",  # a new file holds a field that is a declared difference
    "declared-left-out",  # something new came in without its declared differences
    "as-lines",  # a structured file could not be read and was merged by lines
    "mode",  # something other than a plain file
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something a person should see before the promotion is opened as ready; `text` is one sentence."""

    kind: NoteKind
    path: str
    text: str
    document: str = ""
    field: str = ""
    place: Place | None = None

    def __str__(self) -> str:
        return f"{self.place or self.path}: {self.text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A person's decision on a conflict: take the source's value, or keep the target's."""

    field: str
    """A field as a conflict names it (also with a leading '#Kind/name '); '' for a whole object or file."""
    side: Literal["source", "target"]
    path: str = ""
    """Only in this file (relative to the environment); '' for any."""
    document: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileMerge:
    """The merge of one file. With conflicts, `result` is the target as it was: nothing is written."""

    result: bytes | None
    """The file's content afterwards; None: there is no such file."""
    conflicts: tuple[Conflict, ...] = ()
    changes: tuple[FieldChange, ...] = ()
    kept: tuple[Kept, ...] = ()
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeMerge:
    """The merge of an environment's files, or some of them."""

    changes: Mapping[str, bytes | None] = field(default_factory=dict)
    """Path in the repository to its new content, None to delete it; sorted. Files in conflict are not in it."""
    conflicts: tuple[Conflict, ...] = ()
    fields: tuple[FieldChange, ...] = ()
    kept: tuple[Kept, ...] = ()
    notes: tuple[Note, ...] = ()
