"""Labels that kustomize puts into several places as one node: what overwrites one place overwrites them all."""

from __future__ import annotations

import pytest

from penstock import render
from penstock.model.tree import MemoryTree

DEPLOYMENT = b"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {}\n"
BASE = b"resources: [a.yaml]\nlabels:\n- pairs: {tier: base, other: x}\n  includeSelectors: true\n"
PATCH = "patches:\n- patch: |\n    apiVersion: apps/v1\n    kind: Deployment\n    metadata: {name: web, labels: {tier: %s}}\n"
JSON = "patches:\n- target: {kind: Deployment}\n  patch: |\n    - {op: replace, path: /metadata/labels/tier, value: over}\n"


def tiers(overlay: str, base: bytes = BASE, deployment: bytes = DEPLOYMENT) -> list[str | None]:
    """The tier in metadata, selector and template of the overlay's build."""
    tree = MemoryTree(
        {
            "base/kustomization.yaml": base,
            "base/a.yaml": deployment,
            "over/kustomization.yaml": b"resources: [../base]\n" + overlay.encode(),
        }
    )
    (one,) = render.build(tree, "over").objects
    spec = one.manifest["spec"]
    places = (one.manifest["metadata"]["labels"], spec["selector"]["matchLabels"], spec["template"]["metadata"]["labels"])
    return [place.get("tier") for place in places]


@pytest.mark.parametrize(
    "overlay",
    [
        PATCH % "over",
        "labels:\n- pairs: {tier: over}\n",
        "replacements:\n- sourceValue: over\n  targets:\n  - {select: {kind: Deployment}, fieldPaths: [metadata.labels.tier]}\n",
    ],
    ids=["merge patch", "labels", "replacement"],
)
def test_what_overwrites_one_place_overwrites_all_places_that_were_new(overlay: str) -> None:
    assert tiers(overlay) == ["over", "over", "over"]


def test_a_json_patch_overwrites_only_its_own_place() -> None:
    assert tiers(JSON) == ["over", "base", "base"]


def test_a_json_patch_parts_the_places_for_good() -> None:
    assert tiers(JSON + "labels:\n- pairs: {tier: last}\n") == ["last", "base", "base"]


def test_a_place_that_had_the_label_before_stays_on_its_own() -> None:
    deployment = b"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, labels: {tier: own}}\nspec: {}\n"
    assert tiers(PATCH % "over", deployment=deployment) == ["over", "base", "base"]


def test_deleting_one_place_leaves_the_others() -> None:
    assert tiers(PATCH % "null") == [None, "base", "base"]
