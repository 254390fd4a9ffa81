"""What one manager counts.

In: passes and drifts as they happen. Out: numbers by object, and Prometheus' text under the names that Flux's dashboards
already read.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

BUCKETS = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0)


@dataclass(slots=True)
class Durations:
    """A histogram of seconds."""

    counts: list[int] = field(default_factory=lambda: [0] * len(BUCKETS))
    count: int = 0
    total: float = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        self.count += 1
        self.total += seconds
        for index, bound in enumerate(BUCKETS):
            if seconds <= bound:
                self.counts[index] += 1


@dataclass(slots=True)
class Metrics:
    """Counters of one manager."""

    failures: int = 0
    drifts: int = 0
    durations: dict[tuple[str, str, str], Durations] = field(default_factory=dict)
    """By kind, namespace and name."""

    @contextlib.contextmanager
    def timed(self, kind: str, key: tuple[str, str]) -> Iterator[None]:
        """Time one pass over an object."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.durations.setdefault((kind, *key), Durations()).add(time.perf_counter() - started)

    def text(self, labels: Mapping[str, str] | None = None) -> str:
        """Prometheus' exposition format; `labels` go on every line (the cluster, for one)."""
        lines = ["# TYPE gotk_reconcile_duration_seconds histogram"]
        for (kind, namespace, name), durations in sorted(self.durations.items()):
            about = _labels({**(labels or {}), "kind": kind, "name": name, "namespace": namespace})
            for bound, count in zip(BUCKETS, durations.counts, strict=True):
                lines.append(f'gotk_reconcile_duration_seconds_bucket{{{about},le="{bound:g}"}} {count}')
            lines.append(f'gotk_reconcile_duration_seconds_bucket{{{about},le="+Inf"}} {durations.count}')
            lines.append(f"gotk_reconcile_duration_seconds_sum{{{about}}} {durations.total:.6f}")
            lines.append(f"gotk_reconcile_duration_seconds_count{{{about}}} {durations.count}")
        common = _labels(labels or {})
        suffix = f"{{{common}}}" if common else ""
        lines += [
            "# TYPE penstock_reconcile_failures_total counter",
            f"penstock_reconcile_failures_total{suffix} {self.failures}",
        ]
        lines += ["# TYPE penstock_drifts_total counter", f"penstock_drifts_total{suffix} {self.drifts}"]
        return "\n".join(lines) + "\n"


def _labels(labels: Mapping[str, str]) -> str:
    def quoted(value: str) -> str:
        return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

    return ",".join(f'{key}="{quoted(value)}"' for key, value in sorted(labels.items()))
