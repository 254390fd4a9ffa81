"""Field sets: the algebra under managedFields."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.sandbox.cluster import fieldsets, schema

POD = schema.parse("core.v1.PodSpec")

ENV = st.lists(
    st.fixed_dictionaries({"name": st.sampled_from("ABCD")}, optional={"value": st.text(max_size=3)}),
    unique_by=lambda e: e["name"],
)
CONTAINER = st.fixed_dictionaries(
    {"name": st.sampled_from(["a", "b", "c", "d"])},
    optional={
        "image": st.sampled_from(["x", "y"]),
        "env": ENV,
        "args": st.lists(st.sampled_from("pq"), max_size=2),
        "resources": st.fixed_dictionaries(
            {}, optional={"limits": st.dictionaries(st.sampled_from(["cpu", "memory"]), st.just("1"))}
        ),
        "securityContext": st.just({}),
    },
)
PODS = st.fixed_dictionaries(
    {},
    optional={
        "containers": st.lists(CONTAINER, unique_by=lambda c: c["name"]),
        "nodeSelector": st.dictionaries(st.sampled_from("kl"), st.sampled_from("vw")),
        "hostNetwork": st.booleans(),
    },
)


@given(PODS)
def test_a_set_survives_its_spelling(pod: dict[str, Any]) -> None:
    paths = fieldsets.members(fieldsets.flatten(POD, pod))
    assert fieldsets.from_fields_v1(fieldsets.to_fields_v1(paths)) == paths


@given(PODS)
def test_merging_an_object_with_itself_changes_nothing(pod: dict[str, Any]) -> None:
    assert fieldsets.merge(POD, pod, pod) == pod


@given(PODS, PODS)
def test_what_was_applied_is_in_the_merge(old: dict[str, Any], new: dict[str, Any]) -> None:
    merged = fieldsets.flatten(POD, fieldsets.merge(POD, old, new))
    applied = fieldsets.flatten(POD, new)
    for path, value in applied.items():
        if not isinstance(value, fieldsets.Mark) and value != []:
            assert merged[path] == value


@given(PODS, PODS)
def test_merging_twice_is_merging_once(old: dict[str, Any], new: dict[str, Any]) -> None:
    once = fieldsets.merge(POD, old, new)
    assert fieldsets.merge(POD, once, new) == once


@given(PODS)
def test_an_object_does_not_differ_from_itself(pod: dict[str, Any]) -> None:
    flat = fieldsets.flatten(POD, pod)
    change = fieldsets.compare(flat, flat)
    assert not change.added | change.modified | change.removed


@given(PODS, PODS)
def test_a_comparison_names_each_place_once(old: dict[str, Any], new: dict[str, Any]) -> None:
    change = fieldsets.compare(fieldsets.flatten(POD, old), fieldsets.flatten(POD, new))
    assert not change.added & change.removed
    assert not change.modified & (change.added | change.removed)


@given(PODS)
def test_removing_every_field_leaves_nothing_and_removing_none_leaves_all(pod: dict[str, Any]) -> None:
    members = fieldsets.members(fieldsets.flatten(POD, pod))
    assert fieldsets.remove(POD, pod, []) == (pod or None)
    left = fieldsets.remove(POD, pod, fieldsets.with_structs(POD, members)) or {}
    assert not fieldsets.members(fieldsets.flatten(POD, left))


@pytest.mark.parametrize(
    ("old", "new", "order"),
    [
        ("abc", "db", "adbc"),
        ("abc", "ca", "bca"),
        ("ab", "cd", "abcd"),
        ("abcd", "da", "bcda"),
    ],
)
def test_items_take_the_order_of_structured_merge_diff(old: str, new: str, order: str) -> None:
    containers = [{"containers": [{"name": name} for name in names]} for names in (old, new)]
    merged = fieldsets.merge(POD, *containers)
    assert "".join(container["name"] for container in merged["containers"]) == order


def test_a_missing_key_takes_its_default_and_without_one_is_an_error() -> None:
    ports = schema.parse("core.v1.Container").fields["ports"]
    assert fieldsets.item_element(ports, {"containerPort": 80}) == 'k:{"containerPort":80,"protocol":"TCP"}'
    rules = schema.from_openapi(
        {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["id"],
            "items": {"type": "object", "properties": {"id": {"type": "string"}}},
        }
    )
    with pytest.raises(fieldsets.SchemaMismatchError, match='omits key field "id"'):
        fieldsets.item_element(rules, {"other": 1})


def test_true_is_not_one() -> None:
    assert not fieldsets.same({"a": [True]}, {"a": [1]})
    assert fieldsets.same({"a": [1]}, {"a": [1.0]})
    assert fieldsets.same({"a": 1, "b": None}, {"b": None, "a": 1})


def test_paths_are_shown_as_conflicts_spell_them() -> None:
    assert fieldsets.show(("f:spec", "f:containers", 'k:{"name":"web"}', "f:image")) == '.spec.containers[name="web"].image'
    assert fieldsets.show(("f:metadata", "f:finalizers", 'v:"a"')) == '.metadata.finalizers[="a"]'
