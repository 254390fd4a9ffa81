"""Merges one file, whatever it holds.

In: the file's bytes as base, source and target (None: it does not exist). Out: a FileMerge. Objects (YAML, JSON) are
merged by field, .env and .properties by key, other text by line, anything else as a whole; encrypted files only move.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from penstock.merge import naming, properties
from penstock.merge.documents import FileOfObjects, Part, encrypted, hidden, read
from penstock.merge.lines import Clash
from penstock.merge.lines import merge as merge_lines
from penstock.merge.outcome import MASK, Choice, Conflict, ConflictKind, FieldChange, FileMerge, Kept, Note, NoteKind, Text
from penstock.merge.selecting import Selector, Selectors, parse
from penstock.model.errors import Place
from penstock.model.values import MISSING
from penstock.yamldoc.nodes import UnreadableError

Format = Literal["yaml", "json", "properties", "text"]

_KUSTOMIZATIONS = frozenset(("kustomization.yaml", "kustomization.yml", "Kustomization"))


def format_of(path: str) -> Format:
    """How a file is merged, by its name."""
    name = path.rpartition("/")[2]
    if name.endswith((".yaml", ".yml")) or name in _KUSTOMIZATIONS:
        return "yaml"
    if name.endswith(".json"):
        return "json"
    if name.endswith((".env", ".properties")) or name == ".env" or name.startswith(".env."):
        return "properties"
    return "text"


@dataclass(frozen=True, slots=True)
class _Text:
    """A text file without what is kept as it is: byte order mark and line ends."""

    text: str
    mark: bool
    newline: str

    def bytes(self, text: str) -> bytes:
        """A new text in this file's encoding."""
        if self.newline == "\r\n":
            text = text.replace("\r\n", "\n").replace("\n", "\r\n")
        return (b"\xef\xbb\xbf" if self.mark else b"") + text.encode()


def _text(content: bytes | None) -> _Text | None:
    """A file as text; None when it is not text. Raises nothing."""
    if content is None or b"\0" in content:
        return None
    mark = content.startswith(b"\xef\xbb\xbf")
    try:
        text = content[3:].decode() if mark else content.decode()
    except UnicodeDecodeError:
        return None
    feeds = text.count("\n")
    if feeds and text.count("\r\n") == feeds == text.count("\r"):
        return _Text(text.replace("\r\n", "\n"), mark, "\r\n")
    return _Text(text, mark, "\n")


_SECRET = re.compile(rb"""\bkind["']?\s*:\s*["']?secret\b""", re.IGNORECASE)
_SOPS_LINES = re.compile(rb"^(?:sops_(?:mac|version)\s*=|\[sops\]\s*$)", re.MULTILINE)


def is_encrypted(path: str, content: bytes | None) -> bool:
    """Whether SOPS has encrypted this file."""
    if content is None or (b"sops" not in content and b"ENC[" not in content):
        return False
    form = format_of(path)
    text = _text(content)
    if form in ("yaml", "json") and text is not None:
        try:
            return any(encrypted(part) for part in read(text.text, json=form == "json"))
        except UnreadableError:
            return b"ENC[" in content and b"sops" in content
    if text is not None and text.text.lstrip().startswith("{"):
        try:
            return any(encrypted(part) for part in read(text.text, json=True))
        except UnreadableError:
            return False
    return bool(_SOPS_LINES.search(content))


