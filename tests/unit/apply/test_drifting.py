"""Fields that may drift."""

from __future__ import annotations

import copy

import pytest

from penstock.apply import drifting

GIT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "namespace": "n", "labels": {"app": "web", "tier": "front"}, "annotations": {"a/b": "1"}},
    "spec": {"replicas": 2, "template": {"spec": {"containers": [{"name": "web", "image": "x:1"}]}}},
}


def live(replicas):
    found = copy.deepcopy(GIT)
    found["spec"]["replicas"] = replicas
    return found


def rules(*paths, **target):
    return (drifting.IgnoreRule(paths=paths, target=target or None),)


def test_a_field_of_ours_keeps_the_value_it_has_in_the_cluster():
    sent = drifting.adapted(GIT, live(7), {"f:spec": {"f:replicas": {}}}, rules("/spec/replicas"))
    assert sent["spec"]["replicas"] == 7
    assert GIT["spec"]["replicas"] == 2


def test_a_field_that_somebody_took_is_not_taken_back():
    sent = drifting.adapted(GIT, live(7), {"f:spec": {"f:template": {}}}, rules("/spec/replicas"))
    assert "replicas" not in sent["spec"]


def test_a_field_that_is_gone_from_the_cluster_is_not_sent():
    there = live(7)
    del there["spec"]["replicas"]
    assert "replicas" not in drifting.adapted(GIT, there, {"f:spec": {"f:replicas": {}}}, rules("/spec/replicas"))["spec"]


def test_a_path_that_git_does_not_have_and_one_that_is_none_change_nothing():
    assert (
        drifting.adapted(GIT, live(7), {}, rules("/spec/paused", "spec.replicas", "", "/spec/template/spec/containers/9")) is GIT
    )


def test_pointers_reach_into_lists_and_odd_keys():
    there = live(2)
    there["spec"]["template"]["spec"]["containers"][0]["image"] = "x:2"
    there["metadata"]["annotations"]["a/b"] = "2"
    fields = {"f:metadata": {"f:annotations": {"f:a/b": {}}}, "f:spec": {"f:template": {"f:spec": {"f:containers": {}}}}}
    sent = drifting.adapted(GIT, there, fields, rules("/spec/template/spec/containers/0/image", "/metadata/annotations/a~1b"))
    assert sent["spec"]["template"]["spec"]["containers"][0] == {"name": "web", "image": "x:2"}
    assert sent["metadata"]["annotations"] == {"a/b": "2"}


@pytest.mark.parametrize(
    ("target", "selected"),
    [
        ({"kind": "Deployment"}, True),
        ({"kind": "Deploy"}, False),
        ({"kind": "Deploy.*", "name": "web|api"}, True),
        ({"group": "apps", "version": "v1", "namespace": "n"}, True),
        ({"group": "batch"}, False),
        ({"labelSelector": "app=web,tier!=back"}, True),
        ({"labelSelector": "app in (api, web), !gone, tier"}, True),
        ({"labelSelector": "tier notin (front)"}, False),
        ({"labelSelector": "app=web,"}, True),
        ({"labelSelector": "((("}, False),
        ({"annotationSelector": "a/b=1"}, True),
        ({"annotationSelector": "a/b=2"}, False),
    ],
)
def test_targets(target, selected):
    assert drifting.selects(target, GIT) == selected
