"""Label selectors, as kubectl reads them."""

from __future__ import annotations

import pytest

from penstock.controllers import shards
from penstock.model.errors import InputError


@pytest.mark.parametrize(
    ("selector", "labels", "matches"),
    [
        ("", {}, True),
        ("sharding.fluxcd.io/key=shard1", {"sharding.fluxcd.io/key": "shard1"}, True),
        ("sharding.fluxcd.io/key==shard1", {"sharding.fluxcd.io/key": "shard2"}, False),
        ("!sharding.fluxcd.io/key", {}, True),
        ("!sharding.fluxcd.io/key", {"sharding.fluxcd.io/key": ""}, False),
        ("a!=b", {}, True),
        ("a!=b", {"a": "b"}, False),
        ("a in (x, y),b", {"a": "y", "b": ""}, True),
        ("a in (x, y)", {}, False),
        ("a notin (x,y)", {"a": "x"}, False),
        ("a notin (x,y)", {}, True),
        ("a=", {"a": ""}, True),
    ],
)
def test_a_selector_matches(selector, labels, matches):
    assert shards.parse(selector).matches(labels) is matches


@pytest.mark.parametrize("text", ["a=b=c", "a in x", "-a", "a b"])
def test_what_is_no_selector_is_an_error(text):
    with pytest.raises(InputError):
        shards.parse(text)
