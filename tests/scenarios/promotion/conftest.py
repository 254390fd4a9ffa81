"""The fleets that promotion scenarios play with: on the sandbox's forge, and on a real Gitea."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import promotion_fleet
import pytest

from penstock.sandbox import forge

_number = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that run on Gitea by parameter are of the real tier too."""
    for item in items:
        if getattr(item, "callspec", None) and item.callspec.params.get("any_fleet") == "gitea":  # type: ignore[attr-defined]
            item.add_marker(pytest.mark.real)
            item.user_properties.append(("real part", "Gitea"))


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[promotion_fleet.Fleet]:
    async with forge.serve(tmp_path / "forge") as server, promotion_fleet.running(tmp_path, server) as running:
        yield running


@pytest.fixture(params=["sandbox", "gitea"])
async def any_fleet(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[promotion_fleet.Fleet]:
    """The same fleet on both forges: what holds on one holds on the other."""
    if request.param == "gitea":
        name = f"promotion-{next(_number)}"
        async with promotion_fleet.running(tmp_path, request.getfixturevalue("real_gitea"), name) as running:
            yield running
        return
    async with forge.serve(tmp_path / "forge") as server, promotion_fleet.running(tmp_path, server) as running:
        yield running
