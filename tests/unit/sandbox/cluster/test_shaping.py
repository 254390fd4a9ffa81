"""Bringing objects into stored form: quantities, zero values, unknown fields, defaults, binary data."""

from __future__ import annotations

import re

import pytest

from penstock.sandbox.cluster import defaulting, normalizing
from penstock.sandbox.cluster.kinds import Kind, Registry, version_order
from penstock.sandbox.cluster.status import ApiError

REGISTRY = Registry()


def kind(group: str, name: str) -> Kind:
    found = REGISTRY.by_kind(group, name)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("1000m", "1"),
        ("0.5", "500m"),
        ("1024Mi", "1Gi"),
        ("1.5Gi", "1536Mi"),
        ("1500Mi", "1500Mi"),
        ("1e3", "1e3"),
        ("12e6", "12e6"),
        ("1000", "1k"),
        ("1048576", "1048576"),
        ("0", "0"),
        ("0Mi", "0"),
        ("100k", "100k"),
        ("1500", "1500"),
        ("0.1m", "100u"),
        ("512Ki", "512Ki"),
        ("-2000m", "-2"),
    ],
)
def test_quantities_have_one_spelling(text: str, canonical: str) -> None:
    assert normalizing.canonical_quantity(text) == canonical
    assert normalizing.canonical_quantity(canonical) == canonical


@pytest.mark.parametrize("text", ["", "x", "1 Gi", "1KiB", "--1", "1e", "Mi"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(text) if text else "^$"):
        normalizing.canonical_quantity(text)


def test_zero_values_go_or_stay_as_go_would_have_it() -> None:
    body = {"metadata": {"name": "a"}, "spec": {"replicas": 0, "paused": False, "minReadySeconds": 0, "strategy": None}}
    shaped, unknown = normalizing.normalize(kind("apps", "Deployment"), body)
    assert not unknown
    assert shaped["spec"] == {"replicas": 0, "strategy": {}, "template": {"metadata": {}, "spec": {}}}
    assert shaped["status"] == {}


def test_unknown_fields_are_named_by_path_and_dropped() -> None:
    body = {"metadata": {"name": "a", "x": 1}, "spec": {"template": {"spec": {"containers": [{"name": "c", "imagee": "y"}]}}}}
    shaped, unknown = normalizing.normalize(kind("apps", "Deployment"), body)
    assert sorted(unknown) == ["metadata.x", "spec.template.spec.containers[0].imagee"]
    assert shaped["spec"]["template"]["spec"]["containers"] == [{"name": "c", "resources": {}}]


@pytest.mark.parametrize("text", ["YQ==", "", "YWI=", "YWJj"])
def test_base64_is_taken(text: str) -> None:
    normalizing.normalize(kind("", "Secret"), {"metadata": {}, "data": {"a": text}})


@pytest.mark.parametrize(("text", "position"), [("not base64!", 3), ("abc", 0), ("YQ=", 3), ("YWJjYQ", 4)])
def test_bad_base64_is_refused_without_showing_it(text: str, position: int) -> None:
    with pytest.raises(ApiError) as refusal:
        normalizing.normalize(kind("", "Secret"), {"metadata": {}, "data": {"a": text}})
    assert refusal.value.message.endswith(f"illegal base64 data at input byte {position}")
    assert text not in refusal.value.message


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        ("nginx:1", "IfNotPresent"),
        ("host:5000/nginx", "Always"),
        ("host:5000/nginx:2", "IfNotPresent"),
        ("nginx@sha256:" + "0" * 64, "IfNotPresent"),
    ],
)
def test_the_pull_policy_follows_the_tag(image: str, policy: str) -> None:
    pod = {"metadata": {}, "spec": {"containers": [{"name": "a", "image": image}]}}
    defaulting.default("pods", pod)
    assert pod["spec"]["containers"][0]["imagePullPolicy"] == policy


def test_defaults_never_overwrite_and_are_not_shared() -> None:
    one, other = ({"metadata": {}, "spec": {"restartPolicy": "Never", "containers": []}} for _ in range(2))
    for pod in (one, other):
        defaulting.default("pods", pod)
    assert one["spec"]["restartPolicy"] == "Never"
    one["spec"]["securityContext"]["runAsUser"] = 1
    assert other["spec"]["securityContext"] == {}


def test_versions_sort_by_maturity_then_number() -> None:
    versions = ["v1alpha1", "v10", "foo", "v1beta2", "v2", "v1", "v1beta10", "v2alpha1"]
    assert sorted(versions, key=version_order) == ["v10", "v2", "v1", "v1beta10", "v1beta2", "v2alpha1", "v1alpha1", "foo"]
