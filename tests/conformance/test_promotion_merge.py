"""The promotion merge against its specification by example: exact bytes, or exactly these conflicts."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from penstock import merge

CASES = Path(__file__).resolve().parents[2].parent / "shared" / "conformance" / "promotion" / "cases.yaml"


OWN = Path(__file__).with_name("merge_cases.yaml")


def cases(path: Path) -> list[Any]:
    if not path.exists():
        return []
    found: list[Any] = yaml.safe_load(path.read_text())
    return found


def content(case: dict[str, Any], side: str) -> bytes | None:
    text = case.get(side)
    return text.encode() if text is not None else None


def test_the_specification_is_there() -> None:
    if not CASES.exists():
        pytest.skip(f"the promotion cases are not on this machine: {CASES}")
    assert len(cases(CASES)) >= 17


@pytest.mark.parametrize("case", [*cases(CASES), *cases(OWN)], ids=lambda case: case["name"])
@pytest.mark.row("M16", "M17", "M18", "M19")
def test_merges_as_specified(case: dict[str, Any]) -> None:
    merged = merge.three_way(
        content(case, "base"),
        content(case, "source"),
        content(case, "target"),
        path=case.get("file", "values.yaml"),
        declared=case.get("declared", ()),
        choices=[merge.Choice(field=field, side=side) for field, side in case.get("choices", {}).items()],
    )
    if "conflicts" in case:
        assert [str(conflict) for conflict in merged.conflicts] == case["conflicts"]
        assert merged.result == content(case, "target")
    else:
        assert merged.conflicts == ()
        assert merged.result is not None
        assert merged.result.decode() == case["result"]
