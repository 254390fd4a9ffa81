"""The long sweep: `python -m tests.conformance.generated --trees 10000 --seed 7 --jobs 2`.

Prints how many trees were identical, refused by both, or different, and for each kind of difference the smallest tree
that shows it. `--yaml N` compares files of arbitrary documents instead.
"""

from __future__ import annotations

import argparse
import collections
import multiprocessing
import sys
import time

from . import deviations, shrinking, sweeping, trees
from .case import Case
from .judging import Bench


def same_kind(bench: Bench, signature: str, verdict: str) -> shrinking.Keeps:
    """Whether a smaller case still differs in the same way."""

    def keeps(case: Case) -> bool:
        judgement = bench.judge(case)
        if judgement.verdict != verdict or deviations.explain(case, judgement) is not None:
            return False
        return verdict == "different bytes" or judgement.signature == signature

    return keeps


def report(
    counts: collections.Counter[str], found: list[tuple[Case, str]], seconds: float, *, refusals: bool, repros: int
) -> int:
    """Print everything; the number of unexplained differences."""
    for name, count in sorted(counts.items(), key=lambda item: (item[0].startswith("  "), -item[1])):
        if refusals or not name.startswith("  "):
            print(f"{count:7d} {name}")
    print(f"in {seconds:.1f} s, {len(found)} unexplained")
    groups: dict[str, list[Case]] = collections.defaultdict(list)
    for case, signature in found:
        groups[signature].append(case)
    with sweeping.open_bench() as bench:
        for signature, cases in sorted(groups.items(), key=lambda item: -len(item[1])):
            print(f"\n===== {len(cases)} x {signature}   ({', '.join(case.name for case in cases[:5])})")
            for case in sorted(cases, key=lambda case: sum(len(content) for content in case.files.values()))[:repros]:
                verdict = bench.judge(case).verdict
                small = shrinking.shrink(case, same_kind(bench, signature, verdict), attempts=150)
                print(f"----- {case.name}\n{small.show()}{bench.judge(small).show()}")
    return len(found)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance.generated", description=__doc__)
    parser.add_argument("--trees", type=int, default=0)
    parser.add_argument("--yaml", type=int, default=0, help="files of 24 documents each")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--repros", type=int, default=1, help="shrunk cases per kind of difference")
    parser.add_argument("--refusals", action="store_true", help="also count what both refuse, by reason")
    parser.add_argument("--remember", metavar="FOLDER", help="keep kustomize's answers there, and take them from there")
    parser.add_argument("--show", action="store_true", help="print the first tree and stop")
    options = parser.parse_args()
    if options.show:
        print(trees.case(f"{options.seed}/{options.first}").show())
        return 0
    started = time.monotonic()
    counts: collections.Counter[str] = collections.Counter()
    found: list[tuple[Case, str]] = []
    for run, total in ((sweeping.run_trees, options.trees), (sweeping.run_documents, options.yaml)):
        step = 50 if run is sweeping.run_trees else 5
        last = options.first + total
        chunks = [(options.seed, start, min(start + step, last), options.remember) for start in range(options.first, last, step)]
        if options.jobs > 1:
            with multiprocessing.get_context("spawn").Pool(options.jobs) as pool:
                results = pool.imap(run, chunks)
                for some, more in results:
                    counts += some
                    found += more
        else:
            for chunk in chunks:
                some, more = run(chunk)
                counts += some
                found += more
    return 1 if report(counts, found, time.monotonic() - started, refusals=options.refusals, repros=options.repros) else 0


if __name__ == "__main__":
    sys.exit(main())
