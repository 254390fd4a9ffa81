"""Written trees that reach into the corners of every field: the same bytes as the real kustomize, or an error like it."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from penstock import render
from penstock.model.errors import InputError
from penstock.model.tree import MemoryTree

TREES: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("kustomize_trees.yaml").read_text(encoding="utf-8"))


def files(case: dict[str, Any]) -> dict[str, bytes | str]:
    texts = {**TREES["shared"].get(case.get("with"), {}), **case["files"]}
    return {path: bytes.fromhex(text["bytes"]) if isinstance(text, dict) else text.encode() for path, text in texts.items()}


@pytest.mark.parametrize("name", TREES["cases"])
def test_a_tree_gives_what_kustomize_gives(kustomize_binary: Path, tmp_path: Path, name: str):
    case = TREES["cases"][name]
    tree, path = files(case), case.get("path", "")
    for file, content in tree.items():
        assert isinstance(content, bytes)
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_bytes(content)
    theirs = subprocess.run([kustomize_binary, "build", tmp_path / path], capture_output=True, check=False)
    if theirs.returncode == 0:
        assert render.emit(render.build(MemoryTree(tree), path)).decode() == theirs.stdout.decode()
    else:
        with pytest.raises(InputError) as caught:
            render.build(MemoryTree(tree), path)
        assert all(problem.where is not None for problem in caught.value.problems)
