"""The live view hears of a write twice, by its answer and by the watch, in either order."""

from __future__ import annotations

import copy

import pytest

from penstock.adapters.clock import SystemClock
from penstock.apply.marks import Owner
from penstock.controllers.live import LiveView
from penstock.model.resource import ResourceId
from penstock.ports.cluster import ApiResource

KIND = ApiResource(group="", version="v1", kind="ConfigMap", plural="configmaps", namespaced=True)
ID = ResourceId("", "ConfigMap", "n", "a")
OWNER = Owner("app", "flux-system")


def written(version: int, value: str = "1", manager: str = "", status: str = "") -> dict:
    fields = {"f:metadata": {"f:labels": {f"f:{key}": {} for key in OWNER.labels()}}, "f:data": {"f:k": {}}}
    managed = [{"manager": "kustomize-controller", "operation": "Apply", "fieldsV1": fields}]
    if manager:
        managed.append({"manager": manager, "operation": "Update", "fieldsV1": {"f:data": {"f:x": {}}}})
    metadata = {"name": "a", "namespace": "n", "uid": "u", "resourceVersion": str(version), "labels": OWNER.labels()}
    found = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {**metadata, "managedFields": managed}, "data": {"k": value}}
    return {**found, "status": {"at": status}} if status else found


class Heard(list):
    def __call__(self, owner, id, drifted):  # noqa: A002
        assert (owner, id) == (OWNER, ID)
        self.append(drifted)


@pytest.fixture
def heard():
    return Heard()


@pytest.fixture
def view(heard):
    return LiveView(None, SystemClock(), heard)  # nothing here asks the cluster


def see(view, manifest):
    view._changed(KIND, ("n", "a"), copy.deepcopy(manifest))


def test_our_own_write_is_no_drift_whichever_comes_first(view, heard):
    view.note(written(1), "w")
    see(view, written(1))
    assert heard == []
    see(view, written(2))
    view.note(written(2), "w")
    assert heard == []
    assert view.objects[ID].resource_version == "2"


def test_a_value_changed_by_somebody_is_drift_and_setting_it_back_is_not(view, heard):
    view.note(written(1), "w")
    see(view, written(2, "theirs"))
    assert heard == [True]
    see(view, written(3, "1"))
    assert heard == [True]


def test_a_status_is_no_drift_also_while_a_drift_waits(view, heard):
    view.note(written(1), "w")
    see(view, written(2, status="busy"))
    assert heard == [False]
    see(view, written(3, manager="kubectl-edit", status="busy"))
    see(view, written(4, manager="kubectl-edit", status="done"))
    assert heard == [False, True, False]


def test_a_deleted_object_is_drift(view, heard):
    view.note(written(1), "w")
    see(view, None)
    assert heard == [True]
    assert ID not in view.objects


def test_a_change_between_our_write_and_its_answer_is_seen(view, heard):
    see(view, written(1))
    see(view, written(2, "theirs"))
    view.note(written(1), "w")
    assert heard == [True]
    assert view.objects[ID].resource_version == "2"


def test_a_delete_between_our_write_and_its_answer_is_seen(view, heard):
    see(view, written(1))
    see(view, None)
    view.note(written(1), "w")
    assert heard == [True]
    assert ID not in view.objects


def test_old_news_changes_nothing(view, heard):
    view.note(written(5), "w")
    see(view, written(4, "older"))
    assert heard == []
    assert view.objects[ID].resource_version == "5"


def test_an_object_deleted_and_made_anew_is_another(view, heard):
    view.note(written(5), "w")
    again = written(3)
    again["metadata"]["uid"] = "other"
    again["data"] = {"k": "theirs"}
    see(view, again)
    assert heard == [True]
