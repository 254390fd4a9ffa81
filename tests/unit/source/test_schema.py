"""The published JSON Schema says what the reader reads."""

from __future__ import annotations

import json
import re
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from penstock import source
from penstock.app import init
from penstock.model.tree import MemoryTree
from penstock.source import declaring, gating, granting

SCHEMA = json.loads((resources.files("penstock.source") / "schema.json").read_bytes())


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("pipeline", declaring.PIPELINE_FIELDS),
        ("environment", declaring.ENVIRONMENT_FIELDS),
        ("gates", gating.GATE_FIELDS),
        ("approvals", gating.APPROVAL_FIELDS),
        ("window", gating.WINDOW_FIELDS),
        ("status", gating.STATUS_FIELDS),
        ("http", gating.HTTP_FIELDS),
        ("prometheus", gating.METRIC_FIELDS),
        ("rollback", declaring.ROLLBACK_FIELDS),
        ("evidence", declaring.EVIDENCE_FIELDS),
        ("freeze", declaring.FREEZE_FIELDS),
        ("hold", declaring.HOLD_FIELDS),
        ("settled", declaring.SETTLED_FIELDS),
        ("access", granting.ACCESS_FIELDS),
    ],
)
def test_every_field_that_is_read_is_in_the_schema_and_no_other(name: str, fields: tuple[str, ...]) -> None:
    assert sorted(SCHEMA["$defs"][name]["properties"]) == sorted(fields)


def both(text: str) -> tuple[bool, bool]:
    """(the schema accepts it, the reader accepts it)."""
    document: Any = yaml.safe_load(text)
    found = source.discover(MemoryTree({"penstock.yaml": text.encode(), "clusters/dev/kustomization.yaml": b"{}\n"}))
    read = [problem for problem in found.problems if problem.severity == "error" and problem.code != "NoDirectory"]
    return bool(jsonschema_rs.is_valid(SCHEMA, document)), not read


HEAD = "apiVersion: penstock.dev/v1alpha1\nkind: Pipeline\n"


@pytest.mark.parametrize(
    ("spec", "valid"),
    [
        ("{environments: [{name: dev}]}", True),
        ("{environments: [{name: dev, gates: {approvals: 2, soak: 1h30m}}]}", True),
        ("{environments: [{name: dev, gates: {approvals: {count: 2, from: ['team:web']}}}]}", True),
        ("{environments: [{name: dev, gates: {windows: [{days: Mon-Fri, from: '09:00', to: '16:00', timeZone: UTC}]}}]}", True),
        ("{environments: [{name: dev}], freezes: [{reason: x, until: '2026-03-02T18:00:00Z'}]}", True),
        ("{environments: [{name: dev, gates: {http: [{name: a, url: 'https://x.example/${app}', status: [200]}]}}]}", True),
        ("{environments: [{name: dev, gates: {http: [{name: a, url: 'https://u:p@x.example/'}]}}]}", False),
        ("{environments: [{name: dev, gates: {http: [{name: a, url: 'https://${app}.example/'}]}}]}", False),
        ("{environments: [{name: dev, gates: {prometheus: [{name: a, address: 'http://p', query: up, above: 0}]}}]}", True),
        ("{environments: [{name: dev, gates: {prometheus: [{name: a, address: 'http://p', query: up}]}}]}", False),
        ("{rollback: {onFailure: propose}, environments: [{name: dev, rollback: {onFailure: merge, after: 5m}}]}", True),
        ("{environments: [{name: dev, rollback: {onFailure: never}}]}", False),
        ("{environments: [{name: dev, rollback: {onFailure: off}}]}", True),
        ("{environments: [{name: dev, protected: allow}, {name: qa, protected: block}, {name: prod, protected: true}]}", True),
        ("{environments: [{name: dev, protected: blocks}]}", False),
        ("{environments: [{name: dev, protected: 1}]}", False),
        ("{environments: [{name: dev, evidence: {creator: flux}}]}", True),
        ("{environments: [{name: dev, evidence: {context: 'kustomization/dev/*'}}]}", False),
        ("{}", False),
        ("{environments: [{}]}", False),
        ("{environments: [{name: dev, gate: {}}]}", False),
        ("{environments: [{name: dev, gates: {soak: soon}}]}", False),
        ("{environments: [{name: dev, gates: {approvals: many}}]}", False),
        ("{environments: [{name: dev, gates: {windows: [{from: '09:00'}]}}]}", False),
        ("{environments: [{name: dev}], holds: [{app: web}]}", False),
    ],
)
def test_schema_and_reader_agree(spec: str, valid: bool) -> None:
    assert both(f"{HEAD}spec: {spec}\n") == (valid, valid)


def test_what_init_writes_is_valid(tmp_path: Any) -> None:
    init.repository(tmp_path / "fleet")
    document = yaml.safe_load((tmp_path / "fleet" / "penstock.yaml").read_text())
    jsonschema_rs.validate(SCHEMA, document)


def test_a_difference_that_cannot_be_read_is_a_problem_at_its_line() -> None:
    text = HEAD + "spec:\n  environments: [{name: dev}]\n  differences:\n  - spec.replicas\n  - 'spec.a[b'\n"
    found = source.discover(MemoryTree({"penstock.yaml": text.encode(), "clusters/dev/kustomization.yaml": b"{}\n"}))
    assert [str(problem.where) for problem in found.problems if problem.severity == "error"] == ["penstock.yaml:7:5"]


PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "pipeline.md"


def test_every_field_is_on_the_reference_page_and_its_example_is_valid() -> None:
    page = PAGE.read_text()
    fields = {field for name in SCHEMA["$defs"] for field in SCHEMA["$defs"][name]["properties"]}
    assert [field for field in sorted(fields) if field not in page] == []
    for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL):
        for document in yaml.safe_load_all(re.sub(r"until: (\S+)}", r"until: '\1'}", block)):
            jsonschema_rs.validate(SCHEMA, document)
