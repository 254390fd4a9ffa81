#!/usr/bin/env python3
"""How long the command takes to answer, beside bare Python and kubectl.

usage: start.py [RUNS]      prints the median and the best of each, in seconds
"""

import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

PENSTOCK = Path(sys.executable).with_name("penstock")


def measure(command: list[str], runs: int) -> list[float]:
    """Wall seconds of each run, after one that warms the disk cache."""
    seconds = []
    for _ in range(runs + 1):
        start = time.perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        seconds.append(time.perf_counter() - start)
    return seconds[1:]


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "penstock --help": [str(PENSTOCK), "--help"],
        "penstock promote --help": [str(PENSTOCK), "promote", "--help"],
    }
    if kubectl := shutil.which("kubectl"):
        commands["kubectl --help"] = [kubectl, "--help"]
    print(f"{'command':26} {'median s':>9} {'best s':>8}   ({runs} runs)")
    for name, command in commands.items():
        seconds = measure(command, runs)
        print(f"{name:26} {statistics.median(seconds):9.3f} {min(seconds):8.3f}")


if __name__ == "__main__":
    main()
