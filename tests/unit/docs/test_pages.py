"""The pages as a whole: they build offline without a warning, and what they name exists."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import yaml
from tools.reference import commands

from penstock.model.notification import EVENTS

ROOT = Path(__file__).resolve().parents[3]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))


def test_the_site_builds_offline_without_a_warning(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "NO_MKDOCS_2_WARNING": "1",
        "https_proxy": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
    }
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(tmp_path / "site")],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    for page in tmp_path.rglob("*.html"):
        loaded = re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=\"?(https?://[^\s\">]+)", page.read_text())
        assert loaded == [], f"{page.name} loads from outside"


def test_every_test_that_a_page_names_exists() -> None:
    named = {name for page in PAGES for name in re.findall(r"`(test_[a-z0-9_]+)`", page.read_text())}
    assert len(named) > 30
    defined = {
        name for path in (ROOT / "tests").rglob("*.py") for name in re.findall(r"def (test_[a-z0-9_]+)\(", path.read_text())
    }
    assert sorted(named - defined) == []


def test_every_command_that_a_page_shows_exists_with_its_flags() -> None:
    verbs = commands.verbs()
    wrong = []
    for page in PAGES:
        for block in re.findall(r"^ *```(?:sh|)\n(.*?)^ *```", page.read_text(), re.MULTILINE | re.DOTALL):
            for line in re.findall(r"^ *(?:\$ )?(penstock [a-z].*)$", block, re.MULTILINE):
                wrong += [f"{page.name}: {line}: {one}" for one in _unknown(line, verbs)]
    assert wrong == []


def _unknown(line: str, verbs: dict[str, click.Command]) -> list[str]:
    words = shlex.split(re.split(r" [|>&;]|\s{2,}#|\s{3,}|'? #", line)[0].replace("…", "x"), posix=True)
    names = [" ".join(words[1:length]) for length in (3, 2) if " ".join(words[1:length]) in verbs]
    if not names:
        return [f"no command {words[1]}"] if not words[1].startswith("-") else []
    with click.Context(verbs[names[0]]) as context:
        known = {flag for one in verbs[names[0]].get_params(context) for flag in one.opts + one.secondary_opts}
    given = [word.partition("=")[0] for word in words[2:] if re.match(r"--?[a-zA-Z]", word)]
    return [flag for flag in given if flag not in known | {"-h", "--help"} and flag[:2] not in known]


def test_every_event_is_on_the_page_about_notifications() -> None:
    page = (DOCS / "how-to" / "notifications.md").read_text()
    assert [event for event in EVENTS if f"`{event}`" not in page] == []


def test_every_page_is_in_the_navigation() -> None:
    text = (ROOT / "mkdocs.yml").read_text()
    listed = set(re.findall(r"[a-z0-9/-]+\.md", str(yaml.safe_load(text)["nav"])))
    pages = {str(page.relative_to(DOCS)) for page in PAGES}
    assert sorted(pages - listed) == [], "add it to nav in mkdocs.yml"
    assert sorted(listed - pages) == []
