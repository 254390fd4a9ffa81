"""Which commit a GitRepository's ref means, and how Flux writes it as a revision.

In: a repository as last fetched and a ref (precedence commit, name, semver, tag, branch). Out: a commit and a revision:
'main@sha1:<id>', 'v1.2.0@sha1:<id>', 'refs/heads/x@sha1:<id>', 'sha1:<id>'.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from penstock.controllers.git_spec import GitRepositorySpec
from penstock.model import flux
from penstock.model.errors import RefusedError
from penstock.model.values import CommitId
from penstock.ports.repo import Repo


class Tagged(Protocol):
    """A repository that can list its tags."""

    def tags(self) -> Mapping[str, CommitId]:
        """Tags by short name, each with the commit it stands for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A resolved ref."""

    commit: CommitId
    revision: str
    tag: str = ""
    """The tag by which it was found."""


def resolve(repo: Repo, spec: GitRepositorySpec) -> Found:
    """The commit of a ref. Raises RefusedError when the repository does not have it."""
    if spec.commit:
        commit = repo.resolve(spec.commit)
        if commit is None or not commit.startswith(spec.commit):
            raise _missing(f"commit '{spec.commit}'")
        if spec.branch:
            tip = repo.resolve(f"refs/heads/{spec.branch}")
            if tip is None or not repo.is_ancestor(commit, tip):
                raise _missing(f"commit '{spec.commit}' on branch '{spec.branch}'")
        return Found(commit=commit, revision=revision(spec.branch, commit))
    if spec.ref_name:
        return _named(repo, spec.ref_name, spec.ref_name, f"reference '{spec.ref_name}'")
    if spec.semver:
        tag, commit = highest(_tags(repo), spec.semver, lambda each: repo.commit(each).committer.when.timestamp())
        return Found(commit=commit, revision=revision(tag, commit), tag=tag)
    if spec.tag:
        return _named(repo, f"refs/tags/{spec.tag}", spec.tag, f"tag '{spec.tag}'")
    return _named(repo, f"refs/heads/{spec.branch}", spec.branch, f"branch '{spec.branch}'")


def revision(name: str, commit: CommitId) -> str:
    """The revision as Flux writes it."""
    algorithm = "sha256" if len(commit) == 64 else "sha1"
    return f"{name}@{algorithm}:{commit}" if name else f"{algorithm}:{commit}"


def commit_of(text: str) -> CommitId:
    """The commit of a revision; '' when there is none."""
    return CommitId(text.rpartition(":")[2])


def older(one: str, other: str) -> bool:
    """Whether one tag is a lower version than another (False when either is none)."""
    first, second = _version(one), _version(other)
    return first is not None and second is not None and first < second


def _named(repo: Repo, ref: str, shown: str, what: str) -> Found:
    commit = repo.resolve(ref)
    if commit is None:
        raise _missing(what)
    tag = ref.removeprefix("refs/tags/") if ref.startswith("refs/tags/") else ""
    return Found(commit=commit, revision=revision(shown, commit), tag=tag)


def _missing(what: str) -> RefusedError:
    return RefusedError(f"unable to resolve {what}: not found in the repository", code=flux.GIT_FAILED, status=404)


def _tags(repo: Repo) -> Mapping[str, CommitId]:
    lister = getattr(repo, "tags", None)
    if lister is None:
        raise RefusedError("this repository cannot list its tags", code=flux.GIT_FAILED)
    found: Mapping[str, CommitId] = lister()
    return found


Version = tuple[int, int, int, tuple[tuple[int, int, str], ...]]
_NUMBER = r"(0|[1-9]\d*)"
_VERSION = re.compile(rf"v?{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?\Z")
"""A tag is a version only when all three numbers are there; a range may leave some out."""
_TERM = re.compile(
    r"(>=|<=|=>|=<|!=|=|>|<|~>|~|\^)?\s*v?(\d+|[xX*])(?:\.(\d+|[xX*]))?(?:\.(\d+|[xX*]))?(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?\Z"
)
_SPELLINGS = {"=>": ">=", "=<": "<=", "~>": "~"}
_RELEASE: tuple[tuple[int, int, str], ...] = ((2, 0, ""),)


def highest(tags: Mapping[str, CommitId], wanted: str, when: Callable[[CommitId], float] | None = None) -> tuple[str, CommitId]:
    """The tag with the highest version in a range ('>=1.2.0 <2.0.0', '~1.2', '^1', '1.x', 'a - b', '||').

    Of versions that differ in build metadata only, the one whose commit `when` says is newest. Pre-releases count only when
    the range names one. Raises RefusedError for a range that is none, or that has no tag.
    """
    allowed = _range(wanted)
    matching = [
        (version, when(commit) if when else 0.0, tag)
        for tag, commit in tags.items()
        if (version := _version(tag)) is not None and any(_admits(group, version) for group in allowed)
    ]
    if not matching:
        raise RefusedError(f"no match found for semver: {wanted}", code=flux.GIT_FAILED, status=404)
    _, _, tag = max(matching)
    return tag, tags[tag]


def _version(text: str) -> Version | None:
    match = _VERSION.match(text)
    if match is None:
        return None
    return (int(match[1]), int(match[2]), int(match[3]), _pre(match[4]))


def _pre(text: str | None) -> tuple[tuple[int, int, str], ...]:
    """Sorts pre-releases before the release, numbers before words (semver 2.0, section 11)."""
    if not text:
        return _RELEASE
    return tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in text.split("."))


class _Test:
    """One comparison of a range."""

    def __init__(self, low: Version | None, high: Version | None, *, low_open: bool, high_open: bool, pre: bool) -> None:
        self.low, self.high, self.low_open, self.high_open, self.pre = low, high, low_open, high_open, pre

    def __call__(self, version: Version) -> bool:
        if self.low is not None and (version < self.low or (self.low_open and version == self.low)):
            return False
        return self.high is None or version < self.high or (not self.high_open and version == self.high)


class _Not(_Test):
    def __call__(self, version: Version) -> bool:
        return not super().__call__(version)


def _admits(group: list[_Test], version: Version) -> bool:
    """Whether a version passes all tests of a group; a pre-release only where the group names one."""
    if version[3] != _RELEASE and not any(test.pre for test in group):
        return False
    return all(test(version) for test in group)


def _range(text: str) -> list[list[_Test]]:
    groups = []
    for part in text.split("||"):
        if " - " in part:
            low, _, high = part.partition(" - ")
            terms = [f">={low.strip()}", f"<={high.strip()}"]
        else:
            terms = [term for term in re.sub(r"([<>=!~^])\s+", r"\1", part.replace(",", " ")).split() if term]
        if not terms:
            raise RefusedError(f"'{text}' is not a version range", code=flux.GIT_FAILED)
        groups.append([_test(term, text) for term in terms])
    return groups


def _test(term: str, whole: str) -> _Test:
    match = _TERM.match(term)
    if match is None:
        raise RefusedError(f"'{whole}' is not a version range", code=flux.GIT_FAILED)
    operator, numbers = _SPELLINGS.get(match[1], match[1] or ""), [_part(match[group]) for group in (2, 3, 4)]
    given = next((index for index, number in enumerate(numbers) if number is None), 3)
    low: Version = (numbers[0] or 0, numbers[1] or 0, numbers[2] or 0, _pre(match[5]))
    pre = match[5] is not None
    if given == 0 and operator in (">", "!=", "^"):
        given = 3  # Masterminds' reading: the star is 0.0.0 here
    if operator in (">", ">=", "<", "<="):
        return _compared(operator, low, given, pre)
    kind = _Not if operator == "!=" else _Test
    if given == 0:
        return kind(None, None, low_open=False, high_open=True, pre=pre)
    if operator == "^":
        # the left-most number that is not zero may not change
        fixed = next((index for index in range(given) if low[index]), given - 1)
        return kind(low, _after(low, fixed), low_open=False, high_open=True, pre=pre)
    if operator == "~":
        return kind(low, _after(low, min(1, given - 1)), low_open=False, high_open=True, pre=pre)
    if given == 3:
        return kind(low, low, low_open=False, high_open=False, pre=pre)
    return kind(low, _after(low, given - 1), low_open=False, high_open=True, pre=pre)


def _compared(operator: str, low: Version, given: int, pre: bool) -> _Test:
    """'>1.2' means at least 1.3.0, '<=1.2' means below 1.3.0."""
    whole = given == 3
    if operator == ">":
        return _Test(low if whole else _after(low, given - 1), None, low_open=whole, high_open=True, pre=pre)
    if operator == ">=":
        return _Test(low, None, low_open=False, high_open=True, pre=pre)
    if operator == "<":
        return _Test(None, low, low_open=False, high_open=True, pre=pre)
    return _Test(None, low if whole else _after(low, given - 1), low_open=False, high_open=not whole, pre=pre)


def _after(version: Version, index: int) -> Version:
    """The first version past all that agree up to `index`; its own pre-releases are past too."""
    numbers: list[int] = list(version[:3])
    numbers[index] += 1
    numbers[index + 1 :] = [0] * (2 - index)
    return (numbers[0], numbers[1], numbers[2], ((-1, 0, ""),))


def _part(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdigit() else None
