"""Which pushes concern which sources."""

from __future__ import annotations

import pytest

from penstock.controllers import manager


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://git.test/a/b.git", "https://git.test/a/b", True),
        ("https://me:secret@git.test/a/b", "http://git.test/a/b/", True),
        ("git@git.test:a/b.git", "ssh://git@git.test/a/b", True),
        ("https://GIT.test/a/b", "https://git.test/a/b", True),
        ("https://git.test/a/b", "https://git.test/a/c", False),
        ("https://git.test/a/b", "https://evil.test/a/b", False),
    ],
)
def test_a_repository_is_the_same_however_it_is_spelled(one, other, same):
    assert manager.same_repository(one, other) == same
