"""A stretch of a long sweep: which cases of a seed agree, and those that do not. Imported by worker processes too."""

from __future__ import annotations

import collections
import random
import sys
from pathlib import Path

from penstock.adapters import parts

from . import deviations, documents, trees
from .case import Case
from .judging import Bench, Judgement


def open_bench(remember: str | None = None) -> Bench:
    """A bench on the real kustomize, whose answers may be kept in a folder."""
    kustomize = parts.find("kustomize")
    if kustomize is None:
        sys.exit("the real kustomize is not built: run `make parts`")
    return Bench(kustomize, remember=Path(remember) if remember else None)


def run_trees(arguments: tuple[str, int, int, str | None]) -> tuple[collections.Counter[str], list[tuple[Case, str]]]:
    """Judge the trees first..last of a seed; what differs comes with its signature."""
    seed, first, last, remember = arguments
    counts: collections.Counter[str] = collections.Counter()
    found: list[tuple[Case, str]] = []
    with open_bench(remember) as bench:
        for index in range(first, last):
            case = trees.case(f"{seed}/{index}")
            judgement = bench.judge(case)
            _count(case, judgement, counts, found)
    return counts, found


def run_documents(arguments: tuple[str, int, int, str | None]) -> tuple[collections.Counter[str], list[tuple[Case, str]]]:
    """The same for files of documents; a file that differs is split until single documents are left."""
    seed, first, last, remember = arguments
    counts: collections.Counter[str] = collections.Counter()
    found: list[tuple[Case, str]] = []
    with open_bench(remember) as bench:

        def judge(texts: list[str]) -> None:
            case = documents.of_texts(texts)
            judgement = bench.judge(case)
            if judgement.verdict == "identical" or len(texts) == 1:
                counts["documents"] += len(texts)
                _count(case, judgement, counts, found, len(texts))
                return
            for half in documents.halves(texts):
                judge(half)

        for index in range(first, last):
            case, texts = documents.case(random.Random(f"{seed}/yaml/{index}"), 24)
            judgement = bench.judge(case)
            if judgement.verdict != "identical":
                judge(texts)
            else:
                counts["documents"] += len(texts)
                counts["identical"] += len(texts)
    return counts, found


def _count(
    case: Case, judgement: Judgement, counts: collections.Counter[str], found: list[tuple[Case, str]], weight: int = 1
) -> None:
    if judgement.differs and (known := deviations.explain(case, judgement)) is not None:
        counts[f"known: {known.name}"] += weight
        return
    counts[judgement.verdict] += weight
    if judgement.verdict == "both refuse":
        counts[f"  refused {judgement.signature}"] += weight
    elif judgement.differs:
        found.append((case, judgement.signature))
