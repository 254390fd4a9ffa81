"""Reading, writing and deleting through the classic verbs: the same answers, refusals included, as a real API server."""

from __future__ import annotations

from typing import Any

import pytest
from cluster_clients import JSON_PATCH, MERGE, STRATEGIC, Twins

CMS = "/api/v1/namespaces/{ns}/configmaps"
CM = f"{CMS}/thing"
DEPLOYS = "/apis/apps/v1/namespaces/{ns}/deployments"
DEPLOY = f"{DEPLOYS}/web"
POD_SPEC = {"containers": [{"name": "web", "image": "a"}]}


def config_map(name: str = "thing", **fields: Any) -> dict[str, Any]:
    metadata = {"name": name, **fields.pop("metadata", {})}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, **fields}


def deployment(**spec: Any) -> dict[str, Any]:
    labels = {"app": "web"}
    base = {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": POD_SPEC}}
    return {"metadata": {"name": "web"}, "spec": {**base, **spec}}


async def test_unknown_places_are_not_found(twins: Twins) -> None:
    for path in (
        CM,
        "/api/v1/namespaces/{ns}/nonsense",
        "/apis/nonsense.example.com/v1",
        "/apis/nonsense.example.com/v1/things",
        "/apis/apps/v1beta1/deployments",
        "/apis/nonsense.example.com",
        "/nonsense",
        "/api/v2",
        "/api/v1/namespaces/nowhere/configmaps/thing",
        "/api/v1/namespaces/{ns}/namespaces",
        "/apis/apps/v1/namespaces/{ns}/deployments/web/nonsense",
    ):
        await twins.same("GET", path)
    await twins.same("POST", "/api/v1/namespaces/nowhere/configmaps", config_map())
    await twins.same("DELETE", CM)
    await twins.same("PUT", CM, config_map(metadata={"resourceVersion": "1"}))
    await twins.same("PATCH", CM, {"data": {"a": "b"}}, MERGE)


async def test_creating_twice_is_a_conflict(twins: Twins) -> None:
    await twins.same("POST", CMS, config_map())
    await twins.same("POST", CMS, config_map())


async def test_bodies_that_are_something_else_are_refused(twins: Twins) -> None:
    await twins.same("POST", CMS, config_map(metadata={"namespace": "elsewhere"}))
    await twins.same("POST", CMS, config_map() | {"kind": "Service"})
    await twins.same("POST", DEPLOYS, deployment() | {"apiVersion": "apps/v1beta1", "kind": "Deployment"})
    await twins.same("POST", DEPLOYS, config_map())
    await twins.same("POST", CM, config_map())
    for method, path, body, kind in (
        ("POST", CMS, "{{{", "application/json"),
        ("POST", CMS, "[]", "application/json"),
        ("POST", CMS, "", "application/json"),
        ("PATCH", CM, "{{{", "application/apply-patch+yaml"),
    ):
        for client in (twins.sandbox, twins.real):
            answer = await client.call(method, path, body, kind, fieldManager="x")
            assert (answer.status, answer.body["reason"]) == (400, "BadRequest"), (client.name, body)
    await twins.same("POST", CMS, config_map(metadata={"resourceVersion": "5"}))
    await twins.same("POST", CMS, {"metadata": {}})
    await twins.same("POST", CMS, config_map(data={"a": 1}))
    await twins.same("POST", CMS, config_map(data="text"))
    await twins.same("POST", DEPLOYS, deployment(replicas="3"))
    await twins.same("POST", DEPLOYS, deployment(paused="yes"))


@pytest.mark.parametrize("name", ["Upper", "a_b", "-a", "a..b", "a" * 254, ""])
async def test_names_are_checked(twins: Twins, name: str) -> None:
    await twins.same("POST", CMS, config_map(name))


@pytest.mark.parametrize("name", ["1web", "web.a", "a" * 64])
async def test_service_names_are_labels(twins: Twins, name: str) -> None:
    await twins.same("POST", "/api/v1/namespaces/{ns}/services", {"metadata": {"name": name}, "spec": {"ports": [{"port": 1}]}})


@pytest.mark.parametrize(
    "metadata",
    [
        {"labels": {"a b": "c"}},
        {"labels": {"a": "b c"}},
        {"labels": {"-": "x"}},
        {"labels": {"example.com/": "y"}},
        {"labels": {"/a": "z"}},
        {"labels": {"k" * 64: "z"}},
        {"labels": {"a": "b" * 64}},
        {"annotations": {"A_b/c d": "x"}},
        {"annotations": {"Example.Com/fine": "x"}},
        {"finalizers": ["no slash"]},
        {"labels": "text"},
        {"labels": {"a": 1}},
    ],
    ids=str,
)
async def test_metadata_is_checked(twins: Twins, metadata: dict[str, Any]) -> None:
    await twins.same("POST", CMS, config_map(metadata=metadata))


@pytest.mark.parametrize(
    "spec",
    [
        {"selector": {"matchLabels": {"other": "x"}}},
        {"selector": {}},
        {"template": {"spec": POD_SPEC}},
        {"template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": []}}},
        {"replicas": -1},
        {"template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "a"}, {"image": "b"}]}}},
        {"template": {"metadata": {"labels": {"app": "web"}}, "spec": {**POD_SPEC, "restartPolicy": "Never"}}},
        {
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "a", "image": "b", "volumeMounts": [{"name": "x", "mountPath": "/x"}]}]},
            }
        },
        {
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {
                    "containers": [{"name": "A_b", "image": "b", "ports": [{"containerPort": 0}, {"containerPort": 70000}]}]
                },
            }
        },
        {
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {
                    "containers": [{"name": "a", "image": "b", "resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "2"}}}]
                },
            }
        },
    ],
    ids=lambda spec: next(iter(spec)),
)
async def test_deployments_are_checked(twins: Twins, spec: dict[str, Any]) -> None:
    await twins.same("POST", DEPLOYS, deployment(**spec))


