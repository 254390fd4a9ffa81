"""`penstock completion`: the script that teaches a shell to complete commands, options and the names of a repository."""

from __future__ import annotations

import click

SHELLS = ("bash", "zsh", "fish")


@click.command(
    "completion",
    epilog="""\b
Examples:
  penstock completion bash > ~/.local/share/bash-completion/completions/penstock
  penstock completion zsh > "${fpath[1]}/_penstock"
  penstock completion fish > ~/.config/fish/completions/penstock.fish
  source <(penstock completion bash)          only in this shell
\b
Environments, apps and open promotions are completed from the clone in this folder or from the fleet that runs here.""",
)
@click.argument("shell", type=click.Choice(SHELLS))
def command(shell: str) -> None:
    """Print the completion script of a shell."""
    click.echo(script(shell))


def script(shell: str) -> str:
    """The script: it asks `penstock` itself at every tab, so it never goes out of date."""
    from click import shell_completion

    from penstock import cli

    made = shell_completion.get_completion_class(shell)
    assert made is not None
    # The template alone: click's own `source()` first looks which bash is installed, which a package build must not.
    return made.source_template % made(cli.command, {}, "penstock", "_PENSTOCK_COMPLETE").source_vars()
