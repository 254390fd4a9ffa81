"""Merges files of objects: YAML with any number of documents, JSON, kustomization files.

In: a file's text on three sides. Out: the target's text afterwards and the findings. Documents are matched by what they
are (group, kind, namespace, name), not by their position; a document that comes or goes does so as a whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from penstock.merge import ordering
from penstock.merge.differing import Differences
from penstock.merge.fields import FieldMerge
from penstock.merge.outcome import Conflict, FieldChange, Kept, Note
from penstock.merge.recording import Recorder
from penstock.merge.selecting import Selectors
from penstock.yamldoc import jsontext, nodes, parsing
from penstock.yamldoc.nodes import Canon, Document, Mapping, Node, Scalar, UnreadableError, text_of

Identity = tuple[str, str, str, str]
"""Group, kind, namespace, name; '' where the object does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One document of a file, read or not."""

    document: Document
    identity: Identity
    number: int
    """Its place among the file's documents."""

    @property
    def named(self) -> bool:
        return bool(self.identity[1] and self.identity[3])

    @property
    def label(self) -> str:
        return f"#{self.identity[1]}/{self.identity[3]}" if self.named else ""


def read(text: str, *, json: bool = False, known: dict[str, Document] | None = None) -> list[Part]:
    """The documents of a file, empty ones too. Raises UnreadableError.

    Documents of the same text share their nodes through `known`: the sides of a merge are mostly the same.
    """
    if json:
        document = jsontext.parse(text)
        return [Part(document=document, identity=identity(document), number=0)]
    parts: list[Part] = []
    line = 1
    for number, piece in enumerate(parsing.split(text)):
        read_before = known.get(piece) if known is not None else None
        document = parsing.parse(piece, line) if read_before is None else replace(read_before, line=line)
        if known is not None:
            known[piece] = document
        line += piece.count("\n")
        parts.append(Part(document=document, identity=identity(document), number=number))
    return parts


def identity(document: Document) -> Identity:
    """What object a document is."""
    root = document.root
    if not isinstance(root, Mapping):
        return ("", "", "", "")
    return (
        text_of(root, "apiVersion").rpartition("/")[0],
        text_of(root, "kind"),
        text_of(root, "metadata", "namespace"),
        text_of(root, "metadata", "name"),
    )


def encrypted(part: Part) -> bool:
    """Whether an object is encrypted by SOPS: it carries SOPS' own metadata."""
    root = part.document.root
    if not isinstance(root, Mapping) or "sops" not in root.keys:
        return False
    sops = root.keys["sops"].value
    return isinstance(sops, Mapping) and bool({"mac", "version", "lastmodified"} & set(sops.keys))


def pair(left: Sequence[Part], right: Sequence[Part], *, strict: bool = False) -> dict[int, Part]:
    """For documents of `left` (by number) their counterpart in `right`.

    First the same object; then the only ones of that kind and name; then, unless `strict`, unnamed documents in their
    order and renamed objects: the only ones of their kind that are alike.
    """
    of = {part.identity: part for part in right if part.named}
    if len(of) == len(left) == len(right) and {part.identity for part in left} == of.keys():
        return {part.number: of[part.identity] for part in left}  # the same objects, each once: nothing to look for
    found: dict[int, Part] = {}
    keys: list[Callable[[Part], object]] = [
        lambda part: part.identity,
        lambda part: part.identity[1:],
        lambda part: (part.identity[1], part.identity[3]),
    ]
    for key in keys:
        _match(found, [part for part in left if part.named], [part for part in right if part.named], key)
    # The same object twice in one file: the first is the first.
    for one in [part for part in left if part.named and part.number not in found]:
        free, others = _free(found, [one], right)
        same = [part for part in others if part.named and part.identity == one.identity]
        if same:
            found[one.number] = same[0]
    if strict:
        return found
    free, others = _free(found, left, right)
    unnamed = [part for part in free if not part.named], [part for part in others if not part.named]
    found.update((one.number, other) for one, other in zip(*unnamed, strict=False))
    free, others = _free(found, left, right)
    for one in free:
        alike = [other for other in others if other.identity[1] == one.identity[1]]
        rivals = [part for part in free if part.identity[1] == one.identity[1]]
        if len(alike) == len(rivals) == 1 and _renamed(one, alike[0]):
            found[one.number] = alike[0]
    free, others = _free(found, left, right)
    if len(free) == len(others) == 1 and not (free[0].named and others[0].named):
        found[free[0].number] = others[0]
    return found


def _match(found: dict[int, Part], left: list[Part], right: list[Part], key: Callable[[Part], object]) -> None:
    """Pair what has the same key once on each side."""
    free, others = _free(found, left, right)
    counts = Counter(key(part) for part in free)
    by_key: dict[object, list[Part]] = {}
    for part in others:
        by_key.setdefault(key(part), []).append(part)
    for part in free:
        same = by_key.get(key(part), [])
        if counts[key(part)] == 1 and len(same) == 1:
            found[part.number] = same[0]


def _free(found: dict[int, Part], left: Sequence[Part], right: Sequence[Part]) -> tuple[list[Part], list[Part]]:
    taken = {part.number for part in found.values()}
    return [part for part in left if part.number not in found], [part for part in right if part.number not in taken]