@pytest.mark.parametrize(
    ("plural", "body"),
    [
        ("v1/services", {"spec": {}}),
        ("v1/services", {"spec": {"ports": [{"port": 0}]}}),
        ("v1/services", {"spec": {"ports": [{"port": 80}, {"port": 81}]}}),
        ("v1/services", {"spec": {"ports": [{"name": "a", "port": 80}, {"name": "b", "port": 80}]}}),
        ("v1/services", {"spec": {"type": "ExternalName"}}),
        ("v1/configmaps", {"data": {"a/b": "c"}}),
        ("batch/v1/jobs", {"spec": {"template": {"spec": POD_SPEC}}}),
        (
            "batch/v1/cronjobs",
            {"spec": {"jobTemplate": {"spec": {"template": {"spec": {**POD_SPEC, "restartPolicy": "Never"}}}}}},
        ),
        ("rbac.authorization.k8s.io/v1/rolebindings", {"roleRef": {"kind": "ClusterRole"}}),
        ("networking.k8s.io/v1/ingresses", {"spec": {}}),
    ],
    ids=str,
)
async def test_other_kinds_are_checked(twins: Twins, plural: str, body: dict[str, Any]) -> None:
    base = "/api" if plural.startswith("v1") else "/apis"
    version, _, name = plural.rpartition("/")
    await twins.same("POST", f"{base}/{version}/namespaces/{{ns}}/{name}", {"metadata": {"name": "thing"}, **body})


@pytest.mark.parametrize("text", ["not base64!", "abc", "YQ=", "YQ==", "YWJjYQ", "YWJjYQ=x", ""])
async def test_binary_data_is_base64(twins: Twins, text: str) -> None:
    await twins.same("POST", "/api/v1/namespaces/{ns}/secrets", {"metadata": {"name": "s"}, "data": {"a": text}})
    await twins.same("POST", CMS, config_map(binaryData={"a": text}))


@pytest.mark.parametrize("validation", ["Strict", "Warn", "Ignore", ""])
async def test_unknown_fields_are_refused_warned_about_or_ignored(twins: Twins, validation: str) -> None:
    query = {"fieldValidation": validation} if validation else {}
    body = deployment(replica=3, template={"metadata": {"labels": {"app": "web"}, "x": 1}, "spec": {**POD_SPEC, "contaners": []}})
    await twins.same("POST", DEPLOYS, body, **query)


async def test_a_replace_needs_the_present_revision(twins: Twins) -> None:
    await twins.same("POST", CMS, config_map(data={"a": "1"}))
    await twins.same("PUT", CM, config_map(data={"a": "2"}))
    await twins.same("PUT", CM, config_map(data={"a": "3"}, metadata={"resourceVersion": "1"}))
    await twins.same("PUT", CM, config_map("other"))
    await twins.same("PUT", CM, config_map(metadata={"uid": "11111111-1111-1111-1111-111111111111"}))
    await twins.same("GET", CM)


