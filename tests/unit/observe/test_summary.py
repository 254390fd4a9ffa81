"""What the health of many adds up to."""

from __future__ import annotations

from penstock.model.resource import ResourceId
from penstock.observe import summary
from penstock.observe.kstatus import Health

A, B = ResourceId("", "ConfigMap", "n", "a"), ResourceId("apps", "Deployment", "n", "b")


def test_one_failure_decides():
    found = summary.of({A: Health(status="InProgress"), B: Health(status="Failed", message="Progress deadline exceeded")})
    assert found.status == "Failed"
    assert found.sentence() == ("ConfigMap/n/a status: 'InProgress', Deployment/n/b status: 'Failed': Progress deadline exceeded")


def test_unknown_is_never_current():
    assert summary.of({A: Health(status="Current"), B: Health(status="Unknown")}).status == "Unknown"


def test_nothing_to_look_at_is_current():
    assert summary.of({}).status == "Current"
