"""What a terminal gets and a pipe does not; output for programs; help that teaches; completion."""

from __future__ import annotations

import errno
import json
import os
import pty
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
import yaml
from tools.reference import commands

from penstock import cli
from penstock.app import init
from penstock.cli import completing, fleets, showing
from penstock.model import errors

VERBS = commands.verbs()


def penstock(*arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **environment}
    return subprocess.run([sys.executable, "-m", "penstock", *arguments], capture_output=True, text=True, cwd=cwd, env=env)


def on_a_terminal(*arguments: str, cwd: Path, **environment: str) -> str:
    """What a person sees."""
    master, slave = pty.openpty()
    env = {**os.environ, "TERM": "xterm-256color", **environment}
    with subprocess.Popen([sys.executable, "-m", "penstock", *arguments], stdout=slave, stderr=slave, cwd=cwd, env=env):
        os.close(slave)
        shown = b""
        while True:
            try:
                part = os.read(master, 65536)
            except OSError as error:
                assert error.errno == errno.EIO
                break
            if not part:
                break
            shown += part
    os.close(master)
    return shown.decode().replace("\r\n", "\n")


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("broken") / "fleet"
    init.repository(folder)
    file = folder / "clusters/staging/kustomization.yaml"
    file.write_text(file.read_text() + "patchs: []\n")
    return folder


# Help

EXAMPLE = re.compile(r"^  (penstock .*|.*\bpenstock .*)$", re.MULTILINE)


@pytest.mark.parametrize("name", VERBS)
def test_every_command_teaches_by_examples_whose_flags_exist(name: str) -> None:
    command = VERBS[name]
    if isinstance(command, click.Group):
        return
    examples = [line for line in EXAMPLE.findall(command.epilog or "") if f"penstock {name}" in line]
    assert examples, "an example at least"
    for example in examples:
        words = shlex.split(re.split(r"\s{2,}| > | < |; ", example[example.index("penstock") :])[0].rstrip(")"), comments=True)
        given = [word.partition("=")[0] for word in words if word.startswith("-") and len(word) > 1]
        with click.Context(command) as context:
            known = {flag for one in command.get_params(context) for flag in one.opts + one.secondary_opts} | {"-h", "--help"}
        assert [flag for flag in given if flag not in known] == [], example


def test_the_first_page_of_help_has_examples_and_exit_codes() -> None:
    shown = penstock("--help").stdout
    assert "Examples:" in shown
    for code in ("0", "1", "2", "3", "70"):
        assert re.search(rf"\b{code} \w", shown)


# Output for programs

PRINTS_NO_DATA = {
    "demo": "tells a story",
    "up": "runs until stopped",
    "run": "runs until stopped",
    "init": "writes files",
    "build": "prints YAML as kustomize does; its -o is kustomize's",
    "export": "prints YAML",
    "install": "applies, or prints YAML",
    "uninstall": "tells what it did",
    "bootstrap": "tells the steps it waits for",
    "build-ks": "prints YAML",
    "debug": "prints dotenv or YAML",
    "reconcile": "tells the steps it waits for",
    "suspend": "tells what it did",
    "resume": "tells the steps it waits for",
    "completion": "prints a script",
}
"""Commands without --output, and why. A new command has it or stands here."""


@pytest.mark.parametrize("name", VERBS)
def test_a_command_that_prints_data_prints_it_as_a_table_json_or_yaml(name: str) -> None:
    if name.split()[0] in PRINTS_NO_DATA or isinstance(VERBS[name], click.Group):
        return
    option = next((one for one in VERBS[name].params if "--output" in one.opts), None)
    assert option is not None, "take options.output_option, or say in PRINTS_NO_DATA why not"
    assert "-o" in option.opts
    assert isinstance(option.type, click.Choice)
    assert list(option.type.choices) == ["table", "json", "yaml"]


