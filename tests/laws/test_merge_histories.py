"""Random histories of a base, a source and hand edits in a target. PENSTOCK_HISTORIES sets how many are run."""

from __future__ import annotations

import os

import merge_histories
import pytest

HISTORIES = int(os.environ.get("PENSTOCK_HISTORIES", "400"))


@pytest.mark.parametrize("block", range(8))
def test_random_histories_lose_nothing_and_touch_nothing_else(block: int) -> None:
    seen = {"merged": 0, "conflict": 0, "unchanged": 0}
    for number in range(HISTORIES // 8):
        seen[merge_histories.run(block * 1_000_000 + number)] += 1
    assert seen["merged"]
    assert seen["conflict"]
