"""One generated case: files and the directory to build. It can be written to disk for kustomize and held in memory for us."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from penstock.model.tree import MemoryTree


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A tree of files; a str content is the target of a symbolic link."""

    files: Mapping[str, bytes | str]
    path: str = ""
    name: str = ""
    unrestricted: bool = field(default=False)
    """Built with --load-restrictor LoadRestrictionsNone."""

    def write(self, folder: Path) -> None:
        """Lay the files out below a folder that is empty."""
        for path, content in self.files.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, str):
                target.symlink_to(content)
            else:
                target.write_bytes(content)

    def tree(self) -> MemoryTree:
        """The files as the pure core sees them."""
        return MemoryTree(self.files)

    def with_files(self, files: Mapping[str, bytes | str]) -> Case:
        """The same case with other files."""
        return Case(files=files, path=self.path, name=self.name, unrestricted=self.unrestricted)

    def show(self) -> str:
        """The whole case as a text that a person can read and paste."""
        parts = [f"# build {self.path or '.'}" + (" (no load restriction)" if self.unrestricted else "")]
        for path, content in sorted(self.files.items()):
            if isinstance(content, str):
                parts.append(f"=== {path} -> {content}")
            else:
                text = content.decode(errors="backslashreplace").replace("\r", "\\r")
                parts.append(f"=== {path}\n{text.rstrip(chr(10))}")
        return "\n".join(parts) + "\n"
