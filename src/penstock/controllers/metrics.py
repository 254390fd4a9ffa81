"""What one manager counts, and how Prometheus reads it: under the names that Flux's dashboards already use.

In: passes and drifts as they happen; the manager's objects and tasks at the moment of a scrape. Out: metric families of
prometheus-client. What is about an object is read from the objects themselves, so a deleted one leaves no series behind.

The table `NAMES` is the reference: what is served is in it, and what is in it is served (a test compares them).
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from penstock.model import condition as conditions
from penstock.model import flux
from penstock.model.resource import Manifest

BUCKETS: Final = tuple(0.01 * (1800 / 0.01) ** (step / 9) for step in range(10))
"""Flux's: ten buckets from 10 ms to half an hour."""

NAMES: Final[dict[str, tuple[str, str]]] = {
    "gotk_reconcile_duration_seconds": ("histogram", "How long the passes over an object took."),
    "gotk_reconcile_condition": ("gauge", "The Ready condition of an object: 1 for the status it has."),
    "gotk_suspend_status": ("gauge", "Whether an object is suspended."),
    "gotk_resource_info": ("gauge", "The state of an object, in its labels; always 1."),
    "controller_runtime_reconcile_total": ("counter", "Passes by controller and result (success, requeue_after, error)."),
    "controller_runtime_reconcile_errors_total": ("counter", "Passes that failed, by controller."),
    "controller_runtime_reconcile_time_seconds": ("histogram", "How long passes took, by controller."),
    "controller_runtime_active_workers": ("gauge", "Objects being worked on."),
    "controller_runtime_max_concurrent_reconciles": ("gauge", "How many Kustomizations are built and applied at once."),
    "workqueue_depth": ("gauge", "Objects with a reason to be looked at that nobody looks at yet."),
    "workqueue_adds_total": ("counter", "Reasons to look at an object, by controller."),
    "workqueue_retries_total": ("counter", "Passes repeated because one failed, by controller."),
    "workqueue_longest_running_processor_seconds": ("gauge", "The age of the oldest pass under way."),
    "workqueue_unfinished_work_seconds": ("gauge", "The ages of all passes under way, added up."),
    "rest_client_requests_total": ("counter", "Answers of the API server, by method and status code."),
    "leader_election_master_status": ("gauge", "Whether this process leads."),
    "penstock_reconcile_failures_total": ("counter", "Passes that ended in an error of ours or of the API server."),
    "penstock_drifts_total": ("counter", "Changes of our objects by others, as they were seen."),
    "penstock_events_dropped_total": ("counter", "Kubernetes events that could not be sent."),
    "penstock_notifications_sent_total": ("counter", "Messages that arrived, by target."),
    "penstock_notifications_failed_total": ("counter", "Attempts to send a message that failed, by target."),
    "penstock_notifications_dropped_total": ("counter", "Messages given up or pushed out of a full queue, by target."),
    "penstock_notifications_waiting": ("gauge", "Messages in the queue of a target."),
    "penstock_cluster_up": ("gauge", "Whether the cluster answers."),
    "penstock_build_info": ("gauge", "The version, in a label; always 1."),
}
CONTROLLERS: Final = {flux.GIT_REPOSITORY: "gitrepository", flux.KUSTOMIZATION: "kustomization"}


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

    def buckets(self) -> list[tuple[str, float]]:
        """As prometheus-client wants them."""
        known = [(f"{bound:g}", float(count)) for bound, count in zip(BUCKETS, self.counts, strict=True)]
        return [*known, ("+Inf", float(self.count))]


@dataclass(slots=True)
class Metrics:
    """Counters of one manager."""

    failures: int = 0
    drifts: int = 0
    durations: dict[tuple[str, str, str], Durations] = field(default_factory=dict)
    """By kind, namespace and name."""
    by_controller: dict[str, Durations] = field(default_factory=dict)
    results: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By kind and result."""
    adds: Counter[str] = field(default_factory=Counter)
    retries: Counter[str] = field(default_factory=Counter)

    @contextlib.contextmanager
    def timed(self, kind: str, key: tuple[str, str]) -> Iterator[None]:
        """Time one pass over an object."""
        started = time.perf_counter()
        try:
            yield
        finally:
            took = time.perf_counter() - started
            self.durations.setdefault((kind, *key), Durations()).add(took)
            self.by_controller.setdefault(kind, Durations()).add(took)

    def forget(self, kind: str, key: tuple[str, str]) -> None:
        """The object is gone: so are its series."""
        self.durations.pop((kind, *key), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Working:
    """One object's task at the moment of a scrape."""

    kind: str
    waiting: bool
    """There is a reason to look that nobody has looked into."""
    busy_seconds: float | None
    """The age of the pass under way, None when there is none."""


