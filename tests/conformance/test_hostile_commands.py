"""Inputs made to exhaust a reader, given to the command itself: refused in under a second of CPU and under 256 MiB."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import rows

MIB = 1024 * 1024
MEASURED = """
import json, resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([done.returncode, used.ru_utime + used.ru_stime, used.ru_maxrss, done.stderr]))
"""
"""Runs a command and tells what it used, from a process so small that its own memory does not count as the command's."""


def aliases(levels: int) -> str:
    lines = ["l0: &l0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"l{level}: &l{level} [{', '.join([f'*l{level - 1}'] * 9)}]" for level in range(1, levels)]
    return rows.config_map(more="\n".join(lines) + "\n")


def blocks(levels: int) -> str:
    return rows.config_map(more="data:\n" + "".join(f"{' ' * level}a:\n" for level in range(1, levels)))


HOSTILE: dict[str, tuple[str, Callable[[], str | int]]] = {
    "aliases of aliases": ("aliases expand to more than", lambda: aliases(9)),
    "aliases of a long text": (
        "aliases expand to more than",
        lambda: rows.config_map(more=f"a: &a {'x' * MIB}\nb: [{','.join(['*a'] * 20)}]\n"),
    ),
    "an alias in itself": ("is inside what it refers to", lambda: rows.config_map(more="d: &d {a: *d}\n")),
    "brackets in brackets": ("nested deeper than", lambda: rows.config_map(more=f"d: {'[' * 10_000}{']' * 10_000}\n")),
    "dashes behind dashes": ("nested deeper than", lambda: rows.config_map(more=f"d:\n{'- ' * 10_000}x\n")),
    "deep blocks": ("nested deeper than", lambda: blocks(4000)),
    "a file of 100 MB": ("the file is too large to read", lambda: 100_000_000),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_the_command_refuses_it_in_a_second_and_256_mib(tmp_path: Path, what: str) -> None:
    message, make = HOSTILE[what]
    (tmp_path / "kustomization.yaml").write_text(rows.KUSTOMIZATION)
    content = make()
    file = tmp_path / "a.yaml"
    if isinstance(content, int):
        with file.open("wb") as opened:
            opened.truncate(content)
    else:
        file.write_text(content)
    command = [sys.executable, "-m", "penstock", "build", str(tmp_path)]
    done = subprocess.run([sys.executable, "-S", "-c", MEASURED, *command], capture_output=True, text=True, check=True)
    code, cpu_seconds, peak_kib, told = json.loads(done.stdout)
    assert code == 1
    assert message in told
    assert cpu_seconds < 1  # CPU, not wall: other tests run beside this one
    assert peak_kib * 1024 < 256 * MIB
