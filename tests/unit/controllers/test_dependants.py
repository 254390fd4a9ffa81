"""Who is woken when a Kustomization changes."""

from __future__ import annotations

from penstock.controllers.dependencies import Dependants


def on(*names):
    return {"spec": {"dependsOn": [{"name": name} if "/" not in name else _elsewhere(name) for name in names]}}


def _elsewhere(name):
    namespace, _, own = name.partition("/")
    return {"namespace": namespace, "name": own}


def test_those_that_name_it_with_or_without_a_namespace():
    known = Dependants()
    known.put(("n", "app"), on("infra", "other/db"))
    known.put(("other", "api"), on("db"))
    assert known.of(("n", "infra")) == [("n", "app")]
    assert known.of(("other", "db")) == [("n", "app"), ("other", "api")]
    assert known.of(("n", "db")) == []


def test_a_dependency_that_is_taken_out_wakes_nobody_any_more():
    known = Dependants()
    known.put(("n", "app"), on("infra"))
    known.put(("n", "app"), on("base"))
    assert known.of(("n", "infra")) == []
    assert known.of(("n", "base")) == [("n", "app")]
    known.put(("n", "app"), None)
    assert known.of(("n", "base")) == []
