"""The command line: argv in, text and an exit code out. Every verb is a module here with a click `command`.

Commands are loaded when they are called, so that `penstock --help` and shell completion stay quick; the table below
holds their one-line help for the same reason (a test compares it with the commands).

Exit codes: 0 done; 1 the files are wrong (diff: they differ); 2 a person has to decide, or wrong usage; 3 a server
refused or did not answer; 70 a bug of ours; 130 interrupted.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Sequence

import click

from penstock import __version__
from penstock.model import errors

COMMANDS: dict[str, dict[str, str]] = {
    "Start": {
        "demo": "Tell the whole story on a sandbox: commit, sync, promote, review, undo a drift.",
        "up": "Run a sandbox fleet with Git server, forge, clusters and web page until stopped.",
        "init": "Write a new multi-environment repository, or add an environment to one.",
    },
    "Look at files": {
        "check": "Validate a repository: every finding with file, line and column.",
        "build": "Print the manifests of an environment or of any kustomization.",
        "diff": "Compare two environments, or two revisions of one, object by object and field by field.",
        "trace": "Show where an object or a field comes from.",
    },
    "Look at the fleet": {
        "status": "Show what runs where, how healthy, and what waits for what.",
        "explain": "Say why a change is not everywhere yet, and the one thing to do next.",
        "log": "Show what came into an environment, when, from where and who let it: from Git alone.",
    },
    "Look at a cluster": {
        "get": "Show Kustomizations and sources: revision, whether suspended, ready, and why not.",
        "tree": "Show the objects of a Kustomization, and of the Kustomizations among them.",
        "events": "Show the Kubernetes events of Kustomizations and sources.",
        "stats": "Count Kustomizations and sources: running, failing, suspended, and the size of their artifacts.",
        "export": "Print objects as clean YAML: no status, nothing the server added.",
    },
    "Move": {
        "promote": "Open or update the pull request that carries a change to the next environment.",
        "adopt": "Record today's differences between two environments as meant.",
        "rollback": "Propose to take an environment, or one app of it, back to an earlier state.",
    },
    "Operate": {
        "run": "Sync and promote with real clusters and a real forge, in one process.",
        "reconcile": "Reconcile a Kustomization or a source now, and wait for the outcome.",
        "suspend": "Suspend: nothing is applied, undone or deleted until it is resumed.",
        "resume": "Resume what was suspended, and wait for the applied revision.",
        "install": "Install the custom resource definitions and the namespace in a cluster.",
    },
}


class _Verbs(click.Group):
    """A group that imports a verb only when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for section in COMMANDS.values() for name in section]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        command = importlib.import_module(f"penstock.cli.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.list_commands(ctx) and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], self.list_commands(ctx), n=1)
            hint = f"did you mean '{near[0]}'?" if near else "penstock --help lists the commands"
            ctx.fail(f"there is no command '{args[0]}'\n  hint: {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(len(name) for name in self.list_commands(ctx))
        for title, section in COMMANDS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), text) for name, text in section.items()])


@click.group(
    cls=_Verbs,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Start with: penstock demo",
)
@click.version_option(__version__, prog_name="penstock")
def command() -> None:
    """Run a multi-environment GitOps repository: sync every environment, promote between them by pull request."""


def main(arguments: Sequence[str]) -> int:
    """Run one command; the exit code. The only place that turns errors into text and codes."""
    try:
        result = command.main(list(arguments), prog_name="penstock", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return 130
    except errors.PenstockError as error:
        click.echo(f"{click.style('error:', fg='red')} {error}", err=True)
        return error.exit_code
    except BrokenPipeError:
        # The reader went away (`penstock build | head`): nothing to say, and nothing left to say it to.
        sys.stderr.close()
        return 141
    except ExceptionGroup as group:
        return _show_group(group)
    except Exception as error:
        return _report_bug(error)
    return result if isinstance(result, int) else 0


def _show_group(group: ExceptionGroup[Exception]) -> int:
    """Several tasks failed at once: every error of ours as itself, the gravest code; anything else is a bug."""
    expected, rest = group.split(errors.PenstockError)
    if rest is not None:
        return _report_bug(_first(rest))
    assert expected is not None
    texts = dict.fromkeys(str(error) for error in _leaves(expected))
    for text in texts:
        click.echo(f"{click.style('error:', fg='red')} {text}", err=True)
    return max(error.exit_code for error in _leaves(expected) if isinstance(error, errors.PenstockError))


def _leaves(group: ExceptionGroup[Exception]) -> Iterator[Exception]:
    for error in group.exceptions:
        if isinstance(error, ExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


def _first(group: ExceptionGroup[Exception]) -> Exception:
    return next(_leaves(group))


def _report_bug(error: Exception) -> int:
    """Say that it is our fault, with what to paste; frames only, since values may hold secrets."""
    import platform
    import traceback

    frames = traceback.extract_tb(error.__traceback__)
    lines = [f"  {frame.filename.rpartition('/penstock/')[2]}:{frame.lineno} in {frame.name}" for frame in frames[-12:]]
    click.echo(
        f"{click.style('bug:', fg='red')} {type(error).__name__} in penstock {__version__}, "
        f"Python {platform.python_version()}. Please report this:\n" + "\n".join(lines),
        err=True,
    )
    return errors.PenstockError.exit_code
