"""Objects of one shape are valid or invalid together; anything that could make a difference makes another shape."""

from __future__ import annotations

import copy

import pytest

from penstock.apply import alike


def deployment(app="web", **container):
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": app, "namespace": "n", "labels": {"app": app}},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": app}},
            "template": {
                "metadata": {"labels": {"app": app}},
                "spec": {
                    "containers": [{"name": "main", "image": f"example/{app}:1", "ports": [{"containerPort": 80}], **container}]
                },
            },
        },
    }


def config(name="a", **data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "n"}, "data": data}


def test_two_apps_of_one_pattern_are_alike():
    assert alike.shape(deployment("web")) == alike.shape(deployment("api")) is not None


def test_a_selector_that_does_not_match_its_template_is_another_shape():
    wrong = deployment("api")
    wrong["spec"]["template"]["metadata"]["labels"]["app"] = "other"
    assert alike.shape(wrong) != alike.shape(deployment("web"))


def test_a_label_that_happens_to_equal_a_fixed_word_is_another_shape():
    """'main' is also a container's name in one of them only."""
    assert alike.shape(deployment("main")) != alike.shape(deployment("web"))


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("metadata", "name"), "Web"),
        (("metadata", "name"), "w" * 70),
        (("metadata", "namespace"), "other"),
        (("metadata", "labels", "app"), "not a label"),
        (("spec", "replicas"), -1),
        (("spec", "replicas"), "1"),
        (("spec", "template", "spec", "containers", 0, "image"), " example/web:1"),
        (("spec", "template", "spec", "containers", 0, "image"), 1),
        (("spec", "template", "spec", "containers", 0, "ports", 0, "containerPort"), 70000),
        (("spec", "template", "spec", "containers", 0, "imagePullPolicy"), "always"),
        (("spec", "template", "spec", "containres"), []),
    ],
)
def test_what_could_be_refused_is_another_shape(where, value):
    changed = copy.deepcopy(deployment())
    target = changed
    for key in where[:-1]:
        target = target[key]
    target[where[-1]] = value
    assert alike.shape(changed) != alike.shape(deployment())


def test_config_maps_are_alike_whatever_they_say_and_not_when_a_key_or_a_value_is_none():
    assert alike.shape(config("a", x="1")) == alike.shape(config("b", y="2", z=""))
    assert alike.shape(config("a", **{"no key": "1"})) is None
    assert alike.shape(config("a", x=1)) is None
    assert alike.shape(config("a", x="1" * 300_000)) is None


def test_a_secret_needs_base64_and_a_type_without_rules():
    def secret(data, **more):
        return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "n"}, "data": data, **more}

    assert alike.shape(secret({"k": "dg=="})) == alike.shape(secret({"other": "dmFsdWU="})) is not None
    assert alike.shape(secret({"k": "no base64"})) is None
    assert alike.shape(secret({"k": "dg=="}, type="kubernetes.io/tls")) is None


def test_kinds_that_nobody_knows_speak_for_themselves():
    assert alike.shape({"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "a"}}) is None


def test_annotations_of_kubernetes_are_part_of_the_shape_and_others_are_not():
    def annotated(key, value):
        return {**config(), "metadata": {"name": "a", "namespace": "n", "annotations": {key: value}}}

    assert alike.shape(annotated("example.com/owner", "me")) == alike.shape(annotated("example.com/owner", "you"))
    key = "service.kubernetes.io/topology-mode"
    assert alike.shape(annotated(key, "auto")) != alike.shape(annotated(key, "never"))
