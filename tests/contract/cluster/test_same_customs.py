"""Custom resources: definitions, schemas, status, scale and columns, as a real API server does them."""

from __future__ import annotations

from typing import Any

import pytest
from cluster_clients import MERGE, STRATEGIC, Client, Twins, comparable

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
SPEC: dict[str, Any] = {
    "type": "object",
    "required": ["size"],
    "properties": {
        "size": {"type": "integer", "minimum": 1, "maximum": 10},
        "mode": {"type": "string", "enum": ["slow", "fast"], "default": "slow"},
        "name": {"type": "string", "pattern": "^[a-z]+$", "minLength": 2, "maxLength": 5},
        "when": {"type": "string", "format": "date-time"},
        "port": {"x-kubernetes-int-or-string": True},
        "tags": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
        "plain": {"type": "array", "items": {"type": "string"}, "maxItems": 2},
        "parts": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
            "items": {
                "type": "object",
                "required": ["name"],
                "properties": {
                    "name": {"type": "string"},
                    "value": {"type": "string"},
                    "on": {"type": "boolean", "default": True},
                },
            },
        },
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "atomic": {"type": "object", "x-kubernetes-map-type": "atomic", "additionalProperties": {"type": "string"}},
        "nothing": {"type": "string", "nullable": True},
        "either": {
            "type": "object",
            "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
            "oneOf": [{"required": ["a"]}, {"required": ["b"]}],
        },
    },
}
STATUS = {
    "type": "object",
    "properties": {
        "ready": {"type": "boolean"},
        "replicas": {"type": "integer"},
        "conditions": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["type"],
            "items": {
                "type": "object",
                "required": ["type"],
                "properties": {"type": {"type": "string"}, "status": {"type": "string"}},
            },
        },
    },
}


def definition(group: str, **version: Any) -> dict[str, Any]:
    schema = {"type": "object", "required": ["spec"], "properties": {"spec": SPEC, "status": STATUS}}
    return {
        "metadata": {"name": f"widgets.{group}"},
        "spec": {
            "group": group,
            "names": {"kind": "Widget", "plural": "widgets", "shortNames": ["wd"], "categories": ["all"]},
            "scope": "Namespaced",
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema},
                    "subresources": {
                        "status": {},
                        "scale": {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.replicas"},
                    },
                    "additionalPrinterColumns": [
                        {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
                        {"name": "Ready", "type": "string", "jsonPath": '.status.conditions[?(@.type=="Ready")].status'},
                        {"name": "Mode", "type": "string", "jsonPath": ".spec.mode", "priority": 1},
                        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
                    ],
                    **version,
                }
            ],
        },
    }


async def established(client: Client, name: str) -> None:
    async def probe() -> bool:
        crd = await client.ok("GET", f"{CRDS}/{name}")
        conditions = {c["type"]: c["status"] for c in crd.get("status", {}).get("conditions") or []}
        return conditions.get("Established") == "True"

    await client.until(probe, f"{name} to be established")


@pytest.fixture
async def widgets(twins: Twins) -> Any:
    """The collection of a fresh custom kind, defined in both clusters."""
    group = f"{twins.real.namespace}.example.com"
    path = f"/apis/{group}/v1/namespaces/{{ns}}/widgets"
    for client in (twins.sandbox, twins.real):
        await client.ok("POST", CRDS, definition(group))
        await established(client, f"widgets.{group}")

        async def served(client: Client = client) -> bool:
            # The real server serves a new kind a moment after it says Established.
            return (await client.call("GET", path)).status == 200

        await client.until(served, "the kind to be served")
    yield path
    await twins.real.ok("DELETE", f"{CRDS}/widgets.{group}")


def widget(path: str, name: str = "w", **fields: Any) -> dict[str, Any]:
    return {"apiVersion": "/".join(path.split("/")[2:4]), "kind": "Widget", "metadata": {"name": name}, **fields}


async def test_a_definition_is_stored_defaulted_and_established(twins: Twins) -> None:
    group = f"{twins.real.namespace}.example.com"
    name = f"widgets.{group}"
    try:
        await twins.same("POST", CRDS, definition(group))
        for client in (twins.sandbox, twins.real):
            await established(client, name)
        crds = [await client.ok("GET", f"{CRDS}/{name}") for client in (twins.sandbox, twins.real)]
        assert crds[0]["spec"] == crds[1]["spec"]
        assert crds[0]["status"]["acceptedNames"] == crds[1]["status"]["acceptedNames"]
        assert crds[0]["status"]["storedVersions"] == crds[1]["status"]["storedVersions"]
        conditions = [[(c["type"], c["status"], c["reason"], c["message"]) for c in crd["status"]["conditions"]] for crd in crds]
        assert conditions[0] == conditions[1]
    finally:
        await twins.real.ok("DELETE", f"{CRDS}/{name}")


