"""Writes down what a merge of one object found: conflicts, changes and kept differences, with their places, masked.

In: nodes of the three documents. Out: the values of `outcome`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from penstock.merge.outcome import MASK, Conflict, ConflictKind, FieldChange, Kept, Note, NoteKind, Text
from penstock.merge.selecting import label
from penstock.model import fieldpath
from penstock.model.errors import Place
from penstock.model.fieldpath import FieldPath
from penstock.model.values import MISSING
from penstock.yamldoc import layout
from penstock.yamldoc.nodes import Document, Mapping, Node, Scalar, Sequence

_LONGEST = 2000


@dataclass(kw_only=True)
class Recorder:
    """The findings about one object; `path` is its file in the target, `document` like '#ConfigMap/web'."""

    path: str
    source_path: str
    document: str
    base: Document | None
    source: Document | None
    target: Document | None
    masked: bool = False
    """Nothing of this object may be shown."""
    conflicts: list[Conflict] = field(default_factory=list)
    changes: list[FieldChange] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)

    def conflict(
        self,
        kind: ConflictKind,
        path: FieldPath,
        values: tuple[Text, Text, Text],
        places: tuple[Node | None, Node | None],
    ) -> Conflict:
        """A conflict with the values of base, source and target, and the nodes to point at in source and target."""
        base, source, target = values
        found = Conflict(
            path=self.path,
            document=self.document,
            field=fieldpath.show(path),
            label=label(path),
            kind=kind,
            base=base,
            source=source,
            target=target,
            source_place=self.place(self.source, places[0], self.source_path),
            target_place=self.place(self.target, places[1], self.path),
        )
        self.conflicts.append(found)
        return found

    def change(self, path: FieldPath, before: Text, after: Text, node: Node | None) -> None:
        """A field of the target takes a new value; `node` is the source's."""
        self.changes.append(
            FieldChange(
                path=self.path,
                document=self.document,
                field=fieldpath.show(path),
                label=label(path),
                before=before,
                after=after,
                place=self.place(self.source, node, self.source_path),
            )
        )

    def keep(self, path: FieldPath, source: Text, target: Text, *, declared: bool) -> None:
        """A field stays different."""
        self.kept.append(
            Kept(
                path=self.path,
                document=self.document,
                field=fieldpath.show(path),
                label=label(path),
                source=source,
                target=target,
                declared=declared,
            )
        )

    def note(self, kind: NoteKind, text: str, path: FieldPath = (), node: Node | None = None) -> None:
        """Something to look at; `node` is the source's."""
        self.notes.append(
            Note(
                kind=kind,
                path=self.path,
                text=text,
                document=self.document,
                field=fieldpath.show(path),
                place=self.place(self.source, node, self.source_path),
            )
        )

    def place(self, document: Document | None, node: Node | None, path: str) -> Place | None:
        """Where a node stands; the file alone when there is no node."""
        if document is None:
            return None
        if node is None:
            return Place(path=path, line=document.line)
        line, column = document.position(node.start)
        return Place(path=path, line=line, column=column)

    def text(self, document: Document | None, node: Node | None, *, masked: bool) -> Text:
        """A value as its document writes it, without the indentation it stands in."""
        if document is None or node is None:
            return MISSING
        if masked or self.masked or _holds_secret(node):
            return MASK
        raw = document.text[node.start : node.end]
        if isinstance(node, Mapping | Sequence) and not node.flow:
            indent = layout.column(document.text, node.content)
            raw = "\n".join(
                line[indent:] if not line[:indent].strip() else line
                for line in (" " * layout.column(document.text, node.start) + raw).split("\n")
            ).strip("\n")
        elif isinstance(node, Scalar) and not raw:
            raw = "null"
        return raw if len(raw) <= _LONGEST else raw[:_LONGEST] + "…"


def _holds_secret(node: Node) -> bool:
    """Whether a value that would be shown whole is a Secret or has one in it."""
    if isinstance(node, Sequence):
        return any(_holds_secret(item) for item in node.items)
    if not isinstance(node, Mapping):
        return False
    return any(secret_below(node, key) for key in node.keys) or any(_holds_secret(entry.value) for entry in node.entries)


_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def secret_below(node: Node | None, key: str) -> bool:
    """Whether the field `key` of this mapping holds secret values: the data of an object of a kind called Secret."""
    if key in ("secretGenerator", _APPLIED):
        return True
    if key not in ("data", "stringData") or not isinstance(node, Mapping):
        return False
    kind = node.keys.get("kind")
    return kind is not None and isinstance(kind.value, Scalar) and kind.value.value.lower() == "secret"
