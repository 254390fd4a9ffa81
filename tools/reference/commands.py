"""Every command with its arguments, options and examples: a page, a man page, completion scripts."""

from __future__ import annotations

import html
import importlib
import re

import click

from penstock import __version__, cli
from penstock.cli import completion

_ENVIRONMENT = {
    "NO_COLOR": "When set to anything: no colours.",
    "KUBECONFIG": "Where kubeconfigs are looked for, as kubectl does.",
    "HTTPS_PROXY, HTTP_PROXY, NO_PROXY": "Proxies on the way to forges and Git servers.",
}


def verbs() -> dict[str, click.Command]:
    """Every verb by name, those of groups as 'group verb'."""
    found: dict[str, click.Command] = {}
    for section in cli.COMMANDS.values():
        for name in section:
            command = importlib.import_module(f"penstock.cli.{name.replace('-', '_')}").command
            found[name] = command
            if isinstance(command, click.Group):
                found |= {f"{name} {inner}": one for inner, one in command.commands.items()}
    return found


def page() -> str:
    lines = ["# Commands", "", "`penstock --help` lists them; `penstock COMMAND --help` says the same as this page.", ""]
    everything = verbs()
    for title, section in cli.COMMANDS.items():
        lines += [f"## {title}", ""]
        for name, command in everything.items():
            if name.split()[0] in section:
                lines += _section(name, command)
    lines += ["## Exit codes", "", "| code | meaning |", "|---|---|"]
    lines += [f"| {code} | {text} |" for code, text in cli.EXIT_CODES.items()]
    lines += ["", "## Environment variables", "", "| name | what it does |", "|---|---|"]
    lines += [f"| `{name}` | {text} |" for name, text in _ENVIRONMENT.items()]
    return "\n".join(lines) + "\n"


def _section(name: str, command: click.Command) -> list[str]:
    lines = [f"### penstock {name}", "", (command.help or "").strip(), "", "```", usage(name, command), "```", ""]
    rows = [(names, text) for names, text in options(command)]
    if rows:
        lines += ["| option | |", "|---|---|"]
        lines += [f"| {_code(names)} | {_cell(text)} |" for names, text in rows]
        lines.append("")
    for paragraph in _paragraphs(command):
        title, _, rest = paragraph.partition("\n")
        lines += (
            [title, "", "```sh", *(line.removeprefix("  ") for line in rest.splitlines()), "```", ""] if rest else [paragraph, ""]
        )
    return lines


def usage(name: str, command: click.Command) -> str:
    with click.Context(command, info_name=f"penstock {name}") as context:
        return " ".join(["penstock", name, *command.collect_usage_pieces(context)])


def options(command: click.Command) -> list[tuple[str, str]]:
    """(names, help) of every option."""
    with click.Context(command) as context:
        records = [parameter.get_help_record(context) for parameter in command.params if isinstance(parameter, click.Option)]
    return [(record[0], record[1]) for record in records if record]


def _paragraphs(command: click.Command) -> list[str]:
    return [part.strip("\n") for part in re.split(r"^\x08\n?", command.epilog or "", flags=re.MULTILINE) if part.strip()]


def _code(text: str) -> str:
    """A code span that forges and the site both show as it is, also with a bar in it."""
    return f"<code>{html.escape(text).replace('|', '&#124;')}</code>" if "|" in text else f"`{text}`"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|").replace("<", "&lt;").replace("[default:", "[default:")


def man() -> str:
    """penstock.1 in the man macros."""
    lines = [
        f'.TH PENSTOCK 1 "" "penstock {__version__}" "User Commands"',
        ".SH NAME",
        r"penstock \- run a multi\-environment GitOps repository",
        ".SH SYNOPSIS",
        r".B penstock",
        r"\fICOMMAND\fR [\fIARGUMENTS\fR]",
        ".SH DESCRIPTION",
        _roff((cli.command.help or "").strip()),
        ".PP",
        _roff("`penstock demo` tells the whole story on this machine; `penstock COMMAND --help` explains one command."),
    ]
    everything = verbs()
    for title, section in cli.COMMANDS.items():
        lines.append(f'.SH "{title.upper()}"')
        for name, command in everything.items():
            if name.split()[0] not in section:
                continue
            lines += [f'.SS "{_roff(usage(name, command))}"', _roff((command.help or "").strip())]
            for names, text in options(command):
                lines += [".TP", rf"\fB{_roff(names)}\fR", _roff(" ".join(text.split()))]
            for paragraph in _paragraphs(command):
                first, _, rest = paragraph.partition("\n")
                lines += [".PP", _roff(first)]
                lines += [".nf", _roff(rest), ".fi"] if rest else []
    lines.append('.SH "EXIT STATUS"')
    for code, text in cli.EXIT_CODES.items():
        lines += [".TP", f"\\fB{code}\\fR", _roff(text)]
    lines.append(".SH ENVIRONMENT")
    for name, text in _ENVIRONMENT.items():
        lines += [".TP", f"\\fB{_roff(name)}\\fR", _roff(text)]
    return "\n".join(lines) + "\n"


def _roff(text: str) -> str:
    escaped = text.replace("\\", r"\e").replace("-", r"\-").replace('"', r"\(dq")
    return "\n".join(rf"\&{line}" if line.startswith((".", "'")) else line for line in escaped.splitlines())


def completions() -> dict[str, str]:
    """The scripts, where the shells of a system look for them below share/."""
    return {
        "bash-completion/completions/penstock": completion.script("bash") + "\n",
        "zsh/site-functions/_penstock": completion.script("zsh") + "\n",
        "fish/vendor_completions.d/penstock.fish": completion.script("fish") + "\n",
    }