async def test_objects_are_pruned_defaulted_and_owned(twins: Twins, widgets: str) -> None:
    spec = {"size": 3, "parts": [{"name": "a"}, {"name": "b", "on": False}], "free": {"x": {"y": 1}}, "port": "http", "gone": 1}
    await twins.same("POST", widgets, widget(widgets, spec=spec, extra={"a": 1}))
    await twins.same("POST", widgets, widget(widgets, "strict", spec=spec), fieldValidation="Strict")
    await twins.same("POST", widgets, widget(widgets, "quiet", spec=spec, status={"ready": True}), fieldValidation="Ignore")
    await twins.same("GET", widgets)


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"size": 0},
        {"size": 11},
        {"size": "3"},
        {"size": 1, "mode": "odd"},
        {"size": 1, "name": "A"},
        {"size": 1, "name": "toolong"},
        {"size": 1, "when": "yesterday"},
        {"size": 1, "port": True},
        {"size": 1, "tags": ["a", "a"]},
        {"size": 1, "plain": ["a", "b", "c"]},
        {"size": 1, "plain": "a"},
        {"size": 1, "parts": [{"value": "x"}]},
        {"size": 1, "parts": [{"name": "a"}, {"name": "a"}]},
        {"size": 1, "labels": {"a": 1}},
        {"size": 1, "nothing": None, "mode": None},
        {"size": 1, "name": None},
        {"size": 1, "either": {}},
        {"size": 1, "either": {"a": "1", "b": "2"}},
    ],
    ids=str,
)
async def test_objects_are_checked_by_the_schema(twins: Twins, widgets: str, spec: dict[str, Any]) -> None:
    ours, theirs = [await client.call("POST", widgets, widget(widgets, spec=spec)) for client in (twins.sandbox, twins.real)]
    assert ours.status == theirs.status
    if ours.status == 201:
        assert comparable(ours.body) == comparable(theirs.body)
    else:
        # The scale subresource of the real server adds a finding of its own, about the path it reads.
        found = [[c for c in comparable(answer.body)["details"]["causes"] if c["field"][0] != "."] for answer in (ours, theirs)]
        assert found[0] == found[1]


async def test_apply_merges_by_the_schema(twins: Twins, widgets: str) -> None:
    place = f"{widgets}/w"

    async def applied(manager: str, spec: dict[str, Any], **query: str) -> None:
        await twins.apply(place, widget(widgets, spec=spec), manager, **query)

    await applied(
        "one", {"size": 1, "parts": [{"name": "a", "value": "1"}, {"name": "b"}], "tags": ["x"], "free": {"p": {"q": 1}}}
    )
    await applied("two", {"parts": [{"name": "c"}, {"name": "b", "value": "2"}], "tags": ["y", "x"], "free": {"p": {"r": 2}}})
    await applied("two", {"plain": ["a"], "atomic": {"k": "v"}, "labels": {"k": "v"}})
    await applied("one", {"size": 1, "plain": ["b"], "atomic": {"l": "w"}, "labels": {"l": "w"}})
    await applied("one", {"size": 1, "plain": ["b"], "atomic": {"l": "w"}, "labels": {"l": "w"}}, force="true")
    await applied("one", {"size": 2, "unknown": 1})
    await applied("one", {"size": "2"})
    await applied("one", {"size": 20})


