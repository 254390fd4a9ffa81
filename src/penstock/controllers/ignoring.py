"""Which files of a source take part: Flux's built-in excludes, `.sourceignore` files, `spec.ignore`; .gitignore syntax.

In: a tree. Out: the same tree without the ignored paths, read as lazily as the tree itself.

As in Flux, and unlike in Git: any pattern of one's own, wherever it stands, replaces the built-in list (only what belongs to
Git itself stays excluded), and the last pattern that matches a file or a folder above it decides, so that a file in an
ignored folder can be called back.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from penstock.model.tree import Entry, Tree
from penstock.model.values import TreeId

_ALWAYS = (".git/", ".gitignore", ".gitmodules", ".gitattributes")
_DEFAULT = (
    *("*.jpg", "*.jpeg", "*.gif", "*.png", "*.wmv", "*.flv", "*.tar.gz", "*.zip"),
    *(".github/", ".circleci/", ".travis.yml", ".gitlab-ci.yml", "appveyor.yml", ".drone.yml", "cloudbuild.yaml"),
    *("codeship-services.yml", "codeship-steps.yml"),
    *("**/.goreleaser.yml", "**/.sops.yaml", "**/.flux.yaml"),
)
_FILE = ".sourceignore"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """One line of an ignore file."""

    regex: re.Pattern[str]
    """Of the path that the line names, from the root of the tree."""
    negated: bool
    directories_only: bool

    def names(self, path: str, directory: bool) -> bool:
        """Whether the line is about exactly this path."""
        return (directory or not self.directories_only) and self.regex.match(path) is not None


def parse(text: str, folder: str = "") -> tuple[Pattern, ...]:
    """The patterns of an ignore file that stands in `folder`."""
    found = []
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        if not line.endswith("\\ "):
            line = line.rstrip(" ")
        negated = line.startswith("!")
        body = line[1:] if negated else line
        directories_only = body.endswith("/")
        body = re.sub("/+", "/", body.removesuffix("/"))
        found.append(Pattern(regex=_regex(body, folder), negated=negated, directories_only=directories_only))
    return tuple(found)


def _regex(body: str, folder: str) -> re.Pattern[str]:
    if not body:
        return _NOTHING
    anchored = "/" in body
    text = "".join(_translated(body.removeprefix("/")))
    start = re.escape(folder) + "/" if folder else ""
    if not anchored:
        start += "(?:.*/)?"
    try:
        return re.compile(f"{start}{text}\\Z", re.DOTALL)
    except re.error:
        return _NOTHING  # a range like [z-a]: a line that means nothing


_NOTHING = re.compile(r"(?!)")


def _translated(body: str) -> Iterable[str]:
    position = 0
    while position < len(body):
        rest = body[position:]
        if rest.startswith("**/"):
            yield "(?:.*/)?"
            position += 3
        elif rest == "/**":
            yield "/.*"
            position += 3
        elif rest[0] == "*":
            yield "[^/]*"
            position += 1
        elif rest[0] == "?":
            yield "[^/]"
            position += 1
        elif rest[0] == "[" and (end := rest.find("]", 2)) > 0:
            inner = rest[1:end].replace("\\", "\\\\").replace("[", "\\[")
            yield "(?!/)[" + ("^" + inner[1:] if inner[0] in "!^" else inner) + "]"
            position += end + 1
        elif rest[0] == "\\" and len(rest) > 1:
            yield re.escape(rest[1])
            position += 2
        else:
            yield re.escape(rest[0])
            position += 1


class IgnoringTree:
    """A tree without the ignored paths; a folder in which nothing is left is not there either.

    The patterns of the .sourceignore files come in the order of the folders, those of `spec_ignore` last, so they win.
    """

    def __init__(self, tree: Tree, spec_ignore: str | None) -> None:
        self._tree = tree
        self._last = parse(spec_ignore) if spec_ignore is not None else ()
        self._of_folder = functools.lru_cache(maxsize=65536)(self._of_this_folder)
        self._empty = functools.lru_cache(maxsize=65536)(self._is_empty)

    @functools.cached_property
    def _patterns(self) -> tuple[Pattern, ...]:
        own = (*self._files(""), *self._last)
        return (*parse("\n".join(_ALWAYS)), *(own or parse("\n".join(_DEFAULT))))

    @functools.cached_property
    def _calls_back(self) -> bool:
        return any(each.negated for each in self._patterns)

    @functools.cached_property
    def _rules(self) -> str:
        """What names one's own patterns; '' when there are only the built-in ones."""
        own = (*self._files(""), *self._last)
        if not own:
            return ""
        text = repr([(each.regex.pattern, each.negated, each.directories_only) for each in own])
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def id(self) -> TreeId | None:
        # .sourceignore files are part of the Git tree; the spec's patterns are not
        return self._tree.id if not self._last else None

    def entry(self, path: str) -> Entry | None:
        found = self._tree.entry(path)
        if found is None or self._hidden(path, found.kind == "directory"):
            return None
        if found.kind == "directory" and self._rules:
            # the same Git tree under other rules has other names in it
            return replace(found, id=f"{found.id}-{self._rules}")
        return found

    def read(self, path: str) -> bytes:
        if self._hidden(path, False):
            raise FileNotFoundError(path)
        return self._tree.read(path)

    def names(self, path: str) -> tuple[str, ...]:
        if path and self._hidden(path, True):
            raise FileNotFoundError(path)
        names = self._tree.names(path)
        return tuple(name for name in names if self.entry(f"{path}/{name}" if path else name) is not None)

    def _hidden(self, path: str, directory: bool) -> bool:
        if not path:
            return False
        last = self._of_folder(path) if directory else self._last_about(path, False)
        if last < 0 or self._patterns[last].negated:
            return False
        return not directory or not self._calls_back or self._empty(path)

    def _of_this_folder(self, folder: str) -> int:
        return self._last_about(folder, True) if folder else -1

    def _last_about(self, path: str, directory: bool) -> int:
        """Which pattern decides: the last that is about the path or a folder above it; -1 when none is."""
        above = self._of_folder(path.rpartition("/")[0])
        for index in range(len(self._patterns) - 1, above, -1):
            if self._patterns[index].names(path, directory):
                return index
        return above

    def _is_empty(self, folder: str) -> bool:
        """Whether nothing in an ignored folder is called back."""
        for name in self._tree.names(folder):
            path = f"{folder}/{name}"
            found = self._tree.entry(path)
            if found is not None and not self._hidden(path, found.kind == "directory"):
                return False
        return True

    def _files(self, folder: str) -> list[Pattern]:
        """The patterns of all .sourceignore files, a folder's own before those below it."""
        found: list[Pattern] = []
        path = f"{folder}/{_FILE}" if folder else _FILE
        entry = self._tree.entry(path)
        if entry is not None and entry.kind == "file":
            found += parse(self._tree.read(path).decode(errors="replace"), folder)
        for name in self._tree.names(folder):
            below = f"{folder}/{name}" if folder else name
            if name != ".git" and (each := self._tree.entry(below)) is not None and each.kind == "directory":
                found += self._files(below)
        return found
