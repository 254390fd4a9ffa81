"""Version ranges as GitRepositories use them."""

from __future__ import annotations

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
        with pytest.raises(RefusedError, match="no tag matches"):
            references.highest(TAGS, wanted)
    else:
        assert references.highest(TAGS, wanted)[0] == found


@pytest.mark.parametrize("wanted", ["abc", ">=", "1.2.3.4", "^^1"])
def test_what_is_no_range_is_refused(wanted):
    with pytest.raises(RefusedError, match="not a version range"):
        references.highest(TAGS, wanted)


def test_a_revision_is_written_as_flux_writes_it():
    commit = CommitId("a" * 40)
    assert references.revision("main", commit) == f"main@sha1:{'a' * 40}"
    assert references.revision("", commit) == f"sha1:{'a' * 40}"
    assert references.commit_of(references.revision("v1", commit)) == commit
