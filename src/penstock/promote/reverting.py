"""An environment, or an app of it, as it was at an earlier commit: which files that writes.

In: the trees of now and of then. Out: paths with their content then. Other apps, and the Flux objects that sync the
environment, stay as they are now; an app's line in the kustomizations comes and goes with the app.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from penstock import merge
from penstock.model.pipeline import REMAINDER, Environment
from penstock.model.tree import Tree
from penstock.promote import change, listing


def units(target: Environment, before: Tree, then: Tree) -> tuple[str, ...]:
    """Every app of either time, and the remainder."""
    names: set[str] = set()
    for tree in (before, then):
        for path in target.paths:
            entry = tree.entry(f"{path}/{change.APPS}")
            if entry is not None and entry.kind == "directory":
                inner = f"{path}/{change.APPS}"
                names |= {
                    name for name in tree.names(inner) if (one := tree.entry(f"{inner}/{name}")) and one.kind == "directory"
                }
    return (*sorted(names), REMAINDER)


def files(target: Environment, names: Sequence[str], before: Tree, then: Tree) -> Iterator[tuple[str, bytes | None]]:
    """Files of these units that are not now as they were then, with their content then; None: they were not there."""
    whole = REMAINDER in names
    for root in target.paths:
        roots = [root] if whole else [f"{root}/{change.APPS}/{name}" for name in names]
        paths = {path for tree in (before, then) for one in roots for path in _walk(tree, one)}
        for path in sorted(paths):
            if not path.startswith(f"{root}/{change.SYNC_FOLDER}/") and _id(before, path) != _id(then, path):
                yield path, then.read(path) if then.entry(path) else None
        if not whole:
            yield from _listings(root, names, before, then)


def belongs(path: str, target: Environment, unit: str) -> bool:
    """Whether a file is a unit's."""
    if unit != REMAINDER:
        return path.startswith(tuple(f"{root}/{change.APPS}/{unit}/" for root in target.paths))
    return not any(path.startswith(f"{root}/{change.APPS}/") and path.count("/") > root.count("/") + 2 for root in target.paths)


def _listings(root: str, names: Sequence[str], before: Tree, then: Tree) -> Iterator[tuple[str, bytes | None]]:
    """An app's line comes and goes with the app; the other lines stay as they are now."""
    trees = change.Trees()
    old = {one.path: one for one in trees.listings(then, root)}
    for one in trees.listings(before, root):
        leaving = {
            f"{root}/{change.APPS}/{name}"
            for name in names
            if one.lists(f"{root}/{change.APPS}/{name}") and not _lists(old.get(one.path), f"{root}/{change.APPS}/{name}")
        }
        data = one.without(leaving)
        was = old.get(one.path)
        for name in names:
            directory = f"{root}/{change.APPS}/{name}"
            if was is not None and was.lists(directory) and not one.lists(directory):
                data = _with_line(was, directory, data, one.path)
        if data != one.data:
            yield one.path, data


def _lists(one: listing.Listing | None, directory: str) -> bool:
    return one is not None and one.lists(directory)


def _with_line(was: listing.Listing, directory: str, now: bytes, path: str) -> bytes:
    return merge.three_way(was.without({directory}), was.data, now, path=path).result or now


def _walk(tree: Tree, path: str) -> Iterator[str]:
    entry = tree.entry(path)
    if entry is None:
        return
    if entry.kind != "directory":
        yield path
        return
    for name in tree.names(path):
        yield from _walk(tree, f"{path}/{name}")


def _id(tree: Tree, path: str) -> str:
    entry = tree.entry(path)
    return entry.id if entry else ""
