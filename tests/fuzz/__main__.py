"""Fuzz: mutations of the corpus through every target, until the time is up.

usage: python -m tests.fuzz [TARGET ...] [--seconds 60] [--seed N] [--keep DIRECTORY]

An input that breaks a law or takes longer than five seconds is written to --keep, named after its target; put it into
tests/fuzz/corpus/TARGET/ once it is understood, and it stays tested.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import sys
import time
import traceback
from pathlib import Path

from tests.fuzz.mutating import mutated
from tests.fuzz.targets import TARGETS

CORPUS = Path(__file__).with_name("corpus")
SLOW_SECONDS = 5.0


def seeds(target: str) -> list[bytes]:
    """The corpus of a target."""
    return [path.read_bytes() for path in sorted((CORPUS / target).iterdir())]


def attempt(target: str, data: bytes) -> str | None:
    """What is wrong with this input, None when nothing is."""
    start = time.process_time()
    try:
        TARGETS[target](data)
    except Exception:  # whatever a target lets through is what we are looking for
        return traceback.format_exc(limit=-4)
    seconds = time.process_time() - start
    return f"took {seconds:.1f} s" if seconds > SLOW_SECONDS else None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=" ".join(TARGETS))
    parser.add_argument("--seconds", type=float, default=60.0, help="for all targets together")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--keep", type=Path, default=Path("fuzz-found"))
    arguments = parser.parse_args()
    targets = arguments.targets or list(TARGETS)
    if unknown := [name for name in targets if name not in TARGETS]:
        parser.error(f"no target {unknown[0]!r}; there are {', '.join(TARGETS)}")
    chance = random.Random(arguments.seed)
    print(f"seed {arguments.seed}", flush=True)
    failures = 0
    for target in targets:
        corpus = seeds(target)
        pool = list(corpus)
        tried, found = 0, 0
        end = time.monotonic() + arguments.seconds / len(targets)
        while time.monotonic() < end and found < 5:
            data = pool[tried] if tried < len(corpus) else mutated(chance.choice(pool), pool, chance)
            wrong = attempt(target, data)
            if wrong is not None:
                found += 1
                arguments.keep.mkdir(exist_ok=True)
                name = arguments.keep / f"{target}-{hashlib.sha1(data, usedforsecurity=False).hexdigest()[:12]}"
                name.write_bytes(data)
                print(f"{target}: {name}\n{wrong}", flush=True)
            elif tried >= len(corpus) and chance.random() < 0.02 and len(pool) < 2000:
                pool.append(data)  # mutations of mutations reach further
            tried += 1
        failures += found
        print(f"{target}: {tried} inputs, {found} failures", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
