"""The fleet every promotion scenario plays with."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import promotion_fleet
import pytest


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[promotion_fleet.Fleet]:
    async with promotion_fleet.running(tmp_path) as running:
        yield running
