"""What would travel: one unit's changes since it was last promoted, merged field by field into the target's files.

In: the trees of the base, the source and the target, and the two environments. Out: a `Change`: the files to write, every
conflict, what stays different. An app brings its own line in the kustomizations that list it; the environment's remainder
brings everything else but other apps' lines and the Flux objects that sync the environment.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from penstock import merge
from penstock.merge.outcome import Choice, Conflict, FieldChange, FileMerge, Kept, Note, TreeMerge
from penstock.merge.secrets import SecretInputs
from penstock.model.pipeline import REMAINDER, Environment
from penstock.model.tree import Entry, OverlayTree, Tree
from penstock.model.values import CommitId, EnvName
from penstock.promote import listing

Kind = Literal["update", "new", "removal"]

APPS = "apps"
SYNC_FOLDER = "flux-system"
RECORDS = ".penstock"
"""Where people and Penstock keep records as files."""
_KUSTOMIZATION_FILES = ("kustomization.yaml", "kustomization.yml", "Kustomization")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What promoting one unit from one environment to another means now."""

    unit: str
    source: EnvName
    target: EnvName
    kind: Kind = "update"
    base: CommitId | None = None
    """The commit whose source configuration the target was last brought in line with; None: never."""
    commit: CommitId
    """The newest commit of the source environment that is in it."""
    files: Mapping[str, bytes | None] = field(default_factory=dict)
    """Path -> content to write in the target, None to delete; empty when nothing has to be written."""
    conflicts: tuple[Conflict, ...] = ()
    fields: tuple[FieldChange, ...] = ()
    kept: tuple[Kept, ...] = ()
    notes: tuple[Note, ...] = ()
    content: str = ""
    """Names what the unit is in the source; the same content has the same name, whatever commit it is in."""
    digest: str = ""
    """'sha256:<hex>' over the files that would be written: what an approval is bound to."""
    secrets: frozenset[str] = frozenset()
    """Of the files, those that a kustomization makes a Secret of: never shown."""

    @property
    def empty(self) -> bool:
        return not self.files and not self.conflicts


_KEPT = 256


