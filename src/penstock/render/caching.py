"""What a warm process remembers: parsed files by blob id, and whole builds by what they read.

A Cache belongs to its caller and is passed in; it is bounded, and it holds nothing that could differ between two builds
of the same bytes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from penstock.model.rendered import Rendered
from penstock.model.tree import Tree
from penstock.yamldoc import reading

if TYPE_CHECKING:
    from penstock.yamldoc.reading import Document, Leniency


class Cache:
    """Bounded memory of parsed files and finished builds. Not thread-safe: one per worker."""

    def __init__(self, max_files: int = 20_000, max_builds: int = 64) -> None:
        self._max_files = max_files
        self._max_builds = max_builds
        self._files: OrderedDict[tuple[str, str, Leniency], list[Document]] = OrderedDict()
        self._builds: OrderedDict[Any, tuple[str | None, Rendered]] = OrderedDict()
        self.hits = 0
        self.misses = 0

    def documents(self, blob: str, path: str, leniency: Leniency, read: Callable[[], bytes]) -> list[Document]:
        """The documents of a file, parsed once per content and path. They are shared: copy before changing."""
        key = (blob, path, leniency)
        found = self._files.get(key)
        if found is None:
            found = self._files[key] = reading.load_all(read(), path, leniency)
            if len(self._files) > self._max_files:
                self._files.popitem(last=False)
        else:
            self._files.move_to_end(key)
        return found

    def build(self, key: Any, tree: Tree, make: Callable[[], Rendered]) -> Rendered:
        """The finished build for this key if the tree still has every input it had, else a new one."""
        from penstock.render.loading import same_inputs

        found = self._builds.get(key)
        if found is not None:
            tree_id, rendered = found
            if (tree.id is not None and tree.id == tree_id) or same_inputs(tree, rendered.inputs):
                self.hits += 1
                self._builds[key] = (tree.id, rendered)
                self._builds.move_to_end(key)
                return rendered
        self.misses += 1
        rendered = make()
        self._builds[key] = (tree.id, rendered)
        if len(self._builds) > self._max_builds:
            self._builds.popitem(last=False)
        return rendered
