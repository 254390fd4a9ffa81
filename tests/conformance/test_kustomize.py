"""Every recorded kustomize case: the same bytes, or an error that names the same cause. Cases live beside the project."""

import base64
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from penstock import render
from penstock.model.errors import InputError
from penstock.model.tree import MemoryTree
from penstock.render import engine
from penstock.yamldoc import reading

FOLDER = Path(__file__).resolve().parents[2].parent / "shared" / "conformance" / "kustomize"
ROOT = "/repository"

NEEDS_LENIENCY = {
    # a JSON patch followed by '---' and a second one: kustomize drops the second without a word, we say TrailingContent
    "builtin/patchtransformer/TestPatchTransformerNotAllowedMultipleJsonPatches#1",
}

# upstream's words -> ours, where they differ; the first that fits upstream's error decides
CAUSES = [
    (r"unable to find one of 'kustomization.yaml'", r"unable to find one of 'kustomization.yaml'"),
    (r"Found multiple kustomization files", r"Found multiple kustomization files"),
    (r"cannot be absolute", r"cannot be absolute"),
    (r"MalformedYAMLError: yaml: line \d+: did not find expected key", r"did not find expected key"),
    (r"security; file '([^']*)' is not in or below", r"security; file .* is not in or below"),
    (r"namespace is blank for resource", r"namespace is blank for resource"),
    (r"already registered id: (\S+)", r"already registered id: \S+"),
    (r"expected kind != 'Component'", r"expected kind != 'Component'"),
    (r"file is not directory", r"file is not directory"),
    (r"mapping key \"env\" already defined", r'mapping key "env" already defined at line 17'),
    (r"behavior must be merge or replace", r"behavior must be merge or replace"),
    (r"no matches for Id", r"no matches for Id"),
    (r"multiple matches for Id", r"multiple matches for Id"),
    (r"patch appears to be empty", r"patch appears to be empty"),
    (r"found multiple possible referrals: ([^\n]+)", r"found multiple possible referrals: "),
    (r"unable to disambiguate", r"unable to disambiguate"),
    (r"cannot use both", r"cannot use both"),
    (r"the field 'sortOptions", r"the field 'sortOptions"),
    (r"external plugins disabled", r"external plugins disabled"),
    (r"var 'POD_NAME' already encountered", r"var 'POD_NAME' already encountered"),
    (r"var 'AWARD' already encountered", r"var 'AWARD' already encountered"),
    (r"ID conflict", r"ID conflict"),
    (r"must target scalar nodes", r"must target scalar nodes.*subjects.*expected ScalarNode but got SequenceNode"),
    (r"cannot unmarshal string into Go value", r"cannot unmarshal string into Go value of type jsonpatch"),
    (r"empty file path and empty jsonOp", r"empty file path and empty jsonOp"),
    (r"file path or jsonOp, not both", r"file path or jsonOp, not both"),
    (r"missing Resource metadata", r"missing Resource metadata"),
    (r"empty file path and empty patch content", r"empty file path and empty patch content"),
    (r"unable to parse SM or JSON patch from", r"unable to parse SM or JSON patch from"),
    (r"must specify a target for JSON patch", r"must specify a target for JSON patch"),
    (r"must specify one of patch and path in", r"must specify one of patch and path in"),
    (r"patch and path can't be set at the same time", r"patch and path can't be set at the same time"),
    (r"Multiple Strategic-Merge Patches", r"Multiple Strategic-Merge Patches in one `patches` entry is not allowed"),
    (r"does not match a config with the following GVK", r"does not match a config with the following GVK \[Deployment"),
    (r"does not exist; cannot merge or replace", r"does not exist; cannot merge or replace"),
    (r"kustomization.yaml is empty", r"kustomization.yaml is empty"),
    (r"found a tab character that violates indentation", r"tab"),
    (r"cannot be mapped to a field in the set of known resources", r"cannot be mapped to a field in the set of known resources"),
    (r"no such file or directory", r"doesn't exist"),
]


@cache
def cases(name: str) -> dict[str, dict[str, Any]]:
    file = FOLDER / name
    return {case["id"]: case for case in json.loads(file.read_text())} if file.exists() else {}


def tree_of(case: dict[str, Any]) -> MemoryTree:
    files: dict[str, bytes | str] = {
        path.lstrip("/"): text.replace("{{ROOT}}", ROOT).encode() for path, text in case["files"].items()
    }
    for path, text in case.get("files_base64", {}).items():
        files[path.lstrip("/")] = base64.b64decode(text)
    return MemoryTree(files)


def build(case: dict[str, Any]) -> bytes:
    options = case["options"]
    lenient = case["id"] in NEEDS_LENIENCY
    path = case["path"].lstrip("/")
    return render.emit(
        render.build(
            tree_of(case),
            "" if path == "." else path,
            render.Options(
                reorder=options["reorder"],
                restriction=options["load_restrictions"],
                managed_by=options["add_managed_by"],
                leniency=reading.LENIENT if lenient else reading.STRICT,
            ),
        )
    )


@pytest.mark.skipif(not FOLDER.exists(), reason="the recorded cases are not here: ../shared/conformance/kustomize")
def test_the_recorded_cases_are_all_there():
    assert len(cases("cases.json")) == 354
    assert len(cases("refused.json")) == 20


@pytest.mark.parametrize("name", [name for name, case in cases("cases.json").items() if "expected_yaml" in case])
def test_output_is_the_same_bytes(name: str):
    case = cases("cases.json")[name]
    expected = (
        case["expected_yaml"].replace("{{ROOT}}", ROOT).replace("kustomize-(test)", f"kustomize-{engine.KUSTOMIZE_VERSION}")
    )
    assert build(case).decode() == expected


@pytest.mark.parametrize("name", [name for name, case in cases("cases.json").items() if "expected_error" in case])
def test_an_error_names_the_same_cause(name: str):
    case = cases("cases.json")[name]
    upstream = case["cli_error"]
    ours = next((ours for theirs, ours in CAUSES if re.search(theirs, upstream)), None)
    assert ours is not None, f"no cause written down for: {upstream}"
    with pytest.raises(InputError) as caught:
        build(case)
    assert re.search(ours, str(caught.value), re.DOTALL), str(caught.value)
    for identity in re.findall(r'registered id: ([^\s"]+)', upstream):
        assert identity.rstrip("':,.") in str(caught.value)


@pytest.mark.parametrize("name", list(cases("refused.json")))
def test_what_would_start_a_process_is_refused(name: str):
    with pytest.raises(InputError) as caught:
        build(cases("refused.json")[name])
    assert any(problem.code == "ExternalPlugin" for problem in caught.value.problems), str(caught.value)