class Trees:
    """What was parsed of trees, by object id; it may be kept from pass to pass."""

    def __init__(self) -> None:
        self._listings: dict[tuple[str, str], listing.Listing] = {}

    def listings(self, tree: Tree, root: str) -> Iterator[listing.Listing]:
        """The kustomizations that may list apps: that of the apps' directory, and that of the environment."""
        for folder in (f"{root}/{APPS}", root):
            for name in _KUSTOMIZATION_FILES:
                path = f"{folder}/{name}"
                entry = tree.entry(path)
                if entry is None or entry.kind != "file":
                    continue
                key = (path, entry.id)
                if key not in self._listings:
                    if len(self._listings) >= _KEPT:
                        self._listings.clear()
                    self._listings[key] = listing.parse(path, tree.read(path))
                yield self._listings[key]
                break


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A step of the pipeline, and the trees on both sides of it."""

    source: Environment
    target: Environment
    base: Tree | None
    base_commit: CommitId | None
    tree: Tree
    """The main branch: source and target are read from it."""
    origin: Tree | None = None
    """Where the source is read from instead, when an earlier revision of it is what would travel."""
    since: CommitId | None = None
    """From where on commits are news, when fields that were held back since then go now."""
    trees: Trees = field(default_factory=Trees)

    @property
    def source_tree(self) -> Tree:
        return self.origin if self.origin is not None else self.tree

    def roots(self) -> Iterator[tuple[str, str]]:
        """Corresponding directories of source and target."""
        yield from zip(self.source.paths, self.target.paths, strict=False)


def units(source: Environment, target: Environment) -> tuple[str, ...]:
    """Every unit either side has, the remainder last."""
    names = {unit.name for env in (source, target) for unit in env.units if unit.kind == "app"}
    return (*sorted(names), REMAINDER)


def touching(pair: Pair, unit: str) -> tuple[str, ...]:
    """The paths whose history is a unit's in the source: for the remainder, its own and none of the apps'."""
    if unit != REMAINDER:
        return tuple(f"{root}/{APPS}/{unit}" for root, _ in pair.roots())
    return tuple(
        f"{root}/{path}" for root, _ in pair.roots() for path in _paths(pair, pair.tree, root, unit, side="source")
    ) + tuple(one.path for root, _ in pair.roots() for one in pair.trees.listings(pair.tree, root))


def untouched(pair: Pair, unit: str) -> bool:
    """Whether the source is for this unit what it was at the base: nothing travels, and no file has to be read."""
    return pair.base is not None and content_of(pair, pair.base, unit) == content_of(pair, pair.tree, unit)


def plan(pair: Pair, unit: str, commit: CommitId, choices: Sequence[Choice] = ()) -> Change:
    """The change of one unit now."""
    kind = _kind(pair, unit)
    gone = kind == "removal" and (pair.base is None or content_of(pair, pair.base, unit) != "")
    merge_one = _removed if gone else _merged
    merged = [merge_one(pair, unit, source_root, target_root, choices) for source_root, target_root in pair.roots()]
    files = {path: data for one in merged for path, data in one.changes.items()}
    secrets = frozenset(path for path in files if _is_secret(pair, path))
    return Change(
        unit=unit,
        source=pair.source.name,
        target=pair.target.name,
        kind=kind,
        base=pair.base_commit,
        commit=commit,
        files=dict(sorted(files.items())),
        conflicts=tuple(conflict for one in merged for conflict in one.conflicts),
        fields=tuple(change for one in merged for change in one.fields),
        kept=tuple(kept for one in merged for kept in one.kept),
        notes=tuple(note for one in merged for note in one.notes),
        content=content_of(pair, pair.source_tree, unit),
        secrets=secrets,
        digest=digest(files),
    )


def with_held(pair: Pair, unit: str, base: Tree, held: Sequence[tuple[Tree, str]]) -> Tree:
    """The base as it is for a unit of which some fields stayed back: these have the value of the tree they were held at."""
    for then, pattern in held:
        files: dict[str, bytes | None] = {}
        for root, _ in pair.roots():
            only = {path for tree in (then, base) for path in _paths(pair, tree, root, unit, side="source")}
            merged = merge.trees(
                then, base, then, source_root=root, target_root=root, only=tuple(sorted(only)), declared=(pattern,)
            )
            before, after = (
                {file: found for path in only for file, found in _identities(_Files(tree), f"{root}/{path}")}
                for tree in (then, base)
            )
            for path in sorted(before.keys() | after.keys()):
                if before.get(path) != after.get(path):
                    files[path] = merged.changes[path] if path in merged.changes else then.read(path) if path in before else None
        base = OverlayTree(base, files)
    return base


def _is_secret(pair: Pair, path: str) -> bool:
    for source_root, target_root in pair.roots():
        if path.startswith(f"{target_root}/"):
            name = path.removeprefix(f"{target_root}/")
            sides = ((pair.tree, target_root), (pair.source_tree, source_root))
            return any(SecretInputs(tree, root).has(name) for tree, root in sides)
    return False


def settled_file(tree: Tree, source: EnvName, target: EnvName, unit: str, commit: CommitId) -> tuple[str, bytes]:
    """(path, content) of the record file with one more record."""
    path = f"{RECORDS}/settled-{source}-{target}.yaml"
    entry = tree.entry(path)
    before = tree.read(path).decode() if entry and entry.kind == "file" else ""
    app = f"  app: {unit}\n" if unit else ""
    document = (
        "apiVersion: penstock.dev/v1alpha1\nkind: Settled\nspec:\n"
        f"  # What differs in this commit is meant: only later changes of {source} travel to {target}.\n"
        f"  from: {source}\n  to: {target}\n{app}  commit: {commit}\n"
    )
    if before and not before.endswith("\n"):
        before += "\n"
    return path, (f"{before}---\n{document}" if before else document).encode()


def recorded(found: Change, tree: Tree) -> Change:
    """A change that a person decided to nothing: what is left to write is that it was decided."""
    path, content = settled_file(tree, found.source, found.target, "" if found.unit == REMAINDER else found.unit, found.commit)
    files: dict[str, bytes | None] = {path: content}
    return replace(found, files=files, digest=digest(files))


def digest(files: Mapping[str, bytes | None]) -> str:
    """Over paths and contents, each with its length so that none can run into the next."""
    hasher = hashlib.sha256()
    for path, data in sorted(files.items()):
        body = b"-" if data is None else b"+%d:" % len(data) + data
        name = path.encode(errors="surrogateescape")  # a path of Git is bytes, whatever they spell
        hasher.update(b"%d:%s" % (len(name), name) + body)
    return f"sha256:{hasher.hexdigest()}"


def content_of(pair: Pair, tree: Tree, unit: str) -> str:
    """What a unit is in a tree of the source environment, as a digest over object ids; '' when it is not there."""
    hasher = hashlib.sha256()
    found = False
    for root, _ in pair.roots():
        for path in _paths(pair, tree, root, unit, side="source"):
            for file, identity in _identities(tree, f"{root}/{path}"):
                found = True
                hasher.update(f"{file}\0{identity}\n".encode(errors="surrogateescape"))
        for one in pair.trees.listings(tree, root):
            hasher.update(_listed_part(pair, one, root, unit))
    return f"sha256:{hasher.hexdigest()}" if found else ""


def listings_of(pair: Pair) -> tuple[tuple[str, bytes], ...]:
    """The listings of both environments and of the base, whole: a merge of one app's line depends on the lines around it."""
    sides = [(tree, root) for ours, theirs in pair.roots() for tree, root in ((pair.source_tree, ours), (pair.tree, theirs))]
    found = [one for tree, root in sides for one in pair.trees.listings(tree, root)]
    if pair.base is not None:
        found += [one for root, _ in pair.roots() for one in pair.trees.listings(pair.base, root)]
    return tuple((one.path, one.data) for one in found)


