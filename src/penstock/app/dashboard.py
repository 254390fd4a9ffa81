"""The Grafana dashboard: what is reconciled, how long it takes, what fails, what it costs.

In: nothing. Out: JSON as Grafana imports it. Every expression reads a metric of `controllers.metrics.NAMES` (a test looks).
"""

from __future__ import annotations

import json
from typing import Any, Final

_PANELS: Final[tuple[tuple[str, str, str, str, int], ...]] = (
    ("Ready", "stat", 'count(gotk_resource_info{ready="True"})', "short", 6),
    ("Failing", "stat", 'count(gotk_resource_info{ready="False"}) or vector(0)', "short", 6),
    ("Suspended", "stat", "sum(gotk_suspend_status)", "short", 6),
    ("Leading", "stat", "sum(leader_election_master_status) by (pod)", "short", 6),
    (
        "Time of a pass, 99 of 100",
        "timeseries",
        "histogram_quantile(0.99, sum(rate(gotk_reconcile_duration_seconds_bucket[5m])) by (le, kind))",
        "s",
        12,
    ),
    ("Passes", "timeseries", "sum(rate(controller_runtime_reconcile_total[5m])) by (controller, result)", "ops", 12),
    ("Drift undone", "timeseries", "sum(rate(penstock_drifts_total[5m]))", "ops", 12),
    ("Errors", "timeseries", "sum(rate(controller_runtime_reconcile_errors_total[5m])) by (controller)", "ops", 12),
    ("Oldest pass under way", "timeseries", "max(workqueue_longest_running_processor_seconds) by (name)", "s", 12),
    ("Waiting objects", "timeseries", "sum(workqueue_depth) by (name)", "short", 12),
    ("Requests to the API server", "timeseries", "sum(rate(rest_client_requests_total[5m])) by (method, code)", "reqps", 12),
    ("CPU", "timeseries", 'rate(process_cpu_seconds_total{pod=~"penstock-controller-.*"}[5m])', "short", 12),
    ("Memory", "timeseries", 'process_resident_memory_bytes{pod=~"penstock-controller-.*"}', "bytes", 12),
    (
        "Objects",
        "table",
        "gotk_resource_info",
        "short",
        24,
    ),
)


def text() -> str:
    """The dashboard as JSON."""
    panels: list[dict[str, Any]] = []
    x = y = 0
    for number, (title, kind, expression, unit, width) in enumerate(_PANELS, 1):
        if x + width > 24:
            x, y = 0, y + 8
        panels.append(_panel(number, title, kind, expression, unit, {"h": 8, "w": width, "x": x, "y": y}))
        x += width
    return json.dumps(
        {
            "title": "Penstock",
            "uid": "penstock",
            "tags": ["flux", "penstock"],
            "schemaVersion": 39,
            "editable": True,
            "refresh": "30s",
            "time": {"from": "now-3h", "to": "now"},
            "templating": {"list": [{"name": "DS_PROMETHEUS", "type": "datasource", "query": "prometheus"}]},
            "panels": panels,
        },
        indent=1,
    )


def _panel(number: int, title: str, kind: str, expression: str, unit: str, where: dict[str, int]) -> dict[str, Any]:
    table = kind == "table"
    return {
        "id": number,
        "title": title,
        "type": kind,
        "gridPos": where,
        "datasource": {"type": "prometheus", "uid": "${DS_PROMETHEUS}"},
        "fieldConfig": {"defaults": {"unit": unit}, "overrides": []},
        "targets": [{"refId": "A", "expr": expression, "instant": table, "format": "table" if table else "time_series"}],
    }
