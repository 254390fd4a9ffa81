"""A case with a difference in, the smallest case found with the same difference out.

Works on text: whole files, blocks (a line and all that is indented deeper), single lines, then scalars. What is left
need not be pretty, it has to differ in the same way.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from .case import Case

Keeps = Callable[[Case], bool]
_IDENTITY = re.compile(rb"\s*(?:- )?['\"]?(?:apiVersion|kind)['\"]?:\s*\S")


def shrink(case: Case, keeps: Keeps, *, attempts: int = 400) -> Case:
    """The smallest case for which `keeps` still holds, within so many attempts."""
    budget = [attempts]

    def holds(candidate: Case) -> bool:
        if budget[0] <= 0:
            return False
        budget[0] -= 1
        return keeps(candidate)

    before = None
    while before != case and budget[0] > 0:
        before = case
        case = _without_files(case, holds)
        for path in sorted(case.files):
            case = _without_blocks(case, path, holds)
    for path in sorted(case.files):
        case = _simpler_lines(case, path, holds)
    return case


def _without_files(case: Case, holds: Keeps) -> Case:
    for path in sorted(case.files):
        if path not in case.files:
            continue
        folder = path.rpartition("/")[0]
        for gone in ({other for other in case.files if folder and other.startswith(folder + "/")}, {path}):
            fewer = {other: _unlisted(content, gone, other) for other, content in case.files.items() if other not in gone}
            if gone and fewer and holds(case.with_files(fewer)):
                case = case.with_files(fewer)
                break
            plain = {other: content for other, content in case.files.items() if other not in gone}
            if gone and plain and holds(case.with_files(plain)):
                case = case.with_files(plain)
                break
    return case


def _unlisted(content: bytes | str, gone: set[str], path: str) -> bytes | str:
    """The file without the lines that only name what is gone."""
    if isinstance(content, str):
        return content
    names = {other.rpartition("/")[2] for other in gone} | {other.rpartition("/")[0].rpartition("/")[2] for other in gone}
    kept = []
    for line in content.split(b"\n"):
        word = line.strip().lstrip(b"- ").strip(b"'\"").decode(errors="replace")
        if line.strip().startswith(b"-") and word.rpartition("/")[2] in names and word:
            continue
        kept.append(line)
    return b"\n".join(kept)


def _blocks(lines: list[bytes]) -> Iterator[tuple[int, int]]:
    """(start, end) of every block, largest first."""
    found = []
    for start, line in enumerate(lines):
        indent = len(line) - len(line.lstrip())
        end = start + 1
        item = line.lstrip().startswith(b"- ")
        while end < len(lines):
            deeper = len(lines[end]) - len(lines[end].lstrip())
            follows = lines[end].lstrip().startswith(b"- ") and not item and deeper == indent and line.rstrip().endswith(b":")
            if lines[end].strip() and deeper <= indent and not follows:
                break
            end += 1
        found.append((start, end))
        if line.startswith(b"---"):
            document = next((i for i in range(start + 1, len(lines)) if lines[i].startswith(b"---")), len(lines))
            found.append((start, document))
    first = next((i for i, line in enumerate(lines) if i and line.startswith(b"---")), None)
    if first:
        found.append((0, first + 1))
    yield from sorted(set(found), key=lambda pair: pair[0] - pair[1])


def _without_blocks(case: Case, path: str, holds: Keeps) -> Case:
    content = case.files.get(path)
    if content is None or isinstance(content, str):
        return case
    progress = True
    while progress:
        progress = False
        lines = case.files[path].split(b"\n")  # type: ignore[union-attr,arg-type]
        for start, end in _blocks(lines):
            if end == start + 1 and _IDENTITY.match(lines[start]):
                continue  # objects without a kind or version differ in ways of their own, which would be found instead
            candidate = case.with_files({**case.files, path: b"\n".join(lines[:start] + lines[end:])})
            if candidate.files[path] != case.files[path] and holds(candidate):
                case = candidate
                progress = True
                break
    return case


def _simpler_lines(case: Case, path: str, holds: Keeps) -> Case:
    content = case.files.get(path)
    if content is None or isinstance(content, str):
        return case
    for change in (
        lambda line: re.sub(rb"\s+#.*$", b"", line),
        lambda line: re.sub(rb"^(\s*(?:- )?)['\"]?([A-Za-z]\w*)['\"]?:", rb"\1\2:", line),
        lambda line: re.sub(rb": ['\"]?[A-Za-z][\w./-]{3,}['\"]?$", b": x", line),
    ):
        for number, line in enumerate(case.files[path].split(b"\n")):  # type: ignore[union-attr,arg-type]
            lines = case.files[path].split(b"\n")  # type: ignore[union-attr,arg-type]
            lines[number] = change(line)
            candidate = case.with_files({**case.files, path: b"\n".join(lines)})
            if candidate.files[path] != case.files[path] and holds(candidate):
                case = candidate
    return case
