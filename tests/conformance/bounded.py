"""Builds a directory in a process of its own with limits on memory and CPU, and tells how it went as JSON.

Run as a script by the tests of inputs that are made to exhaust a reader: `python bounded.py FOLDER PATH`.
"""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ADDRESS_SPACE_BYTES = 1536 * 1024 * 1024
CPU_SECONDS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a build in its own process ended."""

    code: str
    """The code of the first problem, '' for a build that went through."""
    text: str
    cpu_seconds: float
    """Of the build alone, without starting Python."""
    peak_bytes: int
    objects: int


def build(folder: Path, path: str = "") -> Outcome:
    """Build in a process with limits. Raises AssertionError when the process dies."""
    done = subprocess.run([sys.executable, __file__, str(folder), path], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"the process died: {done.returncode} {done.stderr[-2000:]}"
    return Outcome(**json.loads(done.stdout))


def main(folder: str, path: str) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE_BYTES, ADDRESS_SPACE_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    import yaml._yaml  # noqa: F401 - only reading is measured

    from penstock import render
    from penstock.adapters.files import DirectoryTree
    from penstock.model.errors import InputError

    tree = DirectoryTree(Path(folder))
    started = time.process_time()
    code, text, objects = "", "", 0
    try:
        objects = len(render.build(tree, path).objects)
    except InputError as error:
        code, text = error.code, str(error)
    spent = time.process_time() - started
    # VmHWM is of this program; ru_maxrss would count what the process that started it held
    high = re.search(r"^VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.M)
    assert high is not None
    peak = int(high[1]) * 1024
    print(json.dumps({"code": code, "text": text, "cpu_seconds": spent, "peak_bytes": peak, "objects": objects}))


if __name__ == "__main__":
    main(*sys.argv[1:])
