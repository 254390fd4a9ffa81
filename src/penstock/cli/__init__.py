"""The command line: argv in, text and an exit code out. Every verb is a module here with a click `command`.

Commands are loaded when they are called, so that `penstock --help` and shell completion stay quick; the table below
holds their one-line help for the same reason (a test compares it with the commands).

"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from penstock import __version__
from penstock.cli import showing
from penstock.model import errors

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

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
        "wait": "Wait until a change is proposed to an environment, or runs healthy in it.",
        "log": "Show what came into an environment, when, from where and who let it: from Git alone.",
    },
    "Look at a cluster": {
        "get": "Show Kustomizations and sources: revision, whether suspended, ready, and why not.",
        "tree": "Show the objects of a Kustomization, and of the Kustomizations among them.",
        "events": "Show the Kubernetes events of Kustomizations and sources.",
        "stats": "Count Kustomizations and sources: running, failing, suspended, and the size of their artifacts.",
        "export": "Print objects as clean YAML: no status, nothing the server added.",
        "build-ks": "Print what a Kustomization of a cluster would apply from the files of a folder.",
        "diff-ks": "Compare what a Kustomization would apply from a folder with what runs.",
        "logs": "Show what the controllers logged about Kustomizations and sources.",
        "debug": "Show a Kustomization's variables, status or history.",
    },
    "Move": {
        "promote": "Open or update the pull request that carries a change to the next environment.",
        "adopt": "Record today's differences between two environments as meant.",
        "rollback": "Propose to take an environment, or one app of it, back to an earlier state.",
        "approve": "Approve a promotion as yourself, through the forge, at exactly what it holds now.",
        "hold": "Keep an app or a commit back, by a file in Git that says who, why and until when.",
        "release": "Take the hold of an app or a commit away.",
        "freeze": "Stop merging into ENV, by a file in Git that says who, why and until when.",
        "unfreeze": "Take the freeze of ENV away.",
    },
    "Operate": {
        "run": "Sync one cluster, or sync and promote a whole fleet, until stopped.",
        "reconcile": "Reconcile a Kustomization or a source now, and wait for the outcome.",
        "suspend": "Suspend: nothing is applied, undone or deleted until it is resumed.",
        "resume": "Resume what was suspended, and wait for the applied revision.",
        "install": "Install the definitions and the namespace in a cluster, and with --image the controller; again to upgrade.",
        "bootstrap": "Write what syncs a cluster into its repository, install, let it in, and wait until it is synced.",
        "uninstall": "Uninstall: the controller, the Kustomizations and sources, their definitions. What was synced stays.",
        "version": "Print the version of Penstock, and of the cluster's definitions.",
        "completion": "Print the completion script of a shell.",
    },
}


EXIT_CODES: dict[int, str] = {
    0: "done; of `diff`: no difference",
    1: "the files are wrong, or a name in the command is; of `diff`: there are differences",
    2: "a person has to decide (a conflict, a missing consent), or the command was written wrongly",
    3: "a server refused or did not answer: Git, the forge or a cluster",
    70: "a bug of Penstock, with a report to paste",
    130: "interrupted",
    141: "the reader of a pipe went away",
}
"""What the exit code says about who can do something; stable, whatever the words of an error become."""


class _Verbs(click.Group):
    """A group that imports a verb only when it is asked for."""

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The verbs with their one-line help, from the table; click would import every one of them."""
        from click.shell_completion import CompletionItem

        found = [
            CompletionItem(name, help=text)
            for section in COMMANDS.values()
            for name, text in section.items()
            if name.startswith(incomplete)
        ]
        return found + click.Command.shell_complete(self, ctx, incomplete)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for section in COMMANDS.values() for name in section]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        command = importlib.import_module(f"penstock.cli.{cmd_name.replace('-', '_')}").command
        assert isinstance(command, click.Command)
        if "_PENSTOCK_COMPLETE" in os.environ:
            from penstock.cli import completing

            completing.teach(command)
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        if len(args) > 1 and args[0] in ("build", "diff") and args[1] in ("ks", "kustomization"):
            # as flux has it: of a Kustomization of a cluster, with the files of a folder
            args = [f"{args[0]}-ks", *args[2:]]
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
    epilog="""\b
Examples:
  penstock demo                   the whole story on this machine, in half a minute
  penstock init fleet             a repository to begin with
  penstock promote web --to staging --dry-run
\b
Exit codes: 0 done; 1 your files; 2 a person decides, or wrong usage; 3 a server said no or nothing; 70 our bug.""",
)
@click.version_option(__version__, prog_name="penstock")
def command() -> None:
    """Run a multi-environment GitOps repository: sync every environment, promote between them by pull request."""


def main(arguments: Sequence[str]) -> int:
    """Run one command; the exit code. The only place that turns errors into text and codes."""
    color = False if showing.colourless() else None
    try:
        result = command.main(list(arguments), prog_name="penstock", standalone_mode=False, color=color)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return 130
    except errors.PenstockError as error:
        if type(error) is errors.PenstockError:
            return _report_bug(error, arguments)
        click.echo(showing.error(error), err=True)
        return error.exit_code
    except BrokenPipeError:
        # The reader went away (`penstock build | head`): nothing to say, and nothing left to say it to.
        sys.stderr.close()
        return 141
    except ExceptionGroup as group:
        return _show_group(group, arguments)
    except Exception as error:
        return _report_bug(error, arguments)
    return result if isinstance(result, int) else 0


def _show_group(group: ExceptionGroup[Exception], arguments: Sequence[str]) -> int:
    """Several tasks failed at once: every error of ours as itself, the gravest code; anything else is a bug."""
    expected, rest = group.split(errors.PenstockError)
    if rest is not None:
        return _report_bug(next(_leaves(rest)), arguments)
    assert expected is not None
    found = [error for error in _leaves(expected) if isinstance(error, errors.PenstockError)]
    for text in dict.fromkeys(map(showing.error, found)):
        click.echo(text, err=True)
    return max(error.exit_code for error in found)


def _leaves(group: ExceptionGroup[Exception]) -> Iterator[Exception]:
    for error in group.exceptions:
        if isinstance(error, ExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


def _report_bug(error: Exception, arguments: Sequence[str]) -> int:
    """Say that it is our fault, with what to paste; frames and the verb only, since values may hold secrets."""
    import platform
    import traceback

    frames = traceback.extract_tb(error.__traceback__)[-12:]
    places = [(frame.filename.rpartition("/site-packages/")[2].rpartition("/src/")[2], frame) for frame in frames]
    verb = next((one for one in arguments if any(one in section for section in COMMANDS.values())), "-")
    label = "bug:" if showing.colourless() else click.style("bug:", fg="red")
    click.echo(
        f"{label} Penstock failed, and it is not your fault. Please report these lines:\n\n"
        f"  penstock {__version__}, command {verb}, Python {platform.python_version()}, "
        f"{platform.system()} {platform.release()} {platform.machine()}\n"
        f"  {type(error).__name__}\n" + "\n".join(f"    {name}:{frame.lineno} in {frame.name}" for name, frame in places),
        err=True,
    )
    return errors.PenstockError.exit_code
