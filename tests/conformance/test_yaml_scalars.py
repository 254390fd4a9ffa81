"""Every scalar of the recorded table reads and prints as kustomize reads and prints it. The table lies beside the project."""

from pathlib import Path

import pytest

from penstock import render
from penstock.model.errors import InputError
from penstock.model.tree import MemoryTree

TABLE = Path(__file__).resolve().parents[2].parent / "shared" / "reference" / "yaml-scalars.tsv"


def rows() -> list[tuple[str, str]]:
    if not TABLE.is_file():
        return []
    lines = TABLE.read_text(encoding="utf-8").splitlines()[1:]
    return [(cells[0], cells[1]) for cells in (line.split("\t") for line in lines)]


def built(scalar: str) -> str:
    manifest = f"apiVersion: example.com/v1\nkind: Thing\nmetadata:\n  name: a\nspec:\n  v: {scalar}\n"
    tree = MemoryTree({"kustomization.yaml": b"resources: [r.yaml]\n", "r.yaml": manifest.encode()})
    return render.emit(render.build(tree, "")).decode()


@pytest.mark.skipif(not TABLE.is_file(), reason=f"NOT RUN: no table of scalars at {TABLE}")
def test_the_table_is_there_and_whole():
    assert len(rows()) >= 71


@pytest.mark.parametrize(("scalar", "printed"), [row for row in rows() if not row[1].startswith("ERR")])
def test_a_scalar_prints_as_kustomize_prints_it(scalar: str, printed: str):
    assert built(scalar).partition("  v: ")[2] == f"{printed}\n"


@pytest.mark.parametrize("scalar", [scalar for scalar, printed in rows() if printed.startswith("ERR")])
def test_a_scalar_that_kustomize_refuses_is_refused(scalar: str):
    with pytest.raises(InputError) as caught:
        built(scalar)
    (problem,) = caught.value.problems
    assert problem.where is not None
    assert (problem.where.path, problem.where.line) == ("r.yaml", 6)
