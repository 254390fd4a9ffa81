"""Kinds that are applied in a stage of their own."""

from __future__ import annotations

from penstock.apply import ordering
from penstock.model.resource import ResourceId


def test_a_custom_kind_comes_before_the_rest_and_after_definitions() -> None:
    secret = ResourceId("", "Secret", "web", "s")
    definition = ResourceId("apiextensions.k8s.io", "CustomResourceDefinition", "", "x")
    custom = {("", "Secret")}
    assert ordering.stage(secret) == ordering.REST
    assert ordering.stage(definition, custom) < ordering.stage(secret, custom) < ordering.REST
