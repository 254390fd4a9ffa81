"""What the shell offers behind a command: environments, apps and open promotions of the repository at hand.

In: what click knows of the line so far. Out: words. Nothing is fetched and nothing is asked of a server: a clone here or
above, else the mirror that the fleet keeps. Whatever goes wrong offers nothing: a completion must never be in the way.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.shell_completion import CompletionItem

    from penstock.adapters.git.reading import Reader
    from penstock.model.pipeline import Repository


def environments(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Environments, in the order of promotion."""
    found = _repository(context)
    return _matching([str(one.name) for one in found.environments] if found else [], incomplete)


def apps(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Apps of all environments."""
    found = _repository(context)
    return _matching(list(found.apps()) if found else [], incomplete)


def promotions(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Apps that have a promotion branch, into the environment of --to where that was given."""
    prefix = "penstock/promote/"
    reader = _mirror(context)
    names = [name.removeprefix(prefix) for name in reader.branches(prefix)] if reader else []
    target = str(context.params.get("target") or "")
    found = [unit for into, _, unit in (name.partition("/") for name in names) if target in ("", into)]
    return _matching(sorted(dict.fromkeys(found)), incomplete) or apps(context, parameter, incomplete)


ENVIRONMENT = frozenset({"environment", "environments", "target", "source", "env", "like", "after", "where", "what"})
APP = frozenset({"app", "apps", "unit"})


def teach(command: click.Command) -> None:
    """Let the parameters of a verb complete by what they are called; a new verb needs to do nothing for it."""
    for parameter in command.params:
        if not isinstance(parameter.type, click.types.StringParamType):
            continue
        if parameter.name in ENVIRONMENT and (parameter.name != "what" or "ENV" in str(parameter.metavar)):
            _attach(parameter, environments)
        elif parameter.name in APP:
            _attach(parameter, promotions if command.name in ("approve", "reject", "merge") else apps)


def _attach(parameter: click.Parameter, names: Callable[[click.Context, click.Parameter, str], list[str]]) -> None:
    def complete(context: click.Context, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        taken = context.params.get(str(parameter.name))
        found = [name for name in names(context, parameter, incomplete) if not isinstance(taken, tuple) or name not in taken]
        files = [CompletionItem(incomplete, type="file")] if "PATH" in str(parameter.metavar) else []
        return [CompletionItem(name) for name in found] + files

    # click takes the function only when a parameter is made; the instance's own method is what it asks.
    vars(parameter)["shell_complete"] = complete


def _matching(names: list[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]


def _repository(context: click.Context) -> Repository | None:
    from penstock import source

    with suppress(Exception):
        folder = context.params.get("folder")
        for parent in (Path(folder),) if folder else (Path.cwd(), *Path.cwd().parents):
            if (parent / "penstock.yaml").is_file() or (parent / "clusters").is_dir():
                from penstock.adapters.files import DirectoryTree

                return source.discover(DirectoryTree(parent))
        if (reader := _mirror(context)) is not None and (tip := reader.resolve(_branch(context))) is not None:
            return source.discover(reader.tree(tip))
    return None


def _mirror(context: click.Context) -> Reader | None:
    """The mirror of the fleet that is known here, as it was fetched last."""
    with suppress(Exception):
        from penstock.adapters import git
        from penstock.app import world

        path = context.params.get("fleet") or world.find(Path.cwd())
        if path is not None:
            return git.LocalRepo(world.read(Path(path)).cache / "fleet.git")
    return None


def _branch(context: click.Context) -> str:
    from penstock.app import world

    path = context.params.get("fleet") or world.find(Path.cwd())
    return f"refs/heads/{world.read(Path(path)).repository.branch}" if path else "HEAD"