async def test_patches_of_every_type(twins: Twins) -> None:
    await twins.same("POST", DEPLOYS, deployment())
    container = {"name": "side", "image": "b", "env": [{"name": "A", "value": "1"}]}
    await twins.same("PATCH", DEPLOY, {"spec": {"template": {"spec": {"containers": [container]}}}}, STRATEGIC)
    gone = {"spec": {"template": {"spec": {"containers": [{"name": "web", "$patch": "delete"}]}}}}
    await twins.same("PATCH", DEPLOY, gone, STRATEGIC)
    order = {"$setElementOrder/containers": [{"name": "new"}, {"name": "side"}], "containers": [{"name": "new", "image": "c"}]}
    await twins.same("PATCH", DEPLOY, {"spec": {"template": {"spec": order}}}, STRATEGIC)
    strategy = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    await twins.same("PATCH", DEPLOY, strategy, STRATEGIC)
    await twins.same("PATCH", DEPLOY, {"spec": {"replicas": 4, "minReadySeconds": None}}, MERGE)
    await twins.same("PATCH", DEPLOY, [{"op": "replace", "path": "/spec/replicas", "value": 5}], JSON_PATCH)
    await twins.same("PATCH", DEPLOY, {"metadata": {"annotations": {"a": "b"}}}, "application/strategic-merge-patch+json")
    await twins.same("PATCH", DEPLOY, {"metadata": {"resourceVersion": "1"}}, MERGE)
    await twins.same("PATCH", DEPLOY, {"metadata": {"name": "other"}}, MERGE)
    await twins.same("PATCH", DEPLOY, {"a": "b"}, "text/plain")


async def test_generation_counts_changes_of_the_specification_only(twins: Twins) -> None:
    await twins.same("POST", DEPLOYS, deployment())
    await twins.same("PATCH", DEPLOY, {"metadata": {"labels": {"a": "b"}}}, MERGE)
    await twins.same("PATCH", DEPLOY, {"spec": {"replicas": 2}}, MERGE)
    await twins.same("PATCH", DEPLOY, {"spec": {"replicas": 2}}, MERGE)
    await twins.same("PATCH", DEPLOY, {"status": {"replicas": 2}}, MERGE)
    await twins.same("PATCH", f"{DEPLOY}/status", {"status": {"replicas": 2}, "spec": {"replicas": 9}}, MERGE)