def _listed_part(pair: Pair, one: listing.Listing, root: str, unit: str) -> bytes:
    """The part of a listing that belongs to a unit."""
    if unit != REMAINDER:
        return b"listed" if one.lists(f"{root}/{APPS}/{unit}") else b"-"
    return one.without(_Below(f"{root}/{APPS}/"))


class _Below:
    """Every directory directly below a prefix."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def __contains__(self, directory: object) -> bool:
        text = str(directory)
        return text.startswith(self._prefix) and "/" not in text[len(self._prefix) :]


def _identities(tree: Tree, path: str) -> Iterator[tuple[str, str]]:
    """(path, object id) of what is at a path; a directory without an id is told by its files."""
    entry = tree.entry(path)
    if entry is None:
        return
    if entry.id or entry.kind != "directory":
        yield path, f"{entry.id}{'*' if entry.executable else ''}"
        return
    for name in tree.names(path):
        yield from _identities(tree, f"{path}/{name}")


def _paths(pair: Pair, tree: Tree, root: str, unit: str, *, side: Literal["source", "target"]) -> list[str]:
    """The paths below an environment's directory that belong to a unit; listings are not among them."""
    if unit != REMAINDER:
        return [f"{APPS}/{unit}"]
    environment = pair.source if side == "source" else pair.target
    skipped = {posixpath.relpath(found.place.path, root) for found in (environment.kustomization, environment.source) if found}
    top = [name for name in _names(tree, root) if name not in (APPS, SYNC_FOLDER)]
    inner = [f"{APPS}/{name}" for name in _names(tree, f"{root}/{APPS}") if not _is_directory(tree, f"{root}/{APPS}/{name}")]
    listings = {posixpath.relpath(one.path, root) for one in pair.trees.listings(tree, root)}
    return [path for path in (*top, *inner) if path not in skipped and path not in listings]


def _names(tree: Tree, path: str) -> tuple[str, ...]:
    return tree.names(path) if _is_directory(tree, path) else ()


def _is_directory(tree: Tree, path: str) -> bool:
    entry = tree.entry(path)
    return entry is not None and entry.kind == "directory"


def _kind(pair: Pair, unit: str) -> Kind:
    if unit == REMAINDER:
        return "update"
    here = any(_is_directory(pair.source_tree, f"{root}/{APPS}/{unit}") for root, _ in pair.roots())
    there = any(_is_directory(pair.tree, f"{root}/{APPS}/{unit}") for _, root in pair.roots())
    return "removal" if there and not here else "new" if here and not there else "update"


def _merged(pair: Pair, unit: str, source_root: str, target_root: str, choices: Sequence[Choice]) -> TreeMerge:
    """One directory's merge, listings included."""
    declared = tuple(difference.pattern for difference in pair.target.differences)
    only: set[str] = set(_paths(pair, pair.source_tree, source_root, unit, side="source"))
    only |= set(_paths(pair, pair.tree, target_root, unit, side="target"))
    if pair.base is not None:
        only |= set(_paths(pair, pair.base, source_root, unit, side="source"))
    result = TreeMerge()
    if only:
        result = merge.trees(
            pair.base,
            pair.source_tree,
            pair.tree,
            source_root=source_root,
            target_root=target_root,
            only=tuple(sorted(only)),
            declared=declared,
            choices=choices,
        )
    parts = [_listing_merge(pair, unit, source_root, target_root, folder, choices) for folder in (f"{APPS}/", "")]
    return _joined(result, [part for part in parts if part is not None])


