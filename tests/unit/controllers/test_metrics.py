"""What Prometheus reads: real exposition, parsed by prometheus-client."""

from __future__ import annotations

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from penstock.controllers import metrics
from penstock.controllers.metrics import Exposition, Metrics, Working
from penstock.controllers.notifying import Count

KUSTOMIZATION = {
    "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
    "kind": "Kustomization",
    "metadata": {"name": "dev", "namespace": "flux-system"},
    "spec": {"suspend": True, "sourceRef": {"name": 'fl"eet\n'}},
    "status": {
        "lastAppliedRevision": "main@sha1:abc",
        "conditions": [{"type": "Ready", "status": "False", "reason": "BuildFailed", "message": "secret"}],
    },
}
SOURCE = {
    "apiVersion": "source.toolkit.fluxcd.io/v1",
    "kind": "GitRepository",
    "metadata": {"name": "fleet", "namespace": "flux-system"},
    "spec": {"url": "https://user:s3cret@git.example.com/fleet.git"},
}


class Manager:
    concurrent, events_dropped, reachable = 4, 2, True

    def __init__(self):
        self.answers = {("PATCH", "200"): 7, ("GET", "503"): 1}
        self.metrics = Metrics()
        self.objects = [KUSTOMIZATION, SOURCE]
        with self.metrics.timed("Kustomization", ("flux-system", "dev")):
            pass
        self.metrics.results["Kustomization", "error"] += 1

    def known(self):
        return iter(self.objects)

    def working(self):
        yield Working(kind="Kustomization", waiting=False, busy_seconds=3.0)
        yield Working(kind="Kustomization", waiting=True, busy_seconds=None)


def scraped(**managers):
    exposition = Exposition()
    exposition.managers = {name.strip("_"): manager for name, manager in managers.items()}
    exposition.leading = {"kustomize-controller-leader-election": True}
    registry = CollectorRegistry(auto_describe=False)
    registry.register(exposition)
    return {family.name: family for family in text_string_to_metric_families(generate_latest(registry).decode())}


def samples(families, name):
    base = name.removesuffix("_total")
    return {tuple(sorted(sample.labels.items())): sample.value for sample in families[base].samples if sample.name == name}


def test_everything_in_the_table_is_served_and_nothing_else():
    families = scraped(_=Manager())
    served = {f"{name}_total" if family.type == "counter" else name: family.type for name, family in families.items()}
    assert served == {name: kind for name, (kind, _) in metrics.NAMES.items()}


def test_the_state_of_an_object_is_in_the_labels_that_flux_dashboards_read():
    families = scraped(_=Manager())
    infos = [dict(labels) for labels in samples(families, "gotk_resource_info")]
    found = next(each for each in infos if each["customresource_kind"] == "Kustomization")
    assert found == {
        "customresource_group": "kustomize.toolkit.fluxcd.io",
        "customresource_version": "v1",
        "customresource_kind": "Kustomization",
        "exported_namespace": "flux-system",
        "name": "dev",
        "ready": "False",
        "suspended": "true",
        "revision": "main@sha1:abc",
        "source_name": 'fl"eet\n',
    }
    conditions = samples(families, "gotk_reconcile_condition")
    of_dev = {dict(labels)["status"]: value for labels, value in conditions.items() if dict(labels)["name"] == "dev"}
    assert of_dev == {"True": 0.0, "False": 1.0, "Unknown": 0.0}


def test_credentials_in_a_url_stay_out():
    exposition = str(scraped(_=Manager()))
    assert "s3cret" not in exposition and "git.example.com/fleet.git" in exposition


def test_the_ages_of_passes_and_the_queue():
    families = scraped(_=Manager())
    who = (("name", "kustomization"),)
    assert samples(families, "workqueue_longest_running_processor_seconds")[who] == 3.0
    assert samples(families, "workqueue_depth")[who] == 1.0
    assert samples(families, "controller_runtime_active_workers")[(("controller", "kustomization"),)] == 1.0
    assert samples(families, "rest_client_requests_total")[(("code", "503"), ("method", "GET"))] == 1.0


def test_a_deleted_object_leaves_no_series():
    manager = Manager()
    manager.objects.clear()
    manager.metrics.forget("Kustomization", ("flux-system", "dev"))
    families = scraped(_=manager)
    for name in ("gotk_resource_info", "gotk_suspend_status", "gotk_reconcile_duration_seconds", "gotk_reconcile_condition"):
        assert families[name].samples == [], name


def test_several_clusters_are_told_apart():
    families = scraped(dev=Manager(), prod=Manager())
    assert {dict(labels)["cluster"] for labels in samples(families, "penstock_drifts_total")} == {"dev", "prod"}


def test_what_became_of_notifications_is_told_by_target_and_an_address_only_by_its_host():
    exposition = Exposition()
    exposition.told = lambda: {
        "team": Count(sent=3, failed=2, dropped=1, waiting=4),
        "https://hooks.example.com/canary": Count(sent=1),
    }
    registry = CollectorRegistry(auto_describe=False)
    registry.register(exposition)
    page = generate_latest(registry).decode()
    assert 'penstock_notifications_sent_total{target="team"} 3.0' in page
    assert 'penstock_notifications_dropped_total{target="team"} 1.0' in page
    assert 'penstock_notifications_waiting{target="team"} 4.0' in page
    assert 'target="hooks.example.com"' in page
    assert "canary" not in page
