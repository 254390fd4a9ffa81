"""Every metric that is exposed, from the table in the code."""

from __future__ import annotations

from penstock.controllers import metrics


def found() -> dict[str, tuple[str, str]]:
    """By name: (type, help)."""
    return dict(sorted(metrics.NAMES.items()))


def page() -> str:
    lines = [
        "# Metrics",
        "",
        "In Prometheus' exposition format at `/metrics` of `penstock run --metrics-addr :8080`. Names that Flux's dashboards",
        "read are Flux's: `gotk_resource_info` has the labels that kube-state-metrics gives with the configuration of Flux's",
        "monitoring example. With `--fleet` every series has a `cluster` label. `process_*` and `python_info` come beside",
        "them; what Go's runtime tells (`go_*`) there is not.",
        "",
        "| name | type | |",
        "|---|---|---|",
        *(f"| `{name}` | {kind} | {text} |" for name, (kind, text) in found().items()),
    ]
    return "\n".join(lines) + "\n"
