"""The page about syncing names every field that the definition of a Kustomization has."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.controllers import installing

PAGE = (Path(__file__).parents[3] / "docs/reference/sync.md").read_text()


def fields() -> list[str]:
    definition = next(each for each in installing.definitions() if each["spec"]["names"]["kind"] == "Kustomization")
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return sorted(schema["properties"]["spec"]["properties"])


@pytest.mark.parametrize("field", fields())
def test_a_field_is_on_the_page(field):
    assert f"`{field}" in PAGE
