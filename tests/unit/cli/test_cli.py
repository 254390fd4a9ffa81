"""The command line as a whole: help without imports, exit codes, errors that say what to do."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import click
import pytest

from penstock import cli
from penstock.model import errors

VERBS = [(name, text) for section in cli.COMMANDS.values() for name, text in section.items()]


def _penstock(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "penstock", *arguments], capture_output=True, text=True, cwd=cwd)


@pytest.mark.parametrize(("name", "text"), VERBS, ids=[name for name, _ in VERBS])
def test_the_table_of_verbs_says_what_each_verb_says_of_itself(name: str, text: str) -> None:
    command = importlib.import_module(f"penstock.cli.{name.replace('-', '_')}").command
    assert isinstance(command, click.Command)
    assert command.name == name
    assert (command.help or "").strip().splitlines()[0]
    assert command.epilog
    assert f"penstock {name}" in command.epilog, "every command teaches by example"


def test_help_lists_every_verb_and_imports_nothing_heavy() -> None:
    code = "import sys\nfrom penstock import cli\ncli.main(['--help'])\nprint(sorted(sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert all(f"  {name} " in done.stdout for name, _ in VERBS)
    for heavy in ("aiohttp", "pygit2", "rich", "jinja2", "yaml", "yamlrocks", "cryptography", "msgspec", "asyncio"):
        assert f"'{heavy}'" not in done.stderr


def test_a_mistyped_command_gets_a_hint() -> None:
    done = _penstock("promot")
    assert done.returncode == 2
    assert "there is no command 'promot'\n  hint: did you mean 'promote'?" in done.stderr


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.invalid("broken"), 1),
        (errors.ConflictError("both changed it"), 2),
        (errors.TransientError("no answer"), 3),
        (errors.RefusedError("no"), 3),
        (ExceptionGroup("two", [errors.RefusedError("no"), ExceptionGroup("in", [errors.invalid("broken")])]), 3),
        (ExceptionGroup("one", [errors.RefusedError("no"), ValueError("canary-9f3e")]), 70),
        (ValueError("canary-9f3e"), 70),
        (KeyboardInterrupt(), 130),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_exit_code_says_what_the_caller_can_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException, code: int
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(cli.command, "main", fail)
    assert cli.main([]) == code
    said = capsys.readouterr().err
    assert said
    assert "canary" not in said, "a value may be a secret: a bug report shows frames only"
