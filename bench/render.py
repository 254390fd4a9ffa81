#!/usr/bin/env python3
"""Render: penstock against kustomize 5.8.1, the same overlays in the same run.

usage: render.py [APPS ...]      default 10 100 300 1000 3333; each app is three objects
       render.py --no-kustomize  penstock alone, which is quick

Cold is one process each (`penstock build`, `kustomize build`), output compared byte by byte; warm is one process that
keeps a cache and builds an unchanged Git tree again. Prints wall, CPU and peak memory, ratios, and the exponent with which
each grows (1 is linear). kustomize alone needs minutes at 3333 apps.
"""

from __future__ import annotations

import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WORKLOAD = ROOT.parent / "shared" / "workloads" / "overlay.py"
KUSTOMIZE = Path.home() / ".cache" / "penstock" / "parts" / "kustomize-5.8.1"
PENSTOCK = Path(sys.executable).with_name("penstock")
BARS = {1000: 25.0, 3333: 100.0}
"""At this many apps, cold, this many times faster than kustomize."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One process, from start to end."""

    wall: float
    cpu: float
    memory_mib: float
    output: bytes


def cold(command: list[str], repeats: int, environment: dict[str, str]) -> Run:
    """The run with the least CPU time: a shared machine makes runs longer, never shorter."""
    runs = []
    for _ in range(repeats):
        with tempfile.TemporaryFile() as out:
            start = time.perf_counter()
            process = subprocess.Popen(command, stdout=out, env=environment)
            _pid, status, used = os.wait4(process.pid, 0)
            wall = time.perf_counter() - start
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                raise SystemExit(f"{command[0]} failed with {process.returncode}")
            out.seek(0)
            runs.append(Run(wall=wall, cpu=used.ru_utime + used.ru_stime, memory_mib=used.ru_maxrss / 1024, output=out.read()))
    return min(runs, key=lambda run: run.cpu)


def best_ms(call: object, repeats: int) -> float:
    assert callable(call)
    best = math.inf
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return best * 1000


def warm(folder: Path) -> dict[str, float]:
    """Milliseconds in one process: the first build, the same tree again, and after one file changed."""
    from penstock import render
    from penstock.model.tree import MemoryTree
    from penstock.model.values import TreeId

    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    def tree(name: str) -> MemoryTree:
        made = MemoryTree(files)
        made.id = TreeId(name)
        return made

    cache = render.Cache()
    start = time.perf_counter()
    render.emit(render.build(tree("1"), "overlay"))
    first = (time.perf_counter() - start) * 1000
    render.build(tree("1"), "overlay", cache=cache)
    same = tree("1")
    unchanged = best_ms(lambda: render.build(same, "overlay", cache=cache), 20)
    unrelated = tree("2")

    def after_unrelated_commit() -> None:
        unrelated.id = TreeId(os.urandom(20).hex())
        render.build(unrelated, "overlay", cache=cache)

    elsewhere = best_ms(after_unrelated_commit, 5)
    files["base/app-0001.yaml"] = files["base/app-0001.yaml"].replace(b"replicas: 1", b"replicas: 2")
    changed = tree("3")
    one_file = best_ms(lambda: render.build(changed, "overlay", cache=cache), 1)
    return {"first": first, "unchanged": unchanged, "unrelated commit": elsewhere, "one file changed": one_file}


def exponent(points: list[tuple[int, float]]) -> float:
    """How the last doubling grows: log(time ratio) / log(size ratio) over the two largest sizes."""
    (small, short), (large, long) = points[-2], points[-1]
    return math.log(long / short) / math.log(large / small)


def main() -> int:
    arguments = sys.argv[1:]
    against = "--no-kustomize" not in arguments and KUSTOMIZE.exists()
    sizes = [int(text) for text in arguments if text.isdigit()] or [10, 100, 300, 1000, 3333]
    if not WORKLOAD.exists():
        print(f"the workload is not here: {WORKLOAD}")
        return 0
    if not against:
        print(f"kustomize is left out ({KUSTOMIZE} {'is there' if KUSTOMIZE.exists() else 'is missing: make parts'})")
    failed = False
    grown: dict[str, list[tuple[int, float]]] = {"penstock": [], "kustomize": []}
    print(
        f"{'apps':>5} {'objects':>7}  {'':9} {'wall s':>8} {'CPU s':>8} {'peak MiB':>9}   times faster (wall, CPU), of its memory"
    )
    with tempfile.TemporaryDirectory() as scratch:
        # as installed: modules compiled once, which a development shell may have switched off
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environment["PYTHONPYCACHEPREFIX"] = str(Path(scratch) / "compiled")
        for apps in sizes:
            folder = Path(scratch) / str(apps)
            subprocess.run([sys.executable, str(WORKLOAD), str(folder), str(apps)], check=True)
            overlay = str(folder / "overlay")
            ours = cold([str(PENSTOCK), "build", overlay], 4 if apps <= 1000 else 2, environment)
            grown["penstock"].append((apps, ours.cpu))
            theirs = cold([str(KUSTOMIZE), "build", overlay], 3 if apps <= 300 else 1, environment) if against else None
            ratio = ""
            if theirs is not None:
                grown["kustomize"].append((apps, theirs.cpu))
                same = "same bytes" if ours.output == theirs.output else "DIFFERENT BYTES"
                faster = theirs.wall / ours.wall
                ratio = f"{faster:.1f}, {theirs.cpu / ours.cpu:.1f}, {ours.memory_mib / theirs.memory_mib:.2f}; {same}"
                failed |= ours.output != theirs.output or faster < BARS.get(apps, 0)
                failed |= ours.memory_mib > 2 * theirs.memory_mib
                print(f"{apps:5} {apps * 3:7}  kustomize {theirs.wall:8.2f} {theirs.cpu:8.2f} {theirs.memory_mib:9.0f}")
            print(
                f"{apps:5} {apps * 3:7}  penstock  {ours.wall:8.2f} {ours.cpu:8.2f} {ours.memory_mib:9.0f}   {ratio}", flush=True
            )
            times = "  ".join(f"{name} {value:.3f}" for name, value in warm(folder).items())
            print(f"{'':15}one process, ms: {times}", flush=True)
    for name, points in grown.items():
        if len(points) > 1:
            print(f"{name} grows with exponent {exponent(points):.2f} between {points[-2][0]} and {points[-1][0]} apps (CPU)")
    print(f"peak memory of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