def _renamed(one: Part, other: Part) -> bool:
    """Whether an object of another name is the same one: its name was extended, or most of what it says is the same."""
    names = one.identity[3], other.identity[3]
    if any(long.startswith(f"{short}-") or long.endswith(f"-{short}") for long, short in (names, names[::-1])):
        return True
    leaves = [
        {(path, node.value) for path, node in leaves_of(part.document.root) if path not in (("apiVersion",), ("kind",))}
        for part in (one, other)
    ]
    common = leaves[0] & leaves[1]
    return bool(common) and 2 * len(common) >= max(len(leaves[0]), len(leaves[1])) - 1


def leaves_of(node: Node | None, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Scalar]]:
    """Every scalar of a value with the way to it, aliases left out."""
    if isinstance(node, Scalar):
        yield path, node
    elif isinstance(node, Mapping):
        for entry in node.entries:
            key = entry.key.value if isinstance(entry.key, Scalar) else "?"
            yield from leaves_of(entry.value, (*path, key))
    elif isinstance(node, nodes.Sequence):
        for index, item in enumerate(node.items):
            yield from leaves_of(item, (*path, index))


@dataclass
class DocumentsMerge:
    """What merging a file gave."""

    text: str
    conflicts: list[Conflict]
    changes: list[FieldChange]
    kept: list[Kept]
    notes: list[Note]


