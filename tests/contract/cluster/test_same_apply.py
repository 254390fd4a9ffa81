"""Server-side apply, field by field, as a real API server does it: ownership, conflicts, removal, order."""

from __future__ import annotations

from typing import Any

from cluster_clients import JSON_PATCH, MERGE, STRATEGIC, Twins

CM = "/api/v1/namespaces/{ns}/configmaps/thing"
DEPLOY = "/apis/apps/v1/namespaces/{ns}/deployments/web"
SVC = "/api/v1/namespaces/{ns}/services/web"


def config_map(data: dict[str, str] | None = None, **metadata: Any) -> dict[str, Any]:
    body: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "thing", **metadata}}
    return body | ({"data": data} if data is not None else {})


def deployment(*containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
    template = {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": list(containers) or [{"name": "web", "image": "a"}]},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": template, **spec},
    }


async def test_two_managers_share_an_object_and_each_field_has_its_owner(twins: Twins) -> None:
    await twins.apply(CM, config_map({"a": "1"}), "one")
    await twins.apply(CM, config_map({"b": "2"}, labels={"x": "y"}), "two")
    await twins.apply(CM, config_map({"a": "1", "b": "2"}), "three")
    body = await twins.apply(CM, config_map({}), "one")
    assert body["data"] == {"a": "1", "b": "2"}
    body = await twins.apply(CM, config_map(), "three")
    assert body["data"] == {"b": "2"}


async def test_a_field_another_manager_owns_is_a_conflict_that_names_both(twins: Twins) -> None:
    await twins.apply(CM, config_map({"a": "1"}), "one")
    await twins.apply(CM, config_map({"a": "2"}), "two")
    await twins.apply(CM, config_map({"a": "2"}), "two", force="true")
    await twins.apply(CM, config_map({"a": "3"}), "one")


async def test_several_conflicts_with_several_managers_are_all_listed(twins: Twins) -> None:
    await twins.apply(DEPLOY, deployment(replicas=2), "one")
    await twins.same("PATCH", DEPLOY, {"spec": {"replicas": 3, "paused": True}}, MERGE, fieldManager="two")
    await twins.same("PATCH", DEPLOY + "/scale", {"spec": {"replicas": 4}}, MERGE, fieldManager="scaler")
    await twins.apply(DEPLOY, deployment({"name": "web", "image": "b"}, replicas=5, paused=False, minReadySeconds=3), "three")


async def test_fields_no_longer_applied_go_and_fields_of_others_stay(twins: Twins) -> None:
    await twins.apply(CM, config_map({"a": "1", "b": "2"}, labels={"x": "1", "y": "2"}, annotations={"n": "m"}), "one")
    await twins.apply(CM, config_map({"c": "3"}, labels={"y": "2"}), "two")
    await twins.apply(CM, config_map({"a": "1"}, labels={"x": "1"}), "one")
    await twins.apply(CM, config_map({"a": "1"}), "one")


async def test_containers_merge_by_name_and_keep_the_order_of_structured_merge_diff(twins: Twins) -> None:
    a, b, c, d = ({"name": name, "image": name} for name in "abcd")
    await twins.apply(DEPLOY, deployment(a, b, c), "one")
    await twins.apply(DEPLOY, {**deployment(d, b), "spec": deployment(d, b)["spec"]}, "two")
    await twins.apply(DEPLOY, deployment(c, a), "one")
    await twins.apply(DEPLOY, deployment(d), "two")
    await twins.apply(
        DEPLOY, deployment({**c, "env": [{"name": "A", "value": "1"}]}, {**a, "ports": [{"containerPort": 1}]}), "one"
    )
    await twins.apply(DEPLOY, deployment({**c, "env": [{"name": "B", "value": "1"}]}), "one")


async def test_a_struct_that_is_no_longer_applied_gets_its_defaults_back(twins: Twins) -> None:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 2, "maxUnavailable": 0}}
    probe = {"name": "web", "image": "a", "livenessProbe": {"httpGet": {"port": 80}, "periodSeconds": 3}}
    await twins.apply(DEPLOY, deployment(probe, strategy=strategy, replicas=3), "one")
    await twins.apply(DEPLOY, deployment({"name": "web", "image": "a"}), "one")
    await twins.apply(DEPLOY, deployment(strategy={"type": "Recreate"}), "one", force="true")


async def test_atomic_fields_are_owned_and_replaced_as_a_whole(twins: Twins) -> None:
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}}
    await twins.apply(SVC, {**service, "spec": {"selector": {"a": "1", "b": "2"}, "ports": [{"port": 80}]}}, "one")
    await twins.apply(SVC, {**service, "spec": {"selector": {"a": "1"}, "ports": [{"port": 80}]}}, "one")
    await twins.apply(SVC, {**service, "spec": {"selector": {"c": "1"}}}, "two")
    await twins.apply(SVC, {**service, "spec": {"selector": {"c": "1"}}}, "two", force="true")
    ports = [{"name": "a", "port": 80}, {"name": "b", "port": 443, "protocol": "TCP"}]
    await twins.apply(SVC, {**service, "spec": {"ports": ports}}, "one", force="true")


