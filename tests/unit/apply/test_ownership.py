"""Knowing without asking whether the fields of ours are as we want them."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.apply import ownership

DESIRED = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "s", "namespace": "n", "labels": {"app": "s"}, "finalizers": ["a/b"]},
    "spec": {"selector": {"app": "s"}, "ports": [{"port": 80, "targetPort": 8080}, {"port": 81, "protocol": "UDP"}]},
}
FIELDS = {
    "f:metadata": {"f:labels": {"f:app": {}}, "f:finalizers": {'v:"a/b"': {}}},
    "f:spec": {
        "f:selector": {},
        "f:ports": {
            'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:port": {}, "f:targetPort": {}},
            'k:{"port":81,"protocol":"UDP"}': {".": {}, "f:port": {}, "f:protocol": {}},
        },
    },
}


def live():
    found = copy.deepcopy(DESIRED)
    found["metadata"] |= {"uid": "u", "resourceVersion": "7"}
    found["metadata"]["labels"]["theirs"] = "x"
    found["spec"]["clusterIP"] = "10.0.0.1"
    found["spec"]["ports"][0]["protocol"] = "TCP"
    found["spec"]["ports"][1]["targetPort"] = 81
    return found


def test_defaults_and_other_owners_fields_do_not_matter():
    assert ownership.matches(DESIRED, live(), FIELDS)


@pytest.mark.parametrize(
    "change",
    [
        lambda live, fields: live["metadata"]["labels"].update(app="t"),
        lambda live, fields: live["spec"]["ports"][0].update(targetPort=9),
        lambda live, fields: live["spec"]["ports"].pop(0),
        lambda live, fields: live["spec"].pop("selector"),
        lambda live, fields: live["spec"]["selector"].update(more="x"),
        lambda live, fields: fields["f:spec"].pop("f:selector"),
        lambda live, fields: fields["f:spec"].update({"f:type": {}}),
        lambda live, fields: fields["f:spec"]["f:ports"].pop('k:{"port":81,"protocol":"UDP"}'),
        lambda live, fields: live["metadata"].update(finalizers=[]),
    ],
    ids=[
        "value",
        "item field",
        "item gone",
        "field gone",
        "atomic map grew",
        "lost",
        "owned too much",
        "item lost",
        "set member gone",
    ],
)
def test_any_difference_in_what_is_ours_is_seen(change):
    found, fields = live(), copy.deepcopy(FIELDS)
    change(found, fields)
    assert not ownership.matches(DESIRED, found, fields)


def test_true_is_not_one():
    fields = {"f:data": {"f:k": {}}}
    assert not ownership.matches({"data": {"k": True}}, {"data": {"k": 1}}, fields)


def test_the_digest_follows_our_values_and_nothing_else():
    before = ownership.digest(live(), FIELDS)
    other = live()
    other["spec"]["clusterIP"] = "10.0.0.2"
    other["metadata"]["resourceVersion"] = "8"
    assert ownership.digest(other, FIELDS) == before
    other["spec"]["ports"][0]["targetPort"] = 1
    assert ownership.digest(other, FIELDS) != before


def test_the_digest_does_not_depend_on_the_order_of_keys():
    def turned(value):
        if isinstance(value, dict):
            return {key: turned(value[key]) for key in reversed(value)}
        return value

    assert ownership.digest(turned(live()), turned(FIELDS)) == ownership.digest(live(), FIELDS)


def entry(manager, operation, fields, **more):
    return {"manager": manager, "operation": operation, "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": fields, **more}


OURS = entry("kustomize-controller", "Apply", {"f:data": {"f:a": {}}})


@pytest.mark.parametrize(
    ("other", "undone"),
    [
        (entry("kubectl-edit", "Update", {"f:data": {"f:b": {}}}), True),
        (entry("kubectl", "Apply", {"f:data": {"f:b": {}}}), True),
        (entry("kubectl-client-side-apply", "Update", {"f:data": {"f:b": {}}}), True),
        (entry("before-first-apply", "Update", {"f:data": {"f:b": {}}}), True),
        (entry("kustomize-controller", "Update", {"f:data": {"f:b": {}}}), True),
        (entry("kubectl", "Update", {"f:spec": {"f:replicas": {}}}, subresource="scale"), False),
        (entry("autoscaler", "Update", {"f:data": {"f:b": {}}}), False),
    ],
)
def test_whose_changes_are_undone(other, undone):
    assert ownership.to_undo([OURS, other], "kustomize-controller") == undone


def test_taking_over_gives_us_their_fields_and_leaves_the_others_entries():
    other = entry("autoscaler", "Update", {"f:data": {"f:c": {}}})
    found = ownership.taken_over([OURS, entry("kubectl-edit", "Update", {"f:data": {"f:b": {}}}), other], "kustomize-controller")
    assert found == [entry("kustomize-controller", "Apply", {"f:data": {"f:a": {}, "f:b": {}}}), other]


scalars = st.one_of(st.integers(), st.booleans(), st.text(max_size=5))
values = st.recursive(
    scalars, lambda inner: st.dictionaries(st.text(min_size=1, max_size=4), inner, min_size=1, max_size=3), max_leaves=8
)


def all_fields(value):
    """The set that owns every leaf of nested maps."""
    return {f"f:{key}": all_fields(below) for key, below in value.items()} if isinstance(value, dict) else {}


@given(st.dictionaries(st.text(min_size=1, max_size=4), values, max_size=4))
def test_what_was_just_applied_always_matches(spec):
    manifest = {"apiVersion": "v1", "kind": "X", "metadata": {"name": "x"}, "spec": {"always": 1, **spec}}
    assert ownership.matches(manifest, copy.deepcopy(manifest), {"f:spec": all_fields(manifest["spec"])})


MAIN = 'k:{"name":"main"}'
FLUX_HELD = {"f:spec": {"f:replicas": {}, "f:strategy": {}, "f:containers": {MAIN: {".": {}, "f:name": {}, "f:resources": {}}}}}


def test_empty_structs_that_flux_wrote_do_not_count_in_built_in_kinds():
    desired = {"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"replicas": 1, "containers": [{"name": "main"}]}}
    containers = [{"name": "main", "resources": {}}]
    live = {"spec": {"replicas": 1, "strategy": {"type": "RollingUpdate"}, "containers": containers}}
    assert ownership.matches(desired, live, FLUX_HELD)
    assert not ownership.matches({**desired, "apiVersion": "example.com/v1"}, live, FLUX_HELD)


def test_a_strategy_with_something_in_it_counts():
    desired = {"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"replicas": 1}}
    live = {"spec": {"replicas": 1, "strategy": {"type": "Recreate"}}}
    held = {"f:spec": {"f:replicas": {}, "f:strategy": {"f:type": {}}}}
    assert not ownership.matches(desired, live, held)


def test_sets_of_fields_are_as_good_as_each_other_when_what_differs_is_empty():
    live = {"spec": {"args": [], "hostNetwork": False, "name": "x", "items": [{"name": "a", "value": ""}]}}
    less = {"f:spec": {"f:name": {}, "f:items": {'k:{"name":"a"}': {".": {}, "f:name": {}}}}}
    more = {
        "f:spec": {
            "f:name": {},
            "f:args": {},
            "f:hostNetwork": {},
            "f:items": {'k:{"name":"a"}': {".": {}, "f:name": {}, "f:value": {}}},
        }
    }
    assert ownership.as_good_as(less, more, live)
    assert ownership.as_good_as(more, less, live)
    assert not ownership.as_good_as(less, {"f:spec": {"f:items": less["f:spec"]["f:items"]}}, live)
    assert not ownership.as_good_as(None, less, live)


def test_a_further_manager_is_undone_whatever_it_did() -> None:
    undone = ownership.undone_managers(["argocd"])
    for operation in ("Apply", "Update"):
        theirs = entry("argocd-controller", operation, {"f:data": {"f:b": {}}})
        assert ownership.to_undo([OURS, theirs], "kustomize-controller", undone)
        assert not ownership.to_undo([OURS, theirs], "kustomize-controller")