class FileOfObjects:
    """The merge of one file; texts without byte order mark, lines ending in '\\n'."""

    def __init__(
        self,
        *,
        path: str,
        source_path: str,
        texts: tuple[str | None, str, str],
        json: bool,
        kustomization: bool,
        declared: Selectors,
        choices: Selectors,
        sides: tuple[str, ...],
        masked: bool = False,
        name: str = "",
    ) -> None:
        self.name = name or path
        self.path, self.source_path = path, source_path
        self.fresh = texts[0] is None
        self.json, self.kustomization = json, kustomization
        self.declared, self.choices, self.sides = declared, choices, sides
        self.masked = masked
        self.canon = Canon()
        self.pieces = [texts[2]] if json else parsing.split(texts[2])
        known: dict[str, Document] = {}
        self.every = [read(text, json=json, known=known) if text is not None else [] for text in texts]
        self.base, self.source, self.target = ([part for part in side if part.document.root is not None] for side in self.every)
        self.asks = False
        """The file was never promoted and both sides have such objects: what only one has is asked, too."""
        self.out = DocumentsMerge(texts[2], [], [], [], [])

    def result(self) -> DocumentsMerge:
        """Merge document by document."""
        base_of = {part.number: other for part, other in self.pairs(self.source, self.base)}
        target_of = self._targets(base_of)
        matched = {part.number for part in target_of.values()}
        gone_base = [part for part in self.base if part.number not in {other.number for other in base_of.values()}]
        removed: set[int] = set()
        names: dict[int, str] = {}
        come: list[Part] = []
        rivals = [part for part in self.target if part.number not in matched]
        for part in self.source:
            target = target_of.get(part.number)
            if target is None:
                come += self._missing_here(part, base_of.get(part.number))
            else:
                names[part.number] = f"t{target.number}"
                self._merge(base_of.get(part.number), part, target)
        for one, target in self.pairs(gone_base, rivals):
            if self._goes(one, target):
                removed.add(target.number)
        if not self.out.conflicts:
            self._write(removed, come, names)
        return self.out

    def pairs(self, left: list[Part], right: list[Part]) -> list[tuple[Part, Part]]:
        found = pair(left, right)
        return [(part, found[part.number]) for part in left if part.number in found]

    def _targets(self, base_of: dict[int, Part]) -> dict[int, Part]:
        """The target's counterpart of each source document: of its base if it has one, else of itself."""
        found: dict[int, Part] = {}
        of_base = pair(self.base, self.target)
        for part in self.source:
            base = base_of.get(part.number)
            if base is not None and base.number in of_base:
                found[part.number] = of_base[base.number]
        taken = {part.number for part in [*found.values(), *of_base.values()]}
        left = [part for part in self.source if part.number not in found and (part.number not in base_of or self.fresh)]
        right = [part for part in self.target if part.number not in taken]
        # Without a base the files are compared as they are; with one, what is new upstream is never some other object here.
        found.update(pair(left, right, strict=not self.fresh))
        if self.fresh:
            rest = {part.identity[1] for part in right} - {part.identity[1] for part in found.values()}
            self.asks = bool(found) or bool(rest & {part.identity[1] for part in left})
        return found

    def _recorder(self, base: Part | None, source: Part | None, target: Part | None) -> Recorder:
        label = next((part.label for part in (target, source, base) if part is not None), "")
        return Recorder(
            path=self.path,
            source_path=self.source_path,
            document=label,
            base=base.document if base is not None else None,
            source=source.document if source is not None else None,
            target=target.document if target is not None else None,
            masked=self.masked,
            conflicts=self.out.conflicts,
            changes=self.out.changes,
            kept=self.out.kept,
            notes=self.out.notes,
        )

    def _fields(self, recorder: Recorder, kind: str) -> FieldMerge:
        return FieldMerge(
            recorder,
            declared=self.declared,
            choices=self.choices,
            sides=self.sides,
            kind=kind,
            kustomization=self.kustomization,
            fresh=self.fresh,
            canon=self.canon,
            name=self.name,
        )

    def _merge(self, base: Part | None, source: Part, target: Part) -> None:
        recorder = self._recorder(base, source, target)
        recorder.conflicts = []
        merge = self._fields(recorder, target.identity[1])
        text = merge.result()
        self.out.conflicts += recorder.conflicts
        self.pieces[target.number] = text

    def _whole(self, recorder: Recorder) -> tuple[str, bool]:
        """The side chosen for the whole object, and whether it is a declared difference."""
        chosen = self.choices.covering(self.choices.start(self.name, recorder.document))
        declared = self.declared.covering(self.declared.start(self.name, recorder.document)) >= 0
        return (self.sides[chosen] if chosen >= 0 else ""), declared

    def _missing_here(self, source: Part, base: Part | None) -> list[Part]:
        """A document that the target lacks: new in the source, or removed here."""
        recorder = self._recorder(base, source, None)
        side, declared = self._whole(recorder)
        shown = recorder.text(source.document, source.document.root, masked=hidden(source))
        same = base is not None and self.canon.of_root(base.document) == self.canon.of_root(source.document)
        if declared or side == "target" or same:
            recorder.keep((), shown, recorder.text(None, None, masked=False), declared=declared)
            return []
        if (base is not None or self.asks) and side != "source":
            before = (
                recorder.text(base.document, base.document.root, masked=hidden(base))
                if base is not None
                else recorder.text(None, None, masked=False)
            )
            recorder.conflict(
                "never-promoted" if self.asks else "removed-here",
                (),
                (before, shown, recorder.text(None, None, masked=False)),
                (source.document.root, None),
            )
            return []
        recorder.change((), recorder.text(None, None, masked=False), shown, source.document.root)
        recorder.note("new-object", f"{source.label[1:] or 'an object'} is new here", (), source.document.root)
        return [source]

    def _goes(self, base: Part, target: Part) -> bool:
        """A document that the source removed: whether it goes here too."""
        recorder = self._recorder(base, None, target)
        side, declared = self._whole(recorder)
        before = recorder.text(base.document, base.document.root, masked=hidden(base))
        here = recorder.text(target.document, target.document.root, masked=hidden(target))
        missing = recorder.text(None, None, masked=False)
        if declared or side == "target":
            recorder.keep((), missing, here, declared=declared)
            return False
        if side != "source" and not self.unchanged(base, target):
            recorder.conflict("removed-upstream", (), (before, missing, here), (None, target.document.root))
            return False
        recorder.change((), here, missing, None)
        recorder.note("deleted-object", f"{target.label[1:] or 'an object'} is removed here, as upstream")
        return True

    def unchanged(self, base: Part, target: Part) -> bool:
        """Whether the target's document says what the base said, declared differences aside."""
        if self.canon.of_root(base.document) == self.canon.of_root(target.document):
            return True
        state = self.declared.start(self.name, target.label)
        if not state or base.document.root is None or target.document.root is None:
            return False
        recorder = self._recorder(base, target, target)
        differ = Differences(recorder, self.declared, self.canon, kind=target.identity[1], kustomization=self.kustomization)
        one, other = (self.canon.of(differ.without(root, state)) for root in (base.document.root, target.document.root))
        return one == other

    # The file's text -------------------------------------------------------------------------------------------------

    def _write(self, removed: set[int], come: list[Part], names: dict[int, str]) -> None:
        if not removed and not come:
            self.out.text = "".join(self.pieces)
            return
        kept = [f"t{number}" for number in range(len(self.pieces)) if number not in removed]
        new = {f"s{part.number}": part for part in come}
        in_source = [names.get(part.number, f"s{part.number}") for part in self.source]
        texts: list[str] = []
        for name in ordering.place(kept, in_source, list(new)):
            piece = new[name].document.text if name in new else self.pieces[int(name[1:])]
            texts.append(piece)
        self.out.text = _join(texts, leading=bool(self.pieces) and self.pieces[0].startswith("---"))


def hidden(part: Part) -> bool:
    """Whether an object is a Secret: shown as a whole, it would show its values."""
    return part.identity[1].lower() == "secret" or encrypted(part)


def _join(texts: list[str], *, leading: bool) -> str:
    """Documents as one file: separated, the first one with '---' only if the file began with it."""
    made: list[str] = []
    for index, text in enumerate(texts):
        if made and not made[-1].endswith("\n"):
            made[-1] += "\n"
        opened = text.startswith("---")
        if index and not opened and made and any(not parsing.comment_only(piece) for piece in made):
            text = "---\n" + text
        elif index == 0 and opened and not leading and text.startswith(("---\n", "---\r\n")):
            text = text.partition("\n")[2]
        made.append(text)
    return "".join(made)


__all__ = ["DocumentsMerge", "FileOfObjects", "Part", "UnreadableError", "encrypted", "pair", "read"]
