"""Which files of a source take part: Flux's built-in excludes, `.sourceignore` files, `spec.ignore`; .gitignore syntax.

In: a tree. Out: the same tree without the ignored paths, read as lazily as the tree itself.
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
    *(".github/", ".circleci/", ".travis.yml", ".gitlab-ci.yml", "appveyor.yml", ".drone.yml", "cloudbuild.yaml", "codeship-*"),
    *("**/.goreleaser.yml", "**/.sops.yaml", "**/.flux.yaml"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """One line of an ignore file."""

    regex: re.Pattern[str]
    negated: bool
    directories_only: bool


def parse(text: str, folder: str = "") -> tuple[Pattern, ...]:
    """The patterns of an ignore file that stands in `folder`."""
    found = []
    for line in text.splitlines():
        line = line.rstrip()
        if not line or line.startswith("#"):
            continue
        negated = line.startswith("!")
        body = line[1:] if negated else line.removeprefix("\\")
        directories_only = body.endswith("/")
        body = body.rstrip("/")
        if body:
            found.append(Pattern(regex=_regex(body, folder), negated=negated, directories_only=directories_only))
    return tuple(found)


def _regex(body: str, folder: str) -> re.Pattern[str]:
    anchored = "/" in body
    body = body.removeprefix("/")
    text = "".join(_translated(body))
    start = re.escape(folder) + "/" if folder else ""
    if not anchored:
        start += "(?:.*/)?"
    return re.compile(f"{start}{text}\\Z", re.DOTALL)


def _translated(body: str) -> Iterable[str]:
    position = 0
    while position < len(body):
        rest = body[position:]
        if rest.startswith("**/"):
            yield "(?:.*/)?"
            position += 3
        elif rest.startswith("/**") and len(rest) == 3:
            yield "/.*"
            position += 3
        elif rest.startswith("**"):
            yield ".*"
            position += 2
        elif rest[0] == "*":
            yield "[^/]*"
            position += 1
        elif rest[0] == "?":
            yield "[^/]"
            position += 1
        elif rest[0] == "[" and (end := rest.find("]", 2)) > 0:
            inner = rest[1:end].replace("\\", "\\\\")
            yield "[" + ("^" + inner[1:] if inner[0] in "!^" else inner) + "]"
            position += end + 1
        elif rest[0] == "\\" and len(rest) > 1:
            yield re.escape(rest[1])
            position += 2
        else:
            yield re.escape(rest[0])
            position += 1


class IgnoringTree:
    """A tree without the ignored paths. `spec_ignore` replaces the built-in list, as in Flux; .sourceignore files count
    in either case, and the patterns of the spec come last, so they win."""

    def __init__(self, tree: Tree, spec_ignore: str | None) -> None:
        self._tree = tree
        self._base = parse("\n".join(_ALWAYS)) + (() if spec_ignore is not None else parse("\n".join(_DEFAULT)))
        self._spec = spec_ignore is not None
        self._last = parse(spec_ignore) if spec_ignore is not None else ()
        self._ignored = functools.lru_cache(maxsize=65536)(self._is_ignored)
        self._files = functools.lru_cache(maxsize=65536)(self._patterns_below)

    @property
    def id(self) -> TreeId | None:
        # .sourceignore files are part of the Git tree; the spec's patterns are not
        return self._tree.id if not self._spec else None

    def entry(self, path: str) -> Entry | None:
        found = self._tree.entry(path)
        if found is None or self._hidden(path, found.kind == "directory"):
            return None
        if found.kind == "directory" and (rules := self._rules(path)):
            # the same Git tree under other rules has other names in it
            return replace(found, id=f"{found.id}-{rules}")
        return found

    def _rules(self, folder: str) -> str:
        """What names the rules inside a folder beside its own content; '' when there are only the built-in ones."""
        patterns = (*self._files(folder), *self._last)
        if not patterns and not self._spec:
            return ""
        text = repr([(each.regex.pattern, each.negated, each.directories_only) for each in patterns])
        return hashlib.sha256(text.encode()).hexdigest()[:16]

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
        """A path is gone when it or a folder above it is ignored: what is in an ignored folder cannot be called back."""
        if not path:
            return False
        parent = path.rpartition("/")[0]
        return (bool(parent) and self._hidden(parent, True)) or self._ignored(path, directory)

    def _is_ignored(self, path: str, directory: bool) -> bool:
        ignored = False
        for pattern in (*self._base, *self._files(path.rpartition("/")[0]), *self._last):
            if (directory or not pattern.directories_only) and pattern.regex.match(path):
                ignored = not pattern.negated
        return ignored

    def _patterns_below(self, folder: str) -> tuple[Pattern, ...]:
        """The patterns of the .sourceignore files from the root down to a folder."""
        above = self._files(folder.rpartition("/")[0]) if folder else ()
        path = f"{folder}/.sourceignore" if folder else ".sourceignore"
        found = self._tree.entry(path)
        if found is None or found.kind != "file":
            return above
        return above + parse(self._tree.read(path).decode(errors="replace"), folder)