class Merging:
    """One file's merge; `run` gives the outcome."""

    def __init__(
        self,
        base: bytes | None,
        source: bytes | None,
        target: bytes | None,
        *,
        path: str,
        name: str | None = None,
        source_path: str | None = None,
        declared: Sequence[str] = (),
        choices: Sequence[Choice] = (),
        masked: bool = False,
    ) -> None:
        self.base, self.source, self.target = base, source, target
        self.path = path
        """What the findings call the file."""
        self.name = name if name is not None else path
        """The path that selectors speak of: relative to the environment."""
        self.source_path = source_path or path
        self.declared = Selectors(parse(text) for text in declared)
        wanted = [choice for choice in choices if not choice.path or choice.path in (self.name, path)]
        self.choices = Selectors(_selector(choice) for choice in wanted)
        self.sides = tuple(choice.side for choice in wanted)
        self.masked = masked
        self.form = format_of(self.name)

    def run(self) -> FileMerge:
        """Merge the file."""
        base, source, target = self.base, self.source, self.target
        if source == target:
            return FileMerge(result=target)
        if is_encrypted(self.name, source) or is_encrypted(self.name, target) or is_encrypted(self.name, base):
            self.masked = True
            return self._whole("ciphertext")
        if base is not None and (source is None or target is None):
            return self._removed()
        if target is None:
            return self._new()
        if source is None:  # the target's own file
            return FileMerge(result=target, kept=(self._kept(MISSING, self._shown(target)),))
        texts = [_text(content) for content in (base, source, target)]
        if texts[1] is None or texts[2] is None or (base is not None and texts[0] is None):
            return self._whole("binary")
        return self._text(texts[0], texts[1], texts[2])

    # Whole files -----------------------------------------------------------------------------------------------------

    def _new(self) -> FileMerge:
        """A file that the target does not have."""
        if self._declared_whole() or self._chosen() == "target":
            return FileMerge(result=None, kept=(self._kept(self._shown(self.source), MISSING),))
        return FileMerge(
            result=self.source,
            changes=(self._change(MISSING, self._shown(self.source)),),
            notes=(self._note("new-file", "is new here"), *self._declared_inside()),
        )

    def _removed(self) -> FileMerge:
        """A file that one side has removed since the last promotion."""
        if self.base in (self.source, self.target) and self.target is None:
            return FileMerge(result=None, kept=(self._kept(self._shown(self.source), MISSING),))
        if self._declared_whole() or self._chosen() == "target":
            return FileMerge(result=self.target, kept=(self._kept(self._shown(self.source), self._shown(self.target)),))
        if self.target is None:
            if self._chosen() == "source":
                return FileMerge(result=self.source, changes=(self._change(MISSING, self._shown(self.source)),))
            return self._ask("removed-here")
        if self._chosen() == "source" or self._same_as_base():
            return FileMerge(
                result=None,
                changes=(self._change(self._shown(self.target), MISSING),),
                notes=(self._note("deleted-file", "is removed here, as upstream"),),
            )
        return self._removed_among_others() or self._ask("removed-upstream")

    def _removed_among_others(self) -> FileMerge | None:
        """The source removed the file, but the target keeps objects of its own in it: only the file's objects go."""
        base, target = _text(self.base), _text(self.target)
        if base is None or target is None or self.form != "yaml":
            return None
        try:
            merge = self._objects(base.text, "", target.text)
        except UnreadableError:
            return None
        if len(merge.pairs(merge.base, merge.target)) == len(merge.target):
            return None
        merged = merge.result()
        return self._finished(target, merged.text, merged.conflicts, merged.changes, merged.kept, merged.notes)

    def _whole(self, kind: Literal["binary", "ciphertext"]) -> FileMerge:
        """A file that is only compared as a whole."""
        notes: tuple[Note, ...] = ()
        if self.base == self.source and self.base is not None:
            return FileMerge(result=self.target, kept=(self._kept(self._shown(self.source), self._shown(self.target)),))
        if self.target is not None and self.source is None and self.base is None:
            return FileMerge(result=self.target, kept=(self._kept(MISSING, self._shown(self.target)),))
        if self._declared_whole() or self._chosen() == "target":
            return FileMerge(result=self.target, kept=(self._kept(self._shown(self.source), self._shown(self.target)),))
        if self.base == self.target or self._chosen() == "source":
            if kind == "ciphertext":
                notes = (
                    self._note(
                        "ciphertext", "is encrypted and travels as it is: the target's cluster must be able to decrypt it"
                    ),
                )
            elif self.target is None:
                notes = (self._note("new-file", "is new here"),)
            elif self.source is None:
                notes = (self._note("deleted-file", "is removed here, as upstream"),)
            return FileMerge(
                result=self.source, changes=(self._change(self._shown(self.target), self._shown(self.source)),), notes=notes
            )
        if self.source is None:
            return self._ask("removed-upstream")
        if self.target is None:
            return self._ask("removed-here")
        return self._ask("never-promoted" if self.base is None and kind == "binary" else kind)

    def _same_as_base(self) -> bool:
        """Whether the target's file says what the base's said, whatever its comments, declared differences aside."""
        if self.target == self.base:
            return True
        base, target = _text(self.base), _text(self.target)
        if base is None or target is None or self.form not in ("yaml", "json"):
            return False
        try:
            merge = self._objects(base.text, target.text, target.text)
        except UnreadableError:
            return False
        pairs = merge.pairs(merge.base, merge.target)
        return len(pairs) == len(merge.base) == len(merge.target) and all(merge.unchanged(one, other) for one, other in pairs)

    def _chosen(self) -> str:
        found = {self._side(document) for document in self._documents()}
        return found.pop() if len(found) == 1 else ""

    def _side(self, document: str) -> str:
        chosen = self.choices.covering(self.choices.start(self.name, document))
        return self.sides[chosen] if chosen >= 0 else ""

    def _declared_whole(self) -> bool:
        return all(self.declared.covering(self.declared.start(self.name, document)) >= 0 for document in self._documents())

    def _documents(self) -> list[str]:
        return [part.label for part in self._parts()] or [""]

    def _parts(self) -> list[Part]:
        """The objects of the file, on whichever side has it."""
        for content in (self.target, self.source, self.base):
            text = _text(content)
            if text is not None and self.form in ("yaml", "json"):
                try:
                    return [part for part in read(text.text, json=self.form == "json") if part.document.root is not None]
                except UnreadableError:
                    return []
        return []

    def _declared_inside(self) -> list[Note]:
        """Declared differences that a new file brings with it: it is copied whole, so a person should look at them."""
        notes: list[Note] = []
        for part in self._parts():
            found = naming.declared_in(part, self.declared, self.declared.start(self.name, part.label))
            notes += [
                self._note("declared-in-new", f"{field} is a declared difference: set it for this environment", part.label, field)
                for field in found
            ]
        return notes

    # Texts -----------------------------------------------------------------------------------------------------------

    def _text(self, base: _Text | None, source: _Text, target: _Text) -> FileMerge:
        if self.form in ("yaml", "json"):
            try:
                return self._by_field(base, source, target)
            except UnreadableError as error:
                note = self._note("as-lines", f"was merged line by line: {error.why}")
                return self._by_line(base, source, target, (note,))
        if self.form == "properties":
            found = properties.merge(self, base.text if base is not None else None, source.text, target.text)
            if found is not None:
                return self._finished(target, *found)
        return self._by_line(base, source, target, ())

    def _objects(self, base: str | None, source: str, target: str) -> FileOfObjects:
        return FileOfObjects(
            path=self.path,
            source_path=self.source_path,
            texts=(base, source, target),
            json=self.form == "json",
            kustomization=self.name.rpartition("/")[2] in _KUSTOMIZATIONS,
            declared=self.declared,
            choices=self.choices,
            sides=self.sides,
            masked=self.masked,
            name=self.name,
        )

    def _by_field(self, base: _Text | None, source: _Text, target: _Text) -> FileMerge:
        merged = self._objects(base.text if base is not None else None, source.text, target.text).result()
        return self._finished(target, merged.text, merged.conflicts, merged.changes, merged.kept, merged.notes)

    def _finished(
        self,
        target: _Text,
        text: str,
        conflicts: Sequence[Conflict],
        changes: Sequence[FieldChange],
        kept: Sequence[Kept],
        notes: Sequence[Note] = (),
    ) -> FileMerge:
        if conflicts and self.target == self.base and not self.declared.all and not self.choices.all:
            # Only the splicing gave up: the file was not touched here, so it becomes the source's as it is.
            return FileMerge(result=self.source, changes=tuple(changes), notes=tuple(notes))
        if conflicts:
            return FileMerge(
                result=self.target, conflicts=tuple(conflicts), changes=tuple(changes), kept=tuple(kept), notes=tuple(notes)
            )
        result = target.bytes(text)
        if self.target == self.base and not kept:
            # Nothing here differs from the last promotion: the file becomes the source's, comments and all.
            result = self.source if self.source is not None else result
        elif self.target == self.base and self.source is not None and not self.declared.all and not self.choices.all:
            result = self.source
        return FileMerge(result=result, changes=tuple(changes), kept=tuple(kept), notes=tuple(notes))

    def _by_line(self, base: _Text | None, source: _Text, target: _Text, notes: tuple[Note, ...]) -> FileMerge:
        side = self._chosen()
        if self._declared_whole() or (base is None and side == "target"):
            kept = self._kept(self._shown(self.source), self._shown(self.target))
            return FileMerge(result=self.target, kept=(kept,), notes=notes)
        if base is None and side == "source":
            change = self._change(self._shown(self.target), self._shown(self.source))
            return FileMerge(result=self.source, changes=(change,), notes=notes)
        if any(_SECRET.search(content) for content in (self.base, self.source, self.target) if content is not None):
            self.masked = True
        if base is None:
            return self._ask("never-promoted")
        sides = [part.text.replace("\r\n", "\n").split("\n") for part in (base, source)]
        mine = target.text.split("\n")
        found = merge_lines(sides[0], sides[1], [line.removesuffix("\r") for line in mine], prefer=side)
        if found.clashes:
            return self._ask_lines(found.clashes, notes)
        text = "\n".join(found.applied(mine))
        changes = [self._change("\n".join(mine[edit.start : edit.end]), "\n".join(edit.lines)) for edit in found.edits]
        return self._finished(target, text, (), changes, (), notes)

    def _ask_lines(self, clashes: Sequence[Clash], notes: tuple[Note, ...]) -> FileMerge:
        conflicts = []
        for clash in clashes:
            base = (_text(self.base) or _Text("", False, "\n")).text.split("\n")[clash.start : clash.end]
            shown = [MASK if self.masked else "\n".join(part) for part in (base, clash.source, clash.target)]
            conflicts.append(
                Conflict(
                    path=self.path,
                    label=f"line {clash.start + 1}",
                    kind="lines",
                    base=shown[0],
                    source=shown[1],
                    target=shown[2],
                    source_place=self._line_place(self.source_path, self.source, clash.source),
                    target_place=self._line_place(self.path, self.target, clash.target),
                )
            )
        return FileMerge(result=self.target, conflicts=tuple(conflicts), notes=notes)

    @staticmethod
    def _line_place(path: str, content: bytes | None, wanted: Sequence[str]) -> Place:
        text = _text(content)
        if text is None or not wanted:
            return Place(path=path)
        position = ("\n" + text.text + "\n").find("\n" + "\n".join(wanted) + "\n")
        return Place(path=path, line=text.text.count("\n", 0, max(position, 0)) + 1 if position >= 0 else 0)

    # Findings --------------------------------------------------------------------------------------------------------

    def _shown(self, content: bytes | None) -> Text:
        if content is None:
            return MISSING
        text = _text(content)
        if self.masked or (self.form == "properties"):
            return MASK
        if any(hidden(part) for part in self._parts()):
            return MASK
        return text.text if text is not None and len(text.text) <= 4000 else f"{len(content)} bytes"

    def _document(self) -> str:
        documents = self._documents()
        return documents[0] if len(documents) == 1 else ""

    def _ask(self, kind: ConflictKind) -> FileMerge:
        conflict = Conflict(
            path=self.path,
            document=self._document(),
            kind=kind,
            base=self._shown(self.base),
            source=self._shown(self.source),
            target=self._shown(self.target),
            source_place=Place(path=self.source_path, line=1) if self.source is not None else None,
            target_place=Place(path=self.path, line=1) if self.target is not None else None,
        )
        return FileMerge(result=self.target, conflicts=(conflict,))

    def _change(self, before: Text, after: Text) -> FieldChange:
        if self.masked:
            before, after = (MASK if text is not MISSING else text for text in (before, after))
        return FieldChange(
            path=self.path, document=self._document(), before=before, after=after, place=Place(path=self.source_path, line=1)
        )

    def _kept(self, source: Text, target: Text) -> Kept:
        return Kept(path=self.path, document=self._document(), source=source, target=target, declared=self._declared_whole())

    def _note(self, kind: NoteKind, text: str, document: str = "", field: str = "") -> Note:
        place = Place(path=self.source_path) if self.source is not None else None
        return Note(kind=kind, path=self.path, text=text, document=document, field=field, place=place)


def _selector(choice: Choice) -> Selector:
    found = parse(choice.field) if choice.field else Selector("", "", "", ())
    return Selector(choice.field, found.file, choice.document or found.document, found.steps)


def three_way(
    base: bytes | None,
    source: bytes | None,
    target: bytes | None,
    *,
    path: str,
    declared: Sequence[str] = (),
    choices: Sequence[Choice] = (),
    masked: bool = False,
) -> FileMerge:
    """The target with the source's changes since base, or the conflicts that a person has to decide.

    `base` None: the file did not exist at the last promotion. `declared` names fields that never travel, `choices` are a
    person's decisions; both are read by `selecting.parse`. `masked` hides every value in the findings.

    Raises ValueError for a selector that cannot be read.
    """
    return Merging(base, source, target, path=path, declared=declared, choices=choices, masked=masked).run()