def _removed(pair: Pair, unit: str, source_root: str, target_root: str, choices: Sequence[Choice]) -> TreeMerge:
    """An app that is gone from the source goes as a whole: its own values here are no conflict, since the pull request
    says that it removes the app, and what that deletes."""
    if pair.base is None:
        return TreeMerge()  # Nothing says that it ever came from there: it is the target's own.
    paths = [path for path, _ in _identities(_Files(pair.tree), f"{target_root}/{APPS}/{unit}")]
    notes = tuple(Note(kind="deleted-file", path=path, text="goes with the app") for path in paths)
    result = TreeMerge(changes=dict.fromkeys(paths), notes=notes)
    parts = [_listing_merge(pair, unit, source_root, target_root, folder, choices) for folder in (f"{APPS}/", "")]
    return _joined(result, [part for part in parts if part is not None])


class _Files:
    """A tree whose directories have no ids, so that walking it goes down to the files."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self.id = None

    def entry(self, path: str) -> Entry | None:
        entry = self._tree.entry(path)
        return Entry(kind="directory") if entry is not None and entry.kind == "directory" else entry

    def read(self, path: str) -> bytes:
        return self._tree.read(path)

    def names(self, path: str) -> tuple[str, ...]:
        return self._tree.names(path)


def _joined(result: TreeMerge, listings: Sequence[tuple[str, bytes | None, FileMerge]]) -> TreeMerge:
    changes = dict(result.changes)
    for path, before, one in listings:
        if one.result != before and not one.conflicts:
            changes[path] = one.result
    return TreeMerge(
        changes=changes,
        conflicts=(*result.conflicts, *(conflict for _, _, one in listings for conflict in one.conflicts)),
        fields=(*result.fields, *(change for _, _, one in listings for change in one.changes)),
        kept=result.kept,
        notes=(*result.notes, *(note for _, _, one in listings for note in one.notes)),
    )


def _listing_merge(
    pair: Pair, unit: str, source_root: str, target_root: str, folder: str, choices: Sequence[Choice]
) -> tuple[str, bytes | None, FileMerge] | None:
    """(path in the target, its bytes now, its merge) of one kustomization that may list apps; None without a change."""
    base = _listing(pair, pair.base, f"{source_root}/{folder}") if pair.base is not None else None
    source = _listing(pair, pair.source_tree, f"{source_root}/{folder}")
    target = _listing(pair, pair.tree, f"{target_root}/{folder}")
    known = target or source or base
    if known is None:
        return None
    path = f"{target_root}/{folder}{posixpath.basename(known.path)}"
    before = target.data if target else None
    if unit == REMAINDER:
        old = base.without(_Below(f"{source_root}/{APPS}/")) if base else None
        new = source.without(_Below(f"{source_root}/{APPS}/")) if source else None
        if old == new or (pair.base is None and before is not None):
            return None
    else:
        directory, there = f"{source_root}/{APPS}/{unit}", f"{target_root}/{APPS}/{unit}"
        listed = (
            bool(base and base.lists(directory)),
            bool(source and source.lists(directory)),
            bool(target and target.lists(there)),
        )
        if listed == (False, True, False) and source is not None:
            new = source.data if target else source.without(_Others(f"{source_root}/{APPS}/", directory))
            old = source.without({directory}) if target else None
        elif listed == (True, False, True) and base is not None:
            old, new = base.data, base.without({directory})
        else:
            return None
    return path, before, merge.three_way(old, new, before, path=path, choices=choices)


class _Others(_Below):
    """Every directory directly below a prefix but one."""

    def __init__(self, prefix: str, keep: str) -> None:
        super().__init__(prefix)
        self._keep = keep

    def __contains__(self, directory: object) -> bool:
        return directory != self._keep and super().__contains__(directory)


def _listing(pair: Pair, tree: Tree, folder: str) -> listing.Listing | None:
    """The kustomization of one folder ('…/apps/' or '…/')."""
    root = folder.removesuffix("/").removesuffix(f"/{APPS}") if folder.endswith(f"/{APPS}/") else folder.removesuffix("/")
    wanted = folder.removesuffix("/")
    return next((one for one in pair.trees.listings(tree, root) if posixpath.dirname(one.path) == wanted), None)
