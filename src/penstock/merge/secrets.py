"""Files that a kustomization makes a Secret of. In: trees. Out: whether a file is such an input, so that nobody shows it."""

from __future__ import annotations

import re

from penstock.model.tree import Tree

_KUSTOMIZATIONS = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_GENERATOR = re.compile(rb"secretGenerator\b.*?(?=^[A-Za-z\"']|\Z)", re.DOTALL | re.MULTILINE)
"""From the word to the next key that begins a line: the generators, and in a file in braces all that follows."""


class SecretInputs:
    """Looks at the kustomizations of one environment in one tree, each once."""

    def __init__(self, tree: Tree, root: str) -> None:
        self._tree = tree
        self._root = root
        self._generators: dict[str, bytes] = {}

    def has(self, path: str) -> bool:
        """Whether a kustomization beside the file, or above it, names it in its secret generators; `path` is relative to the
        environment. A text that only looks like it counts too: hiding too much is the safe side."""
        directory, _, wanted = path.rpartition("/")
        while True:
            if wanted.encode(errors="surrogateescape") in self._named_by(directory):
                return True
            if not directory:
                return False
            directory, _, name = directory.rpartition("/")
            wanted = f"{name}/{wanted}"

    def _named_by(self, directory: str) -> bytes:
        if directory not in self._generators:
            self._generators[directory] = self._read(directory)
        return self._generators[directory]

    def _read(self, directory: str) -> bytes:
        folder = "/".join(part for part in (self._root, directory) if part)
        for name in _KUSTOMIZATIONS:
            at = f"{folder}/{name}" if folder else name
            entry = self._tree.entry(at)
            if entry is not None and entry.kind == "file":
                return b"\n".join(_GENERATOR.findall(self._tree.read(at)))
        return b""
