"""Version ranges as GitRepositories use them."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from penstock.controllers import references
from penstock.model.errors import RefusedError
from penstock.model.values import CommitId

TAGS = {
    name: CommitId("0" * 40)
    for name in (
        "v0.2.0",
        "v0.2.5",
        "v0.3.0",
        "v1.0.0",
        "v1.2.0",
        "1.2.3",
        "v1.3.0-rc.1",
        "v1.3.0-rc.2",
        "v2.0.0-alpha",
        "v2.0.0",
        "latest",
    )
}


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("*", "v2.0.0"),
        (">=1.0.0", "v2.0.0"),
        (">=1.0.0 <2.0.0", "1.2.3"),
        (">=1.0.0, <2.0.0", "1.2.3"),
        ("<2", "1.2.3"),
        ("1.x", "1.2.3"),
        ("1", "1.2.3"),
        ("1.2", "1.2.3"),
        ("~1.2", "1.2.3"),
        ("~1.2.0", "1.2.3"),
        ("^1.0", "1.2.3"),
        ("^0.2.1", "v0.2.5"),
        (">1.2.3 <2", None),
        (">1", "v2.0.0"),
        ("<=1", "1.2.3"),
        ("=1.2.0", "v1.2.0"),
        ("1.2.0", "v1.2.0"),
        ("!=2.0.0", "1.2.3"),
        ("1.0.0 - 1.2.0", "v1.2.0"),
        ("<1.0.0 || 1.2.0", "v1.2.0"),
        (">=1.3.0-0 <1.3.0", "v1.3.0-rc.2"),
        ("3.x", None),
    ],
)
def test_the_highest_version_in_a_range(wanted, found):
    if found is None:
        with pytest.raises(RefusedError, match="no match found for semver"):
            references.highest(TAGS, wanted)
    else:
        assert references.highest(TAGS, wanted)[0] == found


@pytest.mark.parametrize("wanted", ["abc", ">=", "1.2.3.4", "^^1", "", "^1 ||"])
def test_what_is_no_range_is_refused(wanted):
    with pytest.raises(RefusedError, match="not a version range"):
        references.highest(TAGS, wanted)


def test_a_revision_is_written_as_flux_writes_it():
    commit = CommitId("a" * 40)
    assert references.revision("main", commit) == f"main@sha1:{'a' * 40}"
    assert references.revision("", commit) == f"sha1:{'a' * 40}"
    assert references.commit_of(references.revision("v1", commit)) == commit


def _rows():
    lines = (Path(__file__).parent / "semver_rows.tsv").read_text().splitlines()
    return lines[1].removeprefix("# ").split(), [line.rsplit("\t", 1) for line in lines[2:]]


@pytest.mark.parametrize(("wanted", "admitted"), _rows()[1])
def test_a_range_admits_what_flux_lets_it_admit(wanted, admitted):
    versions, wanted = _rows()[0], ast.literal_eval(wanted)
    answers = ""
    for version in versions:
        try:
            references.highest({version: CommitId("0" * 40)}, wanted)
            answers += "1"
        except RefusedError as error:
            answers += "0" if "no match" in error.what else "error"
    assert answers == ("error" * len(versions) if admitted == "error" else admitted)


def test_a_tag_without_all_three_numbers_is_no_version():
    tags = {name: CommitId("0" * 40) for name in ("v1", "2.0", "1.02.0", "v1.0.0")}
    assert references.highest(tags, "*")[0] == "v1.0.0"


def test_of_versions_that_differ_in_build_metadata_the_newest_commit_counts():
    old, new = CommitId("1" * 40), CommitId("2" * 40)
    tags = {"1.0.0+z": old, "1.0.0+a": new}
    assert references.highest(tags, "1.x", {old: 1.0, new: 2.0}.__getitem__)[0] == "1.0.0+a"
