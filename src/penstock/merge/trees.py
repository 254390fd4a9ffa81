"""Merges an environment's files: which files changed, which moved, and each of them by `three_way`.

In: three trees of one repository, the source environment's directory in the first two and the target's in the third.
Out: a TreeMerge. Files are matched by their path below the environment, and, where the source moved or split them, by the
objects in them: the target's objects then move the same way with their differences. Nothing that the source did not
change since base is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from penstock.merge import glancing, naming
from penstock.merge.documents import Identity, Part, read
from penstock.merge.files import Merging, format_of, is_encrypted
from penstock.merge.outcome import Choice, FileMerge, Note, TreeMerge
from penstock.merge.secrets import SecretInputs
from penstock.model.errors import Place
from penstock.model.fieldpath import FieldPath
from penstock.model.tree import Entry, Tree
from penstock.yamldoc.nodes import UnreadableError


def trees(
    base: Tree | None,
    source: Tree,
    target: Tree,
    *,
    source_root: str,
    target_root: str,
    only: Sequence[str] = (),
    declared: Sequence[str] = (),
    choices: Sequence[Choice] = (),
    names: Sequence[str] = (),
) -> TreeMerge:
    """The changes that bring the target environment what the source changed since base.

    `base` is the repository at the last promotion (read below `source_root`); None: nothing was ever promoted, and every
    difference of a file that both have is a conflict. `only` limits the merge to these files and directories (relative to
    the environments; moves are followed inside it). `names` are further words that name the source environment (hosts,
    namespaces), beside the last part of `source_root`.

    Raises ValueError for a selector that cannot be read.
    """
    return _Trees(base, source, target, source_root, target_root, only, declared, choices, names).run()


@dataclass(slots=True)
class _File:
    """One path's three sides."""

    base: bytes | None
    source: bytes | None
    target: bytes | None
    upstream: str = ""
    """The source's path, when the target has the file's objects under another name."""