class Observed(Protocol):
    """What a scrape reads of a manager."""

    metrics: Metrics

    @property
    def concurrent(self) -> int: ...
    @property
    def events_dropped(self) -> int: ...
    @property
    def reachable(self) -> bool: ...
    @property
    def answers(self) -> Mapping[tuple[str, str], int]: ...
    def known(self) -> Iterator[Manifest]: ...
    def working(self) -> Iterator[Working]: ...


class Told(Protocol):
    """What became of the messages to one target."""

    @property
    def sent(self) -> int: ...
    @property
    def failed(self) -> int: ...
    @property
    def dropped(self) -> int: ...
    @property
    def waiting(self) -> int: ...


class Exposition(Collector):
    """The families of a process. `managers`: by cluster; the only one of a pod is called '' and gets no label."""

    def __init__(self) -> None:
        self.managers: dict[str, Observed] = {}
        self.leading: dict[str, bool] = {}
        """By lease."""
        self.told: Callable[[], Mapping[str, Told]] = dict
        """Messages by target of notifications."""

    def describe(self) -> list[Metric]:
        # nothing is asked of a manager before it works
        return []

    def collect(self) -> Iterator[Metric]:
        """All families, also those without a sample: an alert on absence must be able to tell."""
        yield from _Scrape(self.managers, self.leading).families()
        yield from _of_notifications(self.told())


def _of_notifications(told: Mapping[str, Told]) -> Iterator[Metric]:
    sent, failed, dropped = (
        CounterMetricFamily(*_about(f"penstock_notifications_{what}_total"), labels=["target"])
        for what in ("sent", "failed", "dropped")
    )
    waiting = GaugeMetricFamily(*_about("penstock_notifications_waiting"), labels=["target"])
    for name, one in sorted(told.items()):
        # Of an address that stands in Git only the host: the path may be a secret all the same.
        target = [name.split("/")[2] if name.startswith("https://") else name]
        sent.add_metric(target, one.sent)
        failed.add_metric(target, one.failed)
        dropped.add_metric(target, one.dropped)
        waiting.add_metric(target, one.waiting)
    yield from (sent, failed, dropped, waiting)


