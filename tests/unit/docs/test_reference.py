"""The reference says what the code says: every flag, field, condition, error code and metric, and nothing stale."""

from __future__ import annotations

import json
import re
import subprocess
from importlib import resources
from pathlib import Path

import click
import pytest
from tools import reference
from tools.reference import codes, commands, metrics

from penstock import cli
from penstock.model import flux

ROOT = Path(__file__).resolve().parents[3]
DOCS = ROOT / "docs" / "reference"
SOURCE = ROOT / "src" / "penstock"


@pytest.mark.parametrize("path", reference.pages(), ids=lambda path: path.name)
def test_a_page_made_from_the_code_is_what_the_code_says_now(path: Path) -> None:
    assert path.is_file() and path.read_text() == reference.pages()[path], "run: make reference"


@pytest.mark.parametrize("name", commands.verbs())
def test_every_flag_of_a_command_stands_on_the_page_and_in_the_manual(name: str) -> None:
    page, manual = (DOCS / "cli.md").read_text(), (ROOT / "share/man/man1/penstock.1").read_text().replace("\\-", "-")
    assert f"### penstock {name}\n" in page
    for parameter in commands.verbs()[name].params:
        if isinstance(parameter, click.Option) and not parameter.hidden:
            for flag in parameter.opts + parameter.secondary_opts:
                assert flag in page, flag
                assert flag in manual, flag


def test_every_verb_that_can_be_called_is_in_the_table_and_so_in_the_reference() -> None:
    modules = {
        path.stem.replace("_", "-")
        for path in (SOURCE / "cli").glob("*.py")
        if re.search(r"^command\b|^def command\(", path.read_text(), re.M)
    }
    assert modules - {"--init--"} == {name for section in cli.COMMANDS.values() for name in section}


def test_every_exit_code_is_documented() -> None:
    page = (DOCS / "cli.md").read_text()
    for code, meaning in cli.EXIT_CODES.items():
        assert f"| {code} | {meaning} |" in page


def test_every_error_code_in_the_source_is_documented() -> None:
    # Read by another way than the generator: by pattern, not by syntax tree.
    given = {
        code for path in SOURCE.rglob("*.py") for code in re.findall(r'\bcode(?:: str)? ?= ?"([A-Z][A-Za-z]+)"', path.read_text())
    }
    page = (DOCS / "errors.md").read_text()
    assert len(given) > 50
    assert sorted(code for code in given if f"| `{code}` |" not in page) == []
    assert given <= set(codes.found())


def test_every_condition_and_reason_is_documented() -> None:
    page = (DOCS / "conditions.md").read_text()
    words = {
        value
        for name, value in vars(flux).items()
        if name.isupper() and isinstance(value, str) and re.fullmatch(r"[A-Z][A-Za-z]+", value)
    }
    assert sorted(word for word in words - {"Kustomization", "GitRepository"} if f"`{word}`" not in page) == []


def test_every_metric_is_documented() -> None:
    page = (DOCS / "metrics.md").read_text()
    given = {
        name
        for path in SOURCE.rglob("*.py")
        for name in re.findall(r'(?:# TYPE |(?:Counter|Gauge|Histogram)\w*\(\s*")((?:gotk|penstock)_\w+)', path.read_text())
    }
    served = metrics.found()
    assert sorted(name for name in served if f"`{name}`" not in page) == []
    assert given <= set(served) | {name.removesuffix("_total") for name in served}


def test_every_field_of_the_schema_is_documented() -> None:
    page = (DOCS / "pipeline-fields.md").read_text()
    schema = json.loads((resources.files("penstock.source") / "schema.json").read_bytes())
    fields = {field for one in schema["$defs"].values() for field in one.get("properties", {})}
    assert sorted(field for field in fields if f"| `{field}` |" not in page) == []


def test_every_annotation_and_trailer_is_documented() -> None:
    page = (DOCS / "names.md").read_text()
    text = "\n".join(path.read_text() for path in SOURCE.rglob("*.py"))
    ours = set(re.findall(r'"(penstock\.dev/[a-z-]+)"', text))
    assert ours and sorted(name for name in ours if f"`{name}`" not in page) == []
    trailers = set(re.findall(r"(?<!X-)\bPenstock-[A-Z][a-z]+(?:-[A-Z][a-z]+)*", text))
    assert sorted(name for name in trailers if f"`{name}`" not in page) == []
    assert re.findall(r"^\| `[^`]+` \|  ?\|$", page, re.MULTILINE) == [], (
        "each says what it is: write a docstring below the constant"
    )


def test_the_manual_is_a_manual_page_without_mistakes() -> None:
    done = (
        subprocess.run(
            ["man", "--warnings=all", "-E", "UTF-8", "-l", "-Tutf8", str(ROOT / "share/man/man1/penstock.1")],
            capture_output=True,
            text=True,
            env={"MANWIDTH": "100", "PATH": "/usr/bin:/bin", "MAN_KEEP_FORMATTING": ""},
        )
        if Path("/usr/bin/man").exists()
        else None
    )
    if done is None:
        pytest.skip("there is no man here")
    assert done.returncode == 0
    assert done.stderr == ""
    assert "promote" in done.stdout