@pytest.mark.parametrize(
    "arguments",
    [("check",), ("diff", "dev", "prod"), ("trace", "Deployment/web"), ("log", "prod", "-C", ".")],
    ids=lambda one: one[0],
)
def test_json_and_yaml_say_the_same(broken: Path, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    init.repository(tmp_path / "fleet")
    told = [penstock(*arguments, "-o", kind, cwd=tmp_path / "fleet") for kind in ("json", "yaml")]
    assert [one.returncode for one in told] in ([0, 0], [1, 1]), told[0].stderr
    assert json.loads(told[0].stdout) == yaml.safe_load(told[1].stdout)


# Errors


def test_a_finding_shows_its_line_with_a_caret_to_a_person_and_not_to_a_pipe(broken: Path) -> None:
    shown = on_a_terminal("check", cwd=broken, NO_COLOR="1")
    number = len((broken / "clusters/staging/kustomization.yaml").read_text().splitlines())
    assert (
        f"kustomization.yaml:{number}:1: unknown field 'patchs'\n  {number} | patchs: []\n  {' ' * len(str(number))} | ^\n  hint:"
        in shown
    )
    piped = penstock("check", cwd=broken)
    assert piped.returncode == 1
    assert " | patchs" not in piped.stdout


def test_a_folder_given_by_name_is_where_the_line_is_read(broken: Path, tmp_path: Path) -> None:
    assert " | patchs: []" in on_a_terminal("check", str(broken), cwd=tmp_path, NO_COLOR="1")


def test_the_value_of_a_line_in_a_file_that_speaks_of_secrets_is_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret.yaml").write_text("kind: Secret\nstringData:\n  password: canary-51fd\n")
    monkeypatch.setattr(showing, "reading", [tmp_path])
    monkeypatch.setattr(showing, "_is_terminal", lambda _: True)
    found = errors.Problem(what="no", where=errors.Place(path="secret.yaml", line=3, column=3))
    shown = click.unstyle(showing.problem(found))
    assert "canary" not in shown
    assert "3 |   password: …\n    |   ^" in shown


def test_a_line_cannot_move_the_cursor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.yaml").write_bytes(b"a: \x1b[2Jgone\n")
    monkeypatch.setattr(showing, "reading", [tmp_path])
    monkeypatch.setattr(showing, "_is_terminal", lambda _: True)
    monkeypatch.setenv("NO_COLOR", "1")
    shown = showing.problem(errors.Problem(what="no", where=errors.Place(path="a.yaml", line=1, column=1)))
    assert "\x1b" not in shown


def test_a_line_outside_the_folder_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fleet").mkdir()
    (tmp_path / "other").write_text("canary-0b7e\n")
    monkeypatch.setattr(showing, "reading", [tmp_path / "fleet"])
    monkeypatch.setattr(showing, "_is_terminal", lambda _: True)
    assert "canary" not in showing.problem(errors.Problem(what="no", where=errors.Place(path="../other", line=1)))


# Colours


def test_colours_are_for_terminals_and_not_where_nobody_wants_them(broken: Path) -> None:
    assert "\x1b[" in on_a_terminal("check", cwd=broken)
    assert "\x1b[" not in on_a_terminal("check", cwd=broken, NO_COLOR="1")
    assert "\x1b[" not in on_a_terminal("check", cwd=broken, TERM="dumb")
    assert "\x1b[" not in penstock("check", cwd=broken).stdout
    assert "\x1b[" not in on_a_terminal("log", "nowhere", cwd=broken, NO_COLOR="1")


# Width


def test_a_table_fits_the_terminal_and_is_not_cut_for_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [["NAME", "REASON", "MESSAGE"], ["web", "Progressing", "one two three four five six seven eight nine ten " * 3]]
    piped = fleets.columns(rows)
    assert len(piped) == 2
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "40")
    shown = fleets.columns(rows)
    assert max(map(len, shown)) <= 40
    assert all(line.startswith("                   ") for line in shown[2:]), "what goes on stands below its column"
    assert " ".join(" ".join(shown).split()).count("seven") == 3


# Bugs


def test_a_bug_report_can_be_pasted_and_holds_no_value(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ValueError("canary-9f3e")

    monkeypatch.setattr(cli.command, "main", fail)
    assert cli.main(["promote", "canary-2c11", "--to", "prod"]) == 70
    said = capsys.readouterr().err
    assert "not your fault" in said
    assert "command promote" in said
    assert "ValueError" in said
    assert "test_terminal.py" in said
    assert "canary" not in said


# Completion


def complete(line: str, cwd: Path, shell: str = "bash") -> list[str]:
    """What the shell's script would be told."""
    words = line.split(" ")
    said = penstock(
        cwd=cwd, _PENSTOCK_COMPLETE=f"{shell}_complete", COMP_WORDS=line, COMP_CWORD=str(len(words) - 1)
    ).stdout.splitlines()
    return [one.partition(",")[2] for one in said] if shell == "bash" else said


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("penstock prom", ["promote"]),
        ("penstock promote ", ["api", "report", "web"]),
        ("penstock promote web --to ", ["dev", "staging", "prod"]),
        ("penstock diff dev ", ["staging", "prod"]),
        ("penstock log pr", ["prod"]),
        ("penstock get ks --env st", ["staging"]),
        ("penstock status -o ", ["table", "json", "yaml"]),
        ("penstock completion z", ["zsh"]),
    ],
)
def test_commands_environments_and_apps_are_completed_from_the_repository(tmp_path: Path, line: str, expected: list[str]) -> None:
    init.repository(tmp_path / "fleet")
    assert complete(line, tmp_path / "fleet") == expected


def test_outside_a_repository_completion_offers_nothing_and_says_nothing(tmp_path: Path) -> None:
    assert "".join(complete("penstock promote ", tmp_path)) == ""


def test_zsh_and_fish_get_the_help_of_commands_too(tmp_path: Path) -> None:
    assert "Open or update the pull request" in "\n".join(complete("penstock prom", tmp_path, "zsh"))


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_is_one_of_its_shell(shell: str) -> None:
    script = penstock("completion", shell).stdout
    assert "_PENSTOCK_COMPLETE" in script
    path = f"/bin/{shell}" if Path(f"/bin/{shell}").exists() else f"/usr/bin/{shell}"
    if Path(path).exists():
        subprocess.run([path, "-n"], input=script, text=True, check=True)


def test_every_parameter_named_like_an_environment_or_an_app_is_completed() -> None:
    for command in VERBS.values():
        completing.teach(command)
        for parameter in command.params:
            if parameter.name in ("environment", "environments", "app", "apps") and isinstance(
                parameter.type, click.types.StringParamType
            ):
                assert "shell_complete" in vars(parameter)
