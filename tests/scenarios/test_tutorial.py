"""The tutorial, by copy and paste: every block of it, in order, in one shell, and prod has the change."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 600


def blocks() -> list[str]:
    """What a reader copies."""
    return re.findall(r"^```sh\n(.*?)^```$", (ROOT / "docs" / "tutorial.md").read_text(), re.MULTILINE | re.DOTALL)


def test_a_person_who_has_never_seen_it_gets_a_change_to_prod_by_copy_and_paste(tmp_path: Path) -> None:
    script = tmp_path / "pasted.sh"
    # Job control as in a person's shell; every block has to work, which a person would see.
    script.write_text("set -e -m\n" + "\n".join(f"echo '## {number}'\n{text}" for number, text in enumerate(blocks(), 1)))
    home = tmp_path / "home"
    home.mkdir()
    # A machine where nothing of Penstock or of the person's git is configured.
    environment = {"HOME": str(home), "PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "GIT_CONFIG_NOSYSTEM": "1"}
    environment |= {name: os.environ[name] for name in ("UV_OFFLINE", "PIP_NO_INDEX") if name in os.environ}
    with subprocess.Popen(
        ["bash", str(script)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as shell:
        try:
            said, _ = shell.communicate(timeout=PATIENCE_SECONDS)
        finally:
            _end(home)
    assert shell.returncode == 0, said[-6000:]
    told = dict(re.findall(r"^## (\d+)\n(.*?)(?=^## |\Z)", said, re.MULTILINE | re.DOTALL))
    assert len(told) == len(blocks())
    assert re.search(r"longer checkout timeout.*staging", said), "the log of prod names the change"
    assert said.count("checkout_timeout: 30s") >= 2, "dev and prod have the same setting"
    assert "ROLLBACK" in said or "Roll back" in said


def _end(home: Path) -> None:
    """Whatever the pasted script left running: the sandbox it started, by the lock it holds."""
    for status in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if status.readlink() == home / "penstock-tutorial":
                os.kill(int(status.parent.name), signal.SIGKILL)
        except (OSError, ValueError):
            continue
