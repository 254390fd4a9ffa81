"""The table and the sentence, from rendered objects alone."""

from __future__ import annotations

from typing import Any

from penstock.model.errors import Place
from penstock.model.pipeline import Difference
from penstock.model.rendered import Origin, RenderedObject
from penstock.model.resource import ResourceId
from penstock.model.values import MISSING
from penstock.promote import verdict


def objects(*manifests: dict[str, Any]) -> list[RenderedObject]:
    return [
        RenderedObject(id=ResourceId.of(one), manifest=one, origin=Origin(place=Place(path="clusters/x/apps/web/a.yaml")))
        for one in manifests
    ]


def deployment(image: str, replicas: int = 1, memory: str = "64Mi", namespace: str = "shop") -> dict[str, Any]:
    containers = [{"name": "web", "image": image, "resources": {"limits": {"memory": memory}}}]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {"replicas": replicas, "template": {"spec": {"containers": containers}}},
    }


def secret(value: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key"}, "data": {"token": value}}


REPLICAS = Difference(pattern="spec.replicas", place=Place(path="penstock.yaml", line=18))
MEMORY = Difference(pattern="#Deployment/web spec.template.spec.containers[name=*].resources")


def compare(source: Any, before: Any, after: Any, base: Any = None, **more: Any) -> verdict.Outcome:
    sides = [objects(*(one if isinstance(one, list) else [one])) for one in (source, before, after)]
    based = objects(*(base if isinstance(base, list) else [base])) if base is not None else None
    return verdict.compare(
        source=sides[0], before=sides[1], after=sides[2], base=based, differences=more.pop("differences", ()), **more
    )


def states(found: verdict.Outcome) -> dict[str, str]:
    return {f"{row.object} {row.field}".strip(): row.state for row in found.rows}


def test_promoted_declared_and_kept_fields_are_told_apart() -> None:
    found = compare(
        deployment("web:2", 1, "64Mi"),
        deployment("web:1", 6, "1Gi"),
        deployment("web:2", 6, "1Gi"),
        deployment("web:1", 1, "64Mi"),
        differences=[REPLICAS],
    )
    container = "Deployment/web spec.template.spec.containers[name=web]"
    assert states(found) == {
        f"{container}.image": "promoted",
        "Deployment/web spec.replicas": "declared",
        f"{container}.resources.limits.memory": "kept",
    }
    assert found.same
    assert (
        verdict.sentence(found, "dev", "4be1c02aaaa")
        == "Same configuration as dev@4be1c02, except 1 declared and 1 kept differences."
    )


def test_a_declaration_may_name_any_container_of_one_object() -> None:
    found = compare(
        deployment("web:1", memory="1"), deployment("web:1", memory="2"), deployment("web:1", memory="2"), differences=[MEMORY]
    )
    assert states(found) == {"Deployment/web spec.template.spec.containers[name=web].resources.limits.memory": "declared"}


def test_what_changed_upstream_and_did_not_arrive_is_not_the_same_configuration() -> None:
    found = compare(deployment("web:2"), deployment("web:0"), deployment("web:0"), deployment("web:1"))
    assert list(states(found).values()) == ["unexplained"]
    assert verdict.sentence(found, "dev", "4be1c02").startswith("NOT the configuration of dev@4be1c02: 1 not carried over")


def test_a_field_that_a_person_decided_to_keep_is_kept() -> None:
    found = compare(
        deployment("web:2"),
        deployment("web:0"),
        deployment("web:0"),
        deployment("web:1"),
        picked=["#Deployment/web spec.template.spec.containers[name=web].image"],
    )
    assert found.same and list(states(found).values()) == ["kept"]


def test_an_effect_that_is_not_the_sources_value_is_pointed_out() -> None:
    found = compare(deployment("web:2"), deployment("web:1"), deployment("web:3"))
    assert list(states(found).values()) == ["beside"]
    assert not found.same


def test_new_and_removed_objects_are_one_row() -> None:
    other = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "b"}}
    added = compare([deployment("web:1"), other], deployment("web:1"), [deployment("web:1"), other])
    assert [(row.object, row.field, row.before, row.after, row.state) for row in added.rows] == [
        ("ConfigMap/c", "", MISSING, "present", "promoted")
    ]
    assert added.objects_created == ("ConfigMap/c",)
    removed = compare(deployment("web:1"), [deployment("web:1"), other], deployment("web:1"))
    assert [(row.object, row.before, row.after, row.state) for row in removed.rows] == [
        ("ConfigMap/c", "present", MISSING, "promoted")
    ]
    assert removed.objects_deleted == ("ConfigMap/c",)


