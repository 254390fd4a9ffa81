"""The whole story as a person starts it, on the sandbox and on three real API servers: the same ending."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from penstock.adapters.kube import local

STEPS = [
    "developer pushed",
    "dev is live and healthy",
    "pull request #1 is open: Promote web: dev → staging (raise checkout timeout)",
    "reviewer approved #1",
    "#1 is merged",
    "staging is live and healthy",
    "pull request #2 is open: Promote web: staging → prod (raise checkout timeout)",
    "reviewer approved #2",
    "#2 is merged",
    "prod is live and healthy",
    "somebody scaled web in prod to 9 by hand",
    "web in prod has its 3 replicas again",
]
TABLE = {
    "dev": ["web:1.5.0", "20s", "1", "true", "dev.shop.example"],
    "staging": ["web:1.5.0", "20s", "2", "true", "staging.shop.example"],
    "prod": ["web:1.5.0", "20s", "3", "false", "shop.example"],
}


def _tell(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "penstock", "demo", "--state", str(folder / "sandbox"), *arguments],
        capture_output=True,
        text=True,
        timeout=240,
        cwd=folder,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _assert_the_story(out: str) -> None:
    position = 0
    for step in STEPS:
        assert step in out[position:], f"{step!r} is missing or out of order in:\n{out}"
        position = out.index(step, position)
    rows = dict(re.findall(r"^(dev|staging|prod) +[0-9a-f]{7} +\d\d:\d\d:\d\d +(.+)$", out, re.MULTILINE))
    assert {name: cells.split() for name, cells in rows.items()} == TABLE
    assert "\x1b" not in out, "no colour and no cursor movement in a pipe"


def test_the_demo_tells_the_whole_story_on_the_sandbox(tmp_path: Path) -> None:
    _assert_the_story(_tell(tmp_path))


def test_the_demo_tells_the_same_story_on_real_api_servers(tmp_path: Path, real_parts: None) -> None:
    _assert_the_story(_tell(tmp_path, "--clusters", "real"))


def test_the_demo_uses_the_clusters_of_a_kubeconfig_where_told(tmp_path: Path, real_apiserver: local.LocalApiServer) -> None:
    import json

    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(json.dumps(real_apiserver.kubeconfig("mine")))
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "penstock",
            "demo",
            "--state",
            str(tmp_path / "s"),
            "--context",
            "prod=nobody",
            "--kubeconfig",
            kubeconfig,
        ],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "nobody" in done.stderr
    assert "mine" in done.stderr, "the error names the contexts that are there"


def test_a_second_demo_keeps_the_first_ones_world(tmp_path: Path) -> None:
    (tmp_path / "sandbox").mkdir()
    (tmp_path / "sandbox/fleet.yaml").write_text("kind: Fleet\n")
    out = _tell(tmp_path)
    assert f"the sandbox that was in {tmp_path}/sandbox is now in {tmp_path}/sandbox.1" in out
    assert (tmp_path / "sandbox.1/fleet.yaml").read_text() == "kind: Fleet\n"


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "sandbox").mkdir()
    (tmp_path / "sandbox/thesis.txt").write_text("years of work")
    done = subprocess.run(
        [sys.executable, "-m", "penstock", "demo", "--state", str(tmp_path / "sandbox")],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert "holds something else than a sandbox" in done.stderr
    assert (tmp_path / "sandbox/thesis.txt").read_text() == "years of work"


@pytest.fixture
def real_parts() -> None:
    if absent := local.missing():
        pytest.skip(f"NOT RUN on real API servers: no {' and no '.join(absent)} (make parts builds them, with Go)")