async def test_finalizers_and_owner_references_are_sets_of_many_owners(twins: Twins) -> None:
    await twins.apply(CM, config_map(finalizers=["example.com/a"]), "one")
    await twins.apply(CM, config_map(finalizers=["example.com/b"]), "two")
    await twins.apply(CM, config_map(finalizers=["example.com/b", "example.com/a"]), "one")
    await twins.apply(CM, config_map(), "two")
    await twins.apply(CM, config_map(), "one")


async def test_update_takes_ownership_of_what_it_changes(twins: Twins) -> None:
    await twins.apply(CM, config_map({"a": "1", "b": "2"}), "one")
    await twins.same("PATCH", CM, {"data": {"a": "9", "c": "3"}}, MERGE, fieldManager="editor")
    await twins.same("PATCH", CM, [{"op": "remove", "path": "/data/b"}], JSON_PATCH, fieldManager="editor")
    await twins.same("PATCH", CM, {"metadata": {"labels": {"l": "1"}}}, STRATEGIC, fieldManager="labeller")
    await twins.apply(CM, config_map({"a": "1", "b": "2"}), "one")
    await twins.apply(CM, config_map({"a": "1", "b": "2"}), "one", force="true")


async def test_a_dry_run_answers_like_the_real_thing_and_stores_nothing(twins: Twins) -> None:
    await twins.apply(CM, config_map({"a": "1"}), "one", dryRun="All")
    await twins.same("GET", CM)
    await twins.apply(CM, config_map({"a": "1"}), "one")
    await twins.apply(CM, config_map({"a": "2"}), "one", dryRun="All")
    await twins.same("GET", CM)


async def test_what_does_not_fit_the_schema_is_refused(twins: Twins) -> None:
    await twins.apply(CM, {**config_map({"a": "1"}), "nonsense": 1}, "one")
    await twins.apply(DEPLOY, deployment(replicas={"a": 1}), "one")
    await twins.apply(DEPLOY, deployment({"name": "a", "image": "x"}, {"name": "a", "image": "y"}), "one")
    await twins.apply(DEPLOY, deployment({"name": "a", "image": "x", "env": [{"name": "A"}, {"name": "A"}]}), "one")
    await twins.apply(DEPLOY, deployment({"name": "a", "image": "x", "imagee": "y"}, {"image": "x"}), "one")


async def test_apply_wants_a_manager_and_a_matching_object(twins: Twins) -> None:
    await twins.same("PATCH", CM, config_map(), "application/apply-patch+yaml")
    await twins.apply(CM, config_map() | {"metadata": {"name": "other"}})
    await twins.apply(CM, {"metadata": {"name": "thing"}})
    await twins.apply(CM, config_map() | {"kind": "Secret"})
    await twins.apply(CM, config_map() | {"apiVersion": "v2"})
    await twins.apply(CM, config_map(managedFields=[{"manager": "x"}]))
    await twins.apply(CM, config_map(resourceVersion="1"))
    await twins.apply(CM.replace("{ns}", "nowhere"), config_map())


async def test_an_old_resource_version_in_an_apply_is_a_conflict(twins: Twins) -> None:
    await twins.apply(CM, config_map({"a": "1"}))
    await twins.apply(CM, config_map({"a": "2"}, resourceVersion="1"))


async def test_managed_fields_survive_clients_that_drop_them_and_can_be_reset(twins: Twins) -> None:
    await twins.apply(CM, config_map({"a": "1"}), "one")
    await twins.same("PATCH", CM, {"metadata": {"managedFields": []}, "data": {"b": "2"}}, MERGE, fieldManager="two")
    await twins.same("PATCH", CM, {"metadata": {"managedFields": [{}]}}, MERGE, fieldManager="two")
    await twins.same("PATCH", CM, {"data": {"c": "3"}}, MERGE, fieldManager="two")
    await twins.apply(CM, config_map({"a": "1"}), "one")


async def test_status_is_applied_through_its_own_door(twins: Twins) -> None:
    await twins.apply(DEPLOY, deployment() | {"status": {"replicas": 7}}, "one")
    status = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "status": {"replicas": 3}}
    await twins.apply(DEPLOY + "/status", status | {"spec": {"replicas": 9}}, "controller")
    condition = {"type": "Available", "status": "True", "reason": "x", "message": "y"}
    await twins.same("PATCH", DEPLOY + "/status", {"status": {"conditions": [condition]}}, STRATEGIC, fieldManager="other")
    await twins.same("GET", DEPLOY + "/status")


async def test_a_secret_keeps_its_text_out_of_sight_and_its_owner(twins: Twins) -> None:
    place = "/api/v1/namespaces/{ns}/secrets/thing"
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "thing"}}
    await twins.apply(place, {**secret, "stringData": {"a": "1"}}, "one")
    await twins.apply(place, {**secret, "stringData": {"a": "1"}}, "one")
    await twins.apply(place, {**secret, "data": {"b": "AA=="}}, "one")