class _Trees:
    def __init__(
        self,
        base: Tree | None,
        source: Tree,
        target: Tree,
        source_root: str,
        target_root: str,
        only: Sequence[str],
        declared: Sequence[str],
        choices: Sequence[Choice],
        names: Sequence[str],
    ) -> None:
        self.base, self.source, self.target = base, source, target
        self.source_root, self.target_root = source_root, target_root
        self._inputs = (SecretInputs(source, source_root), SecretInputs(target, target_root))
        self.only = [path.strip("/") for path in only]
        self.declared, self.choices = declared, choices
        last = source_root.rpartition("/")[2]
        self.names = frozenset(name for name in (*names, last) if name) - {target_root.rpartition("/")[2]}
        self.notes: list[Note] = []
        self.results: dict[str, bytes | None] = {}
        self.linked: list[set[str]] = []
        """Paths between which objects moved: all of them change, or none."""
        self.merged: list[FileMerge] = []

    def run(self) -> TreeMerge:
        files = {path: self._file(path, entries) for path, entries in self._changed() if self._plain(path, entries)}
        self._follow(files)
        stuck = {path for path in sorted(files) if not self._merge(path, files[path])}
        self._withhold(stuck)
        changes = {self._in_target(path): content for path, content in self.results.items()}
        return TreeMerge(
            changes=dict(sorted(changes.items())),
            conflicts=tuple(conflict for merged in self.merged for conflict in merged.conflicts),
            fields=tuple(change for merged in self.merged for change in merged.changes),
            kept=tuple(kept for merged in self.merged for kept in merged.kept),
            notes=(*self.notes, *(note for merged in self.merged for note in merged.notes)),
        )

    def _withhold(self, stuck: set[str]) -> None:
        """Leave out files from or to which an object moves while the other end is in conflict."""
        while True:
            more = {path for link in self.linked if link & stuck for path in link} - stuck
            if not more:
                break
            stuck |= more
        for path in stuck:
            self.results.pop(path, None)

    # Which files changed ---------------------------------------------------------------------------------------------

    def _changed(self) -> Iterator[tuple[str, tuple[Entry | None, Entry | None]]]:
        """Paths below the environment whose entry differs between base and source, in order."""
        roots = self.only or [""]
        seen: set[str] = set()
        for root in sorted(roots):
            for path, entries in self._differ(root):
                if path not in seen:
                    seen.add(path)
                    yield path, entries

    def _differ(self, path: str) -> Iterator[tuple[str, tuple[Entry | None, Entry | None]]]:
        below = _join(self.source_root, path)
        old = self.base.entry(below) if self.base is not None else None
        new = self.source.entry(below)
        if old is not None and new is not None and old.id and old.id == new.id and old.kind == new.kind:
            return
        names: set[str] = set()
        for tree, entry in ((self.base, old), (self.source, new)):
            if tree is not None and entry is not None and entry.kind == "directory":
                names.update(tree.names(below))
        for name in sorted(names):
            yield from self._differ(_join(path, name))
        old = None if old is not None and old.kind == "directory" else old
        new = None if new is not None and new.kind == "directory" else new
        if old is not None or new is not None:
            yield path, (old, new)

    def _plain(self, path: str, entries: tuple[Entry | None, Entry | None]) -> bool:
        """Whether this is a matter of plain files; symbolic links and submodules are only pointed out."""
        here = self.target.entry(self._in_target(path))
        if here is not None and here.kind == "directory":
            here = None
        odd = next((entry for entry in (*entries, here) if entry is not None and entry.kind != "file"), None)
        if odd is None:
            return True
        place = Place(path=_join(self.source_root, path))
        self.notes.append(
            Note(
                kind="mode",
                path=self._in_target(path),
                text=f"is a {odd.kind} and does not travel: change it by hand",
                place=place,
            )
        )
        return False

    def _file(self, path: str, entries: tuple[Entry | None, Entry | None]) -> _File:
        below = _join(self.source_root, path)
        return _File(
            self.base.read(below) if self.base is not None and entries[0] is not None else None,
            self.source.read(below) if entries[1] is not None else None,
            self._read_target(path),
        )

    def _read_target(self, path: str) -> bytes | None:
        entry = self.target.entry(self._in_target(path))
        return self.target.read(self._in_target(path)) if entry is not None and entry.kind == "file" else None

    def _in_target(self, path: str) -> str:
        return _join(self.target_root, path)

    # Moves -----------------------------------------------------------------------------------------------------------

    def _follow(self, files: dict[str, _File]) -> None:
        """Bring base and target into the source's layout: what the source moved, they have at the new place."""
        for new, old in self._moved_files(files).items():
            moved = files.pop(old)
            if moved.target is not None:
                self.results[old] = None
            files[new] = _File(moved.base, files[new].source, moved.target if moved.target is not None else files[new].target)
            self.linked.append({old, new})
            self._note_move(new, f"moved from {old}")
        self._follow_objects(files)
        self._find_elsewhere(files)

    def _moved_files(self, files: Mapping[str, _File]) -> dict[str, str]:
        """New path -> old path of files that went from one to the other: the same bytes, or the same objects."""
        gone = {path: file for path, file in files.items() if file.source is None and file.base is not None}
        come = {
            path: file for path, file in files.items() if file.base is None and file.source is not None and file.target is None
        }
        found: dict[str, str] = {}
        if not gone or not come:
            return found
        objects = {path: _objects(path, file.base) for path, file in gone.items()}
        for new, file in come.items():
            free = [path for path in gone if path not in found.values() and (file.target is None or gone[path].target is None)]
            same = [path for path in free if gone[path].base == file.source]
            identities = _objects(new, file.source)
            alike = same or [path for path in free if identities and objects[path] == identities]
            named = [path for path in alike if path.rpartition("/")[2] == new.rpartition("/")[2]]
            if len(alike) == 1 or len(named) == 1:
                found[new] = (alike if len(alike) == 1 else named)[0]
        return found

    def _follow_objects(self, files: dict[str, _File]) -> None:
        """Single objects that went from one file to another: their documents move in base and target too."""
        if len(files) < 2:
            return
        before = {one: path for path, file in files.items() for one in _objects(path, file.base)}
        after = {one: path for path, file in files.items() for one in _objects(path, file.source)}
        moves = {one: (before[one], path) for one, path in after.items() if one in before and before[one] != path}
        for one, (old, new) in sorted(moves.items(), key=lambda move: move[1]):
            if files[new].base is None and _loose(one) in map(_loose, _objects(new, files[new].target)):
                continue  # it is there already
            if (piece := _cut(old, files[old].base, one)) is None:
                continue
            self.linked.append({old, new})
            nothing = b"" if files[old].source is not None else None  # the file is still there, without this object
            files[old].base = piece.rest if piece.rest is not None else nothing
            files[new].base = _put(files[new].base, piece.text)
            if (here := _cut(old, files[old].target, one)) is not None:
                if here.rest is None and files[old].source is None:
                    self.results[old] = None
                files[old].target = here.rest if here.rest is not None else nothing
                files[new].target = _put(files[new].target, here.text)
            self._note_move(new, f"{one[1]}/{one[3]} moved here from {old}")

    def _find_elsewhere(self, files: dict[str, _File]) -> None:
        """Objects that the target keeps in a file of another name: that file is merged with the source's."""
        known: dict[str, dict[str, list[Identity]]] = {}
        for path, file in list(files.items()):
            if file.target is not None:
                continue
            wanted = _objects(path, file.source if file.source is not None else file.base)
            if not wanted:
                continue
            directory = path.rpartition("/")[0]
            if directory not in known:
                known[directory] = {
                    other: [_loose(one) for one in _objects(other, self._read_target(other))]
                    for other in self._target_files(directory)
                }
            holders = [other for other, objects in known[directory].items() if {_loose(one) for one in wanted} <= set(objects)]
            if len(holders) == 1 and holders[0] not in files and self.source.entry(_join(self.source_root, holders[0])) is None:
                del files[path]
                source = file.source
                if source is None and len(wanted) < len(known[directory][holders[0]]):
                    source = b""  # its objects go, the target's other ones in that file stay
                files[holders[0]] = _File(file.base, source, self._read_target(holders[0]), path)

    def _target_files(self, directory: str) -> Iterator[str]:
        """The YAML files of a directory of the target, those below it included unless it is the environment itself."""
        below = self._in_target(directory)
        entry = self.target.entry(below)
        if entry is None or entry.kind != "directory":
            return
        for name in self.target.names(below):
            path = _join(directory, name)
            entry = self.target.entry(self._in_target(path))
            if entry is not None and entry.kind == "file" and format_of(path) == "yaml":
                yield path
            elif entry is not None and entry.kind == "directory" and directory:
                yield from self._target_files(path)

    def _note_move(self, path: str, text: str) -> None:
        place = Place(path=_join(self.source_root, path))
        self.notes.append(Note(kind="moved", path=self._in_target(path), text=text, place=place))

    # One file --------------------------------------------------------------------------------------------------------

    def _merge(self, path: str, file: _File) -> bool:
        """Merge one file; False when a person has to decide."""
        actual = self._read_target(path)
        if file.base is None and file.source is None and file.target is None:
            if actual is not None:
                self.results[path] = None
            return True
        merging = Merging(
            file.base,
            file.source,
            file.target,
            path=self._in_target(path),
            name=path,
            source_path=_join(self.source_root, file.upstream or path),
            declared=self.declared,
            choices=self.choices,
            masked=self._secret(path),
        )
        merged = merging.run()
        self.merged.append(merged)
        if merged.conflicts:
            return False
        if merged.result != actual:
            self.results[path] = merged.result
        self.merged[-1] = replace(merged, notes=(*merged.notes, *self._named(path, file, merged.result), *self._mode(path, file)))
        return True

    def _mode(self, path: str, file: _File) -> Iterator[Note]:
        """New files are written as plain ones."""
        entry = self.source.entry(_join(self.source_root, file.upstream or path)) if file.target is None else None
        if entry is not None and entry.executable:
            yield Note(kind="mode", path=self._in_target(path), text="is executable upstream and new here: set its mode by hand")

    def _secret(self, path: str) -> bool:
        """Whether a kustomization of either side makes a Secret of it."""
        return any(inputs.has(path) for inputs in self._inputs)

    def _named(self, path: str, file: _File, result: bytes | None) -> Iterator[Note]:
        """Values that came in and name the source environment."""
        if result is None or format_of(path) not in ("yaml", "json") or is_encrypted(path, result):
            return
        if not any(name.encode(errors="surrogateescape") in result for name in self.names):
            return
        known = {(part.identity, field, node.value) for part, field, node, _ in self._names(path, file.target)}
        for part, field, node, name in self._names(path, result):
            if (part.identity, field, node.value) in known:
                continue
            line, column = part.document.position(node.start)
            place = Place(path=self._in_target(path), line=line, column=column)
            shown = naming.label(field)
            yield Note(
                kind="names-source",
                path=self._in_target(path),
                text=f"{shown} names {name}, the environment it comes from",
                document=part.label,
                field=shown,
                place=place,
            )

    def _names(self, path: str, content: bytes | None) -> Iterator[tuple[Part, FieldPath, naming.Scalar, str]]:
        for part in _parts(path, content):
            for field, node, name in naming.naming(part, self.names):
                yield part, field, node, name