class _Scrape:
    def __init__(self, managers: Mapping[str, Observed], leading: Mapping[str, bool]) -> None:
        self._managers = managers
        self._leading = leading
        self._several = any(managers)

    def families(self) -> Iterator[Metric]:
        yield from self._of_objects()
        yield from self._of_controllers()
        yield from self._of_clusters()
        leading = GaugeMetricFamily(*_about("leader_election_master_status"), labels=["name"])
        for name, held in sorted(self._leading.items()):
            leading.add_metric([name], float(held))
        yield leading
        from penstock import __version__

        build = GaugeMetricFamily(*_about("penstock_build_info"), labels=["version"])
        build.add_metric([__version__], 1.0)
        yield build

    def _labels(self, *names: str) -> list[str]:
        return ["cluster", *names] if self._several else list(names)

    def _values(self, cluster: str, *values: str) -> list[str]:
        return [cluster, *values] if self._several else list(values)

    def _of_objects(self) -> Iterator[Metric]:
        of_object = self._labels("kind", "name", "namespace")
        took = HistogramMetricFamily(*_about("gotk_reconcile_duration_seconds"), labels=of_object)
        ready = GaugeMetricFamily(
            *_about("gotk_reconcile_condition"), labels=self._labels("kind", "name", "namespace", "type", "status")
        )
        suspended = GaugeMetricFamily(*_about("gotk_suspend_status"), labels=of_object)
        info = Metric(*_about("gotk_resource_info"), "gauge")
        for cluster, manager in self._managers.items():
            for (kind, namespace, name), durations in sorted(manager.metrics.durations.items()):
                took.add_metric(self._values(cluster, kind, name, namespace), durations.buckets(), durations.total)
            for manifest in manager.known():
                about = _described(manifest)
                who = self._values(cluster, about["customresource_kind"], about["name"], about["exported_namespace"])
                suspended.add_metric(who, float(about["suspended"] == "true"))
                for status in ("True", "False", "Unknown"):
                    ready.add_metric([*who, flux.READY, status], float(about["ready"] == status))
                more = {"cluster": cluster} if self._several else {}
                info.add_sample("gotk_resource_info", {**more, **about}, 1.0)
        yield from (took, ready, suspended, info)

    def _of_controllers(self) -> Iterator[Metric]:
        labels = self._labels("controller")
        results = CounterMetricFamily(
            *_counter("controller_runtime_reconcile_total"), labels=self._labels("controller", "result")
        )
        errors = CounterMetricFamily(*_counter("controller_runtime_reconcile_errors_total"), labels=labels)
        took = HistogramMetricFamily(*_about("controller_runtime_reconcile_time_seconds"), labels=labels)
        active = GaugeMetricFamily(*_about("controller_runtime_active_workers"), labels=labels)
        most = GaugeMetricFamily(*_about("controller_runtime_max_concurrent_reconciles"), labels=labels)
        named = self._labels("name")
        depth = GaugeMetricFamily(*_about("workqueue_depth"), labels=named)
        adds = CounterMetricFamily(*_counter("workqueue_adds_total"), labels=named)
        retries = CounterMetricFamily(*_counter("workqueue_retries_total"), labels=named)
        longest = GaugeMetricFamily(*_about("workqueue_longest_running_processor_seconds"), labels=named)
        unfinished = GaugeMetricFamily(*_about("workqueue_unfinished_work_seconds"), labels=named)
        for cluster, manager in self._managers.items():
            metrics, working = manager.metrics, list(manager.working())
            for kind, controller in CONTROLLERS.items():
                who = self._values(cluster, controller)
                for result in ("success", "requeue_after", "error"):
                    results.add_metric([*who, result], metrics.results[kind, result])
                errors.add_metric(who, metrics.results[kind, "error"])
                durations = metrics.by_controller.get(kind, Durations())
                took.add_metric(who, durations.buckets(), durations.total)
                ages = _ages(working, kind)
                active.add_metric(who, len(ages))
                most.add_metric(who, manager.concurrent)
                depth.add_metric(who, sum(task.waiting for task in working if task.kind == kind))
                adds.add_metric(who, metrics.adds[kind])
                retries.add_metric(who, metrics.retries[kind])
                longest.add_metric(who, max(ages, default=0.0))
                unfinished.add_metric(who, sum(ages))
        yield from (results, errors, took, active, most, depth, adds, retries, longest, unfinished)

    def _of_clusters(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(*_counter("rest_client_requests_total"), labels=self._labels("method", "code"))
        failures = CounterMetricFamily(*_counter("penstock_reconcile_failures_total"), labels=self._labels())
        drifts = CounterMetricFamily(*_counter("penstock_drifts_total"), labels=self._labels())
        dropped = CounterMetricFamily(*_counter("penstock_events_dropped_total"), labels=self._labels())
        up = GaugeMetricFamily(*_about("penstock_cluster_up"), labels=self._labels())
        for cluster, manager in self._managers.items():
            who = self._values(cluster)
            for (method, code), count in sorted(manager.answers.items()):
                requests.add_metric(self._values(cluster, method, code), count)
            failures.add_metric(who, manager.metrics.failures)
            drifts.add_metric(who, manager.metrics.drifts)
            dropped.add_metric(who, manager.events_dropped)
            up.add_metric(who, float(manager.reachable))
        yield from (requests, failures, drifts, dropped, up)


def _ages(working: Sequence[Working], kind: str) -> list[float]:
    return [task.busy_seconds for task in working if task.kind == kind and task.busy_seconds is not None]


def _about(name: str) -> tuple[str, str]:
    return name, NAMES[name][1]


def _counter(name: str) -> tuple[str, str]:
    """prometheus-client adds the `_total` itself."""
    return name.removesuffix("_total"), NAMES[name][1]


def _described(manifest: Manifest) -> dict[str, str]:
    """The labels that kube-state-metrics gives with the configuration of Flux's monitoring example."""
    metadata, spec, status = manifest["metadata"], manifest.get("spec") or {}, manifest.get("status") or {}
    group, _, version = str(manifest["apiVersion"]).rpartition("/")
    ready = conditions.of(manifest).get(flux.READY)
    about: dict[str, Any] = {
        "customresource_group": group,
        "customresource_version": version,
        "customresource_kind": manifest["kind"],
        "exported_namespace": metadata.get("namespace") or "",
        "name": metadata["name"],
        "ready": ready.status if ready is not None else "Unknown",
        "suspended": "true" if spec.get("suspend") is True else "false",
    }
    if manifest["kind"] == flux.KUSTOMIZATION:
        about["revision"] = status.get("lastAppliedRevision") or ""
        about["source_name"] = (spec.get("sourceRef") or {}).get("name") or ""
    else:
        about["revision"] = (status.get("artifact") or {}).get("revision") or ""
        about["url"] = _without_credentials(str(spec.get("url") or ""))
    return {key: str(value) for key, value in about.items()}


def _without_credentials(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path}" if separator else url
