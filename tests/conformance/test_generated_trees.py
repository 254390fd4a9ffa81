"""A sample of generated trees and documents, built by the real kustomize and by us, must agree byte by byte.

PENSTOCK_TREES sets how many (150); PENSTOCK_SEED which (a fixed one, so that a run can be repeated). The long sweep is
`python -m tests.conformance.generated --trees 10000 --seed N`.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from generated import deviations, documents, shrinking, trees
from generated.case import Case
from generated.judging import Bench, Judgement

from penstock import render

TREES = int(os.environ.get("PENSTOCK_TREES", "150"))
SEED = os.environ.get("PENSTOCK_SEED", "penstock")
CHUNKS = 6


@pytest.fixture(scope="module")
def bench(kustomize_binary: Path) -> Iterator[Bench]:
    """Both engines."""
    with Bench(kustomize_binary) as bench:
        yield bench


def explained(bench: Bench, case: Case) -> Judgement:
    """What both engines say; a difference that no deviation explains fails with the smallest tree that shows it."""
    judgement = bench.judge(case)
    if not judgement.differs or deviations.explain(case, judgement) is not None:
        return judgement

    def keeps(smaller: Case) -> bool:
        found = bench.judge(smaller)
        return found.verdict == judgement.verdict and deviations.explain(smaller, found) is None

    small = shrinking.shrink(case, keeps, attempts=120)
    pytest.fail(f"{judgement.verdict} ({case.name})\n{small.show()}{bench.judge(small).show()}", pytrace=False)


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_generated_trees_are_built_as_kustomize_builds_them(bench: Bench, chunk: int) -> None:
    verdicts = [explained(bench, trees.case(f"{SEED}/{index}")).verdict for index in range(chunk, TREES, CHUNKS)]
    # a generator that makes nothing but mistakes would prove nothing
    assert verdicts.count("identical") > len(verdicts) / 3


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_arbitrary_documents_are_printed_as_kustomize_prints_them(bench: Bench, chunk: int) -> None:
    case, texts = documents.case(random.Random(f"{SEED}/yaml/{chunk}"), 24)
    judgement = bench.judge(case)
    if judgement.verdict != "identical":
        for text in texts:
            explained(bench, documents.of_texts([text]))


def test_a_difference_is_seen_and_shrunk_to_what_causes_it(bench: Bench) -> None:
    case = next(
        found
        for index in range(100)
        if (found := trees.case(f"{SEED}/shrink/{index}")) and bench.judge(found).verdict == "identical"
    )
    manifest = (
        b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: planted\n  labels:\n    a: b\nbinaryData:\n  k: !!binary aGk=\n"
    )
    folder = case.path
    name = next(path for path in case.files if path.startswith(f"{folder}/") and "ustomization" in path)
    planted = case.with_files(
        {
            "planted/kustomization.yaml": b"resources:\n- a.yaml\n- ../" + folder.encode() + b"\n",
            "planted/a.yaml": manifest,
            **case.files,
        }
    )
    planted = Case(files=planted.files, path="planted", name=name)
    assert bench.judge(planted).verdict == "different bytes"
    small = shrinking.shrink(planted, lambda smaller: bench.judge(smaller).verdict == "different bytes")
    assert set(small.files) == {"planted/kustomization.yaml", "planted/a.yaml"}
    assert b"labels" not in small.files["planted/a.yaml"]  # type: ignore[operator]
    assert b"!!binary" in small.files["planted/a.yaml"]  # type: ignore[operator]


def test_the_same_seed_gives_the_same_tree() -> None:
    for index in range(20):
        first, second = trees.case(f"same/{index}"), trees.case(f"same/{index}")
        assert first == second
        assert first != trees.case(f"other/{index}")


def test_generated_trees_reach_every_field_of_a_kustomization() -> None:
    seen = b"".join(
        content
        for index in range(400)
        for path, content in trees.case(f"fields/{index}").files.items()
        if isinstance(content, bytes)
    )
    for field in (
        *(
            "namespace",
            "namePrefix",
            "nameSuffix",
            "labels",
            "commonLabels",
            "commonAnnotations",
            "images",
            "replicas",
            "patches",
        ),
        *(
            "patchesStrategicMerge",
            "patchesJson6902",
            "configMapGenerator",
            "secretGenerator",
            "generatorOptions",
            "replacements",
        ),
        *("vars", "configurations", "crds", "openapi", "sortOptions", "buildMetadata", "components", "bases", "transformers"),
        *("generators", "resources"),
    ):
        assert f"{field}:".encode() in seen, field


def test_a_tree_is_built_the_same_from_memory_and_with_a_cache(bench: Bench) -> None:
    cache = render.Cache()
    compared = 0
    for index in range(30):
        case = trees.case(f"{SEED}/cache/{index}")
        ours = bench.ours(case)
        if ours.error:
            continue
        for _ in range(2):
            assert render.emit(render.build(case.tree(), case.path, cache=cache)) == ours.printed
        compared += 1
    assert compared > 8


def test_every_deviation_is_in_the_docs() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "safety-deviations.md").read_text()
    for known in deviations.KNOWN:
        assert known.name in page, known.name