@dataclass(frozen=True, slots=True)
class _Piece:
    text: str
    rest: bytes | None


def _parts(path: str, content: bytes | None) -> list[Part]:
    form = format_of(path)
    if content is None or form not in ("yaml", "json"):
        return []
    try:
        return read(content.removeprefix(b"\xef\xbb\xbf").decode().replace("\r\n", "\n"), json=form == "json")
    except (UnreadableError, UnicodeDecodeError):
        return []


def _objects(path: str, content: bytes | None) -> list[Identity]:
    """The named objects of a file."""
    if content is not None and format_of(path) == "yaml":
        try:
            glanced = glancing.named(content.removeprefix(b"\xef\xbb\xbf").decode().replace("\r\n", "\n"))
        except UnicodeDecodeError:
            return []
        if glanced is not None:
            return glanced
    return [part.identity for part in _parts(path, content) if part.named]


def _loose(one: Identity) -> Identity:
    """An object whatever its namespace: environments differ in it."""
    return (one[0], one[1], "", one[3])


def _cut(path: str, content: bytes | None, wanted: Identity) -> _Piece | None:
    """One object's document out of a file, and the file without it; None when it is not there."""
    parts = _parts(path, content)
    same = [part for part in parts if part.identity == wanted] or [
        part for part in parts if _loose(part.identity) == _loose(wanted)
    ]
    if len(same) != 1:
        return None
    found = same[0]
    rest = [part.document.text for part in parts if part is not found]
    if rest and parts[0] is found and rest[0].startswith("---\n"):
        rest[0] = rest[0][4:]
    text = found.document.text.removeprefix("---\n")
    left = any(part.document.root is not None for part in parts if part is not found)
    return _Piece(text, "".join(rest).encode() if left else None)


def _put(content: bytes | None, text: str) -> bytes:
    """A document at the end of a file."""
    if content is None or not content.strip():
        return text.encode()
    before = content.decode()
    return (before + ("" if before.endswith("\n") else "\n") + "---\n" + text).encode()


def _join(root: str, path: str) -> str:
    return f"{root}/{path}" if root and path else root or path
