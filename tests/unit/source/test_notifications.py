"""Rules about notifications as people write them."""

from __future__ import annotations

import json
from importlib import resources

import jsonschema_rs
import pytest
import yaml

from penstock import source
from penstock.model.notification import EVENTS
from penstock.model.pipeline import Repository
from penstock.model.tree import MemoryTree
from penstock.source import declaring

SCHEMA = json.loads((resources.files("penstock.source") / "schema.json").read_bytes())
HEAD = "apiVersion: penstock.dev/v1alpha1\nkind: Notification\nmetadata: {name: people}\n"


def discover(text: str) -> Repository:
    return source.discover(MemoryTree({".penstock/tell.yaml": text.encode(), "clusters/prod/kustomization.yaml": b"{}\n"}))


def test_a_rule_is_read_from_the_folder_of_records() -> None:
    found = discover(
        HEAD + "spec: {events: ['promotion.*', environment.failing], environments: [prod], severity: warning, to: [team]}\n"
    )
    assert [one for one in found.problems if one.severity == "error"] == []
    (rule,) = found.notifications
    assert (rule.name, rule.to, rule.events) == ("people", ("team",), ("promotion.*", "environment.failing"))
    assert (rule.environments, rule.severity) == (("prod",), "warning")


def test_a_rule_stands_beside_the_pipeline_too() -> None:
    pipeline = "apiVersion: penstock.dev/v1alpha1\nkind: Pipeline\nspec: {environments: [{name: prod}]}\n---\n"
    files = {"penstock.yaml": (pipeline + HEAD + "spec: {to: [team]}\n").encode(), "clusters/prod/kustomization.yaml": b"{}\n"}
    assert [one.to for one in source.discover(MemoryTree(files)).notifications] == [("team",)]


@pytest.mark.parametrize(
    ("spec", "what"),
    [
        ("{to: [team], events: [promotion.open]}", "unknown event 'promotion.open'"),
        ("{to: [team], environments: [prd]}", "a notification names the environment 'prd', which does not exist"),
        ("{to: [team], severity: bad}", "unknown severity"),
        ("{to: ['http://user:pw@10.0.0.1/']}", "an address in Git has to be https://"),
        ("{}", "spec needs the field 'to'"),
        ("{to: [team], url: x}", "unknown field 'url'"),
    ],
)
def test_what_is_wrong_has_a_place(spec: str, what: str) -> None:
    (problem,) = [one for one in discover(f"{HEAD}spec: {spec}\n").problems if one.severity == "error"]
    assert problem.what == what
    assert problem.where is not None
    assert (problem.where.path, problem.where.line) == (".penstock/tell.yaml", 4)


def test_the_schema_knows_the_fields_and_the_events() -> None:
    fields = SCHEMA["$defs"]["notification"]["properties"]
    assert sorted(fields) == sorted(declaring.NOTIFICATION_FIELDS)
    groups = {f"{name.partition('.')[0]}.*" for name in EVENTS}
    assert set(fields["events"]["items"]["enum"]) == set(EVENTS) | groups
    jsonschema_rs.validate(SCHEMA, yaml.safe_load(HEAD + "spec: {to: [team], events: [prune.held]}\n"))