@pytest.mark.parametrize(
    ("plural", "body", "change"),
    [
        ("apps/v1/deployments", deployment(), {"spec": {"selector": {"matchLabels": {"app": "web", "b": "c"}}}}),
        ("v1/secrets", {"data": {"a": "AA=="}}, {"type": "example.com/x"}),
        ("v1/secrets", {"immutable": True, "data": {"a": "AA=="}}, {"data": {"a": "AQ=="}}),
        ("v1/configmaps", {"immutable": True, "data": {"a": "1"}}, {"data": {"a": "2"}}),
        ("v1/configmaps", {"immutable": True, "data": {"a": "1"}}, {"immutable": False}),
        (
            "rbac.authorization.k8s.io/v1/rolebindings",
            {"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}},
            {"roleRef": {"name": "edit"}},
        ),
        (
            "apps/v1/statefulsets",
            deployment(serviceName="a"),
            {"spec": {"serviceName": "b"}},
        ),
        (
            "batch/v1/jobs",
            {"spec": {"template": {"spec": {**POD_SPEC, "restartPolicy": "Never"}}}},
            {"spec": {"completionMode": "Indexed", "completions": 2}},
        ),
        ("v1/services", {"spec": {"ports": [{"port": 80}]}}, {"spec": {"clusterIP": "10.0.99.99"}}),
    ],
    ids=str,
)
async def test_immutable_fields_are_refused(twins: Twins, plural: str, body: dict[str, Any], change: dict[str, Any]) -> None:
    base = "/api" if plural.startswith("v1") else "/apis"
    version, _, name = plural.rpartition("/")
    collection = f"{base}/{version}/namespaces/{{ns}}/{name}"
    await twins.both("POST", collection, {**body, "metadata": {"name": "thing"}})
    ours = await twins.sandbox.call("PATCH", f"{collection}/thing", change, MERGE)
    theirs = await twins.real.call("PATCH", f"{collection}/thing", change, MERGE)
    assert (ours.status, ours.body["reason"]) == (theirs.status, theirs.body["reason"]) == (422, "Invalid"), (ours, theirs)
    fields = [sorted(cause["field"] for cause in answer.body["details"]["causes"]) for answer in (ours, theirs)]
    assert fields[0] == fields[1]


async def test_delete_obeys_its_preconditions(twins: Twins) -> None:
    await twins.same("POST", CMS, config_map())
    await twins.same("DELETE", CM, {"preconditions": {"uid": "11111111-1111-1111-1111-111111111111"}})
    await twins.same("DELETE", CM, {"preconditions": {"resourceVersion": "1"}})
    await twins.same("DELETE", CM, {"dryRun": ["All"]})
    await twins.same("GET", CM)
    await twins.same("DELETE", CM)
    await twins.same("GET", CM)


async def test_finalizers_hold_a_deletion_until_the_last_is_gone(twins: Twins) -> None:
    await twins.same("POST", CMS, config_map(metadata={"finalizers": ["example.com/a", "example.com/b"]}))
    await twins.same("DELETE", CM)
    await twins.same("DELETE", CM)
    await twins.same("PATCH", CM, {"data": {"still": "writable"}}, MERGE)
    await twins.same("PATCH", CM, {"metadata": {"finalizers": ["example.com/a", "example.com/b", "example.com/c"]}}, MERGE)
    await twins.same("PATCH", CM, {"metadata": {"finalizers": ["example.com/b"]}}, MERGE)
    await twins.same("POST", CMS, config_map())
    await twins.same("PATCH", CM, {"metadata": {"finalizers": None}}, MERGE)
    await twins.same("GET", CM)


async def test_a_deleted_deployment_answers_by_its_policy(twins: Twins) -> None:
    await twins.same("POST", DEPLOYS, deployment())
    await twins.same("DELETE", DEPLOY, {"propagationPolicy": "Background"})
    await twins.same("POST", "/api/v1/namespaces/{ns}/services", {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}})
    await twins.same("DELETE", "/api/v1/namespaces/{ns}/services/s")


async def test_scale_reads_and_writes_replicas(twins: Twins) -> None:
    await twins.same("POST", DEPLOYS, deployment(replicas=2))
    scale = await twins.same("GET", f"{DEPLOY}/scale")
    await twins.same("PATCH", f"{DEPLOY}/scale", {"spec": {"replicas": 3}}, MERGE)
    await twins.same("PUT", f"{DEPLOY}/scale", {**scale, "metadata": {"name": "web"}, "spec": {"replicas": 0}})
    await twins.same("PUT", f"{DEPLOY}/scale", {"metadata": {"name": "web"}, "spec": {"replicas": -1}})
    await twins.same("GET", DEPLOY)


async def test_lists_select_by_label_and_field(twins: Twins) -> None:
    for name, labels in (("a", {"app": "x", "tier": "1"}), ("b", {"app": "y"}), ("c", {}), ("d", {"tier": "2"})):
        await twins.both("POST", CMS, config_map(name, metadata={"labels": labels}))
    for selector in (
        "app=x",
        "app==x",
        "app!=x",
        "app",
        "!app",
        "app in (x,y)",
        "app notin (x)",
        "app in (x),tier",
        "tier>1",
        "",
    ):
        await twins.same("GET", CMS, labelSelector=selector)
    for selector in ("metadata.name=b", "metadata.name!=b", "metadata.namespace=nowhere", "data.a=b", "metadata.name"):
        await twins.same("GET", CMS, fieldSelector=selector)
    for client in (twins.sandbox, twins.real):
        assert (await client.call("GET", CMS, labelSelector="=x")).status == 400


