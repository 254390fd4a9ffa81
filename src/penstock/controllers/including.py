"""Files of other repositories in the tree of a source: its submodules, and what `spec.include` names.

In: a tree, and who else may be read. Out: one tree. Nothing is checked out; a submodule is a tree hung in at its path.

Submodules come only from the host the repository itself is on, with the same credentials, because it is the content of the
repository that names them: whoever can commit must not be able to send the credentials, or this process, anywhere else.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import urlsplit, urlunsplit

from penstock.controllers import composing
from penstock.controllers.artifacts import StorageError
from penstock.controllers.composing import GraftedTree
from penstock.controllers.git_spec import Include
from penstock.controllers.repositories import GitSource
from penstock.model import flux
from penstock.model.errors import RefusedError
from penstock.model.tree import Tree
from penstock.model.values import CommitId

_DEEPEST, _MOST = 5, 50
_SETTING = re.compile(r'\s*(path|url)\s*=\s*"?(.*?)"?\s*\Z', re.IGNORECASE)


def paths(includes: Sequence[Include]) -> list[tuple[str, str]]:
    """Where each include's files are, and where they go. Raises StorageError for a path that leaves the tree."""
    found = []
    for each in includes:
        try:
            to = composing.folder_in(each.to_path)
            if not to:
                raise ValueError(each.to_path)
            found.append((composing.folder_in(each.from_path), to))
        except ValueError:
            what = f"path calculation for include '{each.repository}' failed: it leads out of the artifact"
            raise StorageError(what, code=flux.ILLEGAL_PATH) from None
    return found


def with_includes(tree: Tree, includes: Sequence[Include], trees: Sequence[tuple[Tree, str]]) -> Tree:
    """The tree with the files of other sources in it; `trees` are those sources' trees and digests, in the same order."""
    for each, (start, to), (other, digest) in zip(includes, paths(includes), trees, strict=True):
        try:
            tree = GraftedTree(tree, to, composing.below(other, start), digest)
        except (FileNotFoundError, RefusedError) as error:
            why = error.what if isinstance(error, RefusedError) else f"there is no folder '{start}'"
            what = f"failed to copy '{each.repository}' include from {each.from_path or '/'} to {each.to_path}: {why}"
            raise StorageError(what, code=flux.COPY_FAILURE) from None
    return tree


async def with_submodules(tree: Tree, url: str, open_repository: Callable[[str], GitSource]) -> Tree:
    """The tree with its submodules, and theirs, hung in. Raises RefusedError (another host, not there), TransientError."""
    return await _filled(tree, url, open_repository, [0], 1)


async def _filled(tree: Tree, url: str, open_repository: Callable[[str], GitSource], count: list[int], depth: int) -> Tree:
    links = composing.links(tree)
    if not links:
        return tree
    if depth > _DEEPEST:
        raise _refused(f"submodules are nested deeper than {_DEEPEST}")
    addresses = _addresses(tree)
    for path, commit in sorted(links.items()):
        count[0] += 1
        if count[0] > _MOST:
            raise _refused(f"there are more than {_MOST} submodules")
        address = resolved(url, addresses.get(path, ""), path)
        repo = open_repository(address)
        if repo.resolve(commit) != commit:
            await repo.fetch()
        if repo.resolve(commit) != commit:
            raise _refused(f"the commit of submodule '{path}' is not in its repository")
        below = await _filled(repo.tree(CommitId(commit)), address, open_repository, count, depth + 1)
        tree = GraftedTree(tree, path, below, commit)
    return tree


def resolved(url: str, address: str, path: str) -> str:
    """The URL of a submodule, relative ones taken from the repository's own. Raises RefusedError for another host."""
    if not address:
        raise _refused(f"submodule '{path}' has no URL in .gitmodules")
    own = urlsplit(url)
    if address.startswith(("./", "../")):
        joined = posixpath.normpath(posixpath.join("/", own.path.strip("/"), address))
        return urlunsplit((own.scheme, own.netloc, joined, "", ""))
    theirs = urlsplit(address)
    try:
        same = (theirs.scheme, theirs.hostname, theirs.port) == (own.scheme, own.hostname, own.port)
    except ValueError:
        same = False
    if not same:
        raise _refused(f"submodule '{path}' is not on the host of the repository itself, or not by the same protocol")
    return urlunsplit((own.scheme, own.netloc, theirs.path, "", ""))


def _addresses(tree: Tree) -> Mapping[str, str]:
    """Path to URL, from .gitmodules."""
    entry = tree.entry(".gitmodules")
    if entry is None or entry.kind != "file":
        return {}
    sections: list[dict[str, str]] = []
    for line in tree.read(".gitmodules").decode(errors="replace").splitlines():
        if line.strip().startswith("["):
            sections.append({})
        elif sections and (match := _SETTING.match(line)):
            sections[-1][match[1].lower()] = match[2]
    return {each["path"]: each["url"] for each in sections if "path" in each and "url" in each}


def _refused(what: str) -> RefusedError:
    return RefusedError(what, code=flux.GIT_FAILED)
