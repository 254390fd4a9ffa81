"""Write a multi-environment repository: a whole new one, or one more environment beside those that are there.

In: a folder and names. Out: the files written. Nothing that exists is touched unless the caller forces it.
"""

from __future__ import annotations

import itertools
import string
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from penstock.model import errors

DEFAULT_ENVIRONMENTS = ("dev", "staging", "prod")
DEFAULT_URL = "https://git.example.com/platform/fleet.git"

_SIZES: dict[str, dict[str, str]] = {
    "first": {
        "web_replicas": "1",
        "web_replicas_why": "one is enough to try things",
        "web_memory": "64Mi",
        "new_checkout": "true",
        "api_replicas": "1",
        "api_memory": "128Mi",
        "log_level": "debug",
        "schedule": "0 * * * *",
        "report_to": "nobody@shop.example",
    },
    "middle": {
        "web_replicas": "2",
        "web_replicas_why": "rollouts behave as in prod with at least two",
        "web_memory": "128Mi",
        "new_checkout": "true",
        "api_replicas": "2",
        "api_memory": "256Mi",
        "log_level": "info",
        "schedule": "0 6 * * *",
        "report_to": "qa@shop.example",
    },
    "last": {
        "web_replicas": "3",
        "web_replicas_why": "sized for the evening peak",
        "web_memory": "256Mi",
        "new_checkout": "false",
        "api_replicas": "4",
        "api_memory": "512Mi",
        "log_level": "warn",
        "schedule": "0 5 * * *",
        "report_to": "sales@shop.example",
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What was written, in the order of the repository's listing, relative to the folder."""

    folder: Path
    files: tuple[str, ...]
    committed: str = ""
    """The id of the first commit; '' when the folder belongs to a repository already."""
    names_source: tuple[errors.Place, ...] = ()
    """For an added environment: lines that still name the environment it was copied from."""


def repository(
    folder: Path,
    *,
    environments: Sequence[str] = DEFAULT_ENVIRONMENTS,
    url: str = DEFAULT_URL,
    branch: str = "main",
    secret: str = "",
    force: bool = False,
) -> Written:
    """Write a new repository and its first commit; `secret` names the Secret a cluster reads it with, if it needs one.

    Raises InputError when the folder is not empty and `force` is not set, or a name cannot be an environment's.
    """
    for name in environments:
        _valid_name(name)
    if folder.exists() and not folder.is_dir():
        raise errors.invalid(f"{folder} is not a folder", code="NotADirectory")
    if folder.exists() and any(folder.iterdir()) and not force:
        raise errors.invalid(
            f"{folder} is not empty, nothing was written",
            hint="choose another folder, or --force to write into it",
            code="NotEmpty",
        )
    files: dict[str, str] = {}
    for position, name in enumerate(environments):
        values = _SIZES["first" if position == 0 else "last" if position == len(environments) - 1 else "middle"]
        host = "shop.example" if values is _SIZES["last"] else f"{name}.shop.example"
        files |= _environment(name, values | {"host": host, "url": url, "branch": branch, "secret": _secret_reference(secret)})
    files["penstock.yaml"] = _pipeline(environments)
    files["README.md"] = _fill(_template("readme.md").read_text(), _readme_values(environments, branch))
    files[".gitignore"] = _template("gitignore").read_text()
    existed = (folder / ".git").exists()
    _write(folder, files)
    committed = "" if existed else _first_commit(folder, files, branch, environments)
    return Written(folder=folder, files=tuple(sorted(files)), committed=committed)


def environment(folder: Path, name: str, *, like: str, after: str | None, force: bool = False) -> Written:
    """Add an environment as a copy of `like`, its own objects renamed; `after` names what it is promoted from.

    Raises InputError when `like` is not there, or `name` is and `force` is not set.
    """
    _valid_name(name)
    source, target = folder / "clusters" / like, folder / "clusters" / name
    if not source.is_dir():
        there = sorted(path.name for path in (folder / "clusters").glob("*") if path.is_dir())
        hint = f"environments here: {', '.join(there)}" if there else "penstock init writes a new repository"
        raise errors.invalid(f"clusters/{like} does not exist", hint=hint, code="UnknownEnvironment")
    if target.exists() and not force:
        raise errors.invalid(
            f"clusters/{name} exists, nothing was written", hint="--force writes over it", code="EnvironmentExists"
        )
    files: dict[str, str] = {}
    mentions: list[errors.Place] = []
    for path in sorted(source.rglob("*")):
        if not path.is_file():
            continue
        relative = path.relative_to(source).as_posix()
        text = path.read_text()
        if relative.startswith("flux-system/"):
            text = _renamed(text, like, name)
        where = f"clusters/{name}/{relative}"
        files[where] = text
        mentions += [
            errors.Place(path=where, line=number)
            for number, line in enumerate(text.splitlines(), 1)
            if like in line and not relative.startswith("flux-system/")
        ]
    pipeline = folder / "penstock.yaml"
    if pipeline.exists():
        files["penstock.yaml"] = _with_environment(pipeline.read_text(), name, after or like)
    _write(folder, files)
    return Written(folder=folder, files=tuple(sorted(files)), names_source=tuple(mentions))


def _renamed(text: str, like: str, name: str) -> str:
    """The sync objects of an environment under another name: only the places `repository` fills in are touched."""
    return (
        text.replace(f"path: ./clusters/{like}\n", f"path: ./clusters/{name}\n")
        .replace(f"  name: {like}\n", f"  name: {name}\n")
        .replace(f"into the {like} cluster", f"into the {name} cluster")
    )


def _secret_reference(name: str) -> str:
    return f"  secretRef:\n    name: {name}\n" if name else ""


def _valid_name(name: str) -> None:
    allowed = set(string.ascii_lowercase + string.digits + "-")
    if not name or set(name) - allowed or name[0] == "-" or name[-1] == "-" or len(name) > 63:
        raise errors.invalid(
            f"{name!r} cannot be an environment's name", hint="lower-case letters, digits and '-', at most 63", code="BadName"
        )


def _template(path: str) -> Traversable:
    return resources.files("penstock.app").joinpath("scaffold", path)


def _fill(text: str, values: dict[str, str]) -> str:
    return string.Template(text).substitute(values)


def _environment(name: str, values: dict[str, str]) -> dict[str, str]:
    filled = values | {"env": name}
    return {
        f"clusters/{name}/{relative}": _fill(file.read_text(), filled) for relative, file in _files_below(_template("env"), "")
    }


def _files_below(folder: Traversable, prefix: str) -> Iterable[tuple[str, Traversable]]:
    for child in sorted(folder.iterdir(), key=lambda item: item.name):
        if child.is_dir():
            yield from _files_below(child, f"{prefix}{child.name}/")
        elif child.name.endswith(".yaml"):
            yield f"{prefix}{child.name}", child


def _readme_values(environments: Sequence[str], branch: str) -> dict[str, str]:
    rows = [
        f"| {name} | `clusters/{name}` | {'a commit or a pull request' if not position else environments[position - 1]} |"
        for position, name in enumerate(environments)
    ]
    return {"table": "\n".join(rows), "first": environments[0], "last": environments[-1], "branch": branch}


def _pipeline(environments: Sequence[str]) -> str:
    lines = [
        "# How configuration travels. Read from the main branch only, never from the pull request it guards.",
        "apiVersion: penstock.dev/v1alpha1",
        "kind: Pipeline",
        "metadata:",
        "  name: shop",
        "spec:",
        "  environments:",
    ]
    for position, name in enumerate(environments):
        lines.append(f"  - name: {name}")
        if position:
            lines.append(f"    promoteFrom: [{environments[position - 1]}]")
    lines += [
        "  # Fields that are each environment's own: they never travel.",
        "  differences:",
        "  - spec.replicas",
        "  - spec.template.spec.containers[name=*].resources",
        "  - spec.rules[*].host",
    ]
    return "\n".join(lines) + "\n"


def _with_environment(text: str, name: str, after: str) -> str:
    """penstock.yaml with one more entry at the end of its environments; every other byte stays."""
    lines = text.splitlines(keepends=True)
    start = next((number for number, line in enumerate(lines) if line.strip() == "environments:"), None)
    if start is None or any(line.strip() == f"- name: {name}" for line in lines):
        return text
    indent = len(lines[start]) - len(lines[start].lstrip())
    end = start + 1
    while end < len(lines):
        line = lines[end]
        depth = len(line) - len(line.lstrip())
        if line.strip() and (depth < indent or (depth == indent and not line.lstrip().startswith("-"))):
            break
        end += 1
    item = next((line for line in lines[start + 1 : end] if line.lstrip().startswith("-")), " " * indent + "- ")
    pad = item[: len(item) - len(item.lstrip())]
    return "".join([*lines[:end], f"{pad}- name: {name}\n", f"{pad}  promoteFrom: [{after}]\n", *lines[end:]])


def _write(folder: Path, files: dict[str, str]) -> None:
    for relative, text in files.items():
        path = folder / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def _first_commit(folder: Path, files: Iterable[str], branch: str, environments: Sequence[str]) -> str:
    """Commit the files; the trailers record that today's differences between the environments are meant."""
    import pygit2

    repository = pygit2.init_repository(str(folder), initial_head=branch)
    repository.index.add_all(sorted(files))
    repository.index.write()
    try:
        author = repository.default_signature
    except (KeyError, pygit2.GitError):
        # No user.name or user.email is configured: the first commit is still made, by a name that says by whom.
        author = pygit2.Signature("penstock init", "penstock@localhost")
    pairs = itertools.pairwise(environments)
    trailers = "".join(f"Penstock-Adopt: {source} -> {target}\n" for source, target in pairs)
    message = f"Start with {len(environments)} environments\n" + (f"\n{trailers}" if trailers else "")
    tree = repository.index.write_tree()
    return str(repository.create_commit("HEAD", author, author, message, tree, []))