async def test_status_and_specification_have_doors_of_their_own(twins: Twins, widgets: str) -> None:
    place = f"{widgets}/w"
    await twins.same("POST", widgets, widget(widgets, spec={"size": 1}, status={"ready": True}))
    await twins.same(
        "PATCH", f"{place}/status", {"status": {"ready": True}, "spec": {"size": 5}}, MERGE, fieldManager="controller"
    )
    await twins.same("PATCH", place, {"status": {"ready": False}, "spec": {"size": 5}}, MERGE)
    await twins.same("PATCH", place, {"metadata": {"labels": {"a": "b"}}}, MERGE)
    await twins.apply(f"{place}/status", widget(widgets, status={"conditions": [{"type": "Ready", "status": "True"}]}), "applier")
    await twins.same("PATCH", f"{place}/status", {"metadata": {"labels": {"c": "d"}}, "status": {"replicas": 2}}, MERGE)
    await twins.same("GET", f"{place}/scale")
    await twins.same("PATCH", place, {"spec": {"size": 1}}, STRATEGIC)
    found = await twins.same("GET", place)
    await twins.same("PUT", place, widget(widgets, spec={"size": 2}))
    for client in (twins.sandbox, twins.real):
        live = await client.ok("GET", place)
        body = {**live, "spec": {"size": 4}}
        await client.ok("PUT", place, body)
    await twins.same("GET", place)
    assert found["status"]["replicas"] == 2
    await twins.same("PATCH", f"{place}/scale", {"spec": {"replicas": 7}}, MERGE)


async def test_columns_are_those_of_the_definition(twins: Twins, widgets: str) -> None:
    accept = "application/json;as=Table;v=v1;g=meta.k8s.io"
    await twins.both("POST", widgets, widget(widgets, spec={"size": 3}))
    await twins.both("PATCH", f"{widgets}/w/status", {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}, MERGE)
    tables = [await client.ok("GET", widgets, accept=accept) for client in (twins.sandbox, twins.real)]
    shapes = [[(c["name"], c["type"], c["priority"]) for c in table["columnDefinitions"]] for table in tables]
    assert shapes[0] == shapes[1]
    assert [table["rows"][0]["cells"][:4] for table in tables] == [["w", 3, "True", "slow"]] * 2


@pytest.mark.parametrize(
    "change",
    [
        {"metadata": {"name": "other.example.com"}},
        {"spec": {"versions": []}},
        {"spec": {"scope": "Sideways"}},
        {"spec": {"names": {"plural": "widgets", "kind": "Widget", "listKind": "Widget"}}},
        {"schema": {}},
        {"schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"properties": {}}}}}},
        {"storage": False},
    ],
    ids=str,
)
async def test_a_bad_definition_is_refused_with_the_same_fields_named(twins: Twins, change: dict[str, Any]) -> None:
    body = definition(f"{twins.real.namespace}.example.com")
    if "metadata" in change:
        body |= change
    elif "spec" in change:
        body["spec"] |= change["spec"]
    else:
        body["spec"]["versions"][0] |= change
    ours, theirs = await twins.sandbox.call("POST", CRDS, body), await twins.real.call("POST", CRDS, body)
    assert (ours.status, ours.body["reason"]) == (theirs.status, theirs.body["reason"]) == (422, "Invalid"), (ours, theirs)
    fields = [{cause["field"] for cause in answer.body["details"]["causes"]} for answer in (ours, theirs)]
    assert fields[0] <= fields[1]
    assert fields[0]


async def test_an_object_is_the_same_in_every_version(twins: Twins) -> None:
    group = f"{twins.real.namespace}.example.com"
    body = definition(group)
    [first] = body["spec"]["versions"]
    body["spec"]["versions"] = [first, {**first, "name": "v1beta1", "storage": False}]
    new, old = (f"/apis/{group}/{version}/namespaces/{{ns}}/widgets" for version in ("v1", "v1beta1"))
    try:
        for client in (twins.sandbox, twins.real):
            await client.ok("POST", CRDS, body)
            await established(client, f"widgets.{group}")

            async def served(client: Client = client) -> bool:
                return all([(await client.call("GET", path)).status == 200 for path in (new, old)])

            await client.until(served, "both versions to be served")
        await twins.same("POST", old, widget(old, spec={"size": 1}))
        await twins.same("GET", f"{new}/w")
        await twins.same("GET", old)
        await twins.apply(f"{new}/w", widget(new, spec={"size": 2, "mode": "fast"}), "one")
        await twins.apply(f"{new}/w", widget(new, spec={"size": 2, "mode": "fast"}), "one", force="true")
        await twins.apply(f"{old}/w", widget(old, spec={"size": 2}), "one")
        await twins.same("PATCH", f"{old}/w", {"spec": {"name": "abc"}}, MERGE)
        await twins.same("GET", f"{new}/w")
        await twins.same("POST", old, widget(new, "x", spec={"size": 1}))
    finally:
        await twins.real.ok("DELETE", f"{CRDS}/widgets.{group}")