async def test_lists_come_in_pages_of_one_revision(twins: Twins) -> None:
    for name in "abcde":
        await twins.both("POST", CMS, config_map(name))
    for client in (twins.sandbox, twins.real):
        first = await client.ok("GET", CMS, limit="2")
        assert [item["metadata"]["name"] for item in first["items"]] == ["a", "b"]
        assert first["metadata"]["remainingItemCount"] == 3
        await client.ok("DELETE", f"{CMS}/c")
        await client.ok("POST", CMS, config_map("bb"))
        second = await client.ok("GET", CMS, **{"limit": "2", "continue": first["metadata"]["continue"]})
        assert [item["metadata"]["name"] for item in second["items"]] == ["c", "d"]
        assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
        last = await client.ok("GET", CMS, **{"limit": "2", "continue": second["metadata"]["continue"]})
        assert [item["metadata"]["name"] for item in last["items"]] == ["e"]
        assert "continue" not in last["metadata"]
    for client in (twins.sandbox, twins.real):
        answer = await client.call("GET", CMS, **{"limit": "2", "continue": "nonsense"})
        assert (answer.status, answer.body["reason"]) == (400, "BadRequest")


async def test_an_exact_old_revision_can_still_be_listed(twins: Twins) -> None:
    for client in (twins.sandbox, twins.real):
        await client.ok("POST", CMS, config_map("a", data={"v": "1"}))
        old = (await client.ok("GET", CMS))["metadata"]["resourceVersion"]
        await client.ok("PATCH", f"{CMS}/a", {"data": {"v": "2"}}, MERGE)
        await client.ok("POST", CMS, config_map("b"))
        then = await client.ok("GET", CMS, resourceVersion=old, resourceVersionMatch="Exact")
        assert [(item["metadata"]["name"], item["data"]) for item in then["items"]] == [("a", {"v": "1"})]
        now = await client.ok("GET", CMS, resourceVersion=old, resourceVersionMatch="NotOlderThan")
        assert [item["metadata"]["name"] for item in now["items"]] == ["a", "b"]
    await twins.same("GET", CMS, resourceVersion="0")
    await twins.same("GET", CMS, resourceVersionMatch="Exact")
    await twins.same("GET", CMS, resourceVersion="0", resourceVersionMatch="Exact")


@pytest.mark.parametrize(
    "accept",
    [
        "application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
        "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json",
        "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
    ],
)
async def test_metadata_and_tables_are_shown_on_request(twins: Twins, accept: str) -> None:
    await twins.both("POST", CMS, config_map(metadata={"labels": {"a": "b"}}))
    if "Table" in accept:
        tables = [await client.ok("GET", CMS, accept=accept) for client in (twins.sandbox, twins.real)]
        shapes = [
            [(column["name"], column["type"], column["priority"]) for column in table["columnDefinitions"]] for table in tables
        ]
        assert shapes[0] == shapes[1]
        assert [table["rows"][0]["cells"][:2] for table in tables] == [["thing", 0]] * 2
        assert [table["rows"][0]["object"]["kind"] for table in tables] == ["PartialObjectMetadata"] * 2
    elif "List" in accept:
        await twins.same("GET", CMS, accept=accept)
    else:
        await twins.same("GET", CM, accept=accept)


async def test_a_collection_is_deleted_by_selector(twins: Twins) -> None:
    for name, labels in (("a", {"app": "x"}), ("b", {"app": "y"}), ("c", {"app": "x"})):
        await twins.both("POST", CMS, config_map(name, metadata={"labels": labels}))
    await twins.both("DELETE", CMS, labelSelector="app=x")
    for client in (twins.sandbox, twins.real):
        assert [item["metadata"]["name"] for item in (await client.ok("GET", CMS))["items"]] == ["b"]


async def test_names_are_generated(twins: Twins) -> None:
    for client in (twins.sandbox, twins.real):
        made = await client.ok("POST", CMS, {"metadata": {"generateName": "made-"}})
        assert made["metadata"]["name"].startswith("made-")
        assert len(made["metadata"]["name"]) == len("made-") + 5
        assert made["metadata"]["generateName"] == "made-"


async def test_a_namespace_that_goes_takes_no_more_content(twins: Twins) -> None:
    namespace = "/api/v1/namespaces/{ns}"
    await twins.both("PATCH", namespace, {"metadata": {"finalizers": ["example.com/hold"]}}, MERGE)
    await twins.same("DELETE", namespace)
    await twins.same("POST", CMS, config_map())
    await twins.both("PATCH", namespace, {"metadata": {"finalizers": None}}, MERGE)
    await twins.same("DELETE", "/api/v1/namespaces/default")


async def test_the_token_is_checked(twins: Twins) -> None:
    await twins.same("GET", CMS, headers={"Authorization": "Bearer wrong"})
    await twins.same("GET", "/version", headers={"Authorization": "Bearer wrong"})
