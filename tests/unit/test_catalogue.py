"""Every row of the catalogue of bad inputs and faults has a test that says it answers it, by `@pytest.mark.row`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
WANTED = {
    "promotion": [f"M{number:02}" for number in range(1, 33)],
    "git, as promotion meets it": [f"G{number:02}" for number in range(14, 21)],
    # noisy neighbours (T10) and names in metrics (T11) have no test of their own yet
    "tenancy": [f"T{number:02}" for number in range(1, 15) if number not in (10, 11)],
    "encrypted files": ["S04", "S06", "S07"],
}


def marked() -> Iterator[tuple[str, str]]:
    """(row, test) of every mark, read from the sources: what is not collected here is seen too."""
    for path in TESTS.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                for decorator in node.decorator_list:
                    if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.row":
                        for argument in decorator.args:
                            assert isinstance(argument, ast.Constant), f"{path}:{node.lineno}: rows are written out"
                            yield str(argument.value), f"{path.name}::{node.name}"


@pytest.mark.parametrize("part", sorted(WANTED))
def test_every_row_has_its_test(part: str) -> None:
    known = {row for row, _ in marked()}
    assert [row for row in WANTED[part] if row not in known] == []