def test_an_object_of_the_target_alone_is_told_only_when_it_changes() -> None:
    own = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "own"}, "data": {"a": "1"}}
    changed = {**own, "data": {"a": "2"}}
    assert compare(deployment("w"), [deployment("w"), own], [deployment("w"), own]).rows == ()
    found = compare(deployment("w"), [deployment("w"), own], [deployment("w"), changed])
    assert states(found) == {"ConfigMap/own data.a": "beside"}


def test_environments_may_use_other_namespaces() -> None:
    found = compare(deployment("web:1", namespace="a"), deployment("web:1", namespace="b"), deployment("web:1", namespace="b"))
    assert states(found) == {"Deployment/web metadata.namespace": "kept"}


def test_values_of_secrets_are_told_apart_and_never_shown() -> None:
    found = compare(secret("c3dvcmRmaXNo"), secret("aHVudGVyMg=="), secret("c3dvcmRmaXNo"))
    (row,) = found.rows
    assert (row.source, row.before, row.after) == ("*** (A)", "*** (B)", "*** (A)")
    assert "c3dvcmRmaXNo" not in repr(found)


def test_lists_without_keys_go_by_position_and_keyed_ones_by_their_key() -> None:
    one = {
        "kind": "X",
        "apiVersion": "v1",
        "metadata": {"name": "x"},
        "a": ["p", "q"],
        "b": [{"name": "n", "v": 1}, {"name": "m"}],
    }
    assert {".".join(map(str, path)) for path in verdict.flatten(one)} >= {"a.0", "a.1", "b.[name=n].v", "b.[name=m].name"}


def configured(name: str, text: str) -> list[dict[str, Any]]:
    """A generated ConfigMap and what reads it."""
    reader = deployment("web:1")
    reader["spec"]["template"]["spec"]["volumes"] = [{"name": "config", "configMap": {"name": name}}]
    return [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"app.properties": text}}, reader]


def test_a_generated_name_is_no_difference_and_its_object_is_the_same_one() -> None:
    found = compare(
        configured("web-7k2m9f8dcb", "retries=3\nworkers=2\n"),
        configured("web-2bb4c5d6f7", "retries=1\nworkers=16\n"),
        configured("web-9hmt8k7g6f", "retries=3\nworkers=16\n"),
        base=configured("web-4444455555", "retries=1\nworkers=2\n"),
    )
    assert [(row.object, row.field, row.source, row.before, row.after, row.state) for row in found.rows] == [
        ("ConfigMap/web", "data.app.properties", "retries=3", "retries=1", "retries=3", "promoted"),
        ("ConfigMap/web", "data.app.properties", "workers=2", "workers=16", "workers=16", "kept"),
    ]
    assert found.same and found.objects_changed == ("ConfigMap/web",)
    assert (found.objects_created, found.objects_deleted) == ((), ())


def test_a_text_in_which_a_line_was_not_carried_over_is_not_the_same_configuration() -> None:
    def text(value: str) -> dict[str, Any]:
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web"}, "data": {"file": value}}

    found = compare(text("a=2\nb=1\n"), text("a=1\nb=5\n"), text("a=7\nb=5\n"), text("a=1\nb=1\n"))
    assert [row.state for row in found.rows] == ["beside"]
    assert not found.same
